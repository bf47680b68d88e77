"""The target "opencv" against the reference.

Tolerance: a sample is taken up to MAX_SHIFT_PX away along each axis, and bilinear interpolation changes by at
most the largest step between neighbours per pixel. So the difference is at most MAX_SHIFT_PX times the sum of
the largest steps along both axes. Two roundings are added: float32 positions of the reference, which grow
with the distance, and float32 sums of at most 255.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from fer_edge.ops import reference, with_opencv

UNIT_ROUNDOFF = 2.0**-24
CAMERA = data.camera()  # uint8 [512, 512]


def similarity(scale, degrees, x, y):
    """Output to plane: turned, scaled, then shifted; float32 [1, 2, 3]."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[[c, -s, x], [s, c, y]]], np.float32)


def warped(operations, plane, matrix, shape, **arguments: object):
    out = np.full((1, 1, *shape), np.nan, np.float32)
    operations.warp_normalize(plane, matrix, out, **{"mean": 0.0, "scale": 1.0, **arguments})
    return out[0, 0]


def tolerance(plane, matrix, shape, fill):
    """The largest difference of grey levels; fill: the level around the plane, None where edges repeat."""
    level = reference._mip_level(plane, reference.level_from_matrix(matrix[0])).astype(np.float32)
    if fill is not None:
        level = np.pad(level, 1, constant_values=fill)
    steps = sum(np.abs(np.diff(level, axis=axis)).max(initial=0) for axis in (0, 1))
    reach = np.abs(matrix[0]) @ (shape[1], shape[0], 1)
    # A position is a sum of three terms; a sample is three interpolations, each of two roundings.
    shift = with_opencv.MAX_SHIFT_PX + 4 * UNIT_ROUNDOFF * reach.max()
    return shift * steps + 6 * UNIT_ROUNDOFF * 255


def assert_close(plane, matrix, shape, border, fill):
    got, expected = (
        warped(operations, plane, matrix, shape, border=border, fill=fill)
        for operations in (with_opencv, reference)
    )
    allowed = tolerance(plane, matrix, shape, fill if border == "constant" else None)
    np.testing.assert_allclose(got, expected, rtol=0, atol=allowed)


@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(0.05, 150),
    degrees=st.floats(-180, 180),
    border=st.sampled_from(["edge", "constant"]),
)
@settings(deadline=None, max_examples=150)
def test_any_similarity(seed, scale, degrees, border):
    rng = np.random.default_rng(seed)
    height, width, rows, columns = rng.integers(1, 80, 4)
    plane = rng.integers(0, 256, (height, width), np.uint8)
    x, y = rng.normal(0.5, 1, 2) * (width, height)
    assert_close(plane, similarity(scale, degrees, x, y), (rows, columns), border, 31.7)


# A face of 100 px, of 200 px, of 1000 px, and letterboxes of 640 and 1920 px.
@pytest.mark.parametrize("scale", [100 / 64, 200 / 64, 1000 / 64, 2, 6])
@pytest.mark.parametrize("degrees", [0, 10, -35])
@pytest.mark.parametrize("border", ["edge", "constant"])
def test_a_photograph(scale, degrees, border):
    for x, y in ((150, 90), (-30, 400)):
        assert_close(CAMERA, similarity(scale, degrees, x, y), (64, 80), border, 118.3)


@pytest.mark.parametrize(("x", "y"), [(-5000, 0), (5000, 0), (0, -15_000), (0, 5000), (1e9, -1e9)])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_out_of_frame(scale, x, y):
    matrix = similarity(scale, 30, x, y)
    arguments = {"border": "constant", "fill": 90.0, "mean": 100.0, "scale": 0.5}
    assert (warped(with_opencv, CAMERA, matrix, (16, 16), **arguments) == -5).all()
    assert_close(CAMERA, matrix, (16, 16), "edge", 0.0)


NUMBERS = st.floats(width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e38, 1e-40])


@given(st.lists(NUMBERS, min_size=6, max_size=6), st.sampled_from(["edge", "constant"]))
@settings(deadline=None, max_examples=100)
def test_any_numbers_in_the_matrix(numbers, border):
    matrix = np.array(numbers, np.float32).reshape(1, 2, 3)
    got = warped(with_opencv, CAMERA[:13, :17], matrix, (7, 19), border=border, fill=-5.0)
    assert np.isfinite(got).all()
    assert got.min() >= -5
    assert got.max() <= 255


@pytest.mark.parametrize("side", [16_001, 40_000])
def test_sides_beyond_those_of_opencv(side):
    plane = np.tile(np.arange(250, dtype=np.uint8), side // 250 + 1)[None, :side].repeat(2, axis=0)
    assert_close(plane, similarity(1, 0, 0.25, 0), (2, side), "edge", 0.0)
    assert_close(plane, similarity(1, 0, side - 40, 0), (2, 30), "edge", 0.0)


def found_with(target):
    """The faces of the astronaut, as a process finds them whose target is this."""
    code = (
        "import dataclasses, json, fer_edge; from skimage import data; "
        "faces = fer_edge.Recognizer(threads=1)(data.astronaut()[..., ::-1].copy()); "
        "print(json.dumps([dataclasses.asdict(face) for face in faces]))"
    )
    environment = {**os.environ, "FER_EDGE_OPS": target}
    return json.loads(subprocess.check_output([sys.executable, "-c", code], env=environment))


def test_the_same_face_as_with_the_reference():
    (face,), (expected,) = found_with("opencv"), found_with("reference")
    assert face["label"] == expected["label"] == "happiness"
    assert face["box"] == pytest.approx(expected["box"], abs=1)
    assert face["probabilities"] == pytest.approx(expected["probabilities"], abs=0.05)
