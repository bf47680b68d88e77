"""What differs between detector and expression network in an export: spec, inputs, outputs, test pictures."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fer_edge.arrays import F32
from fer_edge.models import ModelSpec
from fer_edge.stages.calibrate import softmax
from training import train_detector
from training.data import crops
from training.data.split import LABELS, load_prepared
from training.detector.photos import load_photos
from training.evaluation.inference import input_batches
from training.loop.checkpoint import load_checkpoint, model_from_checkpoint
from training.models import EXPRESSION_MODELS
from training.models.face_luma import STRIDES, FaceLuma

PICTURES = 1000  # of the detector's certificate
LICENCE = "Apache-2.0 (weights); the training pictures carry no licence of their own, see docs/models"
# name of a network in training.models -> training data and paper; --source replaces it
SOURCES = {
    "tkfnet": "FER+ (Barsoum et al. 2016); TKFNet (arXiv 2505.09967); from scratch",
    "tkfnet-nano": "FER+ (Barsoum et al. 2016); TAFE and DCIF of TKFNet (arXiv 2505.09967); from scratch",
    "mobile": "FER+ (Barsoum et al. 2016); a mobile trunk with pre-trained weights, see training/configs",
    "conv-cut": "FER+ (Barsoum et al. 2016); Conv-cut (arXiv 2504.09077), attention over space; from scratch",
}


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """How one network is exported and compared; ``pictures`` yields its inputs [n, C, H, W] from a folder."""

    model_spec: ModelSpec
    outputs: tuple[str, ...]
    example: tuple[int, ...]
    dynamic: dict[int, object]
    pictures: Callable[[Path], Iterable[F32]]
    probabilities: Callable[[list[F32]], F32]


def detector_inputs(data: Path) -> Iterator[F32]:
    """Photographs of the train split, which is the largest, in the top left of a 320 x 320 input."""
    for photo in load_photos(data, "train")[:PICTURES]:
        x = np.zeros((1, 1, 320, 320), np.float32)
        image = photo.image[:320, :320]
        x[0, 0, : image.shape[0], : image.shape[1]] = (image - train_detector.MEAN) * train_detector.SCALE
        yield x


def expression_inputs(data: Path, size: int) -> Iterator[F32]:
    """The validation split's crops, batch by batch."""
    return input_batches(load_prepared(data, "valid"), size)


def expression_probabilities(outputs: list[F32]) -> F32:
    return softmax(outputs[0], temperature=1.0)


def face_scores(outputs: list[F32]) -> F32:
    logits = np.concatenate([o[:, 0].ravel() for o in outputs])[None]
    scores: F32 = 1 / (1 + np.exp(-logits))
    return scores


def detector_export_spec() -> ExportSpec:
    return ExportSpec(
        model_spec=ModelSpec(
            name="face-luma",
            role="detector",
            version="1.0",
            input_multiple=max(STRIDES),
            mean=train_detector.MEAN,
            scale=train_detector.SCALE,
            labels=("face",),
            threshold=0.5,
            licence=LICENCE,
            source="8,513 research photographs, faces found by YuNet (Wu et al. 2023); from scratch",
        ),
        outputs=tuple(f"stride{s}" for s in STRIDES),
        example=(2, 1, 192, 256),
        dynamic=dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC),
        pictures=detector_inputs,
        probabilities=face_scores,
    )


def expression_export_spec(model: nn.Module, network: str) -> ExportSpec:
    """``network`` is the name in training.models; the size is the model's own."""
    size = model.size
    return ExportSpec(
        model_spec=ModelSpec(
            name=network,
            role="expression",
            version="1.0",
            size=size,
            mean=crops.MEAN,
            scale=crops.SCALE,
            labels=LABELS,
            template=crops.TEMPLATE,
            licence=LICENCE,
            source=SOURCES[network],
        ),
        outputs=("logits",),
        # Two pictures: the exporter would treat a batch of one as a constant.
        example=(2, 1, size, size),
        dynamic={0: torch.export.Dim.DYNAMIC},
        pictures=lambda data: expression_inputs(data, size),
        probabilities=expression_probabilities,
    )


def detector_from_checkpoint(path: Path) -> tuple[nn.Module, ExportSpec]:
    model = FaceLuma()
    model.load_state_dict(load_checkpoint(path)["ema"])
    return model.eval(), detector_export_spec()


def expression_from_checkpoint(path: Path) -> tuple[nn.Module, ExportSpec]:
    """Raises ValueError when the checkpoint does not say which of EXPRESSION_MODELS it holds."""
    model = model_from_checkpoint(path)
    network = next(name for name, kind in EXPRESSION_MODELS.items() if type(model) is kind)
    export = expression_export_spec(model, network)
    limits = load_checkpoint(path).get("crop_check_limits")
    if limits is None:
        return model, export
    model.returns_crop_check = True
    limited = {f"max_{problem}": limit for problem, limit in limits.items()}
    return model, replace(
        export, model_spec=replace(export.model_spec, **limited), outputs=(*export.outputs, "crop_check")
    )


EXPORTS = {"detector": detector_from_checkpoint, "expression": expression_from_checkpoint}
