"""OpenCV's face detector with a YuNet file, alone or followed by a peer's expression network."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from fer_edge.arrays import F32, U8
from fer_edge.benchmark.measure.loop import Subject
from fer_edge.benchmark.work.candidate import Candidate
from fer_edge.benchmark.work.clips import Clip
from fer_edge.benchmark.work.peers.expression import OnnxPeer
from fer_edge.installation.import_opencv import opencv
from fer_edge.models import ModelError

# The defaults of OpenCV's sample are 0.9 and 0.3; at 0.6 it finds about as many faces as ours.
THRESHOLD, OVERLAP = 0.6, 0.3


class YuNet:
    """Searches each frame of a clip at its full size; with an expression network also reads the faces.

    Raises:
        ModelError: OpenCV cannot load the file.
        ImportError: OpenCV is missing.
    """

    def __init__(self, path: Path, clip: Clip, threads: int, reader: OnnxPeer | None = None) -> None:
        self._cv2, self._threads, self._reader, self._clip = opencv(), threads, reader, clip
        if not path.is_file():
            raise ModelError(f"--yunet {path} is no file")
        height, width = clip.frames[0].shape[:2]
        try:
            self._detector: Any = self._cv2.FaceDetectorYN.create(
                str(path), "", (width, height), THRESHOLD, OVERLAP
            )
            self.find(clip.frames[0])
        except self._cv2.error as error:
            raise ModelError(f"--yunet {path} cannot be used by OpenCV: {error.err or error}") from error
        self._path, self._frames = path, itertools.cycle(clip.frames)
        self._faces = self._calls = 0

    def candidate(self) -> Candidate:
        """A query is the next frame."""
        reader = self._reader
        return Candidate(
            name="YuNet" if reader is None else f"YuNet and {reader.name}",
            # The number of threads belongs to OpenCV as a whole.
            subject=Subject(self, prepare=lambda: self._cv2.setNumThreads(self._threads)),
            model=self._path.name,
            backend=f"OpenCV {self._cv2.__version__}",
            threads=self._threads,
            input=self._clip.name,
            count=lambda: self._faces / max(1, self._calls),
        )

    def __call__(self) -> None:
        frame = next(self._frames)
        boxes = self.find(frame)
        if self._reader is not None:
            self._reader.read_faces(frame, boxes)
        self._faces += len(boxes)
        self._calls += 1

    def find(self, frame: U8) -> F32:
        """Boxes float32 [N, 4], xyxy in pixels of the frame."""
        found = self._detector.detect(frame)[1]
        if found is None:
            return np.empty((0, 4), np.float32)
        boxes: F32 = found[:, :4].copy()
        boxes[:, 2:] += boxes[:, :2]
        return boxes
