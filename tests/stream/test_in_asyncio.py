"""A Stream in asyncio: the event loop goes on, no frame is lost, and the thread ends with the stream."""

import asyncio
import gc
import threading

import numpy as np
import pytest
from stream_doubles import PATIENCE_S, FakeCamera
from tiny import frame_with_cells

from fer_edge import Recognizer, Stream

FRAME = frame_with_cells((10, 7), (30, 20))


def _frames(count: int) -> list[tuple[float, np.ndarray]]:
    return [(n / 30, FRAME) for n in range(count)]


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fer_edge-stream"]


def test_async_for(recognizer: Recognizer) -> None:
    async def run() -> tuple[list[int], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        with Stream(recognizer, _frames(20)) as stream:
            indices = [result.index async for result in stream]
        ticking.cancel()
        return indices, ticks

    indices, ticks = asyncio.run(run())
    assert indices == list(range(20))
    # The event loop went on while frames were computed.
    assert ticks > 20


def test_errors_pass_through_async_for(recognizer: Recognizer) -> None:
    async def run() -> None:
        with Stream(recognizer, [FRAME, None]) as stream:
            async for _ in stream:
                pass

    with pytest.raises(TypeError, match="frame 1 of list: frame must be a NumPy array"):
        asyncio.run(run())


def test_close_between_two_frames_ends_async_for(recognizer: Recognizer) -> None:
    async def run() -> list[int]:
        stream, indices = Stream(recognizer, _frames(9)), []
        for _ in range(2):
            async for result in stream:
                indices.append(result.index)
                if result.index == 2:
                    stream.close()
        return indices

    assert asyncio.run(run()) == [0, 1, 2]
    closed = Stream(recognizer, _frames(9))
    closed.close()
    with pytest.raises(StopAsyncIteration):
        asyncio.run(closed.__anext__())


def test_the_frame_of_a_cancelled_call_comes_with_the_next(
    recognizer: Recognizer, camera: FakeCamera
) -> None:
    async def run() -> list[int]:
        with Stream(recognizer, camera.open()) as stream:
            for _ in range(2):
                call = asyncio.ensure_future(stream.__anext__())
                await asyncio.sleep(0)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
            for item in (FRAME, FRAME, None):
                camera.frames.put(item)
            return [result.index async for result in stream]

    assert asyncio.run(run()) == [0, 1]


def test_a_cancelled_call_does_not_outlive_its_event_loop(recognizer: Recognizer, camera: FakeCamera) -> None:
    with Stream(recognizer, camera.open()) as stream:

        async def give_up() -> None:
            await asyncio.wait_for(stream.__anext__(), 0.001)

        with pytest.raises(asyncio.TimeoutError):
            asyncio.run(give_up())
        camera.frames.put(FRAME)
        assert asyncio.run(stream.__anext__()).index == 0
        camera.frames.put(None)


def test_several_tasks_share_the_frames(recognizer: Recognizer) -> None:
    async def run() -> list[int]:
        async def take() -> list[int]:
            return [result.index async for result in stream]

        with Stream(recognizer, _frames(12)) as stream:
            return [index for part in await asyncio.gather(take(), take(), take()) for index in part]

    assert sorted(asyncio.run(run())) == list(range(12))


@pytest.mark.parametrize("closes", [True, False])
def test_the_thread_ends_with_the_stream(recognizer: Recognizer, camera: FakeCamera, closes: bool) -> None:
    before = _threads()
    stream = Stream(recognizer, camera.open())
    camera.frames.put(FRAME)
    asyncio.run(stream.__anext__())
    (thread,) = [thread for thread in _threads() if thread not in before]
    # While it waits for a frame, the process can end.
    assert thread.daemon
    if closes:
        stream.close()
    del stream
    gc.collect()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
