"""The motion of a face: Kalman filters for the centre and the size of its box.

The three coordinates, x and y of the centre in pixels and the logarithm of the side, move independently, with
speeds that change at random and decay (the integrated Ornstein-Uhlenbeck process). Time is in seconds, not in
frames, so that the filter is the same at any frame rate. A speed that did not decay would carry a hidden face
out of the picture. Plain floats, because arrays of a few elements would take ten times as long.
"""

import math
from dataclasses import dataclass

# In sides of the face (for the third coordinate: of 1).
MEASURED_STD = 0.015  # of the detector, from frame to frame, at score 1
# A half covered face has a poor score, and its box is pulled to the half that can be seen. So the deviation
# grows with 1 - score (as in Du et al. 2021, GIAOTracker), at score 0 by this factor.
POOR_STD = 15.0
START_SPEED_STD = 2.0  # a second
# Density of the random acceleration: a second without a measurement makes the place uncertain by a side.
ACCELERATION = 4.0
DECAY_S = 0.7


@dataclass(slots=True)
class Coordinate:
    """Place and speed of one coordinate, with variances and covariance."""

    place: float
    speed: float
    place_var: float
    covariance: float
    speed_var: float

    def predict(self, seconds: float, kept: float, noise: float) -> None:
        """Moves forward; `kept` is the share of the speed that is left, `noise` a density."""
        way = DECAY_S * (1 - kept)
        self.place += way * self.speed
        self.speed *= kept
        self.place_var += 2 * way * self.covariance + way**2 * self.speed_var + noise * seconds * way**2 / 3
        self.covariance = kept * (self.covariance + way * self.speed_var) + noise * way**2 / 2
        self.speed_var = kept**2 * self.speed_var + noise * way

    def correct(self, measured: float, variance: float) -> None:
        """Takes a measured place into account."""
        total = self.place_var + variance
        gain, speed_gain = self.place_var / total, self.covariance / total
        error = measured - self.place
        self.place += gain * error
        self.speed += speed_gain * error
        self.speed_var -= speed_gain * self.covariance
        self.place_var *= 1 - gain
        self.covariance *= 1 - gain


class Motion:
    """The filters of one face, which is at rest at first.

    Args:
        x: centre of the box in pixels.
        y: as x.
        side: square root of the area of the box, in pixels.
    """

    def __init__(self, x: float, y: float, side: float) -> None:
        place_var, speed_var = (MEASURED_STD * side) ** 2, (START_SPEED_STD * side) ** 2
        self._x = Coordinate(x, 0.0, place_var, 0.0, speed_var)
        self._y = Coordinate(y, 0.0, place_var, 0.0, speed_var)
        self._log_side = Coordinate(math.log(side), 0.0, MEASURED_STD**2, 0.0, START_SPEED_STD**2)

    @property
    def place(self) -> tuple[float, float, float]:
        """x, y, side in pixels."""
        return self._x.place, self._y.place, math.exp(self._log_side.place)

    @property
    def spread(self) -> float:
        """Standard deviation of the centre, in sides of the face."""
        return math.sqrt(max(self._x.place_var, self._y.place_var)) / math.exp(self._log_side.place)

    def predict(self, seconds: float) -> None:
        """Moves the face forward in time."""
        kept = math.exp(-seconds / DECAY_S)
        noise = ACCELERATION * math.exp(2 * self._log_side.place)
        self._x.predict(seconds, kept, noise)
        self._y.predict(seconds, kept, noise)
        self._log_side.predict(seconds, kept, ACCELERATION)

    def correct(self, x: float, y: float, side: float, score: float) -> None:
        """Takes a measured place into account, the less the lower the score of the detector is."""
        deviation = MEASURED_STD * (1 + POOR_STD * (1 - score))
        self._x.correct(x, (deviation * side) ** 2)
        self._y.correct(y, (deviation * side) ** 2)
        self._log_side.correct(math.log(side), deviation**2)

    def hide(self) -> None:
        """Keeps the size from now on: what half a face seemed to do with its size was wrong."""
        self._log_side.speed = 0.0
