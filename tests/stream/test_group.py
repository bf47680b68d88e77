"""Several sources on one recogniser: turns, one batch a round, and what one source does to the others."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stream_doubles import FakeCamera, give, wait_for
from tiny import frame_with_cells

import fer_edge.stream.group as group_module
from benchmarks.streaming.made_video import Actor, line, sway, video
from fer_edge import Recognizer, Stream
from fer_edge.stream import StreamGroup, StreamResult, replay

FRAME = frame_with_cells((10, 7))
MakeRecognizer = Callable[..., Recognizer]


@pytest.fixture
def cameras() -> Iterator[list[FakeCamera]]:
    """Two cameras; a read that still waits is ended after the test."""
    made = [FakeCamera(), FakeCamera()]
    yield made
    for camera in made:
        for _ in range(4):
            camera.frames.put(None)


def _frames(count: int, *cells: tuple[int, int]) -> list[tuple[float, np.ndarray]]:
    return [(n / 10, frame_with_cells(*cells)) for n in range(count)]


def _without_times(result: StreamResult) -> dict[str, Any]:
    return {name: value for name, value in result.to_dict().items() if name != "timings"}


def test_each_source_has_its_turn(recognizer: Recognizer) -> None:
    lengths = {"a": 3, "b": 1, "c": 2}
    streams = {name: Stream(recognizer, _frames(count, (10, 7))) for name, count in lengths.items()}
    with StreamGroup(streams) as group:
        shown = [(name, result.index) for name, result in group]
    assert shown == [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("c", 1), ("a", 2)]
    assert all(info["source"]["state"] == "closed" for info in group.info().values())


def test_the_faces_of_a_round_are_one_batch(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    reserve = recognizer._networks.expression.reserve

    def count(shape: tuple[int, ...]) -> Any:
        batches.append(shape[0])
        return reserve(shape)

    monkeypatch.setattr(recognizer._networks.expression, "reserve", count)
    sources = {"one": [(10, 7)], "none": [], "two": [(4, 4), (20, 12)]}
    streams = {
        name: Stream(recognizer, _frames(4, *cells), detect_every=1) for name, cells in sources.items()
    }
    with StreamGroup(streams) as group:
        faces = [len(result.faces) for _, result in group]
    assert batches == [3, 3, 3, 3]
    assert faces == [1, 0, 2] * 4


@pytest.fixture(scope="module")
def embedded() -> Iterator[Recognizer]:
    """The embedded models."""
    with Recognizer(threads=1) as recognizer:
        yield recognizer


def _videos() -> dict[str, list[tuple[float, np.ndarray]]]:
    scenes = {
        "colour": [Actor(sway(160, 150, 90)), Actor(sway(480, 300, 120), mirrored=True)],
        "grey": [Actor(line((100, 200), (500, 220), 1.0, 100))],
        "large": [Actor(sway(400, 300, 150), present=(0.4, 9.0))],
    }
    sizes = {"colour": (640, 480), "grey": (640, 480), "large": (960, 600)}
    made = {
        name: [(t, frame) for t, frame, _ in video(scene, 1.0, 15.0, width=size[0], height=size[1])]
        for (name, scene), size in zip(scenes.items(), sizes.values(), strict=True)
    }
    made["grey"] = [(time, np.ascontiguousarray(frame[..., 1])) for time, frame in made["grey"]]
    return made


def test_results_are_those_of_each_stream_alone(embedded: Recognizer, tmp_path: Path) -> None:
    videos = _videos()
    alone = {name: list(Stream(embedded, frames)) for name, frames in videos.items()}
    records = {name: tmp_path / f"{name}.jsonl" for name in videos}
    streams = {name: Stream(embedded, frames, record=records[name]) for name, frames in videos.items()}
    together: dict[str, list[StreamResult]] = {name: [] for name in videos}
    with StreamGroup(streams) as group:
        for name, result in group:
            together[name].append(result)
    for name, results in together.items():
        for result, wanted in zip(results, alone[name], strict=True):
            for face, other in zip(result.faces, wanted.faces, strict=True):
                assert (face.id, face.box, face.landmarks) == (other.id, other.box, other.landmarks)
                assert (face.label, face.expression, face.is_fresh) == (
                    other.label,
                    other.expression,
                    other.is_fresh,
                )
                # The engine adds in another order for another batch.
                assert face.probabilities == pytest.approx(other.probabilities, abs=1e-5)
            assert result.events == wanted.events
            assert (result.searched, result.skipped) == (wanted.searched, wanted.skipped)
            assert set(result.timings) - {"record"} == set(wanted.timings)
        assert [_without_times(r) for r in replay(records[name])] == [_without_times(r) for r in results]
    assert [len(results[-1].faces) for results in together.values()] == [2, 1, 1]


def test_a_camera_without_frames_holds_up_nobody_and_the_newest_frame_wins(
    recognizer: Recognizer, cameras: list[FakeCamera]
) -> None:
    quick, slow = (Stream(recognizer, camera.open) for camera in cameras)
    with StreamGroup({"quick": quick, "slow": slow}) as group:
        give(cameras[0], quick, *[(float(n), FRAME) for n in range(5)])
        name, result = next(group)
        assert (name, result.index, result.dropped) == ("quick", 4, 4)
        give(cameras[0], quick, (5.0, FRAME), (6.0, FRAME))
        give(cameras[1], slow, (0.0, FRAME))
        assert [(name, result.index) for name, result in (next(group), next(group))] == [
            ("quick", 6),
            ("slow", 0),
        ]
        # The frame that a waiting group waits for.
        threading.Timer(0.05, cameras[1].frames.put, [(1.0, FRAME)]).start()
        assert next(group)[0] == "slow"
        for camera in cameras:
            camera.frames.put(None)


def test_a_lost_source_is_named_and_the_others_go_on(
    recognizer: Recognizer, cameras: list[FakeCamera]
) -> None:
    lost = Stream(recognizer, cameras[0].open, reconnect_s=0)
    with StreamGroup({"door": lost, "hall": Stream(recognizer, _frames(2, (10, 7)))}) as group:
        cameras[0].frames.put(ConnectionError("unplugged"))
        wait_for(lambda: lost.info()["source"]["state"] == "lost")
        with pytest.raises(ConnectionError, match=r"^door: .* was lost and did not come back in 0 s"):
            next(group)
        assert [(name, result.index) for name, result in group] == [("hall", 0), ("hall", 1)]


def test_errors_of_the_system_are_named_and_keep_their_kind(recognizer: Recognizer, tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.png").symlink_to(tmp_path / "missing")

    def broken() -> Iterator[Any]:
        yield FRAME
        raise OSError("USB error")

    streams = {"door": Stream(recognizer, tmp_path), "hall": Stream(recognizer, broken())}
    with StreamGroup(streams) as group:
        errors = []
        while True:
            try:
                if next(group, None) is None:
                    break
            except OSError as error:
                errors.append((type(error), str(error).partition(":")[0]))
    assert errors == [(FileNotFoundError, "door"), (FileNotFoundError, "door"), (OSError, "hall")]


def test_a_hanging_source_is_named_again_and_again(
    recognizer: Recognizer, cameras: list[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_module, "WAKE_S", 0.01)
    streams = {"door": Stream(recognizer, cameras[0].open, hang_s=0.02), "hall": Stream(recognizer, [FRAME])}
    with StreamGroup(streams) as group:
        assert next(group)[0] == "hall"
        for _ in range(2):
            with pytest.raises(TimeoutError, match=r"^door: FakeCamera.open hangs: no frame for 0.02 s"):
                next(group)
        cameras[0].frames.put(None)


def test_wrong_frames_and_errors_of_the_users_code(recognizer: Recognizer) -> None:
    class OwnError(Exception):
        pass

    def broken() -> Iterator[Any]:
        yield FRAME
        raise OwnError

    streams = {"bad": Stream(recognizer, ["text", FRAME]), "broken": Stream(recognizer, broken())}
    seen = []
    with StreamGroup(streams) as group:
        while True:
            try:
                for name, result in group:
                    seen.append((name, result.index))
                break
            except TypeError as error:
                assert str(error).startswith("bad: frame 0 of list: frame must be a NumPy array")
                seen.append("wrong frame")
            except OwnError:
                seen.append("own error")
    assert seen.count("wrong frame") == seen.count("own error") == 1
    assert [item for item in seen if isinstance(item, tuple)] == [("broken", 0), ("bad", 1)]


def test_a_paused_stream_has_no_turn(recognizer: Recognizer) -> None:
    streams = {name: Stream(recognizer, _frames(2, (10, 7))) for name in "ab"}
    streams["a"].pause()
    with StreamGroup(streams) as group:
        assert [next(group)[0] for _ in range(2)] == ["b", "b"]
        threading.Timer(0.05, streams["a"].resume).start()
        assert [name for name, _ in group] == ["a", "a"]


def test_close_ends_a_group_that_waits(recognizer: Recognizer, cameras: list[FakeCamera]) -> None:
    streams = {name: Stream(recognizer, camera.open) for name, camera in zip("ab", cameras, strict=True)}
    group = StreamGroup(streams)

    def close() -> None:
        for camera in cameras:
            camera.frames.put(None)
        group.close()

    threading.Timer(0.05, close).start()
    assert list(group) == []
    assert "'a': Stream(source='FakeCamera.open', state='closed')" in repr(group)
    assert next(group, None) is None


def test_an_error_of_the_engine_ends_no_stream(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise MemoryError

    streams = {
        name: Stream(recognizer, [(n / 10, frame_with_cells((10, 7))) for n in range(3)]) for name in "ab"
    }
    with StreamGroup(streams) as group:
        with monkeypatch.context() as broken:
            broken.setattr(recognizer._networks.expression, "run", fail)
            with pytest.raises(MemoryError):
                next(group)
        shown = [(name, result.index, [face.id for face in result.faces]) for name, result in group]
    assert shown == [("a", 1, [1]), ("b", 1, [1]), ("a", 2, [1]), ("b", 2, [1])]


def test_what_is_no_group(make_recognizer: MakeRecognizer, recognizer: Recognizer) -> None:
    stream, other = Stream(recognizer, [FRAME]), Stream(make_recognizer(), [FRAME])
    for streams, error, message in (
        ([stream], TypeError, "must be a mapping of names to streams, .*, got list"),
        ({"a": 0}, TypeError, "got int for 'a'"),
        ({}, ValueError, "got none"),
        ({"a": stream, "b": stream}, ValueError, "got one stream twice"),
        ({"a": stream, "b": other}, ValueError, "must share one Recognizer, got several"),
    ):
        with pytest.raises(error, match=message):
            StreamGroup(streams)
