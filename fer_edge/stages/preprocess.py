"""Samples faces from the luma plane directly into the input of the network, and corrects their exposure."""

from collections.abc import Sequence

import numpy as np

from fer_edge import ops
from fer_edge.arrays import F32, U8
from fer_edge.backends.base import Backend, Plane, Sampling
from fer_edge.models import ModelSpec

# Crops of a smaller standard deviation, in grey levels, are stretched to EXPOSED around EXPOSED_MEAN; below
# MIN_STRETCHED there is nothing but rounding.
FLAT, EXPOSED, EXPOSED_MEAN, MIN_STRETCHED = 20.0, 50.0, 129.0, 1.0


def sample_from_frame(network: Backend, plane: Plane, matrices: F32, spec: ModelSpec) -> F32:
    """Samples N faces from the plane of one frame: matrices [N, 2, 3] (see align), result [N, 1, S, S]."""
    # Edge pixels are repeated, because a black border next to a face would be an edge unlike the training
    # data.
    network.sample(plane, matrices, (spec.size, spec.size), Sampling(spec.mean, spec.scale, "edge"))
    return network.sampled()


def sample_from_crops(network: Backend, planes: Sequence[U8], matrices: F32, spec: ModelSpec) -> F32:
    """Samples one face from each plane, with one matrix for each; planes may differ in size."""
    out = network.reserve((len(planes), 1, spec.size, spec.size))
    fill_from_crops(planes, matrices, spec, out)
    return out


def fill_from_frame(plane: U8, matrices: F32, spec: ModelSpec, out: F32) -> None:
    """As `sample_from_frame`, into out [N, 1, S, S], on the CPU."""
    ops.warp_normalize(plane, matrices, out, mean=spec.mean, scale=spec.scale, border="edge")


def fill_from_crops(planes: Sequence[U8], matrices: F32, spec: ModelSpec, out: F32) -> None:
    """As `sample_from_crops`, into out [N, 1, S, S]."""
    for row, plane in enumerate(planes):
        fill_from_frame(plane, matrices[row : row + 1], spec, out[row : row + 1])


def correct_exposure(crops: F32, contrast: F32, spec: ModelSpec) -> bool:
    """Stretches crops of little contrast, in place, to the mean and deviation of the training pictures.

    Training does the same (training.data.crops). Without this, very dark faces get confident wrong labels.

    Args:
        crops: [N, 1, S, S], (luma - mean) * scale; clipped at black and white where stretched.
        contrast: [N], standard deviation of each crop in grey levels, see abstain.measure.
        spec: of the model, with mean and scale.

    Returns:
        Whether a crop was changed.
    """
    middle, *ends = ((level - spec.mean) * spec.scale for level in (EXPOSED_MEAN, 0, 255))
    rows = np.flatnonzero((contrast < FLAT) & (contrast >= MIN_STRETCHED))
    for row in rows:
        crop = crops[row]
        crop -= crop.mean()
        crop *= np.float32(EXPOSED / contrast[row])
        crop += np.float32(middle)
        np.clip(crop, min(ends), max(ends), out=crop)
    return len(rows) > 0
