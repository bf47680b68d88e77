"""One recogniser in many threads: each thread gets the same results as one thread alone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tiny import frame_with_cells

from fer_edge import Recognizer
from fer_edge.result import Face


def test_eight_threads_give_the_results_of_one(make_recognizer: Callable[..., Recognizer]) -> None:
    recognizer = make_recognizer()
    rng = np.random.default_rng(11)
    frames = []
    for number in range(64):
        # Sizes, layouts and numbers of faces differ, so that mixed-up buffers change the result.
        cells = {(2 + 5 * int(c), 2 + 5 * int(r)) for c, r in rng.integers(0, (7, 5), (number % 7, 2))}
        frame = frame_with_cells(*cells, height=192 + 8 * (number % 9))
        frame = np.maximum(frame, np.uint8(number))
        frames.append(np.repeat(frame[..., None], 3, axis=2) if number % 2 else frame)
    alone = [recognizer(frame) for frame in frames]
    assert len({len(faces) for faces in alone}) > 4
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(recognizer, frames)) == alone


def test_eight_threads_on_crops(make_recognizer: Callable[..., Recognizer]) -> None:
    recognizer = make_recognizer()
    batches = [[np.full((20 + n, 30), (17 * n + k) % 256, np.uint8) for k in range(n % 5)] for n in range(40)]
    alone: list[list[Face]] = [recognizer.recognize_crops(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(recognizer.recognize_crops, batches)) == alone
