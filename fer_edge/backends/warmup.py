"""The first run of a network. It moves lazy initialization out of the first call and checks the outputs."""

from collections.abc import Callable

import numpy as np

from fer_edge.backends.base import Backend
from fer_edge.models import ModelError, ModelFile

DETECTOR_CHANNELS = 15
DETECTOR_STRIDES = (8, 16, 32)
# (height, width): two sizes, to detect a network exported with a fixed size; the second is for 4:3 frames.
# Rounded up to what the detector takes.
DETECTOR_INPUTS = ((64, 32), (256, 320))
CROP_CHECKS = 2  # covered, rolled
# Two faces, to detect a network exported with a fixed batch size of one.
EXPRESSION_BATCH = 2

Shape = tuple[int, ...]


def warm_up(backend: Backend, model: ModelFile, takes: Callable[[Shape], bool] = lambda shape: True) -> None:
    """Runs on inputs of zeros; raises ModelError if the outputs do not fit the role of the model.

    ``takes`` says which inputs of a detector an engine was built for; the others are left out.
    """
    spec = model.spec
    if spec.role == "expression":
        outputs: list[Shape] = [(EXPRESSION_BATCH, len(spec.labels))]
        if spec.has_crop_check:
            outputs.append((EXPRESSION_BATCH, CROP_CHECKS))
        _run(backend, model, (EXPRESSION_BATCH, 1, spec.size, spec.size), outputs)
        return
    for sides in DETECTOR_INPUTS:
        height, width = (-(-side // spec.input_multiple) * spec.input_multiple for side in sides)
        if not takes((1, 1, height, width)):
            continue
        maps: list[Shape] = [(1, DETECTOR_CHANNELS, height // s, width // s) for s in DETECTOR_STRIDES]
        _run(backend, model, (1, 1, height, width), maps)


def _run(backend: Backend, model: ModelFile, shape: Shape, expected: list[Shape]) -> None:
    backend.reserve(shape).fill(0)
    outputs = backend.run()
    got = [output.shape for output in outputs]
    if got != expected or any(output.dtype != np.float32 for output in outputs):
        kinds = ", ".join(f"{o.dtype} {list(o.shape)}" for o in outputs)
        wanted = ", ".join(f"float32 {list(s)}" for s in expected)
        raise ModelError(f"model {model.path}: input {list(shape)} must give {wanted}, got {kinds}")
    if not all(np.isfinite(output).all() for output in outputs):
        raise ModelError(f"model {model.path} gives NaN or infinity on an empty input; export it again")
