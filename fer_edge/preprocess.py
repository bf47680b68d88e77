"""Samples faces from the luma plane directly into the input of the network."""

from collections.abc import Sequence

from fer_edge import ops
from fer_edge.arrays import F32, U8
from fer_edge.models import ModelSpec


def fill_from_frame(plane: U8, matrices: F32, spec: ModelSpec, out: F32) -> None:
    """Samples N faces from one plane: matrices [N, 2, 3] (see align), out [N, 1, S, S]."""
    # Edge pixels are repeated, because a black border next to a face would be an edge unlike the training
    # data.
    ops.warp_normalize(plane, matrices, out, mean=spec.mean, scale=spec.scale, border="edge")


def fill_from_crops(planes: Sequence[U8], matrices: F32, spec: ModelSpec, out: F32) -> None:
    """Samples one face from each plane, with one matrix and one row of out; planes may differ in size."""
    for row, plane in enumerate(planes):
        fill_from_frame(plane, matrices[row : row + 1], spec, out[row : row + 1])
