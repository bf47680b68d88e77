"""Live sources: the newest frame wins, lag is bounded, and lost, hung and ended sources are told apart."""

import contextlib
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from stream_doubles import PATIENCE_S, FakeCamera, FakeClock, give, wait_for
from tiny import frame_with_cells

import fer_edge.stream.sources.latest as latest
from fer_edge import Recognizer, Stream

FRAME = frame_with_cells((10, 7))


def test_the_newest_frame_wins_and_drops_are_counted(
    camera: FakeCamera, open_stream: Callable[..., Stream]
) -> None:
    stream = open_stream()
    give(camera, stream, *[(float(n), FRAME) for n in range(5)])
    first = next(stream)
    assert (first.index, first.time, first.dropped) == (4, 4.0, 4)
    give(camera, stream, (5.0, FRAME))
    assert (next(stream).index, stream.info()["source"]["dropped"]) == (5, 4)
    give(camera, stream, (6.0, FRAME), (7.0, FRAME))
    second = next(stream)
    assert (second.index, second.dropped) == (7, 1)


def test_a_frame_that_waited_too_long_is_dropped(
    camera: FakeCamera, open_stream: Callable[..., Stream], clock: FakeClock
) -> None:
    stream = open_stream(max_lag_ms=200, clock=clock)
    give(camera, stream, FRAME)
    clock.now += 0.19
    assert next(stream).index == 0
    give(camera, stream, FRAME)
    clock.now += 0.21
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(next(stream)))
    thread.start()
    wait_for(lambda: stream.info()["source"]["dropped"] == 1)
    give(camera, stream, FRAME)
    thread.join(PATIENCE_S)
    assert (results[0].index, results[0].dropped) == (2, 1)
    assert results[0].time == pytest.approx(0.40)


def test_a_camera_that_hangs_is_a_timeout_and_may_go_on(
    camera: FakeCamera, open_stream: Callable[..., Stream]
) -> None:
    stream = open_stream(hang_s=0.05)
    for _ in range(2):
        with pytest.raises(TimeoutError, match=r"open hangs: no frame for 0.05 s, and no error"):
            next(stream)
    give(camera, stream, FRAME)
    assert next(stream).index == 0


def test_a_live_iterable_ends(recognizer: Recognizer) -> None:
    with Stream(recognizer, iter([FRAME] * 3), live=True) as stream:
        results = list(stream)
    assert results[-1].index == 2
    assert sum(1 + result.dropped for result in results) == 3


def _drop_while_reading(camera: FakeCamera, stream: Stream) -> None:
    give(camera, stream, FRAME)
    next(stream)


def _drop_before_an_error_is_raised(camera: FakeCamera, stream: Stream) -> None:
    give(camera, stream, ValueError("a wrong frame"))


def _drop_while_it_reconnects(camera: FakeCamera, stream: Stream) -> None:
    give(camera, stream, FRAME)
    camera.is_plugged.clear()
    camera.frames.put(ConnectionError("unplugged"))
    wait_for(lambda: stream.info()["source"]["state"] == "reconnecting")


@pytest.mark.parametrize(
    "use", [_drop_while_reading, _drop_before_an_error_is_raised, _drop_while_it_reconnects]
)
@pytest.mark.usefixtures("quick_reconnects")
def test_a_dropped_stream_releases_its_camera(
    camera: FakeCamera,
    recognizer: Recognizer,
    monkeypatch: pytest.MonkeyPatch,
    use: Callable[[FakeCamera, Stream], None],
) -> None:
    monkeypatch.setattr(latest, "LOOK_S", 0.01)
    before = set(threading.enumerate())
    stream = Stream(recognizer, camera.open)
    use(camera, stream)
    (thread,) = (thread for thread in threading.enumerate() if thread not in before)
    del stream
    gc.collect()
    camera.frames.put(FRAME)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert camera.closed == camera.opened == 1


class _WrongFirst:
    """A source whose first frame raises; the others come at once."""

    def __init__(self) -> None:
        self._count = 0

    def __iter__(self) -> "_WrongFirst":
        return self

    def __next__(self) -> Any:
        self._count += 1
        if self._count == 1:
            raise ValueError("a wrong frame")
        time.sleep(0.001)
        return FRAME


def test_a_stream_that_has_raised_is_released_without_a_garbage_collection(recognizer: Recognizer) -> None:
    gc.collect()
    gc.disable()
    try:
        before = set(threading.enumerate())
        stream = Stream(recognizer, _WrongFirst(), live=True)
        (thread,) = (thread for thread in threading.enumerate() if thread not in before)
        # Not pytest.raises, which would keep the traceback.
        with contextlib.suppress(ValueError):
            next(stream)
        del stream
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    finally:
        gc.enable()


def test_pause_throws_frames_away_and_resume_goes_on(
    camera: FakeCamera, open_stream: Callable[..., Stream]
) -> None:
    stream = open_stream()
    give(camera, stream, FRAME)
    stream.pause()
    assert stream.info()["source"]["state"] == "paused"
    give(camera, stream, FRAME, FRAME)
    stream.resume()
    give(camera, stream, FRAME)
    result = next(stream)
    assert (result.index, result.dropped) == (3, 0)


@pytest.mark.parametrize(("seconds", "id"), [(0.9, 1), (1.1, 2), (600, 2)])
def test_faces_are_new_ones_after_a_pause_of_more_than_a_second(
    camera: FakeCamera, open_stream: Callable[..., Stream], clock: FakeClock, seconds: float, id: int
) -> None:
    stream = open_stream(clock=clock)
    give(camera, stream, FRAME)
    assert next(stream).faces[0].id == 1
    stream.pause()
    clock.now += seconds
    stream.resume()
    give(camera, stream, FRAME)
    assert [face.id for face in next(stream).faces] == [id]


def test_close_from_another_thread_ends_a_waiting_iteration_and_the_thread(
    camera: FakeCamera, open_stream: Callable[..., Stream]
) -> None:
    stream = open_stream()
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.extend(stream))
    thread.start()
    give(camera, stream, FRAME)
    closer = threading.Thread(target=stream.close)
    closer.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    camera.frames.put(FRAME)  # so that the read that cannot be interrupted returns
    closer.join(PATIENCE_S)
    wait_for(lambda: camera.closed == 1)
    wait_for(lambda: not any(t.name == "fer_edge-reader" for t in threading.enumerate()))
    assert stream.info()["source"]["state"] == "closed"
    stream.close()
    assert list(stream) == []


def test_a_live_clock_gives_times(open_stream: Callable[..., Stream], camera: FakeCamera) -> None:
    stream = open_stream()
    give(camera, stream, FRAME)
    first = next(stream).time
    give(camera, stream, FRAME)
    assert 0 <= first < next(stream).time < PATIENCE_S
    assert isinstance(first, float)
    assert np.isfinite(first)
