"""The result of every header reader."""

from dataclasses import dataclass
from typing import NamedTuple


class Turn(NamedTuple):
    """How to turn the stored picture upright: quarter turns counterclockwise, then a mirror image."""

    quarters: int
    is_mirrored: bool  # left and right are exchanged

    def then(self, other: "Turn") -> "Turn":
        """Returns the turn that does this one first and `other` second."""
        # A rotation after a mirror image is the opposite rotation before it.
        quarters = self.quarters + (-other.quarters if self.is_mirrored else other.quarters)
        return Turn(quarters % 4, self.is_mirrored != other.is_mirrored)


# The orientations 1 to 8 of EXIF 2.3, section 4.6.4.
EXIF_TURNS = {
    1: Turn(0, False),
    2: Turn(0, True),
    3: Turn(2, False),
    4: Turn(2, True),
    5: Turn(3, True),
    6: Turn(3, False),
    7: Turn(1, True),
    8: Turn(1, False),
}


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself.

    Attributes:
        frames: pictures in an animation or pages in a document.
        turn: how to turn the picture; None: OpenCV does what is needed.
        is_deep: samples have more than 8 bits, and OpenCV must return them as they are.
        white: stated sample value of white; None: the maximum of the sample type, for floating-point 1.
        is_white_zero: white is 0 and black is the maximum, which OpenCV does not heed in deep samples.
        refusal: why the pixels cannot be read, if OpenCV fails or, worse, returns other pixels.
    """

    frames: int = 1
    turn: Turn | None = None
    is_deep: bool = False
    white: float | None = None
    is_white_zero: bool = False
    refusal: str = ""
