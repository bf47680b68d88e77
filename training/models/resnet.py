"""ResNet without pooling and classifier (He et al., "Deep Residual Learning for Image Recognition", 2016).

Names and shapes of the weights are torchvision's, so that ImageNet or face-recognition weights can be loaded.
Only the first convolution differs, for luma and small pictures.
"""

from torch import Tensor, nn
from torch.nn import functional as F

# depth -> (kernels of a block, blocks of the four stages)
VARIANTS = {
    18: ((3, 3), (2, 2, 2, 2)),
    34: ((3, 3), (3, 4, 6, 3)),
    50: ((1, 3, 1), (3, 4, 6, 3)),
}
BOTTLENECK = 4  # widening of the last convolution of a three-convolution block
MAP_SIDE = 7  # positions a side where the trunk ends
# side of the input -> (kernel, stride, max-pooling) of a stem with which the trunk ends at MAP_SIDE
STEMS = {56: (3, 1, False), 112: (7, 2, False), 224: (7, 2, True)}


class Block(nn.Module):
    """Two or three convolutions and a shortcut; the 3 x 3 convolution has the stride, as in torchvision.

    The last normalisation starts at zero (Goyal et al. 2017), so that the block starts as the identity.
    """

    def __init__(self, c_in: int, width: int, stride: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.count = len(kernels)
        c_out = width * (BOTTLENECK if self.count == 3 else 1)
        at, strided = c_in, False
        for k, kernel in enumerate(kernels, start=1):
            to = c_out if k == self.count else width
            step = stride if kernel == 3 and not strided else 1
            strided |= kernel == 3
            self.add_module(f"conv{k}", nn.Conv2d(at, to, kernel, step, kernel // 2, bias=False))
            self.add_module(f"bn{k}", nn.BatchNorm2d(to))
            at = to
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out)
            )
        nn.init.zeros_(self.get_submodule(f"bn{self.count}").weight)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.downsample(x)
        for k in range(1, self.count + 1):
            x = self.get_submodule(f"bn{k}")(self.get_submodule(f"conv{k}")(x))
            x = x + shortcut if k == self.count else x
            x = self.relu(x)
        return x


class ResNet(nn.Module):
    """float32 [N, channels, S, S] -> [N, C, 7, 7], C = 512 (ResNet-50: 2048) at the paper's width of 64.

    ``size`` is S. The stems of STEMS end at 7 x 7; a picture of another size from 56 to 224 is first enlarged
    to the next of these sizes, since no integer stride fits it.
    """

    def __init__(self, depth: int = 18, size: int = 224, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        if depth not in VARIANTS:
            raise ValueError(f"depth must be one of {', '.join(map(str, VARIANTS))}, got {depth}")
        if not min(STEMS) <= size <= max(STEMS):
            raise ValueError(f"size must be from {min(STEMS)} to {max(STEMS)} px, got {size}")
        stem = min(side for side in STEMS if side >= size)
        self.enlarged = 0 if size == stem else stem
        kernel, stride, pooled = STEMS[stem]
        self.conv1 = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.MaxPool2d(3, 2, 1) if pooled else nn.Identity()
        kernels, counts = VARIANTS[depth]
        at = width
        for k, count in enumerate(counts):
            blocks, wide = [], width << k
            for index in range(count):
                blocks.append(Block(at, wide, 2 if k and not index else 1, kernels))
                at = wide * (BOTTLENECK if len(kernels) == 3 else 1)
            self.add_module(f"layer{k + 1}", nn.Sequential(*blocks))
        self.out_channels = at
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        if self.enlarged:
            x = F.interpolate(x, (self.enlarged, self.enlarged), mode="bilinear", align_corners=False)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for k in range(1, 5):
            x = self.get_submodule(f"layer{k}")(x)
        return x
