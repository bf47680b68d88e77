"""Clocks and cameras for the tests of streams."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stream_doubles import LABELS, FakeCamera, FakeClock

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
