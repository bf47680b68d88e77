"""Dual Contextual Information Filtering: TKFNet's channel gate, then its spatial gate (arXiv 2505.09967)."""

import torch
from torch import Tensor, nn

from fer_edge import kernels
from training.models.folding import Folding

REDUCTION = 16  # 512 -> 32 in the paper


class Dcif(Folding):
    """float32 [N, C, H, W] -> [N, C, H, W], each channel and then each position scaled by a gate in (0,
    1).
    """

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
        x = self.channel_gated(x)
        filtered: Tensor = x * self.spatial_gate(x)
        return filtered

    def pooled(self, x: Tensor) -> Tensor:
        """The filtered map's mean over space, [N, C]."""
        if self.kernels == "reference":
            return self(x).mean((2, 3))
        if self.training:
            # Batch statistics depend on all images of the batch, so the channel gate stays in PyTorch.
            gate = self.channel(x.mean((2, 3)))
            return kernels.filter_and_pool(x, gate, self.spatial[0].weight[0], kernels=self.kernels)
        return kernels.dcif(x, self.folded(), kernels=self.kernels)

    def fold(self) -> tuple[Tensor, ...]:
        """Weights of `fer_edge.kernels.dcif`."""
        squeeze, norm, _, expand, _ = self.channel
        return kernels.fold_dcif(squeeze, norm, expand, self.spatial[0].weight)

    def channel_gated(self, x: Tensor) -> Tensor:
        """The map scaled by the channel gate."""
        scaled: Tensor = x * self.channel(x.mean((2, 3)))[:, :, None, None]
        return scaled

    def spatial_gate(self, x: Tensor) -> Tensor:
        """The spatial gate [N, 1, H, W] of a map that the channel gate has scaled."""
        gate: Tensor = self.spatial(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1))
        return gate
