"""Several detectors side by side: false alarms, landmark errors, portraits, and the report."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_edge.result import Detections
from training.detector.comparison import Pictures, count_detections, doubtful
from training.detector.detections import split_by_picture
from training.detector.landmark_errors import LandmarkErrors
from training.detector.marks import DETECTORS, Detected
from training.detector.photos import Photo, load_photos
from training.detector.portraits import CUT, ROLLS, missed_portraits, views
from training.evaluate_detector import at_default_size, pictures_of_skimage, report, threshold_for_precision

SHARES = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)
BOX = np.array([[20.0, 10, 60, 50]], np.float32)
POINTS = (SHARES * 40 + BOX[:, None, :2]).astype(np.float32)
NONE = Detected(np.zeros(0, np.uint8), *(np.zeros(s, np.float32) for s in (0, (0, 4), (0, 5, 2))))
EYES = 16.0  # distance in POINTS


def photo(negative: bool = False, certain: bool = True) -> Photo:
    image = np.full((100, 120), 90, np.uint8)
    if negative:
        return Photo(image, BOX[:0], POINTS[:0], np.zeros(0, bool), "made", True, 0)
    return Photo(image, BOX, POINTS, np.array([certain]), "made", False, 0)


def seen(*rows: tuple[int, float, float]) -> Detected:
    """Rows of (detector, score, shift of the landmarks in px)."""
    detectors, scores, shifts = (np.array(column) for column in zip(*rows, strict=True))
    points = POINTS + np.stack([shifts, np.zeros(len(rows))], axis=1)[:, None]
    boxes = np.repeat(BOX, len(rows), 0)
    return Detected(detectors.astype(np.uint8), scores.astype(np.float32), boxes, points.astype(np.float32))


def moved(shift: float) -> Detected:
    found = seen((0, 0.6, 0))
    return Detected(found.detector, found.scores, found.boxes + np.float32(shift), found.landmarks)


def test_what_a_teacher_may_have_seen_is_doubtful():
    np.testing.assert_array_equal(doubtful(photo(), moved(45)), BOX + 45)
    # On a mark it is the mark; in a picture without a face, it is a false alarm.
    assert len(doubtful(photo(), moved(2))) == 0
    assert len(doubtful(photo(negative=True), moved(45))) == 0
    assert len(doubtful(photo(certain=False), NONE)) == 1
    low = seen((1, 0.4, 0))
    assert len(doubtful(photo(negative=False), Detected(low.detector, low.scores, BOX + 45, POINTS))) == 0


def test_detectors_are_counted_side_by_side():
    def right(plane: np.ndarray, scale: float) -> Detections:
        return Detections(BOX, POINTS + 1.6 * scale, np.array([0.9], np.float32))

    def wrong(plane: np.ndarray, scale: float) -> Detections:
        return Detections(BOX + 45, POINTS, np.array([0.8], np.float32))

    teachers = seen((0, 0.9, 0), (1, 0.9, 0), (2, 0.9, 0))
    pictures = Pictures([photo()], [teachers])
    columns = {"face-luma": (right, 0.5), "yunet": (right, 0.95), "centerface": (wrong, 0.5)}
    counts, _ = count_detections(pictures, columns, 1.0)
    assert counts["face-luma"].metrics_at(0.5)["recall_24_up"] == 1
    assert counts["centerface"].metrics_at(0.5)["precision"] == 0
    alone = {"face-luma": (right, 0.5)}
    _, errors = count_detections(pictures, alone, 1.0)
    summary = errors.summary()["all"]
    assert summary["faces"] == 1
    assert summary["face-luma median"] == pytest.approx(1.6 * np.sqrt(2) / EYES, rel=1e-5)
    # YuNet's score is below the one from which its landmarks count, so no face is shared by all.
    _, errors = count_detections(pictures, {"face-luma": (right, 0.5), "yunet": (right, 0.95)}, 1.0)
    assert errors.summary()["all"]["faces"] == 0


def test_a_teacher_is_measured_by_the_others():
    errors = LandmarkErrors(["face-luma", *DETECTORS])
    teachers = seen((0, 0.9, 3.0), (1, 0.9, -1.0), (2, 0.9, 1.0))
    shifts = {"face-luma": 0.5, "yunet": 3.0, "centerface": -1.0, "retinaface": 1.0}
    found = {name: POINTS + np.array([shift, 0], np.float32) for name, shift in shifts.items()}
    errors.add_picture(photo(), found, teachers)
    summary = errors.summary()
    assert summary["others than yunet"]["yunet median"] == pytest.approx(3 / EYES, rel=1e-5)
    assert summary["others than yunet"]["face-luma median"] == pytest.approx(0.5 / EYES, rel=1e-5)
    assert summary["all"]["face-luma median"] == pytest.approx(0.5 / EYES, rel=1e-5)
    assert "centerface median" not in summary["others than yunet"]


@pytest.mark.parametrize("change", ["missed by one", "unseen by a teacher", "small", "profile"])
def test_only_faces_that_all_can_be_compared_on_count(change: str):
    errors = LandmarkErrors(["face-luma", "yunet"])
    found = {"face-luma": POINTS.copy(), "yunet": POINTS.copy()}
    teachers, picture = seen((0, 0.9, 0), (1, 0.9, 0), (2, 0.9, 0)), photo()
    if change == "missed by one":
        found["yunet"][:] = np.nan
    elif change == "unseen by a teacher":
        teachers = seen((0, 0.9, 0), (1, 0.9, 0), (2, 0.6, 0))
    elif change == "small":
        boxes = picture.boxes / 2
        picture = Photo(picture.image, boxes, POINTS / 2, picture.certain, "made", False, 0)
        teachers = Detected(teachers.detector, teachers.scores, teachers.boxes / 2, teachers.landmarks / 2)
    else:
        points = teachers.landmarks.copy()
        points[:, 1] = points[:, 0] + 4
        teachers = Detected(teachers.detector, teachers.scores, teachers.boxes, points)
    errors.add_picture(picture, found, teachers)
    assert errors.summary()["all"]["faces"] == 0
    assert np.isnan(errors.summary()["all"]["face-luma median"])


def face_picture() -> np.ndarray:
    image = np.full((200, 160), 60, np.uint8)
    image[60:120, 40:100] = 220
    return image


FACE = np.array([40.0, 60, 100, 120], np.float32)


def test_views_know_where_the_face_is():
    names = []
    for name, picture, middle in views(face_picture(), FACE):
        names.append(name)
        bright = np.argwhere(picture > 150)[:, ::-1]
        np.testing.assert_allclose(bright.mean(axis=0) + 0.5, middle, atol=1)
        share = len(bright) / 60**2
        assert share == pytest.approx(1 - CUT if name.startswith("cut") else 1, abs=0.03)
    assert len(names) == len(set(names)) == len(ROLLS) + 4


def bright_box(image: np.ndarray) -> Detections:
    y, x = np.nonzero(image > 150)
    box = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], np.float32)
    return Detections(box, POINTS, np.array([0.9], np.float32))


def test_missed_portraits_are_named(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "one.png"), face_picture())

    def left_half(image: np.ndarray) -> Detections:
        return Detections(np.array([[0, 60, 60, 120]], np.float32), POINTS, np.array([0.9], np.float32))

    missed = missed_portraits(tmp_path, bright_box, {"right": bright_box, "wrong": left_half})
    assert all(names["right"] == [] for names in missed.values())
    assert missed["roll 0"]["wrong"] == ["one.png"]


def test_a_box_of_everything_finds_no_face(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "one.png"), face_picture())

    def everything(image: np.ndarray) -> Detections:
        box = np.array([[-50, -50, 250, 250]], np.float32)
        return Detections(box, POINTS, np.array([0.9], np.float32))

    assert missed_portraits(tmp_path, bright_box, {"all": everything})["roll 0"]["all"] == ["one.png"]
    with pytest.raises(ValueError, match=r"one\.png"):
        missed_portraits(tmp_path, lambda image: Detections(BOX[:0], POINTS[:0], BOX[:0, 0]), {})


def test_detections_go_to_their_pictures(photographs: Path):
    rows = {
        "pack": np.zeros(3, np.uint8),
        "picture": np.array([5, 2, 5], np.uint16),
        "detector": np.array([0, 1, 2], np.uint8),
        "score": np.full(3, 0.5, np.float16),
        "box": np.zeros((3, 4), np.float32),
        "landmarks": np.zeros((3, 5, 2), np.float32),
    }
    split = split_by_picture(rows, photographs)
    assert len(split) == 60
    assert split[5].detector.tolist() == [0, 2]
    assert split[2].scores.dtype == np.float32
    numbers = [p.number for name in ("train", "valid", "test") for p in load_photos(photographs, name)]
    assert sorted(numbers) == list(range(60))
    for name, wrong in (("picture", np.uint16(60)), ("pack", np.uint8(1))):
        with pytest.raises(ValueError, match="pictures in"):
            split_by_picture(rows | {name: np.full(3, wrong)}, photographs)


def test_the_default_size_is_that_of_the_runtime():
    scales = []

    def detect(plane: np.ndarray, scale: float) -> Detections:
        scales.append(scale)
        return Detections(np.repeat(BOX, 2, 0), np.repeat(POINTS, 2, 0), np.array([0.9, 0.4], np.float32))

    find = at_default_size(detect, 0.5)
    assert len(find(np.zeros((640, 480), np.uint8))) == 1
    find(np.zeros((100, 120), np.uint8))
    assert scales == [0.5, 1.0]


def test_the_report_has_a_column_for_each_detector(photographs: Path):
    names = ("face-luma", *DETECTORS)
    pictures = Pictures(load_photos(photographs, "train"), [NONE] * 60)
    by_mark = {p.image.tobytes(): p for p in pictures.photos}

    def detect(plane: np.ndarray, scale: float) -> Detections:
        p = by_mark[plane.tobytes()]
        return Detections(p.boxes, p.landmarks, np.full(len(p.boxes), 0.9, np.float32))

    counts, errors = count_detections(pictures, dict.fromkeys(names, (detect, 0.5)), 1.0)
    assert threshold_for_precision(counts["face-luma"]) == pytest.approx(0.2)
    metrics = {n: counts[n].metrics_at(0.5) for n in names}
    speed = {"320x256": {"face-luma": 1.0, "yunet": 2.0}}
    missed = {"roll 15": {"face-luma": ["one.png"], "yunet": []}}
    text = report(
        {
            **metrics,
            "landmark_errors": errors.summary(),
            "milliseconds": speed,
            "missed_portraits": missed,
        }
    )
    assert "| measure | face-luma | yunet | centerface | retinaface |" in text
    assert "| recall_24_up | 1 | 1 | 1 | 1 |" in text
    assert "others than centerface" in text
    assert "roll 15: missed face-luma 1, yunet 0" in text


def test_pictures_of_skimage_exist_where_it_is_installed():
    pytest.importorskip("skimage")
    assert len(pictures_of_skimage()) == 4
    assert all(path.exists() for path in pictures_of_skimage())
