"""warp_normalize: every target against the reference, and the reference against geometry and OpenCV."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_edge import ops

REFERENCE = ops.operations("reference")
# In grey levels. Targets differ from the reference by the rounding of float32 alone.
TOLERANCE = 2e-3


def plane(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def similarity(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    c, s = scale * np.cos(np.deg2rad(degrees)), scale * np.sin(np.deg2rad(degrees))
    return np.array([[[c, -s, x], [s, c, y]]], np.float32)


def warp(
    operations: ops.Operations, source: np.ndarray, matrices: np.ndarray, side=(16, 16), **settings: object
) -> np.ndarray:
    out = np.full((len(matrices), 1, *side), np.nan, np.float32)
    operations.warp_normalize(source, matrices, out, **{"mean": 0.0, "scale": 1.0, **settings})
    return out


@pytest.mark.parametrize("border", ["edge", "constant"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (63, 7), (120, 160)])
def test_targets_agree_with_the_reference(target: ops.Operations, shape: tuple[int, int], border: str):
    source = plane(*shape)
    height, width = shape
    cases = [
        (1.0, 0.0, 0.0, 0.0),
        (0.37, 12.0, width * 0.3, height * 0.2),
        (1.9, -38.0, -3.0, height * 0.7),
        (3.3, 90.0, width * 0.9, -5.0),
        (9.0, 181.0, width * 1.2, height * 1.1),
        (40.0, 3.0, -100.0, -90.0),
        (1.0, 0.0, 1e6, -1e6),
    ]
    matrices = np.concatenate([similarity(*case) for case in cases])
    for side in ((1, 1), (7, 63), (33, 16)):
        settings = {"mean": 118.0, "scale": 1 / 64, "border": border, "fill": 30.0}
        ours = warp(target, source, matrices, side, **settings)
        np.testing.assert_allclose(
            ours, warp(REFERENCE, source, matrices, side, **settings), rtol=0, atol=TOLERANCE / 64
        )


def test_any_row_stride(target: ops.Operations):
    wide = plane(50, 90)
    views = (wide[:, 11:71], wide[::2], wide[::-1, 3:40])
    matrix = similarity(1.3, 20, 4, -2)
    for view in views:
        expected = warp(REFERENCE, np.ascontiguousarray(view), matrix)
        np.testing.assert_allclose(warp(target, view, matrix), expected, rtol=0, atol=TOLERANCE)


def test_no_matrices_and_no_output_pixels(target: ops.Operations):
    assert warp(target, plane(8, 8), np.zeros((0, 2, 3), np.float32)).shape == (0, 1, 16, 16)
    assert warp(target, plane(8, 8), similarity(1, 0, 0, 0), (0, 5)).size == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("border", ["edge", "constant"])
def test_matrices_that_are_no_numbers_give_finite_pixels(target: ops.Operations, bad: float, border: str):
    for position in range(6):
        matrix = similarity(1.5, 10, 3, 3)
        matrix.ravel()[position] = bad
        out = warp(target, plane(20, 30), matrix, border=border, fill=9.0)
        assert np.isfinite(out).all()
        assert out.min() >= 0
        assert out.max() <= 255


def test_identity_shift_and_quarter_turn_are_exact(target: ops.Operations):
    source = plane(16, 16)
    np.testing.assert_array_equal(warp(target, source, similarity(1, 0, 0, 0))[0, 0], source)
    shifted = warp(target, source, similarity(1, 0, 3, -2), border="constant", fill=7.0)[0, 0]
    np.testing.assert_array_equal(shifted[2:, :13], source[:14, 3:])
    assert (shifted[:2] == 7).all()
    turned = warp(target, source, np.array([[[0, 1, 0], [-1, 0, 16]]], np.float32))[0, 0]
    np.testing.assert_array_equal(turned, np.rot90(source, -1))


def test_half_a_pixel_is_the_mean_of_two(target: ops.Operations):
    source = np.array([[10, 20, 60]], np.uint8)
    out = warp(target, source, np.array([[[1, 0, 0.5], [0, 1, 0]]], np.float32), (1, 2))
    np.testing.assert_allclose(out[0, 0, 0], [15, 40])


def test_bilinear_is_that_of_opencv(target: ops.Operations):
    source = cv2.GaussianBlur(plane(90, 120), (0, 0), 2)
    matrix = similarity(1.4, 17, 20, 8)
    centred = matrix[0].astype(np.float64)
    centred[:, 2] += 0.5 * centred[:, :2].sum(1) - 0.5
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(
        source.astype(np.float32), centred, (40, 40), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    # OpenCV rounds positions to 1/32 pixel.
    np.testing.assert_allclose(warp(target, source, matrix, (40, 40))[0, 0], expected, atol=0.5)


def test_a_fine_grating_turns_grey_instead_of_alias(target: ops.Operations):
    columns = np.arange(256) % 2 * 255
    grating = np.repeat(columns[None], 256, 0).astype(np.uint8)
    board = ((np.indices((256, 256)).sum(0) % 2) * 255).astype(np.uint8)
    for source in (grating, board):
        for scale, degrees in ((2.5, 0), (3.1, 9), (4.0, 0), (6.7, 31)):
            out = warp(target, source, similarity(scale, degrees, 90, 60), (16, 16))
            np.testing.assert_allclose(out, 127.5, atol=4)


def test_shrinking_by_four_is_the_average_over_the_area(target: ops.Operations):
    source = plane(128, 96)
    out = warp(target, source, similarity(4, 0, 0, 0), (32, 24))[0, 0]
    expected = cv2.resize(source.astype(np.float32), (24, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(out, expected, atol=1.5)


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0.05, 20),
    st.floats(-180, 180),
    st.floats(-60, 120),
    st.floats(-60, 120),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_any_similarity_stays_within_the_planes_levels(scale, degrees, x, y, height, width):
    source = plane(height, width, seed=height * 41 + width)
    matrix = similarity(scale, degrees, x, y)
    expected = warp(REFERENCE, source, matrix)
    assert expected.min() >= source.min() - 1e-3
    assert expected.max() <= source.max() + 1e-3
    for name in ops.targets():
        ours = warp(ops.operations(name), source, matrix)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=TOLERANCE)


def test_wrong_arguments_are_named(target: ops.Operations):
    good = {
        "plane": plane(8, 8),
        "matrices": similarity(1, 0, 0, 0),
        "out": np.zeros((1, 1, 4, 4), np.float32),
    }
    wrong = {
        "plane": (np.zeros((8, 8), np.float32), np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8), np.uint8)),
        "matrices": (np.zeros((1, 2, 3)), np.zeros((2, 3), np.float32)),
        "out": (np.zeros((2, 1, 4, 4), np.float32), np.zeros((1, 1, 4, 8), np.float32)[..., ::2]),
    }
    for name, values in wrong.items():
        for value in values:
            with pytest.raises((TypeError, ValueError), match=f"^{name} must"):
                target.warp_normalize(**{**good, name: value}, mean=0.0, scale=1.0)
    with pytest.raises(ValueError, match="border must be"):
        target.warp_normalize(**good, mean=0.0, scale=1.0, border="mirror")
