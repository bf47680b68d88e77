"""`close` while calls are running: they finish, the next ones raise, and nothing crashes."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import overload

import numpy as np
import pytest
from tiny import frame_with_cells

from fer_edge import Recognizer
from fer_edge.backends.ort import OrtBackend
from fer_edge.result import Face

MakeRecognizer = Callable[..., Recognizer]
CLOSED = "this Recognizer was closed; make a new one"
# So that a deadlock is a failure.
DEADLOCK_S = 60
CROP = np.full((20, 20), 200, np.uint8)


class Crops(Sequence[np.ndarray]):
    """Three crops, which call a function when the recogniser takes the first of them."""

    def __init__(self, at_first: Callable[[], object]) -> None:
        self._at_first = at_first

    def __len__(self) -> int:
        return 3

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        raise NotImplementedError

    def __iter__(self) -> Iterator[np.ndarray]:
        self._at_first()
        yield from (CROP, CROP, CROP)


def test_close_waits_for_the_call_of_another_thread(recognizer: Recognizer) -> None:
    begun, faces = threading.Event(), []

    def begin() -> None:
        begun.set()
        time.sleep(0.1)

    thread = threading.Thread(target=lambda: faces.extend(recognizer.recognize_crops(Crops(begin))))
    thread.start()
    begun.wait()
    recognizer.close()
    # Not joined yet: the call was complete when close returned.
    assert [face.label for face in faces] == ["happiness"] * 3
    thread.join()


def test_no_call_begins_while_close_waits(recognizer: Recognizer) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def begin() -> None:
        begun.set()
        go_on.wait()

    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(recognizer.recognize_crops, Crops(begin))
        begun.wait()
        closing = pool.submit(recognizer.close)
        with pytest.raises(RuntimeError, match=CLOSED):
            # As long as close has not begun, this works.
            while not closing.done():
                recognizer(CROP)
        assert not closing.done()
        go_on.set()
        assert len(running.result()) == 3
        closing.result()


def test_a_call_goes_on_that_a_signal_handler_interrupts_and_closes(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = []
    close = OrtBackend.close
    monkeypatch.setattr(OrtBackend, "close", lambda network: (released.append(network), close(network)))

    def handler() -> None:
        recognizer.close()
        recognizer.close()
        assert not released
        with pytest.raises(RuntimeError, match=CLOSED):
            recognizer(CROP)
        assert not released

    assert [face.label for face in recognizer.recognize_crops(Crops(handler))] == ["happiness"] * 3
    assert len(released) == 2
    with pytest.raises(RuntimeError, match=CLOSED):
        recognizer.recognize_crops([CROP])


def test_a_handler_that_closes_waits_for_no_call_of_another_thread(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = []
    monkeypatch.setattr(OrtBackend, "close", lambda network: released.append(network))
    # Stands in for what the calls share on a GPU: the interrupted call has it, the other one needs it.
    shared, begun = threading.Lock(), threading.Event()

    def wait_for_it() -> None:
        begun.set()
        assert shared.acquire(timeout=DEADLOCK_S)
        shared.release()

    def handler() -> None:
        with shared:
            other = pool.submit(recognizer.recognize_crops, Crops(wait_for_it))
            begun.wait()
            recognizer.close()
            assert not released
        answers.append(other.result())
        # The interrupted call is the last one.
        assert not released

    answers: list[list[Face]] = []
    with ThreadPoolExecutor(1) as pool:
        answers.append(recognizer.recognize_crops(Crops(handler)))
    assert [[face.label for face in faces] for faces in answers] == [["happiness"] * 3] * 2
    assert len(released) == 2


def test_the_last_call_releases_after_the_one_that_a_handler_closed(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = []
    monkeypatch.setattr(OrtBackend, "close", lambda network: released.append(network))
    begun, go_on = threading.Event(), threading.Event()

    def begin() -> None:
        begun.set()
        go_on.wait(DEADLOCK_S)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(recognizer.recognize_crops, Crops(begin))
        begun.wait()
        recognizer.recognize_crops(Crops(recognizer.close))
        assert not released
        go_on.set()
        assert len(other.result()) == 3
    assert len(released) == 2


def test_a_call_that_is_closed_and_fails_releases_too(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = []
    monkeypatch.setattr(OrtBackend, "close", lambda network: released.append(network))

    def handler() -> None:
        recognizer.close()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recognizer.recognize_crops(Crops(handler))
    assert len(released) == 2


@pytest.mark.parametrize("engine_threads", [1, 2])
def test_eight_threads_and_close_at_any_moment(engine_threads: int, make_recognizer: MakeRecognizer) -> None:
    frame = frame_with_cells((10, 7), (25, 20), (4, 4))
    for number in range(10):
        recognizer = make_recognizer(threads=engine_threads)
        expected = recognizer(frame)
        results: list[list[Face]] = []
        errors: list[str] = []

        def work(recognizer: Recognizer, results: list[list[Face]], errors: list[str]) -> None:
            try:
                while True:
                    results.append(recognizer(frame))
            except RuntimeError as error:
                errors.append(str(error))

        workers = [threading.Thread(target=work, args=(recognizer, results, errors)) for _ in range(8)]
        for worker in workers:
            worker.start()
        time.sleep(0.0015 * number)
        recognizer.close()
        for worker in workers:
            worker.join()
        assert errors == [CLOSED] * 8
        assert all(faces == expected for faces in results)
