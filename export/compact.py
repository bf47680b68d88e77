"""Small weights: ``python -m export.compact FILE.onnx --data DATA --out FILE.onnx [--weights int8]``.

Large weights are stored as float16, or as int8 with a scale per output channel, and the graph converts them
to float32. ONNX Runtime does this once, when it loads the file, so the file is as fast as the float32 file.
For int8 the graph has a Cast and a Mul instead of a DequantizeLinear, which ONNX Runtime would not fold and
would compute in every run.
"""

import argparse
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from export import onnx_metadata
from export.certificates import certificate
from export.certificates.differences import Differences
from export.certificates.faces import faces_from_prepared
from export.certificates.networks import OnnxNetwork
from fer_edge.backends.ort import DEFAULT_THREADS, open_session, session_options
from fer_edge.models import ModelSpec
from fer_edge.onnx_file import facts_from_onnx
from training.command_line import exit_on_error

MIN_NUMBERS = 1024  # numbers in a weight; smaller ones are not worth two more nodes
LEVELS = 127  # of int8 on each side of zero
# weights -> largest (also of the crop check) and mean difference of a probability and share of changed labels
# that are accepted
LIMITS = {"float16": (3e-3, 1e-4, 0.002), "int8": (0.06, 2e-3, 0.01)}


def compacted(proto: onnx.ModelProto, spec: ModelSpec, weights: str) -> onnx.ModelProto:
    """The same network with its large weights stored in that type."""
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    graph, kept, restoring = result.graph, [], []
    axes = _output_axes(graph)
    for tensor in graph.initializer:
        if tensor.name not in axes or np.prod(tensor.dims) < MIN_NUMBERS:
            kept.append(tensor)
        elif weights == "float16":
            kept.append(_half(tensor))
            restoring.append(_cast(kept[-1].name, tensor.name))
        else:
            stored, scale = _bytes_and_scale(tensor, axes[tensor.name])
            kept += [stored, scale]
            whole = f"{tensor.name}.levels"
            restoring += [
                _cast(stored.name, whole),
                helper.make_node("Mul", [whole, scale.name], [tensor.name]),
            ]
    nodes = [*restoring, *graph.node]
    for field, values in (("initializer", kept), ("node", nodes)):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        graph.ClearField(field)
        getattr(graph, field).extend(copies)
    result.ClearField("metadata_props")
    return onnx_metadata.with_metadata(result, spec)


def _output_axes(graph: onnx.GraphProto) -> dict[str, int]:
    """Float32 weight -> the axis of its output channels."""
    floats = {w.name for w in graph.initializer if w.data_type == TensorProto.FLOAT}
    axes = {}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in floats:
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            rows = node.op_type == "Conv" or transposed
            axes[node.input[1]] = 0 if rows else -1
    return axes


def _cast(stored: str, name: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [stored], [name], name=f"restore {name}", to=TensorProto.FLOAT)


def _half(tensor: onnx.TensorProto) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    if (largest := float(np.abs(values).max())) > float(np.finfo(np.float16).max):
        raise ValueError(f"weight {tensor.name} must be within float16's 65504, got {largest:.3g}; use int8")
    return numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}.float16")


def _bytes_and_scale(tensor: onnx.TensorProto, axis: int) -> tuple[onnx.TensorProto, onnx.TensorProto]:
    values = numpy_helper.to_array(tensor)
    others = tuple(k for k in range(values.ndim) if k != axis % values.ndim)
    scale = np.abs(values).max(others, keepdims=True) / np.float32(LEVELS)
    scale[scale == 0] = 1  # a channel of zeros
    levels = np.round(values / scale).astype(np.int8)
    return (
        numpy_helper.from_array(levels, f"{tensor.name}.int8"),
        numpy_helper.from_array(scale.astype(np.float32), f"{tensor.name}.scale"),
    )


def nodes_after_loading(file: bytes) -> list[str]:
    """The operators that are left after ONNX Runtime has folded constants."""
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(DEFAULT_THREADS)
        # At the next level, convolutions would be rewritten for this CPU, under other names.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "loaded.onnx")
        open_session(file, options=options)
        return [n.op_type for n in onnx.load(options.optimized_model_filepath).graph.node]


def write_checked(proto: onnx.ModelProto, measured: Differences, weights: str, out: Path) -> None:
    """Writes the file when it is within LIMITS; else raises ValueError and writes nothing."""
    largest, mean, changed = LIMITS[weights]
    apart = max(measured.largest_difference, measured.largest_check_difference or 0.0)
    got = (apart, measured.mean_difference, measured.changed_labels)
    if any(value > limit for value, limit in zip(got, LIMITS[weights], strict=True)):
        raise ValueError(
            f"{out.name}: probabilities may differ by {largest} at most and {mean} on average and change "
            f"{changed:.1%} of the labels, got {got[0]:.1e}, {got[1]:.1e} and {got[2]:.2%}; not written, "
            "keep float32" + (" or take --weights float16" if weights == "int8" else "")
        )
    onnx_metadata.write_onnx(proto, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="float32 expression network of export.onnx_from_checkpoint")
    parser.add_argument("--data", type=Path, required=True, help="folder that training.prepare wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", choices=sorted(LIMITS), default="float16")
    parser.add_argument("--metrics", type=Path, help="metrics.json of the small file's own evaluation")
    parser.add_argument("--certificate", type=Path, help="default: OUT with the ending .certificate.json")
    args = parser.parse_args()
    with exit_on_error(parser):
        compact(args)


def compact(args: argparse.Namespace) -> None:
    """Stores the weights in a smaller type, compares, and writes the file if the limits hold."""
    proto, spec = onnx_metadata.read_with_metadata(args.file)
    # The metrics were measured on the float32 file.
    own = replace(spec, metrics={})
    result = compacted(proto, own, args.weights)
    own = onnx_metadata.spec_with_measured(own, args.metrics, {onnx_metadata.graph_sha256(result)})
    result = onnx_metadata.with_metadata(result, own)
    before, after = proto.SerializeToString(), result.SerializeToString()
    faces = faces_from_prepared(args.data, "valid", spec)
    measured = faces.differences(OnnxNetwork(before), OnnxNetwork(after))
    write_checked(result, measured, args.weights, args.out)
    folded = sorted(nodes_after_loading(before)) == sorted(nodes_after_loading(after))
    content = asdict(measured) | {
        "graph_sha256_before": facts_from_onnx(before).graph_sha256,
        "graph_sha256_after": facts_from_onnx(after).graph_sha256,
        "data": faces.name,
        "data_sha256": faces.sha256,
        "weights": args.weights,
        "folded": folded,
    }
    certificate.write(content, args.certificate or certificate.default_path(args.out))
    print(
        f"{measured.changed_labels:.2%} of {measured.pictures} labels change, probabilities differ by "
        f"{measured.largest_difference:.1e} at most and {measured.mean_difference:.1e} on average"
    )
    print(f"{len(before) / 1e6:.2f} MB -> {len(after) / 1e6:.2f} MB; weights are restored ", end="")
    print("once, at load: the speed of float32" if folded else "at every run: slower than float32")


if __name__ == "__main__":
    main()
