"""A detector's differences: scores of faces that both files find, and faces that only one finds."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import skimage
from onnx import numpy_helper

from export.certificates.networks import OnnxNetwork
from export.certificates.photographs import photographs_from_pictures
from export.certificates.pictures import pictures_from_folder
from fer_edge import models
from fer_edge.models import ModelError

DETECTOR = models.WEIGHTS / "face-luma.onnx"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("photos")
    cv2.imwrite(str(folder / "astronaut.png"), skimage.data.astronaut()[..., ::-1])
    cv2.imwrite(str(folder / "coffee.png"), skimage.data.coffee()[..., ::-1])
    return photographs_from_pictures(folder, list, models.read(DETECTOR).spec)


def shifted(logit: float, **biases: float) -> OnnxNetwork:
    """The embedded detector with other biases: of its scores, and of any output by its number, as `b5`."""
    proto = onnx.load(DETECTOR)
    for weight in proto.graph.initializer:
        if weight.name.startswith("head.") and weight.name.endswith(".bias"):
            bias = numpy_helper.to_array(weight).copy()
            bias[0] += logit
            for output, change in biases.items():
                bias[int(output[1:])] += change
            weight.CopyFrom(numpy_helper.from_array(bias, weight.name))
    return OnnxNetwork(proto.SerializeToString())


def test_a_file_beside_itself_differs_in_nothing(photographs):
    measured = photographs.differences(shifted(0), shifted(0))
    assert measured.pictures == 2
    assert measured.largest_difference == measured.mean_difference == measured.changed_labels == 0
    assert measured.mean_box_distance == measured.mean_landmark_distance == 0
    assert measured.accuracy_before is None


def test_a_moved_landmark_is_measured_in_sides_of_the_box(photographs):
    (found,) = [d for d in photographs.results(shifted(0)) if len(d)]
    (moved,) = [d for d in photographs.results(shifted(0, b5=1.0)) if len(d)]
    steps = np.abs(moved.landmarks - found.landmarks)
    assert steps[0, 0, 0] > 1
    assert np.count_nonzero(steps > 1e-3) == 1
    measured = photographs.differences(shifted(0), shifted(0, b5=1.0))
    side = (found.boxes[0, 2:] - found.boxes[0, :2]).max()
    assert measured.mean_landmark_distance == pytest.approx(steps[0, 0, 0] / side, rel=1e-5)
    assert (measured.mean_box_distance, measured.changed_labels) == (0, 0)


def test_a_moved_side_is_measured_in_sides_of_the_box(photographs):
    (found,) = [d for d in photographs.results(shifted(0)) if len(d)]
    (moved,) = [d for d in photographs.results(shifted(0, b1=0.1)) if len(d)]
    step = np.abs(moved.boxes - found.boxes).max()
    assert step > 0.1
    measured = photographs.differences(shifted(0), shifted(0, b1=0.1))
    side = (found.boxes[0, 2:] - found.boxes[0, :2]).max()
    assert measured.mean_box_distance == pytest.approx(step / side, rel=1e-5)


def test_a_lower_score_is_a_difference_and_a_lost_face_counts_whole(photographs):
    (found,) = [d for d in photographs.results(shifted(0)) if len(d)]
    score = float(found.scores[0])
    lower = photographs.differences(shifted(0), shifted(-0.5))
    assert lower.changed_labels == 0
    expected = score - 1 / (1 + np.exp(-(np.log(score / (1 - score)) - 0.5)))
    assert abs(lower.largest_difference - expected) < 1e-3
    lost = photographs.differences(shifted(0), shifted(-30))
    assert (lost.changed_labels, lost.largest_difference) == (1.0, pytest.approx(score))
    assert lost.mean_landmark_distance is None


def test_inputs_have_the_networks_multiple(photographs):
    for x in photographs.inputs():
        assert x.shape[:2] == (1, 1)
        assert not any(side % 32 for side in x.shape[2:])


def test_a_folder_without_pictures_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="must hold photographs"):
        pictures_from_folder(tmp_path, models.read(DETECTOR).spec).calibration()
