"""When the frame is searched, what is skipped, and that a budget is kept, by a clock of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from stream_doubles import FakeClock
from tiny import frame_with_cells

from fer_edge import Recognizer, Stream
from fer_edge.stream import Smoothing, StreamResult

MakeRecognizer = Callable[..., Recognizer]
Timed = list[tuple[float, np.ndarray]]


def room_with_cells(*cells: tuple[int, int], height: int = 256) -> np.ndarray:
    """Faces before a wall, so that a face that moves is no cut."""
    wall = np.linspace(0, 60, 320).astype(np.uint8)
    return np.maximum(frame_with_cells(*cells, height=height), wall)


def _noisy(frame: np.ndarray, number: int) -> np.ndarray:
    """A frame whose faces all look new: what is around the cells changes from frame to frame."""
    return np.where(frame == 255, frame, frame + np.uint8(60 * (number % 2)))


def _run(recognizer: Recognizer, frames: Timed, **settings: Any) -> list[StreamResult]:
    with Stream(recognizer, frames, **settings) as stream:
        return list(stream)


def test_a_face_that_stands_still_costs_nothing_between_timers(recognizer: Recognizer) -> None:
    frames = [(n / 30, room_with_cells((10, 7))) for n in range(48)]
    results = _run(recognizer, frames)
    reasons = {n: result.searched for n, result in enumerate(results) if result.searched}
    assert reasons == {0: "first frame", 23: "timer", 46: "timer"}
    assert results[1].skipped.still == results[1].skipped.unchanged == (1,)
    assert not results[1].faces[0].is_fresh
    assert [result.faces[0].id for result in results] == [1] * 48
    assert len({result.faces[0].box for result in results}) == 1
    # It is found again each 0.2 s, and read again each 0.5 s, all the same.
    assert sum(not result.skipped.still and not result.searched for result in results) >= 3
    assert [n for n, result in enumerate(results) if result.faces[0].is_fresh] == [0, 15, 30, 45]


def test_a_face_that_moves_is_found_again_without_a_search(recognizer: Recognizer) -> None:
    frames = [(n / 30, room_with_cells((4 + n // 2, 7))) for n in range(15)]
    results = _run(recognizer, frames)
    assert [result.searched for result in results] == ["first frame"] + [None] * 14
    for n, result in enumerate(results):
        (face,) = result.faces
        assert face.id == 1
        if not result.skipped.still:
            assert face.box[0] == pytest.approx(8 * (4 + n // 2) - 12, abs=1e-3)


def test_an_empty_picture_is_searched_each_tenth_of_a_second(recognizer: Recognizer) -> None:
    frames = [(n / 50, np.full((256, 320), 40 + n % 3, np.uint8)) for n in range(26)]
    results = _run(recognizer, frames)
    assert [n for n, result in enumerate(results) if result.searched] == [0, 5, 10, 15, 20, 25]


def test_a_lost_face_is_searched_at_once(recognizer: Recognizer) -> None:
    near, far = room_with_cells((4, 4)), room_with_cells((34, 26))
    results = _run(recognizer, [(0.0, near), (0.02, near), (0.04, far), (0.06, far)])
    assert [result.searched for result in results] == ["first frame", None, "lost face", None]
    # Too far to be the same face.
    assert [[face.id for face in result.faces] for result in results] == [[1], [1], [2], [2]]


def test_a_lost_face_is_searched_again_until_it_ends(recognizer: Recognizer) -> None:
    face, empty = room_with_cells((4, 4)), room_with_cells()
    results = _run(recognizer, [(n / 50, face if n < 10 else empty) for n in range(65)])
    searched = [n for n, result in enumerate(results) if result.searched == "lost face"]
    assert searched[:4] == [10, 15, 20, 25]
    gone = [
        n for n, result in enumerate(results) if result.events and result.events[-1].kind == "disappeared"
    ]
    assert gone == [60]  # more than 1 s after the last sight


def test_a_scene_cut_is_searched_and_begins_new_ids(recognizer: Recognizer) -> None:
    first = room_with_cells((10, 7))
    second = np.maximum(frame_with_cells((10, 7)), first[:, ::-1] // 3)
    results = _run(recognizer, [(0.0, first), (0.03, first), (0.06, second), (0.09, second)])
    assert [result.searched for result in results] == ["first frame", None, "scene cut", None]
    assert [result.faces[0].id for result in results] == [1, 1, 2, 2]


def test_a_frame_of_another_size_is_a_cut(recognizer: Recognizer) -> None:
    results = _run(
        recognizer, [(0.0, room_with_cells((10, 7))), (0.03, room_with_cells((10, 7), height=224))]
    )
    assert results[1].searched == "scene cut"


def test_another_exposure_or_a_covered_lens_is_no_cut(recognizer: Recognizer) -> None:
    face = np.maximum(room_with_cells((10, 7)), np.linspace(0, 60, 320).astype(np.uint8))
    covered = np.zeros_like(face)
    results = _run(recognizer, [(0.0, face), (0.03, face // 2 + 120), (0.06, covered), (0.09, face)])
    assert "scene cut" not in [result.searched for result in results]
    assert results[3].faces[0].id == 1


@pytest.mark.parametrize("every", [1, 4])
def test_every_nth_frame_is_searched(recognizer: Recognizer, every: int) -> None:
    frames = [(n / 30, room_with_cells((10, 7))) for n in range(9)]
    results = _run(recognizer, frames, detect_every=every)
    assert [n for n, result in enumerate(results) if result.searched] == list(range(0, 9, every))
    if every == 1:
        assert all(result.faces[0].is_fresh and not result.skipped.still for result in results)


def test_expressions_are_read_as_often_as_the_smoothing_needs(recognizer: Recognizer) -> None:
    # Shades of three, because after ten frames the face should look different.
    frames = [(n / 100, _noisy(room_with_cells((10, 7)), n % 3)) for n in range(31)]
    fresh = [r.faces[0].is_fresh for r in _run(recognizer, frames, smoothing=Smoothing(time_constant_ms=300))]
    assert [n for n, is_fresh in enumerate(fresh) if is_fresh][:3] == [0, 10, 20]
    unsmoothed = _run(recognizer, frames, smoothing=Smoothing(time_constant_ms=0))
    assert sum(result.faces[0].is_fresh for result in unsmoothed) == 21  # each change


SEARCH_MS, WINDOW_MS, READ_MS = 20.0, 2.0, 3.0


@pytest.fixture
def slow_recognizer(make_recognizer: MakeRecognizer, clock: FakeClock) -> Iterator[Recognizer]:
    """A recognizer whose networks take known times of the fake clock, in place of a slow machine."""
    recognizer = make_recognizer()
    for network, cost in (
        (recognizer._networks.detector, lambda shape: SEARCH_MS if shape[3] >= 256 else WINDOW_MS * shape[0]),
        (recognizer._networks.expression, lambda shape: READ_MS * shape[0]),
    ):
        _slow_down(network, cost, clock)
    return recognizer


def _slow_down(network: Any, cost: Callable[[tuple[int, ...]], float], clock: FakeClock) -> None:
    run, reserve, shapes = network.run, network.reserve, []

    def remember(shape: tuple[int, ...]) -> Any:
        shapes.append(shape)
        return reserve(shape)

    def slow() -> Any:
        clock.now += cost(shapes[-1]) / 1e3
        return run()

    network.reserve, network.run = remember, slow


CELLS = ((4, 4), (14, 4), (24, 4), (34, 4))


def _four_faces(count: int) -> Timed:
    return [(n / 30, _noisy(room_with_cells(*CELLS), n)) for n in range(count)]


def test_a_budget_is_kept(slow_recognizer: Recognizer, clock: FakeClock) -> None:
    settings = {"budget_ms": 15.0, "smoothing": Smoothing(time_constant_ms=0)}
    with Stream(slow_recognizer, _four_faces(60), clock=clock, **settings) as stream:
        results = list(stream)
        info = stream.info()
    # Four windows take 8 ms, so two expressions fit; a search never does.
    usual = [result for result in results if not result.searched]
    assert all(result.timings["total"] <= 15.0 for result in usual)
    assert all(sum(face.is_fresh for face in result.faces) == 2 for result in usual)
    skipped = [len(result.skipped.over_budget) for result in usual]
    # Every second frame the two others look as they did when they were read.
    assert skipped[:6] == [2, 0, 2, 0, 2, 0]
    # Searches are postponed, but not forever: the first frame, and each 2 s.
    assert [n for n, result in enumerate(results) if result.searched] == [0]
    assert [n for n, result in enumerate(results) if result.skipped.search][:2] == [23, 24]
    assert info["skipped"]["search"] == 37
    assert info["skipped"]["over_budget"] == sum(skipped)
    assert info["slow_frames"] == 1


def test_a_postponed_search_is_made_after_two_seconds(slow_recognizer: Recognizer, clock: FakeClock) -> None:
    with Stream(slow_recognizer, _four_faces(70), clock=clock, budget_ms=15.0) as stream:
        assert [n for n, result in enumerate(stream) if result.searched] == [0, 60]


def test_under_a_budget_every_face_is_read_in_the_end(slow_recognizer: Recognizer, clock: FakeClock) -> None:
    read = {id: [] for id in (1, 2, 3, 4)}
    with Stream(slow_recognizer, _four_faces(120), clock=clock, budget_ms=12.0) as stream:
        for result in stream:
            for face in result.faces:
                if face.is_fresh:
                    read[face.id].append(result.time)
    for times in read.values():
        assert max(np.diff(times)) < 1.2


def test_under_a_budget_the_face_that_changed_most_is_read(
    slow_recognizer: Recognizer, clock: FakeClock
) -> None:
    def frame(n: int) -> np.ndarray:
        picture = room_with_cells(*CELLS)
        # The second face changes much, the others a little.
        change = np.full_like(picture, 15)
        change[20:60, 96:136] = 60
        return np.where(picture == 255, picture, picture + change * np.uint8(n % 2))

    frames = [(n / 30, frame(n)) for n in range(20)]
    settings = {"budget_ms": 12.5, "smoothing": Smoothing(time_constant_ms=0)}
    with Stream(slow_recognizer, frames, clock=clock, **settings) as stream:
        fresh = [[face.id for face in result.faces if face.is_fresh] for result in stream]
    assert fresh[1:] == [[2]] * 19


def test_a_free_budget_is_used_for_searches(slow_recognizer: Recognizer, clock: FakeClock) -> None:
    with Stream(slow_recognizer, _four_faces(10), clock=clock, budget_ms=100.0) as stream:
        assert [result.searched for result in stream] == ["first frame"] + ["free budget"] * 9


def test_without_a_budget_nothing_is_skipped_for_it(slow_recognizer: Recognizer, clock: FakeClock) -> None:
    with Stream(slow_recognizer, _four_faces(20), clock=clock) as stream:
        for result in stream:
            assert not result.skipped.search
            assert not result.skipped.over_budget
