"""Examples: what is known about each crop, from photographs and from FER+."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from fer_edge import Recognizer
from training.crop_check import examples as module
from training.crop_check.examples import KINDS, Cutter, examples_from_rows, rolled, rows_from_photos
from training.data.split import load_prepared
from training.detector.photos import Photo


@pytest.fixture(scope="module")
def photo() -> Photo:
    image = cv2.cvtColor(data.astronaut()[:300, 60:380], cv2.COLOR_RGB2GRAY)
    with Recognizer(threads=1) as recognizer:
        (face,) = recognizer(image)
    boxes, landmarks = np.array([face.box], np.float32), np.array([face.landmarks], np.float32)
    return Photo(image, boxes, landmarks, np.ones(1, bool), "people", False, 3)


@pytest.fixture(scope="module")
def cut() -> Cutter:
    return Cutter(64)


def test_an_untouched_face_is_upright_in_its_crop(photo: Photo, cut: Cutter) -> None:
    crop, angle = cut(photo.image, photo.landmarks[0])
    assert (crop.shape, crop.dtype) == ((64, 64), np.uint8)
    assert angle < 1
    # The crop shows the face: it resembles the picture between the landmarks.
    x0, y0, x1, y1 = photo.boxes[0].astype(int)
    box = cv2.resize(photo.image[y0:y1, x0:x1], (64, 64), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(crop[16:48, 16:48].ravel(), box[16:48, 16:48].ravel())[0, 1] > 0.5


def test_a_face_that_lies_on_its_side_is_rolled_in_the_crop_of_upright_landmarks(photo: Photo) -> None:
    truth = photo.landmarks[0]
    for degrees in (30.0, -90.0, 170.0):
        _, moved = rolled(photo.image, truth, degrees)
        assert module._angle_between(moved, truth) == pytest.approx(abs(degrees), abs=0.1)
        # Rolled and moved landmarks are those of the face in the turned picture.
        assert module._angle_between(moved, moved * 1.3 - 7) == pytest.approx(0, abs=0.1)
    image, moved = rolled(photo.image, truth, 180.0)
    for (x, y), (x2, y2) in zip(truth.astype(int), moved.astype(int), strict=True):
        patch, turned = photo.image[y - 5 : y + 6, x - 5 : x + 6], image[y2 - 5 : y2 + 6, x2 - 5 : x2 + 6]
        # Both are rounded to pixels, so they may be a pixel or two apart.
        assert np.corrcoef(patch.ravel(), turned[::-1, ::-1].ravel())[0, 1] > 0.5


@pytest.mark.parametrize(
    ("angle", "target"), [(0, 0), (24, 0), (26, np.nan), (44, np.nan), (46, 1), (180, 1)]
)
def test_between_upright_and_rolled_nothing_is_known(angle: float, target: float) -> None:
    assert module._rolled_target(angle) == pytest.approx(target, nan_ok=True)


@pytest.mark.parametrize(
    ("mouth", "eyes", "target", "kind"),
    [
        (0.76, 0, 1, "mouth covered"),
        (0, 0.9, 1, "eyes covered"),
        (0.5, 0.5, np.nan, "partly covered"),
        (0.1, 0.2, 0, "partly covered"),
    ],
)
def test_a_cover_counts_from_three_quarters(mouth: float, eyes: float, target: float, kind: str) -> None:
    _, (covered, upright), named = module._covered_row(np.zeros((4, 4), np.uint8), mouth, eyes, 0.0)
    assert (covered, upright) == (pytest.approx(target, nan_ok=True), 0)
    assert named == kind


def test_the_rows_of_photographs(photo: Photo) -> None:
    plain = photo
    masked = Photo(**{f: getattr(photo, f) for f in Photo.__slots__} | {"source": "mask_set", "number": 4})
    small = Photo(**{f: getattr(photo, f) for f in Photo.__slots__} | {"boxes": photo.boxes * 0.05})
    rows = list(rows_from_photos([plain, masked, small], 64, seed=0))
    made = examples_from_rows(rows)
    kinds = [KINDS[k] for k in made.kinds]
    # One untouched crop of each photograph with a face of some size.
    assert kinds.count("untouched") == kinds.count("photographs with masks") == 1
    assert made.targets[kinds.index("untouched")].tolist() == [0, 0]
    unknown, upright = made.targets[kinds.index("photographs with masks")]
    assert np.isnan(unknown)
    assert upright == 0
    assert len(made) <= 2 * (1 + module.COVERS + module.ROLLS)
    assert any("covered" in kind for kind in kinds)
    again = examples_from_rows(list(rows_from_photos([plain, masked, small], 64, seed=0)))
    np.testing.assert_array_equal(made.crops, again.crops)


def test_the_rows_of_a_prepared_split(prepared: Path) -> None:
    split = load_prepared(prepared, "train").take(slice(40))
    rows = list(module.rows_from_split(split, 64, seed=0))
    assert len(rows) == 3 * int(split.found.sum()) == 60
    made = examples_from_rows(rows)
    hidden = 0
    for plain, covered, turned in zip(made.crops[::3], made.crops[1::3], made.crops[2::3], strict=True):
        assert any((np.rot90(plain, k) == turned).all() for k in (1, 2, 3))
        hidden += int((plain != covered).any())
    # A cover may lie beside the crop.
    assert hidden > 15
    assert made.targets[::3].tolist() == [[0, 0]] * 20
    assert made.targets[2::3].tolist() == [[0, 1]] * 20
    assert {KINDS[k] for k in made.kinds[::3]} == {"untouched"}
