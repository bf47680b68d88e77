"""Gives the detections of each frame to known faces, so that a face keeps its id.

In two stages, as in ByteTrack (Zhang et al. 2022, ByteTrack: Multi-Object Tracking by Associating Every
Detection Box, arXiv 2110.06864): first the detections with a good score are given to all known faces, then
those with a poor score to the seen faces that are left; a face that turns away or is half covered gets a poor
score. Motion is predicted by Kalman filters as in SORT (Bewley et al. 2016). Beyond ByteTrack, the distance
of the five landmarks counts as much as the overlap of the boxes: two faces that cross have boxes that
overlap, but landmarks at a distance.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_edge.arrays import F32
from fer_edge.result import Detections
from fer_edge.stream.assignment import INFINITY, assign
from fer_edge.stream.motion import Motion
from fer_edge.stream.timing import has_exceeded

# A face that was not seen for so long is gone.
MAX_HIDDEN_S = 1.0
# Greatest mean distance of predicted and found landmarks, in sides of the face; it grows with the uncertainty
# of the prediction, up to MAX_DISTANCE.
DISTANCE, MAX_DISTANCE = 0.5, 1.5
# So that rounding excludes no pair whose distance is at the limit.
ROUNDED_UP = 1 + 1e-9
# Greatest ratio of predicted and found side.
SIZE_RATIO = 2.0

Box = tuple[float, float, float, float]
Points = list[list[float]]


class Track:
    """One known face.

    Attributes:
        id: from 1, never used again.
        motion: place and speed.
        seen_time: when it was seen last, in seconds.
        is_hidden: the last frame did not show it.
    """

    __slots__ = ("_box", "_landmarks", "id", "is_hidden", "motion", "score", "seen_time")

    def __init__(self, id: int, box: Box, landmarks: F32, score: float, time: float) -> None:
        self.id = id
        self.motion = Motion(*_place_of_box(box))
        self._remember(box, landmarks, score, time)

    def correct(self, box: Box, landmarks: F32, score: float, time: float) -> None:
        """Takes a detection into account."""
        self.motion.correct(*_place_of_box(box), score)
        self._remember(box, landmarks, score, time)

    def _remember(self, box: Box, landmarks: F32, score: float, time: float) -> None:
        x, y, side = _place_of_box(box)
        # Box and landmarks relative to centre and side.
        self._box = ((box[0] - x) / side, (box[1] - y) / side, (box[2] - x) / side, (box[3] - y) / side)
        self._landmarks: NDArray[np.float64] = (landmarks.astype(np.float64) - (x, y)) / side
        self.score, self.seen_time, self.is_hidden = score, time, False

    def predicted(self) -> tuple[Box, NDArray[np.float64]]:
        """Returns box and landmarks at the predicted place."""
        x, y, side = self.motion.place
        left, top, right, bottom = self._box
        box = (x + side * left, y + side * top, x + side * right, y + side * bottom)
        return box, self._landmarks * side + (x, y)


class Tracker:
    """The known faces of a stream.

    Attributes:
        tracks: in the order of their ids.
    """

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._last_id = 0
        self._time: float | None = None

    def clear(self) -> tuple[int, ...]:
        """Forgets all faces and returns their ids."""
        ended = tuple(track.id for track in self.tracks)
        self.tracks, self._time = [], None
        return ended

    def expire(self, time: float) -> tuple[int, ...]:
        """Ends the faces that are gone at a time in seconds; returns their ids.

        Before `predict`, because over a gap in the source no frame says that a face is hidden: whoever stands
        at its place after the gap would be taken for it.
        """
        ended = [track for track in self.tracks if has_exceeded(track.seen_time, time, MAX_HIDDEN_S)]
        self.tracks = [track for track in self.tracks if track not in ended]
        return tuple(track.id for track in ended)

    def predict(self, time: float) -> Detections:
        """Moves the known faces to a time in seconds; returns them in the order of `tracks`."""
        if self._time is not None:
            for track in self.tracks:
                track.motion.predict(time - self._time)
        self._time = time
        if not self.tracks:
            return Detections(*(np.empty(shape, np.float32) for shape in ((0, 4), (0, 5, 2), 0)))
        boxes, landmarks = zip(*(track.predicted() for track in self.tracks), strict=True)
        scores = [track.score for track in self.tracks]
        return Detections(*(np.array(part, np.float32) for part in (boxes, landmarks, scores)))

    def match(self, predicted: Detections, found: Detections, threshold: float) -> list[int]:
        """Gives detections to the known faces; changes nothing.

        Args:
            predicted: the result of `predict` for this frame.
            found: the detections of this frame, also those with poor scores.
            threshold: minimum good score.

        Returns:
            The detection of each known face; -1 for none.
        """
        costs = _costs(predicted, found, [track.motion.spread for track in self.tracks])
        columns = [-1] * len(self.tracks)
        if not costs:
            return columns
        good = found.scores >= threshold
        _enter_pairs(costs, range(len(costs)), np.flatnonzero(good).tolist(), columns)
        if not good.all():
            left = [row for row, track in enumerate(self.tracks) if columns[row] < 0 and not track.is_hidden]
            _enter_pairs(costs, left, np.flatnonzero(~good).tolist(), columns)
        return columns

    def update(self, columns: list[int], found: Detections, time: float, start_threshold: float) -> list[int]:
        """Moves the known faces to their detections, and starts new ones.

        Args:
            columns: the result of `match` for these detections.
            found: the detections of this frame.
            time: of the frame, in seconds.
            start_threshold: a detection with at least this score that belongs to no known face is a new face;
                infinity: there are no new faces.

        Returns:
            The detection of each face in `tracks`, -1 for none.
        """
        rows = list(zip(found.boxes.tolist(), found.landmarks, found.scores.tolist(), strict=True))
        for track, column in zip(self.tracks, columns, strict=True):
            if column >= 0:
                track.correct(*rows[column], time)
            elif not track.is_hidden:
                track.is_hidden = True
                track.motion.hide()
        new = [
            column
            for column in range(len(rows))
            if rows[column][2] >= start_threshold and column not in columns
        ]
        for column in new:
            self._last_id += 1
            self.tracks.append(Track(self._last_id, *rows[column], time))
        return [*columns, *new]


def _enter_pairs(
    costs: list[list[float]], rows: Sequence[int], columns: list[int], matched: list[int]
) -> None:
    """Enters the best pairs of these rows and columns in `matched`."""
    for row, column in assign([[costs[row][column] for column in columns] for row in rows]):
        matched[rows[row]] = columns[column]


class _Place(NamedTuple):
    """What a cost depends on, of one face."""

    box: Box
    points: Points
    side: float
    x: float  # the middle of the points
    y: float


def _places(faces: Detections) -> list[_Place]:
    rows = zip(faces.boxes.tolist(), faces.landmarks.tolist(), strict=True)
    middles = faces.landmarks.mean(axis=1, dtype=np.float64).tolist()
    return [
        _Place(box, points, _place_of_box(box)[2], x, y)
        for (box, points), (x, y) in zip(rows, middles, strict=True)
    ]


def _costs(predicted: Detections, found: Detections, spreads: list[float]) -> list[list[float]]:
    """Returns the cost of each pair of a predicted and a found face; infinity for an impossible one."""
    limits = [min(DISTANCE + 2 * spread, MAX_DISTANCE) for spread in spreads]
    theirs = _places(found)
    return [
        [_cost(our, their, limit) for their in theirs]
        for our, limit in zip(_places(predicted), limits, strict=True)
    ]


def _cost(our: _Place, their: _Place, limit: float) -> float:
    """Distance of the landmarks in sides of the face, + 1 - intersection over union."""
    if not our.side <= SIZE_RATIO * their.side <= SIZE_RATIO**2 * our.side:
        return INFINITY
    # The landmarks are at least as far apart as their middles are. Most pairs of a group end here.
    if math.hypot(our.x - their.x, our.y - their.y) > ROUNDED_UP * limit * our.side:
        return INFINITY
    distance = sum(map(math.dist, our.points, their.points)) / (len(our.points) * our.side)
    if distance > limit:
        return INFINITY
    box, other = our.box, their.box
    across = min(box[2], other[2]) - max(box[0], other[0])
    down = min(box[3], other[3]) - max(box[1], other[1])
    shared = max(across, 0.0) * max(down, 0.0)
    return distance + 1 - shared / (our.side**2 + their.side**2 - shared)


def _place_of_box(box: Box) -> tuple[float, float, float]:
    """Returns centre x, y and side; the side is at least one pixel, because a clipped box may have none."""
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2, math.sqrt(max((right - left) * (bottom - top), 1.0))
