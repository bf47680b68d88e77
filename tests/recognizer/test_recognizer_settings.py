"""Each setting of a Recognizer and each number of a model's spec reaches its stage."""

import gc
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import DETECTOR_SPEC, EXPRESSION_SPEC, LABELS, detector_graph, expression_graph, frame_with_cells

from fer_edge import ModelError, Recognizer

MakeRecognizer = Callable[..., Recognizer]
WriteModel = Callable[..., Path]
FRAME = frame_with_cells((10, 7))


def _probabilities(brightness: float, temperature: float = 1.0) -> np.ndarray:
    """The output of the tiny expression network for a crop of this mean brightness in [0, 1]."""
    powers = np.exp(np.array([2, 8 * brightness, 0, 0, 0, 0, 0, 0]) / temperature)
    return powers / powers.sum()


def _values(recognizer: Recognizer, grey: int) -> list[float]:
    (face,) = recognizer.recognize_crops([np.full((20, 20), grey, np.uint8)])
    return list(face.probabilities.values())


def test_mean_and_scale_of_the_expression_network(
    make_recognizer: MakeRecognizer, write_model: WriteModel
) -> None:
    spec = replace(EXPRESSION_SPEC, mean=51.0, scale=1 / 204)
    recognizer = make_recognizer(model=write_model(expression_graph(), spec))
    assert _values(recognizer, 153) == pytest.approx(_probabilities(0.5), abs=1e-4)
    assert _values(recognizer, 51) == pytest.approx(_probabilities(0.0), abs=1e-4)


@pytest.mark.parametrize("confidence_temperature", [None, 4.0])
def test_the_temperatures(
    make_recognizer: MakeRecognizer, write_model: WriteModel, confidence_temperature: float | None
) -> None:
    spec = replace(EXPRESSION_SPEC, temperature=2.0, confidence_temperature=confidence_temperature)
    recognizer = make_recognizer(model=write_model(expression_graph(), spec))
    (face,) = recognizer.recognize_crops([np.full((20, 20), 255, np.uint8)])
    assert list(face.probabilities.values()) == pytest.approx(_probabilities(1, 2), abs=1e-5)
    # Without a temperature of its own the confidence is the probability of the label.
    assert face.confidence == pytest.approx(_probabilities(1, confidence_temperature or 2).max(), abs=1e-5)


@pytest.mark.parametrize(("of_the_model", "reason"), [(0.45, None), (0.55, "expression unclear")])
def test_the_models_own_min_confidence(
    make_recognizer: MakeRecognizer, write_model: WriteModel, of_the_model: float, reason: str | None
) -> None:
    model = write_model(expression_graph(), replace(EXPRESSION_SPEC, min_confidence=of_the_model))
    # Two white pixels, because a crop of little contrast is stretched. The mean is 2 / 256, so the confidence
    # is exp(2) / (exp(2) + exp(16 / 256) + 6) = 0.51.
    crop = np.zeros((16, 16), np.uint8)
    crop[8, 8:10] = 255
    (face,) = make_recognizer(model=model, min_confidence=None).recognize_crops([crop])
    assert face.confidence == pytest.approx(0.5112, abs=1e-3)
    assert face.abstain_reason == reason


def test_the_setting_overrules_the_models_min_confidence(
    make_recognizer: MakeRecognizer, write_model: WriteModel
) -> None:
    model = write_model(expression_graph(), replace(EXPRESSION_SPEC, min_confidence=0.9))
    for setting, reason in ((0.0, None), (0.52, "expression unclear")):
        (face,) = make_recognizer(model=model, min_confidence=setting)(FRAME)
        assert face.abstain_reason == reason


@pytest.mark.parametrize(
    ("distance", "sharp", "reason"),
    [(9.9, True, "face too small"), (10.1, True, None), (20, False, "face too blurred")],
)
def test_the_default_limits(
    detector_file: Path, expression_file: Path, distance: float, sharp: bool, reason: str | None
) -> None:
    template = np.array(EXPRESSION_SPEC.template)
    points = (template - 0.5) * distance / (template[1, 0] - template[0, 0]) + 50
    crop = (
        np.random.default_rng(1).integers(0, 256, (100, 100), np.uint8)
        if sharp
        else np.full((100, 100), 9, np.uint8)
    )
    with Recognizer(expression_file, detector=detector_file, threads=1, min_confidence=0) as recognizer:
        (face,) = recognizer.recognize_crops([crop], points[None])
    assert face.abstain_reason == reason


@pytest.mark.parametrize(("yaw", "reason"), [(0.95, None), (1.05, "face too far turned")])
def test_the_default_limit_of_the_turn(
    detector_file: Path, expression_file: Path, yaw: float, reason: str | None
) -> None:
    points = np.array([(-20, -20), (20, -20), (20 * yaw, 0), (-20, 20), (20, 20)]) + 50.0
    crop = np.random.default_rng(1).integers(0, 256, (100, 100), np.uint8)
    with Recognizer(expression_file, detector=detector_file, threads=1, min_confidence=0) as recognizer:
        (face,) = recognizer.recognize_crops([crop], points[None])
    assert face.abstain_reason == reason


def test_max_faces_keeps_the_best(make_recognizer: MakeRecognizer) -> None:
    frame = np.maximum(frame_with_cells((5, 5), (5, 25), grey=150), frame_with_cells((20, 20), (30, 8)))
    assert len(make_recognizer()(frame)) == 4
    for count in (1, 2, 3):
        faces = make_recognizer(max_faces=count)(frame)
        assert len(faces) == count
        assert [face.score > 0.99 for face in faces] == [True, True, False][:count]


def test_64_faces_are_kept_by_default(make_recognizer: MakeRecognizer) -> None:
    cells = [(4 * column + 2, 4 * row + 2) for row in range(7) for column in range(10)]
    frame = frame_with_cells(*cells)
    assert len(make_recognizer(max_faces=np.int64(100))(frame)) == 70
    assert len(make_recognizer()(frame)) == 64


def test_min_face_reaches_the_detector(make_recognizer: MakeRecognizer) -> None:
    frame = np.kron(frame_with_cells((10, 7), width=200, height=160), np.ones((2, 2), np.uint8))
    (face,) = make_recognizer(min_face=32)(frame)
    assert face.box == pytest.approx((136, 88, 200, 152), abs=0.01)
    # By default the frame of 400 px is reduced to 320.
    assert make_recognizer()(frame)[0].box != pytest.approx((136, 88, 200, 152), abs=2)


def test_min_face_share_reaches_the_detector(make_recognizer: MakeRecognizer) -> None:
    frame = frame_with_cells((10, 7), width=800, height=640)
    # At the default the frame is reduced to 320 px, and the cell to 3.
    assert make_recognizer()(frame) == []
    (face,) = make_recognizer(min_face_share=16 / 800)(frame)
    assert face.box == pytest.approx((68, 44, 100, 76), abs=0.01)
    # min_face, where it is given, decides alone.
    assert make_recognizer(min_face_share=16 / 800, min_face=40)(frame) == []


@pytest.mark.parametrize(
    ("own", "setting", "count"), [(0.9, None, 1), (0.9, 0.5, 2), (0.5, None, 2), (0.5, 0.9, 1)]
)
def test_threshold_of_the_model_and_of_the_caller(
    make_recognizer: MakeRecognizer, write_model: WriteModel, own: float, setting: float | None, count: int
) -> None:
    # Scores 0.85 and 1.
    frame = np.maximum(frame_with_cells((5, 5), grey=150), frame_with_cells((20, 20)))
    detector = write_model(detector_graph(), replace(DETECTOR_SPEC, threshold=own))
    assert len(make_recognizer(detector=detector, threshold=setting)(frame)) == count


@pytest.mark.parametrize(
    "settings",
    [
        {"threads": None, "min_face": None, "threshold": None, "max_faces": 1},
        {"threads": 1, "min_face": 4, "threshold": 1e-6, "min_confidence": 0},
        {
            "threads": np.int64(1),
            "min_face": np.float32(4),
            "threshold": np.float32(0.999),
            "min_confidence": 1,
        },
        {"min_face": np.int64(1e6), "max_faces": 10**6},
        {"min_face_share": 1},
        {"min_face_share": np.float32(1e-3)},
    ],
)
def test_settings_at_the_ends_of_their_ranges(
    make_recognizer: MakeRecognizer, settings: dict[str, object]
) -> None:
    assert make_recognizer(**settings).labels == LABELS


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threads": 1.0}, "threads must be"),
        ({"threads": -1}, "threads must be"),
        ({"threads": "1"}, "threads must be"),
        ({"threads": True}, "threads must be None or a whole number from 1 to 1024, got True"),
        ({"threads": 1025}, "threads must be"),
        ({"threads": 10**30}, "threads must be"),
        ({"min_face": 3.99}, "min_face must be"),
        ({"min_face": math.inf}, "min_face must be"),
        ({"min_face": "20"}, "min_face must be"),
        ({"threshold": 1}, "threshold must be"),
        ({"threshold": "0.5"}, "threshold must be"),
        ({"min_face_share": 0}, "min_face_share must be a number above 0 and at most 1, got 0"),
        ({"min_face_share": 1.01}, "min_face_share must be"),
        ({"min_face_share": None}, "min_face_share must be"),
        ({"min_face_share": True}, "min_face_share must be"),
        ({"max_faces": True}, "max_faces must be"),
        ({"max_faces": 1.0}, "max_faces must be"),
        ({"max_faces": None}, "max_faces must be"),
        ({"min_confidence": -0.01}, "min_confidence must be"),
        ({"min_eye_px": math.nan}, "min_eye_px must be"),
        ({"min_sharpness": -1}, "min_sharpness must be"),
        ({"backend": [1]}, r"backend must be one of auto, .*, got \[1\]"),
        ({"backend": np.array(["auto", "auto"])}, "backend must be one of auto, .*, got array"),
        ({"build": np.array([1, 2])}, "build must be one of background, block, never, got array"),
        ({"build": None}, "build must be one of background, block, never, got None"),
        ({"engines": ""}, "engines must be None or the path of a folder, got ''"),
    ],
)
def test_settings_beyond_their_ranges(
    make_recognizer: MakeRecognizer, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_recognizer(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engines": 1.5}, "engines must be None or the path of a folder, got 1.5"),
        ({"fallback": math.nan}, "fallback must be True or False, got nan"),
        ({"fallback": None}, "fallback must be True or False, got None"),
        ({"model": 1.5}, "model must be the name of a model or a path, got 1.5"),
        ({"detector": None}, "detector must be the name of a model or a path, got None"),
    ],
)
def test_settings_of_a_wrong_kind(
    make_recognizer: MakeRecognizer, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        make_recognizer(**settings)


def _threads_of_this_process() -> int:
    gc.collect()
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.parametrize(("threads", "more"), [(1, 0), (None, 0), (2, 2), (3, 4)])
def test_both_engines_use_the_threads_and_close_ends_them(
    make_recognizer: MakeRecognizer, threads: int | None, more: int
) -> None:
    before = _threads_of_this_process()
    recognizer = make_recognizer(threads=threads)
    # One of the threads of an engine is the calling thread.
    assert _threads_of_this_process() - before == more
    assert recognizer.info()["threads"] == (threads or 1)
    assert f"threads={threads or 1}" in repr(recognizer)
    recognizer.close()
    assert _threads_of_this_process() == before


def test_leaving_the_with_block_closes(make_recognizer: MakeRecognizer) -> None:
    before = _threads_of_this_process()
    with make_recognizer(threads=2):
        assert _threads_of_this_process() > before
    assert _threads_of_this_process() == before


def test_both_networks_are_warmed_up(make_recognizer: MakeRecognizer, write_model: WriteModel) -> None:
    with pytest.raises(ModelError, match="NaN or infinity"):
        make_recognizer(detector=write_model(detector_graph(float("nan")), DETECTOR_SPEC))
    with pytest.raises(ModelError, match=r"must give float32 \[2, 8\]"):
        make_recognizer(model=write_model(expression_graph(classes=7), EXPRESSION_SPEC))


def test_the_embedded_models_are_the_default() -> None:
    with Recognizer() as recognizer:
        info = recognizer.info()
    assert (info["model"]["name"], info["detector"]["name"]) == ("tkfnet-nano", "face-luma")
    assert (info["backend"], info["threads"]) == ("onnxruntime", 1)


def test_info_names_both_models(
    make_recognizer: MakeRecognizer, write_model: WriteModel, detector_file: Path
) -> None:
    from fer_edge import models, ops

    path = write_model(expression_graph(), replace(EXPRESSION_SPEC, version="7"))
    recognizer = make_recognizer(model=path)
    info = recognizer.info()
    assert info["ops"] == ops.target
    assert f"ops={ops.target!r}" in repr(recognizer)
    for key, file, version in (("model", path, "7"), ("detector", detector_file, "0")):
        model = models.read(file)
        assert info[key] == {
            "name": model.spec.name,
            "version": version,
            "precision": "float32",
            "sha256": model.sha256,
        }
