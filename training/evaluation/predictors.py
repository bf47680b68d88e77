"""Expression networks for evaluation, opened from a checkpoint or an ONNX file."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from fer_edge import models
from fer_edge.arrays import F32
from fer_edge.backends import opener_for
from training.data.crops import MEAN, SCALE, TEMPLATE
from training.data.split import LABELS
from training.evaluation.inference import Logits, logits_from_module
from training.loop.checkpoint import load_checkpoint, model_from_checkpoint


@dataclass(frozen=True, slots=True)
class Predictor:
    """An open model file. ``module`` is the network of a checkpoint, None for an ONNX file; ``facts``
    identify the file and what runs it.
    """

    logits: Logits
    size: int
    module: nn.Module | None
    facts: dict[str, object] = field(hash=False)


def predictor_from_file(path: Path, backend: str = "auto") -> Predictor:
    """Opens a checkpoint (its averaged weights, on a GPU if there is one) or an ONNX file on a backend of the
    runtime.

    Raises:
        ValueError: another file type, no checkpoint of training.train, or an ONNX file for other crops.
        ModelError: the ONNX file is missing, corrupt or has no spec.
    """
    if path.suffix == ".onnx":
        return _predictor_from_onnx(path, backend)
    if path.suffix != ".pt":
        raise ValueError(f"model must be a .pt checkpoint or an .onnx file, got {path}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # TF32 has ten bits of mantissa, too few for the tolerance of rule 1.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    module = model_from_checkpoint(path).to(device)
    facts = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "precision": "float32",
        "backend": {"name": "torch", "version": torch.__version__, "device": str(device)},
        "parameters": sum(p.numel() for p in module.parameters()),
        "settings": load_checkpoint(path)["settings"],
    }
    return Predictor(logits_from_module(module), module.size, module, facts)


def _predictor_from_onnx(path: Path, backend: str) -> Predictor:
    model = models.load(path, "expression")
    expected = {"labels": LABELS, "mean": MEAN, "scale": SCALE, "template": TEMPLATE}
    for name, value in expected.items():
        if (got := getattr(model.spec, name)) != value:
            raise ValueError(
                f"{path}: {name} must be {value}, as in the crops of the evaluation, got {got}; "
                "export the model again with python -m export.onnx_from_checkpoint"
            )
    engine = opener_for(backend)(model, None)

    def logits(x: F32) -> F32:
        engine.reserve(x.shape)[:] = x
        return engine.run()[0].copy()

    facts: dict[str, object] = {
        "file": path.name,
        "sha256": model.sha256,
        "graph_sha256": model.graph_sha256,
        "precision": model.precision,
        "backend": engine.info(),
        "parameters": model.parameters,
        "temperature_in_file": model.spec.temperature,
    }
    return Predictor(logits, model.spec.size, None, facts)
