"""face-luma: a one-stage, anchor-free face detector for one channel of luma.

From the YuNet family (W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023):
depthwise separable units, a feature pyramid with nearest-neighbour upsampling, three strides, box, five
landmarks and score for each cell. The differences make it faster on a CPU. It has one input channel. Its
first two convolutions are dense and reduce the side to a quarter: dense 3x3 convolutions reach the arithmetic
peak, depthwise ones are limited by memory, which matters most on large maps. One 15-channel convolution a
level replaces four heads. The graph has no sigmoid, so that the decoder reads one score plane and then only
the few cells above the threshold.
"""

from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (8, 16, 32)
CHANNELS = 15  # score logit, dx, dy, log w, log h, five landmarks (x, y)
# A prior of one face in a hundred cells, so that background does not dominate the first steps (Lin et al.
# 2017, section 4.1).
_SCORE_BIAS = -4.6


def _dense(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)
    )


def _separable(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    """Pointwise, then depthwise convolution, with one normalisation and one activation: YuNet's unit."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 1, bias=False),
        nn.Conv2d(c_out, c_out, 3, stride, 1, groups=c_out, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    """Two separable units with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_separable(channels, channels), _separable(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class FaceLuma(nn.Module):
    """Luma to three maps of raw predictions.

    Input: float32 [N, 1, H, W], H and W multiples of 32, (luma - mean) * scale of the model's spec.
    Output: three float32 [N, 15, H/s, W/s] for s = 8, 16, 32. Channel 0 is the score's logit; 1, 2 the offset
    of the box centre from the cell centre and 5..14 those of the landmarks, in strides; 3, 4 the log of width
    and height in strides.
    """

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 64, 64), neck: int = 48) -> None:
        super().__init__()
        stem, c4, c8, c16 = widths
        self.stem = nn.Sequential(_dense(1, stem, 2), _dense(stem, c4, 2))
        self.stage8 = nn.Sequential(_dense(c4, c8, 2), _Residual(c8), _Residual(c8))
        self.stage16 = nn.Sequential(_separable(c8, c16, 2), _Residual(c16))
        self.stage32 = nn.Sequential(_separable(c16, c16, 2), _Residual(c16))
        self.lateral = nn.ModuleList(nn.Conv2d(c, neck, 1) for c in (c8, c16, c16))
        self.smooth = nn.ModuleList(_separable(neck, neck) for _ in STRIDES)
        self.tower = nn.ModuleList(_separable(neck, neck) for _ in STRIDES)
        self.head = nn.ModuleList(nn.Conv2d(neck, CHANNELS, 3, padding=1) for _ in STRIDES)
        for layer in self.head:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
            layer.bias.data[0] = _SCORE_BIAS

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p8 = self.stage8(self.stem(x))
        p16 = self.stage16(p8)
        p32 = self.stage32(p16)
        f32 = self.smooth[2](self.lateral[2](p32))
        f16 = self.smooth[1](self.lateral[1](p16) + F.interpolate(f32, scale_factor=2.0, mode="nearest"))
        f8 = self.smooth[0](self.lateral[0](p8) + F.interpolate(f16, scale_factor=2.0, mode="nearest"))
        return tuple(
            head(tower(f)) for head, tower, f in zip(self.head, self.tower, (f8, f16, f32), strict=True)
        )
