"""Portraits turned and cut: does a detector find the face whose place is known?"""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_edge.arrays import F32, F64, U8
from fer_edge.result import Detections

ROLLS = (0, 15, -15, 30, -30, 45, -45)  # degrees
CUT = 0.25  # share of the face's width or height that lies outside the picture
FILL = 118  # luma beyond a turned picture

FindFunction = Callable[[U8], Detections]  # with scores above the detector's threshold


def views(image: U8, box: F32) -> Iterator[tuple[str, U8, F64]]:
    """Each view of a picture u8 [H, W] with a face f32 [4] xyxy: name, picture, middle of the face in it."""
    corner0, corner1 = np.maximum(box[:2], 0), np.minimum(box[2:], image.shape[::-1])
    for degrees in ROLLS:
        turned, matrix = _turned(image, degrees)
        yield f"roll {degrees}", turned, matrix @ np.array([*(corner0 + corner1) / 2, 1])
    left, top = (corner0 + CUT * (corner1 - corner0)).round().astype(int)
    right, bottom = (corner1 - CUT * (corner1 - corner0)).round().astype(int)
    width, height = image.shape[::-1]
    parts = {
        "cut left": (left, 0, width, height),
        "cut right": (0, 0, right, height),
        "cut top": (0, top, width, height),
        "cut bottom": (0, 0, width, bottom),
    }
    for name, (x0, y0, x1, y1) in parts.items():
        seen = np.maximum(corner0, (x0, y0)) + np.minimum(corner1, (x1, y1))
        yield name, np.ascontiguousarray(image[y0:y1, x0:x1]), seen / 2 - (x0, y0)


def _turned(image: U8, degrees: float) -> tuple[U8, F64]:
    """The whole picture, turned, and the matrix [2, 3] to its pixels."""
    height, width = image.shape
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1), np.float64)
    size = np.ceil(np.abs(matrix[:, :2]) @ (width, height)).astype(int)
    matrix[:, 2] += (size - (width, height)) / 2
    turned = cv2.warpAffine(image, matrix, size.tolist(), flags=cv2.INTER_LINEAR, borderValue=FILL)
    return np.asarray(turned, np.uint8), matrix


def missed_portraits(
    folder: Path, locate: FindFunction, finders: dict[str, FindFunction]
) -> dict[str, dict[str, list[str]]]:
    """For each view, the pictures in which each finder misses the face: view -> finder -> file names.

    ``locate`` says where the face of the unchanged picture is: its largest detection. A face is found when
    its middle lies in a box of less than twice its side. Raises ValueError when ``locate`` finds none.
    """
    missed: dict[str, dict[str, list[str]]] = {}
    for path in sorted(folder.glob("*.*")):
        image = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
        boxes = locate(image).boxes
        if not len(boxes):
            raise ValueError(f"{path} must show a face that the first teacher finds")
        face = boxes[np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).argmax()]
        for view, picture, middle in views(image, face):
            for name, find in finders.items():
                names = missed.setdefault(view, {}).setdefault(name, [])
                if not _contains(find(picture).boxes, middle, float((face[2:] - face[:2]).max())):
                    names.append(path.name)
    return missed


def _contains(boxes: F32, point: F64, side: float) -> bool:
    inside = (boxes[:, :2] < point).all(axis=1) & (boxes[:, 2:] > point).all(axis=1)
    return bool((inside & ((boxes[:, 2:] - boxes[:, :2]).max(axis=1) < 2 * side)).any())
