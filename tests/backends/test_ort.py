"""The ONNX Runtime backend, the choice of a backend, and models that do not fit their spec."""

import gc
import re
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from fer_edge import backends, models
from fer_edge.backends import ort
from fer_edge.backends.ort import OrtBackend
from fer_edge.installation.repair_commands import install_extra

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
