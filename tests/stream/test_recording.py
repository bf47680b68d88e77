"""Recordings hold no pixels, and a replay gives the same faces and events to the last bit."""

import builtins
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import frame_with_cells

from fer_edge import Recognizer, Stream
from fer_edge.stream import EventRules, Smoothing, StreamResult, replay


def _frames(count: int = 90) -> list[tuple[float, np.ndarray]]:
    """Faces that move, come, go, and change."""
    random = np.random.default_rng(5)
    frames = []
    for n in range(count):
        cells = [(4 + n // 3, 5)]
        if n % 50 < 25:
            cells.append((20, 20))
        frame = np.maximum(frame_with_cells(*cells), np.linspace(0, 60, 320).astype(np.uint8))
        frame[140:200, 140:190] = np.maximum(frame[140:200, 140:190], 110 * (n // 10 % 2))
        frames.append((n / 30 + float(random.uniform(0, 0.01)), frame))
    return frames


def _record(recognizer: Recognizer, path: Path, **settings: Any) -> list[StreamResult]:
    with Stream(recognizer, _frames(), record=path, **settings) as stream:
        results = []
        for result in stream:
            results.append(result)
            if result.index == 60:
                stream.reset()
    return results


def _comparable(result: StreamResult) -> dict[str, Any]:
    return result.to_dict() | {"timings": {}}


@pytest.mark.parametrize(
    "settings", [{}, {"smoothing": Smoothing(80, 500, 400), "events": EventRules(0.3, 0.2, 0, 0)}]
)
def test_a_replay_is_the_same_to_the_last_bit(recognizer: Recognizer, tmp_path: Path, settings: Any) -> None:
    results = _record(recognizer, tmp_path / "a.jsonl", **settings)
    again = list(replay(tmp_path / "a.jsonl"))
    assert sum(len(result.events) for result in results) >= 8
    assert len({face.id for result in results for face in result.faces}) >= 4
    assert [_comparable(result) for result in again] == [_comparable(result) for result in results]
    assert all(result.frame is None for result in again)


def test_other_settings_can_be_tried(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    _record(recognizer, path)
    live = _record(recognizer, tmp_path / "b.jsonl", events=EventRules(hold_ms=400))
    tried = list(replay(path, events=EventRules(hold_ms=400)))
    assert [result.events for result in tried] == [result.events for result in live]
    assert [result.events for result in tried] != [result.events for result in replay(path)]


def test_nothing_but_the_recording_is_written_and_it_holds_no_pixels(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    for owner in (builtins, io):
        opened = owner.open

        def watch(file: Any, mode: str = "r", *rest: Any, _opened: Any = opened, **settings: Any) -> Any:
            if set(mode) & set("wax+"):
                written.append(os.fspath(file))
            return _opened(file, mode, *rest, **settings)

        monkeypatch.setattr(owner, "open", watch)
    path = tmp_path / "a.jsonl"
    results = _record(recognizer, path)
    assert set(written) == {str(path)}
    assert list(tmp_path.iterdir()) == [path]
    header, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert set(header) == {
        *("format", "version", "labels", "temperature", "confidence_temperature", "smoothing", "events"),
        "recognizer",
    }
    assert len(lines) == len(results)
    for line in lines:
        assert set(line) == {"index", "time", "dropped", "searched", "skipped", "ended", "faces"}
        for face in line["faces"]:
            assert set(face) == {"id", "box", "landmarks", "score", "logits", "abstain_reason"}
            assert (len(face["box"]), np.shape(face["landmarks"])) == (4, (5, 2))
            assert face["logits"] is None or len(face["logits"]) == len(recognizer.labels)
    # Less than one number for each 8 x 8 pixels of a crop.
    assert max(len(json.dumps(line)) for line in lines) < 2500


def test_lines_are_on_the_disk_at_once(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Stream(recognizer, _frames(), record=path) as stream:
        for number in range(1, 4):
            next(stream)
            assert len(path.read_text().splitlines()) == 1 + number


def test_files_that_are_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(FileNotFoundError):
        list(replay(path))
    for text in ("", "hello", "[1]", '{"format": "other"}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"a\.jsonl is not a recording of a stream"):
            list(replay(path))
    path.write_text('{"format": "fer_edge.stream", "version": 99}')
    with pytest.raises(ValueError, match="recording of version 99, expected 1"):
        list(replay(path))


def test_a_recording_that_was_cut_off_is_replayed_up_to_there(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    _record(recognizer, path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:11]) + lines[11][:40])
    replayed = []
    with pytest.raises(ValueError, match="line 12: damaged"):
        replayed.extend(replay(path))
    replayed = []
    results = replay(path)
    for _ in range(10):
        replayed.append(next(results))
    assert [result.index for result in replayed] == list(range(10))


def test_a_recording_that_cannot_be_written(recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Stream(recognizer, [], record=tmp_path / "missing" / "a.jsonl")


def test_no_camera_stays_open_where_a_recording_cannot_be_written(
    recognizer: Recognizer, tmp_path: Path
) -> None:
    released = threading.Event()

    def camera() -> Iterator[np.ndarray]:
        try:
            while True:
                yield frame_with_cells()
        finally:
            released.set()

    with pytest.raises(FileNotFoundError):
        Stream(recognizer, camera, record=tmp_path / "missing" / "a.jsonl")
    assert released.wait(20)
