"""int8 for ONNX Runtime on CPUs: Q/DQ pairs of unsigned activations and signed weights (U8S8).

Post-training static quantisation: activations u8 per tensor with the range of the calibration pictures,
weights s8 per channel, biases s32 with the product of both scales. TensorRT needs another file (`int8_trt`).

Weights use 7 of their 8 bits: on x86 without VNNI, pairs of u8 x s8 products are summed in 16 bits, which
8-bit weights overflow silently (ONNX Runtime's ``reduce_range``). The file is then right on every CPU.
"""

import logging
import tempfile
from collections.abc import Iterable, Set
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from export.certificates.latency import time_in_pairs
from export.certificates.networks import OnnxNetwork
from export.certificates.pictures import Pictures
from export.onnx_metadata import IR_VERSION
from fer_edge.arrays import F32

# Sums after a convolution are not listed: ONNX Runtime computes them in u8 when their neighbours are u8.
OPERATORS = ["Conv", "Relu", "Gemm", "MatMul"]
PAIRS = 200  # of runs that are timed
# A part stays in float32 when that reduces the mean difference or the time to the first share, and increases
# neither beyond the second.
KEEP_BELOW, MAX_WORSE = 0.95, 1.02


class _Reader(CalibrationDataReader):
    """Yields network inputs to the calibration."""

    def __init__(self, inputs: Iterable[F32], name: str) -> None:
        self._name, self._inputs = name, iter(inputs)

    def get_next(self) -> dict[str, F32] | None:
        x = next(self._inputs, None)
        return None if x is None else {self._name: x}


def int8_from_float32(
    proto: onnx.ModelProto, inputs: Iterable[F32], in_float: Set[str] = frozenset()
) -> onnx.ModelProto:
    """The network with Q/DQ around every node of OPERATORS except those named in ``in_float``."""
    # The quantiser recommends its own pre-processing, which would fold only what the exporter has folded.
    logging.getLogger().addFilter(_is_not_preprocessing)
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
            onnx.save(onnx.shape_inference.infer_shapes(proto), source)
            quantize_static(
                source,
                target,
                _Reader(inputs, proto.graph.input[0].name),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=OPERATORS,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=sorted(in_float),
                # Products of two activations (attention) are too few for quantisation to be faster.
                extra_options={"MatMulConstBOnly": True},
            )
            result = onnx.load(target)
    finally:
        logging.getLogger().removeFilter(_is_not_preprocessing)
    result.ir_version = IR_VERSION
    return result


def _is_not_preprocessing(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()


def parts_of(proto: onnx.ModelProto) -> dict[str, set[str]]:
    """Names of the nodes that may stay in float32 together: the first convolution, and each module of the
    network except its trunk, as the weights' names say.
    """
    nodes = [n for n in proto.graph.node if n.op_type in OPERATORS and n.op_type != "Relu"]
    parts = {"first convolution": {next(n.name for n in nodes if n.op_type == "Conv")}}
    weights = {w.name for w in proto.graph.initializer}
    for node in nodes:
        module, _, rest = node.input[1].partition(".")
        if node.input[1] in weights and rest and module != "trunk":
            parts.setdefault(module, set()).add(node.name)
    return parts


def float_parts(proto: onnx.ModelProto, calibration: Pictures, choice: Pictures) -> list[str]:
    """The parts that, each alone in float32, reduce the difference to the original or the time."""
    crops = next(choice.inputs())[:1]

    def measured(names: Set[str]) -> tuple[float, bytes]:
        file = int8_from_float32(proto, calibration.inputs(), names).SerializeToString()
        return choice.differences(
            OnnxNetwork(proto.SerializeToString()), OnnxNetwork(file)
        ).mean_difference, file

    distance, whole = measured(frozenset())
    print(
        f"{'in float32':20s} {'mean difference':>16s} {'time':>6s}\n{'nothing':20s} {distance:16.5f} {1:6.2f}"
    )
    kept = []
    for part, names in parts_of(proto).items():
        left, file = measured(names)
        time = time_in_pairs(whole, file, crops, PAIRS).ratio
        gains = (left / distance, time)
        keep = min(gains) <= KEEP_BELOW and max(gains) <= MAX_WORSE
        print(f"{part:20s} {left:16.5f} {time:6.2f} {'stays' if keep else ''}")
        kept += [part] if keep else []
    return kept
