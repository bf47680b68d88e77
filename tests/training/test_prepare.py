"""Preparing a data set: the square around a face, copies and broken files, and the written files."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data as photographs_of_skimage

from fer_edge.detection.detect import Detector
from training.data.crops import TEMPLATE
from training.data.face_crop import (
    ROOM,
    landmarks_in_picture,
    landmarks_in_tight_picture,
    square_from_picture,
)
from training.data.readers import read
from training.data.split import SPLITS, load_prepared
from training.prepare import main, open_detector, prepare

WritePicture = Callable[[Path, np.ndarray], Path]
Pictures = Callable[[int, int], np.ndarray]


@pytest.fixture(scope="module")
def detect() -> Detector:
    return open_detector("face-luma")


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return cv2.cvtColor(photographs_of_skimage.astronaut(), cv2.COLOR_RGB2GRAY)


@pytest.fixture(scope="module")
def in_photograph(astronaut: np.ndarray, detect: Detector) -> np.ndarray:
    """Landmarks of the face in the photograph of 512 x 512 px."""
    landmarks = landmarks_in_picture(astronaut, detect)
    assert landmarks is not None
    # Read off by eye: right eye, left eye and nose tip.
    np.testing.assert_allclose(landmarks[:3], [(199, 107), (244, 108), (225, 132)], atol=8)
    return landmarks


def test_the_square_holds_the_crop_with_room(
    astronaut: np.ndarray, in_photograph: np.ndarray, detect: Detector
):
    square, landmarks = square_from_picture(astronaut, 96, detect)
    assert square.shape == (96, 96)
    shares = landmarks / 96
    # The template shrunk to the middle; one face differs from the mean of many.
    expected = (np.array(TEMPLATE) - 0.5) / ROOM + 0.5
    np.testing.assert_allclose(shares, expected, atol=0.09)
    scale = np.linalg.norm(in_photograph[1] - in_photograph[0]) / np.linalg.norm(landmarks[1] - landmarks[0])
    # Same points, same face: grey levels must agree with those of the photograph.
    corner = in_photograph[0] - landmarks[0] * scale
    rows, columns = (np.mgrid[8:88, 8:88] + 0.5) * scale
    at = astronaut[(rows + corner[1]).astype(int), (columns + corner[0]).astype(int)].astype(float)
    assert np.corrcoef(at.ravel(), square[8:88, 8:88].astype(float).ravel())[0, 1] > 0.97


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_the_square_does_not_depend_on_the_photographs_size(
    astronaut: np.ndarray, in_photograph: np.ndarray, detect: Detector, scale: float
):
    scaled = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    landmarks = landmarks_in_picture(scaled, detect)
    assert landmarks is not None
    eyes = np.linalg.norm(in_photograph[1] - in_photograph[0])
    assert np.abs(landmarks / scale - in_photograph).max() < 0.15 * eyes
    assert square_from_picture(scaled, 64, detect)[0].shape == (64, 64)


def test_a_face_at_the_border_goes_on_with_the_edge(
    astronaut: np.ndarray, in_photograph: np.ndarray, detect: Detector
):
    left, top = np.floor(in_photograph.min(0) - 30).astype(int)
    right, bottom = np.ceil(in_photograph.max(0) + 30).astype(int)
    square, landmarks = square_from_picture(astronaut[top:bottom, left:right], 96, detect)
    assert np.isfinite(landmarks).all()
    # The square is wider than the picture by the same amount on each side.
    np.testing.assert_allclose(square[:, 0].astype(int), square[:, 2].astype(int), atol=2)


def test_a_tight_picture_is_searched_with_a_margin(
    astronaut: np.ndarray, in_photograph: np.ndarray, detect: Detector
):
    # Cut as FER2013 is: the template's eyes are 0.366 of the side apart.
    side = round(float(np.linalg.norm(in_photograph[1] - in_photograph[0])) / 0.366)
    left, top = np.round(in_photograph.mean(0) - (0.5 * side, 0.58 * side)).astype(int)
    tight = astronaut[top : top + side, left : left + side]
    found = landmarks_in_tight_picture(cv2.resize(tight, (48, 48), interpolation=cv2.INTER_AREA), detect)
    np.testing.assert_allclose(found, (in_photograph - (left, top)) * 48 / side, atol=3)


def test_without_a_face_the_whole_picture_is_kept(detect: Detector):
    coffee = cv2.cvtColor(photographs_of_skimage.coffee(), cv2.COLOR_RGB2GRAY)
    blank = np.tile(np.linspace(50, 200, 300).astype(np.uint8), (200, 1))
    square, landmarks = square_from_picture(blank, 96, detect)
    assert np.isnan(landmarks).all()
    np.testing.assert_array_equal(square, cv2.resize(blank, (96, 96), interpolation=cv2.INTER_AREA))
    assert square_from_picture(coffee, 96, detect)[0].shape == (96, 96)


@pytest.fixture
def folders(tmp_path: Path, pictures: Pictures, write_picture: WritePicture) -> Path:
    """Eight large colour pictures for each split."""
    root = tmp_path / "data"
    for seed, split in enumerate(SPLITS):
        for k, image in enumerate(pictures(seed, 8)):
            large = cv2.resize(image, (120 + k, 100), interpolation=cv2.INTER_CUBIC)
            colour = cv2.merge([large, large // 2, 255 - large])
            write_picture(root / split / ("happy", "sad")[k % 2] / f"{k}.png", colour)
    return root


def test_prepared_splits(folders: Path, tmp_path: Path, astronaut: np.ndarray, write_picture: WritePicture):
    write_picture(folders / "train/sad/face.png", astronaut)
    main([str(folders), "--out", str(tmp_path / "out"), "--side", "64"])
    train = load_prepared(tmp_path / "out", "train")
    assert (len(train), train.side) == (9, 64)
    assert train.labels.tolist() == [1] * 4 + [3] * 5
    assert train.rows.tolist() == list(range(9))
    assert np.isfinite(train.landmarks[8]).all()
    assert (train.people == -1).all()
    assert len(load_prepared(tmp_path / "out", "test")) == 8


def test_the_same_data_give_the_same_files(folders: Path, tmp_path: Path, detect: Detector):
    for name in ("one", "two"):
        prepare(read(folders), tmp_path / name, 48, detect)
    for split in SPLITS:
        one, two = (load_prepared(tmp_path / name, split) for name in ("one", "two"))
        np.testing.assert_array_equal(one.images, two.images)
        np.testing.assert_array_equal(one.rows, two.rows)


def test_broken_pictures_are_named_and_the_rest_is_kept(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (folders / "train/sad/3.png").write_bytes(b"")
    main([str(folders), "--out", str(tmp_path / "out")])
    assert len(load_prepared(tmp_path / "out", "train")) == 7
    report = json.loads((tmp_path / "out/prepare.json").read_text())
    assert report["broken"] == {"train/sad/3.png": "the file is empty"}
    assert report["side"] == 96
    assert "train/sad/3.png: the file is empty" in capsys.readouterr().out


def test_copies_of_held_out_pictures_are_left_out(folders: Path, tmp_path: Path, write_picture: WritePicture):
    test, valid = (cv2.imread(str(folders / split / "happy/2.png")) for split in ("test", "valid"))
    write_picture(folders / "train/happy/9.bmp", test)
    write_picture(folders / "train/sad/9.png", np.ascontiguousarray(valid[:, ::-1]))
    write_picture(folders / "valid/sad/9.png", cv2.convertScaleAbs(test, alpha=0.8, beta=20))
    main([str(folders), "--out", str(tmp_path / "out")])
    report = json.loads((tmp_path / "out/prepare.json").read_text())
    left_out = {name: counts["copies_left_out"] for name, counts in report["splits"].items()}
    assert left_out == {"train": 2, "valid": 1, "test": 0}
    assert [len(load_prepared(tmp_path / "out", name)) for name in SPLITS] == [8, 8, 8]


def test_nothing_that_can_be_read(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for path in (folders / "valid").rglob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(SystemExit) as caught:
        main([str(folders), "--out", str(tmp_path / "out")])
    assert caught.value.code == 2
    assert "none for valid" in capsys.readouterr().err
    assert not (tmp_path / "out/train.npz").exists()


def test_packed_ferplus_keeps_its_pixels(tmp_path: Path, pictures: Pictures, detect: Detector):
    for seed, split in enumerate(SPLITS):
        np.savez(
            tmp_path / f"{split}.npz",
            images=pictures(seed, 4),
            votes=np.eye(10, dtype=np.uint8)[[1, 8, 4, 5]] * 10,
            fer2013_label=np.arange(4, dtype=np.int8),
            row=np.array([5, 6, 8, 9]),
            copy_of_heldout=np.array([False, False, split == "train", False]),
        )
    prepare(read(tmp_path), tmp_path / "out", 96, detect)
    train, test = (load_prepared(tmp_path / "out", name) for name in ("train", "test"))
    assert train.rows.tolist() == [5, 9]
    assert test.rows.tolist() == [5, 8, 9]
    np.testing.assert_array_equal(test.images, pictures(2, 4)[[0, 2, 3]])
    assert test.single.tolist() == [4, 6, 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--side", "8"], "--side must be from 32 to 1024 px, got 8"),
        (["--min-correlation", "nan"], "min_correlation must be from 0.87 to 1, got nan"),
        (["--layout", "raf-db"], "for the layout raf-db"),
        (["--detector", "none.onnx"], "none.onnx"),
    ],
)
def test_wrong_use(
    folders: Path, tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as caught:
        main([str(folders), "--out", str(tmp_path / "out"), *arguments])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
