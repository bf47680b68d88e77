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
    confirm_engine(_information(*formats), {}, precision)


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
        confirm_engine(_information(*formats), {}, precision)


def test_the_inspectors_short_form_contradicts_nothing() -> None:
    # Without detailed verbosity, a layer is only a name.
    assert not confirm_engine(json.dumps({"Layers": ["conv"]}), {"conv": "float16"}, "float16")


# The parts of the inspector's JSON that are read, after the example in TensorRT's manual.
FP32, FP16 = "Row major linear FP32", "Channel major FP16 format where channel % 8 == 0"
INT8 = "Thirty-two wide channel vectorized row major Int8 format."
HIDDEN = "N/A due to dynamic shapes"


def _layer(name: str, kind: str, before: str, after: str, **more: object) -> dict[str, object]:
    tensors = {"Inputs": [{"Format/Datatype": before}], "Outputs": [{"Format/Datatype": after}]}
    return {"Name": name, "LayerType": kind, **tensors, **more}


def _engine(*layers: dict[str, object]) -> str:
    return json.dumps({"Layers": [_layer("Reformatting CopyNode", "Reformat", FP32, FP16), *layers]})


def test_layers_of_another_precision_are_named() -> None:
    convolutions = [_layer(f"conv{i} + relu{i}", "CaskConvolution", FP32, FP32) for i in range(30)]
    message = r"conv0 \+ relu0 must compute in float16, the inspector shows float32; .*conv2 .*, and 27 more"
    with pytest.raises(ModelError, match=message):
        confirm_engine(_engine(*convolutions), {f"conv{i}": "float16" for i in range(30)}, "float16")


@pytest.mark.parametrize(
    "layer",
    [
        _layer("conv", "CaskConvolution", FP16, FP16),
        # The conversion that follows is part of the layer.
        _layer("conv + cast", "CaskConvolution", FP16, FP32),
        _layer(
            "conv_myl0_3",
            "conv",
            "Half",
            "Half",
            Metadata="[ONNX Layer: conv | a (Block)]\x1e[ONNX Layer: b]",
        ),
        # Inputs of many sizes have no fixed format.
        _layer("conv", "CaskConvolution", HIDDEN, HIDDEN, Weights={"Type": "Half", "Count": 9}),
    ],
)
def test_a_layer_that_computes_as_its_file_says(layer: dict[str, object]) -> None:
    assert confirm_engine(_engine(layer), {"conv": "float16"}, "float16")


@pytest.mark.parametrize(
    ("layer", "precision", "shows"),
    [
        (
            _layer("conv_myl0_3", "conv", "Float", "Float", Metadata="[ONNX Layer: conv]"),
            "float16",
            "float32",
        ),
        (_layer("gemm_myl0_4", "gemm", "Float", "Float"), "float16", "float32"),
        (_layer("conv", "CaskConvolution", HIDDEN, HIDDEN, Weights={"Type": "Float"}), "float16", "float32"),
        (_layer("conv", "CaskConvolution", FP16, FP16, Weights={"Type": "Half"}), "int8", "float16"),
    ],
)
def test_a_layer_that_computes_otherwise(layer: dict[str, object], precision: str, shows: str) -> None:
    # Another layer has the precision of the file.
    other = _layer("quantized", "CaskConvolution", INT8, INT8)
    computed = {"conv": precision, "quantized": "int8"}
    with pytest.raises(ModelError, match=f"{layer['Name']} must compute in {precision}, .* shows {shows};"):
        confirm_engine(_engine(layer, other), computed, precision)


@pytest.mark.parametrize("name", ["gate", "gate_myl0_7"])
def test_layers_that_the_file_keeps_in_float32(name: str) -> None:
    computed = {"conv": "float16", "gate": "float32"}
    conv, gate = _layer("conv", "CaskConvolution", FP16, FP16), _layer(name, "gemm", "Float", "Float")
    assert confirm_engine(_engine(conv, gate), computed, "float16")
    # One more than the file has.
    with pytest.raises(ModelError, match="another must compute in float16"):
        confirm_engine(_engine(conv, gate, gate | {"Name": "another"}), computed, "float16")


def test_an_engine_that_hides_its_layers() -> None:
    whole = _layer("{ForeignNode[conv...gate]}", "Myelin", FP16, FP16)
    assert not confirm_engine(_engine(whole), {"conv": "float16"}, "float16")
    hidden = _layer("conv", "CaskConvolution", HIDDEN, HIDDEN)
    assert not confirm_engine(json.dumps({"Layers": [hidden, hidden]}), {"conv": "float16"}, "float16")
