"""Made videos with known faces: moved, scaled, rolled, crossing and hidden.

The face is that of the astronaut photograph (NASA, public domain, part of scikit-image).

A scene is a list of actors; each has a path and times at which it is hidden. The noise of a camera is added
to each frame, so that no two frames are equal where nothing moves.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import skimage.data

from fer_edge.arrays import F32, U8

FACE = (slice(0, 256), slice(96, 352))  # rows and columns of the photograph: head and shoulders
# Centre and side of the face (of the detector's box) in that part, in pixels.
CENTRE, SIDE = (128.0, 112.0), 95.0
NOISE_STD, NOISES = 2.0, 5  # grey levels, and number of pictures of noise

# Seconds -> centre x, y and side of the face in pixels, and roll in radians.
Path = Callable[[float], tuple[float, float, float, float]]


@dataclass(frozen=True)
class Actor:
    """One face of a scene.

    Attributes:
        path: where it is.
        hidden: (from, to) in seconds, when a board covers it.
        present: (from, to) in seconds, when it is in the scene.
        mirrored: shows the face mirrored.
    """

    path: Path
    hidden: tuple[float, float] = (0.0, 0.0)
    present: tuple[float, float] = (0.0, math.inf)
    mirrored: bool = False


@dataclass(frozen=True)
class Truth:
    """Where an actor is in a frame: box centre and side, and whether it can be seen."""

    actor: int
    x: float
    y: float
    side: float
    is_visible: bool


def still(x: float, y: float, side: float) -> Path:
    """A face that does not move."""
    return lambda time: (x, y, side, 0.0)


def line(start: tuple[float, float], end: tuple[float, float], seconds: float, side: float) -> Path:
    """A face that walks from start to end."""

    def path(time: float) -> tuple[float, float, float, float]:
        share = min(max(time / seconds, 0.0), 1.0)
        return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]), side, 0.0

    return path


def sway(x: float, y: float, side: float, *, seconds: float = 4.0, phase: float = 0.0) -> Path:
    """A face that moves, comes nearer and rolls a little, as people do."""

    def path(time: float) -> tuple[float, float, float, float]:
        turn = 2 * math.pi * time / seconds + phase
        return (
            x + 0.25 * side * math.sin(turn),
            y + 0.1 * side * math.sin(2 * turn),
            side * (1 + 0.1 * math.sin(turn + 1)),
            0.12 * math.sin(turn + 2),
        )

    return path


def video(
    actors: Sequence[Actor], seconds: float, fps: float, *, width: int = 640, height: int = 480, seed: int = 0
) -> Iterator[tuple[float, U8, list[Truth]]]:
    """Yields (time, BGR uint8 [height, width, 3], the truth) of each frame."""
    random = np.random.default_rng(seed)
    # A few pictures of noise in turn, because noise takes longer than all the rest.
    noise = [random.normal(0, NOISE_STD, (height, width, 3)).astype(np.float32) for _ in range(NOISES)]
    stage = background(width, height)
    for number in range(round(seconds * fps)):
        time = number / fps
        frame = stage.copy()
        truth = []
        for index, actor in enumerate(actors):
            if not actor.present[0] <= time < actor.present[1]:
                continue
            x, y, side, roll = actor.path(time)
            paste_face(frame, x, y, side, roll, mirrored=actor.mirrored)
            is_hidden = actor.hidden[0] <= time < actor.hidden[1]
            if is_hidden:
                corner0, corner1 = ((round(x + s * side), round(y + s * side)) for s in (-0.8, 0.8))
                cv2.rectangle(frame, corner0, corner1, (90.0, 90.0, 90.0), -1)
            truth.append(Truth(index, x, y, side, not is_hidden))
        frame += noise[number % NOISES]
        yield time, frame.clip(0, 255).astype(np.uint8), truth


def background(width: int, height: int) -> F32:
    """A room without a face: soft light and some shapes, float32 [height, width, 3]."""
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    light = 90 + 60 * across + 30 * np.sin(5 * down + 3 * across) + 12 * np.sign(np.sin(9 * across))
    return np.repeat(light[..., None], 3, axis=2).astype(np.float32)


def paste_face(frame: F32, x: float, y: float, side: float, roll: float, *, mirrored: bool = False) -> None:
    """Draws the face with its centre at (x, y) into a float32 frame."""
    face, mask = _face(mirrored)
    scale = side / SIDE
    cos, sin = scale * math.cos(roll), scale * math.sin(roll)
    centre_x = face.shape[1] - CENTRE[0] if mirrored else CENTRE[0]
    # Only the part of the frame that can show it.
    reach = math.ceil(scale * 1.5 * max(CENTRE))
    left, top = max(0, round(x) - reach), max(0, round(y) - reach)
    part = frame[top : max(top, round(y) + reach), left : max(left, round(x) + reach)]
    if not part.size:
        return
    matrix = np.array(
        [
            [cos, -sin, x - left - cos * centre_x + sin * CENTRE[1]],
            [sin, cos, y - top - sin * centre_x - cos * CENTRE[1]],
        ]
    )
    size = (part.shape[1], part.shape[0])
    warped = cv2.warpAffine(face, matrix, size, flags=cv2.INTER_AREA)
    alpha = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_AREA)[..., None]
    part += alpha * (warped - part)


@lru_cache(maxsize=2)
def _face(mirrored: bool) -> tuple[F32, F32]:
    """The face, BGR, and its soft elliptic mask."""
    face = skimage.data.astronaut()[FACE][:, :, ::-1].astype(np.float32)
    height, width = face.shape[:2]
    down, across = np.mgrid[:height, :width]
    distance = np.hypot((across - CENTRE[0]) / 72, (down - CENTRE[1]) / 95)
    mask = np.clip((1 - distance) / 0.12, 0, 1).astype(np.float32)
    if mirrored:
        face, mask = face[:, ::-1], mask[:, ::-1]
    return np.ascontiguousarray(face), np.ascontiguousarray(mask)
