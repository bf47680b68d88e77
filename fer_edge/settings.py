"""Checks of the settings of a Recognizer that no stage checks itself."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fer_edge.backends.networks import BACKENDS, BUILDS, ON_GPU

# A smaller face would need more than fourfold enlargement (see scales.NETWORK_FACE_PX), which only finds
# compression noise.
MIN_MIN_FACE_PX = 4
# More than any processor has; engines take numbers that no machine can start.
MAX_THREADS = 1024


def check_settings(settings: Mapping[str, Any]) -> None:
    """Checks each setting by its name; the models and the limits of abstention are checked elsewhere.

    Raises:
        ValueError: a setting is outside its range; the message has its name, the range and the value.
        TypeError: `engines` is no path, or `fallback` no bool.
    """
    _check_numbers(settings)
    for name, choices in (("backend", tuple(BACKENDS)), ("build", BUILDS)):
        value = settings[name]
        is_choice = isinstance(value, str) and value in choices
        _check(is_choice, f"{name} must be one of {', '.join(choices)}", value)
    engines, backend = settings["engines"], settings["backend"]
    if engines is not None:
        if not isinstance(engines, str | os.PathLike):
            raise TypeError(f"engines must be None or the path of a folder, got {engines!r}")
        _check(os.fspath(engines) != "", "engines must be None or the path of a folder", engines)
        is_used = backend in (*ON_GPU, "auto")
        _check(is_used, f"engines must be None with backend={backend!r}", os.fspath(engines))
    if not isinstance(settings["fallback"], bool | np.bool_):
        raise TypeError(f"fallback must be True or False, got {settings['fallback']!r}")


def _check_numbers(settings: Mapping[str, Any]) -> None:
    threads, min_face, threshold = settings["threads"], settings["min_face"], settings["threshold"]
    max_faces, min_face_share = settings["max_faces"], settings["min_face_share"]
    _check(
        threads is None or (_is_whole(threads) and 1 <= threads <= MAX_THREADS),
        f"threads must be None or a whole number from 1 to {MAX_THREADS}",
        threads,
    )
    _check(
        min_face is None or (_is_number(min_face) and MIN_MIN_FACE_PX <= min_face < float("inf")),
        f"min_face must be None or at least {MIN_MIN_FACE_PX} px",
        min_face,
    )
    _check(
        threshold is None or (_is_number(threshold) and 0 < threshold < 1),
        "threshold must be None or between 0 and 1",
        threshold,
    )
    _check(
        _is_whole(max_faces) and max_faces >= 1,
        "max_faces must be a whole number of at least 1",
        max_faces,
    )
    _check(
        _is_number(min_face_share) and 0 < min_face_share <= 1,
        "min_face_share must be a number above 0 and at most 1",
        min_face_share,
    )


def _is_whole(value: object) -> bool:
    # For Python, True is a whole number.
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or isinstance(value, float | np.floating)


def _check(is_valid: bool, expected: str, got: object) -> None:
    if not is_valid:
        raise ValueError(f"{expected}, got {got!r}")
