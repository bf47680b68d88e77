"""Faces keep their ids."""

import numpy as np

from fer_edge.result import Detections
from fer_edge.stream.tracking import Tracker

POINTS = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]) - 0.5
THRESHOLD = 0.6


def _faces(*faces: tuple[float, float, float, float]) -> Detections:
    """Detections at (centre x, y, side, score)."""
    boxes = [(x - s / 2, y - s / 2, x + s / 2, y + s / 2) for x, y, s, _ in faces]
    landmarks = [POINTS * s + (x, y) for x, y, s, _ in faces]
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(landmarks, np.float32).reshape(-1, 5, 2),
        np.array([face[3] for face in faces], np.float32),
    )


def _step(
    tracker: Tracker, time: float, *faces: tuple[float, float, float, float], search: bool = True
) -> tuple[dict[int, float], tuple[int, ...]]:
    """Returns id -> x of the faces that are shown, and the ids that ended."""
    found = _faces(*faces)
    ended = tracker.expire(time)
    predicted = tracker.predict(time)
    columns = tracker.match(predicted, found, THRESHOLD)
    columns = tracker.update(columns, found, time, THRESHOLD if search else np.inf)
    shown = {
        track.id: faces[column][0]
        for track, column in zip(tracker.tracks, columns, strict=True)
        if column >= 0
    }
    return shown, ended


def test_ids_are_given_in_order_and_kept() -> None:
    tracker = Tracker()
    assert _step(tracker, 0.0, (100, 100, 50, 0.9), (300, 100, 50, 0.8)) == ({1: 100, 2: 300}, ())
    # The order of the detections changes, and a third face comes.
    assert _step(tracker, 0.1, (500, 100, 50, 0.9), (302, 100, 50, 0.9), (103, 100, 50, 0.7)) == (
        {1: 103, 2: 302, 3: 500},
        (),
    )


def test_a_face_lasts_over_frames_a_second_apart_but_not_more() -> None:
    tracker = Tracker()
    # 16.1 - 15.1 is a little more than 1 in floating point.
    for time in (15.1, 16.1, 17.1):
        assert _step(tracker, time, (100, 100, 50, 0.9)) == ({1: 100}, ())
    assert _step(tracker, 18.11, (100, 100, 50, 0.9)) == ({2: 100}, (1,))


def test_new_faces_begin_only_in_a_search_and_with_a_good_score() -> None:
    tracker = Tracker()
    assert _step(tracker, 0.0, (100, 100, 50, 0.5)) == ({}, ())
    assert _step(tracker, 0.1, (100, 100, 50, 0.9), search=False) == ({}, ())
    assert _step(tracker, 0.2, (100, 100, 50, 0.9)) == ({1: 100}, ())


def test_a_known_face_may_have_a_poor_score_but_not_a_hidden_one() -> None:
    tracker = Tracker()
    _step(tracker, 0.0, (100, 100, 50, 0.9))
    assert _step(tracker, 0.1, (101, 100, 50, 0.35)) == ({1: 101}, ())
    assert _step(tracker, 0.2) == ({}, ())
    assert _step(tracker, 0.3, (102, 100, 50, 0.35)) == ({}, ())
    assert _step(tracker, 0.4, (102, 100, 50, 0.9)) == ({1: 102}, ())


def test_a_good_score_is_matched_before_a_poor_one_that_is_nearer() -> None:
    tracker = Tracker()
    _step(tracker, 0.0, (100, 100, 50, 0.9))
    assert _step(tracker, 0.1, (100, 100, 50, 0.35), (110, 100, 50, 0.9)) == ({1: 110}, ())


def test_a_face_hidden_for_half_a_second_keeps_its_id_and_one_for_longer_ends() -> None:
    tracker = Tracker()
    for number in range(30):
        _step(tracker, number / 30, (100 + 2 * number, 100, 50, 0.9), (400, 100, 50, 0.9))
    for number in range(30, 45):
        _step(tracker, number / 30, (400, 100, 50, 0.9))
    # It went on behind the board.
    assert _step(tracker, 1.5, (190, 100, 50, 0.9), (400, 100, 50, 0.9)) == ({1: 190, 2: 400}, ())
    assert _step(tracker, 2.0, (400, 100, 50, 0.9)) == ({2: 400}, ())
    assert _step(tracker, 2.6, (400, 100, 50, 0.9)) == ({2: 400}, (1,))
    assert _step(tracker, 2.7, (190, 100, 50, 0.9), (400, 100, 50, 0.9))[0] == {2: 400, 3: 190}


def test_a_face_is_gone_after_a_gap_of_more_than_a_second() -> None:
    for gap, shown in ((0.9, {1: 100}), (1.1, {2: 100}), (3600.0, {2: 100})):
        tracker = Tracker()
        for number in range(5):
            _step(tracker, number / 10, (100, 100, 50, 0.9))
        ended = () if 1 in shown else (1,)
        assert _step(tracker, 0.4 + gap, (100, 100, 50, 0.9)) == (shown, ended)


def test_crossing_faces_keep_their_ids_also_when_one_hides_the_other() -> None:
    tracker = Tracker()
    for number in range(61):
        left, right = 100 + 5 * number, 400 - 5 * number
        faces = [(left, 100, 60, 0.9)]
        if abs(left - right) > 45:  # else the detector finds only the face in front
            faces.append((right, 110, 60, 0.9))
        shown, _ = _step(tracker, number / 30, *faces)
        assert shown[1] == left
        assert shown.get(2, right) == right
    assert set(shown) == {1, 2}


def test_a_face_of_another_size_at_the_same_place_is_another_face() -> None:
    tracker = Tracker()
    _step(tracker, 0.0, (100, 100, 40, 0.9))
    assert _step(tracker, 0.1, (100, 100, 120, 0.9)) == ({2: 100}, ())


def test_clear_ends_all_faces_and_ids_are_not_used_again() -> None:
    tracker = Tracker()
    _step(tracker, 0.0, (100, 100, 50, 0.9), (300, 100, 50, 0.9))
    assert tracker.clear() == (1, 2)
    assert _step(tracker, 0.1, (100, 100, 50, 0.9)) == ({3: 100}, ())
