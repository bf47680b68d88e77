"""Start weights of the mobile trunks from .npz files, whose arrays are in the order of computation.

Two forms are read: convolution weight and bias, with the normalization folded in, and convolution weight,
scale, shift, mean and variance. The files expect RGB of their own range; the first convolution is summed to
luma and takes over the conversion, so that grey pictures give what they gave in the file's network.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.data.crops import MEAN, SCALE
from training.loop.restore_batchnorm import measure_folded_norms
from training.models.mobile import MobileTrunk


@dataclass(frozen=True, slots=True)
class InputRange:
    """A file's network expects (RGB from 0 to 255 - mean) / deviation."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


# By variant: the human-models package, torchvision, and the EfficientNet-Lite release.
INPUT_RANGES = {
    "mobilenet-v1": InputRange((103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "mobilenet-v2": InputRange((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "efficientnet-lite0": InputRange((127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
}


def load_trunk_weights(trunk: MobileTrunk, path: Path, x: Tensor) -> None:
    """Loads all weights of a trunk from a .npz file.

    ``x`` float32 [n, 1, S, S], some hundred network inputs, restores normalizations that the file has folded.

    Raises:
        ValueError: the file is of another network.
    """
    with np.load(path) as packed:
        groups = list(_groups({name: torch.from_numpy(packed[name]).float() for name in packed.files}))
    layers = trunk.convolutions
    shapes = [list(group[0].shape) for group in groups]
    # The file's first convolution has three channels.
    wanted = [list(layer.convolution.weight.shape) for layer in layers]
    wanted[0][1] = 3
    if shapes != wanted:
        raise ValueError(
            f"{path} does not fit {trunk.variant}: convolutions {wanted[:3]}... are needed, got "
            f"{shapes[:3]}...; choose the config of the file's network"
        )
    folded = {}
    with torch.no_grad():
        for k, (layer, (weight, *rest)) in enumerate(zip(layers, groups, strict=True)):
            offset = torch.zeros(len(weight))
            if k == 0:
                weight, offset = _luma_convolution(weight, INPUT_RANGES[trunk.variant])
            layer.convolution.weight.copy_(weight)
            if len(rest) == 1:
                folded[layer.norm] = rest[0] + offset
            else:
                scale, shift, mean, variance = rest
                for target, value in zip(
                    (layer.norm.weight, layer.norm.bias, layer.norm.running_mean, layer.norm.running_var),
                    (scale, shift, mean - offset, variance),
                    strict=True,
                ):
                    target.copy_(value)
        if folded:
            measure_folded_norms(trunk, folded, x)


def _groups(arrays: dict[str, Tensor]) -> Iterator[list[Tensor]]:
    """Each convolution's weight with the arrays that follow it."""
    group: list[Tensor] = []
    for name, value in arrays.items():
        if name.endswith("num_batches_tracked"):
            continue
        if value.ndim == 4 and group:
            yield group
            group = []
        group.append(value)
    yield group


def _luma_convolution(weight: Tensor, expected: InputRange) -> tuple[Tensor, Tensor]:
    """The first convolution for the project's inputs, [C, 1, k, k], and the constant [C] that it lacks."""
    mean, deviation = torch.tensor(expected.mean), torch.tensor(expected.deviation)
    scaled = weight / deviation[:, None, None]
    constant = (scaled * (MEAN - mean)[:, None, None]).sum((1, 2, 3))
    return scaled.sum(1, keepdim=True) / SCALE, constant
