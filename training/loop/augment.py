"""Random distortions of crops, on the tensors' own device: geometry in the matrix, light on the sampled luma.

Every number is drawn for the whole batch, of which a process keeps its share: several processes together see
what one alone would.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.crops import MEAN, SCALE


@dataclass(frozen=True, slots=True)
class Jitter:
    """Ranges of the training distortions, each with the fault of camera or detector that it stands for."""

    rotation: float = 12.0  # degrees, standard deviation: landmarks are off, crops without them tilted
    zoom: float = 0.15  # log scale, uniform to both sides: boxes and faces vary
    shift: float = 0.06  # share of the side, standard deviation
    shear: float = 0.08  # standard deviation: a slightly turned head
    unaligned: float = 0.2  # share of pictures shown whole, for crops that come without landmarks
    gamma: float = 0.5  # log, uniform: exposure
    contrast: float = 0.3  # uniform around 1
    brightness: float = 0.25  # standard deviations of luma
    noise: float = 0.12  # largest standard deviation, in those of luma
    coarse: float = 0.2  # share of pictures shown with fewer pixels: faces far away
    blur: float = 0.1  # share of pictures out of focus
    erase: float = 0.3  # share of pictures with a rectangle covered: hands, cups, masks, hair

    def times(self, strength: float) -> "Jitter":
        """All ranges and shares multiplied by ``strength``."""
        return Jitter(*(getattr(self, f.name) * strength for f in fields(self)))


class Draw:
    """Random numbers for ``count`` rows, of which those of ``share`` are kept."""

    def __init__(self, count: int, share: slice, rng: torch.Generator) -> None:
        self.count, self.share, self.rng = count, share, rng

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        drawn = torch.rand(self.count, *shape, generator=self.rng, device=self.rng.device)
        return drawn[self.share] * (high - low) + low

    def normal(self, deviation: float, *shape: int) -> Tensor:
        drawn = torch.randn(self.count, *shape, generator=self.rng, device=self.rng.device)
        return drawn[self.share] * deviation

    def chance(self, share: float) -> Tensor:
        """Bool [rows], true for about ``share`` of them."""
        return self.uniform(0, 1) < share

    def whole(self, low: int, high: int) -> int:
        """One whole number in [low, high) for the batch."""
        return int(torch.randint(low, high, (1,), generator=self.rng, device=self.rng.device))


def jittered_matrices(matrices: Tensor, whole: Tensor, size: int, jitter: Jitter, draw: Draw) -> Tensor:
    """Composes each crop's matrix [n, 2, 3] with a random similarity, shear and mirror; some crops show the
    ``whole`` picture.
    """
    unaligned = draw.chance(jitter.unaligned)
    matrices = torch.where(unaligned[:, None, None], whole, matrices)
    angle = torch.deg2rad(draw.normal(jitter.rotation))
    zoom = torch.exp(draw.uniform(-jitter.zoom, jitter.zoom))
    mirror = torch.where(draw.chance(0.5), -1.0, 1.0)
    shear, shift = draw.normal(jitter.shear), draw.normal(jitter.shift * size, 2)[:, :, None]
    c, s = zoom * angle.cos(), zoom * angle.sin()
    linear = torch.stack([torch.stack([c * mirror, shear * c - s]), torch.stack([s * mirror, shear * s + c])])
    linear = linear.permute(2, 0, 1)
    middle = torch.full((2, 1), size / 2, device=matrices.device)
    offset = middle + shift - linear @ middle
    linear, offset = matrices[:, :, :2] @ linear, matrices[:, :, :2] @ offset + matrices[:, :, 2:]
    return torch.cat([linear, offset], dim=2)


def photometric(luma: Tensor, jitter: Jitter, draw: Draw) -> Tensor:
    """Exposure, distance, focus, contrast, occlusion and sensor noise on luma [n, 1, S, S]; returns the
    network's input.
    """
    size = luma.shape[-1]
    gamma = torch.exp(draw.uniform(-jitter.gamma, jitter.gamma, 1, 1, 1))
    x = ((luma / 255).clamp(1e-4, 1).pow(gamma) * 255 - MEAN) * SCALE
    # One size and one width a batch: the rows of a batch are computed at once, and both even out over an
    # epoch.
    small, sigma = draw.whole(size // 3, size * 3 // 4), draw.whole(5, 16) / 1000 * size
    x = only(draw.chance(jitter.coarse), x, lambda rows: _coarse(rows, small))
    x = only(draw.chance(jitter.blur), x, lambda rows: _blurred(rows, sigma))
    gain = 1 + draw.uniform(-jitter.contrast, jitter.contrast, 1, 1, 1)
    x = x * gain + draw.normal(jitter.brightness, 1, 1, 1)
    x = erase(x, jitter.erase, draw)
    return x + draw.normal(1, 1, size, size) * draw.uniform(0, jitter.noise, 1, 1, 1)


def only(chosen: Tensor, x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
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


def erase(x: Tensor, share: float, draw: Draw) -> Tensor:
    """Covers a rectangle of 2 to 20 % of some pictures with a grey (Zhong et al., "Random Erasing", 2017)."""
    inside = _rectangles(draw.uniform(0.02, 0.2), x.shape[-1], draw)
    covered = inside & draw.chance(share)[:, None, None, None]
    return torch.where(covered, draw.normal(1, 1, 1, 1), x)


def mix(
    x: Tensor, targets: tuple[Tensor, ...], mixup: float, cutmix: float, draw: Draw
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Blends (Zhang et al., "mixup", 2018) or patches (Yun et al., "CutMix", 2019) pairs of neighbours.

    ``mixup`` and ``cutmix`` are shares of the pairs. Targets are mixed by the share of pixels. Neighbours are
    partners because they are in one process; rows come shuffled, so neighbours are strangers. A last row
    without a partner stays.
    """
    kind, strength = (draw.uniform(0, 1)[0::2].repeat_interleave(2)[: len(x)] for _ in range(2))
    inside = _rectangles(strength * 0.5, x.shape[-1], draw)
    partner = torch.arange(len(x), device=x.device) ^ 1
    partner = torch.where(partner < len(x), partner, partner ^ 1)
    blended, patched = kind < mixup, (kind >= mixup) & (kind < mixup + cutmix)
    # Squared, so that most blends leave one face dominant.
    weight = (blended * strength.square() * 0.5)[:, None, None, None] + (
        patched[:, None, None, None] & inside
    ).float()
    share = weight.mean((1, 2, 3))[:, None]
    mixed = tuple(t + share * (t[partner] - t) for t in targets)
    return x + weight * (x[partner] - x), mixed


def _rectangles(area: Tensor, size: int, draw: Draw) -> Tensor:
    """Bool [n, 1, size, size], true inside a rectangle of that share of the picture, at a random place."""
    ratio = torch.exp(draw.uniform(-1.1, 1.1))
    half = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp(max=1.0) * size / 2
    middle = draw.uniform(0, size, 2)
    place = torch.arange(size, device=area.device) + 0.5
    across, down = ((place - middle[:, k, None]).abs() < half[:, k, None] for k in (0, 1))
    return (down[:, :, None] & across[:, None, :])[:, None]
