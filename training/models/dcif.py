"""Dual Contextual Information Filtering: TKFNet's channel gate, then its spatial gate (arXiv 2505.09967)."""

import torch
from torch import Tensor, nn

REDUCTION = 16  # 512 -> 32 in the paper


class Dcif(nn.Module):
    """float32 [N, C, H, W] -> [N, C, H, W], each channel and then each place scaled by a gate in (0, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // REDUCTION
        self.channel = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, channels),
            nn.Sigmoid(),
        )
        self.spatial = nn.Sequential(nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        x = self.gated(x)
        filtered: Tensor = x * self.places(x)
        return filtered

    def gated(self, x: Tensor) -> Tensor:
        """The map scaled by the channel gate."""
        scaled: Tensor = x * self.channel(x.mean((2, 3)))[:, :, None, None]
        return scaled

    def places(self, x: Tensor) -> Tensor:
        """The spatial gate [N, 1, H, W] of a map that the channel gate has scaled."""
        gate: Tensor = self.spatial(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1))
        return gate
