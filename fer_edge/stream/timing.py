"""Milliseconds by stage."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the time of each stage of one frame.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Measures what runs inside the `with` block."""
        start = self._clock()
        yield
        spent = (self._clock() - start) * 1e3
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + spent
