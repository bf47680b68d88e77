"""Threads that share a Recognizer on a GPU that is a double: their results, and the memory they leave."""

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from driver_double import Driver
from test_recognizer_on_gpu import frame_with_faces

from fer_edge import Recognizer

Make = Callable[..., Recognizer]


def test_threads_have_the_results_of_one(on_gpu: Make, make_recognizer: Make) -> None:
    gpu, cpu = on_gpu(), make_recognizer()
    frames = [np.roll(frame_with_faces(n), n, axis=1) for n in range(1, 9)]
    expected = [cpu(frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(gpu, frames)) == expected


def test_threads_that_ended_leave_their_memory_to_new_ones(on_gpu: Make, driver: Driver) -> None:
    gpu, frame = on_gpu(), frame_with_faces(2)

    def in_a_thread() -> None:
        thread = threading.Thread(target=gpu, args=(frame,))
        thread.start()
        thread.join()

    in_a_thread()
    in_a_thread()
    alive = driver.alive
    for _ in range(5):
        in_a_thread()
    assert driver.alive == alive


def test_a_thread_that_python_did_not_start_leaves_its_memory_too(on_gpu: Make, driver: Driver) -> None:
    gpu, frame, library = on_gpu(), frame_with_faces(2), ctypes.CDLL(None)
    found: list[int] = []

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def run(_: object) -> None:
        found.append(len(gpu(frame)))

    def in_a_thread() -> None:
        thread = ctypes.c_ulong()
        assert library.pthread_create(ctypes.byref(thread), None, run, None) == 0
        library.pthread_join(thread, None)

    in_a_thread()
    in_a_thread()
    alive = driver.alive
    for _ in range(5):
        in_a_thread()
    assert found == [2] * 7
    assert driver.alive == alive
