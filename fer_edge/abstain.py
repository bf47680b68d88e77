"""Decides when a label should not be trusted: face too small, too far turned, too blurred, or unclear.

The label is still returned, so that a caller may use it anyway. The reason tells the user what to change in
front of the camera.
"""

from dataclasses import dataclass

import numpy as np

from fer_edge.arrays import F32

# Defaults, measured on the validation split of FER+ with `python -m training.evaluate`; the tables are in
# docs/models/tkfnet-nano.md.
# With eyes 10 px apart, accuracy is 1.5 points lower.
MIN_EYE_PX = 10.0
# Beyond this turn, accuracy is 5 to 10 points lower.
MAX_TURN = 1.0
# If blur reduces the median sharpness to this value, accuracy is 10 points lower. 95 % of the pictures are
# above 0.12.
MIN_SHARPNESS = 0.05

# In order of precedence: only the first reason that applies is reported.
REASONS = (None, "face too small", "face too far turned", "face too blurred", "expression unclear")

# Avoids a division by zero for a flat crop (contrast 0) and for coincident landmarks (area 0).
_EPSILON = np.float32(1e-6)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits within which a label is trusted; 0 (for max_turn: infinity) disables a check."""

    min_eye_px: float = MIN_EYE_PX
    max_turn: float = MAX_TURN
    min_sharpness: float = MIN_SHARPNESS
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        for name in ("min_eye_px", "max_turn", "min_sharpness"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)!r}")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence must be between 0 and 1, got {self.min_confidence!r}")


def measure(landmarks: F32, crops: F32) -> tuple[F32, F32, F32]:
    """Measures size, turn and sharpness of each face.

    Args:
        landmarks: [N, 5, 2] in frame pixels; [N, 0, 2] if they are unknown.
        crops: [N, 1, S, S], the input of the network.

    Returns:
        Eye distance in frame pixels, turn, sharpness, each [N]. Without landmarks the first two are NaN. Turn
        and sharpness are defined in the functions below.
    """
    if landmarks.shape[1] == 0:
        unknown = np.full(len(landmarks), np.nan, np.float32)
        return unknown, unknown, _sharpness(crops)
    eyes = landmarks[:, 1] - landmarks[:, 0]
    return np.hypot(eyes[:, 0], eyes[:, 1]), _turn(landmarks), _sharpness(crops)


def reasons(limits: Limits, eye_px: F32, turn: F32, sharpness: F32, confidence: F32) -> list[str | None]:
    """Returns a reason to abstain, or None, for each face. An unknown (NaN) measure is never a reason."""
    # Later lines overwrite earlier ones, so the reason of highest precedence comes last.
    code = (confidence < limits.min_confidence) * 4
    code[sharpness < limits.min_sharpness] = 3
    code[turn > limits.max_turn] = 2
    code[eye_px < limits.min_eye_px] = 1
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


def _sharpness(crops: F32) -> F32:
    """Mean absolute Laplacian divided by the standard deviation: independent of brightness and contrast."""
    planes = crops[:, 0]
    cross = planes[:, :-2, 1:-1] + planes[:, 2:, 1:-1] + planes[:, 1:-1, :-2] + planes[:, 1:-1, 2:]
    laplacian = (cross - 4 * planes[:, 1:-1, 1:-1]).reshape(len(crops), -1)
    edges = np.abs(laplacian, out=laplacian).sum(axis=1) / np.float32(laplacian.shape[1])
    # Computed step by step: NumPy's std() is several times slower on arrays of this size.
    pixels = planes.reshape(len(crops), -1)
    count = np.float32(pixels.shape[1])
    centred = pixels - (pixels.sum(axis=1) / count)[:, None]
    contrast = np.sqrt(np.einsum("np,np->n", centred, centred) / count)
    sharpness: F32 = edges / np.maximum(contrast, _EPSILON)
    return sharpness
