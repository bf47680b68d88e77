"""Long life of a stream: a camera with faces that come and go, stalls, corrupt frames and reconnections.

    python -m benchmarks.soak_stream --seconds 3600

Resident memory, threads, open files and the time of a frame are printed at intervals. Exit code 1 when one of
them grew: the last readings are compared with those after the first part of the run. Also 1 when no face
appeared, no face was gone because it was not seen for a second, or no timer made a search: then the run has
not shown what it should show.

The camera has a time of its own, so that faces come and go as often on a busy machine. A frame is timed by
the processor, which does not count what other programs take.
"""

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fer_edge.stream.sources.latest as latest
from benchmarks.soak import resident_mb
from benchmarks.streaming.made_video import Actor, sway, video
from fer_edge import Recognizer, Stream
from fer_edge.arrays import U8
from fer_edge.stream import StreamResult
from fer_edge.stream.tracking import MAX_HIDDEN_S

FPS = 30.0
LOOP_S = 4.0  # after which the scene repeats
# Mean seconds between two faults of each kind, and how long a stall and a disconnection last, by the time of
# the camera.
STALL_EVERY_S, CORRUPT_EVERY_S, LOST_EVERY_S = 4.0, 2.0, 8.0
STALL_S, LOST_S = 0.3, 0.4
# What may grow from the warm-up to the end. The time of a frame is the median of the thread's processor time,
# which other programs change too.
GROWTH_MB, GROWTH_THREADS, GROWTH_FILES, GROWTH_TIME = 12.0, 0, 0, 1.5
READINGS = 12
WARM_UP = 3  # readings


class FaultyCamera:
    """A camera that stalls, gives corrupt frames and is unplugged, at random but repeatably.

    Args:
        frames: of the scene, again and again; it goes on while the camera stalls or is unplugged.
        pace: seconds of waiting for a second of the camera.
        seed: of the faults.
    """

    def __init__(self, frames: Sequence[U8], *, pace: float = 1.0, seed: int = 0) -> None:
        self._frames, self._pace, self._random = frames, pace, np.random.default_rng(seed)
        self._time = 0.0  # of the next frame
        self._back = 0.0  # when it is plugged in again, by time.monotonic()
        self.faults: Counter[str] = Counter()

    def open(self) -> Iterator[Any]:
        """Opens the camera; a source of a Stream."""
        if time.monotonic() < self._back:
            raise ConnectionError("the camera is unplugged")
        return self._read()

    def _read(self) -> Iterator[Any]:
        while True:
            self._wait(1 / FPS)
            if self._happens("stall", STALL_EVERY_S):
                self._wait(STALL_S)
            if self._happens("lost", LOST_EVERY_S):
                self._time += LOST_S
                self._back = time.monotonic() + LOST_S * self._pace
                raise OSError("the camera was unplugged")
            frame: Any = self._frames[round(self._time * FPS) % len(self._frames)]
            if self._happens("corrupt", CORRUPT_EVERY_S):
                kind = self._random.integers(4)
                noise = self._random.integers(0, 256, frame.shape, dtype=np.uint8)
                frame = (None, frame.astype(np.float32), frame[:0], noise)[kind]
            yield self._time, frame

    def _wait(self, seconds: float) -> None:
        self._time += seconds
        time.sleep(seconds * self._pace)

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


@dataclass
class Run:
    """What happened in a run."""

    readings: list[Reading] = field(default_factory=list)
    faces: int = 0  # ids that were given
    events: Counter[str] = field(default_factory=Counter)  # by kind
    expired: int = 0  # faces that were not seen for a second; the others were gone in a scene cut
    searched: dict[str, int] = field(default_factory=dict)  # by reason

    def count(self, result: StreamResult) -> None:
        """Counts the faces and events of a frame."""
        # Ids are given in order. A set of them all would grow.
        self.faces = max([self.faces, *(face.id for face in result.faces)])
        self.events.update(event.kind for event in result.events)
        self.expired += sum(
            event.kind == "disappeared" and event.time - event.since > MAX_HIDDEN_S for event in result.events
        )


def soak(recognizer: Recognizer, camera: FaultyCamera, seconds: float) -> Run:
    """Streams the camera for some seconds of its time; prints the readings, and returns what happened."""
    run = Run()
    frames = 0
    times: list[float] = []
    # The clock only times the stages: the frames have the time of the camera.
    with Stream(recognizer, camera.open, clock=time.thread_time, max_lag_ms=None) as stream:
        while len(run.readings) < READINGS:
            try:
                result = next(stream)
            except (TypeError, ValueError):
                continue  # a corrupt frame; Stream has named it
            frames += 1
            run.count(result)
            times.append(result.timings["total"])
            if result.time >= seconds * (len(run.readings) + 1) / READINGS:
                files = len(list(Path("/proc/self/fd").iterdir()))
                run.readings.append(
                    Reading(
                        *(frames, run.faces, resident_mb(), threading.active_count(), files),
                        float(np.median(times)),
                    )
                )
                print(run.readings[-1], stream.info()["source"], flush=True)
                times.clear()
        run.searched = stream.info()["searched"]
    return run


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


def missing(run: Run) -> list[str]:
    """Returns what should have happened in a run, and did not."""
    happened = {
        "no face appeared": run.events["appeared"],
        f"no face was gone because it was not seen for {MAX_HIDDEN_S:g} s": run.expired,
        "no timer made a search": run.searched.get("timer", 0),
    }
    return [problem for problem, count in happened.items() if not count]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the soak test on the embedded models; returns 1 when something grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600, help="by the time of the camera")
    options = parser.parse_args(arguments)
    actors = [
        Actor(sway(160, 240, 110)),
        Actor(sway(420, 200, 80, phase=1.0), present=(1.0, 2.0)),
        Actor(sway(520, 380, 60, phase=2.0), present=(0.5, 3.0), hidden=(1.5, 1.8)),
    ]
    camera = FaultyCamera([frame for _, frame, _ in video(actors, LOOP_S, FPS)])
    latest.LAST_DELAY_S = 0.5
    with Recognizer(threads=1) as recognizer:
        run = soak(recognizer, camera, options.seconds)
    print(f"faults: {dict(camera.faults)}")
    print(f"{run.faces} ids, {run.expired} of them not seen for {MAX_HIDDEN_S:g} s")
    print(f"events: {dict(run.events)}; searches: {run.searched}")
    problems = [*missing(run), *grown(run.readings)]
    print("\n".join(problems) or "nothing grew")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
