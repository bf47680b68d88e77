"""warp_normalize on every target.

Tolerance against the reference: none. Positions are rounded to 1/1024 px and no target fuses multiplications
with additions, so float32 results are bitwise equal on every target. OpenCV rounds positions otherwise:
test_with_opencv.py compares it, and here it gives the results that do not depend on that.
"""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_edge import ops
from tests.ops.exact_targets import COMPILED, EXACT

REFERENCE = ops.operations("reference")


def random_plane(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def similarity(scale, degrees=0.0, x=0.0, y=0.0):
    """Output to plane: turned, scaled, then shifted; float32 [1, 2, 3]."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[[c, -s, x], [s, c, y]]], np.float32)


def warped(operations, plane, matrices, shape, *, mean=0.0, scale=1.0, **border: object):
    """The pictures float32 [N, *shape], from an `out` that was full of NaN."""
    out = np.full((len(matrices), 1, *shape), np.nan, np.float32)
    operations.warp_normalize(plane, matrices, out, mean=mean, scale=scale, **border)
    return out[:, 0]


def assert_equals_reference(operations, plane, matrices, shape, **arguments: object):
    got = warped(operations, plane, matrices, shape, **arguments)
    np.testing.assert_array_equal(got, warped(REFERENCE, plane, matrices, shape, **arguments))
    assert np.isfinite(got).all()


@pytest.mark.parametrize("border", ["edge", "constant"])
@pytest.mark.parametrize("shape", [*itertools.product([0, 1, 7, 63], repeat=2), (5, 64), (3, 200)])
def test_output_sizes(compiled, shape, border):
    plane = random_plane(90, 120)
    matrices = np.concatenate(
        [similarity(0.7, 20, 30, 10), similarity(1.9, -8, -20, 5), similarity(3.3, 4, 9, 9)]
    )
    assert_equals_reference(
        compiled, plane, matrices, shape, mean=127.5, scale=1 / 58, border=border, fill=99.25
    )


@pytest.mark.parametrize("border", ["edge", "constant"])
@pytest.mark.parametrize("size", list(itertools.product([1, 2, 3, 7, 63], repeat=2)))
def test_plane_sizes(compiled, size, border):
    for scale in (0.3, 1.0, 2.5, 9.0, 40.0):
        matrices = similarity(scale, 15, -2, -3)
        assert_equals_reference(compiled, random_plane(*size), matrices, (9, 21), border=border, fill=7.1)


@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(0.05, 600),
    degrees=st.floats(-180, 180),
    border=st.sampled_from(["edge", "constant"]),
)
@settings(deadline=None, max_examples=150)
def test_any_similarity(seed, scale, degrees, border):
    rng = np.random.default_rng(seed)
    height, width, rows, columns = rng.integers(1, 80, 4)
    x, y = rng.normal(0.5, 1, 2) * (width, height)
    plane, matrices = random_plane(height, width, seed), similarity(scale, degrees, x, y)
    for name in COMPILED:
        assert_equals_reference(
            ops.operations(name),
            plane,
            matrices,
            (rows, columns),
            mean=117.3,
            scale=0.017,
            border=border,
            fill=31.7,
        )


NUMBERS = st.floats(width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e38, 1e-40])


@given(st.lists(NUMBERS, min_size=6, max_size=6), st.sampled_from(["edge", "constant"]))
@settings(deadline=None, max_examples=150)
def test_any_numbers_in_the_matrix(numbers, border):
    matrices = np.array(numbers, np.float32).reshape(1, 2, 3)
    plane = random_plane(13, 17)
    for name in EXACT:
        got = warped(ops.operations(name), plane, matrices, (7, 19), border=border, fill=-5.0)
        assert np.isfinite(got).all()
        assert got.min() >= -5
        assert got.max() <= 255
        np.testing.assert_array_equal(
            got, warped(REFERENCE, plane, matrices, (7, 19), border=border, fill=-5.0)
        )


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize(("x", "y"), [(-5000, 0), (5000, 0), (0, -5000), (0, 5000), (1e9, -1e9)])
def test_entirely_out_of_frame(exact, scale, x, y):
    plane, matrices = random_plane(40, 50), similarity(scale, 30, x, y)
    constant = warped(exact, plane, matrices, (16, 16), mean=100, scale=0.5, border="constant", fill=90)
    assert (constant == -5).all()
    edge = warped(exact, plane, matrices, (16, 16))
    np.testing.assert_array_equal(edge, warped(REFERENCE, plane, matrices, (16, 16)))


def test_no_matrix_does_nothing(operations):
    assert warped(operations, random_plane(4, 4), np.empty((0, 2, 3), np.float32), (8, 8)).shape == (0, 8, 8)


@pytest.mark.parametrize(
    "view", [np.s_[:, 5:70], np.s_[::2, :], np.s_[::-1, :], np.s_[3:4, :], np.s_[:, 9:10]]
)
@pytest.mark.parametrize("scale", [0.8, 2.7])
def test_any_row_stride(operations, view, scale):
    plane = random_plane(60, 80)[view]
    matrices = similarity(scale, 10, -3, 4)
    expected = warped(operations, np.ascontiguousarray(plane), matrices, (20, 30))
    np.testing.assert_array_equal(warped(operations, plane, matrices, (20, 30)), expected)


def test_rows_that_share_their_memory(compiled):
    plane = np.broadcast_to(np.arange(70, dtype=np.uint8), (50, 70))
    assert_equals_reference(compiled, plane, similarity(1.5, 25, 10, 5), (33, 33))


def test_identity_and_integer_shifts_are_exact(operations):
    plane = random_plane(30, 40)
    np.testing.assert_array_equal(warped(operations, plane, similarity(1), (30, 40))[0], plane)
    shifted = warped(operations, plane, similarity(1, x=7, y=-3), (33, 20))[0]
    np.testing.assert_array_equal(shifted[3:], plane[:, 7:27])
    np.testing.assert_array_equal(shifted[:3], np.broadcast_to(plane[0, 7:27], (3, 20)))


def test_quarter_turns_are_exact(operations):
    plane = random_plane(30, 40)
    # (x, y) -> (40 - y, x): the output's rows run down the plane's columns from the right.
    quarter = np.array([[[0, -1, 40], [1, 0, 0]]], np.float32)
    np.testing.assert_array_equal(warped(operations, plane, quarter, (40, 30))[0], np.rot90(plane))
    half = np.array([[[-1, 0, 40], [0, -1, 30]]], np.float32)
    np.testing.assert_array_equal(warped(operations, plane, half, (30, 40))[0], np.rot90(plane, 2))


def test_half_pixel_convention(operations):
    plane = np.array([[0, 100]], np.uint8)
    # Four output pixels over two: centres at 0.25, 0.75, 1.25, 1.75; the plane's at 0.5 and 1.5.
    np.testing.assert_array_equal(warped(operations, plane, similarity(0.5), (1, 4))[0], [[0, 25, 75, 100]])


def test_mean_scale_and_fill(operations):
    got = warped(operations, np.full((2, 2), 60, np.uint8), similarity(1, x=-2), (2, 4), mean=50, scale=0.1)
    np.testing.assert_allclose(got, 1.0, rtol=1e-6)
    arguments = {"mean": 117.3, "scale": 1 / 58, "border": "constant", "fill": 117.3}
    padded = warped(operations, np.full((2, 2), 60, np.uint8), similarity(1, x=-2), (2, 6), **arguments)[0]
    assert (padded[:, :2] == 0).all()
    assert (padded[:, 4:] == 0).all()
    np.testing.assert_allclose(padded[:, 2:4], (60 - 117.3) / 58, rtol=1e-6)


def test_a_picture_does_not_depend_on_the_others(operations):
    plane = random_plane(100, 100)
    matrices = np.concatenate([similarity(s, 10 * s, 20, 10) for s in (0.5, 1, 2.5, 5, 11)])
    together = warped(operations, plane, matrices, (24, 24))
    alone = [warped(operations, plane, matrices[i : i + 1], (24, 24))[0] for i in range(len(matrices))]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("scale", [2.01, 2.5, 3.1, 4.0, 6.3, 20.0])
@pytest.mark.parametrize("degrees", [0, 10, 45])
@pytest.mark.parametrize("pattern", ["checkerboard", "columns", "rows"])
def test_the_finest_grating_becomes_flat_grey(operations, scale, degrees, pattern):
    y, x = np.mgrid[:400, :400]
    index = {"checkerboard": x + y, "columns": x, "rows": y}[pattern]
    plane = (index % 2 * 255).astype(np.uint8)
    size = int(200 / scale)
    got = warped(operations, plane, similarity(scale, degrees, 200, 50), (size, size))
    # Half a grey level is the rounding of a halving.
    np.testing.assert_allclose(got, 127.5, atol=0.5)


@pytest.mark.parametrize(("scale", "halvings"), [(2, 0), (4, 1), (8, 2), (16, 3)])
def test_shrinking_by_powers_of_two_is_the_area_average(operations, scale, halvings):
    plane = random_plane(160, 240)
    got = warped(operations, plane, similarity(scale), (160 // scale, 240 // scale))[0]
    expected = plane.reshape(160 // scale, scale, 240 // scale, scale).mean(axis=(1, 3))
    np.testing.assert_allclose(got, expected, atol=0.5 * halvings)


def test_the_widest_prefilter(operations):
    plane = random_plane(256, 384)
    expected = plane.reshape(2, 128, 3, 128).mean(axis=(1, 3))
    np.testing.assert_allclose(warped(operations, plane, similarity(128), (2, 3))[0], expected, atol=3)
    # Beyond it pixels are skipped, but those that are read are means of 64 x 64.
    plane = random_plane(600, 600)
    sample = warped(operations, plane, similarity(300), (1, 1))[0, 0, 0]
    near = plane[64:512, 64:512].reshape(7, 64, 7, 64).mean(axis=(1, 3))
    assert near.min() - 3 <= sample <= near.max() + 3


def test_shrinking_a_natural_picture_agrees_with_inter_area(operations):
    rng = np.random.default_rng(5)
    plane = cv2.GaussianBlur(rng.integers(0, 256, (400, 600)).astype(np.uint8), (0, 0), 1.5)
    plane = cv2.normalize(plane, None, 0, 255, cv2.NORM_MINMAX)
    got = warped(operations, plane, similarity(4), (100, 150))[0]
    area = cv2.resize(plane, (150, 100), interpolation=cv2.INTER_AREA).astype(np.float32)
    # Both round to grey levels: each halving, and OpenCV's result.
    np.testing.assert_allclose(got, area, atol=1.0)


PLANE = random_plane(6, 8)
MATRIX = similarity(1)
OUT = np.zeros((1, 1, 4, 4), np.float32)


@pytest.mark.parametrize(
    ("plane", "matrices", "out", "error", "message"),
    [
        (None, MATRIX, OUT, TypeError, "plane must be uint8 [H, W], got NoneType; pass a NumPy array"),
        (
            PLANE.astype(float),
            MATRIX,
            OUT,
            TypeError,
            "plane must be uint8 [H, W], got float64 [6, 8]; convert",
        ),
        (
            PLANE[None],
            MATRIX,
            OUT,
            ValueError,
            "plane must be uint8 [H, W], got uint8 [1, 6, 8]; reduce colours",
        ),
        (
            PLANE[:0],
            MATRIX,
            OUT,
            ValueError,
            "plane must have at least one pixel, got uint8 [0, 8]; skip empty",
        ),
        (PLANE[:, ::2], MATRIX, OUT, ValueError, "plane must have contiguous rows, got strides (8, 2)"),
        (
            np.zeros((1, (1 << 20) + 1), np.uint8),
            MATRIX,
            OUT,
            ValueError,
            "plane must be at most 1048576 pixels",
        ),
        (
            PLANE,
            MATRIX.astype(float),
            OUT,
            TypeError,
            "matrices must be float32 [N, 2, 3], got float64 [1, 2, 3]",
        ),
        (
            PLANE,
            MATRIX[0],
            OUT,
            ValueError,
            "matrices must be float32 [N, 2, 3], got float32 [2, 3]; one [2, 3]",
        ),
        (PLANE, MATRIX[:, ::-1], OUT, ValueError, "matrices must be C-contiguous, got strides (24, -12, 4)"),
        (
            PLANE,
            MATRIX,
            OUT[0],
            ValueError,
            "out must be float32 [1, 1, height, width], got float32 [1, 4, 4]",
        ),
        (
            PLANE,
            MATRIX,
            OUT[:0],
            ValueError,
            "out must be float32 [1, 1, height, width], got float32 [0, 1, 4, 4]",
        ),
        (PLANE, MATRIX, OUT[..., ::2], ValueError, "out must be C-contiguous, got strides"),
    ],
)
def test_the_same_error_message_on_every_target(operations, plane, matrices, out, error, message):
    with pytest.raises(error) as raised:
        operations.warp_normalize(plane, matrices, out, mean=0, scale=1)
    assert message in str(raised.value)


def test_refuses_an_unknown_border(operations):
    with pytest.raises(ValueError, match="border must be edge or constant, got wrap; choose one of them"):
        operations.warp_normalize(PLANE, MATRIX, OUT, mean=0, scale=1, border="wrap")
