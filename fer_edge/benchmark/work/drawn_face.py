"""A face drawn from ellipses, which face-luma finds at any size, and frames with it.

So the benchmark needs no photograph of anybody. What such frames measure is time: it depends on the size of
the frame, the number of faces and the passes of the detector, not on who is shown. They say nothing about
accuracy, and how well a stream follows drawn faces is no measure of how well it follows people.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fer_edge import ops
from fer_edge.arrays import F32, U8

NOISE_STD = 2.0  # grey levels, so that no two frames are equal
# What is drawn, in sides of the face from its centre: x, y, radius x, radius y, softness, tilt, opacity,
# grey. The eyes and what is around them are drawn twice, mirrored.
BOTH_SIDES = (
    (0.20, -0.12, 0.15, 0.09, 0.25, 0.0, 0.45, 95),  # socket
    (0.205, -0.21, 0.13, 0.025, 0.25, 0.12, 0.8, 50),  # eyebrow
    (0.20, -0.10, 0.085, 0.04, 0.12, 0.0, 0.9, 205),  # eye
    (0.20, -0.10, 0.04, 0.042, 0.12, 0.0, 1.0, 40),  # iris
    (0.20, -0.135, 0.095, 0.014, 0.3, 0.0, 0.9, 45),  # lid
    (0.06, 0.13, 0.035, 0.02, 0.3, 0.0, 0.4, 60),  # nostril
    (0.10, 0.08, 0.03, 0.08, 0.5, 0.0, 0.25, 110),  # side of the nose
)
MIDDLE = (
    (0.0, 0.165, 0.09, 0.02, 0.4, 0.0, 0.35, 90),  # under the nose
    (0.0, 0.30, 0.16, 0.045, 0.2, 0.0, 0.75, 105),  # lips
    (0.0, 0.295, 0.15, 0.01, 0.3, 0.0, 0.8, 55),  # between the lips
    (0.0, 0.39, 0.10, 0.02, 0.4, 0.0, 0.3, 110),  # under the lips
)
SKIN, SKIN_RIM, HAIR = 175.0, 105.0, 45.0
FILL = 0.65  # of its cell that a face takes
REACH = 0.75  # half of the square that the face needs, in sides
CANVAS = 192  # px, the side of that square where it is drawn; it is sampled from there


class Place(NamedTuple):
    """Centre and side of a face in pixels, and its roll in radians."""

    x: float
    y: float
    side: float
    roll: float = 0.0


def frame_with_faces(height: int, width: int, places: Sequence[Place], seed: int = 0) -> U8:
    """A grey frame uint8 [height, width] with a face at each place, before soft light."""
    down, across = np.mgrid[:height, :width].astype(np.float32)
    frame = 90 + 60 * across / width + 20 * np.sin(5 * down / height + 3 * across / width)
    for place in places:
        _draw(frame, place)
    # One line of noise for the whole frame, moved from row to row, because noise takes longer than the rest.
    noise = np.random.default_rng(seed).normal(0, NOISE_STD, height + width).astype(np.float32)
    frame += np.lib.stride_tricks.sliding_window_view(noise, width)[:height]
    drawn: U8 = frame.clip(0, 255).astype(np.uint8)
    return drawn


def face_crop(size: int) -> U8:
    """A drawn face that fills a crop uint8 [size, size]."""
    return frame_with_faces(size, size, [Place(size / 2, size / 2, 0.95 * size)])


def moving_places(count: int, height: int, width: int, time: float) -> list[Place]:
    """`count` faces on a grid at a time in seconds; each sways, comes nearer and rolls a little."""
    columns = math.ceil(math.sqrt(count * width / height)) if count else 0
    rows = math.ceil(count / columns) if count else 0
    places = []
    for number in range(count):
        cell_x, cell_y = width / columns, height / rows
        side = FILL * min(cell_x, cell_y)
        turn = 2 * math.pi * time / 4 + 0.8 * number
        places.append(
            Place(
                (number % columns + 0.5) * cell_x + 0.15 * side * math.sin(turn),
                (number // columns + 0.5) * cell_y + 0.06 * side * math.sin(2 * turn),
                side * (1 + 0.06 * math.sin(turn + 1)),
                0.1 * math.sin(turn + 2),
            )
        )
    return places


def _draw(frame: F32, place: Place) -> None:
    """Draws a face into a float32 frame."""
    reach = math.ceil(REACH * place.side)
    top, left = max(0, round(place.y) - reach), max(0, round(place.x) - reach)
    part = frame[top : round(place.y) + reach, left : round(place.x) + reach]
    scale = CANVAS * 0.5 / REACH / place.side
    cos, sin = scale * math.cos(place.roll), scale * math.sin(place.roll)
    x, y = left - place.x, top - place.y
    # From pixels of the part to those of the canvas, whose centre is that of the face.
    matrix = np.array(
        [[[cos, sin, CANVAS / 2 + cos * x + sin * y], [-sin, cos, CANVAS / 2 - sin * x + cos * y]]],
        np.float32,
    )
    grey, cover = (np.empty((1, 1, *part.shape), np.float32) for _ in range(2))
    drawn_grey, drawn_cover = _canvas()
    ops.warp_normalize(drawn_grey, matrix, grey, mean=0.0, scale=1.0)
    ops.warp_normalize(drawn_cover, matrix, cover, mean=0.0, scale=1 / 255)
    part += cover[0, 0] * (grey[0, 0] - part)


@lru_cache(maxsize=1)
def _canvas() -> tuple[U8, U8]:
    """The face once, uint8 [CANVAS, CANVAS] each: grey levels, and its cover from 0 to 255."""
    down, across = (np.mgrid[:CANVAS, :CANVAS].astype(np.float32) + 0.5) / CANVAS * 2 * REACH - REACH
    grey, cover = _face(across, down)
    return grey.clip(0, 255).astype(np.uint8), (255 * cover).astype(np.uint8)


def _face(u: F32, v: F32) -> tuple[F32, F32]:
    """Grey levels, and how much the head covers what is behind it, at points in sides from the centre."""
    nose = 15 * np.exp(-((u / 0.12) ** 2)) * ((v > -0.45) & (v < 0.15))
    grey = SKIN - SKIN_RIM * np.abs(u) ** 1.6 - 12 * v + nose
    for x, y, radius_x, radius_y, softness, tilt, opacity, level in _parts():
        grey += opacity * _ellipse(u, v, x, y, radius_x, radius_y, softness, tilt) * (level - grey)
    face = _ellipse(u, v, 0, 0, 0.42, 0.56, 0.04)
    above = _soft_step(0.5 * u * u - v - 0.32, 0.02)
    hair = HAIR + 12 * np.sin(40 * u + 6 * v)
    fringe = np.maximum(0.95 * above, 1 - face)
    cover = np.maximum(face, _ellipse(u, v, 0, -0.12, 0.5, 0.56, 0.04) * (v < 0.35))
    return grey + fringe * (hair - grey), cover


def _parts() -> list[tuple[float, ...]]:
    mirrored = [(-x, *shape[:4], -shape[4], *shape[5:]) for x, *shape in BOTH_SIDES]
    return [*BOTH_SIDES, *mirrored, *MIDDLE]


def _ellipse(
    u: F32, v: F32, x: float, y: float, radius_x: float, radius_y: float, softness: float, tilt: float = 0.0
) -> F32:
    """1 inside of an ellipse, 0 outside."""
    cos, sin = math.cos(tilt), math.sin(tilt)
    a, b = (u - x) * cos + (v - y) * sin, (v - y) * cos - (u - x) * sin
    return _soft_step(1 - np.hypot(a / radius_x, b / radius_y), softness)


def _soft_step(distance: F32, width: float) -> F32:
    step: F32 = 1 / (1 + np.exp(-np.clip(distance / width, -40, 40)))
    return step
