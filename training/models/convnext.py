"""ConvNeXt cut off inside its third stage (Liu et al., "A ConvNet for the 2020s", 2022), Conv-cut's trunk."""

import torch
from torch import Tensor, nn

# name -> (widths, blocks) of the three stages that are kept; the third stage of base has 27 blocks, of tiny
# 9, of atto 6 (ConvNeXt V2's table).
VARIANTS = {
    "base": ((128, 256, 512), (3, 3, 23)),
    "tiny": ((96, 192, 384), (3, 3, 8)),
    "atto": ((40, 80, 160), (2, 2, 5)),
}
# side of the input -> (kernel, stride, padding) of the stem; the trunk ends at 14 x 14, or at 7 x 7 for 56
# px, where a finer map would not show more detail.
STEMS = {56: (4, 2, 1), 112: (4, 2, 1), 224: (4, 4, 0)}


class ChannelsLast(nn.LayerNorm):
    """LayerNorm over the channels of [N, C, H, W]; exports as LayerNormalization."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Depthwise 7 x 7, LayerNorm, two pointwise layers, layer scale and residual.

    ``drop`` is the probability that a picture skips the block in training (Huang et al., "Deep Networks with
    Stochastic Depth", 2016).
    """

    def __init__(self, width: int, drop: float, layer_scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pointwise1 = nn.Linear(width, 4 * width)
        self.activation = nn.GELU()
        self.pointwise2 = nn.Linear(4 * width, width)
        self.layer_scale = nn.Parameter(torch.full((width,), layer_scale))
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.layer_scale * self.pointwise2(self.activation(self.pointwise1(y)))
        y = y.permute(0, 3, 1, 2)
        if self.training and self.drop:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            y = y * kept / (1 - self.drop)
        return x + y


class ConvNeXt(nn.Module):
    """float32 [N, channels, S, S] -> [N, C, 14, 14] with C the third width; 7 x 7 for an S of 56."""

    def __init__(
        self,
        variant: str = "base",
        size: int = 224,
        channels: int = 3,
        drop: float = 0.0,
        layer_scale: float = 1e-6,
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
        if size not in STEMS:
            raise ValueError(f"size must be one of {', '.join(map(str, STEMS))}, got {size}")
        widths, counts = VARIANTS[variant]
        kernel, stride, padding = STEMS[size]
        self.stem = nn.Sequential(
            nn.Conv2d(channels, widths[0], kernel, stride, padding), ChannelsLast(widths[0], eps=1e-6)
        )
        chances = torch.linspace(0, drop, sum(counts)).tolist()
        self.downsample, self.stages = nn.ModuleList(), nn.ModuleList()
        for k, (width, count) in enumerate(zip(widths, counts, strict=True)):
            before = widths[k - 1]
            self.downsample.append(
                nn.Sequential(ChannelsLast(before, eps=1e-6), nn.Conv2d(before, width, 2, 2))
                if k
                else nn.Identity()
            )
            self.stages.append(
                nn.Sequential(*(Block(width, chances.pop(0), layer_scale) for _ in range(count)))
            )
        self.out_channels = widths[-1]
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for downsample, stage in zip(self.downsample, self.stages, strict=True):
            x = stage(downsample(x))
        return x
