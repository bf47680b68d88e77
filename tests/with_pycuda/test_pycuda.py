"""fer_edge.backends.cuda on the real pycuda: each call takes our arguments, and what it made is freed."""

import ctypes
import math
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from libraries import DOUBLE

from fer_edge.backends.cuda.device import Device, DeviceError
from fer_edge.backends.cuda.graph import FUNCTIONS, Graph
from fer_edge.backends.cuda.memory import Block, ThreadSets, Work

pytestmark = pytest.mark.engines
Alive = Callable[[], dict[str, int]]


def test_pycuda_is_the_real_one(library: ctypes.CDLL) -> None:
    import pycuda
    import pycuda._driver as extension

    assert extension.__file__.endswith(".so")
    assert pycuda.VERSION >= (2024, 1)


def test_memory_goes_to_the_gpu_and_back(alive: Alive) -> None:
    device = Device()
    assert device.name == "Double of a GPU"
    assert device.shares_memory is False
    with device.current():
        stream = device.stream()
        address = device.allocate(4 * 6)
        given, got = (device.pinned((2, 3), np.float32) for _ in range(2))
        given[...] = np.arange(6).reshape(2, 3)
        stream.upload(address, given)
        second = device.allocate(4 * 6)
        stream.fill(second, 4 * 6)
        stream.copy(second, address, 4 * 3)
        stream.download(got, second)
        stream.wait_for(stream.mark())
        assert got.tolist() == [[0, 1, 2], [0, 0, 0]]
        stream.synchronize()
        device.free(address)
        device.free_pinned(given)
    assert alive() == {"memory": 1, "pinned": 1, "streams": 1, "events": 1, "contexts": 1}
    device.close()
    device.close()


def test_closing_in_another_thread_frees_everything(alive: Alive) -> None:
    device = Device()

    def use() -> None:
        with device.current():
            device.allocate(100)
            device.pinned(100, np.uint8)
            device.stream().mark()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(use) for _ in range(6)]:
            done.result()
        pool.submit(device.close).result()
        assert pool.submit(alive).result() == {}


def test_a_context_that_the_program_uses_stays_current(alive: Alive) -> None:
    import pycuda.driver

    pycuda.driver.init()
    others = pycuda.driver.Device(0).retain_primary_context()
    others.push()
    device = Device()
    with device.current():
        device.allocate(1)
    assert alive()["current"] == 1
    device.close()
    assert alive() == {"contexts": 1, "current": 1}
    assert pycuda.driver.Context.get_current() == others
    others.pop()
    others.push()
    others.detach()
    popped = ctypes.CDLL("libcuda.so.1").cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
    assert popped == 0


def test_work_without_a_context_is_refused(alive: Alive) -> None:
    device = Device()
    with pytest.raises(DeviceError, match="no currently active context"), device.errors("the GPU failed"):
        device.stream()
    device.close()
    with pytest.raises(RuntimeError, match="memory was freed"), device.current():
        pass


def test_full_memory_is_one_error(alive: Alive, library: ctypes.CDLL) -> None:
    device = Device()
    library.double_limit(ctypes.c_size_t(1000))
    with pytest.raises(DeviceError, match="the GPU failed: its memory is full"), device.current():
        device.allocate(1001)
    library.double_limit(ctypes.c_size_t(-1))
    device.close()


def test_a_gpu_that_does_not_exist(alive: Alive) -> None:
    with pytest.raises(DeviceError, match="GPU 1 cannot be used"):
        Device(1)


@pytest.mark.parametrize("in_place", [False, True])
def test_blocks_grow_and_keep_their_meaning(alive: Alive, in_place: bool) -> None:
    device = Device()
    with device.current():
        stream = device.stream()
        block = Block(device, stream, in_place=in_place)
        for size in (10, 5, 4000, 4000):
            block.reserve(size)
            block.host((size,), np.uint8)[...] = size % 251
            block.upload(size)
            got = device.pinned(size, np.uint8)
            stream.download(got, block.address)
            stream.synchronize()
            assert (got == size % 251).all()
    device.close()


def test_each_thread_has_its_work(alive: Alive) -> None:
    device = Device()
    with device.current():
        stream = device.stream()
    works = ThreadSets(lambda: Work(device, stream))
    seen = []

    def use() -> None:
        with device.current():
            works.mine().input.reserve((2, 1, 4, 4))
            works.mine().input.host.fill(1)
            works.mine().answers(64)
        seen.append(works.mine())

    for _ in range(4):
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    use()
    # Each thread has ended before the next begins.
    assert len({id(work) for work in seen}) == 1
    assert alive()["memory"] == 1
    device.close()


def test_a_graph_replays_its_copies(alive: Alive) -> None:
    device = Device()
    with device.current():
        stream = device.stream()
        given, got = (device.pinned(4, np.float32) for _ in range(2))
        address = device.allocate(given.nbytes)

        def work() -> None:
            stream.upload(address, given)
            stream.download(got, address)

        work()
        stream.synchronize()
        graph = Graph(stream, work)
        for value in (math.pi, 2.0):
            given.fill(value)
            graph.launch(stream)
            stream.synchronize()
            assert (got == np.float32(value)).all()
        graph.close()
        graph.close()

        def fails() -> None:
            stream.synchronize()

        with pytest.raises(DeviceError, match="CUDA_ERROR"), device.errors("the GPU failed"):
            Graph(stream, fails)
        # The stream is usable again.
        work()
        stream.synchronize()
    assert "graphs" not in alive()
    device.close()


def test_the_functions_of_graphs_are_in_the_double(library: ctypes.CDLL) -> None:
    # And libraries.py takes into the double only what cuda.h declares.
    others = ("cuGetErrorName", "cuCtxPopCurrent_v2", "cuCtxPushCurrent_v2", "cuStreamSynchronize")
    for name in (*FUNCTIONS, *others):
        assert re.search(rf"^int {name}\(", DOUBLE.read_text(), re.MULTILINE)
        assert hasattr(library, name)
