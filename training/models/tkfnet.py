"""TKFNet: a residual trunk, TAFE, DCIF and a classifier of three layers (arXiv 2505.09967)."""

from torch import Tensor, nn

from training.data.split import LABELS
from training.models.crop_check import CropCheck
from training.models.dcif import Dcif
from training.models.resnet import MAP_SIDE, ResNet
from training.models.tafe import Branches, Fusion, Tafe


def classifier(channels: int, widths: tuple[int, int], classes: int, dropout: float) -> nn.Sequential:
    """Two hidden layers with batch normalisation, as in the released head; dropout before the first and last
    layer.
    """
    wide, narrow = widths
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(channels, wide),
        nn.BatchNorm1d(wide),
        nn.ReLU(inplace=True),
        nn.Linear(wide, narrow),
        nn.BatchNorm1d(narrow),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout / 2),
        nn.Linear(narrow, classes),
    )


class FilteredTrunk(nn.Module):
    """Trunk, TAFE, DCIF, mean over space and classifier, shared by TKFNet and tkfnet-nano."""

    # Set by the export: the outputs are then the logits [N, classes] and those of the crop check [N, 2].
    returns_crop_check = False

    def __init__(
        self, trunk: nn.Module, channels: int, branches: Branches, fusion: Fusion, dcif: bool, head: nn.Module
    ) -> None:
        super().__init__()
        # Set by networks that have one; training.train_crop_check trains it.
        self.crop_check: CropCheck | None = None
        self.trunk = trunk
        self.tafe: nn.Module = nn.Identity() if branches == "none" else Tafe(channels, branches, fusion)
        self.dcif: nn.Module = Dcif(channels) if dcif else nn.Identity()
        self.head = head

    def features(self, x: Tensor) -> Tensor:
        """The filtered map's mean over space, float32 [N, C]: the input of the head."""
        return self._pooled(self.trunk(x))

    def _pooled(self, trunk_map: Tensor) -> Tensor:
        textured: Tensor = self.tafe(trunk_map)
        return self.dcif.pooled(textured) if isinstance(self.dcif, Dcif) else textured.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        trunk_map = self.trunk(x)
        logits: Tensor = self.head(self._pooled(trunk_map))
        return (logits, self.crop_check(trunk_map)) if self.returns_crop_check else logits

    def attention(self, x: Tensor) -> dict[str, Tensor]:
        """Maps of where the blocks look, each [N, H, W] at the map's resolution.

        tafe: mean square of TAFE's output over the channels; dcif: the spatial gate in (0, 1).
        """
        textured = self.tafe(self.trunk(x))
        maps = {} if isinstance(self.tafe, nn.Identity) else {"tafe": textured.square().mean(1)}
        if isinstance(self.dcif, Dcif):
            maps["dcif"] = self.dcif.spatial_gate(self.dcif.channel_gated(textured))[:, 0]
        return maps


class TkfNet(FilteredTrunk):
    """float32 [N, channels, size, size], (luma - mean) * scale of the model's spec -> logits float32 [N,
    classes].

    ``width`` 64 is the paper's; the other options are the ablations of its tables.
    """

    def __init__(
        self,
        depth: int = 18,
        size: int = 224,
        channels: int = 1,
        width: int = 64,
        tafe: Branches = "both",
        fusion: Fusion = "add",
        dcif: bool = True,
        dropout: float = 0.0,
        classes: int = len(LABELS),
        crop_check: bool = False,
    ) -> None:
        trunk = ResNet(depth, size, channels, width)
        head = classifier(trunk.out_channels, (4 * width, 2 * width), classes, dropout)
        super().__init__(trunk, trunk.out_channels, tafe, fusion, dcif, head)
        self.size = size
        if crop_check:
            self.crop_check = CropCheck(trunk.out_channels, MAP_SIDE)
