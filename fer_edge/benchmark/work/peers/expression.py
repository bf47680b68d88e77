"""Expression networks of others: any ONNX file, by ONNX Runtime with the settings that our networks get."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fer_edge import models
from fer_edge.arrays import F32, U8
from fer_edge.backends import opener_for
from fer_edge.backends.base import Backend
from fer_edge.benchmark.measure.loop import Subject
from fer_edge.benchmark.work.candidate import Candidate
from fer_edge.onnx_file import facts_from_onnx

CHANNELS = (1, 3)


class Peer(Protocol):
    """Software that is timed beside our networks."""

    def candidate(self, batch: int) -> Candidate:
        """A query of so many prepared faces."""


@dataclass(frozen=True, slots=True)
class PeerInput:
    """How a network wants its faces: [N, channels, size, size], (pixel - mean) * scale, BGR where three."""

    size: int
    channels: int
    mean: float
    scale: float

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 1024:
            raise ValueError(f"--peer-size must be from 8 to 1024 px, got {self.size}")
        if self.channels not in CHANNELS:
            raise ValueError(f"--peer-channels must be 1 (grey) or 3 (BGR), got {self.channels}")


class OnnxPeer:
    """An ONNX file without a spec of ours.

    Raises:
        ModelError: the file is missing or corrupt, or cannot run on such inputs.
    """

    def __init__(self, path: Path, expects: PeerInput, threads: int) -> None:
        self._expects, self._threads = expects, threads
        self._model = _model_file(path, expects)
        self._network: Backend = opener_for("onnxruntime")(self._model, threads)
        self._rows = self._rows_of_a_run()

    def candidate(self, batch: int) -> Candidate:
        expects = self._expects
        inputs = np.zeros((batch, expects.channels, expects.size, expects.size), np.float32)
        return Candidate(
            name=self._model.spec.name,
            subject=Subject(lambda: self.run(inputs)),
            model=self._model.path.name,
            precision=self._model.precision,
            backend="onnxruntime",
            threads=self._threads,
            batch=batch,
            count=lambda: float(batch),
        )

    @property
    def name(self) -> str:
        """The name of the file without its ending."""
        return self._model.spec.name

    def run(self, inputs: F32) -> F32:
        """The first output, float32 [N, ...], of inputs float32 [N, C, S, S].

        A network with a fixed batch of one runs face by face.
        """
        if len(inputs) == 1 or self._rows > 1:
            return self._run(inputs)
        return np.concatenate([self._run(row[None]) for row in inputs])

    def read_faces(self, frame: U8, boxes: F32) -> None:
        """Runs the faces of a BGR frame, cut out by their boxes [N, 4] and resized by OpenCV."""
        if len(boxes):
            self.run(np.stack([self._input_from_box(frame, box) for box in boxes]))

    def close(self) -> None:
        """Frees the network."""
        self._network.close()

    def _run(self, inputs: F32) -> F32:
        self._network.reserve(inputs.shape)[:] = inputs
        return self._network.run()[0]

    def _rows_of_a_run(self) -> int:
        """2 if a run takes several faces, 1 if the file has a fixed batch of one."""
        expects = self._expects
        inputs = np.zeros((2, expects.channels, expects.size, expects.size), np.float32)
        try:
            self._run(inputs)
        except models.ModelError:
            self._run(inputs[:1])
            return 1
        return 2

    def _input_from_box(self, frame: U8, box: F32) -> F32:
        cv2, expects = _opencv(), self._expects
        height, width = frame.shape[:2]
        # At least one pixel, also for a box beyond the frame.
        left, top = (
            min(max(0, int(low)), end - 1) for low, end in zip(box[:2], (width, height), strict=True)
        )
        right, bottom = max(left + 1, int(box[2])), max(top + 1, int(box[3]))
        face = frame[top:bottom, left:right]
        if expects.channels == 1:
            face = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
        face = cv2.resize(face, (expects.size, expects.size)).astype(np.float32)
        face = (face - np.float32(expects.mean)) * np.float32(expects.scale)
        channels: F32 = face[None] if expects.channels == 1 else face.transpose(2, 0, 1)
        return channels


def _opencv() -> Any:
    from fer_edge.installation.import_opencv import opencv

    return opencv()


def _model_file(path: Path, expects: PeerInput) -> models.ModelFile:
    """A file without a spec as the backends take it."""
    try:
        data = path.read_bytes()
        facts = facts_from_onnx(data)
    except OSError as error:
        raise models.ModelError(f"--peer {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise models.ModelError(f"--peer {path} {error}; give an ONNX file") from error
    spec = models.ModelSpec(
        name=path.stem,
        role="expression",
        size=expects.size,
        mean=expects.mean,
        scale=expects.scale,
        labels=("unknown",),
        template=((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.75), (0.65, 0.75)),
    )
    hashes = hashlib.sha256(data).hexdigest(), facts.graph_sha256
    return models.ModelFile(spec, path, *hashes, len(data), facts.parameters, facts.precision)
