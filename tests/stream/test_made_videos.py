"""The embedded models on made videos of a real face: identity, occlusion, crossing, landmarks, steadiness."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from benchmarks.streaming.made_video import Actor, Truth, line, still, sway, video
from fer_edge import Recognizer, Stream
from fer_edge.stream import StreamResult

FPS = 20.0


@pytest.fixture(scope="module")
def recognizer() -> Iterator[Recognizer]:
    """The embedded models."""
    with Recognizer(threads=1) as recognizer:
        yield recognizer


def _run(
    recognizer: Recognizer, actors: list[Actor], seconds: float, **settings: object
) -> list[tuple[StreamResult, list[Truth]]]:
    made = list(video(actors, seconds, FPS))
    with Stream(recognizer, [(time, frame) for time, frame, _ in made], **settings) as stream:
        return [(result, truth) for result, (_, _, truth) in zip(stream, made, strict=True)]


def _ids(shown: list[tuple[StreamResult, list[Truth]]], actors: int) -> list[list[int]]:
    """The ids that each actor had, without repetitions; and checks that no face is invented."""
    ids: list[list[int]] = [[] for _ in range(actors)]
    for result, truth in shown:
        for face in result.faces:
            x, y = (face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2
            near = min(truth, key=lambda true: np.hypot(true.x - x, true.y - y))
            assert np.hypot(near.x - x, near.y - y) < 0.5 * near.side
            if near.is_visible and ids[near.actor][-1:] != [face.id]:
                ids[near.actor].append(face.id)
    return ids


def _shares(shown: list[tuple[StreamResult, list[Truth]]], actors: int) -> list[float]:
    """The share of frames that show each actor in which it was found."""
    seen, found = np.zeros(actors), np.zeros(actors)
    for result, truth in shown:
        for true in truth:
            if true.is_visible:
                seen[true.actor] += 1
                found[true.actor] += any(
                    np.hypot(
                        (face.box[0] + face.box[2]) / 2 - true.x, (face.box[1] + face.box[3]) / 2 - true.y
                    )
                    < 0.5 * true.side
                    for face in result.faces
                )
    return (found / seen).tolist()


def test_faces_that_move_scale_and_roll_keep_their_ids(recognizer: Recognizer) -> None:
    actors = [Actor(sway(160, 150, 90)), Actor(sway(480, 300, 120, seconds=2.5), mirrored=True)]
    shown = _run(recognizer, actors, 3.0)
    assert sorted(_ids(shown, 2)) == [[1], [2]]
    assert min(_shares(shown, 2)) == 1
    assert all(face.label == "happiness" for result, _ in shown for face in result.faces)
    kinds = [event.kind for result, _ in shown for event in result.events]
    assert kinds == ["appeared", "expression_entered"] * 2
    assert sum(result.searched is not None for result, _ in shown) < len(shown) / 5


@pytest.mark.parametrize(
    "path", [partial(still, 200, 200, 100), partial(line, (120, 200), (420, 230), 2.5, 100)]
)
def test_a_face_behind_a_board_for_half_a_second_keeps_its_id(recognizer: Recognizer, path: Callable) -> None:
    actors = [Actor(path(), hidden=(1.0, 1.5)), Actor(still(540, 380, 80))]
    shown = _run(recognizer, actors, 2.5)
    assert sorted(_ids(shown, 2)) == [[1], [2]]
    hidden = [result for result, truth in shown if not truth[0].is_visible]
    assert len(hidden) == 10
    assert all(len(result.faces) == 1 for result in hidden)
    assert not any(event.kind == "disappeared" for result, _ in shown for event in result.events)


def test_crossing_faces_keep_their_ids(recognizer: Recognizer) -> None:
    actors = [
        Actor(line((80, 220), (560, 220), 3.0, 90)),
        Actor(line((560, 250), (80, 250), 3.0, 110), mirrored=True),
    ]
    shown = _run(recognizer, actors, 3.0)
    assert sorted(_ids(shown, 2)) == [[1], [2]]


def test_a_face_that_comes_and_goes(recognizer: Recognizer) -> None:
    actors = [Actor(still(160, 240, 100)), Actor(still(460, 240, 100), present=(0.7, 1.9))]
    shown = _run(recognizer, actors, 3.2)
    events = [(event.kind, event.id) for result, _ in shown for event in result.events if event.id == 2]
    assert events == [
        ("appeared", 2),
        ("expression_entered", 2),
        ("expression_left", 2),
        ("disappeared", 2),
    ]
    first = next(result.time for result, _ in shown if len(result.faces) == 2)
    last = next(event for result, _ in shown for event in result.events if event.kind == "disappeared")
    assert 0.7 <= first <= 1.5  # the timer
    assert last.since == pytest.approx(1.85)
    assert 2.85 < last.time <= 2.95


def test_landmarks_and_labels_are_those_of_a_full_search(recognizer: Recognizer) -> None:
    actors = [Actor(sway(200, 240, 110)), Actor(sway(480, 200, 70, phase=1.0))]
    quick, full = _run(recognizer, actors, 2.0), _run(recognizer, actors, 2.0, detect_every=1)
    apart = []
    for (result, _), (wanted, _) in zip(quick, full, strict=True):
        assert [face.id for face in result.faces] == [face.id for face in wanted.faces]
        assert [face.label for face in result.faces] == [face.label for face in wanted.faces]
        for face, other in zip(result.faces, wanted.faces, strict=True):
            points = np.array(other.landmarks)
            eye_px = np.hypot(*(points[1] - points[0]))
            apart += (np.hypot(*(np.array(face.landmarks) - points).T) / eye_px).tolist()
    assert np.median(apart) < 0.05
    assert np.percentile(apart, 90) < 0.12
