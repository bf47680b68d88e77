"""tkfnet-nano: TAFE and DCIF of TKFNet on a slim residual trunk, for luma crops of 64 x 64.

The trunk keeps ResNet's basic block (He et al. 2016) because dense 3 x 3 convolutions reach the arithmetic
peak of a CPU; it stops at an eighth of the side, so that TAFE and DCIF see 8 x 8 places, about the paper's 7
x 7. The first convolution halves the side: training pictures are 48 px wide, so 32 x 32 places of 32 channels
lose nothing, and maps of the full size would take a third of the time for a tenth of the arithmetic. Widths
are multiples of 16, the number of floats in the widest vector register.
"""

from torch import Tensor, nn

from training.models.dcif import Dcif
from training.models.tafe import Tafe

CLASSES = 8
SIZE = 64


def _conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(c_out)
    )


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut; the last normalisation starts at zero (Goyal et al. 2017)."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(c_in, c_out, 3, stride), nn.ReLU(inplace=True), _conv(c_out, c_out, 3)
        )
        same = stride == 1 and c_in == c_out
        self.shortcut = nn.Identity() if same else _conv(c_in, c_out, 1, stride)
        self.activation = nn.ReLU(inplace=True)
        nn.init.zeros_(self.body[2][1].weight)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.body(x) + self.shortcut(x))
        return out


class TkfNetNano(nn.Module):
    """float32 [N, 1, 64, 64], (luma - mean) * scale of the model's spec -> logits float32 [N, 8] in FER+
    order.
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 128), dropout: float = 0.2) -> None:
        super().__init__()
        c2, c4, c8 = widths
        self.trunk = nn.Sequential(
            _conv(1, c2, 5, 2),
            nn.ReLU(inplace=True),
            BasicBlock(c2, c2, 1),
            BasicBlock(c2, c4, 2),
            BasicBlock(c4, c8, 2),
        )
        self.tafe = Tafe(c8)
        self.dcif = Dcif(c8)
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(c8, c8 // 2),
            nn.BatchNorm1d(c8 // 2),
            nn.ReLU(inplace=True),
            nn.Linear(c8 // 2, c8 // 4),
            nn.BatchNorm1d(c8 // 4),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout / 2),
            nn.Linear(c8 // 4, CLASSES),
        )

    def features(self, x: Tensor) -> Tensor:
        """The filtered map's mean over space, float32 [N, C]: what the head classifies."""
        pooled: Tensor = self.dcif(self.tafe(self.trunk(x))).mean((2, 3))
        return pooled

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits
