"""Exports of freshly initialised networks: the file agrees with PyTorch and knows its own spec."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.onnx_from_checkpoint import EXPORTS, OPSET, onnx_from_model, write_checked
from export.parity import compare
from fer_edge import models


@pytest.fixture(scope="module", params=sorted(EXPORTS))
def exported(request: pytest.FixtureRequest):
    torch.manual_seed(0)
    export = EXPORTS[request.param]
    model = export.model().eval()
    return export, model, onnx_from_model(model, export, export.spec)


def test_file_agrees_with_the_model_at_other_batches_and_sizes(exported):
    export, model, proto = exported
    shapes = [(1, *export.example[1:]), (3, *export.example[1:])]
    if export.spec.role == "detector":
        shapes.append((1, 1, 96, 64))
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    parity = compare(model, proto.SerializeToString(), inputs, export.probabilities)
    assert parity.pictures == len(shapes)
    assert parity.largest_difference < 1e-5
    assert parity.changed_labels == 0


def test_file_carries_its_spec_and_nothing_of_the_builder(exported, tmp_path: Path):
    export, _, proto = exported
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    assert models.read(path).spec == export.spec
    assert [o.version for o in proto.opset_import if o.domain == ""] == [OPSET]
    assert proto.ir_version <= 10
    assert str(Path.cwd()).encode() not in path.read_bytes()
    assert [o.name for o in proto.graph.output] == list(export.outputs)


def test_a_file_that_differs_is_not_written(exported, tmp_path: Path):
    export, model, proto = exported
    broken = onnx.ModelProto()
    broken.CopyFrom(proto)
    for weights in broken.graph.initializer:
        if len(weights.dims) > 1:
            weights.raw_data = (0.5 * np.frombuffer(weights.raw_data, np.float32)).tobytes()
    x = np.random.default_rng(0).normal(size=export.example).astype(np.float32)
    parity = compare(model, broken.SerializeToString(), [x], export.probabilities)
    with pytest.raises(ValueError, match="not written"):
        write_checked(broken, parity, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_embedded_files_are_small_and_standard():
    files = sorted(models.WEIGHTS.glob("*.onnx"))
    assert [f.stem for f in files] == ["face-luma", "tkfnet-nano"]
    assert sum(f.stat().st_size for f in files) <= 6e6
    for file in files:
        proto = onnx.load(file)
        onnx.checker.check_model(proto, full_check=True)
        assert {n.domain for n in proto.graph.node} == {""}
        onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
