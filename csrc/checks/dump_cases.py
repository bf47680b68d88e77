"""Writes the cases for run_cases.cpp: difficult inputs and the results of the reference.

The output is one little-endian binary file of cases. Each case starts with its kind; run_cases.cpp reads the
fields in the order in which they are written here. Run as `python csrc/checks/dump_cases.py FILE`.
"""

import itertools
import struct
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[2]))

from fer_edge.ops import reference

LUMA, WARP, DECODE = range(3)
RNG = np.random.default_rng(20)


def write_ints(file: BinaryIO, *values: int) -> None:
    """Appends int32 values."""
    file.write(struct.pack(f"<{len(values)}i", *values))


def padded_rows(height: int, width: int, padding: int) -> npt.NDArray[np.uint8]:
    """Random bytes, uint8 [height, width] with `padding` bytes between the rows."""
    return RNG.integers(0, 256, (height, width + padding), np.uint8)[:, :width]


def write_rows(file: BinaryIO, rows: npt.NDArray[np.uint8]) -> None:
    """Appends the stride and the bytes from the first to the last pixel, without padding at the end."""
    height, width = rows.shape
    stride = rows.strides[0]
    write_ints(file, stride)
    memory = np.lib.stride_tricks.as_strided(
        rows, ((height - 1) * stride + width,) if rows.size else (0,), (1,)
    )
    file.write(memory.tobytes())


def dump_luma(file: BinaryIO, height: int, width: int, padding: int) -> None:
    """Writes one case of luma_from_bgr."""
    rows = padded_rows(height, 3 * width, padding)
    write_ints(file, LUMA, height, width)
    write_rows(file, rows)
    file.write(reference.luma_from_bgr(rows.reshape(height, width, 3)).tobytes())


def dump_warp(
    file: BinaryIO,
    plane: npt.NDArray[np.uint8],
    matrices: npt.NDArray[np.float32],
    shape: tuple[int, int],
    edge: bool,
) -> None:
    """Writes one case of warp_normalize."""
    normalization = {"mean": 117.3, "scale": 0.017, "fill": 33.7}
    out = np.empty((len(matrices), 1, *shape), np.float32)
    reference.warp_normalize(plane, matrices, out, **normalization, border="edge" if edge else "constant")
    write_ints(file, WARP, *plane.shape, len(matrices), *shape, edge)
    file.write(struct.pack("<3f", *normalization.values()))
    write_rows(file, plane)
    file.write(matrices.tobytes() + out.tobytes())


def dump_decode(
    file: BinaryIO, maps: list[npt.NDArray[np.float32]], threshold: float, overlap: float
) -> None:
    """Writes one case of decode_faces."""
    arrays = reference.decode_faces(maps, threshold=threshold, overlap=overlap)
    write_ints(file, DECODE, len(arrays[0]))
    file.write(struct.pack("<2d", threshold, overlap))
    for level in maps:
        write_ints(file, *level.shape[1:])
        file.write(level.tobytes())
    for array in arrays:
        file.write(array.tobytes())


def matrices_of(count: int, height: int, width: int) -> npt.NDArray[np.float32]:
    """Similarities of every scale; some are outside the frame, some have NaN, infinite or huge elements."""
    scale, angle = np.exp(RNG.uniform(-3, 5, count)), RNG.uniform(-4, 4, count) * RNG.integers(0, 2, count)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    x, y = RNG.normal(0.3, 1, (2, count)) * [[width], [height]]
    matrices = np.stack([c, -s, x, s, c, y], axis=1).astype(np.float32)
    hard = RNG.random(matrices.shape) < 0.03
    matrices[hard] = RNG.choice(
        np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e9, 0], np.float32), hard.sum()
    )
    return matrices.reshape(count, 2, 3)


def maps_of(sizes: tuple[tuple[int, int], ...]) -> list[npt.NDArray[np.float32]]:
    """Random maps with ties and some values that are not finite."""
    maps = [RNG.normal(size=(15, *size)).astype(np.float32) for size in sizes]
    for level in maps:
        level[RNG.random(level.shape) < 0.01] = RNG.choice([np.nan, np.inf, -np.inf])
        level[0] = np.round(level[0], 1)
    return maps


def dump(file: BinaryIO) -> None:
    """Writes all cases."""
    sizes = [0, 1, 7, 31, 33, 63, 96]
    for height, width, padding in itertools.product([0, 1, 7, 63], sizes, [0, 5]):
        dump_luma(file, height, width, padding)
    for height, width, edge in itertools.product([1, 2, 7, 63, 200], [1, 2, 3, 7, 63, 150], [False, True]):
        for shape in [(1, 1), (7, 63), (16, 64), (0, 5), (5, 0), (3, 130)]:
            plane = padded_rows(height, width, int(RNG.integers(0, 3)))
            dump_warp(file, plane, matrices_of(3, height, width), shape, edge)
    for threshold, overlap in itertools.product([0.0, 0.5, 0.9, 1.0], [0.0, 0.3, 1.0]):
        for level_sizes in [((0, 0), (0, 0), (0, 0)), ((7, 63), (1, 1), (0, 5)), ((16, 24), (8, 12), (4, 6))]:
            dump_decode(file, maps_of(level_sizes), threshold, overlap)


if __name__ == "__main__":
    with Path(sys.argv[1]).open("wb") as cases, np.errstate(all="ignore"):
        dump(cases)
