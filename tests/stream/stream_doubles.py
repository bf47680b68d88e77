"""Observations, and doubles of clocks and cameras."""

import threading
import time
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import numpy as np

from fer_edge import Stream
from fer_edge.result import Detections
from fer_edge.stream.observation import Observation
from fer_edge.stream.result import Skipped

PATIENCE_S = 20.0  # for what should be almost at once
LABELS = ("neutral", "happiness", "sadness")


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeCamera:
    """A camera that gives the frames it is handed, one by one, and can be unplugged.

    It stands in for hardware. `open` is the source; what is put into `frames` comes out: frames, exceptions,
    and None for the end.
    """

    def __init__(self) -> None:
        self.frames: Queue[Any] = Queue()
        self.opened = 0
        self.closed = 0
        self.is_plugged = threading.Event()
        self.is_plugged.set()

    def open(self) -> Iterator[Any]:
        """Opens the camera."""
        if not self.is_plugged.is_set():
            raise ConnectionError("no such camera")
        self.opened += 1
        return self._read()

    def _read(self) -> Iterator[Any]:
        try:
            while (frame := self.frames.get()) is not None:
                if isinstance(frame, BaseException):
                    raise frame
                yield frame
        finally:
            self.closed += 1


def observation(time: float, *faces: tuple[int, Any], ended: tuple[int, ...] = ()) -> Observation:
    """Faces (id, logits), or (id, (logits, reason to abstain))."""
    rows = [(id, *(value if isinstance(value, tuple) else (value, None))) for id, value in faces]
    count = len(rows)
    return Observation(
        time=time,
        ids=tuple(row[0] for row in rows),
        found=Detections(
            np.zeros((count, 4), np.float32), np.zeros((count, 5, 2), np.float32), np.ones(count, np.float32)
        ),
        logits=np.array([row[1] for row in rows], np.float32).reshape(count, len(LABELS)),
        reasons=tuple(row[2] for row in rows),
        is_fresh=(True,) * count,
        ended=ended,
        searched=None,
        skipped=Skipped(),
    )


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until something is so, in another thread."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def give(camera: FakeCamera, stream: Stream, *frames: Any) -> None:
    """Gives frames and waits until they were read."""
    read = stream.info()["source"]["frames"]
    for frame in frames:
        camera.frames.put(frame)
    wait_for(lambda: stream.info()["source"]["frames"] == read + len(frames))
