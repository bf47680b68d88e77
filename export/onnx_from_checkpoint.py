"""Checkpoint to ONNX: ``python -m export.onnx_from_checkpoint ROLE CHECKPOINT --data DATA --out FILE.onnx``.

Writes one file with the spec in its metadata and, beside the model cards, a parity certificate: how far the
file's probabilities in ONNX Runtime are from the checkpoint's in PyTorch, over at least a thousand pictures.
A file that is further away than TOLERANCE is not written.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from torch import nn

from export import onnx_metadata
from export.export_specs import ROLES, Export
from export.parity import Parity, compare
from fer_edge.models import ModelSpec
from training.command_line import told_by

OPSET = 18  # the exporter's floor; TensorRT 10.3 reads up to 20
TOLERANCE = 1e-4  # largest difference of a probability


def onnx_from_model(model: nn.Module, export: Export, spec: ModelSpec) -> onnx.ModelProto:
    """Exports in evaluation mode, checks the graph, and writes the spec into the metadata."""
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
    return onnx_metadata.stamped(program.model_proto, spec)


def write_checked(proto: onnx.ModelProto, parity: Parity, out: Path) -> None:
    """Writes the file atomically when it agrees with the checkpoint; else raises ValueError and writes
    nothing.
    """
    if parity.largest_difference > TOLERANCE or parity.changed_labels:
        raise ValueError(
            f"{out.name} differs from its checkpoint by {parity.largest_difference:.1e}, "
            f"at most {TOLERANCE:.0e}, with {parity.changed_labels} changed labels; it was not written"
        )
    onnx_metadata.write(proto, out)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="pictures for the parity certificate")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", help="of the model; the network's own by default")
    parser.add_argument("--version", help="of the weights; 1.0 by default")
    parser.add_argument("--source", help="training data and paper in one line; FER+ from scratch by default")
    parser.add_argument("--licence", help="of the weights")
    parser.add_argument("--metrics", type=Path, help="metrics.json of the evaluation, for what it measured")
    parser.add_argument("--certificate", type=Path, help="where to write the parity certificate (JSON)")
    return parser


def main() -> None:
    parser = _arguments()
    args = parser.parse_args()
    with told_by(parser):
        export_checkpoint(args)


def export_checkpoint(args: argparse.Namespace) -> None:
    """Exports, compares with the checkpoint, and writes what agrees."""
    model, export = ROLES[args.role](args.checkpoint)
    said = {name: getattr(args, name) for name in ("name", "version", "source", "licence")}
    spec = replace(export.spec, **{name: text for name, text in said.items() if text})
    proto = onnx_from_model(model, export, onnx_metadata.spec_with_measured(spec, args.metrics))
    parity = compare(model, proto.SerializeToString(), export.pictures(args.data), export.probabilities)
    write_checked(proto, parity, args.out)
    onnx_metadata.write_certificate(parity.to_dict(), args.certificate)


if __name__ == "__main__":
    main()
