"""New marks from detections that are made by hand."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest

from training import mark_faces
from training.detector.mark_report import agreement_report, noise_report
from training.detector.marks import (
    DETECTORS,
    OLD,
    Detected,
    Groups,
    certain,
    confirmations,
    differences,
    group,
    merged,
    variances,
)
from training.detector.photos import TRUE_SCORE, load_photos
from training.mark_faces import group_all, read_old_marks, write_marks

NO_MARKS = np.zeros((0, 15), np.float32)
EQUAL = np.ones((4, 2))


def mark(x: float, y: float, side: float, score: float) -> np.ndarray:
    points = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]) * side + (x, y)
    return np.array([x, y, side, side, *points.ravel(), score], np.float32)


def found(*rows: tuple[int, float, np.ndarray]) -> Detected:
    """Rows of (detector, score, mark)."""
    marks = np.array([m for _, _, m in rows], np.float32).reshape(-1, 15)
    boxes = np.concatenate([marks[:, :2], marks[:, :2] + marks[:, 2:4]], axis=1)
    detectors, scores = [d for d, _, _ in rows], [s for _, s, _ in rows]
    points = marks[:, 4:14].reshape(-1, 5, 2)
    return Detected(np.array(detectors, np.uint8), np.array(scores, np.float32), boxes, points)


def marks_of(detected: Detected, old: np.ndarray = NO_MARKS, negative: bool = False) -> np.ndarray:
    return merged(group(detected, old, negative, 0), EQUAL, 1).faces


def test_an_ignored_mark_is_promoted_by_a_second_detector_only():
    old = mark(10, 10, 40, 0.6)[None]
    other = mark(11, 10, 40, 1)
    assert marks_of(found((1, 0.9, other)), old)[0, 14] >= TRUE_SCORE
    assert marks_of(found((2, 0.9, other)), old)[0, 14] >= TRUE_SCORE
    # YuNet made the old mark, so it confirms nothing; a score below the threshold is not seen.
    assert marks_of(found((0, 0.99, other)), old)[0, 14] < TRUE_SCORE
    assert marks_of(found((1, 0.45, other)), old)[0, 14] < TRUE_SCORE


def test_new_faces_need_two_detectors():
    face = mark(10, 10, 40, 1)
    assert marks_of(found((0, 0.9, face), (1, 0.6, face)))[0, 14] >= TRUE_SCORE
    for detector in range(3):
        single = marks_of(found((detector, 0.95, face)))
        assert len(single) == 1
        assert single[0, 14] < TRUE_SCORE


def test_no_mark_is_lost():
    old = np.stack([mark(10, 10, 40, 0.9), mark(13, 10, 40, 0.85), mark(100, 50, 12, 0.5)])
    for negative in (False, True):
        new = marks_of(found((0, 0.9, mark(11, 10, 40, 1))), old, negative)
        assert len(new) == 3
        assert (new[:, 14] >= TRUE_SCORE).sum() == 2


def test_finds_in_a_picture_without_a_face_are_dropped():
    face = mark(10, 10, 40, 1)
    assert len(marks_of(found((0, 0.9, face), (1, 0.9, face)), negative=True)) == 0


def test_neighbours_stay_apart_and_duplicates_go():
    left, right = mark(10, 10, 40, 1), mark(40, 10, 40, 1)  # share a seventh
    new = marks_of(
        found((0, 0.9, left), (1, 0.9, left + 0.1), (0, 0.8, right), (0, 0.75, mark(12, 12, 40, 1)))
    )
    assert len(new) == 2
    assert sorted(new[:, 14] >= TRUE_SCORE) == [False, True]


def test_the_mean_is_weighted_by_the_variance():
    variance = np.array([[1.0, 1], [1, 3], [1, 1], [1, 1]])
    detected = found((0, 0.9, mark(10, 10, 40, 1)), (1, 0.9, mark(14, 10, 40, 1)))
    face = merged(group(detected, NO_MARKS, False, 0), variance, 1).faces[0]
    assert face[0] == pytest.approx(12)
    assert face[4] == pytest.approx(10 + 12 + 1)  # a quarter of the way


def test_yunet_and_its_old_mark_weigh_as_one():
    old = mark(10, 10, 40, 0.9)[None]
    detected = found((0, 0.9, mark(10, 10, 40, 1)), (1, 0.9, mark(14, 10, 40, 1)))
    assert marks_of(detected, old)[0, 0] == pytest.approx(12)


def test_variances_are_recovered():
    rng = np.random.default_rng(0)
    noise = np.array([0.05, 0.08, 0.1, 0.06])
    count, side = 4000, 40.0
    true = np.tile(mark(0, 0, side, 1), (count, 1))
    points = true[:, None, 4:14].reshape(-1, 1, 5, 2) + rng.normal(size=(count, 4, 5, 2)) * (
        noise[:, None, None] * side
    )
    boxes = np.tile(np.array([0, 0, side, side]), (count, 4, 1)) + rng.normal(size=(count, 4, 4)) * (
        noise[:, None] * side
    )
    groups = Groups(boxes, points, np.ones((count, 4), np.float32), np.arange(count))
    box, landmark = np.sqrt(variances(differences(groups))).T
    # Up to a common factor, which the weights do not depend on; the mean length of a two-dimensional error.
    np.testing.assert_allclose(box / box[0], noise / noise[0], rtol=0.05)
    np.testing.assert_allclose(landmark / landmark[0], noise / noise[0], rtol=0.05)


def test_confirmations_count_yunet_once():
    scores = np.array([[0.9, 0, 0, 0.9], [0, 0.6, 0.8, 0.5], [0, 0.6, 0, 0]], np.float32)
    assert confirmations(scores).tolist() == [1, 3, 1]
    assert certain(scores).tolist() == [True, True, False]
    assert len(DETECTORS) == OLD


@pytest.fixture
def detections(photographs: Path, tmp_path: Path) -> Path:
    """CenterFace sees each face of the photographs one pixel to the right."""
    old = read_old_marks(photographs)
    picture = np.repeat(np.arange(len(old.negative)), np.diff(old.face_offset))
    boxes = np.concatenate([old.faces[:, :2], old.faces[:, :2] + old.faces[:, 2:4]], axis=1)
    path = tmp_path / "detections.npz"
    np.savez(
        path,
        pack=np.zeros(len(picture), np.uint8),
        picture=picture.astype(np.uint16),
        detector=np.ones(len(picture), np.uint8),
        score=np.full(len(picture), 0.9, np.float16),
        box=boxes + np.array([1, 0, 1, 0], np.float32),
        landmarks=old.faces[:, 4:14].reshape(-1, 5, 2) + np.array([1, 0], np.float32),
        detector_names=np.array(DETECTORS),
    )
    return path


def test_photographs_take_the_new_marks(photographs: Path, detections: Path, tmp_path: Path):
    old = read_old_marks(photographs)
    groups = group_all(photographs, old, detections)
    marks = merged(groups, EQUAL, len(old.negative))
    path = tmp_path / "marks.npz"
    write_marks(path, marks, detections)
    for before, after in zip(
        load_photos(photographs, "train"), load_photos(photographs, "train", path), strict=True
    ):
        assert len(before.boxes) == len(after.boxes)
        assert after.certain.all()
        np.testing.assert_allclose(after.boxes, before.boxes + np.array([0.5, 0, 0.5, 0]), atol=1e-4)
        np.testing.assert_allclose(after.landmarks, before.landmarks + np.array([0.5, 0]), atol=1e-4)
        assert before.negative == (len(before.boxes) == 0)
    assert "promoted" in agreement_report(marks.faces, marks.scores)
    assert "centerface, old mark" in noise_report(groups, EQUAL)


def test_marks_of_other_pictures_are_refused(photographs: Path, tmp_path: Path):
    np.savez(tmp_path / "marks.npz", faces=NO_MARKS, face_offset=np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="60 pictures, got 2"):
        load_photos(photographs, "train", tmp_path / "marks.npz")


def test_the_command_writes_marks_of_these_detections(
    photographs: Path, detections: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    arguments = ["", str(photographs), "--detections", str(detections), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    mark_faces.main()
    assert "certain before" in capsys.readouterr().out
    with np.load(tmp_path / "out" / "marks.npz") as marks:
        digest = hashlib.sha256(detections.read_bytes()).hexdigest()
        assert str(marks["detections_sha256"]) == digest
        assert (marks["confirmations"] == 2).all()
        assert marks["face_offset"][-1] == len(marks["faces"]) == len(marks["scores"]) == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--check", "3"], "--detect"), (["--detections", "absent.npz"], "absent.npz")],
)
def test_wrong_use_is_one_line(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, arguments, message
):
    monkeypatch.setattr(sys, "argv", ["", str(photographs), "--out", str(tmp_path), *arguments])
    with pytest.raises(SystemExit, match="2"):
        mark_faces.main()
    assert message in capsys.readouterr().err
