"""Lost cameras are opened again; errors of single frames, and of the user's code, reach the reader."""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from stream_doubles import FakeCamera, FakeClock, give, wait_for
from tiny import frame_with_cells, write_picture

import fer_edge.stream.sources.latest as latest
from fer_edge import Recognizer, Stream
from fer_edge.stream import EventRules

FRAME = frame_with_cells((10, 7))


def test_a_lost_camera_is_opened_again_and_faces_keep_their_ids(
    camera: FakeCamera, open_stream: Callable[..., Stream], clock: FakeClock
) -> None:
    stream = open_stream(clock=clock)
    give(camera, stream, FRAME)
    assert next(stream).faces[0].id == 1
    camera.is_plugged.clear()
    camera.frames.put(OSError("unplugged"))
    wait_for(lambda: stream.info()["source"]["state"] == "reconnecting")
    assert camera.closed == 1
    camera.is_plugged.set()
    wait_for(lambda: camera.opened == 2)
    # A camera that was opened may still give nothing.
    assert stream.info()["source"]["state"] == "reconnecting"
    clock.now += 0.5
    give(camera, stream, FRAME)
    result = next(stream)
    assert (result.index, result.time, result.faces[0].id) == (1, pytest.approx(0.5), 1)
    source = stream.info()["source"]
    assert (source["state"], source["reconnects"]) == ("reading", 1)


def test_faces_are_new_ones_where_a_camera_was_lost_for_longer_than_a_second(
    camera: FakeCamera, open_stream: Callable[..., Stream], clock: FakeClock
) -> None:
    stream = open_stream(clock=clock, events=EventRules(appear_ms=0))
    give(camera, stream, FRAME)
    assert next(stream).faces[0].id == 1
    camera.frames.put(OSError("unplugged"))
    wait_for(lambda: camera.opened == 2)
    clock.now += 30
    give(camera, stream, FRAME)
    result = next(stream)
    assert [face.id for face in result.faces] == [2]
    assert [(event.kind, event.id, event.since) for event in result.events] == [
        ("disappeared", 1, 0),
        ("appeared", 2, 30),
    ]


def test_a_camera_that_ends_is_lost_too(camera: FakeCamera, open_stream: Callable[..., Stream]) -> None:
    stream = open_stream()
    give(camera, stream, FRAME)
    camera.frames.put(None)
    wait_for(lambda: camera.opened == 2)
    give(camera, stream, FRAME)
    assert next(stream).index == 1


@pytest.mark.parametrize("reconnect_s", [0.0, 0.1])
def test_a_camera_that_does_not_come_back_is_a_connection_error(
    camera: FakeCamera, open_stream: Callable[..., Stream], reconnect_s: float
) -> None:
    stream = open_stream(reconnect_s=reconnect_s)
    give(camera, stream, FRAME)
    next(stream)
    camera.is_plugged.clear()
    camera.frames.put(OSError("unplugged"))
    with pytest.raises(ConnectionError, match=f"open was lost and did not come back in {reconnect_s:g} s"):
        next(stream)
    assert stream.info()["source"]["state"] == "lost"
    assert list(stream) == []


def test_a_camera_that_opens_but_gives_nothing_is_not_tried_forever(
    camera: FakeCamera, open_stream: Callable[..., Stream], caplog: pytest.LogCaptureFixture
) -> None:
    stream = open_stream(reconnect_s=0.1)
    for _ in range(200):
        camera.frames.put(OSError("dark"))
    with pytest.raises(ConnectionError, match="did not come back"):
        next(stream)
    assert 2 <= camera.opened < 30
    source = stream.info()["source"]
    assert (source["state"], source["reconnects"]) == ("lost", 0)
    assert [record.getMessage() for record in caplog.records] == ["FakeCamera.open is lost: dark"]


def test_a_camera_may_be_away_for_any_number_of_attempts(
    camera: FakeCamera, open_stream: Callable[..., Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest, "FIRST_DELAY_S", 0.0)
    attempts = sys.getrecursionlimit() + 100
    for _ in range(attempts):
        camera.frames.put(OSError("dark"))
    camera.frames.put(FRAME)
    stream = open_stream(reconnect_s=float("inf"))
    assert next(stream).index == 0
    assert camera.opened == attempts + 1
    assert stream.info()["source"]["reconnects"] == 1


def test_a_function_that_raises_anything_is_opened_again(
    recognizer: Recognizer, camera: FakeCamera, quick_reconnects: None
) -> None:
    refusals = [None, RuntimeError("the camera is busy"), None]

    def open_camera() -> Iterator[Any]:
        if (refusal := refusals.pop(0)) is not None:
            raise refusal
        return camera.open()

    with Stream(recognizer, open_camera) as stream:
        give(camera, stream, FRAME)
        assert next(stream).index == 0
        camera.frames.put(RuntimeError("the device is gone"))
        wait_for(lambda: camera.opened == 2)
        give(camera, stream, FRAME)
        assert next(stream).index == 1
        assert stream.info()["source"]["reconnects"] == 1
        camera.frames.put(None)


def test_errors_of_the_users_code_before_the_first_frame_are_raised_at_once(
    camera: FakeCamera, open_stream: Callable[..., Stream]
) -> None:
    stream = open_stream()
    camera.frames.put(ZeroDivisionError("in the driver"))
    with pytest.raises(ZeroDivisionError, match="in the driver"):
        next(stream)
    camera.frames.put(FRAME)
    assert next(stream).index == 1


class GoesOn:
    """An iterator that gives what is put into it, and goes on after an exception; None is the end."""

    def __init__(self) -> None:
        self.items: Queue[Any] = Queue()

    def __iter__(self) -> "GoesOn":
        return self

    def __next__(self) -> Any:
        item = self.items.get()
        if isinstance(item, Exception):
            raise item
        if item is None:
            raise StopIteration
        return item


@pytest.mark.parametrize("live", [False, True])
def test_a_frame_that_cannot_be_read_ends_no_stream(recognizer: Recognizer, live: bool) -> None:
    source, seen = GoesOn(), []
    with Stream(recognizer, source, live=live) as stream:
        for item in (FRAME, ValueError("damaged"), FRAME, KeyError("again"), OSError("and again"), FRAME):
            source.items.put(item)
            try:
                seen.append(next(stream).index)
            except (ValueError, KeyError, OSError) as error:
                seen.append(type(error))
        source.items.put(None)
        assert next(stream, None) is None
        assert stream.info()["source"]["state"] == "ended"
    assert seen == [0, ValueError, 2, KeyError, OSError, 5]


def test_a_damaged_picture_ends_no_live_folder(recognizer: Recognizer, tmp_path: Path) -> None:
    for number in (0, 2):
        write_picture(tmp_path / f"{number}.png", (10, 7))
    (tmp_path / "1.png").write_text("no picture")
    with Stream(recognizer, tmp_path, live=True) as stream:
        assert next(stream).index == 0
        with pytest.raises(ValueError, match=r"frame 1 of .*: 1\.png is not a picture"):
            next(stream)
        assert [result.index for result in stream] == [2]


def test_close_while_an_error_waits(recognizer: Recognizer) -> None:
    source = GoesOn()
    with Stream(recognizer, source, live=True) as stream:
        source.items.put(ValueError("damaged"))
        wait_for(lambda: stream.info()["source"]["frames"] == 1)
    assert not any(thread.name == "fer_edge-reader" for thread in threading.enumerate())


def test_a_camera_that_hangs_when_it_is_opened_again_is_a_timeout(
    recognizer: Recognizer, camera: FakeCamera, quick_reconnects: None
) -> None:
    first, wakes = iter([True]), threading.Event()

    def open_camera() -> Iterator[Any]:
        return camera.open() if next(first, False) else iter([wakes.wait()])

    with Stream(recognizer, open_camera, hang_s=0.05) as stream:
        camera.frames.put(OSError("unplugged"))
        with pytest.raises(TimeoutError, match="open_camera hangs"):
            next(stream)
        wakes.set()


def test_times_of_a_function_may_begin_again_where_it_is_opened_again(
    camera: FakeCamera, open_stream: Callable[..., Stream], clock: FakeClock
) -> None:
    stream = open_stream(clock=clock)
    openings = [
        [(10.0, 10.0), (10.5, 10.5)],
        # From its opening: after the last time, by what has passed on the clock.
        [(0.0, 11.5), (0.25, 11.75)],
        [(0.0, 12.75), (0.5, 13.25)],
        # Not below the last time, so nothing tells that it began again.
        [(20.0, 20.0)],
    ]
    for number, times in enumerate(openings, 1):
        wait_for(lambda number=number: camera.opened == number)
        clock.now += 1.0
        for own, expected in times:
            give(camera, stream, (own, FRAME))
            assert next(stream).time == expected
        if number < len(openings):
            camera.frames.put(OSError("unplugged"))
    give(camera, stream, (19.0, FRAME))
    with pytest.raises(ValueError, match="times must not run backwards, got 19 s after 20 s"):
        next(stream)


def test_close_while_it_reconnects(camera: FakeCamera, open_stream: Callable[..., Stream]) -> None:
    stream = open_stream()
    camera.is_plugged.clear()
    camera.frames.put(OSError("unplugged"))
    wait_for(lambda: stream.info()["source"]["state"] == "reconnecting")
    stream.close()
    assert not any(thread.name == "fer_edge-reader" for thread in threading.enumerate())
