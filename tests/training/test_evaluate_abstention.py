"""Changed photographs, and the count of labels that change and are not withheld."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from fer_edge import Recognizer, models
from training import evaluate_abstention as module
from training.detector.photos import Photo
from training.evaluation.changed_photos import CUT, changed, nearest


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return cv2.cvtColor(data.astronaut()[:300, 60:380], cv2.COLOR_RGB2GRAY)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(threads=1)


def test_each_change_changes_what_it_names(photo: np.ndarray, recognizer: Recognizer) -> None:
    (face,) = recognizer(photo)
    x0, y0, x1, y1 = face.box
    pictures: dict[str, list[tuple[np.ndarray, tuple[float, float]]]] = {}
    for name, picture, centre in changed(photo, face):
        pictures.setdefault(name, []).append((picture, centre))
    ((bottom, _),), ((side, _),), ((top, centre),) = (
        pictures[f"{n} cut off"] for n in ("bottom", "side", "top")
    )
    assert bottom.shape == (int(y1 - CUT * (y1 - y0)), photo.shape[1])
    assert side.shape == (photo.shape[0], int(x1 - CUT * (x1 - x0)))
    assert top.shape == (photo.shape[0] - int(y0 + CUT * (y1 - y0)), photo.shape[1])
    np.testing.assert_array_equal(top, photo[-len(top) :])
    assert centre[1] == pytest.approx((y0 + y1) / 2 - (photo.shape[0] - len(top)))
    np.testing.assert_array_equal(pictures["values / 8"][0][0], photo // 8)
    assert pictures["values x 4"][0][0].max() == 255
    assert pictures["contrast x 0.1"][0][0].std() == pytest.approx(photo.std() / 10, rel=0.1)
    for name, row in (("mouth covered", 3), ("eyes covered", 0)):
        for picture, _ in pictures[name]:
            x, y = np.array(face.landmarks[row]).astype(int)
            assert picture[y, x] in (200, 90, 30)
            assert ((picture != photo).mean()) < 0.1
    # Half a turn, twice, is the photograph again, but for the border.
    half, at = pictures["rolled by 180 degrees"][0]
    back = cv2.warpAffine(half, cv2.getRotationMatrix2D(at, 180, 1.0), photo.shape[::-1])
    inside = (slice(int(y0), int(y1)), slice(int(x0), int(x1)))
    assert np.abs(back[inside].astype(int) - photo[inside]).mean() < 3


def test_the_nearest_face_within_reach(photo: np.ndarray, recognizer: Recognizer) -> None:
    (face,) = recognizer(photo)
    centre = ((face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2)
    assert nearest([face], centre, 5) is face
    assert nearest([face], (centre[0] + 6, centre[1]), 5) is None
    assert nearest([], centre, 5) is None


def test_the_command_counts_and_writes(
    photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "face.png"), photo)
    monkeypatch.setattr(sys, "argv", ["x", "tkfnet-nano", "--photos", str(folder), "--out", str(tmp_path)])
    module.main()
    result = json.loads((tmp_path / "abstention.json").read_text())
    assert (result["faces"], result["answered"]) == (1, 1)
    assert result["changes"]["mouth covered"]["tried"] == 2
    for row in result["changes"].values():
        assert 0 <= row["changed"] <= row["kept"] <= row["found"] <= row["tried"]
        assert row["share"] == (row["changed"] / row["kept"] if row["kept"] else None)
    # The mouth is gone with the lower third of the face.
    assert result["changes"]["bottom cut off"]["kept"] == 0
    assert "untouched: 1 of 1 faces answered" in capsys.readouterr().out
    own = models.load("tkfnet-nano", "expression").spec.min_confidence
    assert result["min_confidence"] == own
    by_confidence = {row["min_confidence"]: row for row in result["by_confidence"]}
    assert set(by_confidence) == {own, *module.CONFIDENCES}
    assert by_confidence[own]["changes"] == result["changes"]
    # No other version is given.
    assert "shared" not in result
    assert all(row["shared_answered"] == 0 for row in by_confidence.values())


def test_beside_the_faces_of_another_version(
    photo: np.ndarray, recognizer: Recognizer, tmp_path: Path
) -> None:
    faces = module.untouched_faces(recognizer, [photo, photo])
    other = tmp_path / "faces.json"
    rows = [{"photo": 1, "box": faces[1].box, "answered": True}]
    other.write_text(json.dumps(rows))
    result = module.measure(faces, 0.5, other)
    assert result["shared"] == {"faces": 1, "answered_beside": 1}
    assert [row["shared_answered"] for row in result["by_confidence"]] == [1, 1, 1, 1]
    assert result["answered"] == result["faces"] == 2


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"broken\.png must be a picture"):
        module.photos_from_folder(tmp_path)


def test_picture_sets_with_masks_are_counted_apart(
    photo: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    box, points = np.array([[100, 20, 200, 150]], np.float32), np.zeros((1, 5, 2), np.float32)
    rows = [("people", 1), ("mask_a", 1), ("mask_b", 1), ("mask_b", 0)]
    photos = [
        Photo(photo, box, points, np.array([bool(certain)]), source, False, k)
        for k, (source, certain) in enumerate(rows)
    ]
    monkeypatch.setattr(module, "load_photos", lambda folder, split: photos)
    monkeypatch.setattr(sys, "argv", ["x", "tkfnet-nano", "--faces", str(tmp_path), "--out", str(tmp_path)])
    module.main()
    result = json.loads((tmp_path / "abstention.json").read_text())
    assert (result["faces"], result["answered"]) == (1, 1)
    assert result["with_masks"] == {"answered": 2}
    assert "picture sets with masks: {'answered': 2}" in capsys.readouterr().out
