"""The input shapes that an engine is built for.

TensorRT tunes an engine for the second shape of a profile and guarantees the range from the first to the
last. An engine has two profiles, one for the usual input and one for all others, because one range that
covers everything is tuned for nothing in particular. Shapes are [N, 1, H, W].
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fer_edge.detection.tiles import MAX_SIDE_PX
from fer_edge.models import ModelSpec

# A recogniser runs at most this many faces at a time.
MAX_FACES = 32
USUAL_FACES = 8
# Longest side of the detector's input without min_face. With it, the longest is MAX_SIDE_PX.
DEFAULT_SIDE_PX = 320
# A 4:3 frame by default; 720p, where min_face asks for its pixels.
USUAL_INPUT_PX, FINE_INPUT_PX = (256, 320), (736, 1280)


@dataclass(frozen=True, slots=True)
class Profile:
    """Smallest, tuned and largest shape."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]

    def contains(self, shape: Sequence[int]) -> bool:
        """Whether an input of this shape is in the range."""
        return len(shape) == len(self.min) and all(
            low <= side <= high for low, side, high in zip(self.min, shape, self.max, strict=True)
        )


def profiles_for(spec: ModelSpec, *, fixed: bool = False) -> tuple[Profile, ...]:
    """The profiles of a network; the first that contains an input is the one to run.

    Args:
        spec: of the network.
        fixed: one profile with one shape only, the usual input of one face or frame.
    """
    if spec.role == "expression":
        one, many = ((n, 1, spec.size, spec.size) for n in (1, MAX_FACES))
        single = Profile(one, one, one)
        return (single,) if fixed else (single, Profile(one, (USUAL_FACES, *one[1:]), many))
    smallest = _frame(spec, (1, 1))
    usual = _frame(spec, USUAL_INPUT_PX)
    if fixed:
        return (Profile(usual, usual, usual),)
    return (
        Profile(smallest, usual, _frame(spec, (DEFAULT_SIDE_PX, DEFAULT_SIDE_PX))),
        Profile(smallest, _frame(spec, FINE_INPUT_PX), _frame(spec, (MAX_SIDE_PX, MAX_SIDE_PX))),
    )


def _frame(spec: ModelSpec, sides: tuple[int, int]) -> tuple[int, ...]:
    """One input of these sides, rounded up to what the detector takes."""
    multiple = spec.input_multiple
    return (1, 1, *(-(-side // multiple) * multiple for side in sides))
