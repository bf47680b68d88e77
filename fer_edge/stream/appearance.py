"""How known faces look: small pictures of them, to notice what moved or changed since it was computed."""

import math

from fer_edge.arrays import F32

# Side of the pictures. Fine enough to notice a smile, coarse enough to average the noise of a camera.
PICTURE_PX = 16


class Appearance:
    """How a face looked at a time.

    Args:
        picture: [PICTURE_PX, PICTURE_PX] in grey levels.
        time: in seconds.
    """

    __slots__ = ("_contrast", "_pixels", "time")

    def __init__(self, picture: F32, time: float) -> None:
        self._pixels = picture.ravel()
        centred = self._pixels - self._pixels.sum() / self._pixels.size
        self._contrast = float(centred @ centred)
        self.time = time

    def difference(self, picture: F32) -> float:
        """Returns the root mean square difference of a picture, as a share of the contrast of this one.

        Large for a face without contrast, where only noise differs.
        """
        apart = picture.ravel() - self._pixels
        return math.sqrt(float(apart @ apart) / max(self._contrast, 1e-6))


class Reading:
    """What is remembered of one known face.

    Attributes:
        found: how it looked when the detector found it last; None: it was not found by the detector yet.
        read: how it looked when its expression was read last; None: it was not read yet.
        logits: [C], of that reading.
        reason: to abstain, of that reading.
    """

    __slots__ = ("found", "logits", "read", "reason")

    def __init__(self) -> None:
        self.found: Appearance | None = None
        self.read: Appearance | None = None
        self.logits: F32 | None = None
        self.reason: str | None = None
