"""Memory that does not grow: many frames through one Recognizer, with the resident memory at intervals.

    python -m benchmarks.soak --frames 20000

Frames change in size, layout and number of faces, because growth hides in what is kept for each shape. Exit
code 1 when the memory after the last frame is more than `GROWTH_MB` above that after the warm-up.
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
# Readings of the memory in a run, and which of them is the first after the warm-up, when every shape has been
# seen and every buffer has its final size.
READINGS = 20
FIRST_READING = 2


def resident_mb() -> float:
    """Returns the memory of this process that is in RAM now (Linux: in pages, second in /proc/self/statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def soak(
    recognizer: Recognizer,
    frames: Sequence[U8],
    count: int,
    tell: Callable[[int, float, int], None] | None = None,
) -> float:
    """Runs `count` frames (at least READINGS) in turn; returns by how many MB the memory grew."""
    readings: list[float] = []
    faces = 0
    for number in range(1, count + 1):
        faces += len(recognizer(frames[number % len(frames)]))
        if number % (count // READINGS) == 0:
            readings.append(resident_mb())
            if tell is not None:
                tell(number, readings[-1], faces)
    return readings[-1] - readings[FIRST_READING]


def photo_frames() -> Iterator[U8]:
    """Frames of several sizes with 0, 1 and 4 faces, made of the pictures that scikit-image ships."""
    from skimage import data

    face = np.ascontiguousarray(data.astronaut()[..., ::-1])
    none = np.ascontiguousarray(data.coffee()[..., ::-1])
    yield from (face, none, face[:400], face[:, 60:460], none[:, :, 1], face[:300, :, 1])
    yield np.tile(face[:300, 100:400], (2, 2, 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Soaks the embedded models and reports; 1 when the memory grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    start = time.perf_counter()

    def tell(number: int, memory: float, faces: int) -> None:
        print(f"{number:7d} frames  {faces:7d} faces  {memory:7.1f} MB  {time.perf_counter() - start:6.0f} s")

    with Recognizer(threads=options.threads) as recognizer:
        grown = soak(recognizer, list(photo_frames()), options.frames, tell)
    print(f"grew by {grown:.1f} MB after the warm-up; allowed are {GROWTH_MB:.0f} MB")
    return 1 if grown > GROWTH_MB else 0


if __name__ == "__main__":
    sys.exit(main())
