"""How a typed program uses fer_edge. `make lint` checks it with mypy and pyright; it is not run.

No cast and no ignored error stands here, except where a mistake must be found: both tools report an ignored
error that does not exist.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from collections.abc import Iterator

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

import fer_edge
from fer_edge.models import ModelSpec


def readme(frame: MatLike) -> None:
    """The lines of the README."""
    recognizer = fer_edge.Recognizer()  # embedded models, warmed up
    for face in recognizer(frame):  # uint8 [H, W, 3] BGR or [H, W] luma; NV12 with layout="nv12"
        print(face.label, face.confidence, face.box)


def label_of_picture(path: str) -> str | None:
    """A picture, which cv2.imread may fail to read."""
    frame = cv2.imread(path)
    if frame is None:
        return None
    with fer_edge.Recognizer() as recognizer:
        faces: list[fer_edge.Face] = recognizer(frame)
    return faces[0].label if faces else None


def confidences_of_camera(recognizer: fer_edge.Recognizer) -> Iterator[float]:
    """The frames of a camera."""
    camera = cv2.VideoCapture(0)
    while True:
        read, frame = camera.read()
        if not read:
            break
        for face in recognizer(frame):
            yield face.confidence
    camera.release()


def recognize_arrays(
    recognizer: fer_edge.Recognizer, mat: MatLike, bytes_: NDArray[np.uint8], wide: NDArray[np.int64]
) -> list[fer_edge.Face]:
    """Arrays of any annotated dtype, since OpenCV's annotations do not say more; checked at run time."""
    grey = cv2.cvtColor(mat, cv2.COLOR_BGR2GRAY)
    faces = recognizer(mat) + recognizer(bytes_, layout="nv12") + recognizer(grey) + recognizer(wide)
    faces += recognizer.recognize_crops([mat[:64, :64], grey, bytes_])
    faces += recognizer.recognize_crops([mat], np.zeros((1, 5, 2)))
    return faces + recognizer.recognize_crops(
        np.zeros((2, 64, 64, 3), np.uint8), [face.landmarks for face in faces]
    )


def parts_of_face(face: fer_edge.Face) -> tuple[str, float, float]:
    """What a face consists of."""
    x0, _y0, _x1, _y1 = face.box
    reason: str = face.abstain_reason or "trusted"
    probability: float = face.probabilities[face.label]
    return reason, x0, probability


def own_model(spec: ModelSpec) -> str:
    """A model with a spec, and the error for one without."""
    try:
        model = fer_edge.models.load("mine.onnx", "expression")
        return f"{model.spec.name} {spec.labels} {fer_edge.__version__}"
    except fer_edge.ModelError as error:
        return str(error)


def mistakes(recognizer: fer_edge.Recognizer, path: str) -> None:
    """What must be found."""
    recognizer(cv2.imread(path))  # type: ignore[arg-type]
    recognizer(path)  # type: ignore[arg-type]
    recognizer(np.zeros((4, 4), np.uint8), layout="rgb")  # type: ignore[arg-type]
    fer_edge.Recognizer(min_face="20")  # type: ignore[arg-type]
