"""Arguments at the limits of the valid ranges; every target gives the same error messages."""

import numpy as np
import pytest

PLANE = np.zeros((6, 8), np.uint8)
MATRIX = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
OUT = np.zeros((1, 1, 4, 4), np.float32)


def read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("matrices", "out", "error", "message"),
    [
        (np.zeros((1, 3, 2), np.float32), OUT, ValueError, "matrices must be float32 [N, 2, 3], got"),
        (np.zeros((1, 1, 2, 3), np.float32), OUT, ValueError, "matrices must be float32 [N, 2, 3], got"),
        (MATRIX, None, TypeError, "out must be float32 [N, 1, height, width], got NoneType"),
        (MATRIX, OUT.astype(float), TypeError, "out must be float32 [N, 1, height, width], got float64"),
        (
            MATRIX,
            OUT[:, :, 0],
            ValueError,
            "out must be float32 [1, 1, height, width], got float32 [1, 1, 4]",
        ),
        (MATRIX, OUT[None], ValueError, "out must be float32 [1, 1, height, width], got"),
        (MATRIX, np.zeros((1, 2, 4, 4), np.float32), ValueError, "out must be float32 [1, 1, height, width]"),
        (MATRIX, read_only(OUT.copy()), ValueError, "out must be writeable, got a read-only array"),
    ],
)
def test_warp_normalize_refuses(operations, matrices, out, error, message):
    with pytest.raises(error) as raised:
        operations.warp_normalize(PLANE, matrices, out, mean=0, scale=1)
    assert message in str(raised.value)


@pytest.mark.parametrize("shape", [(14, 8, 12), (16, 8, 12), (15, 8), (15, 8, 12, 1)])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_decode_faces_refuses_other_maps(operations, shape, index):
    maps = [np.full((15, 64 // stride, 96 // stride), -20, np.float32) for stride in (8, 16, 32)]
    assert len(operations.decode_faces(maps, threshold=0.5, overlap=0.3)[2]) == 0
    maps[index] = np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match=rf"maps\[{index}\] must be float32 \[15, H / stride, W / stride\]"):
        operations.decode_faces(maps, threshold=0.5, overlap=0.3)


@pytest.mark.parametrize("limit", [0, 1])
def test_decode_faces_takes_the_ends_of_both_ranges(operations, limit):
    maps = [np.full((15, 64 // stride, 96 // stride), -20, np.float32) for stride in (8, 16, 32)]
    assert len(operations.decode_faces(maps, threshold=1, overlap=limit)[2]) == 0


def test_the_longest_plane(operations):
    for shape in ((1, 1 << 20), (1 << 20, 1)):
        out = np.full((1, 1, 1, 1), np.nan, np.float32)
        operations.warp_normalize(np.full(shape, 7, np.uint8), MATRIX, out, mean=0, scale=1)
        assert out.item() == 7
    with pytest.raises(ValueError, match="plane must be at most 1048576 pixels a side"):
        operations.warp_normalize(np.zeros(((1 << 20) + 1, 1), np.uint8), MATRIX, OUT, mean=0, scale=1)


def test_which_rows_are_contiguous(operations):
    # One column, or no row, is contiguous with any strides.
    bgr = np.full((4, 1, 3), 9, np.uint8)
    assert (operations.luma_from_bgr(bgr, np.zeros((4, 2), np.uint8)[:, ::2]) == 9).all()
    assert operations.luma_from_bgr(bgr[:0], np.zeros((4, 2), np.uint8)[:0, ::2]).shape == (0, 1)
    empty = np.zeros((0, 3, 3), np.uint8)
    assert operations.luma_from_bgr(empty, np.zeros((0, 6), np.uint8)[:, ::2]).shape == (0, 3)
    with pytest.raises(ValueError, match=r"out must have contiguous rows, got strides \(4, 2\)"):
        operations.luma_from_bgr(np.zeros((4, 2, 3), np.uint8), np.zeros((4, 4), np.uint8)[:, ::2])


def test_outside_the_plane_is_black_by_default(operations):
    out = np.full((1, 1, 1, 2), np.nan, np.float32)
    far = np.array([[[1, 0, 50], [0, 1, 50]]], np.float32)
    operations.warp_normalize(np.full((4, 4), 200, np.uint8), far, out, mean=0, scale=1, border="constant")
    assert (out == 0).all()
    operations.warp_normalize(np.full((4, 4), 200, np.uint8), far, out, mean=0, scale=1)
    assert (out == 200).all()
