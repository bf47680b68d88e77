"""A short soak test of a stream: faults happen, faces come and go, and what grew is reported."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tiny import frame_with_cells

import fer_edge.stream.sources.latest as latest
from benchmarks import soak_stream
from benchmarks.soak_stream import READINGS, FaultyCamera, Reading, Run, grown, missing, soak
from fer_edge import Recognizer


def test_a_stream_survives_a_faulty_camera(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    # Everything goes wrong more often.
    monkeypatch.setattr(latest, "FIRST_DELAY_S", 0.01)
    for name, seconds in (
        *(("STALL_EVERY_S", 2.0), ("CORRUPT_EVERY_S", 1.0), ("LOST_EVERY_S", 3.0)),
        *(("STALL_S", 0.2), ("LOST_S", 0.2)),
    ):
        monkeypatch.setattr(soak_stream, name, seconds)
    # A face that moves for a second, and is then away for two.
    shown = [[(4 + n // 3, 7)] for n in range(30)] + [[]] * 60
    wall = np.linspace(0, 60, 320).astype(np.uint8)  # so that its coming and going is no cut
    rooms = [np.maximum(frame_with_cells(*cells), wall) for cells in shown]
    camera = FaultyCamera([np.repeat(room[..., None], 3, axis=2) for room in rooms], pace=0.1)
    run = soak(recognizer, camera, 24.0)
    readings = run.readings
    assert len(readings) == READINGS
    assert readings[-1].frames > 10
    # The face comes eight times; not each time is seen where the machine is busy.
    assert missing(run) == []
    assert 2 <= run.expired <= run.events["disappeared"] <= run.faces
    assert readings[-1].faces == run.faces
    assert min(camera.faults[name] for name in ("stall", "corrupt", "lost")) > 0
    # Fewer, if something of an earlier test ended meanwhile.
    assert readings[-1].threads <= readings[0].threads
    assert readings[-1].files <= readings[0].files


def test_what_grew_is_named() -> None:
    same = Reading(frames=10, faces=1, memory_mb=100.0, threads=2, files=9, frame_ms=4.0)
    assert grown([same] * READINGS) == []
    for change in ({"memory_mb": 113.0}, {"threads": 3}, {"files": 10}, {"frame_ms": 6.1}):
        (problem,) = grown([*[same] * (READINGS - 1), replace(same, **change)])
        assert problem.startswith(next(iter(change)))


def test_what_never_happened_is_named() -> None:
    happened = {"events": Counter(appeared=3), "expired": 1, "searched": {"first frame": 1, "timer": 2}}
    assert missing(Run(**happened)) == []
    for change, problem in (
        ({"events": Counter()}, "no face appeared"),
        ({"expired": 0}, "no face was gone because it was not seen for 1 s"),
        ({"searched": {"first frame": 1}}, "no timer made a search"),
    ):
        assert missing(Run(**{**happened, **change})) == [problem]
