"""A frame to faces with expressions: the one place that knows the order of the stages."""

import os
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from fer_edge import abstain, models, ops
from fer_edge.align import matrices_from_boxes, matrices_from_landmarks
from fer_edge.arrays import F32, U8
from fer_edge.backends import opener_for
from fer_edge.backends.warmup import warm_up
from fer_edge.buffers import ThreadBuffer
from fer_edge.calibrate import softmax
from fer_edge.detect import Detector
from fer_edge.image import Layout, checked_landmarks, layout_of_frame, luma_from_frame, planes_from_crops
from fer_edge.preprocess import fill_from_crops, fill_from_frame
from fer_edge.result import Detections, Face, faces_from_arrays

# Faces that the network sees at once: its memory grows with them, so long lists of crops are cut up.
BATCH = 32
# An enlargement beyond four (see detect.NETWORK_FACE_PX) finds nothing but compression noise.
MIN_MIN_FACE_PX = 4


class Recognizer:
    """Finds the faces of a frame and names their expressions. Made once, warmed up; may be shared by threads.

    Args:
        model: expression network: name of an embedded model or path of an ONNX file with a spec
            (fer_edge.models).
        detector: face detector, likewise.
        backend: "onnxruntime", or "auto" for the best engine that is installed.
        threads: CPU threads of the engine, None for its own choice.
        min_face: smallest face to be found, in frame pixels; the smaller, the slower. None for a twentieth of
            the frame's longer side. Somewhat smaller faces may be found too.
        threshold: score in (0, 1) from which a detection is a face, None for the detector's own.
        max_faces: the most faces of a frame, best scores first.
        min_eye_px: with eyes less than this apart in frame pixels a face is too small to be read.
        max_turn: with the nose tip further than this from the middle of the face it is too far turned: 1 is
            about 45 degrees sideways.
        min_sharpness: below this sharpness (see fer_edge.abstain) the face is too blurred.
        min_confidence: below this confidence the expression is unclear; None for the
            model's own, from which on nine in ten labels were right on held-out pictures.

    Raises:
        ModelError: a model is missing, corrupt or of the wrong role.
        ImportError: the backend is not installed.
        ValueError: a setting outside its range.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "tkfnet-nano",
        *,
        detector: str | os.PathLike[str] = "face-luma",
        backend: str = "auto",
        threads: int | None = None,
        min_face: float | None = None,
        threshold: float | None = None,
        max_faces: int = 64,
        min_eye_px: float = abstain.MIN_EYE_PX,
        max_turn: float = abstain.MAX_TURN,
        min_sharpness: float = abstain.MIN_SHARPNESS,
        min_confidence: float | None = None,
    ) -> None:
        _check_settings(threads, min_face, threshold, max_faces)
        self._model = models.load(model, "expression")
        unclear = self._model.spec.min_confidence if min_confidence is None else min_confidence
        self._limits = abstain.Limits(min_eye_px, max_turn, min_sharpness, unclear)
        self._detector_model = models.load(detector, "detector")
        open_model = opener_for(backend)
        self._network = open_model(self._model, threads)
        self._detector_network = open_model(self._detector_model, threads)
        warm_up(self._network, self._model)
        warm_up(self._detector_network, self._detector_model)
        spec = self._detector_model.spec
        self._detect = Detector(
            self._detector_network,
            spec,
            threshold=spec.threshold if threshold is None else threshold,
            min_face=min_face,
            max_faces=max_faces,
        )
        self._template = np.array(self._model.spec.template, np.float32)
        self._luma = ThreadBuffer(np.uint8)
        self._closed = False

    def __call__(self, frame: U8, *, layout: Layout | None = None) -> list[Face]:
        """Finds and reads the faces of a frame, best detector score first; an empty list when there is none.

        Args:
            frame: uint8, [H, W, 3] BGR as OpenCV gives it, [H, W] grey (luma), or NV12 [H * 3 / 2, W]. Any
                size from one pixel on: a frame too small to show a face has none.
            layout: "bgr", "grey" or "nv12"; None tells BGR and grey apart by the shape. NV12 must be named.

        Raises:
            TypeError: not a uint8 array.
            ValueError: a shape that is no frame, or an empty frame.
            RuntimeError: the recogniser was closed.
        """
        self._require_open()
        layout = layout_of_frame(frame, layout)
        # Only BGR needs memory for its luma; grey and NV12 are views of the frame.
        out = self._luma.reserve(frame.shape[:2]) if layout == "bgr" else None
        plane = luma_from_frame(frame, layout, out)
        found = self._detect(plane)
        if not len(found):
            return []
        matrices = matrices_from_landmarks(found.landmarks, self._template, self._model.spec.size)
        return self._read(
            found, lambda part, crops: fill_from_frame(plane, matrices[part], self._model.spec, crops)
        )

    def recognize_crops(self, crops: Sequence[U8], landmarks: F32 | None = None) -> list[Face]:
        """Reads faces that were cut out elsewhere; one Face a crop, in the order given, box the whole crop,
        score 1.

        Args:
            crops: uint8, [h, w, 3] BGR or [h, w] grey, each of any size. Without landmarks framed tightly,
                from forehead to chin, and upright.
            landmarks: [N, 5, 2] in pixels of each crop, for a crop with room around the face; order as in
                Face.landmarks. Without them a face is never called too small or too far turned.

        Raises: as for a frame; the message names the crop.
        """
        self._require_open()
        planes = planes_from_crops(crops)
        count, size = len(planes), self._model.spec.size
        boxes = np.array([(0, 0, p.shape[1], p.shape[0]) for p in planes], np.float32).reshape(count, 4)
        if landmarks is None:
            points = np.empty((count, 0, 2), np.float32)
            matrices = matrices_from_boxes(boxes, size)
        else:
            points = checked_landmarks(landmarks, count)
            matrices = matrices_from_landmarks(points, self._template, size)
        given = Detections(boxes, points, np.ones(count, np.float32))
        return self._read(
            given, lambda part, out: fill_from_crops(planes[part], matrices[part], self._model.spec, out)
        )

    def _read(self, found: Detections, fill: Callable[[slice, F32], None]) -> list[Face]:
        """Names expressions; `fill` writes the crops of a slice of the faces into the network's input."""
        spec = self._model.spec
        faces: list[Face] = []
        for start in range(0, len(found), BATCH):
            part = slice(start, min(start + BATCH, len(found)))
            some = Detections(found.boxes[part], found.landmarks[part], found.scores[part])
            crops = self._network.reserve((len(some), 1, spec.size, spec.size))
            fill(part, crops)
            logits = self._network.run()[0]
            probabilities = softmax(logits, spec.temperature)
            confidence = softmax(logits, spec.confidence_temperature or spec.temperature).max(axis=1)
            measures = abstain.measure(some.landmarks, crops)
            reasons = abstain.reasons(self._limits, *measures, confidence)
            faces += faces_from_arrays(some, probabilities, confidence, spec.labels, reasons)
        return faces

    @property
    def labels(self) -> tuple[str, ...]:
        """The expressions in the order of Face.probabilities."""
        return self._model.spec.labels

    def info(self) -> dict[str, Any]:
        """Returns what really runs: engine, provider, threads, kernels, both models with their hashes."""
        self._require_open()
        return {
            **self._network.info(),
            "ops": ops.target,
            "model": _identity(self._model),
            "detector": _identity(self._detector_model),
        }

    def close(self) -> None:
        """Gives the engines back; no call may be under way. Later calls raise RuntimeError."""
        if not self._closed:
            self._closed = True
            self._network.close()
            self._detector_network.close()

    def __enter__(self) -> "Recognizer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        names = f"model={self._model.spec.name!r}, detector={self._detector_model.spec.name!r}"
        if self._closed:
            return f"Recognizer({names}, closed)"
        engine = self._network.info()
        return (
            f"Recognizer({names}, backend={engine['backend']!r}, provider={engine['provider']!r}, "
            f"threads={engine['threads']}, ops={ops.target!r})"
        )

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this Recognizer was closed; make a new one")


def _identity(model: models.ModelFile) -> dict[str, str]:
    spec = model.spec
    return {"name": spec.name, "version": spec.version, "precision": model.precision, "sha256": model.sha256}


def _require(holds: bool, expected: str, got: object) -> None:
    if not holds:
        raise ValueError(f"{expected}, got {got!r}")


def _check_settings(
    threads: int | None, min_face: float | None, threshold: float | None, max_faces: int
) -> None:
    whole, number = (int, np.integer), (int, float, np.integer, np.floating)
    _require(
        threads is None or (isinstance(threads, whole) and threads >= 1),
        "threads must be None or a whole number of at least 1",
        threads,
    )
    smallest = f"min_face must be None or at least {MIN_MIN_FACE_PX} px"
    _require(
        min_face is None or (isinstance(min_face, number) and MIN_MIN_FACE_PX <= min_face < float("inf")),
        smallest,
        min_face,
    )
    _require(
        threshold is None or (isinstance(threshold, number) and 0 < threshold < 1),
        "threshold must be None or between 0 and 1",
        threshold,
    )
    _require(
        isinstance(max_faces, whole) and max_faces >= 1,
        "max_faces must be a whole number of at least 1",
        max_faces,
    )
