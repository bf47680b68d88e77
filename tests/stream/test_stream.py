"""The Stream itself: iteration, pause, reset, close, info, errors."""

import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from tiny import frame_with_cells

from fer_edge import Recognizer, Stream
from fer_edge.stream import EventRules, Smoothing, StreamFace, StreamResult, replay

FRAME = frame_with_cells((10, 7), (30, 20))
# The tiny network gives neutral a probability of 0.49 at most.
RULES = EventRules(enter=0.4, leave=0.3)


def _frames(count: int, fps: float = 30.0) -> list[tuple[float, np.ndarray]]:
    return [(n / fps, FRAME) for n in range(count)]


def test_a_result_has_faces_events_and_timings(recognizer: Recognizer) -> None:
    with Stream(recognizer, _frames(10), events=RULES) as stream:
        assert iter(stream) is stream
        results = list(stream)
    assert all(isinstance(result, StreamResult) for result in results)
    last = results[-1]
    assert [face.id for face in last.faces] == [1, 2]
    assert all(isinstance(face, StreamFace) and face.expression == face.label for face in last.faces)
    expected = recognizer(FRAME)
    for face, plain in zip(last.faces, sorted(expected, key=lambda plain: plain.box[1]), strict=True):
        assert face.box == pytest.approx(plain.box, abs=1e-3)
        assert face.probabilities == pytest.approx(plain.probabilities, abs=1e-5)
    kinds = [(event.kind, event.id) for result in results for event in result.events]
    assert kinds == [(kind, id) for id in (1, 2) for kind in ("appeared", "expression_entered")]
    assert set(last.timings) == {"read", "luma", "track", "detect", "infer", "smooth", "total"}
    assert last.timings["total"] == pytest.approx(
        sum(last.timings.values()) - last.timings["total"] - last.timings["read"]
    )
    assert last.to_dict()["faces"][0]["id"] == 1
    assert "frame" not in last.to_dict()


def test_pause_and_resume_from_another_thread(recognizer: Recognizer) -> None:
    with Stream(recognizer, _frames(6)) as stream:
        next(stream)
        stream.pause()
        results: list[int] = []
        thread = threading.Thread(target=lambda: results.extend(result.index for result in stream))
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()
        assert results == []
        stream.resume()
        thread.join(20)
    assert results == [1, 2, 3, 4, 5]


def test_a_pause_ends_no_iteration(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    with Stream(recognizer, _frames(3), record=path) as stream:
        reader = stream.pipeline.reader
        read, moments = reader._read, iter([True])
        resumes = threading.Timer(0.01, stream.resume)

        def read_after_a_pause() -> Any:
            # Another thread pauses when this one has begun to take a frame.
            if next(moments, False):
                stream.pause()
                resumes.start()
            return read()

        monkeypatch.setattr(reader, "_read", read_after_a_pause)
        assert [result.index for result in stream] == [0, 1, 2]
        resumes.join()
    assert len(list(replay(path))) == 3


def test_reset_ends_all_faces_and_begins_new_ids(recognizer: Recognizer) -> None:
    with Stream(recognizer, _frames(20), events=RULES) as stream:
        for _ in range(10):
            result = next(stream)
        assert [face.id for face in result.faces] == [1, 2]
        stream.reset()
        result = next(stream)
        assert result.searched == "first frame"
        assert [(event.id, event.kind) for event in result.events] == [
            (id, kind) for id in (1, 2) for kind in ("expression_left", "disappeared")
        ]
        assert [face.id for face in result.faces] == [3, 4]


def test_several_threads_share_the_frames(recognizer: Recognizer) -> None:
    with Stream(recognizer, _frames(60)) as stream, ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: [result.index for result in stream], range(4)))
    assert sorted(index for part in parts for index in part) == list(range(60))


def test_several_streams_share_a_recognizer(recognizer: Recognizer) -> None:
    def run(number: int) -> list[tuple[float, ...]]:
        frames = [(n / 30, frame_with_cells((4 + number, 4 + n // 4))) for n in range(20)]
        with Stream(recognizer, frames) as stream:
            return [face.box for result in stream for face in result.faces]

    alone = [run(number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(8))) == alone


def test_close_is_repeatable_and_leaves_the_recognizer_open(recognizer: Recognizer) -> None:
    closed: list[bool] = []

    def frames() -> Any:
        try:
            while True:
                yield FRAME
        finally:
            closed.append(True)

    with Stream(recognizer, frames()) as stream:
        next(stream)
        assert "state='reading'" in repr(stream)
    assert closed == [True]
    stream.close()
    assert list(stream) == []
    assert "state='closed'" in repr(stream)
    assert len(recognizer(FRAME)) == 2


def test_close_inside_the_loop_ends_it(recognizer: Recognizer) -> None:
    stream = Stream(recognizer, _frames(20))
    seen = 0
    for result in stream:
        seen += 1
        if result.index == 4:
            stream.close()
    assert seen == 5


def test_after_a_bad_frame_the_next_one_can_be_asked_for(recognizer: Recognizer) -> None:
    frames = [FRAME, np.zeros((4, 4)), FRAME, (2.0, np.zeros((0, 3), np.uint8)), FRAME]
    with Stream(recognizer, frames, fps=30) as stream:
        assert len(next(stream).faces) == 2
        with pytest.raises(TypeError, match="frame 1 of list: frame must be uint8"):
            next(stream)
        assert [face.id for face in next(stream).faces] == [1, 2]
        with pytest.raises(ValueError, match="frame 3 of list: frame is empty"):
            next(stream)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"detect_every": 0}, "detect_every must be 'auto' or a whole number of at least 1 frame, got 0"),
        ({"detect_every": "often"}, "got 'often'"),
        ({"detect_every": True}, "got True"),
        ({"budget_ms": 0}, "budget_ms must be a number above 0, got 0"),
        ({"fps": -1}, "fps must be a number above 0"),
        ({"max_lag_ms": float("nan")}, "max_lag_ms must be a number above 0"),
        ({"hang_s": 0}, "hang_s must be"),
        ({"reconnect_s": -1}, "reconnect_s must be at least 0, got -1"),
    ],
)
def test_settings_out_of_range(recognizer: Recognizer, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stream(recognizer, [], **settings)


def test_info_says_what_runs(recognizer: Recognizer) -> None:
    with Stream(
        recognizer, _frames(31), budget_ms=1000, smoothing=Smoothing(300), events=EventRules(hold_ms=5)
    ) as stream:
        assert len(list(stream)) == 31
        info = stream.info()
    assert info["settings"]["smoothing"]["time_constant_ms"] == 300
    assert info["settings"]["events"]["hold_ms"] == 5
    assert sum(info["searched"].values()) == 31
    assert info["searched"]["first frame"] == 1
    assert set(info["skipped"]) == {"search", "still", "unchanged", "over_budget"}
    assert info["recognizer"]["backend"] == "onnxruntime"


def test_info_outlives_the_recognizer(make_recognizer: Callable[..., Recognizer]) -> None:
    recognizer = make_recognizer()
    with Stream(recognizer, _frames(2)) as stream:
        assert len(list(stream)) == 2
        info = stream.info()
        recognizer.close()
        assert stream.info() == info
    assert stream.info()["source"]["state"] == "closed"
    with pytest.raises(RuntimeError, match="closed"):
        Stream(recognizer, [])


def test_results_do_not_depend_on_the_frame_rate(recognizer: Recognizer) -> None:
    def brightness(time: float) -> np.ndarray:
        # The surroundings of the cell decide the expression: dark is neutral, bright is happiness.
        frame = frame_with_cells((10, 7))
        frame[24:96, 48:120] = np.maximum(frame[24:96, 48:120], 120 if time >= 1 else 0)
        return frame

    entered = {}
    for fps in (20, 60, 200):
        frames = [(n / fps, brightness(n / fps)) for n in range(2 * fps)]
        with Stream(recognizer, frames, events=RULES) as stream:
            events = [event for result in stream for event in result.events]
        entered[fps] = {event.label: event.time for event in events if event.kind == "expression_entered"}
        assert list(entered[fps]) == ["neutral", "happiness"]
    for fps in (20, 60):
        # Within the interval of its frames, and that of reading expressions.
        assert entered[fps]["happiness"] == pytest.approx(entered[200]["happiness"], abs=1 / fps + 0.05)


def test_nothing_is_left_behind(recognizer: Recognizer) -> None:
    gc.collect()
    before = threading.active_count(), len(gc.get_objects())
    for _ in range(20):
        with Stream(recognizer, iter(_frames(3)), live=True) as stream:
            list(stream)
    del stream
    gc.collect()
    # Fewer, if a thread of an earlier test ended meanwhile.
    assert threading.active_count() <= before[0]
    assert len(gc.get_objects()) < before[1] + 500


_PIXELS = some.one_of(
    some.none(),
    some.integers(),
    some.just("frame"),
    some.builds(
        lambda shape, kind, value: np.full(shape, value % 200, kind),
        some.lists(some.integers(0, 40), min_size=0, max_size=4).map(tuple),
        some.sampled_from([np.uint8, np.uint16, np.float32, bool]),
        some.integers(0, 255),
    ),
    some.just(FRAME),
)
_TIMES = some.one_of(some.floats(), some.none(), some.floats(0, 10), some.just("now"))


@given(some.lists(some.one_of(_PIXELS, some.tuples(_TIMES, _PIXELS)), max_size=12))
def test_no_source_ends_a_stream_without_a_named_reason(items: list[Any]) -> None:
    with Stream(_FUZZED[0], items, fps=25) as stream:
        taken = 0
        while True:
            try:
                result = next(stream)
            except StopIteration:
                break
            except (TypeError, ValueError) as error:
                assert f"frame {taken} of list: " in str(error)
            else:
                assert result.index == taken
                assert isinstance(result.frame, np.ndarray)
            taken += 1
        assert taken == len(items)


_FUZZED: list[Recognizer] = []


@pytest.fixture(autouse=True)
def _fuzzed(recognizer: Recognizer) -> Any:
    """Hypothesis calls one test many times, with one recognizer."""
    _FUZZED[:] = [recognizer]
    yield
    _FUZZED.clear()
