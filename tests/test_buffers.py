"""Memory is reused by the calls of one thread and never shared by two threads."""

import threading
import weakref

import numpy as np
import pytest

from fer_edge.buffers import ThreadBuffer


@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 2, 1), (0, 4)])
def test_memory_that_is_large_enough_is_reused(shape: tuple[int, ...]) -> None:
    buffer = ThreadBuffer(np.uint8)
    first = buffer.reserve((2, 3))
    again = buffer.reserve(shape)
    assert (again.shape, again.dtype, again.flags.c_contiguous) == (shape, np.uint8, True)
    assert np.shares_memory(first, again) == (again.size > 0)
    assert again.__array_interface__["data"][0] == first.__array_interface__["data"][0]


def test_a_larger_array_gets_new_memory_that_is_kept() -> None:
    buffer = ThreadBuffer(np.float32)
    small, large = buffer.reserve((3,)), buffer.reserve((4,))
    assert not np.shares_memory(small, large)
    assert np.shares_memory(large, buffer.reserve((1,)))


def test_reserved_is_the_last_one_of_the_same_thread() -> None:
    buffer = ThreadBuffer(np.float32)
    mine = buffer.reserve((4,))
    others: list[np.ndarray] = []

    def other() -> None:
        others.append(buffer.reserve((2,)))
        assert buffer.reserved() is others[0]

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert buffer.reserved() is mine
    assert len(others) == 1
    assert not np.shares_memory(mine, others[0])


def test_free_gives_the_memory_of_every_thread_back() -> None:
    buffer = ThreadBuffer(np.uint8)
    kept = weakref.ref(buffer.reserve((3,)))
    others: list[weakref.ref] = []
    is_freed = threading.Event()

    def other() -> None:
        others.append(weakref.ref(buffer.reserve((2,))))
        is_reserved.set()
        is_freed.wait(10)

    is_reserved = threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    assert is_reserved.wait(10)
    buffer.free()
    assert kept() is others[0]() is None
    is_freed.set()
    thread.join()
    assert buffer.reserve((1,)).shape == (1,)
