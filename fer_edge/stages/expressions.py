"""From faces to their expressions: crops, measures, the expression network, and the reasons to abstain."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from fer_edge.arrays import F32, U8
from fer_edge.backends.base import Backend, Plane
from fer_edge.models import ModelError, ModelFile
from fer_edge.result import Detections, Expressions
from fer_edge.stages import abstain
from fer_edge.stages.align import matrices_from_boxes, matrices_from_landmarks, outside_shares
from fer_edge.stages.calibrate import softmax
from fer_edge.stages.image import checked_landmarks
from fer_edge.stages.preprocess import correct_exposure, sample_from_crops, sample_from_frame

# Maximum number of faces per run of the network, which limits its memory for long lists of crops.
BATCH = 32


class ExpressionReader:
    """Reads the expressions of faces. It has no state besides its settings, so threads may share it.

    Args:
        backend: the expression network.
        model: its file.
        limits: within which a label is trusted.
    """

    def __init__(self, backend: Backend, model: ModelFile, limits: abstain.Limits) -> None:
        self._backend = backend
        self._path = model.path
        self._spec = model.spec
        self._limits = limits
        self._template = np.array(model.spec.template, np.float32)

    def from_frame(self, plane: Plane, found: Detections) -> Expressions:
        """Returns the expressions of faces of one frame."""
        size = self._spec.size
        matrices = matrices_from_landmarks(found.landmarks, self._template, size)
        return self._read(
            found.landmarks,
            outside_shares(matrices, size, *plane.shape),
            lambda part: sample_from_frame(self._backend, plane, matrices[part], self._spec),
        )

    def from_frames(self, frames: Sequence[tuple[U8, Detections]]) -> list[Expressions]:
        """Returns the expressions of the faces of several luma planes, which are read as one batch."""
        spec = self._spec
        planes = [plane for plane, found in frames for _ in range(len(found))]
        parts = [matrices_from_landmarks(f.landmarks, self._template, spec.size) for _, f in frames]
        outside = [outside_shares(m, spec.size, *f[0].shape) for m, f in zip(parts, frames, strict=True)]
        matrices = np.concatenate(parts)
        read = self._read(
            np.concatenate([found.landmarks for _, found in frames]),
            np.concatenate(outside),
            lambda part: sample_from_crops(self._backend, planes[part], matrices[part], spec),
        )
        return read.split([len(found) for _, found in frames])

    def from_crops(self, planes: list[U8], landmarks: ArrayLike | None) -> tuple[Detections, Expressions]:
        """Returns one face for each luma plane, the whole plane, and its expression.

        Args:
            planes: uint8 [h, w], of any size.
            landmarks: [N, 5, 2] in pixels of each plane; None: the planes are upright and tight.

        Raises: as `checked_landmarks`.
        """
        count, size = len(planes), self._spec.size
        boxes = np.array([(0, 0, p.shape[1], p.shape[0]) for p in planes], np.float32).reshape(count, 4)
        if landmarks is None:
            points = np.empty((count, 0, 2), np.float32)
            matrices = matrices_from_boxes(boxes, size)
        else:
            points = checked_landmarks(landmarks, count)
            matrices = matrices_from_landmarks(points, self._template, size)
        read = self._read(
            points,
            np.full(count, np.nan, np.float32),  # a given crop has no frame around it
            lambda part: sample_from_crops(self._backend, planes[part], matrices[part], self._spec),
        )
        return Detections(boxes, points, np.ones(count, np.float32)), read

    def _read(self, landmarks: F32, outside: F32, sample: Callable[[slice], F32]) -> Expressions:
        """Runs the network on the crops that `sample` makes its input; `outside`: see align."""
        spec, count = self._spec, len(landmarks)
        all_logits = np.empty((count, len(spec.labels)), np.float32)
        all_confidence = np.empty(count, np.float32)
        all_reasons: list[str | None] = []
        for start in range(0, count, BATCH):
            part = slice(start, min(start + BATCH, count))
            crops = sample(part)
            measures = abstain.measure(landmarks[part], outside[part], crops, spec.mean, spec.scale)
            if correct_exposure(crops, measures.contrast, spec):
                self._backend.changed()
            logits, *crop_check = self._backend.run()
            if not all(np.isfinite(output).all() for output in (logits, *crop_check)):
                raise ModelError(
                    f"{self._path} must return finite logits, got NaN or infinity for a face; "
                    "export the model again, or use another"
                )
            if crop_check:
                measures = abstain.with_crop_check(measures, crop_check[0])
            confidence = softmax(logits, spec.confidence_temperature or spec.temperature).max(axis=1)
            all_logits[part], all_confidence[part] = logits, confidence
            all_reasons += abstain.reasons(self._limits, measures, confidence)
        return Expressions(all_logits, all_confidence, all_reasons)
