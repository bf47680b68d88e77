"""The spec of a model: JSON, defaults, and the error for each invalid field."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import DETECTOR_SPEC, EXPRESSION_SPEC, LABELS, TEMPLATE

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
        ({"mean": "127"}, "mean must be a number from -1e6 to 1e6, got '127'"),
        ({"scale": 0}, "scale must be a number from 1e-9 to 1e9, or negative, got 0"),
        ({"labels": ["a", "a"]}, "labels must be a list of different non-empty strings"),
        ({"labels": []}, "labels must be"),
        ({"temperature": -1}, "temperature must be a number from 1e-9 to 1e9, got -1"),
        ({"threshold": 1}, "threshold must be a number from 0 to below 1, got 1"),
        ({"min_confidence": 60}, "min_confidence must be a number from 0 to 1, got 60"),
        ({"max_covered": 2}, "max_covered must be null or a number from 0 to 1, got 2"),
        ({"max_rolled": 0.5}, "max_covered and max_rolled must be given both.*, got None and 0.5"),
        ({"template": [[0.1, 0.2]]}, "template must have 5 points for role 'expression', got 1"),
        ({"template": [[0.1, 2]] * 5}, r"template must be a list of \[x, y\] within \[0, 1\]"),
        ({"metrics": {"accuracy": "high"}}, "metrics must be a mapping from name to finite number"),
        (
            {"confidence_temperature": 0},
            "confidence_temperature must be null or a number from 1e-9 to 1e9, got 0",
        ),
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
    ("mean", [0, -3.5, 127, 1e6]),
    ("scale", [1e-9, -1, 2, -1e9]),
    ("labels", [["a"], ["a", "b"]]),
    ("temperature", [1e-9, 0.5, 7, 1e9]),
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
    ("input_multiple", [-32, 8, 48, 672, 1024, 32.0, "32"]),
    ("mean", ["1", None, True, math.inf, -math.inf, math.nan, 10**400, -1.1e6]),
    ("scale", [0, 0.0, "1", True, math.inf, 10**400, 0.9e-9, -1e-10]),
    ("labels", [[], "ab", [1], ["a", ""], ["a", "b", "a"], None]),
    ("temperature", [0, -0.1, math.inf, "1", True, 10**400, 0.9e-9, 1.1e9]),
    ("confidence_temperature", [0, -0.1, math.inf, "1", False]),
    ("threshold", [-0.1, 1, 1.5, "0.5", True, math.nan]),
    ("min_confidence", [-0.1, 1.1, "0.5", True]),
    ("max_covered", [-0.1, 1.1, "0.5", True, math.nan]),
    ("max_rolled", [-0.1, 1.1, "0.5", True, math.nan]),
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


@pytest.mark.parametrize(
    ("field", "value", "good"),
    [
        ("threshold", 0, False),
        ("threshold", 0.25, True),
        ("threshold", 1, False),
        ("input_multiple", 0, False),
        ("input_multiple", 32, True),
        ("input_multiple", 640, True),
        ("input_multiple", 672, False),
    ],
)
def test_the_fields_of_a_detector(field: str, value: float, good: bool) -> None:
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
        "max_covered": None,
        "max_rolled": None,
        "template": [],
        "licence": "not stated",
        "source": "not stated",
        "metrics": {},
    }


def test_the_limits_of_a_crop_check_come_together_and_for_expressions_only() -> None:
    text = json.dumps(json.loads(EXPRESSION_SPEC.to_json()) | {"max_covered": 0.25, "max_rolled": 1})
    spec = ModelSpec.from_json(text)
    assert (spec.max_covered, spec.max_rolled, spec.has_crop_check) == (0.25, 1, True)
    assert ModelSpec.from_json(spec.to_json()) == spec
    assert not EXPRESSION_SPEC.has_crop_check
    with pytest.raises(ModelError, match="for an expression network with a crop check, or not at all"):
        dataclasses.replace(DETECTOR_SPEC, max_covered=0.25, max_rolled=1)


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


@pytest.mark.parametrize("text", ["[" * 100_000, '{"mean": ' + "1" * 5000 + "}", "", "nul", "\ud800"])
def test_text_that_is_not_json(text: str) -> None:
    with pytest.raises(ModelError, match=r"^model spec: expected JSON"):
        ModelSpec.from_json(text)
