"""The spec in the metadata, and the messages for files that cannot be used."""

import dataclasses
import hashlib
import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import DETECTOR_SPEC, EXPRESSION_SPEC, LABELS, TEMPLATE, detector_graph, expression_graph

from fer_edge import models
from fer_edge.models import ModelError, ModelSpec

WriteModel = Callable[..., Path]


@pytest.mark.parametrize("spec", [DETECTOR_SPEC, EXPRESSION_SPEC])
def test_spec_survives_json(spec: ModelSpec) -> None:
    assert ModelSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"role": "tracker"}, 'role must be "detector" or "expression", got \'tracker\''),
        ({"name": ""}, "name must be a non-empty string, got ''"),
        ({"size": 64.5}, "size must be a whole number from 8 to 1024, got 64.5"),
        ({"size": True}, "size must be a whole number"),
        ({"size": 0}, "size must be above 0 for role 'expression', got 0"),
        ({"input_multiple": 32}, "input_multiple is only for role 'detector', got 32 for role 'expression'"),
        ({"threshold": 0.5}, "threshold is only for role 'detector', got 0.5"),
        ({"mean": "127"}, "mean must be a finite number, got '127'"),
        ({"scale": 0}, "scale must be a finite number that is not 0, got 0"),
        ({"labels": ["a", "a"]}, "labels must be a list of different non-empty strings"),
        ({"labels": []}, "labels must be"),
        ({"temperature": -1}, "temperature must be a number above 0, got -1"),
        ({"threshold": 1}, "threshold must be a number from 0 to below 1, got 1"),
        ({"min_confidence": 60}, "min_confidence must be a number from 0 to 1, got 60"),
        ({"template": [[0.1, 0.2]]}, "template must have 5 points for role 'expression', got 1"),
        ({"template": [[0.1, 2]] * 5}, r"template must be a list of \[x, y\] within \[0, 1\]"),
        ({"metrics": {"accuracy": "high"}}, "metrics must be a mapping from name to finite number"),
        ({"confidence_temperature": 0}, "confidence_temperature must be null or a number above 0, got 0"),
        ({"temprature": 1}, "unknown field 'temprature'; the fields are .*temperature"),
    ],
)
def test_a_bad_field_is_named(changes: dict[str, Any], message: str) -> None:
    text = json.dumps(json.loads(EXPRESSION_SPEC.to_json()) | changes)
    with pytest.raises(ModelError, match=message):
        ModelSpec.from_json(text)


GOOD = [
    ("name", ["a"]),
    ("version", ["0", "1.0"]),
    ("size", [8, 9, 1024]),
    ("mean", [0, -3.5, 127]),
    ("scale", [1e-9, -1, 2]),
    ("labels", [["a"], ["a", "b"]]),
    ("temperature", [1e-9, 0.5, 7]),
    ("confidence_temperature", [None, 1e-9, 7]),
    ("min_confidence", [0, 0.5, 1]),
    ("template", [[[0, 0], [1, 1], [0, 1], [1, 0], [0.5, 0.5]]]),
    ("licence", ["CC0"]),
    ("source", ["a paper"]),
    ("metrics", [{}, {"accuracy": 0.9, "faces": 3}]),
]
BAD = [
    ("name", ["", 1, None, ["a"]]),
    ("role", ["", "Detector", "expressions"]),
    ("version", ["", 1]),
    ("size", [7, 1025, -8, 64.0, "64", None, False]),
    ("input_multiple", [-1, 1025, 32.0, "32"]),
    ("mean", ["1", None, True, math.inf, -math.inf, math.nan]),
    ("scale", [0, 0.0, "1", True, math.inf]),
    ("labels", [[], "ab", [1], ["a", ""], ["a", "b", "a"], None]),
    ("temperature", [0, -0.1, math.inf, "1", True]),
    ("confidence_temperature", [0, -0.1, math.inf, "1", False]),
    ("threshold", [-0.1, 1, 1.5, "0.5", True, math.nan]),
    ("min_confidence", [-0.1, 1.1, "0.5", True]),
    (
        "template",
        [
            [[0, 0]] * 4,
            [[0, 0]] * 6,
            [],
            [[0, 0, 0]] * 5,
            [[0]] * 5,
            [0] * 5,
            "abcde",
            [[0, 1.1]] * 5,
            [[-0.1, 0]] * 5,
        ],
    ),
    ("template", [[["0", 0]] * 5, [[0, 0]] * 4 + [[0, 2]], [[True, 0]] * 5]),
    ("licence", ["", 1]),
    ("source", ["", 1]),
    ("metrics", [[], {"a": "1"}, {"a": True}, {"": 1}, {"a": math.inf}, {"a": 1, "b": None}]),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD for value in values])
def test_good_values_of_each_field(name: str, value: Any) -> None:
    spec = ModelSpec.from_json(json.dumps(json.loads(EXPRESSION_SPEC.to_json()) | {name: value}))
    read = json.loads(spec.to_json())
    assert read == json.loads(EXPRESSION_SPEC.to_json()) | {name: value}
    assert ModelSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD for value in values])
def test_bad_values_of_each_field(name: str, value: Any) -> None:
    text = json.dumps(json.loads(EXPRESSION_SPEC.to_json()) | {name: value})
    with pytest.raises(ModelError, match=f"^model spec: {name} must "):
        ModelSpec.from_json(text)


@pytest.mark.parametrize("field", ["input_multiple", "threshold"])
@pytest.mark.parametrize(("value", "good"), [(0, False), (0.25, None), (1, None), (1024, None)])
def test_the_fields_of_a_detector(field: str, value: float, good: bool | None) -> None:
    if good is None:
        good = value < 1 if field == "threshold" else value >= 1
    values = json.loads(DETECTOR_SPEC.to_json()) | {field: value}
    if good:
        assert getattr(ModelSpec.from_json(json.dumps(values)), field) == value
    else:
        with pytest.raises(ModelError, match=f"{field} must be"):
            ModelSpec.from_json(json.dumps(values))


@pytest.mark.parametrize("value", ["", {}, None])
def test_the_template_of_a_detector_is_an_empty_list(value: Any) -> None:
    with pytest.raises(ModelError, match="template must be a list"):
        dataclasses.replace(DETECTOR_SPEC, template=value)


@pytest.mark.parametrize("name", ["name", "role", "mean", "scale", "labels"])
def test_a_missing_field_is_named(name: str) -> None:
    values = json.loads(EXPRESSION_SPEC.to_json())
    del values[name]
    with pytest.raises(
        ModelError, match=f"field {name!r} is missing; required are labels, mean, name, role, scale"
    ):
        ModelSpec.from_json(json.dumps(values))


def test_the_optional_fields_of_a_spec_have_defaults() -> None:
    least = {"name": "n", "role": "detector", "mean": 0, "scale": 1, "labels": ["face"]}
    spec = ModelSpec.from_json(json.dumps(least | {"input_multiple": 32, "threshold": 0.5}))
    assert json.loads(spec.to_json()) == {
        **least,
        "version": "0",
        "size": 0,
        "input_multiple": 32,
        "temperature": 1.0,
        "confidence_temperature": None,
        "threshold": 0.5,
        "min_confidence": 0.5,
        "template": [],
        "licence": "not stated",
        "source": "not stated",
        "metrics": {},
    }


def test_a_spec_cannot_be_changed_and_is_read_by_name() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXPRESSION_SPEC.mean = 3.0
    with pytest.raises(TypeError):
        ModelSpec("name", "detector")
    model = models.read(models.WEIGHTS / "face-luma.onnx")
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.precision = "float64"
    assert not hasattr(model, "__dict__")
    assert hash(EXPRESSION_SPEC) == hash(ModelSpec.from_json(EXPRESSION_SPEC.to_json()))
    assert not hasattr(EXPRESSION_SPEC, "__dict__")
    # Lists become tuples, so that a spec written in code is the same as the one read.
    listed = dataclasses.replace(EXPRESSION_SPEC, labels=list(LABELS), template=[list(p) for p in TEMPLATE])
    assert listed == EXPRESSION_SPEC
    assert "\u00e9" in dataclasses.replace(EXPRESSION_SPEC, source="Andr\u00e9").to_json()


def test_the_embedded_models_are_listed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    for name in ("b.onnx", "a.onnx", "notes.txt"):
        (tmp_path / name).touch()
    assert models.embedded() == ("a", "b")
    with pytest.raises(ModelError, match=r"'c' is no file, nor an embedded model \(a, b\)"):
        models.load("c", "detector")
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(ModelError, match="pip install --force-reinstall fer_edge"):
        models.load("c", "detector")


@pytest.mark.parametrize("name", [None, 3, b"face-luma"])
def test_a_model_that_is_neither_name_nor_path(name: Any) -> None:
    with pytest.raises(TypeError, match=f"by name or path, got {type(name).__name__}"):
        models.load(name, "detector")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON, got '{'"),
        ("[]", "expected a JSON object, got list"),
        ("{}", "'labels' is missing"),
    ],
)
def test_text_that_is_not_a_spec(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ModelSpec.from_json(text)


def test_a_spec_made_in_code_is_checked_too() -> None:
    with pytest.raises(ModelError, match="template must have 0 points for role 'detector'"):
        dataclasses.replace(DETECTOR_SPEC, template=EXPRESSION_SPEC.template)


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
    import onnx

    exec("\n".join(lines), {"onnx": onnx, "path": str(path), "given": DETECTOR_SPEC})
    assert models.load(path, "detector").spec == DETECTOR_SPEC
