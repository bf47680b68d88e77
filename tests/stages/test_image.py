"""Frames of every layout become the correct luma plane; anything else raises an error with the fix."""

from typing import Any

import numpy as np
import pytest

from fer_edge import ops
from fer_edge.stages.image import checked_landmarks, layout_of_frame, luma_from_frame, planes_from_crops

RNG = np.random.default_rng(3)
BGR = RNG.integers(0, 256, (6, 8, 3), np.uint8)
GREY = RNG.integers(0, 256, (6, 8), np.uint8)


def _luma(frame: np.ndarray, layout: Any = None) -> np.ndarray:
    return luma_from_frame(frame, layout_of_frame(frame, layout))


def test_bgr_is_reduced_into_the_buffer_it_is_given() -> None:
    out = np.empty((6, 8), np.uint8)
    assert luma_from_frame(BGR, "bgr", out) is out
    np.testing.assert_array_equal(out, ops.luma_from_bgr(BGR))


@pytest.mark.parametrize(
    "frame", [BGR[::-1], BGR[:, ::-1], BGR[..., ::-1], BGR[::2, 1:7], np.asfortranarray(BGR)]
)
def test_bgr_views_of_any_stride(frame: np.ndarray) -> None:
    np.testing.assert_array_equal(_luma(frame), ops.luma_from_bgr(np.ascontiguousarray(frame)))


def test_grey_is_a_view() -> None:
    assert np.shares_memory(_luma(GREY), GREY)
    assert np.shares_memory(_luma(GREY[:, 2:7]), GREY)


@pytest.mark.parametrize("frame", [GREY[::-1], GREY[:, ::-1], GREY[:, ::2], GREY.T, GREY[:, :1]])
def test_grey_views_of_any_stride(frame: np.ndarray) -> None:
    plane = _luma(frame)
    np.testing.assert_array_equal(plane, frame)
    assert plane.strides[1] == 1
    assert plane.strides[0] > 0


def test_nv12_is_a_view_of_the_upper_two_thirds() -> None:
    plane = _luma(GREY, "nv12")
    assert np.shares_memory(plane, GREY)
    np.testing.assert_array_equal(plane, GREY[:4])


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (
            None,
            TypeError,
            "frame must be a NumPy array.*got None; cv2.imread and VideoCapture.read give None",
        ),
        ([[1, 2]], TypeError, "got list"),
        (BGR.astype(np.float32) / 255, TypeError, r"got float32 \[6, 8, 3\]; multiply by 255 and cast"),
        (BGR.astype(np.float64), TypeError, r"got float64 \[6, 8, 3\]; cast with .astype"),
        (np.full((4, 4), np.nan, np.float32), TypeError, r"float32 \[4, 4\]; it holds NaN or infinity"),
        (GREY.astype(np.uint16), TypeError, r"uint16 \[6, 8\]; take the upper byte"),
        (GREY.astype(bool), TypeError, r"got bool \[6, 8\]; cast"),
        (np.empty((0, 640, 3), np.uint8), ValueError, r"frame is empty: got uint8 \[0, 640, 3\]"),
        (np.empty((480, 0), np.uint8), ValueError, r"frame is empty: got uint8 \[480, 0\]"),
        (
            np.zeros((4, 4, 4), np.uint8),
            ValueError,
            r"got uint8 \[4, 4, 4\]; drop the alpha with \[..., :3\]",
        ),
        (np.zeros((4, 4, 1), np.uint8), ValueError, r"got uint8 \[4, 4, 1\]; drop the last axis"),
        (np.zeros((3, 4, 5), np.uint8), ValueError, r"got uint8 \[3, 4, 5\]"),
        (np.zeros(12, np.uint8), ValueError, r"got uint8 \[12\]"),
        (np.empty((2**20 + 1, 1, 3), np.uint8), ValueError, "frame must be at most 1048576 pixels a side"),
        (np.zeros((1, 4, 4, 3), np.uint8), ValueError, r"got uint8 \[1, 4, 4, 3\]"),
    ],
)
def test_other_objects_than_frames_are_rejected(frame: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        layout_of_frame(frame, None)


@pytest.mark.parametrize(
    ("frame", "layout", "message"),
    [
        (GREY, "rgb", "layout must be one of bgr, grey, nv12 or None, got 'rgb'"),
        (BGR, "grey", r"layout is 'grey', but the frame is uint8 \[6, 8, 3\]"),
        (GREY, "bgr", r"layout is 'bgr', but the frame is uint8 \[6, 8\]"),
        (BGR, "nv12", "an NV12 frame must be"),
        (GREY[:5], "nv12", r"an NV12 frame must be .* got uint8 \[5, 8\]"),
        (GREY[:, :7], "nv12", "even H and W"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(frame: np.ndarray, layout: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layout_of_frame(frame, layout)


def test_crops_of_both_kinds_and_any_size() -> None:
    planes = planes_from_crops([BGR, GREY, GREY[:1, :1]])
    np.testing.assert_array_equal(planes[0], ops.luma_from_bgr(BGR))
    assert [plane.shape for plane in planes] == [(6, 8), (6, 8), (1, 1)]
    assert len(planes_from_crops(np.stack([GREY, GREY]))) == 2
    assert len(planes_from_crops(np.stack([BGR, BGR]))) == 2


@pytest.mark.parametrize(
    ("crops", "error", "message"),
    [
        (BGR, ValueError, r"crops must be a sequence.*got one array uint8 \[6, 8, 3\]; wrap it in a list"),
        (GREY, ValueError, r"got one array uint8 \[6, 8\]; wrap it in a list"),
        ([GREY, np.full((4, 4), np.nan)], TypeError, r"crops\[1\] must be .* float64 \[4, 4\]; it holds NaN"),
        ([GREY, GREY, None], TypeError, r"crops\[2\] must be a NumPy array"),
        ([np.empty((0, 4), np.uint8)], ValueError, r"crops\[0\] is empty"),
        (
            [GREY, np.empty((1, 2**20 + 1), np.uint8)],
            ValueError,
            r"crops\[1\] must be at most 1048576 pixels",
        ),
    ],
)
def test_bad_crops_are_named(crops: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        planes_from_crops(crops)


@pytest.mark.parametrize(("frame", "layout"), [(GREY, "grey"), (BGR, "bgr"), (GREY[:1, :1], "grey")])
def test_the_layout_follows_from_the_shape_or_is_given(frame: np.ndarray, layout: Any) -> None:
    assert layout_of_frame(frame, None) == layout_of_frame(frame, layout) == layout


@pytest.mark.parametrize("height", [4, 5, 7, 8])
def test_nv12_has_three_rows_for_two(height: int) -> None:
    with pytest.raises(ValueError, match="an NV12 frame must be"):
        layout_of_frame(np.zeros((height, 8), np.uint8), "nv12")
    assert layout_of_frame(np.zeros((3 * height, 8), np.uint8), "nv12") == "nv12"


def test_one_column_is_a_view_too() -> None:
    column = np.zeros((5, 1), np.uint8)
    assert np.shares_memory(_luma(column), column)


@pytest.mark.parametrize("crops", [None, 3, {"a": GREY}, iter([GREY])])
def test_other_objects_than_sequences_of_crops(crops: Any) -> None:
    with pytest.raises(TypeError, match=rf"^crops must be a sequence of .*, got {type(crops).__name__}$"):
        planes_from_crops(crops)


def test_crops_in_one_array_may_be_three_pixels_wide() -> None:
    assert [plane.shape for plane in planes_from_crops(np.zeros((2, 4, 3, 3), np.uint8))] == [(4, 3)] * 2
    assert [plane.shape for plane in planes_from_crops(np.zeros((2, 4, 5), np.uint8))] == [(4, 5)] * 2


def test_one_landmark_that_is_not_finite_is_enough() -> None:
    points = np.zeros((2, 5, 2))
    for kind in (np.float32, np.int64, np.uint8):
        assert checked_landmarks(points.astype(kind), 2).dtype == np.float32
    for value in (np.nan, np.inf, 2.0**24, -1e300):
        points[1, 4, 1] = value
        with pytest.raises(ValueError, match="got NaN or infinity"):
            checked_landmarks(points, 2)
    with pytest.raises(ValueError, match="more than 2"):
        checked_landmarks(np.full((2, 5, 2), -(2**63)), 2)
    with pytest.raises(TypeError, match="landmarks must be finite numbers"):
        checked_landmarks(np.zeros((2, 5, 2), bool), 2)


@pytest.mark.parametrize(
    ("frame", "end"),
    [
        (None, "got None; cv2.imread and VideoCapture.read give None when they fail"),
        ([], "got list"),
        (np.zeros(3, np.uint8), "got uint8 [3]"),
        (np.zeros((2, 2, 2), np.uint8), "got uint8 [2, 2, 2]"),
        (np.zeros((2, 2, 4), np.uint8), "got uint8 [2, 2, 4]; drop the alpha with [..., :3]"),
        (np.zeros((2, 2, 1), np.uint8), "got uint8 [2, 2, 1]; drop the last axis with [..., 0]"),
        (np.zeros((2, 2, 2, 4), np.uint8), "got uint8 [2, 2, 2, 4]"),
        (np.full((2, 2), 1.0), "got float64 [2, 2]; multiply by 255 and cast"),
        (np.full((2, 2), 1.5), "got float64 [2, 2]; cast with .astype(numpy.uint8)"),
        (np.empty((0, 2)), "got float64 [0, 2]; cast with .astype(numpy.uint8)"),
        (
            np.array([[1.0, np.inf]]),
            "got float64 [1, 2]; it holds NaN or infinity; check where it comes from",
        ),
        (np.zeros((2, 2), np.uint16), "take the upper byte: (frame >> 8).astype(numpy.uint8)"),
        (np.zeros((2, 2), np.int32), "got int32 [2, 2]; cast with .astype(numpy.uint8)"),
    ],
)
def test_how_the_messages_end(frame: Any, end: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        layout_of_frame(frame, None)
    assert str(caught.value).endswith(end)
