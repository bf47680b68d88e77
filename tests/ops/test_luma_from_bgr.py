"""luma_from_bgr. Tolerance: none; every target is bitwise equal to OpenCV and to the reference."""

import cv2
import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings

from fer_edge import ops

SIZES = [0, 1, 2, 7, 31, 32, 33, 63, 64, 100]


def random_bgr(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture(scope="module")
def all_colours():
    """Each of the 2^24 colours once, uint8 [4096, 4096, 3]."""
    index = np.arange(1 << 24, dtype=np.uint32)
    return (
        np.stack([index & 255, index >> 8 & 255, index >> 16], axis=-1)
        .astype(np.uint8)
        .reshape(4096, 4096, 3)
    )


def test_equals_opencv_for_every_colour(operations, all_colours):
    expected = cv2.cvtColor(all_colours, cv2.COLOR_BGR2GRAY)
    for top in range(0, 4096, 1024):
        band = slice(top, top + 1024)
        np.testing.assert_array_equal(operations.luma_from_bgr(all_colours[band]), expected[band])


@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40).map(lambda shape: (*shape, 3)))
)
@settings(deadline=None)
def test_equals_the_integer_formula(bgr):
    blue, green, red = bgr.astype(np.int64).transpose(2, 0, 1)
    expected = (3735 * blue + 19235 * green + 9798 * red + 16384) // 32768
    for name in ops.targets():
        np.testing.assert_array_equal(ops.operations(name).luma_from_bgr(bgr), expected)


@pytest.mark.parametrize("height", [0, 1, 7, 63])
@pytest.mark.parametrize("width", SIZES)
def test_sizes(compiled, height, width):
    bgr = random_bgr(height, width)
    out = np.full((height, width), 0xAA, np.uint8)
    assert compiled.luma_from_bgr(bgr, out) is out
    np.testing.assert_array_equal(out, ops.operations("reference").luma_from_bgr(bgr))


@pytest.mark.parametrize(
    "view",
    [np.s_[:, 3:40], np.s_[::2], np.s_[::-1], np.s_[:, ::-1], np.s_[:, ::2], np.s_[:, :, ::-1], np.s_[5:5]],
    ids=["columns", "every other row", "upside down", "mirrored", "every other column", "rgb", "no row"],
)
def test_any_strides_of_the_frame(operations, view):
    bgr = random_bgr(20, 50)[view]
    expected = (
        cv2.cvtColor(np.ascontiguousarray(bgr), cv2.COLOR_BGR2GRAY) if bgr.size else np.empty(bgr.shape[:2])
    )
    np.testing.assert_array_equal(operations.luma_from_bgr(bgr), expected)


@pytest.mark.parametrize("width", [1, 7, 40, 63])
def test_writes_only_into_the_rows_of_out(operations, width):
    bgr = random_bgr(9, width)
    memory = np.full((9, width + 6), 0xAA, np.uint8)
    operations.luma_from_bgr(bgr, memory[:, 3:-3])
    np.testing.assert_array_equal(memory[:, 3:-3], operations.luma_from_bgr(bgr))
    assert (memory[:, :3] == 0xAA).all()
    assert (memory[:, -3:] == 0xAA).all()


def test_a_read_only_frame_is_accepted(operations):
    bgr = random_bgr(4, 4)
    bgr.flags.writeable = False
    assert operations.luma_from_bgr(bgr).shape == (4, 4)


def read_only(array):
    array.flags.writeable = False
    return array


def test_a_new_array_has_contiguous_rows(operations):
    frame = np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8)
    for bgr in (np.asfortranarray(frame), frame[::-1, ::-1], frame.transpose(1, 0, 2)):
        luma = operations.luma_from_bgr(bgr, None)
        assert luma.flags.c_contiguous
        np.testing.assert_array_equal(luma, operations.luma_from_bgr(np.ascontiguousarray(bgr), None))


BGR = np.zeros((4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("bgr", "out", "error", "message"),
    [
        ([[1]], None, TypeError, "bgr must be uint8 [H, W, 3], got list; pass a NumPy array"),
        (
            BGR.astype(np.float32),
            None,
            TypeError,
            "bgr must be uint8 [H, W, 3], got float32 [4, 5, 3]; convert",
        ),
        (BGR[..., 0], None, ValueError, "bgr must be uint8 [H, W, 3], got uint8 [4, 5]; a grey frame"),
        (np.zeros((4, 5, 4), np.uint8), None, ValueError, "bgr must be uint8 [H, W, 3], got uint8 [4, 5, 4]"),
        (BGR, np.zeros((4, 5), np.int8), TypeError, "out must be uint8 [H, W], got int8 [4, 5]"),
        (BGR, np.zeros((5, 4), np.uint8), ValueError, "out must be uint8 [4, 5], got uint8 [5, 4]; allocate"),
        (BGR, np.zeros((5, 4), np.uint8).T, ValueError, "out must have contiguous rows, got strides (1, 4)"),
        (
            BGR,
            read_only(np.zeros((4, 5), np.uint8)),
            ValueError,
            "out must be writeable, got a read-only array",
        ),
    ],
)
def test_the_same_error_message_on_every_target(operations, bgr, out, error, message):
    with pytest.raises(error) as raised:
        operations.luma_from_bgr(bgr, out)
    assert message in str(raised.value)
