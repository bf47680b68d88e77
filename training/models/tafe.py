"""Texture-Aware Feature Extractor: TKFNet's multi-branch attention (arXiv 2505.09967).

The paper says "mean over space", the released code reads one pixel; this is the mean. The paper concatenates
the branches, the released code adds them; adding is the default.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from fer_edge import kernels
from training.models.folding import Folding

Branches = Literal["both", "modulation", "local", "none"]
Fusion = Literal["add", "concatenate"]


class Tafe(Folding):
    """float32 [N, C, H, W] -> [N, C, H, W]; no residual and no normalisation, as published.

    ``branches`` leaves one branch out, for ablations; "none" is not possible here.
    """

    def __init__(self, channels: int, branches: Branches = "both", fusion: Fusion = "add") -> None:
        super().__init__()
        for name, value, known in (
            ("tafe", branches, get_args(Branches)),
            ("fusion", fusion, get_args(Fusion)),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        wide, count = 2 * channels, 2 if branches == "both" else 1
        self.branches, self.fusion = branches, fusion
        self.split = nn.Conv2d(channels, count * channels, 1)
        if branches != "local":
            self.alpha = nn.Parameter(torch.ones(1, channels, 1, 1))
            self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
            self.texture = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.GELU())
        if branches != "modulation":
            self.local = nn.Sequential(
                nn.Conv2d(channels, wide, 3, padding=1, groups=channels),
                nn.Conv2d(wide, wide, 1),
                nn.GELU(),
                nn.Conv2d(wide, channels, 1),
            )
        merged = count * channels if fusion == "concatenate" else channels
        self.merge = nn.Conv2d(merged, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.kernels != "reference":
            return kernels.multi_branch_attention(self.split(x), self.folded(), kernels=self.kernels)
        parts = list(self.split(x).chunk(2, dim=1)) if self.branches == "both" else [self.split(x)]
        outputs = []
        if self.branches != "local":
            outputs.append(self.modulated(parts.pop()))
        if self.branches != "modulation":
            outputs.append(self.local(parts.pop()))
        joined = torch.cat(outputs, dim=1) if self.fusion == "concatenate" else sum(outputs[1:], outputs[0])
        merged: Tensor = self.merge(joined)
        return merged

    def modulated(self, x: Tensor) -> Tensor:
        """Branch 1: each channel scaled by a function of its mean and variance over space."""
        mean = x.mean((2, 3), keepdim=True)
        variance = (x - mean).square().mean((2, 3), keepdim=True)
        return x * self.texture(self.alpha * mean + self.beta * variance)

    def fold(self) -> tuple[Tensor, ...]:
        """Weights of `fer_edge.kernels.multi_branch_attention`, which needs both branches.

        Raises ValueError for an ablation.
        """
        if self.branches != "both":
            raise ValueError(
                f"kernels={self.kernels!r} needs tafe='both', got {self.branches!r}; use reference"
            )
        texture, (depthwise, pointwise, _, project) = self.texture[0], self.local
        return kernels.fold_multi_branch(
            kernels.MultiBranchWeights(
                self.alpha.flatten(),
                self.beta.flatten(),
                texture.weight.flatten(1),
                texture.bias,
                depthwise.weight[:, 0],
                depthwise.bias,
                pointwise.weight.flatten(1),
                pointwise.bias,
                project.weight.flatten(1),
                project.bias,
                self.merge.weight.flatten(1),
                self.merge.bias,
            )
        )
