"""Checks of the settings of a Recognizer that no stage checks itself."""

import numpy as np

# A smaller face would need more than fourfold enlargement (see scales.NETWORK_FACE_PX), which only finds
# compression noise.
MIN_MIN_FACE_PX = 4


def _check(is_valid: bool, expected: str, got: object) -> None:
    if not is_valid:
        raise ValueError(f"{expected}, got {got!r}")


def check_settings(
    threads: int | None,
    min_face: float | None,
    threshold: float | None,
    max_faces: int,
    min_face_share: float,
) -> None:
    """Raises ValueError with the name, the expected and the given value of a setting outside its range."""
    whole, number = (int, np.integer), (int, float, np.integer, np.floating)
    _check(
        threads is None or (isinstance(threads, whole) and threads >= 1),
        "threads must be None or a whole number of at least 1",
        threads,
    )
    smallest = f"min_face must be None or at least {MIN_MIN_FACE_PX} px"
    _check(
        min_face is None or (isinstance(min_face, number) and MIN_MIN_FACE_PX <= min_face < float("inf")),
        smallest,
        min_face,
    )
    _check(
        threshold is None or (isinstance(threshold, number) and 0 < threshold < 1),
        "threshold must be None or between 0 and 1",
        threshold,
    )
    _check(
        isinstance(max_faces, whole) and max_faces >= 1,
        "max_faces must be a whole number of at least 1",
        max_faces,
    )
    _check(
        isinstance(min_face_share, number) and 0 < min_face_share <= 1,
        "min_face_share must be above 0 and at most 1",
        min_face_share,
    )
