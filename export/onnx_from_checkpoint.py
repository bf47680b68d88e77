"""Checkpoint to ONNX: ``python -m export.onnx_from_checkpoint ROLE CHECKPOINT --data DATA --out FILE.onnx``.

Writes one file with the spec in its metadata, and a parity certificate: the differences between the file's
probabilities in ONNX Runtime and the checkpoint's in PyTorch. A file with a difference above TOLERANCE or
OUTPUT_TOLERANCE is not written.
"""

import argparse
import hashlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import onnx
import torch
from torch import nn

from export import onnx_metadata
from export.certificates import certificate
from export.certificates.parity import Parity, compare
from export.export_specs import EXPORTS, ExportSpec
from fer_edge.models import ModelSpec
from training.command_line import exit_on_error

OPSET = 18  # the lowest opset of the exporter; TensorRT 10.3 reads up to 20
TOLERANCE = 1e-4  # largest difference of a probability
# Largest difference of an output, as a share. Sums in another order differ by 2e-6 in the untrained detector.
OUTPUT_TOLERANCE = 1e-3


def onnx_from_model(model: nn.Module, export: ExportSpec, spec: ModelSpec) -> onnx.ModelProto:
    """Exports in evaluation mode, checks the graph, and writes the spec into the metadata."""
    with _without_torchs_own_warnings():
        program = torch.onnx.export(
            model.eval(),
            (torch.zeros(export.example),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["input"],
            output_names=list(export.outputs),
            dynamic_shapes=(export.dynamic,),
            verbose=False,
        )
    return onnx_metadata.with_metadata(program.model_proto, spec)


@contextmanager
def _without_torchs_own_warnings() -> Iterator[None]:
    """Hides that torchvision, which is not used, is missing, and that PyTorch uses what it deprecates."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`isinstance\\(treespec", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def write_checked(proto: onnx.ModelProto, parity: Parity, out: Path) -> None:
    """Writes the file when it agrees with the checkpoint; else raises ValueError and writes nothing."""
    if parity.largest_difference > TOLERANCE or parity.changed_labels:
        raise ValueError(
            f"{out.name} differs from its checkpoint by {parity.largest_difference:.1e}, allowed are "
            f"{TOLERANCE:.0e}, with {parity.changed_labels} changed labels; it was not written"
        )
    if parity.largest_output_difference > OUTPUT_TOLERANCE:
        raise ValueError(
            f"{out.name}: an output differs from its checkpoint's by {parity.largest_output_difference:.1e} "
            f"of its value, allowed are {OUTPUT_TOLERANCE:.0e}; it was not written"
        )
    onnx_metadata.write_onnx(proto, out)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("role", choices=sorted(EXPORTS))
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="pictures for the parity certificate")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", help="name of the model; by default that of the network")
    parser.add_argument("--version", help="version of the weights; 1.0 by default")
    parser.add_argument("--source", help="training data and paper in one line; FER+ from scratch by default")
    parser.add_argument("--licence", help="licence of the weights")
    parser.add_argument(
        "--metrics", type=Path, help="metrics.json of the evaluation, whose measured values go into the spec"
    )
    parser.add_argument("--certificate", type=Path, help="default: OUT with the ending .certificate.json")
    return parser


def main() -> None:
    parser = _arguments()
    args = parser.parse_args()
    with exit_on_error(parser):
        export_checkpoint(args)


def export_checkpoint(args: argparse.Namespace) -> None:
    """Exports, compares with the checkpoint, and writes the file if it agrees."""
    model, export = EXPORTS[args.role](args.checkpoint)
    said = {name: getattr(args, name) for name in ("name", "version", "source", "licence")}
    spec = replace(export.model_spec, **{name: text for name, text in said.items() if text})
    proto = onnx_from_model(model, export, spec)
    checkpoint_sha256 = hashlib.sha256(args.checkpoint.read_bytes()).hexdigest()
    hashes = {checkpoint_sha256, onnx_metadata.graph_sha256(proto)}
    proto = onnx_metadata.with_metadata(proto, onnx_metadata.spec_with_measured(spec, args.metrics, hashes))
    parity = compare(model, proto.SerializeToString(), export.pictures(args.data), export.probabilities)
    write_checked(proto, parity, args.out)
    content = asdict(parity) | {
        "file_sha256": hashlib.sha256(args.out.read_bytes()).hexdigest(),
        "checkpoint_sha256": checkpoint_sha256,
        "data": args.data.name,
    }
    certificate.write(content, args.certificate or certificate.default_path(args.out))
    print(
        f"{spec.name} {spec.version}: {parity.changed_labels} of {parity.pictures} labels change, "
        f"probabilities differ by {parity.largest_difference:.1e} at most and {parity.mean_difference:.1e} "
        "on average"
    )


if __name__ == "__main__":
    main()
