"""Clocks and cameras for the tests of streams."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stream_doubles import LABELS, FakeCamera, FakeClock

import fer_edge.stream.sources.latest as latest
from fer_edge import Recognizer, Stream
from fer_edge.stream import EventRules, Smoothing
from fer_edge.stream.steady import Calibration, Steady


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def camera() -> Iterator[FakeCamera]:
    """A camera; a read that still waits is ended after the test."""
    camera = FakeCamera()
    yield camera
    for _ in range(4):
        camera.frames.put(None)


@pytest.fixture
def make_steady() -> Callable[..., Steady]:
    """Makes the state of smoothing and events, for three expressions."""

    def make(events: EventRules | None = None, **smoothing: Any) -> Steady:
        return Steady(Calibration(LABELS, 1.0, 1.0), Smoothing(**smoothing), events or EventRules())

    return make


@pytest.fixture
def quick_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost sources are opened again after milliseconds."""
    monkeypatch.setattr(latest, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(latest, "LAST_DELAY_S", 0.04)


@pytest.fixture
def open_stream(
    recognizer: Recognizer, camera: FakeCamera, quick_reconnects: None
) -> Iterator[Callable[..., Stream]]:
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
