"""From a frame to faces with expressions. Only this module knows the order of the stages."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fer_edge import models, ops
from fer_edge.arrays import U8, Picture
from fer_edge.backends.networks import Build, Request, model_for, networks_for
from fer_edge.buffers import ThreadBuffer
from fer_edge.detection.detect import Detector
from fer_edge.detection.detect_near import NearDetector
from fer_edge.detection.scales import MIN_FACE_SHARE
from fer_edge.result import Detections, Expressions, Face, faces_from_arrays
from fer_edge.running_calls import CLOSED, RunningCalls
from fer_edge.settings import check_settings
from fer_edge.stages import abstain
from fer_edge.stages.calibrate import softmax
from fer_edge.stages.expressions import ExpressionReader
from fer_edge.stages.frame_stages import FrameStages
from fer_edge.stages.image import Layout, plane_of_frame, planes_from_crops


class Recognizer:
    """Finds the faces of a frame and recognizes their expressions. Warmed up; may be shared by threads.

    Processes do not share it. Pickled (for multiprocessing with "spawn") or copied, it is made again from its
    settings. After a fork, make a new one in the child and do not use the parent's: the threads of its engine
    do not exist there.

    Args:
        model: expression network: name of an embedded model or path of an ONNX file with a spec
            (fer_edge.models).
        detector: face detector: name or path, as for `model`.
        backend: "onnxruntime", "openvino", "tensorrt" (Jetson, data centre) or "tensorrt-rtx" (desktop GPUs),
            see docs/deploy.md; "auto" takes a GPU only where it was measured to be faster (`info` says why
            not), and OpenVINO where it is installed and the processor has AMX.
        threads: CPU threads of the engine, 1 to 1024; None: 1.
        min_face: smallest face to search for, in frame pixels; None: by min_face_share. It sets the size of
            the network's input and drops no face: smaller ones may be found too, and those from a twelfth of
            the longer side on always are. It holds for frames of any size; the time grows with (longer side /
            min_face)^2.
        min_face_share: smallest face to search for, as a share of the longer side of the frame, in (0, 1]. A
            frame is enlarged to at most 320 px for it. In photographs of groups the default, a twentieth,
            finds 87 % of the faces of 5 to 10 % of the longer side and 24 % of those of 2.5 to 5 %; 1/80
            finds 98 % and 91 %, in 17 times the time (python -m training.evaluate_search).
        threshold: minimum score of a face, in (0, 1); None: the detector's value.
        max_faces: maximum number of faces per frame; the best scores are kept.
        min_eye_px: a face whose eyes are less than this apart, in frame pixels, is too small.
        max_rolled: a face that is not upright in its crop with a larger probability is rolled too far. None:
            the model's value, 1 if the model has no crop check (fer_edge.models.ModelSpec).
        max_covered: a face is covered if the probability that mouth or eyes are hidden is larger. None: as
            for max_rolled.
        max_turn: a face with a larger turn (see fer_edge.stages.abstain) is too far turned; 1 is about 45
            degrees sideways.
        max_outside: a face is cut by the frame if a larger share of its aligned crop lies outside, in [0, 1].
        min_sharpness: a face with a lower sharpness (see fer_edge.stages.abstain) is too blurred.
        min_confidence: below this confidence the expression is unclear. None: the model's value; with at
            least this confidence, 90 % of the labels of its validation pictures were right.
        engines: for a GPU, a folder with the engines of both networks (`fer-edge build --out`); None: the
            user's cache.
        build: for an engine that is missing: "background" (ONNX Runtime answers meanwhile), "block" or
            "never".
        fallback: whether ONNX Runtime answers if the GPU fails; else the call raises.

    Raises:
        ModelError: a model is missing, corrupt or has the wrong role.
        ImportError: the backend is not installed.
        ValueError: a setting is outside its range.
        DeviceError: the GPU cannot be used; a RuntimeError.
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
        min_face_share: float = MIN_FACE_SHARE,
        min_eye_px: float = abstain.MIN_EYE_PX,
        max_turn: float = abstain.MAX_TURN,
        max_outside: float = abstain.MAX_OUTSIDE,
        max_rolled: float | None = None,
        max_covered: float | None = None,
        min_sharpness: float = abstain.MIN_SHARPNESS,
        min_confidence: float | None = None,
        engines: str | os.PathLike[str] | None = None,
        build: Build = "background",
        fallback: bool = False,
    ) -> None:
        # For pickling; taken first, while there are no other names.
        self._settings = {name: value for name, value in locals().items() if name != "self"}
        check_settings(self._settings)
        self._model = model_for(backend, models.load(model, "expression"))
        self._detector_model = model_for(backend, models.load(detector, "detector"))
        limits = abstain.limits_from_settings(self._settings, self._model.spec)
        folder = None if engines is None else Path(engines).absolute()
        request = Request(self._detector_model, self._model, threads, folder, build, fallback)
        self._networks = networks_for(backend, request)
        spec = self._detector_model.spec
        self._detect = Detector(
            self._networks.detector,
            spec,
            threshold=spec.threshold if threshold is None else threshold,
            min_face=min_face,
            max_faces=max_faces,
            min_face_share=min_face_share,
        )
        self._detect_near = NearDetector(self._networks.detector, spec, min_face, min_face_share)
        self._reader = ExpressionReader(self._networks.expression, self._model, limits)
        self._luma = ThreadBuffer(np.uint8)
        held = ExitStack()
        held.callback(self._luma.free)
        held.callback(self._networks.close)
        self._calls = RunningCalls(release=held.close)
        # A relative path would be another file after os.chdir.
        absolute = {"model": models.absolute(model), "detector": models.absolute(detector), "engines": folder}
        self._settings |= absolute

    def __call__(self, frame: Picture, *, layout: Layout | None = None) -> list[Face]:
        """Returns the faces of a frame with their expressions, best detector score first; may be empty.

        Args:
            frame: uint8: [H, W, 3] BGR (as in OpenCV), [H, W] grey (luma), or NV12 [H * 3 / 2, W]. Any size
                from one pixel; a frame that is too small to show a face has no faces. With a GPU backend, a
                grey or NV12 frame may be in the GPU's memory (__cuda_array_interface__ or DLPack).
            layout: "bgr", "grey" or "nv12"; None: BGR or grey, by the shape. NV12 must be given.

        Raises:
            TypeError: the frame is not a uint8 array.
            ValueError: the shape is not that of a frame, or the frame is empty.
            RuntimeError: the Recognizer is closed.
        """
        with self.stages(frame, layout) as stages:
            found = stages.search()
            return self._faces(found, stages.expressions(found)) if len(found) else []

    @contextmanager
    def stages(self, frame: Picture, layout: Layout | None = None) -> Iterator[FrameStages]:
        """A context with the stages of one frame, for `fer_edge.stream`; raises as for a call."""
        with self._calls:
            plane = self._networks.plane_on_device(frame, layout)
            if plane is None:
                plane = self._networks.plane(plane_of_frame(frame, layout, self._luma))
            yield FrameStages(plane, self._detect, self._detect_near, self._reader.from_frame)

    def recognize_crops(
        self, crops: Sequence[Picture] | Picture, landmarks: ArrayLike | None = None
    ) -> list[Face]:
        """Recognizes the expressions of face crops; no detector runs.

        Args:
            crops: uint8 [h, w, 3] BGR or [h, w] grey, of any size. Without landmarks they must be upright and
                tight, from forehead to chin.
            landmarks: [N, 5, 2] in pixels of each crop, for crops with space around the face; order as in
                Face.landmarks. Without landmarks no face is reported as too small or too far turned.

        Returns:
            One Face per crop, in the given order. Its box is the whole crop, its score 1.

        Raises: as for a frame; the message contains the index of the crop.
        """
        with self._calls:
            return self._faces(*self._reader.from_crops(planes_from_crops(crops), landmarks))

    def expressions(self, frames: Sequence[tuple[U8, Detections]]) -> list[Expressions]:
        """Reads the faces of several luma planes as one batch, for `fer_edge.stream`; one item per plane."""
        with self._calls:
            return self._reader.from_frames(frames)

    def _faces(self, found: Detections, read: Expressions) -> list[Face]:
        spec = self._model.spec
        probabilities = softmax(read.logits, spec.temperature)
        return faces_from_arrays(found, probabilities, read.confidence, spec.labels, read.reasons)

    @property
    def spec(self) -> models.ModelSpec:
        """The spec of the expression network."""
        return self._model.spec

    @property
    def labels(self) -> tuple[str, ...]:
        """The expressions, in the order of Face.probabilities."""
        return self._model.spec.labels

    def info(self) -> dict[str, Any]:
        """Returns the engine, provider, threads and kernels in use, and both models with their hashes."""
        self._require_open()
        return {
            **self._networks.info(),
            "ops": ops.target,
            "model": self._model.identity(),
            "detector": self._detector_model.identity(),
        }

    def close(self) -> None:
        """Releases engines and memory, once the calls of other threads are done. Later calls raise
        RuntimeError. In a signal handler that interrupts a call it does not wait: the last call to end
        releases them.
        """
        self._calls.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles and copies the settings: the copy is a new Recognizer, with engines of its own."""
        self._require_open()
        return partial(type(self), **self._settings), ()

    def __enter__(self) -> "Recognizer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        names = f"model={self._model.spec.name!r}, detector={self._detector_model.spec.name!r}"
        if self._calls.closed:
            return f"Recognizer({names}, closed)"
        engine = self._networks.info()
        return (
            f"Recognizer({names}, backend={engine['backend']!r}, provider={engine['provider']!r}, "
            f"threads={engine['threads']}, ops={ops.target!r})"
        )

    def _require_open(self) -> None:
        if self._calls.closed:
            raise RuntimeError(CLOSED)
