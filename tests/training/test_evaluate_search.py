"""What a finer search finds and costs, on mosaics of labelled photographs."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny import frame_with_cells

from fer_edge import models
from fer_edge.backends.ort import OrtBackend
from fer_edge.detection.detect import Detector
from training import evaluate_search
from training.detector.comparison import Pictures
from training.detector.detections import write_detections
from training.detector.marks import DETECTORS, Detected
from training.detector.mosaics import BACKGROUND, CELL_PX, mosaics
from training.detector.photos import Photo

NO_POINTS = np.zeros((0, 5, 2), np.float32)


def _seen(*boxes: tuple[float, ...]) -> Detected:
    count = len(boxes)
    return Detected(
        np.zeros(count, np.uint8),
        np.full(count, 0.9, np.float32),
        np.array(boxes, np.float32).reshape(count, 4),
        np.zeros((count, 5, 2), np.float32),
    )


def _photo(number: int, box: tuple[float, ...], is_certain: bool = True) -> Photo:
    image = np.full((100, 120), number, np.uint8)
    points = np.full((1, 5, 2), number, np.float32)
    return Photo(image, np.array([box], np.float32), points, np.array([is_certain]), "made", False, number)


def test_a_mosaic_lays_photographs_side_by_side() -> None:
    box = (20.0, 10.0, 60.0, 50.0)
    photos = [_photo(number, box, number != 2) for number in range(9)]
    seen = [_seen()] * 9
    # In the first photograph a teacher sees a face that has no mark; it counts for nothing.
    seen[0] = _seen((70, 10, 90, 30))
    made = list(mosaics(Pictures(photos, seen), 2))
    assert len(made) == 2
    first = made[0]
    assert first.image.shape == (2 * CELL_PX, 2 * CELL_PX)
    for number, (x, y) in enumerate([(0, 0), (CELL_PX, 0), (0, CELL_PX), (CELL_PX, CELL_PX)]):
        assert (first.image[y : y + 100, x : x + 120] == number).all()
        assert (first.image[y + 100 : y + CELL_PX, x + 120 : x + CELL_PX] == BACKGROUND).all()
    expected = [np.add(box, (0, 0, 0, 0)), np.add(box, (CELL_PX, 0) * 2), np.add(box, (CELL_PX, CELL_PX) * 2)]
    np.testing.assert_array_equal(first.boxes[first.certain], expected)
    np.testing.assert_array_equal(first.landmarks[first.certain][1, 0], [CELL_PX + 1, 1])
    np.testing.assert_array_equal(
        first.boxes[~first.certain], [(70, 10, 90, 30), np.add(box, (0, CELL_PX) * 2)]
    )
    assert not first.negative


def test_found_missed_and_false_faces_are_counted(detector_file: Path) -> None:
    model = models.load(detector_file, "detector")
    # Scale 1: the bright cells are faces of 32 px in a long side of 640 px, 5 %.
    detector = Detector(
        OrtBackend(model, 1), model.spec, threshold=0.5, min_face=None, max_faces=9, min_face_share=16 / 640
    )
    image = frame_with_cells((10, 7), (30, 7), (50, 7), width=640, height=480)
    centres = np.array([(84, 60), (244, 60), (404, 160)])
    boxes = np.concatenate([centres - 16, centres + 16], axis=1).astype(np.float32)
    photo = Photo(image, boxes, np.zeros((3, 5, 2), np.float32), np.ones(3, bool), "made", False, 0)
    result = evaluate_search.search(detector, [photo], 0.5)
    assert (result["faces_5_10"], result["faces_2.5_5"]) == (3, 0)
    assert result["recall_5_10"] == result["precision"] == pytest.approx(2 / 3)
    assert result["recall_10_100"] is None
    assert result["false_alarms_per_photo"] == 1
    assert result["milliseconds"] > 0


@pytest.mark.parametrize("side", [16, 32, 64, 160])
def test_a_face_is_found_at_the_sides_that_the_network_knows(
    detector_file: Path, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models.load(detector_file, "detector")
    # Its cells are faces of 32 px.
    image = cv2.resize(
        frame_with_cells((10, 7), width=640, height=480), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST
    )
    box = np.array([[136, 88, 200, 152]], np.float32)
    photo = Photo(image, box, np.zeros((1, 5, 2), np.float32), np.ones(1, bool), "made", False, 0)
    doubtful = Photo(image, box, photo.landmarks, np.zeros(1, bool), "made", False, 1)
    monkeypatch.setattr(evaluate_search, "SIDES", (side,))
    rows = evaluate_search.recall_by_side(OrtBackend(model, 1), model.spec, [photo, doubtful], 0.5)
    assert rows == [{"side": side, "recall": float(side == 32), "faces": 1}]


@pytest.fixture
def data(photographs: Path, tmp_path: Path) -> Path:
    """The made photographs, in which no teacher sees anything."""
    (tmp_path / "faces-0.npz").write_bytes((photographs / "faces-0.npz").read_bytes())
    kinds = {"pack": np.uint8, "picture": np.uint16, "detector": np.uint8, "score": np.float16}
    rows = {name: np.zeros(0, kind) for name, kind in kinds.items()}
    rows |= {"box": np.zeros((0, 4), np.float32), "landmarks": NO_POINTS}
    write_detections(tmp_path / "detections.npz", rows)
    assert len(DETECTORS) == 3
    return tmp_path


def _run(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["evaluate_search", "face-luma", "--data", str(data), "--out", str(data / "out.json")]
    monkeypatch.setattr(sys, "argv", arguments)
    evaluate_search.main()


def test_the_command_writes_and_prints_a_row_for_each_search(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # There are not enough made photographs for mosaics of 16.
    monkeypatch.setattr(evaluate_search, "SIDE", 1)
    monkeypatch.setattr(evaluate_search, "SHARES", (20, 40))
    _run(data, monkeypatch)
    result = json.loads((data / "out.json").read_text("utf-8"))
    assert list(result["searches"]) == ["20", "40"]
    assert (result["photos"] > 0, result["long_px"]) == (True, CELL_PX)
    sides = [row["side"] for row in result["by_side"]]
    assert sides == list(evaluate_search.SIDES)
    printed = capsys.readouterr().out
    assert "| 1/40 |" in printed
    assert f"| {sides[-1]} |" in printed


def test_too_few_photographs_are_one_line(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        _run(data, monkeypatch)
    assert caught.value.code == 2
    assert "must hold at least 16 test photographs for a mosaic" in capsys.readouterr().err
