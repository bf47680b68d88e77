"""From the frames of one source to results.

`Stream` asks for one result after another. `StreamGroup` asks for them in two halves, so that the faces of
several sources are read together.
"""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from fer_edge.arrays import U8
from fer_edge.result import Detections, Expressions
from fer_edge.stream.observation import Observation, Unread
from fer_edge.stream.observing import Observer
from fer_edge.stream.recording import Recorder
from fer_edge.stream.result import StreamResult
from fer_edge.stream.sources.reader import Reader, Taken
from fer_edge.stream.steady import Steady
from fer_edge.stream.timing import Stopwatch


@dataclass(frozen=True, slots=True)
class Located:
    """A frame whose faces are located, and not read yet."""

    taken: Taken
    plane: U8  # [H, W] luma
    unread: Unread
    watch: Stopwatch

    @property
    def to_read(self) -> tuple[U8, Detections]:
        """What `Recognizer.expressions` reads."""
        return self.plane, self.unread.to_read


class Pipeline:
    """Reads, observes, smooths and records the frames of one source. Threads may share it.

    Args:
        name: of the source, for messages.
        reader: gives the frames.
        observer: finds and reads the faces.
        steady: smooths what was read.
        recorder: writes what was observed; None: nothing does.
        budget_ms: milliseconds a frame; slower frames are counted. None: no budget.
        clock: returns seconds.
    """

    def __init__(
        self,
        name: str,
        reader: Reader,
        observer: Observer,
        steady: Steady,
        recorder: Recorder | None,
        budget_ms: float | None,
        clock: Callable[[], float],
    ) -> None:
        self.reader, self.clock = reader, clock
        self._name, self._budget_ms = name, budget_ms
        self._observer, self._steady, self._recorder = observer, steady, recorder
        self._step = threading.Lock()  # held for a frame
        self._wants_reset = threading.Event()
        self._searched: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter(search=0, still=0, unchanged=0, over_budget=0)
        self._slow_frames = 0

    def next(self) -> StreamResult | None:
        """Returns the result of the next frame; waits for it; None at the end. Raises as Stream.__next__."""
        with self._step:
            watch = Stopwatch(self.clock)
            taken = self.reader.take()
            watch.lap("read")
            if taken is None:
                self._close_recorder()
                return None
            self._reset_if_wanted()
            try:
                seen = self._observer.observe(taken.pixels, taken.time, watch)
            except (TypeError, ValueError) as error:
                raise self._named(error, taken) from error
            return self._result(taken, seen, watch)

    def locate(self, since: float, held: ExitStack) -> Located | None:
        """The first half of `next`, which does not wait: returns None if there is no frame now.

        Args:
            since: as for Reader.poll.
            held: closed by the caller after `finish`; until then no other thread can use this object.
        """
        held.enter_context(self._step)
        watch = Stopwatch(self.clock)
        taken = self.reader.poll(since)
        watch.lap("read")
        if taken is None:
            if self.reader.is_over:
                self._close_recorder()
            return None
        self._reset_if_wanted()
        try:
            plane, unread = self._observer.locate(taken.pixels, taken.time, watch)
        except (TypeError, ValueError) as error:
            raise self._named(error, taken) from error
        return Located(taken, plane, unread, watch)

    def finish(self, located: Located, read: Expressions, seconds: float) -> StreamResult:
        """The second half of `next`.

        Args:
            located: from `locate`.
            read: the expressions of `located.to_read`.
            seconds: that reading them took.
        """
        located.watch.restart()
        located.watch.add("infer", seconds)
        seen = self._observer.finish(located.unread, read, seconds)
        return self._result(located.taken, seen, located.watch)

    def _named(self, error: Exception, taken: Taken) -> Exception:
        """Returns an error of a frame with the names of frame and source."""
        kind = TypeError if isinstance(error, TypeError) else ValueError
        return kind(f"frame {taken.index} of {self._name}: {error}")

    def _reset_if_wanted(self) -> None:
        if self._wants_reset.is_set():
            self._wants_reset.clear()
            self._observer.reset()

    def _result(self, taken: Taken, seen: Observation, watch: Stopwatch) -> StreamResult:
        faces, events = self._steady.update(seen)
        watch.lap("smooth")
        if self._recorder is not None:
            self._recorder.write(seen, taken.index, taken.dropped)
            watch.lap("record")
        timings = watch.milliseconds
        timings["total"] = sum(timings.values()) - timings["read"]
        result = StreamResult(
            index=taken.index,
            time=taken.time,
            frame=taken.pixels,
            faces=faces,
            events=events,
            searched=seen.searched,
            skipped=seen.skipped,
            dropped=taken.dropped,
            timings=timings,
        )
        self._count(result)
        return result

    def _count(self, result: StreamResult) -> None:
        if result.searched is not None:
            self._searched[result.searched] += 1
        skipped = result.skipped
        self._skipped["search"] += skipped.search
        for name in ("still", "unchanged", "over_budget"):
            self._skipped[name] += len(getattr(skipped, name))
        self._slow_frames += self._budget_ms is not None and result.timings["total"] > self._budget_ms

    def reset(self) -> None:
        """Forgets all faces before the next frame."""
        self._wants_reset.set()

    def counts(self) -> dict[str, Any]:
        """Returns what was searched and skipped so far, see Stream.info."""
        return {
            "searched": dict(self._searched),
            "skipped": dict(self._skipped),
            "slow_frames": self._slow_frames,
        }

    def close(self) -> None:
        """Ends reading, in any thread, and releases the source."""
        self.reader.close()
        # A frame that is being computed is still recorded; its thread then closes the recording.
        if self._step.acquire(blocking=False):
            try:
                self._close_recorder()
            finally:
                self._step.release()

    def _close_recorder(self) -> None:
        if self._recorder is not None:
            self._recorder.close()
