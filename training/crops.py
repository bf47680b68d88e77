"""Batches of network inputs from pictures: the runtime's crop, and its jittered cousins for training.

One bilinear sample a pixel, taken through the composed matrix, in the runtime's half-pixel convention
(``fer_edge.ops.reference``): jitter, alignment and resizing cost no more sharpness in training than in use.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fer_edge.align import matrices_from_boxes, matrices_from_landmarks
from training.ferplus import SIDE, Split

# Where the five landmarks come to lie, as shares of the crop's side: the median over FER+ pictures, made
# symmetric, so that aligned crops show as much face as the pictures do and little beyond their borders.
TEMPLATE = ((0.317, 0.389), (0.683, 0.389), (0.5, 0.594), (0.345, 0.758), (0.655, 0.758))
MEAN, SCALE = 129.0, 1 / 64.0  # mean and standard deviation of FER2013's luma, rounded


@dataclass(frozen=True, slots=True)
class Jitter:
    """Ranges of the training distortions, each with the fault of camera or detector that it stands for."""

    rotation: float = 10.0  # degrees, standard deviation: landmarks are off, crops without them tilted
    zoom: float = 0.15  # log scale, uniform to both sides: boxes and faces vary
    shift: float = 0.06  # share of the side, standard deviation
    shear: float = 0.08  # standard deviation: a slightly turned head
    unaligned: float = 0.2  # share of pictures shown whole, for crops that come without landmarks
    gamma: float = 0.5  # log, uniform: exposure
    contrast: float = 0.3  # uniform around 1
    brightness: float = 0.25  # standard deviations of luma
    noise: float = 0.12  # largest standard deviation, in those of luma
    coarse: float = 0.12  # share of pictures shown with fewer pixels: faces far away
    erase: float = 0.3  # share of pictures with a rectangle covered: hands, cups, masks, hair

    def times(self, strength: float) -> "Jitter":
        """All ranges and shares multiplied by ``strength``."""
        return Jitter(*(getattr(self, f.name) * strength for f in fields(self)))


def crop_matrices(split: Split, size: int, aligned: bool = True) -> NDArray[np.float32]:
    """f32 [n, 2, 3] from crop to picture: by the landmarks where they are known, else the whole picture."""
    box = np.array([[0, 0, SIDE, SIDE]], np.float32)
    matrices = np.repeat(matrices_from_boxes(box, size), len(split), axis=0)
    if aligned:
        found = split.found
        matrices[found] = matrices_from_landmarks(
            split.landmarks[found], np.array(TEMPLATE, np.float32), size
        )
    return matrices


def sample(images: Tensor, matrices: Tensor, size: int) -> Tensor:
    """u8 [n, H, W] through f32 [n, 2, 3] (continuous crop to picture pixels) to luma float32 [n, 1, size,
    size].
    """
    height, width = images.shape[1:]
    # grid_sample wants both ends in [-1, 1], where -1 and 1 are the outer edges of the border pixels.
    to_unit = torch.tensor([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]])
    from_unit = torch.tensor([[size / 2, 0, size / 2], [0, size / 2, size / 2], [0, 0, 1]])
    full = torch.cat([matrices, torch.tensor([0.0, 0, 1]).expand(len(matrices), 1, 3)], dim=1)
    theta = (to_unit @ full @ from_unit)[:, :2]
    grid = F.affine_grid(theta, [len(images), 1, size, size], align_corners=False)
    return F.grid_sample(images[:, None].float(), grid, padding_mode="border", align_corners=False)


def jittered_matrices(
    matrices: Tensor, whole: Tensor, size: int, jitter: Jitter, rng: torch.Generator
) -> Tensor:
    """Composes each crop's matrix with a random similarity, shear and mirror; some crops show the ``whole``
    picture.
    """
    n = len(matrices)

    def normal(deviation: float) -> Tensor:
        return torch.randn(n, generator=rng) * deviation

    def uniform(half: float) -> Tensor:
        return (torch.rand(n, generator=rng) * 2 - 1) * half

    unaligned = torch.rand(n, generator=rng) < jitter.unaligned
    matrices = torch.where(unaligned[:, None, None], whole, matrices)
    angle, zoom = torch.deg2rad(normal(jitter.rotation)), torch.exp(uniform(jitter.zoom))
    mirror = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    c, s, shear = zoom * angle.cos(), zoom * angle.sin(), normal(jitter.shear)
    linear = torch.stack([torch.stack([c * mirror, shear * c - s]), torch.stack([s * mirror, shear * s + c])])
    linear = linear.permute(2, 0, 1)
    middle = torch.full((2, 1), size / 2)
    shift = torch.stack([normal(jitter.shift), normal(jitter.shift)], dim=1)[:, :, None] * size
    offset = middle + shift - linear @ middle
    linear, offset = matrices[:, :, :2] @ linear, matrices[:, :, :2] @ offset + matrices[:, :, 2:]
    return torch.cat([linear, offset], dim=2)


def photometric(luma: Tensor, jitter: Jitter, rng: torch.Generator) -> Tensor:
    """Exposure, contrast, distance, occlusion and sensor noise on luma [n, 1, S, S]; returns the network's
    input.
    """
    n, size = len(luma), luma.shape[-1]

    def column(values: Tensor) -> Tensor:
        return values[:, None, None, None]

    gamma = torch.exp((torch.rand(n, generator=rng) * 2 - 1) * jitter.gamma)
    x = (luma / 255).clamp(1e-4, 1).pow(column(gamma)) * 255
    x = (x - MEAN) * SCALE
    coarse = torch.rand(n, generator=rng) < jitter.coarse
    if coarse.any():
        # One size a batch: a batch is resized at once, and sizes even out over an epoch.
        small = int(torch.randint(size // 3, size * 3 // 4, (1,), generator=rng))
        reduced = F.interpolate(
            x[coarse], (small, small), mode="bilinear", antialias=True, align_corners=False
        )
        x[coarse] = F.interpolate(reduced, (size, size), mode="bilinear", align_corners=False)
    gain = 1 + (torch.rand(n, generator=rng) * 2 - 1) * jitter.contrast
    x = x * column(gain) + column(torch.randn(n, generator=rng) * jitter.brightness)
    x = erase(x, jitter.erase, rng)
    return x + torch.randn(x.shape, generator=rng) * column(torch.rand(n, generator=rng) * jitter.noise)


def erase(x: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Covers a rectangle of 2 to 20 % of some pictures with a grey (Zhong et al., "Random Erasing", 2017)."""
    n, size = len(x), x.shape[-1]
    area = torch.rand(n, generator=rng) * 0.18 + 0.02
    ratio = torch.exp((torch.rand(n, generator=rng) * 2 - 1) * 1.1)
    half = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp(max=1.0) * size / 2
    middle = torch.rand(n, 2, generator=rng) * size
    place = torch.arange(size) + 0.5
    inside = [(place - middle[:, k, None]).abs() < half[:, k, None] for k in (0, 1)]
    covered = inside[1][:, :, None] & inside[0][:, None, :]
    covered &= (torch.rand(n, generator=rng) < share)[:, None, None]
    grey = torch.randn(n, 1, 1, 1, generator=rng)
    return torch.where(covered[:, None], grey, x)
