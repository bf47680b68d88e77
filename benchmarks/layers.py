"""Where the time of a network goes, by operator and by layer: ``python -m benchmarks.layers face-luma``.

ONNX Runtime profiles one thread. Beside the multiply-adds a second of each layer stands what the same engine
reaches in a large matrix product: a layer that is near it can only become faster by doing less.
"""

import argparse
import json
import math
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper

from fer_edge import models
from fer_edge.arrays import F32
from fer_edge.backends.ort import open_session, session_options

RUNS = 60
PRODUCT_SIDE = 768
DETECTOR_SIZE = "320x256"  # a whole frame of 640 x 480 at the default min_face
# What it writes after the name of a node that ran.
TIMED = "_kernel_time"


class Layer(NamedTuple):
    """A node as the engine ran it, after its fusions; `madds` is 0 where it is no product, or not known."""

    name: str
    operator: str
    ms: float
    madds: int


def profile(file: bytes, inputs: F32, runs: int = RUNS) -> list[Layer]:
    """Returns the layers of a network on the CPU, in the order in which they run, with median times."""
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(1)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = open_session(file, options=options)
        name = session.get_inputs()[0].name
        for _ in range(runs):
            session.run(None, {name: inputs})
        events = json.loads(Path(session.end_profiling()).read_text())
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith(TIMED):
            found[event["name"].removesuffix(TIMED)].append(event)
    return [
        Layer(
            name,
            events[-1]["args"]["op_name"],
            statistics.median(event["dur"] for event in events) / 1e3,
            _madds(events[-1]["args"]),
        )
        for name, events in found.items()
    ]


def _madds(arguments: dict[str, Any]) -> int:
    """Multiply-adds of a convolution or matrix product, with channels as the engine pads them.

    0 for int8 convolutions, whose filters the engine does not show.
    """
    shapes = [shape for value in arguments["input_type_shape"] for shape in value.values()]
    (output,) = arguments["output_type_shape"][0].values()
    operator = arguments["op_name"]
    if operator.endswith("Conv"):
        # Each output sums over what one filter covers.
        filters = [shape for shape in shapes[1:] if len(shape) == 4]
        return math.prod(output) * math.prod(filters[0][1:]) if filters else 0
    if operator.endswith(("Gemm", "MatMul")):
        return math.prod(output) * shapes[0][-1]
    return 0


def product() -> tuple[bytes, F32]:
    """A network of one large matrix product, and its input: what the engine can reach on this machine."""
    shape = [PRODUCT_SIDE, PRODUCT_SIDE]
    values = np.linspace(-1, 1, PRODUCT_SIDE * PRODUCT_SIDE, dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, shape)],
        [helper.make_tensor("b", TensorProto.FLOAT, shape, values)],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return file.SerializeToString(), values.reshape(shape)


def tables(layers: list[Layer], peak: float, largest: int) -> str:
    """Markdown: the operators, and the largest layers; `peak` is in multiply-adds a millisecond."""
    total, madds = sum(layer.ms for layer in layers), sum(layer.madds for layer in layers)
    columns = "ms | share | billion multiply-adds a second | of the product's"
    rule = "| --- | --- | --- | --- | --- | --- |"

    def row(name: str, kind: object, ms: float, madds: int) -> str:
        rates = f"{madds / ms / 1e6:.1f} | {madds / ms / peak:.0%}" if madds else "- | -"
        return f"| {name} | {kind} | {ms:.3f} | {ms / total:.1%} | {rates} |"

    by_operator: dict[str, list[Layer]] = defaultdict(list)
    for layer in layers:
        by_operator[layer.operator].append(layer)
    operators = [
        (name, len(parts), sum(part.ms for part in parts), sum(part.madds for part in parts))
        for name, parts in by_operator.items()
    ]
    operators.sort(key=lambda operator: -operator[2])
    by_time = sorted(layers, key=lambda layer: -layer.ms)[:largest]
    return "\n".join(
        [
            f"{total:.2f} ms in {len(layers)} layers; {madds / 1e6:.1f} million multiply-adds; "
            f"a large matrix product reaches {peak / 1e6:.1f} billion a second",
            "",
            f"| operator | layers | {columns} |",
            rule,
            *(row(*operator) for operator in operators),
            "",
            f"| layer | operator | {columns} |",
            rule,
            *(row(*layer) for layer in by_time),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="embedded name or ONNX file")
    parser.add_argument(
        "--size", metavar="WxH", help=f"of the input in px (default: the model's, or {DETECTOR_SIZE})"
    )
    parser.add_argument("--batch", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--largest", type=int, default=8, help="layers that are listed (%(default)s)")
    options = parser.parse_args()
    model = models.read(models.path_of(options.model))
    side = model.spec.size
    width, height = (
        map(int, options.size.split("x")) if options.size else (side, side) if side else (320, 256)
    )
    inputs = np.random.default_rng(0).random((options.batch, 1, height, width), np.float32)
    (best,) = profile(*product())
    print(tables(profile(model.path.read_bytes(), inputs), best.madds / best.ms, options.largest))


if __name__ == "__main__":
    main()
