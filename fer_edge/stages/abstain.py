"""Decides when a label should not be trusted: the face is too small, cut by the frame, rolled, too far
turned, too blurred, badly exposed or covered, or its expression is unclear.

The label is still returned, so that a caller may use it anyway. The reason tells the user what to change in
front of the camera.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from fer_edge.arrays import F32
from fer_edge.models import ModelSpec

# Defaults, measured on the validation split of FER+ with `python -m training.evaluate`; the tables are in
# docs/models/tkfnet-nano.md.
# With eyes 10 px apart, accuracy is 2 points lower than with 16.
MIN_EYE_PX = 10.0
# Beyond this turn, accuracy is 8 points lower, on the 105 rows that are further turned.
MAX_TURN = 1.0
# If blur reduces the median sharpness to this value, accuracy is more than 10 points lower. 95 % of the
# pictures are above 0.12.
MIN_SHARPNESS = 0.05
# Share of the aligned crop that lies outside the frame. Where more is missing, the landmarks of the missing
# part are guesses: `python -m training.evaluate_abstention` shows what a cut changes.
MAX_OUTSIDE = 0.08
# Standard deviation of the crop in grey levels; below, rounding and noise are all that is left.
MIN_CONTRAST = 2.0
# Share of the crop's pixels that are white: overexposed.
MAX_WHITE = 0.5
WHITE = 250  # grey level from which a pixel counts as white

# Settings that depend on the network, see models.ModelSpec.
LIMITS_OF_MODELS = ("max_rolled", "max_covered", "min_confidence")

# In order of precedence: only the first reason that applies is reported.
REASONS = (
    None,
    "face too small",
    "face cut by the frame",
    "face rolled too far",
    "face too far turned",
    "face too blurred",
    "face without contrast",
    "face too bright",
    "face covered",
    "expression unclear",
)

# Avoids a division by zero for a flat crop (contrast 0) and for coincident landmarks (area 0).
_EPSILON = np.float32(1e-6)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits within which a label is trusted; 0 (for a maximum: infinity) disables a check."""

    min_eye_px: float = MIN_EYE_PX
    max_outside: float = MAX_OUTSIDE
    max_rolled: float = 1.0
    max_turn: float = MAX_TURN
    min_sharpness: float = MIN_SHARPNESS
    min_contrast: float = MIN_CONTRAST
    max_white: float = MAX_WHITE
    max_covered: float = 1.0
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            _check_number(name, getattr(self, name))
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)!r}")
        if self.min_confidence > 1:
            raise ValueError(f"min_confidence must be between 0 and 1, got {self.min_confidence!r}")


def limits_from_settings(settings: Mapping[str, Any], spec: ModelSpec) -> Limits:
    """Returns the limits among the settings of a Recognizer; some may be None: the model's, if it has one."""
    given = {f.name: settings[f.name] for f in fields(Limits) if f.name in settings}
    for name in LIMITS_OF_MODELS:
        if given[name] is None:
            given[name] = getattr(spec, name)
        if given[name] is None:
            del given[name]
    return Limits(**given)


def _check_number(name: str, value: object) -> None:
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise ValueError(f"{name} must be a number, got {value!r}")


class Measures(NamedTuple):
    """What is measured of N faces, each [N]; NaN where it is unknown.

    Without landmarks `eye_px`, `outside` and `turn` are unknown. `rolled` and `covered` are unknown until the
    network has run, and if it has no crop check.
    """

    eye_px: F32  # eye distance in frame pixels
    outside: F32  # share of the crop outside the frame, in [0, 1]
    rolled: F32  # probability that the face is not upright in its crop
    turn: F32  # 0: frontal
    sharpness: F32
    contrast: F32  # standard deviation in grey levels
    white: F32  # share of the pixels from WHITE on, in [0, 1]
    covered: F32  # probability that mouth or eyes are covered


def measure(landmarks: F32, outside: F32, crops: F32, mean: float, scale: float) -> Measures:
    """Measures each face.

    Args:
        landmarks: [N, 5, 2] in frame pixels; [N, 0, 2] if they are unknown.
        outside: [N], see align.outside_shares; NaN if there is no frame around the crops.
        crops: [N, 1, S, S], (luma - mean) * scale.
        mean: of the model's spec, in grey levels.
        scale: of the model's spec.

    Turn and sharpness are defined in the functions below.
    """
    grey_level = np.float32(abs(scale))
    sharpness, deviation = _sharpness(crops, grey_level)
    # A negative scale makes white the smallest number.
    is_white = np.greater_equal if scale > 0 else np.less_equal
    pixels = is_white(crops, np.float32((WHITE - mean) * scale)).reshape(len(crops), -1)
    white = pixels.mean(1, dtype=np.float32)
    contrast = deviation / grey_level
    unknown = np.full(len(landmarks), np.nan, np.float32)
    if landmarks.shape[1] == 0:
        return Measures(unknown, outside, unknown, unknown, sharpness, contrast, white, unknown)
    eyes = landmarks[:, 1] - landmarks[:, 0]
    eye_px = np.hypot(eyes[:, 0], eyes[:, 1])
    return Measures(eye_px, outside, unknown, _turn(landmarks), sharpness, contrast, white, unknown)


def with_crop_check(measures: Measures, logits: F32) -> Measures:
    """Fills in what the crop check of the network found: logits [N, 2] of covered and rolled."""
    # A sigmoid, without the overflow of exp() for large logits.
    probabilities: F32 = np.float32(0.5) + np.float32(0.5) * np.tanh(logits / np.float32(2))
    return measures._replace(covered=probabilities[:, 0], rolled=probabilities[:, 1])


def reasons(limits: Limits, measures: Measures, confidence: F32) -> list[str | None]:
    """Returns a reason to abstain, or None, for each face. An unknown (NaN) measure is never a reason."""
    applies = (
        measures.eye_px < limits.min_eye_px,
        measures.outside > limits.max_outside,
        measures.rolled > limits.max_rolled,
        measures.turn > limits.max_turn,
        measures.sharpness < limits.min_sharpness,
        measures.contrast < limits.min_contrast,
        measures.white > limits.max_white,
        measures.covered > limits.max_covered,
        confidence < limits.min_confidence,
    )
    code = np.zeros(len(confidence), np.intp)
    # Later lines overwrite earlier ones, so the reason of highest precedence comes last.
    for number in range(len(applies), 0, -1):
        code[applies[number - 1]] = number
    return [REASONS[number] for number in code.tolist()]


def _turn(landmarks: F32) -> F32:
    """Distance of the nose tip from the middle of eyes and mouth; 0 for a frontal face.

    Sideways, 1 means that the nose tip lies on the line from an eye to the mouth corner below it. For most
    noses this is a yaw of about 45 degrees. Up or down, 1 means that the nose tip lies on the line through
    the eyes or through the mouth corners.
    """
    eyes = landmarks[:, 0] + landmarks[:, 1]
    mouth = landmarks[:, 3] + landmarks[:, 4]
    across = landmarks[:, 1] + landmarks[:, 4] - landmarks[:, 0] - landmarks[:, 3]
    down = mouth - eyes
    nose = 4 * landmarks[:, 2] - eyes - mouth
    # In a picture the axes of the face need not be orthogonal, so solve nose = yaw * across + pitch * down.
    area = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
    yaw = np.abs(nose[:, 0] * down[:, 1] - nose[:, 1] * down[:, 0])
    pitch = np.abs(across[:, 0] * nose[:, 1] - across[:, 1] * nose[:, 0])
    turn: F32 = np.maximum(yaw, pitch) / np.maximum(np.abs(area), _EPSILON)
    return turn


def _sharpness(crops: F32, grey_level: np.float32) -> tuple[F32, F32]:
    """Mean absolute Laplacian divided by the standard deviation, independent of brightness and contrast; and
    the standard deviation. ``grey_level`` is what one grey level is in the crops.
    """
    planes = crops[:, 0]
    cross = planes[:, :-2, 1:-1] + planes[:, 2:, 1:-1] + planes[:, 1:-1, :-2] + planes[:, 1:-1, 2:]
    laplacian = (cross - 4 * planes[:, 1:-1, 1:-1]).reshape(len(crops), -1)
    edges = np.abs(laplacian, out=laplacian).sum(axis=1) / np.float32(laplacian.shape[1])
    # Computed step by step: NumPy's std() is several times slower on arrays of this size.
    pixels = planes.reshape(len(crops), -1)
    count = np.float32(pixels.shape[1])
    centred = pixels - (pixels.sum(axis=1) / count)[:, None]
    deviation: F32 = np.sqrt(np.einsum("np,np->n", centred, centred) / count)
    return edges / np.maximum(deviation, _EPSILON * grey_level), deviation
