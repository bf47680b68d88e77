"""Random distortions of crops: geometry in the crop's matrix, the rest on the sampled luma.

They run on the device of the tensors. Random numbers are drawn for the whole batch, of which each process
keeps its rows, so that several processes together see what a single one would see.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.crops import MEAN, SCALE, correct_exposure


@dataclass(frozen=True, slots=True)
class AugmentRanges:
    """Ranges of the training distortions; each comment says what the distortion stands for."""

    rotation: float = 12.0  # degrees, standard deviation: inexact landmarks, tilted crops without landmarks
    zoom: float = 0.15  # log scale, uniform: boxes and faces vary in size
    shift: float = 0.06  # share of the side, standard deviation: inexact boxes
    shear: float = 0.08  # standard deviation: a slightly turned head
    unaligned: float = 0.2  # share of pictures shown whole, as crops without landmarks are
    gamma: float = 0.5  # log, uniform: exposure
    contrast: float = 0.3  # uniform around 1
    brightness: float = 0.25  # standard deviations of luma
    noise: float = 0.12  # largest standard deviation, relative to that of luma
    coarse: float = 0.2  # share of pictures shown with fewer pixels: distant faces
    blur: float = 0.1  # share of pictures out of focus
    erase: float = 0.3  # share of pictures with a rectangle covered: hands, cups, masks, hair
    rolled: float = 0.04  # share turned by any angle: a lying person whose landmarks were found upright
    exposure: float = 0.08  # share that is very dark, overexposed or flat, then corrected as in the runtime
    cover: float = 0.15  # share with the mouth or the eyes covered: masks, scarves, hands, sunglasses

    def scaled(self, strength: float) -> "AugmentRanges":
        """All ranges and shares multiplied by ``strength``."""
        return AugmentRanges(*(getattr(self, f.name) * strength for f in fields(self)))


class BatchRng:
    """Random numbers for a batch of ``count`` rows; only those of the rows ``share`` are returned."""

    def __init__(self, count: int, share: slice, generator: torch.Generator) -> None:
        self.count, self.share, self.generator = count, share, generator

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        drawn = torch.rand(self.count, *shape, generator=self.generator, device=self.generator.device)
        return drawn[self.share] * (high - low) + low

    def normal(self, deviation: float, *shape: int) -> Tensor:
        drawn = torch.randn(self.count, *shape, generator=self.generator, device=self.generator.device)
        return drawn[self.share] * deviation

    def bernoulli(self, share: float) -> Tensor:
        """Bool [rows], True with this probability."""
        return self.uniform(0, 1) < share

    def integer(self, low: int, high: int) -> int:
        """One integer in [low, high) for the whole batch."""
        return int(torch.randint(low, high, (1,), generator=self.generator, device=self.generator.device))


def random_matrices(
    matrices: Tensor, whole: Tensor, size: int, ranges: AugmentRanges, rng: BatchRng
) -> Tensor:
    """Composes each crop's matrix [n, 2, 3] with a random similarity, shear and mirror; for some crops, the
    matrix ``whole`` of the whole picture takes its place.
    """
    unaligned = rng.bernoulli(ranges.unaligned)
    matrices = torch.where(unaligned[:, None, None], whole, matrices)
    angle = torch.deg2rad(
        torch.where(rng.bernoulli(ranges.rolled), rng.uniform(-180, 180), rng.normal(ranges.rotation))
    )
    zoom = torch.exp(rng.uniform(-ranges.zoom, ranges.zoom))
    mirror = torch.where(rng.bernoulli(0.5), -1.0, 1.0)
    shear, shift = rng.normal(ranges.shear), rng.normal(ranges.shift * size, 2)[:, :, None]
    c, s = zoom * angle.cos(), zoom * angle.sin()
    linear = torch.stack([torch.stack([c * mirror, shear * c - s]), torch.stack([s * mirror, shear * s + c])])
    linear = linear.permute(2, 0, 1)
    middle = torch.full((2, 1), size / 2, device=matrices.device)
    offset = middle + shift - linear @ middle
    linear, offset = matrices[:, :, :2] @ linear, matrices[:, :, :2] @ offset + matrices[:, :, 2:]
    return torch.cat([linear, offset], dim=2)


def photometric(luma: Tensor, ranges: AugmentRanges, rng: BatchRng) -> Tensor:
    """Changes exposure, resolution, focus, contrast, occlusion and sensor noise of luma [n, 1, S, S]; returns
    the network's input.
    """
    size = luma.shape[-1]
    gamma = torch.exp(rng.uniform(-ranges.gamma, ranges.gamma, 1, 1, 1))
    luma = (luma / 255).clamp(1e-4, 1).pow(gamma) * 255
    badly = rng.bernoulli(ranges.exposure)[:, None, None, None]
    luma = torch.where(badly, badly_exposed(luma, rng), luma)
    x = (correct_exposure(luma) - MEAN) * SCALE
    # One size and one blur for the batch, so that its rows are computed at once; over an epoch this averages
    # out.
    small, sigma = rng.integer(size // 3, size * 3 // 4), rng.integer(5, 16) / 1000 * size
    x = apply_where(rng.bernoulli(ranges.coarse), x, lambda rows: _coarse(rows, small))
    x = apply_where(rng.bernoulli(ranges.blur), x, lambda rows: _blurred(rows, sigma))
    gain = 1 + rng.uniform(-ranges.contrast, ranges.contrast, 1, 1, 1)
    x = x * gain + rng.normal(ranges.brightness, 1, 1, 1)
    x = cover_feature(erase(x, ranges.erase, rng), ranges.cover, rng)
    return x + rng.normal(1, 1, size, size) * rng.uniform(0, ranges.noise, 1, 1, 1)


def apply_where(chosen: Tensor, x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Applies a change to the chosen rows."""
    if chosen.any():
        x = x.clone()
        x[chosen] = change(x[chosen])
    return x


def _coarse(x: Tensor, side: int) -> Tensor:
    small = F.interpolate(x, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, x.shape[2:], mode="bilinear", align_corners=False)


def _blurred(x: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(2 * sigma))
    place = torch.arange(-reach, reach + 1, device=x.device)
    kernel = torch.exp(-place.square() / (2 * sigma * sigma))
    kernel = (kernel / kernel.sum())[None, None, None]
    x = F.conv2d(F.pad(x, (reach, reach, reach, reach), mode="replicate"), kernel)
    return F.conv2d(x, kernel.transpose(2, 3))


def erase(x: Tensor, share: float, rng: BatchRng) -> Tensor:
    """Covers 2 to 20 % of some pictures with a grey rectangle (Zhong et al., "Random Erasing", 2017)."""
    inside = _rectangles(rng.uniform(0.02, 0.2), x.shape[-1], rng)
    covered = inside & rng.bernoulli(share)[:, None, None, None]
    return torch.where(covered, rng.normal(1, 1, 1, 1), x)


def badly_exposed(luma: Tensor, rng: BatchRng) -> Tensor:
    """Luma [n, 1, S, S] as a camera gives it in the dark, against the light, or through fog: rounded to whole
    grey levels, and clipped at white.
    """
    factor = torch.exp(rng.uniform(-2.3, 1.2, 1, 1, 1))
    contrast = torch.where(rng.bernoulli(0.3)[:, None, None, None], rng.uniform(0.1, 0.5, 1, 1, 1), 1.0)
    level = rng.uniform(60, 200, 1, 1, 1)
    flat = (luma - luma.mean((1, 2, 3), keepdim=True)) * contrast + level
    return torch.where(contrast < 1, flat, luma * factor).round().clamp(0, 255)


def cover_feature(x: Tensor, share: float, rng: BatchRng) -> Tensor:
    """Covers the mouth or the eyes of some crops from side to side, with a grey gradient or with the same
    place of another crop, upside down.

    The heights are those of the landmark template: eyes at 0.39, mouth at 0.76 of the side.
    """
    size = x.shape[-1]
    mouth = rng.bernoulli(0.6)
    top = torch.where(mouth, rng.uniform(0.5, 0.68), rng.uniform(0.18, 0.32)) * size
    bottom = torch.where(mouth, rng.uniform(0.86, 1.1), rng.uniform(0.44, 0.54)) * size
    left, right = rng.uniform(-0.1, 0.25) * size, rng.uniform(0.75, 1.1) * size
    place = torch.arange(size, device=x.device) + 0.5
    down = (place > top[:, None]) & (place < bottom[:, None])
    across = (place > left[:, None]) & (place < right[:, None])
    inside = (down[:, :, None] & across[:, None, :])[:, None] & rng.bernoulli(share)[:, None, None, None]
    slope = (place / size - 0.5)[:, None] * rng.normal(1.0, 1, 1, 1)
    plain = rng.normal(1, 1, 1, 1) + slope
    fill = torch.where(rng.bernoulli(0.6)[:, None, None, None], plain, x[_neighbours(x)].flip(2))
    return torch.where(inside, fill, x)


def mix(
    x: Tensor, targets: tuple[Tensor, ...], mixup: float, cutmix: float, rng: BatchRng
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Blends (Zhang et al., "mixup", 2018) or patches (Yun et al., "CutMix", 2019) pairs of neighbouring
    rows.

    ``mixup`` and ``cutmix`` are shares of the pairs. Targets are mixed by the share of pixels. Neighbouring
    rows are partners because they are in the same process; the order of the rows is random. The last row of
    an odd number stays as it is.
    """
    kind, strength = (rng.uniform(0, 1)[0::2].repeat_interleave(2)[: len(x)] for _ in range(2))
    inside = _rectangles(strength * 0.5, x.shape[-1], rng)
    partner = _neighbours(x)
    blended, patched = kind < mixup, (kind >= mixup) & (kind < mixup + cutmix)
    # Squared, so that in most blends one face dominates.
    weight = (blended * strength.square() * 0.5)[:, None, None, None] + (
        patched[:, None, None, None] & inside
    ).float()
    share = weight.mean((1, 2, 3))[:, None]
    mixed = tuple(t + share * (t[partner] - t) for t in targets)
    return x + weight * (x[partner] - x), mixed


def _neighbours(x: Tensor) -> Tensor:
    """The index of each row's partner: rows 0 and 1, 2 and 3, ...; the last of an odd number is its own."""
    partner = torch.arange(len(x), device=x.device) ^ 1
    return torch.where(partner < len(x), partner, partner ^ 1)


def _rectangles(area: Tensor, size: int, rng: BatchRng) -> Tensor:
    """Bool [n, 1, size, size], True inside a rectangle of that share of the picture, at a random position."""
    ratio = torch.exp(rng.uniform(-1.1, 1.1))
    half = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp(max=1.0) * size / 2
    middle = rng.uniform(0, size, 2)
    place = torch.arange(size, device=area.device) + 0.5
    across, down = ((place - middle[:, k, None]).abs() < half[:, k, None] for k in (0, 1))
    return (down[:, :, None] & across[:, None, :])[:, None]
