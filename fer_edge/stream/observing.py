"""From a frame to observations of known faces: search or follow, track, and read the faces that changed.

A known face is predicted and compared with itself at the predicted place. If it moved or changed, the
detector finds it again in a window around that place. Prediction alone loses the landmarks within a few
frames, and saves little, because lost faces must be searched: `python -m benchmarks.stream` compares both.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from fer_edge.arrays import F32, U8
from fer_edge.buffers import ThreadBuffer
from fer_edge.detection.detect_near import distinct
from fer_edge.recognizer import Recognizer
from fer_edge.result import Detections, Expressions
from fer_edge.stages.frame_stages import FrameStages
from fer_edge.stages.image import Layout, plane_of_frame
from fer_edge.stream.appearance import PICTURE_PX, Appearance, Reading
from fer_edge.stream.assignment import INFINITY
from fer_edge.stream.cadence import Budget, Cadence
from fer_edge.stream.observation import Observation, Sighting, Unread
from fer_edge.stream.result import SearchReason, Skipped
from fer_edge.stream.scene import Scene
from fer_edge.stream.timing import Stopwatch, has_lasted
from fer_edge.stream.tracking import Tracker

# Share of the detector's threshold from which a detection can be a known face with a poor score.
POOR = 0.5
# Greatest difference (see appearance) of a face that did not move, and of one whose expression did not
# change. The first is a shift of about 2 % of the eye distance. `python -m benchmarks.stream` measures what
# the second one costs in labels.
STILL, UNCHANGED = 0.08, 0.15
# A face is found and read again after so many seconds, however little it changes.
MAX_STILL_S, MAX_UNCHANGED_S = 0.2, 0.5
# A reading that abstains is soon tried again, because it withholds the face's expression.
MAX_ABSTAINING_S = 0.1
# Under a budget, a face that was not read for so long comes before faces that changed more.
OVERDUE_S = 1.0


class Observer:
    """Observes the frames of one stream. Not for threads.

    Args:
        recognizer: finds faces and reads expressions.
        layout: of the frames, as for a Recognizer.
        detect_every: "auto", or frames from search to search; 1: search every frame, read every face.
        budget_ms: milliseconds a frame; None: no limit.
        read_interval_s: a face that changes is read again after so many seconds.
        clock: returns seconds.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        layout: Layout | None,
        detect_every: int | Literal["auto"],
        budget_ms: float | None,
        read_interval_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._recognizer = recognizer
        self._layout = layout
        self._read_interval = read_interval_s
        self._reads_all = detect_every == 1
        self._cadence = Cadence(detect_every)
        self._budget = Budget(budget_ms, clock)
        self._tracker = Tracker()
        self._readings: dict[int, Reading] = {}
        self._scene = Scene()
        self._luma = ThreadBuffer(np.uint8)  # for `locate`
        self._ended: tuple[int, ...] = ()  # reported with the next result

    def reset(self) -> None:
        """Forgets all faces; the next frame is searched, and reports them as ended."""
        self._ended += self._tracker.clear()
        self._cadence.reset()
        self._scene = Scene()

    def observe(self, frame: U8, time: float, watch: Stopwatch) -> Observation:
        """Observes the next frame; raises as a Recognizer, whose errors of frames leave all as it was."""
        self._budget.start()
        with self._recognizer.stages(frame, self._layout) as stages:
            unread = self._locate(stages, time, watch)
            if unread.chosen:
                self._budget.begin()
                unread.keep(stages.expressions(unread.to_read))
                self._budget.end("infer", len(unread.chosen))
        watch.lap("infer")
        return self._observation(unread)

    def locate(self, frame: U8, time: float, watch: Stopwatch) -> tuple[U8, Unread]:
        """The first half of `observe`, for frames of several streams whose faces are read together.

        Returns:
            The luma plane of the frame, which is valid until the next one, and the faces.
        """
        self._budget.start()
        # In memory of its own, because other streams use the Recognizer's before the faces are read.
        plane = plane_of_frame(frame, self._layout, self._luma)
        with self._recognizer.stages(plane, "grey") as stages:
            return plane, self._locate(stages, time, watch)

    def finish(self, unread: Unread, read: Expressions, seconds: float) -> Observation:
        """The second half of `observe`.

        Args:
            unread: from `locate`.
            read: the expressions of `unread.to_read`.
            seconds: that reading them took.
        """
        if unread.chosen:
            unread.keep(read)
            self._budget.learn("infer", seconds / len(unread.chosen))
        return self._observation(unread)

    def _locate(self, stages: FrameStages, time: float, watch: Stopwatch) -> Unread:
        is_cut = self._scene.is_cut(stages.luma)
        watch.lap("luma")
        if is_cut:
            self._ended += self._tracker.clear()
        is_lost = self._expire(time)
        predicted = self._tracker.predict(time)
        watch.lap("track")
        reason = self._cadence.reason(time, known=len(predicted), is_cut=is_cut, is_lost=is_lost)
        sighting = self._find(stages, predicted, time, reason, watch)
        start = stages.threshold if sighting.searched else INFINITY
        columns = self._tracker.update(sighting.columns, sighting.found, time, start)
        shown = [pair for pair in zip(self._tracker.tracks, columns, strict=True) if pair[1] >= 0]
        ids = tuple(track.id for track, _ in shown)
        found = sighting.found.select([column for _, column in shown])
        watch.lap("track")
        readings = [self._readings.setdefault(face, Reading()) for face in ids]
        pictures = stages.pictures(found.boxes, PICTURE_PX)
        chosen, left = self._choose(ids, readings, pictures, sighting.still, time)
        watch.lap("infer")
        over_budget = frozenset(ids[row] for row in left)
        return Unread(time, ids, found, sighting, readings, pictures, chosen, over_budget)

    def _expire(self, time: float) -> bool:
        """Ends the faces that are gone; returns True if the frame before showed them (a gap)."""
        were_shown = any(not track.is_hidden for track in self._tracker.tracks)
        self._ended += self._tracker.expire(time)
        return were_shown and not self._tracker.tracks

    def _observation(self, unread: Unread) -> Observation:
        # Here and not in `_locate`: the ends are not lost if the faces of a frame cannot be read.
        ended, self._ended = self._ended, ()
        for face in ended:
            self._readings.pop(face, None)
        ids, sighting = unread.ids, unread.sighting
        fresh = frozenset(ids[row] for row in unread.chosen)
        classes = len(self._recognizer.labels)
        return Observation(
            time=unread.time,
            ids=ids,
            found=unread.found,
            logits=np.array([reading.logits for reading in unread.readings], np.float32).reshape(-1, classes),
            reasons=tuple(reading.reason for reading in unread.readings),
            is_fresh=tuple(face in fresh for face in ids),
            ended=ended,
            searched=sighting.searched,
            skipped=Skipped(
                search=sighting.postponed,
                still=tuple(face for face in ids if face in sighting.still),
                unchanged=tuple(face for face in ids if face not in fresh and face not in unread.over_budget),
                over_budget=tuple(sorted(unread.over_budget)),
            ),
        )

    def _find(
        self,
        stages: FrameStages,
        predicted: Detections,
        time: float,
        reason: SearchReason | None,
        watch: Stopwatch,
    ) -> Sighting:
        """Follows the known faces, and searches the frame if there is a reason."""
        known, poor = len(predicted), POOR * stages.threshold
        reason, postponed = self._within_budget(reason, time, known)
        found, still, columns = predicted, frozenset[int](), list[int]()
        if reason is None:
            found, still = self._follow(stages, predicted, poor, time)
            watch.lap("detect")
            columns = self._tracker.match(predicted, found, stages.threshold)
            watch.lap("track")
            lost = [t for t, column in zip(self._tracker.tracks, columns, strict=True) if column < 0]
            newly_lost = not all(track.is_hidden for track in lost)
            if lost and self._cadence.may_seek(time, newly_lost=newly_lost):
                reason, late = self._within_budget("lost face", time, known)
                postponed |= late
        if reason is not None:
            self._budget.begin()
            found, still = stages.search(poor), frozenset()
            self._budget.end("search")
            watch.lap("detect")
            columns = self._tracker.match(predicted, found, stages.threshold)
        self._cadence.count(time, reason)
        return Sighting(found, columns, still, reason, postponed)

    def _within_budget(
        self, reason: SearchReason | None, time: float, known: int
    ) -> tuple[SearchReason | None, bool]:
        """Returns the reason that is left under the budget, and whether a search is postponed."""
        if not self._budget.is_limited:
            return reason, False
        fits = self._budget.allows_search(known)
        if reason is None:
            return ("free budget" if fits and self._cadence.is_auto else None), False
        if fits or self._cadence.is_urgent(time, reason, known):
            return reason, False
        return None, True

    def _follow(
        self, stages: FrameStages, predicted: Detections, poor: float, time: float
    ) -> tuple[Detections, frozenset[int]]:
        """Returns the known faces near their predicted places, and the ids of those that stood still."""
        tracks = self._tracker.tracks
        if not tracks:
            return predicted, frozenset()
        pictures = stages.pictures(predicted.boxes, PICTURE_PX)
        still: list[int] = []
        away: list[int] = []
        for row, (track, picture) in enumerate(zip(tracks, pictures, strict=True)):
            look = self._readings[track.id].found
            is_recent = look is not None and time - look.time < MAX_STILL_S and not track.is_hidden
            is_still = is_recent and look is not None and look.difference(picture) <= STILL
            (still if is_still else away).append(row)
        found = predicted.select(still)
        if away:
            near = stages.search_near(predicted.boxes[away], poor)
            found = distinct(found.joined(near)) if still else near
        return found, frozenset(tracks[row].id for row in still)

    def _choose(
        self,
        ids: tuple[int, ...],
        readings: list[Reading],
        pictures: F32,
        still: frozenset[int],
        time: float,
    ) -> tuple[list[int], list[int]]:
        """Returns the rows of the faces to read, and of those that should be read but are over the budget."""
        ranks: dict[int, tuple[bool, float]] = {}  # row -> (overdue, change)
        for row, (face, reading, picture) in enumerate(zip(ids, readings, pictures, strict=True)):
            if face not in still:
                reading.found = Appearance(picture, time)
            due = self._due(reading, picture, time)
            if due is not None:
                ranks[row] = due
        ranked = sorted(ranks, key=ranks.__getitem__, reverse=True)
        # A new face has no reading that could be kept, so a budget does not hold it up.
        new = sum(reading.read is None for reading in readings)
        limit = self._budget.expressions()
        count = len(ranked) if limit is None else max(limit, new)
        return sorted(ranked[:count]), ranked[count:]

    def _due(self, reading: Reading, picture: F32, time: float) -> tuple[bool, float] | None:
        """Returns whether a face that should be read is overdue, and how much it changed; None: not due."""
        if reading.read is None:
            return True, INFINITY
        since, change = reading.read.time, reading.read.difference(picture)
        most = MAX_UNCHANGED_S if reading.reason is None else MAX_ABSTAINING_S
        is_due = self._reads_all or has_lasted(since, time, most)
        is_due |= change > UNCHANGED and has_lasted(since, time, self._read_interval)
        return (has_lasted(since, time, OVERDUE_S), change) if is_due else None
