"""Texture-Aware Feature Extractor: TKFNet's multi-branch attention (arXiv 2505.09967).

The released code reads one pixel where the paper says "mean over space"; this is the mean. Branches are
added, as in the released code.
"""

import torch
from torch import Tensor, nn


class Tafe(nn.Module):
    """float32 [N, C, H, W] -> [N, C, H, W]; no residual and no normalisation, as published."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.split = nn.Conv2d(channels, wide, 1)
        self.alpha = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.texture = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.GELU())
        self.local = nn.Sequential(
            nn.Conv2d(channels, wide, 3, padding=1, groups=channels),
            nn.Conv2d(wide, wide, 1),
            nn.GELU(),
            nn.Conv2d(wide, channels, 1),
        )
        self.merge = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y, x = self.split(x).chunk(2, dim=1)
        mean = x.mean((2, 3), keepdim=True)
        variance = (x - mean).square().mean((2, 3), keepdim=True)
        scale = self.texture(self.alpha * mean + self.beta * variance)
        merged: Tensor = self.merge(x * scale + self.local(y))
        return merged
