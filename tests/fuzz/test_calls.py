"""Random frames and crops: each call gives a normal result or a documented exception, the same every time.

`fer_edge` documents TypeError and ValueError for arrays that are not pictures.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fer_edge import Recognizer
from fer_edge.result import Face

COUNT = 2000
SIDES = (0, 1, 2, 3, 5, 16, 17, 31, 64, 97)
OTHERS = (
    "int8",
    "uint16",
    "int64",
    "float16",
    "float32",
    "float64",
    "bool",
    "complex64",
    "object",
    "U1",
    ">u2",
)
LAYOUTS = (None, "bgr", "grey", "nv12", "rgb", "", 3)


def _array(rng: random.Random, channels: int | None) -> np.ndarray:
    """Mostly what was asked for; else another shape or dtype."""
    shape = [rng.choice(SIDES), rng.choice(SIDES)] + [channels] * (channels is not None)
    if rng.random() < 0.2:
        shape = [rng.choice((*SIDES, 4)) for _ in range(rng.randrange(5))]
    noise = np.random.default_rng(rng.randrange(1 << 30))
    dtype = np.dtype("uint8" if rng.random() < 0.85 else rng.choice(OTHERS))
    array = noise.integers(0, 256, shape).astype(dtype)
    if array.dtype.kind == "f" and array.size and rng.random() < 0.5:
        array.flat[0] = rng.choice((np.nan, np.inf, -1, 0.5))
    return array


def _in_other_memory(rng: random.Random, array: np.ndarray) -> np.ndarray:
    """The same values in memory of another order, with gaps, mirrored, read-only, or shared by all rows."""
    kind = rng.randrange(8)
    if kind == 0:
        return np.asfortranarray(array)
    if kind == 1 and array.ndim:
        return np.repeat(array, 2, axis=rng.randrange(array.ndim))[::2][: len(array)]
    if kind == 2 and array.ndim:
        return np.flip(array, axis=rng.randrange(array.ndim))
    if kind == 3 and array.ndim > 1:
        return array.swapaxes(0, 1)
    if kind == 4:
        array.flags.writeable = False
    if kind == 5 and array.size and array.ndim and array.dtype != object:
        return np.broadcast_to(array[:1], array.shape)
    if kind == 6 and array.size and array.ndim and array.dtype != object:
        # One byte off, as a view into a message.
        block = np.zeros(array.nbytes + 1, np.uint8)
        block[1:] = np.frombuffer(array.tobytes(), np.uint8)
        return block[1:].view(array.dtype).reshape(array.shape)
    return array


def _picture(rng: random.Random, channels: int | None) -> Any:
    if rng.random() < 0.02:
        return rng.choice((None, 3, "picture.jpg", b"\xff\xd8", [[1, 2], [3, 4]], object()))
    return _in_other_memory(rng, _array(rng, channels))


def _call_nv12(recognizer: Recognizer, rng: random.Random) -> list[Face]:
    frame = _picture(rng, None)
    if isinstance(frame, np.ndarray) and frame.ndim == 2 and rng.random() < 0.7:
        frame = frame[: len(frame) // 3 * 3, : frame.shape[1] // 2 * 2]
    return recognizer(frame, layout="nv12")


def _call_any(recognizer: Recognizer, rng: random.Random) -> list[Face]:
    layout: Any = None if rng.random() < 0.8 else rng.choice(LAYOUTS)
    return recognizer(_picture(rng, rng.choice((3, 3, 3, None, 1, 4))), layout=layout)


def _call_crops(recognizer: Recognizer, rng: random.Random) -> list[Face]:
    crops: Any = [_picture(rng, rng.choice((3, None))) for _ in range(rng.randrange(4))]
    landmarks: Any = None
    if rng.random() < 0.3:
        scale = rng.choice((1, 50, 1e7, 1e30, 1e300, np.inf))
        landmarks = scale * np.random.default_rng(rng.randrange(99)).normal(size=(len(crops), 5, 2))
    if rng.random() < 0.05:
        landmarks = rng.choice(
            ("none", [[1, 2]], np.zeros((9, 5, 2)), np.full((len(crops), 5, 2), "a"), [[], [1]])
        )
    if rng.random() < 0.05:
        crops = rng.choice(
            (None, 5, "abc", np.zeros((4, 4)), np.zeros((2, 8, 8, 3), np.uint8), {"a": 1}, b"ab")
        )
    faces = recognizer.recognize_crops(crops, landmarks)
    assert len(faces) == len(crops)
    return faces


def _same(a: list[Face], b: list[Face]) -> bool:
    return repr(a) == repr(b)


@pytest.mark.parametrize("call", [_call_nv12, _call_any, _call_crops])
def test_random_calls(
    call: Callable[[Recognizer, random.Random], list[Face]], make_recognizer: Callable[..., Recognizer]
) -> None:
    recognizer, outcomes = make_recognizer(threshold=0.01, max_faces=5), Counter[str]()
    for number in range(COUNT):
        try:
            faces = call(recognizer, random.Random(number))
        except (TypeError, ValueError) as error:
            outcomes[type(error).__name__] += 1
            # The message names what is wrong and is not an accident of a library.
            assert str(error).startswith(("frame", "crops", "layout", "an NV12 frame", "landmarks")), number
            continue
        outcomes["found" if faces else "none"] += 1
        for face in faces:
            numbers = (*face.box, face.confidence, *face.probabilities.values(), *np.ravel(face.landmarks))
            assert np.isfinite(numbers).all(), number
        if number % 10 == 0:
            assert _same(faces, call(recognizer, random.Random(number)))
    assert all(outcomes[kind] > COUNT // 50 for kind in ("TypeError", "ValueError", "found", "none")), (
        outcomes
    )
