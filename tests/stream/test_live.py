"""Live sources: the newest frame wins, lag is bounded, and lost, hung and ended sources are told apart."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from stream_doubles import FakeCamera, FakeClock
from tiny import frame_with_cells

import fer_edge.stream.sources.latest as latest
from fer_edge import Recognizer, Stream
from fer_edge.stream import EventRules

FRAME = frame_with_cells((10, 7))
PATIENCE_S = 20.0  # for what should be almost at once


@pytest.fixture(autouse=True)
def quick_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost sources are opened again after milliseconds."""
    monkeypatch.setattr(latest, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(latest, "LAST_DELAY_S", 0.04)


@pytest.fixture
def open_stream(recognizer: Recognizer, camera: FakeCamera) -> Iterator[Callable[..., Stream]]:
    """Streams the camera; closed after the test."""
    streams: list[Stream] = []

    def make(**settings: Any) -> Stream:
        streams.append(Stream(recognizer, camera.open, **settings))
        return streams[-1]

    yield make
    for _ in range(4):
        camera.frames.put(None)
    for stream in streams:
        stream.close()


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def _give(camera: FakeCamera, stream: Stream, *frames: Any) -> None:
    """Gives frames and waits until they were read."""
    read = stream.info()["source"]["frames"]
    for frame in frames:
        camera.frames.put(frame)
    _wait_for(lambda: stream.info()["source"]["frames"] == read + len(frames))


def test_the_newest_frame_wins_and_drops_are_counted(
    camera: FakeCamera, open_stream: Callable[..., Stream]
) -> None:
    stream = open_stream()
    _give(camera, stream, *[(float(n), FRAME) for n in range(5)])
    first = next(stream)
    assert (first.index, first.time, first.dropped) == (4, 4.0, 4)
    _give(camera, stream, (5.0, FRAME))
    assert (next(stream).index, stream.info()["source"]["dropped"]) == (5, 4)
    _give(camera, stream, (6.0, FRAME), (7.0, FRAME))
    second = next(stream)
    assert (second.index, second.dropped) == (7, 1)


def test_a_frame_that_waited_too_long_is_dropped(
    camera: FakeCamera, open_stream: Callable[..., Stream], clock: FakeClock
) -> None:
    stream = open_stream(max_lag_ms=200, clock=clock)
    _give(camera, stream, FRAME)
    clock.now += 0.19
    assert next(stream).index == 0
    _give(camera, stream, FRAME)
    clock.now += 0.21
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(next(stream)))
    thread.start()
    _wait_for(lambda: stream.info()["source"]["dropped"] == 1)
    _give(camera, stream, FRAME)
    thread.join(PATIENCE_S)
    assert (results[0].index, results[0].dropped) == (2, 1)
    assert results[0].time == pytest.approx(0.40)


def test_a_lost_camera_is_opened_again_and_faces_keep_their_ids(
    camera: FakeCamera, open_stream: Callable[..., Stream], clock: FakeClock
) -> None:
    stream = open_stream(clock=clock)
    _give(camera, stream, FRAME)
    assert next(stream).faces[0].id == 1
    camera.is_plugged.clear()
    camera.frames.put(OSError("unplugged"))
    _wait_for(lambda: stream.info()["source"]["state"] == "reconnecting")
    assert camera.closed == 1
    camera.is_plugged.set()
    _wait_for(lambda: stream.info()["source"]["state"] == "reading")
    clock.now += 0.5
    _give(camera, stream, FRAME)
    result = next(stream)
    assert (result.index, result.time, result.faces[0].id) == (1, pytest.approx(0.5), 1)
    assert stream.info()["source"]["reconnects"] == 1
    assert camera.opened == 2


def test_faces_are_new_ones_where_a_camera_was_lost_for_longer_than_a_second(
    camera: FakeCamera, open_stream: Callable[..., Stream], clock: FakeClock
) -> None:
    stream = open_stream(clock=clock, events=EventRules(appear_ms=0))
    _give(camera, stream, FRAME)
    assert next(stream).faces[0].id == 1
    camera.frames.put(OSError("unplugged"))
    _wait_for(lambda: camera.opened == 2)
    clock.now += 30
    _give(camera, stream, FRAME)
    result = next(stream)
    assert [face.id for face in result.faces] == [2]
    assert [(event.kind, event.id, event.since) for event in result.events] == [
        ("disappeared", 1, 0),
        ("appeared", 2, 30),
    ]


def test_a_camera_that_ends_is_lost_too(camera: FakeCamera, open_stream: Callable[..., Stream]) -> None:
    stream = open_stream()
    _give(camera, stream, FRAME)
    camera.frames.put(None)
    _wait_for(lambda: camera.opened == 2)
    _give(camera, stream, FRAME)
    assert next(stream).index == 1


@pytest.mark.parametrize("reconnect_s", [0.0, 0.1])
def test_a_camera_that_does_not_come_back_is_a_connection_error(
    camera: FakeCamera, open_stream: Callable[..., Stream], reconnect_s: float
) -> None:
    stream = open_stream(reconnect_s=reconnect_s)
    _give(camera, stream, FRAME)
    next(stream)
    camera.is_plugged.clear()
    camera.frames.put(OSError("unplugged"))
    with pytest.raises(ConnectionError, match=f"open was lost and did not come back in {reconnect_s:g} s"):
        next(stream)
    assert stream.info()["source"]["state"] == "lost"
    assert list(stream) == []


def test_a_camera_that_opens_but_gives_nothing_is_not_tried_forever(
    camera: FakeCamera, open_stream: Callable[..., Stream]
) -> None:
    stream = open_stream(reconnect_s=0.1)
    for _ in range(200):
        camera.frames.put(OSError("dark"))
    with pytest.raises(ConnectionError, match="did not come back"):
        next(stream)
    assert 2 <= camera.opened < 30


def test_a_camera_that_hangs_is_a_timeout_and_may_go_on(
    camera: FakeCamera, open_stream: Callable[..., Stream]
) -> None:
    stream = open_stream(hang_s=0.05)
    for _ in range(2):
        with pytest.raises(TimeoutError, match=r"open hangs: no frame for 0.05 s, and no error"):
            next(stream)
    _give(camera, stream, FRAME)
    assert next(stream).index == 0


def test_errors_of_the_users_code_reach_the_reader(
    camera: FakeCamera, open_stream: Callable[..., Stream]
) -> None:
    stream = open_stream()
    camera.frames.put(ZeroDivisionError("in the driver"))
    with pytest.raises(ZeroDivisionError, match="in the driver"):
        next(stream)


def test_a_live_iterable_ends(recognizer: Recognizer) -> None:
    with Stream(recognizer, iter([FRAME] * 3), live=True) as stream:
        results = list(stream)
    assert results[-1].index == 2
    assert sum(1 + result.dropped for result in results) == 3


def test_pause_throws_frames_away_and_resume_goes_on(
    camera: FakeCamera, open_stream: Callable[..., Stream]
) -> None:
    stream = open_stream()
    _give(camera, stream, FRAME)
    stream.pause()
    assert stream.info()["source"]["state"] == "paused"
    _give(camera, stream, FRAME, FRAME)
    stream.resume()
    _give(camera, stream, FRAME)
    result = next(stream)
    assert (result.index, result.dropped) == (3, 0)


@pytest.mark.parametrize(("seconds", "id"), [(0.9, 1), (1.1, 2), (600, 2)])
def test_faces_are_new_ones_after_a_pause_of_more_than_a_second(
    camera: FakeCamera, open_stream: Callable[..., Stream], clock: FakeClock, seconds: float, id: int
) -> None:
    stream = open_stream(clock=clock)
    _give(camera, stream, FRAME)
    assert next(stream).faces[0].id == 1
    stream.pause()
    clock.now += seconds
    stream.resume()
    _give(camera, stream, FRAME)
    assert [face.id for face in next(stream).faces] == [id]


def test_close_from_another_thread_ends_a_waiting_iteration_and_the_thread(
    camera: FakeCamera, open_stream: Callable[..., Stream]
) -> None:
    stream = open_stream()
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.extend(stream))
    thread.start()
    _give(camera, stream, FRAME)
    closer = threading.Thread(target=stream.close)
    closer.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    camera.frames.put(FRAME)  # so that the read that cannot be interrupted returns
    closer.join(PATIENCE_S)
    _wait_for(lambda: camera.closed == 1)
    _wait_for(lambda: not any(t.name == "fer_edge-reader" for t in threading.enumerate()))
    assert stream.info()["source"]["state"] == "closed"
    stream.close()
    assert list(stream) == []


def test_close_while_it_reconnects(camera: FakeCamera, open_stream: Callable[..., Stream]) -> None:
    stream = open_stream()
    camera.is_plugged.clear()
    camera.frames.put(OSError("unplugged"))
    _wait_for(lambda: stream.info()["source"]["state"] == "reconnecting")
    stream.close()
    assert not any(thread.name == "fer_edge-reader" for thread in threading.enumerate())


def test_a_live_clock_gives_times(open_stream: Callable[..., Stream], camera: FakeCamera) -> None:
    stream = open_stream()
    _give(camera, stream, FRAME)
    first = next(stream).time
    _give(camera, stream, FRAME)
    assert 0 <= first < next(stream).time < PATIENCE_S
    assert isinstance(first, float)
    assert np.isfinite(first)
