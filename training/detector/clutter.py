"""Drawn round things without a face: clocks, dials, wheels and buttons, for pictures without a face.

Detectors take their ring, dark centre and symmetric marks for a face, and photographs of them are rare in the
data.
"""

import cv2
import numpy as np

from fer_edge.arrays import U8

SMALLEST = 14.0  # px, radius


def draw_round_things(image: U8, rng: np.random.Generator) -> U8:
    """A copy of u8 [H, W] with one to three round things."""
    image = image.copy()
    for _ in range(rng.integers(1, 4)):
        side = min(image.shape)
        radius = float(rng.uniform(min(SMALLEST, side / 4), side / 2))
        centre = rng.uniform(0, 1, 2) * image.shape[::-1]
        _draw_dial(image, centre, radius, rng)
    return image


def _draw_dial(image: U8, centre: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    ground, ink = (int(v) for v in rng.integers(0, 256, 2))
    at, axes = _pixel(centre), (round(radius), round(radius * rng.uniform(0.75, 1)))
    turn, thick = float(rng.uniform(0, 360)), max(1, round(radius * rng.uniform(0.02, 0.12)))
    cv2.ellipse(image, at, axes, turn, 0, 360, ground, -1, cv2.LINE_AA)
    if rng.random() < 0.8:
        cv2.ellipse(image, at, axes, turn, 0, 360, ink, thick, cv2.LINE_AA)
    count = int(rng.choice([0, 2, 4, 5, 8, 12]))
    inner = radius * rng.uniform(0.5, 0.85)
    dots = rng.random() < 0.5
    for k in range(count):
        angle = np.deg2rad(turn) + 2 * np.pi * k / count
        ray = np.array([np.cos(angle), np.sin(angle)]) * axes[1] / radius
        if dots:
            cv2.circle(image, _pixel(centre + inner * ray), thick, ink, -1, cv2.LINE_AA)
        else:
            ends = _pixel(centre + inner * ray), _pixel(centre + 0.9 * radius * ray)
            cv2.line(image, *ends, ink, thick, cv2.LINE_AA)
    for _ in range(rng.integers(0, 4)):
        hand = rng.normal(size=2) * radius * 0.5
        cv2.line(image, at, _pixel(centre + hand), ink, thick, cv2.LINE_AA)


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
