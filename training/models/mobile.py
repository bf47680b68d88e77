"""Mobile trunks with pre-trained weights, to start teachers from, and their classifier.

MobileNetV1 (Howard et al., 2017), MobileNetV2 (Sandler et al., 2018), EfficientNet-Lite0 (Tan and Le, 2019;
without squeeze-and-excitation and with ReLU6). All three are sequences of convolution, batch normalization
and, except at the end of an inverted residual, ReLU6, so one description builds them: the weights of a file
are assigned in this order. `training.loop.trunk_weights` reads the files.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from training.data.split import LABELS


@dataclass(frozen=True, slots=True)
class Stage:
    """``count`` blocks that end at ``width`` channels; the first block has the stride.

    ``expansion`` 0 is a depthwise separable block (MobileNetV1), any other an inverted residual.
    """

    expansion: int
    width: int
    count: int
    stride: int
    kernel: int = 3


@dataclass(frozen=True, slots=True)
class Variant:
    """A trunk: a 3 x 3 convolution of stride 2 to ``stem`` channels, the stages, a pointwise convolution to
    ``last`` channels (0: none). ``same``: padding as in TensorFlow, where a stride of 2 pads right and below.
    """

    stem: int
    stages: tuple[Stage, ...]
    last: int
    same: bool = False


VARIANTS = {
    "mobilenet-v1": Variant(
        32,
        (
            Stage(0, 64, 1, 1),
            Stage(0, 128, 2, 2),
            Stage(0, 256, 2, 2),
            Stage(0, 512, 6, 2),
            Stage(0, 1024, 2, 2),
        ),
        last=0,
        same=True,
    ),
    "mobilenet-v2": Variant(
        32,
        (
            Stage(1, 16, 1, 1),
            Stage(6, 24, 2, 2),
            Stage(6, 32, 3, 2),
            Stage(6, 64, 4, 2),
            Stage(6, 96, 3, 1),
            Stage(6, 160, 3, 2),
            Stage(6, 320, 1, 1),
        ),
        last=1280,
    ),
    "efficientnet-lite0": Variant(
        32,
        (
            Stage(1, 16, 1, 1),
            Stage(6, 24, 2, 2),
            Stage(6, 40, 2, 2, kernel=5),
            Stage(6, 80, 3, 2),
            Stage(6, 112, 3, 1, kernel=5),
            Stage(6, 192, 4, 2, kernel=5),
            Stage(6, 320, 1, 1),
        ),
        last=1280,
    ),
}


class SamePadding(nn.Module):
    """TensorFlow's "SAME" before a 3 x 3 convolution of stride 2: right and below; all sides of odd maps."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (x.shape[3] % 2, 1, x.shape[2] % 2, 1))


class ConvNorm(nn.Sequential):
    """Convolution, batch normalization, and ReLU6 unless ``linear``."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
        same: bool = False,
    ) -> None:
        shifted = same and stride == 2
        padding: nn.Module = SamePadding() if shifted else nn.Identity()
        convolution = nn.Conv2d(
            c_in, c_out, kernel, stride, 0 if shifted else kernel // 2, groups=groups, bias=False
        )
        activation: nn.Module = nn.Identity() if linear else nn.ReLU6(inplace=True)
        super().__init__(padding, convolution, nn.BatchNorm2d(c_out), activation)

    @property
    def convolution(self) -> nn.Conv2d:
        layer: nn.Conv2d = self.get_submodule("1")
        return layer

    @property
    def norm(self) -> nn.BatchNorm2d:
        layer: nn.BatchNorm2d = self.get_submodule("2")
        return layer


class Block(nn.Module):
    """Expansion, depthwise convolution, projection; with a shortcut where input and output fit."""

    def __init__(self, c_in: int, stage: Stage, stride: int, same: bool) -> None:
        super().__init__()
        hidden = c_in * max(1, stage.expansion)
        layers: list[nn.Module] = []
        if hidden != c_in:
            layers.append(ConvNorm(c_in, hidden, 1))
        layers.append(ConvNorm(hidden, hidden, stage.kernel, stride, groups=hidden, same=same))
        layers.append(ConvNorm(hidden, stage.width, 1, linear=stage.expansion > 0))
        self.body = nn.Sequential(*layers)
        self.shortcut = stage.expansion > 0 and stride == 1 and c_in == stage.width

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.shortcut else y


class MobileTrunk(nn.Sequential):
    """float32 [N, 1, S, S] -> [N, out_channels, S / 32, S / 32], rounded up."""

    def __init__(self, variant: str) -> None:
        if variant not in VARIANTS:
            raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
        plan = VARIANTS[variant]
        layers: list[nn.Module] = [ConvNorm(1, plan.stem, 3, 2, same=plan.same)]
        at = plan.stem
        for stage in plan.stages:
            for index in range(stage.count):
                layers.append(Block(at, stage, 1 if index else stage.stride, plan.same))
                at = stage.width
        if plan.last:
            layers.append(ConvNorm(at, plan.last, 1))
            at = plan.last
        super().__init__(*layers)
        self.variant, self.out_channels = variant, at

    @property
    def convolutions(self) -> list[ConvNorm]:
        """All convolutions with their normalization, in the order of computation."""
        return [module for module in self.modules() if isinstance(module, ConvNorm)]


class MobileClassifier(nn.Module):
    """float32 [N, 1, size, size], (luma - mean) * scale of the model's spec -> logits float32 [N, classes]:
    trunk, mean over space, dropout, one linear layer.
    """

    def __init__(
        self, variant: str, size: int = 112, dropout: float = 0.2, classes: int = len(LABELS)
    ) -> None:
        super().__init__()
        self.size = size
        self.trunk = MobileTrunk(variant)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.trunk.out_channels, classes))

    def features(self, x: Tensor) -> Tensor:
        """The trunk's mean over space, float32 [N, out_channels]: the input of the head."""
        pooled: Tensor = self.trunk(x).mean((2, 3))
        return pooled

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits

    def attention(self, x: Tensor) -> dict[str, Tensor]:
        """Where the trunk looks: "trunk" [N, H, W], the mean square of its output over the channels."""
        return {"trunk": self.trunk(x).square().mean(1)}
