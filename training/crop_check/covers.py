"""Draws what covers faces: masks, scarves, hands, hats, hair, cups and telephones.

The shapes follow the landmarks, in frame pixels, with random positions and sizes. `training.evaluation.
changed_photos` covers faces with fixed shapes of its own, so that a check is not judged by what it was
trained on. Sunglasses are not drawn: the mouth still shows most expressions, and the photographs have real
ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from fer_edge.arrays import F32, U8

Shape = Callable[["U8", "FaceAxes", np.random.Generator], None]


@dataclass(frozen=True, slots=True)
class FaceAxes:
    """The coordinate system of a face: ``across`` from eye to eye, ``down`` from the eyes to the mouth."""

    eyes: F32
    mouth: F32
    nose: F32
    across: F32
    down: F32

    @classmethod
    def from_landmarks(cls, landmarks: F32) -> "FaceAxes":
        eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
        return cls(eyes, mouth, landmarks[2], landmarks[1] - landmarks[0], mouth - eyes)

    def at(self, origin: F32, x: float, y: float) -> F32:
        """The point ``x`` eye distances across and ``y`` face heights (eyes to mouth) down of ``origin``."""
        return origin + np.float32(x) * self.across + np.float32(y) * self.down


def covered(image: U8, landmarks: F32, other: U8, rng: np.random.Generator) -> tuple[U8, float, float]:
    """Covers a part of a face u8 [H, W] with grey, stripes or a piece of the picture ``other``.

    Returns the picture, the covered share of the mouth, and that of both eyes.
    """
    face = FaceAxes.from_landmarks(landmarks)
    shape = image.shape
    draw = SHAPES[rng.integers(len(SHAPES))]
    mask = np.zeros(shape, np.uint8)
    draw(mask, face, rng)
    mouth, eyes = (_share(mask, region) for region in (_mouth(shape, face), _eyes(shape, landmarks, face)))
    # Soft edges: sharp ones would tell a drawn cover from a real one.
    width = float(np.hypot(*face.across))
    soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), max(0.3, width * rng.uniform(0, 0.05)))
    fill = _texture(shape, image, other, rng)
    blended = image + soft * (fill - image)
    return blended.round().clip(0, 255).astype(np.uint8), mouth, eyes


def _share(mask: U8, region: U8) -> float:
    return float((mask[region > 0] > 0).mean()) if region.any() else 0.0


def _mouth(shape: tuple[int, ...], face: FaceAxes) -> U8:
    region = np.zeros(shape, np.uint8)
    _fill(
        region, [face.at(face.mouth, x, y) for x, y in ((-0.4, -0.15), (0.4, -0.15), (0.4, 0.2), (-0.4, 0.2))]
    )
    return region


def _eyes(shape: tuple[int, ...], landmarks: F32, face: FaceAxes) -> U8:
    region = np.zeros(shape, np.uint8)
    for eye in landmarks[:2]:
        _fill(region, [face.at(eye, x, y) for x, y in ((-0.2, -0.1), (0.2, -0.1), (0.2, 0.1), (-0.2, 0.1))])
    return region


def _fill(mask: U8, outline: list[F32]) -> None:
    cv2.fillPoly(mask, [np.stack(outline).round().astype(np.int32)], (255,))


def _draw_mask(mask: U8, face: FaceAxes, rng: np.random.Generator) -> None:
    """A mask over nose or mouth down to the chin."""
    top, bottom = rng.uniform(0.35, 0.75), rng.uniform(1.35, 1.8)
    wide, narrow = rng.uniform(0.6, 1.1), rng.uniform(0.35, 0.8)
    middle = top - rng.uniform(0, 0.3)
    points = ((-wide, top), (0, middle), (wide, top), (narrow, bottom), (0, bottom + 0.1), (-narrow, bottom))
    _fill(mask, [face.at(face.eyes, x, y) for x, y in points])


def _draw_scarf(mask: U8, face: FaceAxes, rng: np.random.Generator) -> None:
    """Everything below a tilted line between nose and mouth."""
    left, right = rng.uniform(0.4, 0.85, 2)
    points = ((-1.6, left), (1.6, right), (1.6, 2.8), (-1.6, 2.8))
    _fill(mask, [face.at(face.eyes, x, y) for x, y in points])


def _draw_hand(mask: U8, face: FaceAxes, rng: np.random.Generator) -> None:
    """Parallel fingers, or a fist, over mouth or eyes."""
    origin = face.mouth if rng.random() < 0.65 else face.eyes
    width = float(np.hypot(*face.across))
    thick = max(1, round(width * rng.uniform(0.18, 0.3)))
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)], np.float32) * np.float32(width)
    side = np.array([-along[1], along[0]], np.float32) * np.float32(thick / width * 0.9)
    start = (
        origin + face.across * np.float32(rng.normal(0, 0.12)) + face.down * np.float32(rng.normal(0, 0.12))
    )
    count = int(rng.integers(2, 6))
    for k in range(count):
        middle = start + side * np.float32(k - (count - 1) / 2)
        ends = (
            middle - along * np.float32(rng.uniform(0.4, 0.9)),
            middle + along * np.float32(rng.uniform(0.5, 2)),
        )
        cv2.line(mask, *(tuple(int(v) for v in end.round()) for end in ends), (255,), thick)


def _draw_bar(mask: U8, face: FaceAxes, rng: np.random.Generator) -> None:
    """A bar over the eyes: a hat, a blindfold, hair."""
    top, bottom = rng.uniform(-1.2, -0.2), rng.uniform(0.15, 0.4)
    wide, tilt = rng.uniform(0.75, 1.5), rng.normal(0, 0.06)
    points = ((-wide, top - tilt), (wide, top + tilt), (wide, bottom + tilt), (-wide, bottom - tilt))
    _fill(mask, [face.at(face.eyes, x, y) for x, y in points])


def _draw_thing(mask: U8, face: FaceAxes, rng: np.random.Generator) -> None:
    """A turned rectangle anywhere on the face: a cup, a telephone, a microphone. Often it hides little."""
    centre = face.at(face.eyes, rng.normal(0, 0.6), rng.normal(0.6, 0.8))
    width = float(np.hypot(*face.across))
    sides = width * rng.uniform(0.3, 1.4), width * rng.uniform(0.3, 1.4)
    corners = cv2.boxPoints((tuple(map(float, centre)), sides, float(rng.uniform(0, 90))))
    _fill(mask, list(corners))


# Twice what is frequent, or varies most.
SHAPES: tuple[Shape, ...] = (
    _draw_mask,
    _draw_mask,
    _draw_scarf,
    _draw_hand,
    _draw_bar,
    _draw_thing,
    _draw_thing,
)


def _texture(shape: tuple[int, ...], image: U8, other: U8, rng: np.random.Generator) -> F32:
    """Grey with a gradient and noise, stripes, skin of the same picture, or a piece of another picture."""
    kind = rng.random()
    if kind < 0.25:
        height, width = shape
        piece = cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        return piece if rng.random() < 0.5 else piece[::-1]
    level = float(np.median(image)) if kind < 0.45 else float(rng.uniform(0, 255))
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / max(shape)
    fill = level + rng.normal(0, 60) * (x - 0.5) + rng.normal(0, 60) * (y - 0.5)
    if kind > 0.85:
        waves = rng.uniform(10, 80) * (x * np.cos(level) + y * np.sin(level))
        fill = fill + rng.uniform(10, 60) * np.sign(np.sin(2 * np.pi * waves))
    fill = fill + rng.normal(0, 1, shape) * rng.uniform(0, 12)
    return fill.clip(0, 255).astype(np.float32)
