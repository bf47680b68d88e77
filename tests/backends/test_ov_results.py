"""What OpenVINO answers, beside ONNX Runtime, its certificate, and its own networks for single shapes."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fer_edge import Recognizer, models
from fer_edge.backends.ort import OrtBackend
from fer_edge.device.processor import has_bfloat16

pytestmark = pytest.mark.openvino


def test_the_embedded_models_find_and_name_the_same(astronaut: Any) -> None:
    for model in ("tkfnet-nano", "tkfnet-nano-float32"):
        (ours,) = Recognizer(model, backend="openvino")(astronaut)
        (expected,) = Recognizer(model, backend="onnxruntime")(astronaut)
        assert (ours.label, ours.abstain_reason) == (expected.label, expected.abstain_reason)
        eyes = float(np.hypot(*np.subtract(*expected.landmarks[:2])))
        # bfloat16 has 8 bits: a landmark, some 40 px from the centre of its cell, moves by up to 0.4 %
        # of it in each layer.
        assert np.abs(np.subtract(ours.landmarks, expected.landmarks)).max() < 0.02 * eyes
        assert abs(ours.confidence - expected.confidence) < 0.02


def test_a_certificate_says_in_which_numbers_it_computes(
    astronaut: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Not above: the tests of the runtime alone read this file too.
    from export import verify

    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), astronaut)
    given = ["verify", "face-luma", "face-luma", "--data", str(tmp_path), "--backend", "openvino"]
    monkeypatch.setattr(sys, "argv", [*given, "--out", str(tmp_path / "certificate.json")])
    with pytest.raises(SystemExit) as ended:
        verify.main()
    assert ended.value.code == 0, capsys.readouterr().err
    bfloat16 = has_bfloat16()
    assert (
        capsys.readouterr().out.strip().endswith("(on openvino in bfloat16)" if bfloat16 else "(on openvino)")
    )
    content = json.loads((tmp_path / "certificate.json").read_text(encoding="utf-8"))
    assert (content["precision"], content["arithmetic"]) == ("fp32", "bf16" if bfloat16 else "fp32")
    # Rounding to bfloat16 shows; in float32 only the order of the sums differs.
    assert (content["mean_difference"] > 1e-5) == bfloat16


def test_a_shape_that_comes_back_gets_a_network_of_its_own_with_the_same_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fer_edge.backends import ov

    monkeypatch.setattr(ov, "SHAPES_WITH_OWN_NETWORK", 2)
    backend = ov.OvBackend(models.load("face-luma", "detector"), 1)
    made: list[tuple[int, ...]] = []
    compile_network = backend._compile
    monkeypatch.setattr(
        backend, "_compile", lambda n: made.append(tuple(n.input(0).shape)) or compile_network(n)
    )
    random = np.random.default_rng(0)
    pictures = [random.normal(0, 1, (1, 1, side, side)).astype(np.float32) for side in (64, 96, 128)]

    def outputs(x: Any) -> Any:
        backend.reserve(x.shape)[...] = x
        return backend.run()

    first = [outputs(x) for x in pictures]
    for _ in range(3 * ov.RUNS_OF_A_SHAPE):
        for x, expected in zip(pictures, first, strict=True):
            for got, wanted in zip(outputs(x), expected, strict=True):
                np.testing.assert_array_equal(got, wanted)
    assert made == [x.shape for x in pictures[:2]]
    with ThreadPoolExecutor(6) as threads:
        for k, results in enumerate(threads.map(outputs, pictures * 4)):
            for got, wanted in zip(results, first[k % 3], strict=True):
                np.testing.assert_array_equal(got, wanted)
    assert len(made) == 2
    backend.close()
    with pytest.raises(RuntimeError, match="closed"):
        outputs(pictures[0])


def test_int8_logits_differ_by_the_rounding_of_one_step_only() -> None:
    from fer_edge.backends.ov import OvBackend

    file = models.load("tkfnet-nano", "expression")
    random = np.random.default_rng(0)
    size = file.spec.size
    # Smooth pictures, as faces are: their values stay within the calibrated range.
    x = random.normal(0, 1, (16, 1, size // 8, size // 8)).repeat(8, 2).repeat(8, 3).astype(np.float32)
    results = []
    for network in (OvBackend(file, 1), OrtBackend(file, 1)):
        network.reserve(x.shape)[...] = x
        results.append(network.run()[0])
    difference = np.abs(results[0] - results[1])
    assert 0 < difference.max() < 1.0
    assert difference.mean() < 0.1
