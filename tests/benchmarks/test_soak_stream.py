"""A short soak test of a stream: faults happen, the stream goes on, and what grew is reported."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import frame_with_cells

import fer_edge.stream.sources.latest as latest
from benchmarks import soak_stream
from benchmarks.soak_stream import READINGS, FaultyCamera, Reading, grown, soak
from fer_edge import Recognizer


def test_a_stream_survives_a_faulty_camera(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    # Everything goes wrong more often and is over sooner.
    monkeypatch.setattr(latest, "FIRST_DELAY_S", 0.01)
    for name, seconds in (
        *(("STALL_EVERY_S", 0.3), ("CORRUPT_EVERY_S", 0.1), ("LOST_EVERY_S", 0.4)),
        *(("STALL_S", 0.03), ("LOST_S", 0.02)),
    ):
        monkeypatch.setattr(soak_stream, name, seconds)
    camera = FaultyCamera([np.repeat(frame_with_cells((4 + n, 7))[..., None], 3, axis=2) for n in range(20)])
    readings = soak(recognizer, camera, 2.0)
    assert len(readings) >= READINGS - 2
    assert readings[-1].frames > 10
    assert min(camera.faults[name] for name in ("stall", "corrupt", "lost")) > 0
    assert readings[-1].threads == readings[0].threads
    assert readings[-1].files == readings[0].files


def test_what_grew_is_named() -> None:
    same = Reading(frames=10, faces=1, memory_mb=100.0, threads=2, files=9, frame_ms=4.0)
    assert grown([same] * READINGS) == []
    for change in ({"memory_mb": 113.0}, {"threads": 3}, {"files": 10}, {"frame_ms": 6.1}):
        (problem,) = grown([*[same] * (READINGS - 1), replace(same, **change)])
        assert problem.startswith(next(iter(change)))
