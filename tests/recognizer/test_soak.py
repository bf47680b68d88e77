"""A short soak test: memory does not grow with frames of changing size. `make soak` is the long one."""

import mmap
from collections.abc import Callable

import numpy as np
import pytest
from tiny import frame_with_cells

from benchmarks.soak import GROWTH_MB, resident_mb, soak
from fer_edge import Recognizer


@pytest.mark.slow
def test_memory_stays_flat(make_recognizer: Callable[..., Recognizer]) -> None:
    shapes = [(256, 320), (480, 640), (120, 333), (720, 1280), (64, 48)]
    frames = [np.repeat(frame_with_cells((3, 3), width=w, height=h)[..., None], 3, axis=2) for h, w in shapes]
    assert soak(make_recognizer(), frames, 1500) < GROWTH_MB


def test_a_leak_is_detected(make_recognizer: Callable[..., Recognizer]) -> None:
    kept: list[mmap.mmap] = []

    class Leaking:
        """Keeps 300 kB per frame in new pages, because the heap has free space from earlier tests."""

        def __call__(self, frame: np.ndarray) -> list[object]:
            kept.append(mmap.mmap(-1, 300_000))
            kept[-1].write(bytes(range(250)) * 1200)
            return []

    assert resident_mb() > 10
    assert soak(Leaking(), [np.zeros((1, 1), np.uint8)], 200) > GROWTH_MB
