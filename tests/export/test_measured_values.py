"""The measured values of a file are its own: of its network, of the whole splits, of its precision."""

import json
from pathlib import Path

import pytest

from export import compact, convert
from fer_edge import models
from training import evaluate

pytestmark = pytest.mark.slow


def metrics_file(folder: Path, **identity: object) -> Path:
    """A metrics.json as training.evaluate writes it."""
    path = folder / "metrics.json"
    spec = {"temperature": 1.5, "metrics": {"accuracy": 0.25}}
    path.write_text(json.dumps({"spec": spec, "context": identity}), encoding="utf-8")
    return path


def error_of(command, capsys, *arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        command(*arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_another_precision_has_no_metrics_before_its_own_evaluation(
    nano_file: Path, faces: Path, tmp_path: Path, command
):
    before, out = models.read(nano_file), tmp_path / "half.onnx"
    words = (nano_file, "--precision", "fp16", "--data", faces, "--out", out)
    command(convert.main, *words)
    after = models.read(out)
    assert before.spec.metrics
    assert (after.spec.metrics, after.spec.temperature) == ({}, before.spec.temperature)
    own = {"sha256": after.sha256, "graph_sha256": after.graph_sha256}
    command(convert.main, *words, "--metrics", metrics_file(tmp_path, model=own))
    measured = models.read(out)
    assert measured.graph_sha256 == after.graph_sha256
    assert (measured.spec.metrics, measured.spec.temperature) == ({"accuracy": 0.25}, 1.5)


def test_compact_weights_take_their_own_evaluation_only(
    nano_file: Path, faces: Path, tmp_path: Path, command, capsys
):
    before, out = models.read(nano_file), tmp_path / "small.onnx"
    words = (compact.main, nano_file, "--data", faces, "--out", out, "--metrics")
    other = metrics_file(tmp_path, model={"graph_sha256": before.graph_sha256})
    assert f"got {before.graph_sha256[:12]}" in error_of(command, capsys, *words, other)
    command(*words[:-1])
    assert models.read(out).spec.metrics == {}
    command(*words, metrics_file(tmp_path, model={"graph_sha256": models.read(out).graph_sha256}))
    assert models.read(out).spec.metrics == {"accuracy": 0.25}


def test_the_evaluation_of_the_source_is_that_of_its_fused_version(
    nano_file: Path, faces: Path, tmp_path: Path, command
):
    graph, out = models.read(nano_file).graph_sha256, tmp_path / "fused.onnx"
    words = ("--precision", "fp32", "--flavour", "fused", "--data", faces, "--out", out)
    command(
        convert.main, nano_file, *words, "--metrics", metrics_file(tmp_path, model={"graph_sha256": graph})
    )
    assert models.read(out).spec.metrics == {"accuracy": 0.25}


@pytest.mark.parametrize("identity", [{"model": {"sha256": "00", "file": "another.onnx"}}, {}])
def test_an_evaluation_of_another_network_is_refused(
    identity: dict[str, object], nano_file: Path, faces: Path, tmp_path: Path, command, capsys
):
    metrics, out = metrics_file(tmp_path, **identity), tmp_path / "never.onnx"
    words = (nano_file, "--precision", "fp16", "--data", faces, "--out", out, "--metrics", metrics)
    assert "must be the evaluation of this model" in error_of(command, capsys, convert.main, *words)
    assert not out.exists()


def test_a_dry_run_says_so_and_is_not_stored(nano_file: Path, faces: Path, tmp_path: Path, command, capsys):
    folder = tmp_path / "evaluation"
    given = ("--out", folder, "--limit", 40, "--quick", "--backend", "onnxruntime")
    command(evaluate.main, nano_file, faces, *given)
    assert "\nA dry run on 40 rows of the test split" in (folder / "report.md").read_text(encoding="utf-8")
    given = ("--data", faces, "--out", tmp_path / "never.onnx", "--metrics", folder / "metrics.json")
    error = error_of(command, capsys, convert.main, nano_file, "--precision", "fp32", *given)
    assert "must be of the whole splits, got a dry run (--limit 40)" in error
    assert not (tmp_path / "never.onnx").exists()
