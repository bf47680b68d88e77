"""Soak test: many frames through one Recognizer, with the resident memory at intervals.

    python -m benchmarks.soak --frames 20000

Frames vary in size, layout and number of faces, because memory may grow with each new shape. Exit code 1 when
the memory after the last frame is more than `GROWTH_MB` above that after the warm-up.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from fer_edge import Recognizer
from fer_edge.arrays import U8

GROWTH_MB = 8.0
# Memory readings in a run, and the index of the first one after the warm-up, when every shape has been seen
# and every buffer has its final size.
READINGS = 20
FIRST_READING = 2


def resident_mb() -> float:
    """Returns the resident memory of this process (Linux: in pages, the second number in
    /proc/self/statm).
    """
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def soak(
    recognizer: Recognizer,
    frames: Sequence[U8],
    count: int,
    report: Callable[[int, float, int], None] | None = None,
) -> float:
    """Runs `count` frames (at least READINGS) in turn; returns by how many MB the memory grew."""
    readings: list[float] = []
    faces = 0
    for number in range(1, count + 1):
        faces += len(recognizer(frames[number % len(frames)]))
        if number % (count // READINGS) == 0:
            readings.append(resident_mb())
            if report is not None:
                report(number, readings[-1], faces)
    return readings[-1] - readings[FIRST_READING]


def photo_frames() -> Iterator[U8]:
    """Frames of several sizes with 0, 1 and 4 faces, made from the pictures that scikit-image ships."""
    from skimage import data

    face = np.ascontiguousarray(data.astronaut()[..., ::-1])
    none = np.ascontiguousarray(data.coffee()[..., ::-1])
    yield from (face, none, face[:400], face[:, 60:460], none[:, :, 1], face[:300, :, 1])
    yield np.tile(face[:300, 100:400], (2, 2, 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the soak test on the embedded models; returns 1 when the memory grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    start = time.perf_counter()

    def report(number: int, memory: float, faces: int) -> None:
        print(f"{number:7d} frames  {faces:7d} faces  {memory:7.1f} MB  {time.perf_counter() - start:6.0f} s")

    with Recognizer(threads=options.threads) as recognizer:
        grown = soak(recognizer, list(photo_frames()), options.frames, report)
    print(f"grew by {grown:.1f} MB after the warm-up; allowed are {GROWTH_MB:.0f} MB")
    return 1 if grown > GROWTH_MB else 0


if __name__ == "__main__":
    sys.exit(main())
