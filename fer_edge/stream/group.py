"""Several sources on one Recognizer: each has its turn, and the faces of a round are read as one batch."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from fer_edge.result import Expressions
from fer_edge.stream.pipeline import Located, Pipeline
from fer_edge.stream.result import StreamResult
from fer_edge.stream.stream import Stream

# Where no source has a frame, how often a hanging one is looked for, in seconds.
WAKE_S = 0.5
# Errors of a stream whose message gets the stream's name; the first kind that fits.
_NAMED = (ConnectionError, TimeoutError, FileNotFoundError, PermissionError, OSError, TypeError, ValueError)


class StreamGroup:
    """Iterates over the results of several streams that share a Recognizer, in turn.

        streams = {"door": Stream(recognizer, 0), "hall": Stream(recognizer, "rtsp://host/hall")}
        with StreamGroup(streams) as group:
            for name, result in group:
                print(name, result.faces)

    In each round, every stream that has a frame gets one turn, so that no source can starve another. The
    faces of the round whose expressions must be read are one batch of the expression network, which takes
    less time than one run for each source; so a result waits for those of its round. Frames are searched one
    by one, and must be on the CPU. Results are those of the streams alone, up to the rounding of the engine.

    A live source without a frame is passed over. A file, folder or iterable is read when it has its turn, so
    an iterable that waits holds up all sources: make it live (Stream(..., live=True)).

    Iteration ends when all streams have ended, and after `close`. An error of one stream is raised when it is
    the stream's turn, and begins with its name. The others go on: ask for the next result.

    Args:
        streams: name -> stream, in the order of the turns. They keep their own settings, and can be paused
            and reset. They are closed with the group, and must not be iterated elsewhere.

    Raises:
        TypeError: streams is not a mapping of streams.
        ValueError: there is no stream, a stream is there twice, or they have several Recognizers.
    """

    def __init__(self, streams: Mapping[str, Stream]) -> None:
        _check(streams)
        self._streams = dict(streams)
        self._recognizer = next(iter(self._streams.values())).recognizer
        self._open: dict[str, Pipeline] = {name: stream.pipeline for name, stream in self._streams.items()}
        self._clock = next(iter(self._open.values())).clock
        # Results and errors of the last round.
        self._ready: deque[tuple[str, StreamResult] | Exception] = deque()
        # When the silence of each source began to count, by time.monotonic().
        self._since = dict.fromkeys(self._streams, time.monotonic())
        self._turn = threading.Lock()  # held for a round
        self._closed = False
        self._changed = threading.Event()
        for pipeline in self._open.values():
            pipeline.reader.listen(self._changed.set)

    def __iter__(self) -> "StreamGroup":
        return self

    def __next__(self) -> tuple[str, StreamResult]:
        """Returns the name of a stream and its next result; waits for one.

        Raises: as Stream.__next__, with the name of the stream in the message of all but a user's own errors.
        """
        with self._turn:
            if self._closed:
                self._ready.clear()
            while not self._ready and self._open:
                self._round()
            if not self._ready:
                raise StopIteration
            item = self._ready.popleft()
        if isinstance(item, Exception):
            raise item
        return item

    def _round(self) -> None:
        """Gives each stream a turn; waits for a change if there was nothing to do."""
        self._changed.clear()
        with ExitStack() as held:
            located: dict[str, Located] = {}
            for name in tuple(self._open):
                if (one := self._locate(name, held)) is not None:
                    located[name] = one
            if located:
                self._read(located)
        if not self._ready and self._open:
            self._changed.wait(WAKE_S)

    def _locate(self, name: str, held: ExitStack) -> Located | None:
        pipeline = self._open[name]
        try:
            located = pipeline.locate(self._since[name], held)
        except Exception as error:  # noqa: BLE001 (`__next__` raises it)
            self._fail(name, error)
            return None
        if located is None and pipeline.reader.is_over:
            del self._open[name]
        return located

    def _read(self, located: Mapping[str, Located]) -> None:
        """Reads the faces of a round, and finishes its frames."""
        frames = [one.to_read for one in located.values()]
        start = self._clock()
        read = self._recognizer.expressions(frames)
        seconds_a_face = (self._clock() - start) / max(1, sum(len(found) for _, found in frames))
        for (name, one), (_, found), part in zip(located.items(), frames, read, strict=True):
            self._finish(name, one, part, seconds_a_face * len(found))

    def _finish(self, name: str, located: Located, read: Expressions, seconds: float) -> None:
        try:
            result = self._open[name].finish(located, read, seconds)
        except Exception as error:  # noqa: BLE001 (`__next__` raises it)
            self._fail(name, error)
        else:
            self._ready.append((name, result))

    def _fail(self, name: str, error: Exception) -> None:
        self._since[name] = time.monotonic()
        kind = next((kind for kind in _NAMED if isinstance(error, kind)), None)
        if kind is not None:
            named = kind(f"{name}: {error}")
            named.__cause__ = error
            error = named
        self._ready.append(error)

    def info(self) -> dict[str, dict[str, Any]]:
        """Returns Stream.info() of each stream."""
        return {name: stream.info() for name, stream in self._streams.items()}

    def close(self) -> None:
        """Ends iteration, in any thread, and closes the streams. The recognizer stays open."""
        self._closed = True
        for stream in self._streams.values():
            stream.close()
        self._changed.set()

    def __enter__(self) -> "StreamGroup":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"StreamGroup({', '.join(f'{name!r}: {stream!r}' for name, stream in self._streams.items())})"


def _check(streams: Any) -> None:
    expected = "streams must be a mapping of names to streams, {'door': Stream(recognizer, 0), ...}"
    if not isinstance(streams, Mapping):
        raise TypeError(f"{expected}, got {type(streams).__name__}")
    if not streams:
        raise ValueError(f"{expected}, got none")
    for name, stream in streams.items():
        if not isinstance(stream, Stream):
            raise TypeError(f"{expected}, got {type(stream).__name__} for {name!r}")
    if len({id(stream) for stream in streams.values()}) < len(streams):
        raise ValueError(f"{expected}, got one stream twice")
    if len({id(stream.recognizer) for stream in streams.values()}) > 1:
        raise ValueError("the streams of a group must share one Recognizer, got several; give all the same")
