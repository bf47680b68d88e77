"""int8 files of a tiny network: stored types, parts in float32, and the choice of the shipped file."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export import compare, int8, onnx_metadata
from export.differences import Differences, differences, probabilities
from export.latency import PairedTimes, time_in_pairs
from fer_edge import models
from fer_edge.models import ModelError
from training.data.split import load_prepared


@pytest.fixture(scope="module")
def converted(nano_file: Path, faces: Path):
    proto, spec = onnx_metadata.read_with_metadata(nano_file)
    in_float = int8.parts_of(proto)["head"]
    crops = int8.calibration_crops(faces, spec.size)
    return proto, spec, int8.quantised(proto, spec, crops, in_float), in_float


def producers(proto: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {output: node for node in proto.graph.node for output in node.output}


def test_weights_are_7_bit_per_channel_and_biases_32_bit(converted):
    _, _, result, in_float = converted
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


def test_excluded_nodes_and_products_of_activations_stay_float(converted):
    _, _, result, in_float = converted
    weights = {w.name: w for w in result.graph.initializer}
    excluded = [n for n in result.graph.node if n.name in in_float]
    assert len(excluded) == 3
    assert {weights[n.input[1]].data_type for n in excluded} == {onnx.TensorProto.FLOAT}


def test_the_spec_is_kept_and_the_precision_is_known(converted, tmp_path: Path):
    proto, spec, result, _ = converted
    onnx_metadata.write_onnx(result, tmp_path / "int8.onnx")
    file = models.read(tmp_path / "int8.onnx")
    assert (file.spec, file.precision) == (spec, "int8")
    assert {n.domain for n in result.graph.node} == {""}
    assert [p.key for p in result.metadata_props] == ["fer_edge"]
    assert result.ir_version == proto.ir_version


def test_the_file_is_close_and_independent_of_the_batch(converted, faces: Path):
    proto, spec, result, _ = converted
    valid = load_prepared(faces, "valid")
    measured = differences(proto.SerializeToString(), result.SerializeToString(), valid, spec)
    # Rounded, but still the same network: an untrained one's probabilities spread by about 0.1.
    assert 0 < measured.mean_difference < 0.01
    whole = probabilities(result.SerializeToString(), valid, spec)
    alone = probabilities(result.SerializeToString(), valid.take(slice(5, 6)), spec)
    np.testing.assert_allclose(alone[0], whole[5], atol=1e-6)


def test_calibration_crops_are_the_same_every_time(faces: Path):
    np.testing.assert_array_equal(int8.calibration_crops(faces, 48), int8.calibration_crops(faces, 48))


def test_parts_are_the_modules_beside_the_trunk(converted):
    proto, *_ = converted
    parts = int8.parts_of(proto)
    assert set(parts) == {"first convolution", "tafe", "dcif", "head"}
    assert len(parts["first convolution"]) == 1
    assert parts["first convolution"].isdisjoint(parts["tafe"] | parts["dcif"] | parts["head"])


@pytest.mark.parametrize(
    ("after", "ratios", "ship"),
    [
        (0.800, (0.5, 0.6), "int8"),
        (0.796, (0.5, 0.6), "int8"),
        (0.794, (0.5, 0.6), "float32"),
        (0.800, (0.5, 1.01), "float32"),
        (0.900, (1.2, 0.6), "float32"),
    ],
)
def test_int8_is_shipped_when_faster_and_as_accurate(after: float, ratios: tuple[float, float], ship: str):
    measured = Differences(100, 0.1, 0.01, 0.0, 0.8, after, "", "")
    timed = [
        PairedTimes(n, 20, 1.0, r, r - 0.1, r - 0.2, r) for n, r in zip(compare.BATCHES, ratios, strict=True)
    ]
    assert int8.choose_precision(measured, timed) == ship


def test_pairs_run_both_files_and_order_their_quartiles(converted):
    proto, _, result, _ = converted
    x = np.zeros((2, 1, 64, 64), np.float32)
    pairs = time_in_pairs(proto.SerializeToString(), result.SerializeToString(), x, 6)
    assert (pairs.batch, pairs.pairs) == (2, 6)
    assert 0 < pairs.ratio_25 <= pairs.ratio <= pairs.ratio_75
    assert min(pairs.first_ms, pairs.second_ms) > 0


@pytest.mark.slow
def test_command_writes_file_and_certificate(
    nano_file: Path, faces: Path, tmp_path: Path, command, monkeypatch
):
    monkeypatch.setattr(compare, "PAIRS", 3)
    out, certificate = tmp_path / "int8.onnx", tmp_path / "certificate.json"
    command(int8.main, nano_file, "--data", faces, "--out", out, "--certificate", certificate)
    content = json.loads(certificate.read_text(encoding="utf-8"))
    assert content["graph_sha256_after"] == models.read(out).graph_sha256
    assert content["graph_sha256_before"] == models.read(nano_file).graph_sha256
    assert set(content["in_float32"]) <= {"first convolution", "tafe", "dcif", "head"}
    assert [row["batch"] for row in content["latency"]] == [1, 8]
    assert content["ship"] in ("int8", "float32")
    again = tmp_path / "again.onnx"
    command(int8.main, nano_file, "--data", faces, "--out", again, "--float32", *content["in_float32"])
    assert models.read(again).sha256 == models.read(out).sha256


def test_an_unknown_part_is_refused_with_the_known_ones(nano_file: Path, faces: Path, command, capsys):
    with pytest.raises(SystemExit):
        command(int8.main, nano_file, "--data", faces, "--out", "never.onnx", "--float32", "eyes")
    assert "must name parts of first convolution, tafe, dcif, head, got 'eyes'" in capsys.readouterr().err


def test_a_detector_is_refused():
    with pytest.raises(ModelError, match="must be an expression network, got role 'detector'"):
        onnx_metadata.read_with_metadata(models.WEIGHTS / "face-luma.onnx")
