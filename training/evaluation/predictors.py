"""Expression networks as the judges see them: opened from a checkpoint or an ONNX file, pictures in, logits
out.
"""

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
class Network:
    """An open model file. ``module`` is the network of a checkpoint, None for an ONNX file; ``facts`` say
    which file it is and what runs it.
    """

    logits: Logits
    size: int
    module: nn.Module | None
    facts: dict[str, object] = field(hash=False)


def network_from_file(path: Path, backend: str = "auto") -> Network:
    """Opens a checkpoint (its averaged weights, on a GPU where there is one) or an ONNX file on a backend of
    the runtime.

    Raises:
        ValueError: another ending, no checkpoint of training.train, an ONNX file for other crops or labels.
        ModelError: the ONNX file is missing, corrupt or has no spec.
    """
    if path.suffix == ".onnx":
        return _network_from_onnx(path, backend)
    if path.suffix != ".pt":
        raise ValueError(f"model must be a .pt checkpoint or an .onnx file, got {path}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # TF32 keeps ten bits: it would be the GPU that is judged, and rule 1 asks for 1e-5.
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
    return Network(logits_from_module(module), module.size, module, facts)


def _network_from_onnx(path: Path, backend: str) -> Network:
    model = models.load(path, "expression")
    expected = {"labels": LABELS, "mean": MEAN, "scale": SCALE, "template": TEMPLATE}
    for name, value in expected.items():
        if (got := getattr(model.spec, name)) != value:
            raise ValueError(
                f"{path}: {name} must be {value}, which the judged crops have, got {got}; "
                "export the model again with python -m export.onnx_from_checkpoint"
            )
    engine = opener_for(backend)(model, None)

    def logits(x: F32) -> F32:
        engine.reserve(x.shape)[:] = x
        return engine.run()[0].copy()

    facts: dict[str, object] = {
        "file": path.name,
        "sha256": model.sha256,
        "precision": model.precision,
        "backend": engine.info(),
        "parameters": model.parameters,
        "temperature_in_file": model.spec.temperature,
    }
    return Network(logits, model.spec.size, None, facts)
