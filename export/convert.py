"""Another precision or flavour of a float32 file.

``python -m export.convert MODEL --precision fp16 --data DATA --out FILE.onnx``

MODEL is a file of export.onnx_from_checkpoint or the name of an embedded model. The new file is compared with
MODEL on pictures that neither calibrated it nor chose its calibration; the result is printed as one line and
written as a parity certificate. A file beyond the limits of its precision is not written.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import onnx

from export import onnx_metadata
from export.blocks import FLAVOURS, flavour_of, fused_from_plain
from export.certificates import certificate
from export.certificates.certificate import Artefact
from export.certificates.pictures import Uses, pictures_from_folder
from export.precisions import PRECISIONS, precision_of
from export.precisions.choice import best_calibration
from export.precisions.depthwise import with_single_outputs
from export.precisions.fp16 import fp16_from_float32
from export.precisions.int8_cpu import float_parts, parts_of
from export.precisions.int8_cpu import int8_from_float32 as int8_for_cpus
from fer_edge import models
from fer_edge.models import ModelError
from training.command_line import exit_on_error

# precision -> what computes it for its certificate. The file for CPUs is measured with the kernels that it is
# made for, see export.certificates.networks.
MEASURED_ON = {"fp32": "graph", "fp16": "graph", "int8-cpu": "onnxruntime", "int8-trt": "graph"}


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="float32 file of export.onnx_from_checkpoint, or an embedded model")
    parser.add_argument("--precision", choices=PRECISIONS, required=True)
    parser.add_argument("--flavour", choices=FLAVOURS, default="plain")
    parser.add_argument("--data", type=Path, required=True, help="pictures for calibration and certificate")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--calibrate", type=Path, help="other pictures for the calibration")
    parser.add_argument("--certificate", type=Path, help="default: OUT with the ending .certificate.json")
    parser.add_argument("--metrics", type=Path, help="metrics.json of the new file's own evaluation")
    parser.add_argument(
        "--float32",
        nargs="*",
        metavar="PART",
        help="int8: parts that stay in float32; default: none, for int8-cpu measured",
    )
    parser.add_argument("--float16-ends", action="store_true", help="fp16: input and outputs are float16 too")
    return parser


def main() -> None:
    parser = _arguments()
    args = parser.parse_args()
    with exit_on_error(parser):
        convert(args)


def convert(args: argparse.Namespace) -> None:
    """Converts, measures, and writes file and certificate if the limits hold."""
    reference = models.path_of(args.model)
    proto, spec = onnx_metadata.read_with_metadata(reference, role=None)
    _check(args, proto)
    uses = pictures_from_folder(args.data, spec)
    if args.calibrate:
        own = pictures_from_folder(args.calibrate, spec)
        uses = Uses(own.calibration, own.choice, uses.certificate)
    plain = fused_from_plain(proto) if args.flavour == "fused" else proto
    result, notes = converted(plain, uses, args)
    result = onnx_metadata.with_metadata(result, spec)
    hashes = {onnx_metadata.graph_sha256(result)}
    if args.precision == "fp32":
        hashes.add(models.read(reference).graph_sha256)
    else:
        # They were measured on the float32 file.
        spec = replace(spec, metrics={})
    spec = onnx_metadata.spec_with_measured(spec, args.metrics, hashes)
    result = onnx_metadata.with_metadata(result, spec)
    pictures, backend = uses.certificate(), MEASURED_ON[args.precision]
    with tempfile.TemporaryDirectory() as folder:
        unchecked = Artefact(Path(folder) / args.out.name, spec, args.precision, args.flavour, backend)
        onnx_metadata.write_onnx(result, unchecked.path)
        measured = certificate.measure(unchecked, reference, pictures)
        content = certificate.certificate(unchecked, reference, pictures, measured) | notes
    print(certificate.summary(unchecked, measured))
    if broken := unchecked.limits.broken_by(measured):
        raise ValueError(f"{args.out} was not written: {'; '.join(broken)}{_advice(args.precision)}")
    onnx_metadata.write_onnx(result, args.out)
    certificate.write(content, args.certificate or certificate.default_path(args.out))


def converted(
    proto: onnx.ModelProto, uses: Uses, args: argparse.Namespace
) -> tuple[onnx.ModelProto, dict[str, object]]:
    """The network in the wanted precision, and what the certificate says about how it was made."""
    if args.precision == "fp32":
        return proto, {}
    if args.precision == "fp16":
        return fp16_from_float32(proto, float16_ends=args.float16_ends), {}
    calibration = uses.calibration()
    kept = args.float32
    if args.precision == "int8-cpu":
        proto = with_single_outputs(proto)
        kept = float_parts(proto, calibration, uses.choice()) if kept is None else kept
        names = _names_of(proto, kept)
        notes = {"calibration": "largest", "calibration_data": calibration.name, "in_float32": kept}
        return int8_for_cpus(proto, calibration.inputs(), names), notes
    best = best_calibration(proto, calibration, uses.choice(), _names_of(proto, kept or []))
    return best.proto, {
        "calibration": best.method,
        "calibration_data": calibration.name,
        "calibration_pictures": len(calibration),
        "mean_difference_by_calibration": best.mean_differences,
        "in_float32": kept or [],
    }


def _check(args: argparse.Namespace, proto: onnx.ModelProto) -> None:
    if args.precision == "int8-cpu" and args.flavour == "fused":
        raise ValueError("--flavour fused is for TensorRT, which refuses int8-cpu; use --precision int8-trt")
    if args.float16_ends and args.precision != "fp16":
        raise ValueError(f"--float16-ends needs --precision fp16, got {args.precision}")
    if (made := (precision_of(proto), flavour_of(proto))) != ("fp32", "plain"):
        raise ModelError(
            f"{args.model} must be a plain float32 file, got {' and '.join(made)}; take its original"
        )
    parts = parts_of(proto)
    if unknown := sorted(set(args.float32 or ()) - parts.keys()):
        raise ValueError(f"--float32 must name parts of {', '.join(parts)}, got {unknown[0]!r}")


def _names_of(proto: onnx.ModelProto, parts: list[str]) -> set[str]:
    known = parts_of(proto)
    return {name for part in parts for name in known.get(part, ())}


def _advice(precision: str) -> str:
    if precision.startswith("int8"):
        return "; keep parts in float32 (--float32), or train with its rounding (python -m training.quantise)"
    return "; use a larger precision"


if __name__ == "__main__":
    main()
