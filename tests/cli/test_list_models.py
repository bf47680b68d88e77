"""`fer-edge models`: the embedded models as text and as JSON."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import EXPRESSION_SPEC, expression_graph

from fer_edge import models
from fer_edge.cli import main
from fer_edge.installation.repair_commands import RESTORE

Output = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("installed")
def test_models_as_text_and_json(capsys: Output) -> None:
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    out = capsys.readouterr().out
    records = json.loads(out)
    # One field per line, so that people can read it.
    assert out == json.dumps(records, indent=2) + "\n"
    assert [record["role"] for record in records] == ["detector", "expression"]
    for record in records:
        assert record["sha256"] in text
        assert f"{record['parameters']:,} parameters" in text
        assert record["licence"] in text
        assert Path(record["path"]).stat().st_size == record["size_bytes"]


def test_models_without_any(installed: Path, capsys: Output) -> None:
    for path in installed.glob("*.onnx"):
        path.unlink()
    assert main(["models"]) == 2
    assert capsys.readouterr().err == f"fer-edge: no embedded models; {RESTORE}\n"


@pytest.mark.usefixtures("installed")
def test_models_as_exact_text(capsys: Output, detector_file: Path) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    model = models.read(detector_file)
    assert lines[:7] == [
        "face-luma  (detector, version 0)",
        f"  size     {model.size_bytes / 1000:,.0f} kB, 20,205 parameters, float32",
        "  licence  not stated",
        "  source   not stated",
        "  metrics  none stated",
        f"  sha256   {model.sha256}",
        "",
    ]
    assert lines[7] == "tkfnet-nano  (expression, version 0)"
    assert len(lines) == 14


def test_models_as_json_have_all_fields(installed: Path, capsys: Output) -> None:
    assert main(["models", "--json"]) == 0
    for record, name in zip(json.loads(capsys.readouterr().out), ("face-luma", "tkfnet-nano"), strict=True):
        model = models.read(installed / f"{name}.onnx")
        spec = json.loads(model.spec.to_json())
        facts = {"size_bytes": model.size_bytes, "parameters": model.parameters, "precision": "float32"}
        hashes = {"sha256": model.sha256, "graph_sha256": model.graph_sha256}
        assert record == {**spec, **facts, **hashes, "path": str(model.path)}


def test_a_model_with_metrics(installed: Path, write_model: Callable[..., Path], capsys: Output) -> None:
    spec = dataclasses.replace(EXPRESSION_SPEC, metrics={"accuracy": 0.123456, "faces": 3}, licence="CC0")
    shutil.copy(write_model(expression_graph(), spec), installed / "tkfnet-nano.onnx")
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "  metrics  accuracy 0.1235, faces 3\n" in out
    assert "  licence  CC0\n" in out


def test_a_broken_embedded_model_is_one_line(installed: Path, capsys: Output) -> None:
    (installed / "tkfnet-nano.onnx").write_bytes(b"")
    assert main(["models"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"fer-edge: model {installed}/tkfnet-nano.onnx holds no ONNX graph")
