"""Faces sampled from frames and crops: mean and scale of the spec, and repeated edge pixels."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import EXPRESSION_SPEC

from fer_edge.stages.preprocess import correct_exposure, fill_from_crops, fill_from_frame

SPEC = replace(EXPRESSION_SPEC, mean=100.0, scale=0.5)
IDENTITY = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)


def test_mean_scale_and_repeated_edges() -> None:
    plane = np.arange(100, 106, dtype=np.uint8).reshape(2, 3)
    out = np.full((2, 1, 3, 4), np.nan, np.float32)
    shifted = IDENTITY - np.array([[[0, 0, 1], [0, 0, 0]]], np.float32)
    fill_from_frame(plane, np.concatenate([IDENTITY, shifted]), SPEC, out)
    np.testing.assert_allclose(out[0, 0], [[0, 0.5, 1, 1], [1.5, 2, 2.5, 2.5], [1.5, 2, 2.5, 2.5]])
    np.testing.assert_allclose(out[1, 0], [[0, 0, 0.5, 1], [1.5, 1.5, 2, 2.5], [1.5, 1.5, 2, 2.5]])


def test_each_crop_has_its_matrix_and_its_row() -> None:
    planes = [np.full((2 + number, 3), 100 + number, np.uint8) for number in range(3)]
    planes[1] = np.array([[100, 200]], np.uint8)
    matrices = np.repeat(IDENTITY, 3, axis=0)
    matrices[1, 0, 2] = 1
    out = np.full((3, 1, 1, 2), np.nan, np.float32)
    fill_from_crops(planes, matrices, SPEC, out)
    np.testing.assert_allclose(out[:, 0, 0], [[0, 0], [50, 50], [1, 1]])


def _grey(deviation: float, mean: float = 60.0) -> np.ndarray:
    """A crop [1, 1, 16, 16] in grey levels with this mean and standard deviation."""
    noise = np.random.default_rng(3).normal(size=(1, 1, 16, 16))
    return ((noise - noise.mean()) / noise.std() * deviation + mean).astype(np.float32)


@pytest.mark.parametrize(("mean", "scale"), [(129.0, 1 / 64), (0.0, 1 / 255), (255.0, -1 / 64)])
def test_crops_of_little_contrast_are_stretched(mean: float, scale: float) -> None:
    spec = replace(EXPRESSION_SPEC, mean=mean, scale=scale)
    deviations = (0.5, 5.0, 19.9, 20.1)
    grey = np.concatenate([_grey(value) for value in deviations])
    out = (grey - np.float32(spec.mean)) * np.float32(spec.scale)
    correct_exposure(out, np.array(deviations, np.float32), spec)
    found = out / spec.scale + spec.mean
    np.testing.assert_allclose(found[[0, 3]], grey[[0, 3]], rtol=1e-4)
    for row in (1, 2):
        expected = np.clip((grey[row] - 60) * 50 / deviations[row] + 129, 0, 255)
        np.testing.assert_allclose(found[row], expected, atol=0.02)
