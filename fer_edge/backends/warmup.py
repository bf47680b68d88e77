"""The first run of a network: pays for the engine's start, shows whether network and spec agree."""

import numpy as np

from fer_edge.backends.base import Backend
from fer_edge.models import ModelError, ModelFile

DETECTOR_CHANNELS = 15
DETECTOR_STRIDES = (8, 16, 32)
# Frames of 4:3 and the default min_face give this input (height, width).
DETECTOR_INPUT = (256, 320)


def warm_up(backend: Backend, model: ModelFile) -> None:
    """Runs once on an empty input; raises ModelError when the outputs are not those of the model's role."""
    spec = model.spec
    if spec.role == "detector":
        height, width = DETECTOR_INPUT
        shape = (1, 1, height, width)
        expected: list[tuple[int, ...]] = [
            (1, DETECTOR_CHANNELS, height // s, width // s) for s in DETECTOR_STRIDES
        ]
    else:
        # Two faces: a network exported with a fixed batch of one would pass with one and fail later.
        shape = (2, 1, spec.size, spec.size)
        expected = [(2, len(spec.labels))]
    backend.reserve(shape).fill(0)
    outputs = backend.run()
    got = [output.shape for output in outputs]
    if got != expected or any(output.dtype != np.float32 for output in outputs):
        kinds = ", ".join(f"{o.dtype} {list(o.shape)}" for o in outputs)
        wanted = ", ".join(f"float32 {list(s)}" for s in expected)
        raise ModelError(f"model {model.path}: input {list(shape)} must give {wanted}, got {kinds}")
    if not all(np.isfinite(output).all() for output in outputs):
        raise ModelError(f"model {model.path} gives NaN or infinity on an empty input; export it again")
