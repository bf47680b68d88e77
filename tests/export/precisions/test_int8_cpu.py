"""int8 files for CPUs: stored types, parts in float32, and independence of the batch."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export import onnx_metadata
from export.certificates.networks import OnnxNetwork, outputs_of
from export.certificates.pictures import pictures_from_folder
from export.precisions import int8_cpu
from fer_edge import models


@pytest.fixture(scope="module")
def converted(nano_file: Path, faces: Path):
    proto, spec = onnx_metadata.read_with_metadata(nano_file)
    in_float = int8_cpu.parts_of(proto)["head"]
    uses = pictures_from_folder(faces, spec)
    result = int8_cpu.int8_from_float32(proto, uses.calibration().inputs(), in_float)
    return proto, onnx_metadata.with_metadata(result, spec), in_float, uses


def producers(proto: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {output: node for node in proto.graph.node for output in node.output}


def test_weights_are_7_bit_per_channel_and_biases_32_bit(converted):
    _, result, in_float, _ = converted
    weights = {w.name: numpy_helper.to_array(w) for w in result.graph.initializer}
    made_by = producers(result)
    quantised = [n for n in result.graph.node if n.op_type in ("Conv", "Gemm") and n.name not in in_float]
    assert len(quantised) > 10
    for node in quantised:
        restored = made_by[node.input[1]]
        assert restored.op_type == "DequantizeLinear"
        levels, scale = (weights[name] for name in restored.input[:2])
        assert levels.dtype == np.int8
        assert abs(levels.astype(int)).max() == 64
        assert scale.shape == (len(levels),)
        assert weights[made_by[node.input[0]].input[2]].dtype == np.uint8
        if len(node.input) > 2:
            assert weights[made_by[node.input[2]].input[0]].dtype == np.int32


def test_excluded_nodes_stay_float(converted):
    _, result, in_float, _ = converted
    weights = {w.name: w for w in result.graph.initializer}
    excluded = [n for n in result.graph.node if n.name in in_float]
    assert len(excluded) == 3
    assert {weights[n.input[1]].data_type for n in excluded} == {onnx.TensorProto.FLOAT}


def test_the_spec_is_kept_and_the_precision_is_known(converted, tmp_path: Path):
    proto, result, *_ = converted
    onnx_metadata.write_onnx(result, tmp_path / "int8.onnx")
    file = models.read(tmp_path / "int8.onnx")
    assert file.precision == "int8"
    assert {n.domain for n in result.graph.node} == {""}
    assert [p.key for p in result.metadata_props] == ["fer_edge"]
    assert result.ir_version == proto.ir_version


def test_the_file_is_close_and_independent_of_the_batch(converted):
    proto, result, _, uses = converted
    network = OnnxNetwork(result.SerializeToString())
    measured = uses.certificate().differences(OnnxNetwork(proto.SerializeToString()), network)
    # Rounded, but still the same network: an untrained one's probabilities spread by about 0.1.
    assert 0 < measured.mean_difference < 0.01
    x = next(uses.certificate().inputs())
    np.testing.assert_allclose(outputs_of(network, x[5:6])[0][0], outputs_of(network, x)[0][5], atol=1e-6)


def test_parts_are_the_modules_beside_the_trunk(converted):
    parts = int8_cpu.parts_of(converted[0])
    assert set(parts) == {"first convolution", "tafe", "dcif", "head"}
    assert len(parts["first convolution"]) == 1
    assert parts["first convolution"].isdisjoint(parts["tafe"] | parts["dcif"] | parts["head"])


@pytest.mark.slow
def test_measured_parts_are_printed_with_what_stays(converted, monkeypatch, capsys):
    monkeypatch.setattr(int8_cpu, "PAIRS", 3)
    proto, _, _, uses = converted
    kept = int8_cpu.float_parts(proto, uses.calibration(), uses.choice())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 4
    assert [line[:20].rstrip() for line in lines if line.endswith("stays")] == kept
