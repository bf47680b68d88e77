"""Notices a cut: a frame that does not show the scene of the frame before.

The correlation of two small copies of the frames does not change with the exposure, so a lamp or the camera's
exposure control is no cut. A frame without contrast (a covered lens) is no scene: the next one is compared
with the scene before it.
"""

import numpy as np

from fer_edge.arrays import F32, U8

SAMPLES = 32  # a side
# In the videos of `python -m benchmarks.stream`, frames of one scene correlate by more than 0.9.
CUT = 0.4
MIN_CONTRAST = 4.0  # standard deviation in grey levels


class Scene:
    """The scene of the last frame."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._copy: F32 | None = None

    def is_cut(self, plane: U8) -> bool:
        """Returns True if this plane uint8 [H, W] shows another scene, or has another size, than the last."""
        sample = _sample(plane)
        before, shape = self._copy, self._shape
        self._shape = plane.shape
        if before is not None and shape != plane.shape:
            self._copy = sample
            return True
        if sample is None:
            return False
        self._copy = sample
        return before is not None and float(before @ sample) < CUT


def _sample(plane: U8) -> F32 | None:
    """Returns a small copy with mean 0 and length 1; None without contrast."""
    down, across = (max(1, side // SAMPLES) for side in plane.shape)
    sample = plane[down // 2 :: down, across // 2 :: across].astype(np.float32).ravel()
    sample -= sample.sum() / sample.size
    square = float(sample @ sample)
    if square < MIN_CONTRAST**2 * sample.size:
        return None
    return sample / np.float32(square**0.5)
