"""Face crops of a measurement are the runtime's, and their differences are counted right."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage

import fer_edge
from export.certificates.faces import Faces, faces_from_pictures
from export.certificates.networks import open_network
from export.certificates.pictures import CALIBRATION, CHOICE, after, first, pictures_from_folder, unused
from fer_edge import models
from fer_edge.models import ModelError, ModelSpec

NANO = models.WEIGHTS / "tkfnet-nano-float32.onnx"


class Answers:
    """A network that answers with logits made from the crops' first pixels; stands in for a trained one."""

    def __init__(self, change: float = 0.0, check: float | None = None) -> None:
        self._change, self._check = change, check

    def reserve(self, shape: tuple[int, ...]) -> np.ndarray:
        self._x = np.empty(shape, np.float32)
        return self._x

    def run(self) -> list[np.ndarray]:
        logits = np.zeros((len(self._x), 8), np.float32)
        logits[:, 0] = self._x[:, 0, 0, 0]
        logits[:, 1] = self._change
        return (
            [logits] if self._check is None else [logits, np.full((len(logits), 2), self._check, np.float32)]
        )


@pytest.fixture
def spec() -> ModelSpec:
    return models.read(NANO).spec


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """The astronaut's face, one more, and one without contrast."""
    folder = tmp_path / "crops"
    folder.mkdir()
    picture = skimage.data.astronaut()[..., ::-1]
    for name, part in (
        ("a", picture[60:220, 150:300]),
        ("b", picture[80:200, 160:290]),
        ("c", picture[60:220, 150:300] // 16),
    ):
        cv2.imwrite(str(folder / f"{name}.png"), part)
    return folder


def test_a_folder_of_pictures_gives_what_recognize_crops_sees(crops: Path, spec: ModelSpec):
    planes = [cv2.imread(str(file)) for file in sorted(crops.iterdir())]
    with fer_edge.Recognizer(model=NANO, threads=1) as recognizer:
        expected = [list(face.probabilities.values()) for face in recognizer.recognize_crops(planes)]
    got = faces_from_pictures(crops, list, spec).results(open_network(NANO, "onnxruntime")).probabilities
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_each_use_has_a_part_of_each_folder_without_gaps(tmp_path: Path, spec: ModelSpec):
    """Neighbours in a folder may be frames of one video, and a folder may hold one class."""
    levels = {"anger/0.png": 10, "happiness/0.png": 20, "surprise/0.png": 30}
    levels |= {f"video/{k}.png": 100 + 10 * k for k in range(7)}
    for name, level in levels.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), np.full((32, 32), level, np.uint8))
    uses = [np.concatenate(list(load().inputs())) for load in pictures_from_folder(tmp_path, spec)]
    found = [sorted(np.rint(x.mean((1, 2, 3)) / spec.scale + spec.mean).astype(int).tolist()) for x in uses]
    assert found == [[10, 100, 110], [20, 120, 130], [30, 140, 150, 160]]


def test_differences_are_of_probabilities_and_labels(spec: ModelSpec):
    x = np.zeros((4, 1, 2, 2), np.float32)
    x[:, 0, 0, 0] = (-2, 1, 3, 4)
    faces = Faces([x], np.array([1, 0, 0, 2]), spec, "made")
    measured = faces.differences(Answers(0.0), Answers(2.0))
    assert measured.pictures == 4
    assert measured.changed_labels == 0.25  # the row with 1: 0 has the largest logit before, 1 after
    assert (measured.accuracy_before, measured.accuracy_after) == (0.75, 0.5)
    assert measured.loss == 25.0
    powers = np.exp(np.float64(x[:, 0, 0, 0]) / spec.temperature)
    top = np.exp(2 / spec.temperature)
    changes = np.abs(powers / (powers + 7) - powers / (powers + 6 + top))
    assert measured.largest_difference >= changes.max() - 1e-6


def test_without_labels_there_is_no_accuracy(spec: ModelSpec):
    faces = Faces([np.zeros((2, 1, 2, 2), np.float32)], None, spec, "made")
    measured = faces.differences(Answers(), Answers())
    assert (measured.accuracy_before, measured.loss, measured.changed_labels) == (None, 0.0, 0.0)


def test_a_second_output_is_compared_as_probabilities(spec: ModelSpec):
    faces = Faces([np.zeros((3, 1, 2, 2), np.float32)], None, spec, "made")
    measured = faces.differences(Answers(check=0.0), Answers(check=np.log(3)))
    assert measured.largest_check_difference == pytest.approx(0.25)
    assert measured.largest_difference == 0
    assert faces.differences(Answers(), Answers()).largest_check_difference is None


def test_a_file_that_lost_or_got_a_crop_check_is_an_error(spec: ModelSpec):
    faces = Faces([np.zeros((3, 1, 2, 2), np.float32)], None, spec, "made")
    with pytest.raises(ValueError, match="got one only in the reference"):
        faces.differences(Answers(check=0.0), Answers())
    with pytest.raises(ValueError, match="got one only in the new file"):
        faces.differences(Answers(), Answers(check=0.0))


def test_an_overflowing_file_is_an_error(spec: ModelSpec):
    faces = Faces([np.zeros((2, 1, 2, 2), np.float32)], None, spec, "made")
    with pytest.raises(ValueError, match="NaN or infinite"):
        faces.differences(Answers(), Answers(np.nan))
    with pytest.raises(ValueError, match="NaN or infinite"):
        faces.differences(Answers(check=0.0), Answers(check=np.nan))


def test_a_broken_picture_is_named(crops: Path, spec: ModelSpec):
    (crops / "b.png").write_bytes(b"no picture")
    with pytest.raises(ModelError, match=r"must hold face crops .*b\.png: not a picture"):
        faces_from_pictures(crops, list, spec)


@pytest.mark.parametrize(("count", "left"), [(3438, 2182), (1257, 1), (1256, 1256), (64, 64), (0, 0)])
def test_files_are_compared_on_rows_without_another_use(count: int, left: int):
    rows = np.arange(count)
    used = {*rows[first(CALIBRATION)(count)], *rows[after(CALIBRATION, CHOICE)(count)]}
    compared = rows[unused(count)]
    assert len(compared) == left
    assert left == count or not used & {*compared}
