"""Exports of untrained networks: the file agrees with PyTorch and carries its spec."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tiny_networks import TINY, saved_checkpoint, tiny
from torch import nn

from export.blocks import fused_from_plain
from export.certificates.networks import OnnxNetwork, outputs_of
from export.certificates.parity import compare
from export.export_specs import detector_export_spec, expression_export_spec, expression_from_checkpoint
from export.onnx_from_checkpoint import OPSET, onnx_from_model, write_checked
from export.onnx_metadata import IR_VERSION
from fer_edge import models
from fer_edge.models import ModelError
from training.loop.checkpoint import save_checkpoint
from training.models import EXPRESSION_MODELS
from training.models.face_luma import FaceLuma
from training.models.tafe import Tafe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["face-luma", *EXPRESSION_MODELS])
def exported(request: pytest.FixtureRequest):
    torch.manual_seed(0)
    name = request.param
    model = FaceLuma().eval() if name == "face-luma" else tiny(name)
    export = detector_export_spec() if name == "face-luma" else expression_export_spec(model, name)
    return export, model, onnx_from_model(model, export, export.model_spec)


def test_file_agrees_with_the_model_at_other_batches_and_sizes(exported):
    export, model, proto = exported
    shapes = [(1, *export.example[1:]), (3, *export.example[1:])]
    if export.model_spec.role == "detector":
        shapes.append((1, 1, 96, 64))
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    parity = compare(model, proto.SerializeToString(), inputs, export.probabilities)
    assert parity.pictures == sum(len(x) for x in inputs)
    assert parity.largest_difference < 1e-5
    assert parity.largest_output_difference < 1e-4
    assert parity.changed_labels == 0


def test_file_carries_its_spec_and_nothing_of_the_builder(exported, tmp_path: Path):
    export, _, proto = exported
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    assert models.read(path).spec == export.model_spec
    assert [o.version for o in proto.opset_import if o.domain == ""] == [OPSET]
    assert proto.ir_version == IR_VERSION
    assert str(Path.cwd()).encode() not in path.read_bytes()
    assert [o.name for o in proto.graph.output] == list(export.outputs)


def test_the_exporter_complains_of_nothing_that_a_user_could_change(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
):
    export = detector_export_spec()
    onnx_from_model(FaceLuma().eval(), export, export.model_spec)
    assert not [record for record in caplog.records if record.name.startswith("torch.onnx")]
    assert not [warning for warning in recwarn if "treespec" in str(warning.message)]


def test_each_layer_norm_is_one_node(exported):
    export, model, proto = exported
    layers = sum(isinstance(m, nn.LayerNorm) for m in model.modules())
    assert sum(n.op_type == "LayerNormalization" for n in proto.graph.node) == layers
    assert bool(layers) == (export.model_spec.name == "conv-cut")


BLOCKS = {
    "tkfnet": ["MultiBranchAttention", "DCIF"],
    "tkfnet-nano": ["MultiBranchAttention", "DCIF"],
    "conv-cut": ["TokenAttention"],
}


def test_the_fused_file_agrees_with_the_plain_file(exported):
    export, _, proto = exported
    if export.model_spec.name not in BLOCKS:
        with pytest.raises(ModelError, match="got none; its flavour is plain"):
            fused_from_plain(proto)
        return
    fused = fused_from_plain(proto)
    onnx.checker.check_model(fused, full_check=True)
    assert [n.op_type for n in fused.graph.node if n.domain] == BLOCKS[export.model_spec.name]
    x = np.random.default_rng(0).normal(size=(3, *export.example[1:])).astype(np.float32)
    ours, theirs = (outputs_of(OnnxNetwork(m.SerializeToString()), x)[0] for m in (proto, fused))
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_concatenated_branches_are_fused_too():
    torch.manual_seed(0)
    block = Tafe(16, fusion="concatenate").eval()
    torch.nn.init.normal_(block.beta)
    x = torch.randn(2, 16, 6, 6)
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.onnx.export(
        block,
        (x,),
        dynamo=True,
        opset_version=OPSET,
        input_names=["input"],
        dynamic_shapes=shapes,
        verbose=False,
    )
    fused = fused_from_plain(program.model_proto)
    assert [n.op_type for n in fused.graph.node if n.domain] == ["MultiBranchAttention"]
    got = outputs_of(OnnxNetwork(fused.SerializeToString()), x.numpy())[0]
    np.testing.assert_allclose(got, block(x).detach().numpy(), atol=1e-5)


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


class MovedBoxes(nn.Module):
    """The embedded detector with boxes and landmarks elsewhere, and with its scores."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._network = OnnxNetwork(file.read_bytes())

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        outputs = [torch.from_numpy(output) for output in outputs_of(self._network, x.numpy())]
        for output in outputs:
            output[:, 1:] += 7
        return outputs


def test_a_file_with_other_boxes_is_not_written(tmp_path: Path):
    file = models.WEIGHTS / "face-luma.onnx"
    x = np.random.default_rng(0).normal(size=(1, 1, 64, 64)).astype(np.float32)
    parity = compare(MovedBoxes(file), file.read_bytes(), [x], detector_export_spec().probabilities)
    assert parity.largest_difference == 0
    with pytest.raises(ValueError, match="an output differs from its checkpoint's by"):
        write_checked(onnx.load(file), parity, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_command_writes_file_and_certificate(nano_file: Path):
    spec = models.read(nano_file).spec
    assert (spec.name, spec.version, spec.size) == ("small", "7.5", 64)
    assert (spec.temperature, spec.min_confidence, spec.metrics) == (0.75, 0.625, {"accuracy": 0.125})
    certificate = json.loads((nano_file.parent / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["pictures"] == 64
    file = models.read(nano_file)
    assert (certificate["graph_sha256"], certificate["file_sha256"]) == (file.graph_sha256, file.sha256)
    checkpoint = (nano_file.parent / "tkfnet-nano.pt").read_bytes()
    assert certificate["checkpoint_sha256"] == hashlib.sha256(checkpoint).hexdigest()


@pytest.mark.parametrize("name", EXPRESSION_MODELS)
def test_the_spec_follows_the_checkpoint(name: str, tmp_path: Path):
    model, export = expression_from_checkpoint(saved_checkpoint(name, tmp_path))
    assert (export.model_spec.name, export.model_spec.size) == (name, TINY[name].get("size", 64))
    assert export.example == (2, 1, model.size, model.size)


def test_colour_is_refused_because_the_runtime_feeds_none(tmp_path: Path):
    options = TINY["tkfnet"] | {"channels": 3}
    model = EXPRESSION_MODELS["tkfnet"](**options)
    content = {"ema": model.state_dict(), "settings": {"model": "tkfnet", "options": options}}
    save_checkpoint(tmp_path / "colour.pt", content)
    with pytest.raises(ValueError, match="channels must be 1"):
        expression_from_checkpoint(tmp_path / "colour.pt")


def test_embedded_files_are_small_and_standard():
    files = sorted(models.WEIGHTS.glob("*.onnx"))
    assert {"face-luma", "tkfnet-nano"} <= {f.stem for f in files}
    assert sum(f.stat().st_size for f in files) <= 20e6
    for file in files:
        proto = onnx.load(file)
        onnx.checker.check_model(proto, full_check=True)
        assert {n.domain for n in proto.graph.node} == {""}
        assert models.read(file).spec.role == ("detector" if file.stem == "face-luma" else "expression")
        onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
