"""The crop check: two logits beside the expressions that say when a crop cannot show an expression.

It reads the map of the expression network's trunk, so it costs 0.3 % of the network's arithmetic and needs no
model of its own. The layers are small because it is trained alone, on a frozen trunk: the expressions of a
network do not depend on whether it has a check.
"""

from torch import Tensor, nn

# In the order of the logits. covered: mouth or both eyes are hidden. rolled: the face is turned in the plane
# of the picture by more than about 45 degrees against the upright crop.
PROBLEMS = ("covered", "rolled")


class CropCheck(nn.Module):
    """Trunk map float32 [N, channels, side, side] -> logits float32 [N, 2], in the order of PROBLEMS."""

    def __init__(self, channels: int, side: int, narrow: int = 16, hidden: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, narrow, 1),
            nn.ReLU(inplace=True),
            # Not pooled: what is covered is a matter of the place.
            nn.Flatten(),
            nn.Linear(narrow * side * side, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, len(PROBLEMS)),
        )

    def forward(self, trunk_map: Tensor) -> Tensor:
        logits: Tensor = self.layers(trunk_map)
        return logits
