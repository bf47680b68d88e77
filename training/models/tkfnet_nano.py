"""tkfnet-nano: TAFE and DCIF of TKFNet on a slim residual trunk, for luma crops of 64 x 64.

The trunk uses ResNet's basic block (He et al. 2016), because dense 3 x 3 convolutions reach the arithmetic
peak of a CPU. It ends at an eighth of the side: TAFE and DCIF see 8 x 8 positions, about the paper's 7 x 7.
The first convolution halves the side: training pictures are 48 px wide, so 32 x 32 positions of 32 channels
lose nothing, and full-size maps would take a third of the time for a tenth of the arithmetic. Widths are
multiples of 16, the number of floats in the widest vector register.
"""

from torch import nn

from training.data.split import LABELS
from training.models.crop_check import CropCheck
from training.models.resnet import Block
from training.models.tafe import Branches, Fusion
from training.models.tkfnet import FilteredTrunk, classifier


class TkfNetNano(FilteredTrunk):
    """float32 [N, 1, 64, 64], (luma - mean) * scale of the model's spec -> logits float32 [N, 8] in FER+
    order.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (32, 64, 128),
        tafe: Branches = "both",
        fusion: Fusion = "add",
        dcif: bool = True,
        dropout: float = 0.2,
        classes: int = len(LABELS),
        crop_check: bool = False,
    ) -> None:
        c2, c4, c8 = widths
        trunk = nn.Sequential(
            nn.Conv2d(1, c2, 5, 2, 2, bias=False),
            nn.BatchNorm2d(c2),
            nn.ReLU(inplace=True),
            Block(c2, c2, 1, (3, 3)),
            Block(c2, c4, 2, (3, 3)),
            Block(c4, c8, 2, (3, 3)),
        )
        super().__init__(trunk, c8, tafe, fusion, dcif, classifier(c8, (c8 // 2, c8 // 4), classes, dropout))
        self.size = 64
        if crop_check:
            self.crop_check = CropCheck(c8, self.size // 8)
