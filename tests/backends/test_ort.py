"""The ONNX Runtime backend, the choice of a backend, and models that do not fit their spec."""

import dataclasses
import gc
import re
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny import DETECTOR_SPEC, EXPRESSION_SPEC, detector_graph, expression_graph, scalar_graph

from fer_edge import backends, models
from fer_edge.backends import ort
from fer_edge.backends.ort import OrtBackend
from fer_edge.backends.warmup import warm_up
from fer_edge.installation.repair_commands import install_extra
from fer_edge.models import ModelError

WriteModel = Callable[..., Path]


@pytest.fixture
def backend(expression_file: Path) -> OrtBackend:
    """The tiny expression network on one thread."""
    return OrtBackend(models.load(expression_file, "expression"), 1)


def test_runs_on_the_reserved_array(backend: OrtBackend) -> None:
    backend.reserve((3, 1, 16, 16))[:] = np.array([0, 0.5, 1], np.float32)[:, None, None, None]
    (logits,) = backend.run()
    np.testing.assert_allclose(logits[:, 1], [0, 4, 8], atol=1e-5)
    np.testing.assert_allclose(logits[:, 0], 2)


def test_reserving_again_needs_no_new_memory(backend: OrtBackend) -> None:
    large = backend.reserve((8, 1, 16, 16))
    small = backend.reserve((2, 1, 16, 16))
    assert np.shares_memory(large, small)
    assert small.flags.c_contiguous
    assert small.dtype == np.float32


def test_no_faces_are_a_batch_of_zero(backend: OrtBackend) -> None:
    backend.reserve((0, 1, 16, 16))
    assert backend.run()[0].shape == (0, 8)


def test_info_names_engine_provider_and_threads(backend: OrtBackend) -> None:
    assert backend.info() == {
        "backend": "onnxruntime",
        "version": onnxruntime.__version__,
        "provider": "CPUExecutionProvider",
        "threads": 1,
    }


def test_the_engines_options(expression_file: Path) -> None:
    # Read directly, because they change only memory or time, not the result.
    session = OrtBackend(models.load(expression_file, "expression"), 3)._session
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.enable_mem_pattern is False
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert options.log_severity_level == 4


def test_sessions_of_other_tools_have_the_same_options_unless_they_bring_their_own(
    expression_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = expression_file.read_bytes()
    assert ort.open_session(file).get_session_options().intra_op_num_threads == 1
    assert ort.open_session(file, 2).get_session_options().intra_op_num_threads == 2
    own = onnxruntime.SessionOptions()
    own.intra_op_num_threads = 3
    own.log_severity_level = 1
    given = ort.open_session(file, 2, own).get_session_options()
    assert (given.intra_op_num_threads, given.log_severity_level) == (3, 1)
    # A double of the engine, because the installed wheel has no provider that would be taken instead.
    asked: list[list[str]] = []
    monkeypatch.setattr(
        onnxruntime.InferenceSession, "__init__", lambda *_, providers: asked.append(providers)
    )
    ort.open_session(file)
    assert asked == [["CPUExecutionProvider"]]


def test_one_thread_is_the_default(expression_file: Path) -> None:
    assert OrtBackend(models.load(expression_file, "expression"), None).info()["threads"] == 1


def test_closing_frees_the_session(backend: OrtBackend) -> None:
    session = weakref.ref(backend._session)
    backend.close()
    gc.collect()
    assert session() is None


def test_a_session_on_another_provider_is_refused(
    expression_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A test double of the engine's answer, for a wheel that cannot run on the CPU.
    monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda _: ["NpuProvider", "Other"])
    with pytest.raises(RuntimeError, match="asked for CPUExecutionProvider, but runs on NpuProvider, Other"):
        OrtBackend(models.load(expression_file, "expression"), 1)


def test_all_errors_of_the_engine_are_caught() -> None:
    state = onnxruntime.capi.onnxruntime_pybind11_state
    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NoSuchFile",
        "NotImplemented",
        "RuntimeException",
    )
    assert {*(getattr(state, name) for name in names), UnicodeDecodeError} == set(ort._ERRORS)


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


def test_an_unknown_backend_lists_the_known() -> None:
    with pytest.raises(
        ValueError, match="backend must be one of auto, onnxruntime, openvino, got 'tensorrt'"
    ):
        backends.opener_for("tensorrt")


@pytest.mark.parametrize(
    ("name", "module", "command"),
    [
        ("onnxruntime", "ort", "pip install .*onnxruntime"),
        ("openvino", "ov", re.escape(install_extra("openvino"))),
    ],
)
def test_a_backend_that_is_not_installed_says_how_to_get_it(
    name: str, module: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"fer_edge.backends.{module}", raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"{name} cannot be imported .*; {command}"):
        backends.opener_for(name)


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
