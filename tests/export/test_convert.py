"""export.convert and export.verify as commands: files, certificates, exit codes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import skimage
from onnx import numpy_helper

from export import convert, onnx_metadata, verify
from export.blocks import flavour_of
from export.certificates import certificate
from export.certificates.certificate import Limits
from export.precisions import PRECISIONS, precision_of
from fer_edge import models
from training.data.split import load_prepared

LOOSE = Limits(largest_difference=1.0, changed_labels=1.0, lost_points=100.0)


@pytest.fixture
def loose(monkeypatch: pytest.MonkeyPatch) -> None:
    """No limits: the labels of an untrained network change with any rounding."""
    for precision in PRECISIONS:
        monkeypatch.setitem(certificate.LIMITS["expression"], precision, LOOSE)


def exit_code(command, *arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        command(*arguments)
    return ended.value.code


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "flavour"),
    [("fp32", "fused"), ("fp16", "plain"), ("fp16", "fused"), ("int8-trt", "plain"), ("int8-cpu", "plain")],
)
def test_file_and_certificate_are_written_and_verified(
    precision: str, flavour: str, nano_file: Path, faces: Path, tmp_path: Path, command, capsys, loose
):
    out = tmp_path / "out" / "network.onnx"
    words = ("--precision", precision, "--flavour", flavour, "--data", faces, "--out", out)
    command(convert.main, nano_file, *words, *(("--float32", "head") if precision == "int8-cpu" else ()))
    (line,) = [text for text in capsys.readouterr().out.splitlines() if text.startswith("small")]
    assert line.startswith(f"small {precision} {flavour}: ")
    content = json.loads(out.with_suffix(".certificate.json").read_text(encoding="utf-8"))
    file = models.read(out)
    assert (content["file_sha256"], content["graph_sha256"]) == (file.sha256, file.graph_sha256)
    assert content["reference_graph_sha256"] == models.read(nano_file).graph_sha256
    assert (content["precision"], content["flavour"], content["pictures"]) == (precision, flavour, 64)
    spec = models.read(nano_file).spec
    assert file.spec == (spec if precision == "fp32" else replace(spec, metrics={}))
    assert f"{content['changed_labels']:.2%} of 64 labels" in line
    proto = onnx.load(out)
    assert (precision_of(proto), flavour_of(proto)) == (precision, flavour)
    again = tmp_path / "again.json"
    given = ("--data", faces, "--certificate", out.with_suffix(".certificate.json"), "--out", again)
    backend = ("--backend", convert.MEASURED_ON[precision])
    assert exit_code(command, verify.main, out, nano_file, *given, *backend) == 0
    assert line in capsys.readouterr().out
    measured = json.loads(again.read_text(encoding="utf-8"))
    assert {key: content[key] for key in measured if key != "context"} == {
        key: value for key, value in measured.items() if key != "context"
    }


@pytest.mark.slow
def test_the_calibration_is_the_best_of_those_measured(
    nano_file: Path, faces: Path, tmp_path: Path, command, loose
):
    out, path = tmp_path / "network.onnx", tmp_path / "own.json"
    words = ("--precision", "int8-trt", "--data", faces, "--out", out, "--certificate", path)
    command(convert.main, nano_file, *words)
    content = json.loads(path.read_text(encoding="utf-8"))
    means = content["mean_difference_by_calibration"]
    assert len(means) == 5
    assert means[content["calibration"]] == min(means.values())
    assert (content["calibration_pictures"], content["calibration_data"]) == (32, f"valid of {faces.name}")


@pytest.mark.slow
def test_own_pictures_calibrate(nano_file: Path, faces: Path, tmp_path: Path, command, loose):
    own, out = tmp_path / "own", tmp_path / "network.onnx"
    own.mkdir()
    for k, image in enumerate(load_prepared(faces, "train").images[:6]):
        cv2.imwrite(str(own / f"{k}.png"), image)
    words = ("--precision", "int8-trt", "--data", faces, "--calibrate", own, "--out", out)
    command(convert.main, nano_file, *words)
    content = json.loads(out.with_suffix(".certificate.json").read_text(encoding="utf-8"))
    assert (content["calibration_data"], content["calibration_pictures"]) == ("pictures of own", 2)
    assert (content["data"], content["pictures"]) == (f"test of {faces.name}", 64)


@pytest.mark.slow
def test_a_broken_limit_is_exit_code_1_and_nothing_is_converted(
    nano_file: Path, faces: Path, tmp_path: Path, command, capsys, monkeypatch
):
    out = tmp_path / "network.onnx"
    words = ("--precision", "fp16", "--data", faces, "--out", out)
    command(convert.main, nano_file, *words)
    monkeypatch.setitem(certificate.LIMITS["expression"], "fp16", Limits(1e-9, 0.5, 100.0))
    capsys.readouterr()
    assert exit_code(command, verify.main, out, nano_file, "--data", faces) == 1
    assert "network.onnx: largest difference" in capsys.readouterr().err
    out.unlink()
    assert exit_code(command, convert.main, nano_file, *words) == 2
    assert "was not written: largest difference" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_a_file_that_is_not_the_certified_one_is_exit_code_1(
    nano_file: Path, faces: Path, tmp_path: Path, command, capsys, loose
):
    out = tmp_path / "network.onnx"
    command(convert.main, nano_file, "--precision", "fp16", "--data", faces, "--out", out)
    proto, _ = onnx_metadata.read_with_metadata(out)
    proto.graph.node[0].name = "another"
    onnx.save(proto, out)
    given = ("--data", faces, "--certificate", out.with_suffix(".certificate.json"))
    assert exit_code(command, verify.main, out, nano_file, *given) == 1
    errors = capsys.readouterr().err
    assert "file_sha256 is" in errors
    assert "graph_sha256 is" in errors
    assert "data_sha256" not in errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--precision", "int8-cpu", "--flavour", "fused"), "--flavour fused is for TensorRT"),
        (("--precision", "int8-trt", "--float16-ends"), "--float16-ends needs --precision fp16"),
        (
            ("--precision", "int8-cpu", "--float32", "eyes"),
            "must name parts of first convolution, tafe, dcif, head, crop_check, got 'eyes'",
        ),
        (("--precision", "fp16", "--data", "/nowhere"), "/nowhere must be a folder of pictures"),
    ],
)
def test_wrong_words_are_one_line(words: tuple[str, ...], message: str, faces: Path, command, capsys):
    given = ("--data", faces, "--out", "never.onnx", *words)
    assert exit_code(command, convert.main, "tkfnet-nano-float32", *given) == 2
    assert message in capsys.readouterr().err


def test_a_converted_file_is_refused(faces: Path, command, capsys):
    given = ("--precision", "fp16", "--data", faces, "--out", "never.onnx")
    assert exit_code(command, convert.main, "tkfnet-nano", *given) == 2
    assert "tkfnet-nano must be a plain float32 file, got int8-cpu and plain" in capsys.readouterr().err


def test_a_reference_of_another_network_is_refused(faces: Path, command, capsys):
    file = models.WEIGHTS / "tkfnet-nano.onnx"
    assert exit_code(command, verify.main, file, "face-luma", "--data", faces) == 2
    assert "must have the role of face-luma, 'detector', got 'expression'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reference", "values", "message"),
    [
        ("tkfnet-nano-float32", {"mean": 0.0}, "the mean of tkfnet-nano-float32, 129.0, got 0.0"),
        ("tkfnet-nano-float32", {"scale": 1.0}, "the scale of"),
        ("tkfnet-nano-float32", {"template": ((0.5, 0.5),) * 5}, "the template of"),
        ("tkfnet-nano-float32", {"max_covered": 0.0}, "the max_covered of"),
        ("face-luma", {"threshold": 0.9}, "the threshold of face-luma, 0.66, got 0.9"),
        ("face-luma", {"input_multiple": 64}, "the input_multiple of face-luma, 32, got 64"),
    ],
)
def test_a_file_that_is_used_in_another_way_is_refused(
    reference: str, values: dict[str, object], message: str, faces: Path, tmp_path: Path, command, capsys
):
    proto, spec = onnx_metadata.read_with_metadata(models.path_of(reference), role=None)
    out = tmp_path / "network.onnx"
    onnx_metadata.write_onnx(onnx_metadata.with_metadata(proto, replace(spec, **values)), out)
    assert exit_code(command, verify.main, out, reference, "--data", faces) == 2
    assert message in capsys.readouterr().err


def with_shifted(reference: str, name: str, change: np.ndarray, out: Path) -> Path:
    """An embedded network with changed biases."""
    proto = onnx.load(models.path_of(reference))
    for weight in proto.graph.initializer:
        if weight.name == name:
            bias = numpy_helper.to_array(weight) + change.astype(np.float32)
            weight.CopyFrom(numpy_helper.from_array(bias, name))
    onnx.save(proto, out)
    return out


@pytest.mark.parametrize(
    ("shift", "code", "message"),
    [(50.0, 1, "difference of the crop check"), (np.nan, 2, "NaN or infinite")],
)
def test_a_broken_crop_check_is_not_verified(
    shift: float, code: int, message: str, faces: Path, tmp_path: Path, command, capsys
):
    """The runtime would withhold every label, or refuse the file."""
    reference = "tkfnet-nano-float32"
    file = with_shifted(reference, "crop_check.layers.5.bias", np.full(2, shift), tmp_path / "network.onnx")
    assert exit_code(command, verify.main, file, reference, "--data", faces) == code
    assert message in capsys.readouterr().err


def test_a_detector_with_other_landmarks_is_not_verified(tmp_path: Path, command, capsys):
    data, file = tmp_path / "photos", tmp_path / "network.onnx"
    data.mkdir()
    for k in range(3):
        cv2.imwrite(str(data / f"{k}.png"), skimage.data.astronaut()[..., ::-1])
    shutil.copy(models.path_of("face-luma"), file)
    assert exit_code(command, verify.main, file, "face-luma", "--data", data) == 0
    for stride in range(3):
        change = np.concatenate([np.zeros(5), 3 * np.arange(10)])
        with_shifted(file, f"head.{stride}.bias", change, file)
    capsys.readouterr()
    assert exit_code(command, verify.main, file, "face-luma", "--data", data) == 1
    errors = capsys.readouterr().err
    assert "distance of a landmark" in errors
    assert "distance of a box" not in errors
