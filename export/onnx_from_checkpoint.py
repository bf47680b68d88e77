"""Checkpoint to ONNX: ``python -m export.onnx_from_checkpoint ROLE CHECKPOINT --data DATA --out FILE.onnx``.

Writes one file with the spec in its metadata and, beside the model cards, a parity certificate: how far the
file's probabilities in ONNX Runtime are from the checkpoint's in PyTorch, over at least a thousand pictures.
A file that is further away than TOLERANCE is not written.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

import fer_edge
from export.parity import Parity, compare
from fer_edge.calibrate import softmax
from fer_edge.models import METADATA_KEY, ModelSpec
from training import crops, train_detector
from training.face_photos import load_photos
from training.ferplus import LABELS, load_prepared
from training.models.face_luma import STRIDES, FaceLuma
from training.models.tkfnet_nano import SIZE, TkfNetNano
from training.run import load_checkpoint

OPSET = 18  # the exporter's floor; TensorRT 10.3 reads up to 20
IR_VERSION = 8  # that of opset 18; the exporter writes 10, which ONNX Runtime before 1.18 refuses
TOLERANCE = 1e-4  # largest difference of a probability
PICTURES = 1000  # of the certificate
LICENCE = "Apache-2.0 (weights); the training pictures carry no licence of their own, see docs/models"


@dataclass(frozen=True, slots=True)
class Export:
    """What differs between the two roles."""

    spec: ModelSpec
    model: Callable[[], nn.Module]
    outputs: tuple[str, ...]
    example: tuple[int, ...]
    dynamic: dict[int, object]
    pictures: Callable[[Path], list[NDArray[np.float32]]]  # network inputs [n, 1, H, W]
    probabilities: Callable[[list[NDArray[np.float32]]], NDArray[np.float32]]


def detector_inputs(data: Path) -> list[NDArray[np.float32]]:
    """Photographs of the train split (the largest) in the top left of a 320 x 320 input."""
    inputs = []
    for photo in load_photos(data, "train")[:PICTURES]:
        x = np.zeros((1, 1, 320, 320), np.float32)
        image = photo.image[:320, :320]
        x[0, 0, : image.shape[0], : image.shape[1]] = (image - train_detector.MEAN) * train_detector.SCALE
        inputs.append(x)
    return inputs


def expression_inputs(data: Path) -> list[NDArray[np.float32]]:
    """The validation split's crops, as the runtime makes them."""
    split = load_prepared(data, "valid")
    matrices = torch.from_numpy(crops.crop_matrices(split, SIZE))
    luma = crops.sample(torch.from_numpy(split.images), matrices, SIZE)
    return list(((luma - crops.MEAN) * crops.SCALE).numpy()[:, None])


def expression_probabilities(outputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return softmax(outputs[0], temperature=1.0)


def face_scores(outputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    logits = np.concatenate([o[:, 0].ravel() for o in outputs])[None]
    scores: NDArray[np.float32] = 1 / (1 + np.exp(-logits))
    return scores


EXPORTS = {
    "detector": Export(
        spec=ModelSpec(
            name="face-luma",
            role="detector",
            version="1.0",
            size=max(STRIDES),
            mean=train_detector.MEAN,
            scale=train_detector.SCALE,
            labels=("face",),
            threshold=0.5,
            licence=LICENCE,
            source="8,513 research photographs, faces found by YuNet (Wu et al. 2023); from scratch",
        ),
        model=FaceLuma,
        outputs=tuple(f"stride{s}" for s in STRIDES),
        example=(2, 1, 192, 256),
        dynamic={0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC},
        pictures=detector_inputs,
        probabilities=face_scores,
    ),
    "expression": Export(
        spec=ModelSpec(
            name="tkfnet-nano",
            role="expression",
            version="1.0",
            size=SIZE,
            mean=crops.MEAN,
            scale=crops.SCALE,
            labels=LABELS,
            template=crops.TEMPLATE,
            licence=LICENCE,
            source="FER+ (Barsoum et al. 2016); TAFE and DCIF of TKFNet (arXiv 2505.09967); from scratch",
        ),
        model=TkfNetNano,
        outputs=("logits",),
        example=(2, 1, SIZE, SIZE),
        dynamic={0: torch.export.Dim.DYNAMIC},
        pictures=expression_inputs,
        probabilities=expression_probabilities,
    ),
}


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
    proto = program.model_proto
    # The exporter's trace of Python source lines: a third of a small file, and it names the builder's
    # folders.
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info, *proto.graph.initializer):
        part.ClearField("metadata_props")
    proto.ir_version = IR_VERSION
    proto.producer_name, proto.producer_version = "fer_edge", fer_edge.__version__
    proto.metadata_props.add(key=METADATA_KEY, value=spec.to_json())
    onnx.checker.check_model(proto, full_check=True)
    return proto


def write_checked(proto: onnx.ModelProto, parity: Parity, out: Path) -> None:
    """Writes the file atomically when it agrees with the checkpoint; else raises ValueError and writes
    nothing.
    """
    if parity.largest_difference > TOLERANCE or parity.changed_labels:
        raise ValueError(
            f"{out.name} differs from its checkpoint by {parity.largest_difference:.1e}, "
            f"at most {TOLERANCE:.0e}, with {parity.changed_labels} changed labels; it was not written"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    partial.write_bytes(proto.SerializeToString())
    partial.replace(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("role", choices=sorted(EXPORTS))
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="pictures for the parity certificate")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--metrics", type=Path, help="metrics.json of the evaluation: metrics, temperature, threshold"
    )
    parser.add_argument("--certificate", type=Path, help="where to write the parity certificate (JSON)")
    args = parser.parse_args()
    export = EXPORTS[args.role]
    spec = export.spec
    if args.metrics:
        # Only what the evaluation measured may be overwritten.
        measured = json.loads(args.metrics.read_text(encoding="utf-8"))["spec"]
        spec = replace(
            spec, **{k: measured[k] for k in ("metrics", "temperature", "threshold") if k in measured}
        )
    model = export.model()
    model.load_state_dict(load_checkpoint(args.checkpoint)["ema"])
    proto = onnx_from_model(model, export, spec)
    parity = compare(model, proto.SerializeToString(), export.pictures(args.data), export.probabilities)
    print(json.dumps(parity.to_dict(), indent=2))
    write_checked(proto, parity, args.out)
    if args.certificate:
        args.certificate.write_text(json.dumps(parity.to_dict(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
