"""Faces cut out of the luma plane, straight into the network's own input."""

from collections.abc import Sequence

from fer_edge import ops
from fer_edge.arrays import F32, U8
from fer_edge.models import ModelSpec


def fill_from_frame(plane: U8, matrices: F32, spec: ModelSpec, out: F32) -> None:
    """Cuts N faces out of one plane: matrices [N, 2, 3] (see align), out [N, 1, S, S]."""
    # Edge pixels are repeated: a black border beside a face is an edge that no training picture has.
    ops.warp_normalize(plane, matrices, out, mean=spec.mean, scale=spec.scale, border="edge")


def fill_from_crops(planes: Sequence[U8], matrices: F32, spec: ModelSpec, out: F32) -> None:
    """Cuts one face out of each plane, which may differ in size: a matrix and a row of out for each."""
    for row, plane in enumerate(planes):
        fill_from_frame(plane, matrices[row : row + 1], spec, out[row : row + 1])
