"""Training corrects the exposure of crops as the runtime does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import EXPRESSION_SPEC

from fer_edge.stages.preprocess import correct_exposure
from training.data import crops


@pytest.mark.parametrize("deviation", [3.0, 12.0, 25.0])
def test_training_corrects_the_exposure_as_the_runtime_does(deviation: float) -> None:
    spec = replace(EXPRESSION_SPEC, mean=crops.MEAN, scale=crops.SCALE)
    noise = np.random.default_rng(3).normal(size=(2, 1, 16, 16))
    noise -= noise.mean((1, 2, 3), keepdims=True)
    grey = (noise / noise.std((1, 2, 3), keepdims=True) * deviation + 60).astype(np.float32)
    out = (grey - np.float32(spec.mean)) * np.float32(spec.scale)
    correct_exposure(out, np.full(2, deviation, np.float32), spec)
    theirs = crops.correct_exposure(torch.from_numpy(grey)).numpy()
    np.testing.assert_allclose(out / spec.scale + spec.mean, theirs, atol=0.05)
