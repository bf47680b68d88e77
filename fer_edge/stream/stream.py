"""A recognizer over time: the only place with state across frames."""

import asyncio
import os
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, Literal

from fer_edge.recognizer import Recognizer
from fer_edge.stages.image import Layout
from fer_edge.stream.call_thread import CallThread
from fer_edge.stream.events import EventRules
from fer_edge.stream.observing import Observer
from fer_edge.stream.pipeline import Pipeline
from fer_edge.stream.recording import Recorder
from fer_edge.stream.result import StreamResult
from fer_edge.stream.smoothing import Smoothing
from fer_edge.stream.sources import source_from
from fer_edge.stream.sources.in_order import InOrderReader
from fer_edge.stream.sources.latest import LatestReader
from fer_edge.stream.sources.reader import Reader
from fer_edge.stream.steady import Calibration, Steady

# A face is read at most this many times in a time constant of the smoothing; more would add little.
READINGS = 3


class Stream:
    """Iterates over the frames of a source, and gives each face an identity, steady expressions and events.

        with fer_edge.Stream(recognizer, source=0) as stream:
            for result in stream:               # or: async for result in stream
                for event in result.events:
                    print(event.time, event.kind, event.id, event.label)

    The whole frame is searched when there is a reason; in between, each known face is found again near its
    predicted place, and its expression is read again when the face changed. `StreamResult.skipped` says what
    was left out. `detect_every=1` leaves nothing out.

    Iteration ends (StopIteration) at the end of a file, folder or iterable, and after `close`. It may be used
    by several threads; each frame goes to one of them. After an exception, the next frame can be asked for.

    Args:
        recognizer: finds faces and reads expressions. It may be shared, and is not closed.
        source: index or device of a camera (0, "/dev/video0", "/dev/v4l/by-id/..."), path of a video, folder
            of pictures, URL (RTSP, HTTP and what else OpenCV reads), GStreamer pipeline that ends in appsink,
            an iterable of frames or of (time in seconds, frame), or a function that opens a camera and
            returns such an iterable.
        layout: of the frames, as for a Recognizer; NV12 must be given.
        live: frames that are not taken in time are dropped, so that the newest frame wins. None: true for
            cameras, URLs, pipelines and functions; false for files, folders and iterables, which are read in
            order without loss.
        fps: frames a second of frames that carry no time. None: 25 for a folder; else by the clock.
        detect_every: "auto", or the number of frames from one search of the whole frame to the next.
        budget_ms: milliseconds that a frame should take. Searches of the whole frame are postponed first, at
            most for 2 s, then the expressions of the faces that changed least. None: no budget.
        smoothing: of the expressions; Smoothing(time_constant_ms=0) for none.
        events: when events are reported.
        max_lag_ms: of a live source; a frame that waited longer is dropped. None: no limit.
        hang_s: seconds without a frame after which a live source hangs.
        reconnect_s: seconds for which a lost camera, URL, pipeline or function is opened again.
        record: path of a recording to write (JSON Lines without pixels), see fer_edge.stream.replay.
        clock: returns seconds; for tests and simulations.

    Raises:
        TypeError: the source is of no known kind.
        ValueError: a setting is outside its range.
        FileNotFoundError: the file or folder does not exist, or the folder is empty.
        ConnectionError: the camera, URL or pipeline cannot be opened.
        OSError: the file is not a video, or the recording cannot be written.
        ImportError: OpenCV is missing, or was built without GStreamer.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        source: Any,
        *,
        layout: Layout | None = None,
        live: bool | None = None,
        fps: float | None = None,
        detect_every: int | Literal["auto"] = "auto",
        budget_ms: float | None = None,
        smoothing: Smoothing = Smoothing(),  # noqa: B008 (frozen)
        events: EventRules = EventRules(),  # noqa: B008 (frozen)
        max_lag_ms: float | None = None,
        hang_s: float = 10.0,
        reconnect_s: float = 60.0,
        record: str | os.PathLike[str] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        _check_settings(detect_every, fps, budget_ms, max_lag_ms, hang_s, reconnect_s)
        self._recognizer, self._about = recognizer, recognizer.info()
        spec = recognizer.spec
        of_confidence = spec.confidence_temperature or spec.temperature
        calibration = Calibration(spec.labels, spec.temperature, of_confidence)
        steady = Steady(calibration, smoothing, events)
        observer = Observer(
            recognizer,
            layout=layout,
            detect_every=detect_every,
            budget_ms=budget_ms,
            read_interval_s=smoothing.time_constant_ms / 1e3 / READINGS,
            clock=clock,
        )
        self._settings = {
            "detect_every": detect_every,
            "budget_ms": budget_ms,
            "smoothing": asdict(smoothing),
            "events": asdict(events),
        }
        self._source = source_from(source, live=live, fps=fps)
        reader = self._open_source(clock, max_lag_ms, hang_s, reconnect_s)
        recorder = _recorder_beside(reader, record, calibration, smoothing, events, self._about)
        self._pipeline = Pipeline(self._source.name, reader, observer, steady, recorder, budget_ms, clock)
        # One thread for all frames of `async for`, because buffers belong to threads.
        self._thread = CallThread("fer_edge-stream")
        # Frames whose `__anext__` was cancelled.
        self._unclaimed: deque[Future[StreamResult | None]] = deque()

    def _open_source(
        self, clock: Callable[[], float], max_lag_ms: float | None, hang_s: float, reconnect_s: float
    ) -> Reader:
        if not self._source.is_live:
            return InOrderReader(self._source, clock)
        reader = LatestReader(
            self._source, clock, max_lag_ms=max_lag_ms, hang_s=hang_s, reconnect_s=reconnect_s
        )
        # Its thread would keep the camera of a stream that was dropped without `close`.
        weakref.finalize(self, reader.abandon).atexit = False
        return reader

    @property
    def recognizer(self) -> Recognizer:
        """The recognizer that this stream was given."""
        return self._recognizer

    @property
    def pipeline(self) -> Pipeline:
        """What processes the frames, for `StreamGroup`."""
        return self._pipeline

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> StreamResult:
        """Returns the result of the next frame; waits for it.

        Raises:
            StopIteration: the source has ended, or the stream was closed.
            ConnectionError: a live source was lost and did not come back.
            TimeoutError: a live source hangs.
            TypeError: a frame or its time has the wrong type.
            ValueError: a frame has the wrong shape, a time runs backwards, or a picture cannot be read.
            Other: whatever the user's own source raises.
        """
        result = self._pipeline.next()
        if result is None:
            raise StopIteration
        return result

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> StreamResult:
        """As `__next__`, in a thread of its own, so that the event loop goes on.

        If it is cancelled, as by asyncio.wait_for, no frame is lost: the next call returns its result.
        """
        call = self._unclaimed.popleft() if self._unclaimed else self._thread.submit(self._pipeline.next)
        if call is None:
            raise StopAsyncIteration
        try:
            result: StreamResult | None = await asyncio.wrap_future(call)
        except asyncio.CancelledError:
            self._unclaimed.append(call)
            raise
        if result is None:
            raise StopAsyncIteration
        return result

    def pause(self) -> None:
        """Makes iteration wait until `resume`; a live source's frames of the meantime are thrown away."""
        self._pipeline.reader.pause()

    def resume(self) -> None:
        """Ends a pause."""
        self._pipeline.reader.resume()

    def reset(self) -> None:
        """Forgets all faces; the next result reports them as gone, and new ids begin."""
        self._pipeline.reset()

    def info(self) -> dict[str, Any]:
        """Returns the state of the source, what was searched and skipped so far, and the settings.

        "source" has name, is_live, state ("reading", "paused", "reconnecting", "lost", "ended" or "closed"),
        and counts of frames, of those that a file states and lacks at its end ("missing"), dropped frames and
        reconnects. "searched" counts searches of the whole frame by
        reason; "skipped" counts what StreamResult.skipped lists; "slow_frames" took longer than the budget.
        "recognizer" is Recognizer.info(); of a closed one, what it said last.
        """
        with suppress(RuntimeError):
            self._about = self._recognizer.info()
        return {
            "source": {
                "name": self._source.name,
                "is_live": self._source.is_live,
                **self._pipeline.reader.info(),
            },
            **self._pipeline.counts(),
            "settings": self._settings,
            "recognizer": self._about,
        }

    def close(self) -> None:
        """Ends iteration, in any thread, and releases the source. The recognizer stays open."""
        self._pipeline.close()
        self._thread.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Stream(source={self._source.name!r}, state={self._pipeline.reader.info()['state']!r})"


def _recorder_beside(
    reader: Reader, record: str | os.PathLike[str] | None, *arguments: Any
) -> Recorder | None:
    """Begins the recording, if one is wanted. If it cannot be written, the source is closed again."""
    if record is None:
        return None
    with ExitStack() as on_error:
        on_error.callback(reader.close)
        recorder = Recorder(record, *arguments)
        on_error.pop_all()
    return recorder


def _check_settings(
    detect_every: object,
    fps: float | None,
    budget_ms: float | None,
    max_lag_ms: float | None,
    hang_s: float,
    reconnect_s: float,
) -> None:
    if detect_every != "auto" and not (
        isinstance(detect_every, int) and not isinstance(detect_every, bool) and detect_every >= 1
    ):
        raise ValueError(
            f"detect_every must be 'auto' or a whole number of at least 1 frame, got {detect_every!r}"
        )
    for name, value in (
        ("fps", fps),
        ("budget_ms", budget_ms),
        ("max_lag_ms", max_lag_ms),
        ("hang_s", hang_s),
    ):
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"{name} must be a number above 0, got {value!r}")
    if not reconnect_s >= 0:
        raise ValueError(f"reconnect_s must be at least 0, got {reconnect_s!r}")
