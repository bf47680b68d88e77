"""Two tiny networks whose answers are known exactly, so that the runtime can be tested to the digit.

The detector finds a face of 32 network pixels wherever an 8 x 8 cell of its input is bright; the expression
network says happiness for bright crops and neutral for dark ones.
"""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fer_edge.models import ModelSpec
from fer_edge.recognizer import Recognizer

LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
TEMPLATE = ((0.3, 0.35), (0.7, 0.35), (0.5, 0.55), (0.35, 0.75), (0.65, 0.75))
# Where the tiny detector puts the landmarks, in network pixels from the centre of the bright cell.
LANDMARKS = np.array([[-6, -5], [6, -5], [0.5, 1], [-4, 7], [4, 7]], np.float32)
DETECTOR_SPEC = ModelSpec(
    name="bright-cells", role="detector", size=32, mean=0.0, scale=1 / 255, labels=("face",), threshold=0.5
)
EXPRESSION_SPEC = ModelSpec(
    name="bright-is-happy",
    role="expression",
    size=16,
    mean=0.0,
    scale=1 / 255,
    labels=LABELS,
    template=TEMPLATE,
)

WriteModel = Callable[..., Path]


def _value(name: str, shape: list[object]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def detector_graph(stride8_logit: float = -10.0) -> onnx.GraphProto:
    """Score logit = 20 * brightness of the cell - 10 at stride 8; the coarser maps stay silent."""
    nodes, weights, outputs = [], [], []
    for stride in (8, 16, 32):
        kernel = np.zeros((15, 1, stride, stride), np.float32)
        bias = np.zeros(15, np.float32)
        bias[0] = -20.0
        if stride == 8:
            kernel[0] = 20 / stride**2
            bias[0] = stride8_logit
            bias[3:5] = math.log(32 / stride)
            bias[5:] = (LANDMARKS / stride).ravel()
        name = f"stride{stride}"
        weights += [
            numpy_helper.from_array(kernel, f"w{stride}"),
            numpy_helper.from_array(bias, f"b{stride}"),
        ]
        nodes.append(
            helper.make_node("Conv", ["input", f"w{stride}", f"b{stride}"], [name], strides=[stride, stride])
        )
        outputs.append(_value(name, ["n", 15, None, None]))
    return helper.make_graph(nodes, "detector", [_value("input", ["n", 1, "h", "w"])], outputs, weights)


def expression_graph(batch: object = "n", classes: int = len(LABELS)) -> onnx.GraphProto:
    """Logits: neutral 2, happiness 8 * brightness of the crop, all others 0."""
    kernel, bias = np.zeros((1, classes), np.float32), np.zeros(classes, np.float32)
    kernel[0, 1], bias[0] = 8.0, 2.0
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=1),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
    ]
    weights = [
        numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
        numpy_helper.from_array(kernel, "w"),
        numpy_helper.from_array(bias, "b"),
    ]
    size = EXPRESSION_SPEC.size
    return helper.make_graph(
        nodes,
        "expression",
        [_value("input", [batch, 1, size, size])],
        [_value("logits", [batch, classes])],
        weights,
    )


@pytest.fixture(scope="session")
def write_model(tmp_path_factory: pytest.TempPathFactory) -> WriteModel:
    """Writes a graph as an ONNX file, with the text (or spec) given as its metadata, if any."""

    def write(graph: onnx.GraphProto, spec: ModelSpec | str | None) -> Path:
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
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
    """Makes recognisers on the tiny networks; settings as for Recognizer, abstention off unless asked for."""
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


def frame_with_cells(
    *cells: tuple[int, int], width: int = 320, height: int = 256, grey: int = 255
) -> np.ndarray:
    """A black frame with bright 8 x 8 cells at (column, row) of the stride-8 grid; seen unscaled."""
    frame = np.zeros((height, width), np.uint8)
    for column, row in cells:
        frame[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = grey
    return frame


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Runs a test without the superuser's right to read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)
