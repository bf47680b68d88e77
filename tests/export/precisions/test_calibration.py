"""Ranges from histograms: what each method keeps of a known distribution."""

import numpy as np
import onnx
import pytest

from export.precisions.calibration import BINS, METHODS, Histograms

GRAPH = """
<ir_version: 8, opset_import: ["" : 18]>
g (float[N, 4] input) => (float[N, 4] output)
<float two = {2.0}>
{
    doubled = Mul (input, two)
    output = Relu (doubled)
}
"""


def histograms(batches: list[np.ndarray]) -> Histograms:
    return Histograms(onnx.parser.parse_model(GRAPH), ["input", "doubled"], lambda: batches)


def test_largest_is_over_all_batches_and_both_signs():
    batches = [np.full((20, 4), 0.5, np.float32), np.array([[0.1, -3.0, 0.2, 1.0]], np.float32)]
    assert histograms(batches).ranges(METHODS["largest"]) == {"input": 3.0, "doubled": 6.0}


@pytest.mark.parametrize("share", [0.999, 0.9999])
def test_a_percentile_keeps_its_share_of_the_values(share: float):
    x = np.random.default_rng(0).exponential(size=(100_000, 4)).astype(np.float32)
    kept = histograms([x]).ranges(METHODS[f"percentile {100 * share:g}"])["input"]
    expected = float(np.quantile(x, share))
    assert abs(kept - expected) <= 2 * x.max() / BINS


def test_entropy_keeps_a_uniform_distribution_whole_and_cuts_a_lone_outlier():
    rng = np.random.default_rng(0)
    uniform = rng.uniform(-1, 1, (20_000, 4)).astype(np.float32)
    assert histograms([uniform]).ranges(METHODS["entropy"])["input"] > 0.9
    spiked = rng.normal(size=(20_000, 4)).astype(np.float32)
    spiked[0, 0] = 100.0
    assert histograms([spiked]).ranges(METHODS["entropy"])["input"] < 20


def test_a_tensor_of_zeros_gets_a_usable_range():
    ranges = histograms([np.zeros((2, 4), np.float32)]).ranges(METHODS["largest"])
    assert ranges == {"input": 1.0, "doubled": 1.0}
