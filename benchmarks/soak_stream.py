"""Long life of a stream: a camera with faces that come and go, stalls, corrupt frames and reconnections.

    python -m benchmarks.soak_stream --seconds 3600

Resident memory, threads, open files and the time of a frame are printed at intervals. Exit code 1 when one of
them grew: the last readings are compared with those after the first part of the run.
"""

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fer_edge.stream.sources.latest as latest
from benchmarks.soak import resident_mb
from benchmarks.streaming.made_video import Actor, sway, video
from fer_edge import Recognizer, Stream
from fer_edge.arrays import U8

FPS = 60.0
# Mean seconds between two faults of each kind, and how long a stall and a disconnection last.
STALL_EVERY_S, CORRUPT_EVERY_S, LOST_EVERY_S = 4.0, 2.0, 8.0
STALL_S, LOST_S = 0.3, 0.4
# What may grow from the warm-up to the end. The time of a frame is the median of the thread's processor time,
# which other programs change too.
GROWTH_MB, GROWTH_THREADS, GROWTH_FILES, GROWTH_TIME = 12.0, 0, 0, 1.5
READINGS = 12
WARM_UP = 3  # readings


class FaultyCamera:
    """A camera that stalls, gives corrupt frames and is unplugged, at random but repeatably."""

    def __init__(self, frames: Sequence[U8], seed: int = 0) -> None:
        self._frames, self._random = frames, np.random.default_rng(seed)
        self._back = 0.0  # when it is plugged in again
        self.faults: Counter[str] = Counter()

    def open(self) -> Iterator[Any]:
        """Opens the camera; a source of a Stream."""
        if time.monotonic() < self._back:
            raise ConnectionError("the camera is unplugged")
        return self._read()

    def _read(self) -> Iterator[Any]:
        for number in range(sys.maxsize):
            time.sleep(1 / FPS)
            if self._happens("stall", STALL_EVERY_S):
                time.sleep(STALL_S)
            if self._happens("lost", LOST_EVERY_S):
                self._back = time.monotonic() + LOST_S
                raise OSError("the camera was unplugged")
            frame: Any = self._frames[number % len(self._frames)]
            if self._happens("corrupt", CORRUPT_EVERY_S):
                kind = self._random.integers(4)
                noise = self._random.integers(0, 256, frame.shape, dtype=np.uint8)
                frame = (None, frame.astype(np.float32), frame[:0], noise)[kind]
            yield frame

    def _happens(self, fault: str, every_s: float) -> bool:
        happens = bool(self._random.random() < 1 / FPS / every_s)
        self.faults[fault] += happens
        return happens


@dataclass(frozen=True)
class Reading:
    """What is read at an interval."""

    frames: int
    faces: int
    memory_mb: float
    threads: int
    files: int
    frame_ms: float


def soak(recognizer: Recognizer, camera: FaultyCamera, seconds: float) -> list[Reading]:
    """Streams the camera, prints and returns the readings."""
    readings: list[Reading] = []
    ids: set[int] = set()
    frames = 0
    times: list[float] = []
    end = time.monotonic() + seconds
    with Stream(recognizer, camera.open, clock=time.thread_time, max_lag_ms=None) as stream:
        while time.monotonic() < end:
            try:
                result = next(stream)
            except (TypeError, ValueError):
                continue  # a corrupt frame; Stream has named it
            frames += 1
            ids.update(face.id for face in result.faces)
            times.append(result.timings["total"])
            if time.monotonic() >= end - seconds * (1 - (len(readings) + 1) / READINGS):
                files = len(list(Path("/proc/self/fd").iterdir()))
                readings.append(
                    Reading(
                        *(frames, len(ids), resident_mb(), threading.active_count(), files),
                        float(np.median(times)),
                    )
                )
                print(readings[-1], stream.info()["source"], flush=True)
                times.clear()
    return readings


def grown(readings: Sequence[Reading]) -> list[str]:
    """Returns what grew from the warm-up to the end."""
    first, last = readings[WARM_UP], readings[-1]
    limits = {
        "memory_mb": first.memory_mb + GROWTH_MB,
        "threads": first.threads + GROWTH_THREADS,
        "files": first.files + GROWTH_FILES,
        "frame_ms": first.frame_ms * GROWTH_TIME,
    }
    return [
        f"{name}: {getattr(last, name)} after {getattr(first, name)}, allowed are {limit}"
        for name, limit in limits.items()
        if getattr(last, name) > limit
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the soak test on the embedded models; returns 1 when something grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    options = parser.parse_args(arguments)
    actors = [
        Actor(sway(160, 240, 110)),
        Actor(sway(420, 200, 80, phase=1.0), present=(1.0, 2.0)),
        Actor(sway(520, 380, 60, phase=2.0), present=(0.5, 3.0), hidden=(1.5, 1.8)),
    ]
    camera = FaultyCamera([frame for _, frame, _ in video(actors, 4.0, 30)])
    latest.LAST_DELAY_S = 0.5
    with Recognizer(threads=1) as recognizer:
        problems = grown(soak(recognizer, camera, options.seconds))
    print(f"faults: {dict(camera.faults)}")
    print("\n".join(problems) or "nothing grew")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
