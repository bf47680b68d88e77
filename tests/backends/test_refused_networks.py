"""Networks that the runtime cannot use: what the engine refuses, and outputs that do not fit the spec."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny import DETECTOR_SPEC, EXPRESSION_SPEC, detector_graph, expression_graph, scalar_graph

from fer_edge import models
from fer_edge.backends.ort import OrtBackend
from fer_edge.backends.warmup import warm_up
from fer_edge.models import ModelError

WriteModel = Callable[..., Path]


def test_a_name_in_the_graph_that_is_no_text(
    write_model: WriteModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = write_model(expression_graph(), EXPRESSION_SPEC).read_bytes()
    path = tmp_path / "renamed.onnx"
    # The error of the engine quotes the unknown operation; that of the wheel for aarch64 is empty.
    path.write_bytes(data.replace(b"Flatten", b"Flatt\xff\xfe"))
    with pytest.raises(
        ModelError, match=r"cannot load .*renamed\.onnx: ('utf-8' codec can't decode|it gives)"
    ):
        OrtBackend(models.load(path, "expression"), 1)
    assert capfd.readouterr().out == ""


def test_a_network_with_another_number_of_rows_than_its_input(write_model: WriteModel) -> None:
    graph = expression_graph()
    # Always two rows, the number of faces of the first run.
    graph.node[-1].output[0] = "one"
    graph.node.append(helper.make_node("Expand", ["first", "shape"], ["logits"]))
    graph.node.insert(3, helper.make_node("ReduceMean", ["one", "rows"], ["first"], keepdims=1))
    graph.initializer.append(numpy_helper.from_array(np.array([2, 8], np.int64), "shape"))
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "rows"))
    backend = OrtBackend(models.load(write_model(graph, EXPRESSION_SPEC), "expression"), 1)
    backend.reserve((2, 1, 16, 16)).fill(0)
    assert backend.run()[0].shape == (2, 8)
    backend.reserve((3, 1, 16, 16)).fill(0)
    with pytest.raises(ModelError, match=r"must return 3 rows for as many inputs, got \[2, 8\]"):
        backend.run()


def test_a_network_that_returns_a_scalar(write_model: WriteModel) -> None:
    path = write_model(scalar_graph(), EXPRESSION_SPEC)
    _refused(path, "expression", r"must return 2 rows for as many inputs, got \[\]")


@pytest.mark.parametrize("operator", ["SequenceConstruct", "Optional"])
def test_a_network_that_returns_no_tensor(operator: str, write_model: WriteModel) -> None:
    graph = expression_graph()
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    wrap = (
        helper.make_sequence_type_proto
        if operator == "SequenceConstruct"
        else helper.make_optional_type_proto
    )
    graph.node.append(helper.make_node(operator, ["logits"], ["wrapped"]))
    graph.output[0].CopyFrom(helper.make_value_info("wrapped", wrap(tensor)))
    kind = "seq" if operator == "SequenceConstruct" else "optional"
    _refused(
        write_model(graph, EXPRESSION_SPEC),
        "expression",
        rf"must return tensors, got wrapped: {kind}\(tensor\(float\)\)",
    )


def _refused(path: Path, role: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        model = models.load(path, role)
        warm_up(OrtBackend(model, 1), model)


def test_a_graph_that_the_engine_cannot_load(write_model: WriteModel) -> None:
    graph = expression_graph()
    graph.node[0].op_type = "NoSuchOperator"
    _refused(write_model(graph, EXPRESSION_SPEC), "expression", "onnxruntime .* cannot load .*NoSuchOperator")


def test_a_network_with_a_fixed_batch(write_model: WriteModel) -> None:
    path = write_model(expression_graph(batch=1), EXPRESSION_SPEC)
    _refused(path, "expression", r"cannot run on float32 \[2, 1, 16, 16\]")


def test_a_detector_of_multiples_of_64_is_tried_on_these(write_model: WriteModel) -> None:
    graph = detector_graph()
    # A branch that takes multiples of 64 only, and no part in the result.
    graph.node.insert(0, helper.make_node("SpaceToDepth", ["input"], ["checked"], blocksize=64))
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "zero"))
    graph.node.insert(1, helper.make_node("ReduceMax", ["checked"], ["most"], keepdims=0))
    graph.node.insert(2, helper.make_node("Mul", ["most", "zero"], ["nothing"]))
    graph.node.insert(3, helper.make_node("Add", ["input", "nothing"], ["unchanged"]))
    for node in graph.node[4:]:
        node.input[0] = "unchanged"
    spec = dataclasses.replace(DETECTOR_SPEC, input_multiple=64)
    model = models.load(write_model(graph, spec), "detector")
    warm_up(OrtBackend(model, 1), model)
    _refused(write_model(graph, DETECTOR_SPEC), "detector", "64, 32")


@pytest.mark.parametrize(("fixed", "refused"), [((256, 320), "64, 32"), ((64, 32), "256, 320")])
def test_a_detector_with_a_fixed_size(write_model: WriteModel, fixed: tuple[int, int], refused: str) -> None:
    graph = detector_graph()
    for dim, size in zip(graph.input[0].type.tensor_type.shape.dim, (1, 1, *fixed), strict=True):
        dim.dim_value = size
    _refused(write_model(graph, DETECTOR_SPEC), "detector", rf"cannot run on float32 \[1, 1, {refused}\]")


def test_a_network_that_fails_on_an_empty_input(write_model: WriteModel) -> None:
    graph = expression_graph()
    graph.node[1].input[0] = "logarithm"
    graph.node.insert(1, helper.make_node("Log", ["mean"], ["logarithm"]))
    _refused(write_model(graph, EXPRESSION_SPEC), "expression", "gives NaN or infinity on an empty input")


def test_a_detector_with_one_output_of_another_type(write_model: WriteModel) -> None:
    graph = detector_graph()
    graph.node[1].output[0] = "float"
    graph.node.append(helper.make_node("Cast", ["float"], ["stride16"], to=TensorProto.DOUBLE))
    graph.output[1].type.tensor_type.elem_type = TensorProto.DOUBLE
    _refused(write_model(graph, DETECTOR_SPEC), "detector", r"must give .*, got .*, float64 \[1, 15, 4, 2\]")


def test_a_network_with_other_classes_than_its_labels(write_model: WriteModel) -> None:
    path = write_model(expression_graph(classes=7), EXPRESSION_SPEC)
    _refused(path, "expression", r"must give float32 \[2, 8\], got float32 \[2, 7\]")


def test_a_network_that_is_not_of_the_role_its_spec_claims(write_model: WriteModel) -> None:
    path = write_model(detector_graph(), dataclasses.replace(EXPRESSION_SPEC, size=32))
    _refused(path, "expression", r"must give float32 \[2, 8\], got float32 \[2, 15, 4, 4\], float32")
    path = write_model(expression_graph(), DETECTOR_SPEC)
    _refused(path, "detector", "cannot run on float32")


def test_a_network_that_gives_nan(write_model: WriteModel) -> None:
    _refused(write_model(detector_graph(float("nan")), DETECTOR_SPEC), "detector", "gives NaN or infinity")


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_a_network_with_an_output_of_another_type(write_model: WriteModel, kind: int) -> None:
    graph = expression_graph()
    graph.node[-1].output[0] = "float"
    graph.node.append(helper.make_node("Cast", ["float"], ["logits"], to=kind))
    graph.output[0].type.tensor_type.elem_type = kind
    name = "float64" if kind == TensorProto.DOUBLE else "float16"
    _refused(
        write_model(graph, EXPRESSION_SPEC), "expression", rf"must give float32 \[2, 8\], got {name} \[2, 8\]"
    )


@pytest.mark.parametrize("output", [1, 2])
def test_a_detector_with_nan_in_any_of_its_outputs(write_model: WriteModel, output: int) -> None:
    graph = detector_graph()
    bias = graph.initializer[2 * output + 1]
    values = numpy_helper.to_array(bias).copy()
    values[-1] = np.inf
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    _refused(write_model(graph, DETECTOR_SPEC), "detector", "gives NaN or infinity on an empty input")


def test_a_detector_with_maps_of_other_strides(write_model: WriteModel) -> None:
    graph = detector_graph()
    graph.node[0].output[0], graph.node[1].output[0] = "stride16", "stride8"
    _refused(
        write_model(graph, DETECTOR_SPEC),
        "detector",
        r"must give float32 \[1, 15, 8, 4\], float32 \[1, 15, 4, 2\]",
    )


def test_a_network_with_two_inputs(write_model: WriteModel) -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("a", "b", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["y"])], "two", value[:2], value[2:])
    _refused(
        write_model(graph, EXPRESSION_SPEC),
        "expression",
        r"must have one input, tensor\(float\), got a: tensor\(float\), b: tensor\(float\)",
    )


def test_a_network_with_an_input_of_another_type(write_model: WriteModel) -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n"]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "double", value[:1], value[1:])
    _refused(
        write_model(graph, EXPRESSION_SPEC), "expression", r"must have one input, tensor\(float\), got x"
    )
