"""Precisions of layers, compared with the file and with the engine inspector's text."""

import itertools
import json

import pytest

from fer_edge.backends.engines.precision import confirm_engine, confirm_network
from fer_edge.models import ModelError


def test_layers_that_compute_in_the_types_of_their_weights() -> None:
    stored = {"conv": "float16", "gate": "float32"}
    computed = {**stored, "attention scores": "float16"}
    assert confirm_network(stored, computed, "float16") == {"float16": 1, "float32": 1}


@pytest.mark.parametrize(
    ("computed", "message"),
    [
        ({"conv": "float32"}, "conv has int8 weights and computes in float32;"),
        ({}, "conv has int8 weights and computes in no layer of its own;"),
    ],
)
def test_a_layer_in_another_precision(computed: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        confirm_network({"conv": "int8"}, computed, "int8")


def test_many_wrong_layers_are_counted() -> None:
    stored = {f"conv{i}": "float16" for i in range(5)}
    with pytest.raises(ModelError, match=r"conv2 has float16 weights .*, and 2 more; export"):
        confirm_network(stored, dict.fromkeys(stored, "float32"), "float16")


@pytest.mark.parametrize(
    ("stored", "found"), [({}, "none with weights"), ({"conv": "float32"}, r"\{'float32': 1\}")]
)
def test_a_file_none_of_whose_layers_has_its_precision(stored: dict[str, str], found: str) -> None:
    with pytest.raises(ModelError, match=f"layers must compute in float16, found {found}"):
        confirm_network(stored, stored, "float16")


def _information(*formats: str) -> str:
    """The inspector's JSON for a chain of layers between tensors of these formats (TensorRT's manual)."""
    tensors = [{"Name": str(i), "Format/Datatype": text} for i, text in enumerate(formats)]
    pairs = itertools.pairwise(tensors)
    return json.dumps({"Layers": [{"Name": "layer", "Inputs": [a], "Outputs": [b]} for a, b in pairs]})


@pytest.mark.parametrize(
    ("formats", "precision"),
    [
        (("Float", "Float", "Float"), "float32"),
        (("Row major linear FP32", "Row major linear FP32"), "float32"),
        (("Float", "Half", "Float"), "float16"),
        (("Row major linear FP32", "Row major linear FP16 format", "Row major linear FP32"), "float16"),
        (("Float", "Thirty-two wide channel vectorized row major Int8 format.", "Half"), "int8"),
        (("Float", "BFloat16", "Float"), "bfloat16"),
        # One fused layer hides what it computes in.
        (("Float", "Float"), "float16"),
    ],
)
def test_an_engine_that_agrees(formats: tuple[str, ...], precision: str) -> None:
    confirm_engine(_information(*formats), precision)


@pytest.mark.parametrize(
    ("formats", "precision", "found"),
    [
        (("Float", "Half", "Float"), "float32", "float16, float32"),
        (("Float", "Float", "Float"), "float16", "float32"),
        (("Float", "Half", "Float"), "int8", "float16, float32"),
        (("Float", "Int8"), "float32", "float32, int8"),
    ],
)
def test_an_engine_that_contradicts(formats: tuple[str, ...], precision: str, found: str) -> None:
    with pytest.raises(ModelError, match=f"must compute in {precision}, the inspector found {found}"):
        confirm_engine(_information(*formats), precision)


def test_the_inspectors_short_form_contradicts_nothing() -> None:
    # Without detailed verbosity, a layer is only a name.
    confirm_engine(json.dumps({"Layers": ["conv"]}), "float16")
