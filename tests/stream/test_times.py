"""Times of frames: who is not seen for a second is gone, also over a gap, and wrong times are named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import frame_with_cells

from fer_edge import Recognizer, Stream
from fer_edge.stream import EventRules, StreamGroup, StreamResult, replay

FRAME = frame_with_cells((10, 7), (30, 20))
# The tiny network gives neutral a probability of 0.49 at most.
RULES = EventRules(enter=0.4, leave=0.3)
BEFORE = 5  # frames at 10 a second, before the gap


def _frames(gap: float, frame: np.ndarray = FRAME) -> list[tuple[float, np.ndarray]]:
    """The same picture before and after a gap, so that nothing but time tells that something happened."""
    times = [n / 10 for n in range(BEFORE)]
    return [(time, frame) for time in times + [times[-1] + gap + n / 10 for n in range(BEFORE)]]


def _ids(results: list[StreamResult]) -> list[list[int]]:
    return [[face.id for face in result.faces] for result in results]


def _without_times(result: StreamResult) -> dict[str, Any]:
    return result.to_dict() | {"timings": {}}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "timer"),
        ({"detect_every": 1}, "every frame"),
        ({"detect_every": 100}, "lost face"),
        ({"budget_ms": 1e-6}, "timer"),
    ],
)
@pytest.mark.parametrize("gap", [1.5, 30.0, 3600.0, 1e9])
def test_faces_end_in_a_gap_of_more_than_a_second(
    recognizer: Recognizer, tmp_path: Path, gap: float, settings: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "a.jsonl"
    with Stream(recognizer, _frames(gap), events=RULES, record=path, **settings) as stream:
        results = list(stream)
    assert _ids(results) == [[1, 2]] * BEFORE + [[3, 4]] * BEFORE
    after = results[BEFORE]
    assert after.searched == reason
    assert all(face.is_fresh for face in after.faces)
    assert [(event.id, event.kind, event.time, event.since) for event in after.events] == [
        (id, kind, after.time, results[BEFORE - 1].time)
        for id in (1, 2)
        for kind in ("expression_left", "disappeared")
    ]
    later = [(event.id, event.kind) for result in results[BEFORE + 1 :] for event in result.events]
    assert later == [(id, kind) for id in (3, 4) for kind in ("appeared", "expression_entered")]
    assert [_without_times(r) for r in replay(path)] == [_without_times(r) for r in results]


def test_faces_keep_their_ids_over_a_shorter_gap(recognizer: Recognizer) -> None:
    with Stream(recognizer, _frames(0.9), events=RULES) as stream:
        results = list(stream)
    assert _ids(results) == [[1, 2]] * 2 * BEFORE
    assert not any(event.kind == "disappeared" for result in results for event in result.events)


def test_a_gap_in_one_source_of_a_group_ends_only_its_faces(recognizer: Recognizer) -> None:
    streams = {"gap": Stream(recognizer, _frames(5.0)), "none": Stream(recognizer, _frames(0.1))}
    shown: dict[str, list[StreamResult]] = {name: [] for name in streams}
    with StreamGroup(streams) as group:
        for name, result in group:
            shown[name].append(result)
    assert _ids(shown["gap"]) == [[1, 2]] * BEFORE + [[3, 4]] * BEFORE
    assert _ids(shown["none"]) == [[1, 2]] * 2 * BEFORE
    assert [event.kind for event in shown["gap"][BEFORE].events] == ["disappeared"] * 2


@pytest.mark.parametrize("in_group", [False, True])
def test_ends_are_reported_with_the_next_frame_if_faces_cannot_be_read(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch, in_group: bool
) -> None:
    def fail() -> Any:
        raise MemoryError

    stream = Stream(recognizer, _frames(5.0))
    results = iter(StreamGroup({"a": stream}) if in_group else stream)
    for _ in range(BEFORE):
        next(results)
    with monkeypatch.context() as broken:
        broken.setattr(recognizer._networks.expression, "run", fail)
        with pytest.raises(MemoryError):
            next(results)
    item = next(results)
    result = item[1] if isinstance(item, tuple) else item
    assert [(event.kind, event.id) for event in result.events] == [("disappeared", 1), ("disappeared", 2)]
    stream.close()


@pytest.mark.parametrize(
    ("times", "error", "message"),
    [
        ((1.0, 0.5), ValueError, "frame 1 of list: times must not run backwards, got 0.5 s after 1 s"),
        (
            (1.0, float("nan")),
            ValueError,
            "frame 1 of list: its time must be a finite number of seconds, got nan",
        ),
        ((1.0, float("inf")), ValueError, "must be a finite number of seconds, got inf"),
        ((1.0, 10**400), ValueError, "frame 1 of list: its time must be a finite number of seconds, got inf"),
        (
            (0.0, 0.1, 1.7e308, 1.7e308),
            ValueError,
            r"frame 2 of list: .* seconds from -1e\+12 to 1e\+12, got 1.7e\+308; convert milliseconds",
        ),
        ((-1.1e12,), ValueError, r"got -1.1e\+12; convert"),
        ((1_764_000_000_000_000_000,), ValueError, r"got 1.764e\+18; convert milliseconds or nanoseconds"),
        ((1.0, "later"), TypeError, "must be a finite number of seconds, got str"),
        ((1.0, None, 0.1), ValueError, "times must not run backwards"),
    ],
)
def test_wrong_times(
    recognizer: Recognizer, times: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with (
        Stream(recognizer, [(time, FRAME) for time in times], fps=100) as stream,
        pytest.raises(error, match=message),
    ):
        list(stream)


def test_a_time_beyond_the_bound_leaves_the_faces_as_they_were(recognizer: Recognizer) -> None:
    times = (-1e12, -1e12 + 0.125, 1.7e308, -1e12 + 0.25, 1e12 - 0.125, 1e12)
    with Stream(recognizer, [(time, FRAME) for time in times]) as stream:
        before = [next(stream), next(stream)]
        with pytest.raises(ValueError, match="frame 2 of list: its time must be a finite number of seconds"):
            next(stream)
        after = list(stream)
    assert _ids(before + after) == [[1, 2]] * 3 + [[3, 4]] * 2


def test_a_frame_rate_that_gives_no_finite_time(recognizer: Recognizer) -> None:
    with Stream(recognizer, [FRAME] * 2, fps=5e-324) as stream:
        assert next(stream).time == 0
        with pytest.raises(ValueError, match="frame 1 of list: its time must be a finite number of seconds"):
            next(stream)
