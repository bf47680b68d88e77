"""Small expression networks in the precisions that files come in: one convolution and one product."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tiny import EXPRESSION_SPEC, LABELS

SIZE = EXPRESSION_SPEC.size
RANDOM = np.random.default_rng(7)
KERNEL = RANDOM.normal(size=(4, 1, 3, 3)).astype(np.float32)
WEIGHT = RANDOM.normal(size=(4, len(LABELS))).astype(np.float32)


def float16_nodes() -> tuple[list[Any], dict[str, np.ndarray]]:
    """The convolution in float16, the product in float32."""
    nodes = [
        helper.make_node("Cast", ["input"], ["half"], name="cast input", to=TensorProto.FLOAT16),
        helper.make_node("Conv", ["half", "kernel"], ["maps"], name="conv"),
        helper.make_node("Cast", ["maps"], ["float maps"], name="cast maps", to=TensorProto.FLOAT),
    ]
    return nodes, {"kernel": KERNEL.astype(np.float16)}


def int8_nodes(*, activations: bool) -> tuple[list[Any], dict[str, np.ndarray]]:
    """The convolution with int8 weights; its input is quantised too, or not."""
    weights = {
        "kernel": np.clip(np.round(KERNEL * 40), -127, 127).astype(np.int8),
        "kernel scale": np.full(4, 1 / 40, np.float32),
        "kernel zero": np.zeros(4, np.int8),
        "scale": np.float32(1 / 127),
        "zero": np.int8(0),
    }
    nodes = [
        helper.make_node(
            "DequantizeLinear",
            ["kernel", "kernel scale", "kernel zero"],
            ["weights"],
            name="dequantize",
            axis=0,
        )
    ]
    read = "input"
    if activations:
        nodes += [
            helper.make_node("QuantizeLinear", ["input", "scale", "zero"], ["levels"], name="quantize input"),
            helper.make_node(
                "DequantizeLinear", ["levels", "scale", "zero"], ["values"], name="dequantize input"
            ),
        ]
        read = "values"
    return [*nodes, helper.make_node("Conv", [read, "weights"], ["float maps"], name="conv")], weights


def write(
    path: Path, nodes: list[Any], weights: dict[str, np.ndarray], batch: object = "n", opset: int = 18
) -> Path:
    """Writes a network whose last of these nodes makes "float maps"."""
    nodes = [
        *nodes,
        helper.make_node("ReduceMean", ["float maps", "axes"], ["means"], name="mean", keepdims=0),
        helper.make_node("MatMul", ["means", "weight"], ["logits"], name="product"),
    ]
    weights = {**weights, "weight": WEIGHT, "axes": np.int64([2, 3])}
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 1, SIZE, SIZE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, len(LABELS)])],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    model.metadata_props.add(key="fer_edge", value=EXPRESSION_SPEC.to_json())
    onnx.save(model, path)
    return path
