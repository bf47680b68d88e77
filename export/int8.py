"""int8 for ONNX Runtime on CPUs: ``python -m export.int8 FILE.onnx --data DATA --out FILE-int8.onnx``.

Post-training static quantisation, Q/DQ form: activations u8 per tensor with ranges from training crops,
weights s8 per channel, biases s32 with the product of both scales. TensorRT needs another file (S8S8, no
bias).

Weights use 7 of their 8 bits: on x86 without VNNI, pairs of u8 x s8 products are summed in 16 bits, which
8-bit weights overflow silently (ONNX Runtime's ``reduce_range``). The file is then right on every CPU.
"""

import argparse
import logging
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from export import compare, onnx_metadata
from export.differences import Differences, differences
from export.latency import PairedTimes, time_in_pairs
from fer_edge.arrays import F32
from fer_edge.models import ModelSpec
from training.command_line import exit_on_error
from training.data.crops import inputs_from_split
from training.data.split import Split, load_prepared

# Sums after a convolution are not listed: ONNX Runtime computes them in u8 when their neighbours are u8.
OPERATORS = ["Conv", "Relu", "Gemm", "MatMul"]
CALIBRATION = 256  # training crops
BATCH = 32
LARGEST_LOSS = 0.5  # percentage points up to which two files count as equally accurate
# A part stays in float32 when that reduces the mean difference or the time to the first share, and increases
# neither beyond the second.
KEEP_BELOW, MAX_WORSE = 0.95, 1.02


class Crops(CalibrationDataReader):
    """Yields network inputs float32 [n, C, S, S] to the calibration, BATCH at a time."""

    def __init__(self, x: F32, name: str) -> None:
        self._batches = iter([{name: x[k : k + BATCH]} for k in range(0, len(x), BATCH)])

    def get_next(self) -> dict[str, F32] | None:
        return next(self._batches, None)


def calibration_crops(data: Path, size: int) -> F32:
    """The same training crops in every call."""
    split = load_prepared(data, "train")
    rows = np.random.default_rng(0).permutation(len(split))[:CALIBRATION]
    return inputs_from_split(split.take(rows), size)


def quantised(proto: onnx.ModelProto, spec: ModelSpec, crops: F32, in_float: set[str]) -> onnx.ModelProto:
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
                Crops(crops, proto.graph.input[0].name),
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
    result.ClearField("metadata_props")
    return onnx_metadata.with_metadata(result, spec)


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


def float_parts(proto: onnx.ModelProto, spec: ModelSpec, crops: F32, valid: Split) -> list[str]:
    """The parts that, each alone in float32, reduce the difference to the original or the time."""
    before = proto.SerializeToString()
    whole = quantised(proto, spec, crops, set()).SerializeToString()
    distance = differences(before, whole, valid, spec).mean_difference
    print(
        f"{'in float32':20s} {'mean difference':>16s} {'time':>6s}\n{'nothing':20s} {distance:16.5f} {1:6.2f}"
    )
    kept = []
    for part, names in parts_of(proto).items():
        file = quantised(proto, spec, crops, names).SerializeToString()
        left = differences(before, file, valid, spec).mean_difference
        time = time_in_pairs(whole, file, crops[:1], compare.PAIRS).ratio
        gains = (left / distance, time)
        keep = min(gains) <= KEEP_BELOW and max(gains) <= MAX_WORSE
        print(f"{part:20s} {left:16.5f} {time:6.2f} {'stays' if keep else ''}")
        kept += [part] if keep else []
    return kept


def choose_precision(measured: Differences, timed: list[PairedTimes]) -> str:
    """int8 when it is faster beyond the spread of the pairs at every batch, and equally accurate."""
    faster = all(pairs.ratio_75 < 1 for pairs in timed)
    return "int8" if faster and measured.loss <= LARGEST_LOSS else "float32"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="float32 expression network of export.onnx_from_checkpoint")
    parser.add_argument("--data", type=Path, required=True, help="folder that training.prepare wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, help="metrics.json of the int8 file's own evaluation")
    parser.add_argument("--certificate", type=Path, help="where to write the measured differences (JSON)")
    # For the same file with other metrics: a second measurement may choose other parts.
    parser.add_argument(
        "--float32", nargs="*", metavar="PART", help="parts that stay in float32; measured if not given"
    )
    return parser


def main() -> None:
    parser = _arguments()
    args = parser.parse_args()
    with exit_on_error(parser):
        quantise_file(args)


def quantise_file(args: argparse.Namespace) -> None:
    """Quantises, compares, times, and writes the file and its certificate."""
    proto, spec = onnx_metadata.read_with_metadata(args.file)
    parts = parts_of(proto)
    if unknown := sorted(set(args.float32 or ()) - parts.keys()):
        raise ValueError(f"--float32 must name parts of {', '.join(parts)}, got {unknown[0]!r}")
    valid, crops = load_prepared(args.data, "valid"), calibration_crops(args.data, spec.size)
    kept = float_parts(proto, spec, crops, valid) if args.float32 is None else args.float32
    in_float = {name for part in kept for name in parts[part]}
    result = quantised(proto, onnx_metadata.spec_with_measured(spec, args.metrics), crops, in_float)
    before, after = proto.SerializeToString(), result.SerializeToString()
    measured, timed = compare.compare(before, after, valid, spec)
    ship = choose_precision(measured, timed)
    certificate = compare.certificate(measured, timed) | {"in_float32": kept, "ship": ship}
    onnx_metadata.write_onnx(result, args.out)
    onnx_metadata.write_certificate(certificate, args.certificate)
    print(compare.table(measured, timed))
    print(
        f"to be shipped: {ship}; int8 must be faster beyond the spread and lose at most {LARGEST_LOSS} points"
    )
    if measured.loss > LARGEST_LOSS:
        print(f"int8 loses {measured.loss:.2f} points: train with its rounding (python -m training.quantise)")


if __name__ == "__main__":
    main()
