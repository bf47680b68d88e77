"""The scales of the passes over one frame."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_edge.detection.scales import MIN_FACE_SHARE, NETWORK_FACE_PX, scales_from_frame, smallest_face_px

SIDES = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("long_px", "min_face", "expected"),
    [
        (640, None, [0.5, 0.2]),
        (1920, None, [320 / 1920, 128 / 1920]),
        (100, None, [2.0, 1.28]),
        (64, None, [2.0]),
        (1, None, [2.0]),
        (640, 16, [1.0, 0.2]),
        (1280, 16, [1.0, 1 / 6, 0.1]),
        (640, 200, [192 / 640, 0.2]),
        (140, 200, [1.0]),
        (100, 4, [4.0, 1.28]),
        (2560, 16, [1.0, 1 / 6, 0.05]),
        # min_face holds for frames of any size.
        (12000, 24, [2 / 3, 1 / 9, 1 / 54, 128 / 12000]),
        (10000, 4, [4.0, 4 / 6, 4 / 36, 4 / 216, 0.0128]),
        # With a network input of 144 px one pass suffices, with 145 px it does not.
        (144, 16, [1.0]),
        (145, 16, [1.0, 128 / 145]),
        (160, None, [2.0, 0.8]),
        (161, None, [320 / 161, 128 / 161]),
    ],
)
def test_scales(long_px: int, min_face: float | None, expected: list[float]) -> None:
    assert scales_from_frame(long_px, min_face) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("long_px", "min_face", "share", "expected"),
    [
        (640, None, MIN_FACE_SHARE, 32),
        (1920, None, MIN_FACE_SHARE, 96),
        (100, None, MIN_FACE_SHARE, 8),
        (12000, 24, MIN_FACE_SHARE, 24),
        (640, 200, MIN_FACE_SHARE, 53.33),
        (640, 8, MIN_FACE_SHARE, 8),
        # A finer search does not enlarge a frame of 320 px and more.
        (4000, None, 1 / 80, 50),
        (1280, None, 1 / 80, 16),
        (640, None, 1 / 80, 16),
        (320, None, 1 / 80, 16),
        (160, None, 1 / 80, 8),
        (200, None, 1 / 80, 10),
        (100, None, 1 / 80, 8),
        # A coarser search has an input of at least 192 px.
        (4000, None, 1 / 10, 4000 / 12),
        (4000, None, 1 / 15, 4000 / 15),
        (100, 24, 1 / 80, 16),
    ],
)
def test_the_smallest_face(long_px: int, min_face: float | None, share: float, expected: float) -> None:
    assert smallest_face_px(long_px, min_face, share) == pytest.approx(expected, abs=0.01)


@given(SIDES, st.one_of(st.none(), st.floats(4, 6000)), st.floats(0.005, 1))
def test_the_passes_leave_no_gap(long_px: int, min_face: float | None, share: float) -> None:
    scales = scales_from_frame(long_px, min_face, share)
    smallest, largest = NETWORK_FACE_PX
    for finer, coarser in pairwise(scales):
        assert coarser < finer
        assert smallest / coarser < largest / finer
    # A face that fills the frame is within the range of the last pass.
    assert scales[-1] * long_px <= largest
