"""`python -m export.triton_repository`: what it writes and refuses."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import EXPRESSION_SPEC, expression_graph

from export import triton_repository

Command = Callable[..., None]


def test_files_of_the_repository(
    detector_file: Path, expression_file: Path, command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "models"
    command(triton_repository.main, out, "--model", expression_file, "--detector", detector_file)
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert found == [
        "bright-cells/1/model.onnx",
        "bright-cells/config.pbtxt",
        "bright-is-happy/1/model.onnx",
        "bright-is-happy/config.pbtxt",
        "bright-is-happy/labels.txt",
        "fer_edge/1/detector.onnx",
        "fer_edge/1/expression.onnx",
        "fer_edge/1/model.py",
        "fer_edge/config.pbtxt",
    ]
    assert (out / "bright-is-happy" / "labels.txt").read_text().splitlines() == list(EXPRESSION_SPEC.labels)
    assert (out / "fer_edge" / "1" / "expression.onnx").read_bytes() == expression_file.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_a_folder_with_content_is_kept(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(SystemExit, match="2"):
        command(triton_repository.main, tmp_path)
    assert "must not exist, or be an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--instances", 0), "--instances must be at least 1, got 0"),
        (("--model", "missing.onnx"), "is no file, nor an embedded model"),
        (("--model", "face-luma"), "has the role 'detector'"),
    ],
)
def test_wrong_arguments(
    arguments: tuple[object, ...],
    message: str,
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(triton_repository.main, tmp_path / "out", *arguments)
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_fixed_batch_is_refused(
    write_model: Callable[..., Path], detector_file: Path, tmp_path: Path
) -> None:
    fixed = write_model(expression_graph(batch=1), EXPRESSION_SPEC)
    with pytest.raises(ValueError, match="must have a batch of any size, got 1"):
        triton_repository.write_repository(tmp_path / "out", str(fixed), str(detector_file), 1)
