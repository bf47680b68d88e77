"""Files with small weights: their size, weights restored at load, the limits on differences."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export import compact, onnx_metadata
from export.certificates.differences import Differences
from fer_edge import models


def matrix_graph(weight: np.ndarray) -> onnx.ModelProto:
    """A MatMul, input [N, I] @ weight [I, O], whose output channels are the last axis."""
    rows, columns = weight.shape
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
        for name, width in (("input", rows), ("logits", columns))
    ]
    node = helper.make_node("MatMul", ["input", "weight"], ["logits"], name="product")
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [numpy_helper.from_array(weight, "weight")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "bytes_each"), [("float16", 2), ("int8", 1)])
def test_command_writes_a_small_file_that_is_restored_at_load(
    weights: str, bytes_each: int, nano_file: Path, faces: Path, tmp_path: Path, command, capsys
):
    out, certificate = tmp_path / "small.onnx", tmp_path / "certificate.json"
    given = ("--data", faces, "--out", out, "--certificate", certificate, "--weights", weights)
    command(compact.main, nano_file, *given)
    before, after = models.read(nano_file), models.read(out)
    assert (after.spec, after.precision) == (replace(before.spec, metrics={}), weights)
    large = compact.MIN_NUMBERS
    stored = [w for w in onnx.load(out).graph.initializer if np.prod(w.dims) >= large]
    assert {w.data_type for w in stored} == {{2: TensorProto.FLOAT16, 1: TensorProto.INT8}[bytes_each]}
    saved = sum((4 - bytes_each) * int(np.prod(w.dims)) for w in stored)
    # Names, scales and the nodes that restore take about 200 bytes a weight and 4 a channel.
    assert before.size_bytes - after.size_bytes > 0.9 * saved - 400 * len(stored)
    content = json.loads(certificate.read_text(encoding="utf-8"))
    assert content["folded"] is True
    assert content["weights"] == weights
    assert content["graph_sha256_after"] == after.graph_sha256
    assert "the speed of float32" in capsys.readouterr().out


def test_int8_scales_lie_along_the_output_channels():
    rng = np.random.default_rng(0)
    # Channels of very different magnitude: a single scale would lose the small ones.
    weight = (rng.normal(size=(64, 32)) * np.logspace(-3, 1, 32)).astype(np.float32)
    spec = onnx_metadata.read_with_metadata(models.WEIGHTS / "tkfnet-nano.onnx")[1]
    result = compact.compacted(matrix_graph(weight), spec, "int8")
    stored = {w.name: numpy_helper.to_array(w) for w in result.graph.initializer}
    assert stored["weight.int8"].dtype == np.int8
    restored = stored["weight.int8"].astype(np.float32) * stored["weight.scale"]
    assert (abs(restored - weight) <= abs(weight).max(0) / 127 * 0.501).all()


def test_a_weight_beyond_float16_is_refused():
    weight = np.full((64, 32), 1e5, np.float32)
    spec = onnx_metadata.read_with_metadata(models.WEIGHTS / "tkfnet-nano.onnx")[1]
    with pytest.raises(ValueError, match="weight must be within float16's 65504, got 1e\\+05; use int8"):
        compact.compacted(matrix_graph(weight), spec, "float16")


def test_weights_that_are_not_folded_are_noticed():
    """A DequantizeLinear is not folded, which is why Cast and Mul are used."""
    spec = onnx_metadata.read_with_metadata(models.WEIGHTS / "tkfnet-nano.onnx")[1]
    folded = compact.compacted(matrix_graph(np.ones((64, 32), np.float32)), spec, "int8")
    assert compact.nodes_after_loading(folded.SerializeToString()) == ["MatMul"]
    slow = matrix_graph(np.ones((64, 32), np.float32))
    levels = numpy_helper.from_array(np.ones((64, 32), np.int8), "levels")
    slow.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones(32, np.float32), "scale"))
    slow.graph.initializer.append(levels)
    restore = helper.make_node("DequantizeLinear", ["levels", "scale"], ["weight"], axis=1)
    slow.graph.node.insert(0, restore)
    slow.ir_version = 8
    assert "DequantizeLinear" in compact.nodes_after_loading(slow.SerializeToString())


@pytest.mark.slow
@pytest.mark.parametrize(
    "worse", [(0.2, 0.0, 0.0, 0.0), (0.0, 0.01, 0.0, 0.0), (0.0, 0.0, 0.05, 0.0), (0.0, 0.0, 0.0, 0.2)]
)
@pytest.mark.parametrize("weights", sorted(compact.LIMITS))
def test_a_file_beyond_the_limits_is_not_written(
    worse: tuple[float, float, float, float], weights: str, nano_file: Path, tmp_path: Path
):
    proto, _ = onnx_metadata.read_with_metadata(nano_file)
    *labels, check = worse
    measured = Differences(100, *labels, 0.8, 0.8, largest_check_difference=check)
    with pytest.raises(ValueError, match="not written, keep float32"):
        compact.write_checked(proto, measured, weights, tmp_path / "small.onnx")
    assert list(tmp_path.iterdir()) == []
