"""Fixtures on the tiny networks of tiny.py: their files, recognisers, and the command line."""

import math
import os
import signal

# Workers of pytest-xdist share the cores. NumPy, PyTorch and OpenMP read this when they are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import onnx
import pytest
from hypothesis import settings
from onnx import helper
from tiny import DETECTOR_SPEC, EXPRESSION_SPEC, detector_graph, expression_graph

from fer_edge.cli import main
from fer_edge.models import ModelSpec
from fer_edge.recognizer import Recognizer

# A background job of a shell script ignores Ctrl-C, and so would the processes that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# tests/gpu fails without a GPU; `make test-cuda` runs it and skips nothing. Other
# tests of the kernels need Triton's interpreter, which is selected once, when Triton is first imported.
ON_GPU = os.environ.get("FAIL_WITHOUT_CUDA") == "1"
collect_ignore = ["kernels"] if ON_GPU else ["gpu"]
# `make test-bulk` has an environment with Ray, and fails if it collects nothing.
if find_spec("ray") is None:
    collect_ignore.append("bulk")
if not ON_GPU:
    os.environ["TRITON_INTERPRET"] = "1"

# No test depends on its running time, or on examples that an earlier run has found.
settings.register_profile("repeatable", deadline=None, database=None)
settings.load_profile("repeatable")

WriteModel = Callable[..., Path]
MakeRecognizer = Callable[..., Recognizer]


class Done(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def write_model(tmp_path_factory: pytest.TempPathFactory) -> WriteModel:
    """Writes a graph as an ONNX file, with the text (or spec) given as its metadata, if any."""

    def write(graph: onnx.GraphProto, spec: ModelSpec | str | None) -> Path:
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        if spec is not None:
            text = spec if isinstance(spec, str) else spec.to_json()
            model.metadata_props.add(key="fer_edge", value=text)
        path = tmp_path_factory.mktemp("model") / f"{graph.name}.onnx"
        onnx.save(model, path)
        return path

    return write


@pytest.fixture(scope="session")
def detector_file(write_model: WriteModel) -> Path:
    """The tiny detector."""
    return write_model(detector_graph(), DETECTOR_SPEC)


@pytest.fixture(scope="session")
def expression_file(write_model: WriteModel) -> Path:
    """The tiny expression network."""
    return write_model(expression_graph(), EXPRESSION_SPEC)


@pytest.fixture
def make_recognizer(detector_file: Path, expression_file: Path) -> Iterator[Callable[..., Recognizer]]:
    """Makes recognisers on the tiny networks; abstention is off unless the test sets it."""
    made: list[Recognizer] = []

    def make(**settings: object) -> Recognizer:
        calm = {"min_eye_px": 0, "max_turn": math.inf, "min_sharpness": 0, "min_confidence": 0}
        made.append(
            Recognizer(
                **{"model": expression_file, "detector": detector_file, "threads": 1, **calm, **settings}
            )
        )
        return made[-1]

    yield make
    for recognizer in made:
        recognizer.close()


@pytest.fixture
def recognizer(make_recognizer: Callable[..., Recognizer]) -> Recognizer:
    """A recogniser on the tiny networks with default settings."""
    return make_recognizer()


@pytest.fixture
def predict(
    detector_file: Path, expression_file: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs `fer-edge predict` with the tiny networks."""

    def run(*arguments: object) -> Done:
        capsys.readouterr()
        models = ("--model", expression_file, "--detector", detector_file, "--threads", 1)
        code = main(["predict", *map(str, (*models, *arguments))])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file a.jpg that this process may not open, not even as the superuser."""
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "a.jpg").touch()
    folder.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o700)
