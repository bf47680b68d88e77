"""From a frame to faces, on two networks whose outputs are known exactly."""

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import LABELS, LANDMARKS, frame_with_cells

from fer_edge import ModelError, Recognizer, ops
from fer_edge.stages.expressions import BATCH

MakeRecognizer = Callable[..., Recognizer]


def _probabilities(brightness: float) -> np.ndarray:
    """The output of the tiny expression network for a crop of this mean brightness in [0, 1]."""
    powers = np.exp(np.array([2, 8 * brightness, 0, 0, 0, 0, 0, 0]))
    return powers / powers.sum()


def test_frame_to_face(recognizer: Recognizer) -> None:
    (face,) = recognizer(frame_with_cells((10, 7)))
    assert face.box == pytest.approx((68, 44, 100, 76), abs=1e-3)
    np.testing.assert_allclose(face.landmarks, LANDMARKS + np.array([84, 60]), atol=1e-3)
    assert face.score == pytest.approx(1 / (1 + math.exp(-10)))
    assert tuple(face.probabilities) == LABELS
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert face.confidence == face.probabilities[face.label] == max(face.probabilities.values())
    assert face.abstain_reason is None


def test_the_crop_shows_the_face(recognizer: Recognizer) -> None:
    # The face's surroundings are bright or dark; the cell itself is bright either way.
    dark, bright = frame_with_cells((10, 7)), frame_with_cells((10, 7), (30, 20))
    bright[16:104, 40:128] = 255
    assert recognizer(dark)[0].label == "neutral"
    face = max(recognizer(bright), key=lambda found: found.confidence)
    assert face.label == "happiness"
    assert list(face.probabilities.values()) == pytest.approx(_probabilities(1.0), abs=1e-4)


def test_all_layouts_of_one_picture_agree(recognizer: Recognizer) -> None:
    grey = frame_with_cells((10, 7), (20, 20))
    nv12 = np.concatenate([grey, np.full((128, 320), 128, np.uint8)])
    expected = recognizer(grey)
    assert len(expected) == 2
    assert recognizer(np.repeat(grey[..., None], 3, axis=2)) == expected
    assert recognizer(nv12, layout="nv12") == expected
    assert recognizer(grey, layout="grey") == expected


def test_frames_that_must_not_be_written_to(recognizer: Recognizer) -> None:
    # As from numpy.frombuffer, for example for a message of ROS.
    grey = np.frombuffer(frame_with_cells((10, 7)).tobytes(), np.uint8).reshape(256, 320)
    bgr = np.frombuffer(np.repeat(grey[..., None], 3, axis=2).tobytes(), np.uint8).reshape(256, 320, 3)
    assert recognizer(bgr) == recognizer(grey)
    assert len(recognizer(grey)) == 1
    assert len(recognizer.recognize_crops([grey, bgr])) == 2


def test_more_faces_than_a_batch_have_the_results_of_single_faces(make_recognizer: MakeRecognizer) -> None:
    cells = [(5 * column + 2, 5 * row + 2) for row in range(6) for column in range(8)]
    frame = frame_with_cells(*cells)
    # Each face has a background of a different grey.
    ground = 2 * np.add.outer(np.arange(256) // 40 * 8, np.arange(320) // 40)
    frame = np.maximum(frame, ground.astype(np.uint8))
    recognizer = make_recognizer(max_faces=100)
    faces = recognizer(frame)
    assert len(faces) == len(cells) > BATCH
    assert len({round(face.probabilities["happiness"], 5) for face in faces}) > BATCH
    for face in faces[::7]:
        x0, y0 = (max(0, round(value) - 20) for value in face.box[:2])
        cut = frame[y0 : y0 + 80, x0 : x0 + 80]
        (alone,) = recognizer.recognize_crops([cut], np.array([face.landmarks]) - [x0, y0])
        assert list(alone.probabilities.values()) == pytest.approx(
            list(face.probabilities.values()), abs=1e-4
        )


def test_frames_without_a_face_do_not_touch_the_expression_network(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never() -> Any:
        raise AssertionError("the expression network ran")

    monkeypatch.setattr(recognizer._networks.expression, "run", never)
    monkeypatch.setattr(recognizer._networks.expression, "reserve", never)
    assert recognizer(np.zeros((480, 640, 3), np.uint8)) == []
    assert recognizer.recognize_crops([]) == []
    # As of a frame without faces.
    assert recognizer.recognize_crops([], []) == []
    assert recognizer.recognize_crops([], np.empty((0, 5, 2))) == []
    for landmarks in ([[]], np.empty((1, 5, 2)), np.empty((0, 4, 2))):
        with pytest.raises(ValueError, match=r"landmarks must be finite numbers \[0, 5, 2\]"):
            recognizer.recognize_crops([], landmarks)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (1, 700), (700, 1), (2, 3, 3)])
def test_tiny_frames_are_frames_without_a_face(recognizer: Recognizer, shape: tuple[int, ...]) -> None:
    assert recognizer(np.zeros(shape, np.uint8)) == []


def test_crops_without_landmarks_are_stretched(recognizer: Recognizer) -> None:
    crops = [
        np.full((20, 31), 51, np.uint8),
        np.full((64, 48, 3), 204, np.uint8),
        np.full((1, 1), 255, np.uint8),
    ]
    faces = recognizer.recognize_crops(crops)
    assert [face.box for face in faces] == [(0, 0, 31, 20), (0, 0, 48, 64), (0, 0, 1, 1)]
    for face, brightness in zip(faces, (0.2, 0.8, 1.0), strict=True):
        assert list(face.probabilities.values()) == pytest.approx(_probabilities(brightness), abs=1e-4)
        assert (face.score, face.landmarks) == (1.0, ())


def test_crops_with_landmarks_are_aligned(recognizer: Recognizer) -> None:
    frame = frame_with_cells((10, 7))
    (face,) = recognizer(frame)
    points = np.array([face.landmarks])
    (same,) = recognizer.recognize_crops([frame], points)
    assert same.probabilities == face.probabilities
    np.testing.assert_allclose(same.landmarks, face.landmarks)


@pytest.mark.parametrize(
    ("landmarks", "error", "message"),
    [
        (
            np.zeros((2, 5, 2)),
            ValueError,
            r"\[1, 5, 2\] in pixels of each crop, one set a crop, got float64 \[2, 5, 2\]",
        ),
        (np.zeros((5, 2)), ValueError, r"got float64 \[5, 2\]"),
        ([[[1, 2]], [3]], ValueError, "landmarks must be finite numbers .* got lists of different lengths"),
        (np.full((1, 5, 2), np.nan), ValueError, "got NaN or infinity"),
        (np.full((1, 5, 2), "a"), TypeError, "landmarks must be finite numbers"),
    ],
)
def test_bad_landmarks(recognizer: Recognizer, landmarks: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        recognizer.recognize_crops([np.zeros((8, 8), np.uint8)], landmarks)


@pytest.mark.parametrize(
    "frame",
    [None, np.zeros((4, 4, 3), np.float32), np.zeros((0, 5), np.uint8), np.zeros((4, 4, 4), np.uint8)],
)
def test_it_is_usable_after_an_error(recognizer: Recognizer, frame: Any) -> None:
    before = recognizer(frame_with_cells((10, 7)))
    with pytest.raises((TypeError, ValueError), match="frame"):
        recognizer(frame)
    with pytest.raises((TypeError, ValueError), match="crops"):
        recognizer.recognize_crops([frame])
    assert recognizer(frame_with_cells((10, 7))) == before


def test_threshold_and_max_faces(make_recognizer: MakeRecognizer) -> None:
    frame = frame_with_cells((5, 5), grey=150) + frame_with_cells((20, 20))
    assert [len(make_recognizer(threshold=t)(frame)) for t in (0.5, 0.9)] == [2, 1]
    assert make_recognizer(max_faces=1)(frame)[0].score > 0.99


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threads": 0}, "threads must be None or a whole number from 1 to 1024, got 0"),
        ({"min_face": 3}, "min_face must be None or at least 4 px, got 3"),
        ({"min_face": math.nan}, "min_face must be"),
        ({"threshold": 0}, "threshold must be None or between 0 and 1, got 0"),
        ({"threshold": 50}, "threshold must be None or between 0 and 1, got 50"),
        ({"max_faces": 0}, "max_faces must be a whole number of at least 1, got 0"),
        ({"min_confidence": 40}, "min_confidence must be between 0 and 1, got 40"),
        ({"max_turn": -1}, "max_turn must be at least 0, got -1"),
        ({"backend": "cuda"}, "backend must be one of auto, onnxruntime, openvino, .*-rtx, got 'cuda'"),
    ],
)
def test_settings_out_of_range(
    make_recognizer: MakeRecognizer, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_recognizer(**settings)


def test_models_of_the_wrong_role(detector_file: Path, expression_file: Path) -> None:
    with pytest.raises(ModelError, match="role 'detector', expected 'expression'"):
        Recognizer(detector_file, detector=expression_file)


def test_info_and_repr_describe_the_recognizer(recognizer: Recognizer) -> None:
    info = recognizer.info()
    assert info["backend"] == "onnxruntime"
    assert info["threads"] == 1
    assert info["model"]["name"] == "bright-is-happy"
    assert len(info["detector"]["sha256"]) == 64
    for part in (
        "model='bright-is-happy'",
        "detector='bright-cells'",
        "provider='CPUExecutionProvider'",
        "threads=1",
    ):
        assert part in repr(recognizer)


def test_use_after_close_raises(make_recognizer: MakeRecognizer) -> None:
    with make_recognizer() as recognizer:
        assert recognizer.labels == LABELS
    recognizer.close()
    for use in (
        lambda: recognizer(np.zeros((4, 4), np.uint8)),
        lambda: recognizer.recognize_crops([]),
        recognizer.info,
    ):
        with pytest.raises(RuntimeError, match="this Recognizer was closed; make a new one"):
            use()
    assert "closed" in repr(recognizer)


@pytest.mark.parametrize("with_landmarks", [False, True])
def test_40_different_crops_have_40_different_results(recognizer: Recognizer, with_landmarks: bool) -> None:
    greys = [6 * number for number in range(40)]
    crops = [np.full((20 + number, 30), grey, np.uint8) for number, grey in enumerate(greys)]
    landmarks = LANDMARKS + 10 + np.arange(40)[:, None, None] if with_landmarks else None
    faces = recognizer.recognize_crops(crops, landmarks)
    assert len(faces) == 40 > BATCH
    for number, (face, grey) in enumerate(zip(faces, greys, strict=True)):
        assert list(face.probabilities.values()) == pytest.approx(_probabilities(grey / 255), abs=1e-4)
        assert face.box == (0, 0, 30, 20 + number)
        assert {type(value) for value in (*face.box, face.score, face.confidence)} == {float}
        assert face.score == 1
        if with_landmarks:
            np.testing.assert_allclose(face.landmarks, LANDMARKS + 10 + number)
        else:
            assert face.landmarks == ()


def test_an_exact_batch_and_one_more(recognizer: Recognizer) -> None:
    for count in (BATCH, BATCH + 1):
        crops = [np.full((8, 8), number, np.uint8) for number in range(count)]
        happiness = [face.probabilities["happiness"] for face in recognizer.recognize_crops(crops)]
        assert happiness == sorted(happiness)
        assert len(set(happiness)) == count


@pytest.mark.skipif(ops.target == "reference", reason="the reference allocates arrays in every step")
def test_the_luma_of_a_colour_frame_reuses_memory(recognizer: Recognizer) -> None:
    frame = np.zeros((1000, 1500, 3), np.uint8)
    recognizer(frame)
    tracemalloc.start()
    try:
        recognizer(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The luma alone has 1.5 MB.
    assert peak < 500_000
