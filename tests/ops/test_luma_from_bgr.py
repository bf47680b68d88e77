"""luma_from_bgr: bit for bit the grey of cv2.cvtColor, for any stride."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge import ops

SIDES = (0, 1, 7, 63)


def test_every_colour_is_the_grey_of_opencv(target: ops.Operations):
    blue, green = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    for red in range(256):
        bgr = np.stack([blue, green, np.full_like(blue, red)], axis=2)
        np.testing.assert_array_equal(target.luma_from_bgr(bgr), cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))


@pytest.mark.parametrize("height", SIDES)
@pytest.mark.parametrize("width", SIDES)
def test_odd_sizes_and_row_strides(target: ops.Operations, height: int, width: int):
    wide = np.random.default_rng(0).integers(0, 256, (height, width + 5, 3), dtype=np.uint8)
    bgr = wide[:, 2 : 2 + width]
    room = np.full((height, width + 3), 77, np.uint8)
    out = room[:, :width]
    returned = target.luma_from_bgr(bgr, out)
    assert np.shares_memory(returned, out) or out.size == 0
    np.testing.assert_array_equal(out, ops.operations("reference").luma_from_bgr(np.ascontiguousarray(bgr)))
    # Nothing beside the output was touched.
    assert (room[:, width:] == 77).all()


def test_upside_down_and_mirrored_views(target: ops.Operations):
    bgr = np.random.default_rng(1).integers(0, 256, (9, 34, 3), dtype=np.uint8)
    for view in (bgr[::-1], bgr[:, ::-1], bgr[:, ::2], bgr[..., ::-1]):
        expected = cv2.cvtColor(np.ascontiguousarray(view), cv2.COLOR_BGR2GRAY)
        np.testing.assert_array_equal(target.luma_from_bgr(view), expected)


@given(st.integers(0, 255))
def test_grey_stays_grey(level: int):
    for name in ops.targets():
        luma = ops.operations(name).luma_from_bgr(np.full((3, 37, 3), level, np.uint8))
        assert (luma == level).all()


def test_wrong_arguments_are_named(target: ops.Operations):
    with pytest.raises(TypeError, match="bgr must be uint8"):
        target.luma_from_bgr(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match="bgr must be uint8"):
        target.luma_from_bgr(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="out must be"):
        target.luma_from_bgr(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))
