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

    ``widths`` and ``blocks`` are the channels and the number of residual blocks at a half, a quarter and an
    eighth of the side; only at a half there may be none.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (32, 64, 128),
        blocks: tuple[int, int, int] = (0, 1, 2),
        tafe: Branches = "both",
        fusion: Fusion = "add",
        dcif: bool = True,
        dropout: float = 0.2,
        classes: int = len(LABELS),
        crop_check: bool = False,
    ) -> None:
        at, c8 = widths[0], widths[-1]
        layers = [nn.Conv2d(1, at, 5, 2, 2, bias=False), nn.BatchNorm2d(at), nn.ReLU(inplace=True)]
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for index in range(count):
                layers.append(Block(at, width, 2 if stage and not index else 1, (3, 3)))
                at = width
        head = classifier(c8, (c8 // 2, c8 // 4), classes, dropout)
        super().__init__(nn.Sequential(*layers), c8, tafe, fusion, dcif, head)
        self.size = 64
        if crop_check:
            self.crop_check = CropCheck(c8, self.size // 8)
