"""Model files: their properties, and the errors for files that cannot be used."""

import dataclasses
import hashlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from tiny import DETECTOR_SPEC, EXPRESSION_SPEC, detector_graph, expression_graph

from fer_edge import models
from fer_edge.installation.repair_commands import RESTORE
from fer_edge.models import ModelError

WriteModel = Callable[..., Path]


def test_the_embedded_models_are_listed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    for name in ("b.onnx", "a.onnx", "notes.txt"):
        (tmp_path / name).touch()
    assert models.embedded() == ("a", "b")
    with pytest.raises(ModelError, match=r"'c' is no file, nor an embedded model \(a, b\)"):
        models.load("c", "detector")
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(ModelError, match=re.escape(RESTORE)):
        models.load("c", "detector")


@pytest.mark.parametrize("name", [None, 3, b"face-luma"])
def test_a_model_that_is_neither_name_nor_path(name: Any) -> None:
    with pytest.raises(TypeError, match=f"detector must be the name of a model or a path, got {name!r}"):
        models.load(name, "detector")


def test_facts_of_a_file(detector_file: Path) -> None:
    model = models.load(detector_file, "detector")
    assert model.spec == DETECTOR_SPEC
    assert model.size_bytes == detector_file.stat().st_size
    assert model.parameters == 15 * (64 + 256 + 1024) + 3 * 15
    assert model.precision == "float32"
    digest = subprocess.run(["sha256sum", detector_file], capture_output=True, text=True, check=True)
    assert model.sha256 == digest.stdout.split()[0]


def test_the_graphs_hash_does_not_depend_on_the_spec(write_model: WriteModel) -> None:
    graph, other = detector_graph(), detector_graph(stride8_logit=-9.0)
    renamed = dataclasses.replace(DETECTOR_SPEC, name="renamed")
    first, second, third = (
        models.load(write_model(graph, spec), "detector")
        for graph, spec in ((graph, DETECTOR_SPEC), (graph, renamed), (other, DETECTOR_SPEC))
    )
    assert first.graph_sha256 == hashlib.sha256(graph.SerializeToString()).hexdigest() == second.graph_sha256
    assert first.sha256 != second.sha256
    assert first.graph_sha256 != third.graph_sha256


def test_a_missing_model_lists_the_embedded_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'tkf-nano' is no file, nor an embedded model"):
        models.load("tkf-nano", "expression")
    with pytest.raises(ModelError, match="is no file"):
        models.load(tmp_path / "none.onnx", "expression")


def test_an_embedded_name_wins_over_a_local_file(
    expression_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tkfnet-nano", "tkfnet-nano.onnx", "mine"):
        (tmp_path / name).write_bytes(expression_file.read_bytes())
    assert models.load("tkfnet-nano", "expression").path == models.WEIGHTS / "tkfnet-nano.onnx"
    # A path is the file that it says.
    for name in ("tkfnet-nano.onnx", "./tkfnet-nano", "mine"):
        assert models.load(name, "expression").spec == EXPRESSION_SPEC


def test_a_folder_or_unreadable_file_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read model .*: Is a directory"):
        models.load(tmp_path, "expression")


@pytest.mark.parametrize("content", [b"", b"hello, world", b"\x00" * 64, b"\xff" * 64, bytes(range(256))])
def test_a_file_that_is_not_onnx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "not.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"not\.onnx .*copy or download it again"):
        models.load(path, "expression")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_cut_short(share: float, expression_file: Path, tmp_path: Path) -> None:
    data = expression_file.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError, match=r"cut\.onnx .*copy or download it again"):
        models.load(path, "expression")


def test_weights_in_another_file_are_refused(expression_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "split.onnx"
    onnx.save(
        onnx.load(expression_file), path, save_as_external_data=True, location="weights", size_threshold=0
    )
    with pytest.raises(
        ModelError, match=r"keeps weights in another file.*: onnx\.save\(onnx\.load"
    ) as caught:
        models.load(path, "expression")
    exec(str(caught.value).split(": ")[-1], {"onnx": onnx, "path": str(path)})
    (tmp_path / "weights").unlink()
    saved, original = (models.load(file, "expression") for file in (path, expression_file))
    assert (saved.spec, saved.parameters) == (original.spec, original.parameters)


def test_the_wrong_role_says_where_the_model_belongs(detector_file: Path, expression_file: Path) -> None:
    with pytest.raises(ModelError, match=r"role 'detector', expected 'expression'; .*Recognizer\(detector="):
        models.load(detector_file, "expression")
    with pytest.raises(ModelError, match=r"role 'expression', expected 'detector'; .*Recognizer\(model="):
        models.load(expression_file, "detector")


def test_a_bad_spec_names_the_file(write_model: WriteModel) -> None:
    path = write_model(expression_graph(), '{"name": 1}')
    with pytest.raises(ModelError, match=f"model {path}: model spec: "):
        models.load(path, "expression")


def test_the_advice_for_a_file_without_metadata_works(write_model: WriteModel) -> None:
    path = write_model(detector_graph(), None)
    with pytest.raises(ModelError, match=r"no metadata entry 'fer_edge'.*add it once") as caught:
        models.load(path, "detector")
    snippet = str(caught.value).split("\n", 1)[1].replace("  ", "", 3)
    lines = [line.strip() for line in snippet.split("\n")]
    assert len(lines) == 3
    # The user replaces the dots; everything else must run as printed.
    lines[0] = lines[0].split("fer_edge.models.ModelSpec(")[0] + "given"
    exec("\n".join(lines), {"onnx": onnx, "path": str(path), "given": DETECTOR_SPEC})
    assert models.load(path, "detector").spec == DETECTOR_SPEC
