"""Detection metrics on detections made by hand."""

import numpy as np
import pytest

from fer_edge.result import Detections
from training.detector.metrics import DetectionCounts

BOXES = np.array([[10, 10, 50, 50], [100, 100, 114, 114]], np.float32)
POINTS = np.zeros((2, 5, 2), np.float32)
POINTS[:, 1, 0] = 20
NONE = np.zeros((0, 4), np.float32)


def found(*rows: tuple[float, ...]) -> Detections:
    data = np.array(rows, np.float32).reshape(-1, 5)
    points = np.repeat(POINTS[:1], len(data), 0) + 2
    return Detections(data[:, :4], points, data[:, 4])


def test_hits_misses_and_alarms():
    counts = DetectionCounts()
    counts.add_picture(
        found((12, 10, 52, 50, 0.9), (300, 300, 340, 340, 0.6)), BOXES, POINTS, NONE, empty=False
    )
    result = counts.metrics_at(0.5)
    assert result["recall_32_64"] == 1
    assert result["recall_10_16"] == 0
    assert result["precision"] == 0.5
    assert result["landmark_error_median"] == pytest.approx(np.hypot(2, 2) / 20)
    assert counts.metrics_at(0.7)["precision"] == 1
    assert counts.metrics_at(0.95)["recall_32_64"] == 0


def test_landmark_errors_are_of_the_faces_that_reach_the_threshold():
    counts, points = DetectionCounts(), POINTS.copy()
    points[1] += (90, 0)
    counts.add_picture(
        found((10, 10, 50, 50, 0.9), (100, 100, 114, 114, 0.4)), BOXES, points, NONE, empty=False
    )
    near, far = np.hypot(2, 2) / 20, np.hypot(88, 2) / 20
    assert counts.metrics_at(0.5)["landmark_error_median"] == pytest.approx(near)
    assert counts.metrics_at(0.3)["landmark_error_median"] == pytest.approx((near + far) / 2)
    assert np.isnan(counts.metrics_at(0.95)["landmark_error_median"])


def test_a_second_box_on_a_face_is_an_alarm():
    counts = DetectionCounts()
    counts.add_picture(
        found((10, 10, 50, 50, 0.9), (11, 11, 51, 51, 0.8)), BOXES[:1], POINTS[:1], NONE, empty=False
    )
    assert counts.metrics_at(0.5)["precision"] == 0.5


def test_ignored_regions_count_for_nothing():
    counts = DetectionCounts()
    counts.add_picture(
        found((200, 200, 240, 240, 0.9)),
        NONE,
        POINTS[:0],
        np.array([[195, 195, 250, 250]], np.float32),
        False,
    )
    assert counts.false_positives == []


def test_alarms_in_pictures_without_a_face():
    counts = DetectionCounts()
    counts.add_picture(found((0, 0, 30, 30, 0.8)), NONE, POINTS[:0], NONE, empty=True)
    counts.add_picture(found(), NONE, POINTS[:0], NONE, empty=True)
    assert counts.metrics_at(0.5)["false_positives_per_empty_picture"] == 0.5
    assert counts.metrics_at(0.9)["false_positives_per_empty_picture"] == 0
