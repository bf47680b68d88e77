"""Expression networks as the judges see them: opened from a checkpoint or an ONNX file, pictures in, logits
out.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from fer_edge import models
from fer_edge.backends import opener_for
from training.data.crops import MEAN, SCALE, TEMPLATE, inputs_from_split
from training.data.split import LABELS, Split
from training.loop.checkpoint import load_checkpoint, model_from_checkpoint

# Network input float32 [n, 1, S, S] -> logits [n, C].
Logits = Callable[[NDArray[np.float32]], NDArray[np.float32]]
BATCH = 256  # rows whose crops are in memory at once


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


def logits_from_module(module: nn.Module) -> Logits:
    """A PyTorch network as a function of arrays."""
    device = next(module.parameters()).device

    @torch.no_grad()
    def logits(x: NDArray[np.float32]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = module(torch.from_numpy(x).to(device)).cpu().numpy()
        return answer

    return logits


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

    def logits(x: NDArray[np.float32]) -> NDArray[np.float32]:
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


def logits_from_inputs(network: Logits, x: NDArray[np.float32], batch: int = BATCH) -> NDArray[np.float64]:
    """Logits of network inputs, ``batch`` rows at a time."""
    return np.concatenate([network(x[k : k + batch]) for k in range(0, len(x), batch)]).astype(np.float64)


def logits_from_split(
    network: Network, split: Split, aligned: bool = True, mirrored: bool = False
) -> NDArray[np.float64]:
    """Logits of the runtime's crops of a split."""
    starts = tqdm(range(0, len(split), BATCH), desc="crops", unit="batch", leave=False, delay=5)
    parts = (split.take(slice(k, k + BATCH)) for k in starts)
    inputs = (inputs_from_split(part, network.size, aligned, mirrored) for part in parts)
    return np.concatenate([network.logits(x) for x in inputs]).astype(np.float64)
