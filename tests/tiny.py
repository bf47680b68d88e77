"""Two tiny networks whose outputs are known exactly, so that results can be compared exactly.

The detector finds a face of 32 network pixels wherever an 8 x 8 cell of its input is bright; the expression
network says happiness for bright crops and neutral for dark ones.
"""

import math
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fer_edge.models import ModelSpec

LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
TEMPLATE = ((0.3, 0.35), (0.7, 0.35), (0.5, 0.55), (0.35, 0.75), (0.65, 0.75))
# Landmarks of the tiny detector, in network pixels from the centre of the bright cell.
LANDMARKS = np.array([[-6, -5], [6, -5], [0.5, 1], [-4, 7], [4, 7]], np.float32)
DETECTOR_SPEC = ModelSpec(
    name="bright-cells",
    role="detector",
    input_multiple=32,
    mean=0.0,
    scale=1 / 255,
    labels=("face",),
    threshold=0.5,
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


def _value(name: str, shape: list[object]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def detector_graph(stride8_logit: float = -10.0) -> onnx.GraphProto:
    """Score logit = 20 * brightness of the cell - 10 at stride 8; the coarser maps contain no face."""
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


def limited_detector_graph(tallest: int = 256) -> onnx.GraphProto:
    """The tiny detector, which cannot run on an input taller than this."""
    graph = detector_graph()
    nodes = [
        helper.make_node("Shape", ["input"], ["shape"], start=2, end=3),
        # Gather fails for an index outside the table.
        helper.make_node("Gather", ["table", "shape"], ["zero"]),
        helper.make_node("Add", ["input", "zero"], ["checked"]),
    ]
    table = numpy_helper.from_array(np.zeros(tallest + 1, np.float32), "table")
    for node in graph.node:
        node.input[0] = "checked"
    return helper.make_graph(
        [*nodes, *graph.node], "limited", graph.input, graph.output, [*graph.initializer, table]
    )


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


def scalar_graph() -> onnx.GraphProto:
    """The expression network, but one sum of all logits of all faces."""
    graph = expression_graph()
    graph.node.append(helper.make_node("ReduceSum", ["logits"], ["sum"], keepdims=0))
    graph.output[0].CopyFrom(_value("sum", []))
    return graph


def checked_graph() -> onnx.GraphProto:
    """The tiny network with a crop check: covered has the logit 8 * brightness - 4, rolled its negative."""
    graph = expression_graph()
    graph.node.append(helper.make_node("Gemm", ["flat", "check_w", "check_b"], ["crop_check"]))
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([[8, -8]], np.float32), "check_w"),
            numpy_helper.from_array(np.array([-4, 4], np.float32), "check_b"),
        ]
    )
    graph.output.append(_value("crop_check", ["n", 2]))
    return graph


def frame_with_cells(
    *cells: tuple[int, int], width: int = 320, height: int = 256, grey: int = 255
) -> np.ndarray:
    """A black frame with bright 8 x 8 cells at (column, row) of the stride-8 grid; it is not scaled."""
    frame = np.zeros((height, width), np.uint8)
    for column, row in cells:
        frame[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = grey
    return frame


def write_picture(path: Path, *cells: tuple[int, int]) -> Path:
    """Writes a picture of 320 x 256 with a face at each bright cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(path.suffix, np.repeat(frame_with_cells(*cells)[..., None], 3, axis=2))
    data.tofile(path)
    return path
