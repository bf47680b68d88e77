"""The embedded models on pictures that scikit-image ships: a smiling astronaut, and things without a face."""

import hashlib

import numpy as np
import pytest
from skimage import data

from fer_edge import Recognizer, models
from fer_edge.models import WEIGHTS

NO_FACE = (
    "coffee",
    "rocket",
    "chelsea",
    "horse",
    "grass",
    "brick",
    "gravel",
    "moon",
    "page",
    "text",
    "clock",  # face-luma 1.0 took the dial for a face
)


def _bgr(name: str) -> np.ndarray:
    picture = getattr(data, name)()
    if picture.dtype == bool:
        picture = picture.astype(np.uint8) * 255
    return np.ascontiguousarray(picture[..., ::-1]) if picture.ndim == 3 else picture


@pytest.fixture(scope="module")
def embedded() -> Recognizer:
    """A recogniser with the default models."""
    return Recognizer(threads=1)


def test_the_astronaut_is_one_happy_face(embedded: Recognizer) -> None:
    (face,) = embedded(_bgr("astronaut"))
    assert face.label == "happiness"
    assert face.confidence > 0.6
    assert face.abstain_reason is None
    # Read from the picture by eye: box, right eye, left eye, nose tip, right and left mouth corner.
    assert face.box == pytest.approx((177, 62, 273, 178), abs=16)
    expected = np.array([(202, 100), (246, 102), (224, 122), (204, 140), (241, 142)])
    assert np.linalg.norm(np.array(face.landmarks) - expected, axis=1).max() < 8


@pytest.mark.parametrize("scale", [0.25, 0.5, 2])
def test_the_astronaut_at_other_sizes(embedded: Recognizer, scale: float) -> None:
    import cv2

    small = cv2.resize(_bgr("astronaut"), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    (face,) = embedded(small)
    assert face.label == "happiness"
    assert np.array(face.box) / scale == pytest.approx((177, 62, 273, 178), abs=20)


def test_the_astronaut_as_grey_nv12_and_crop(embedded: Recognizer) -> None:
    frame = _bgr("astronaut")
    (face,) = embedded(frame)
    from fer_edge import ops

    grey = ops.luma_from_bgr(frame)
    nv12 = np.concatenate([grey, np.full((256, 512), 128, np.uint8)])
    assert embedded(grey) == [face]
    assert embedded(nv12, layout="nv12") == [face]
    (crop,) = embedded.recognize_crops([frame], np.array([face.landmarks]))
    assert list(crop.probabilities.values()) == pytest.approx(list(face.probabilities.values()), abs=1e-4)
    x0, y0, x1, y1 = map(round, face.box)
    (tight,) = embedded.recognize_crops([frame[y0:y1, x0:x1]])
    assert tight.label == "happiness"


@pytest.mark.parametrize("name", NO_FACE)
def test_no_face_in_pictures_without_one(embedded: Recognizer, name: str) -> None:
    assert embedded(_bgr(name)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (7, 7, 3)])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_no_face_in_a_tiny_or_flat_frame(embedded: Recognizer, shape: tuple[int, ...], grey: int) -> None:
    assert embedded(np.full(shape, grey, np.uint8)) == []
    assert embedded(np.full((240, 320), grey, np.uint8)) == []


def test_a_face_does_not_depend_on_the_other_faces(embedded: Recognizer) -> None:
    frame = _bgr("astronaut")
    (alone,) = embedded(frame)
    points = np.array([alone.landmarks])
    others = [np.full((64, 64), grey, np.uint8) for grey in (0, 60, 255)]
    crowd = embedded.recognize_crops(
        [*others, frame], np.concatenate([np.tile(points / 8, (3, 1, 1)), points])
    )
    assert list(crowd[-1].probabilities.values()) == pytest.approx(
        list(alone.probabilities.values()), abs=1e-5
    )


def test_the_kernel_targets_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    from fer_edge import ops
    from fer_edge.ops import reference

    # In float32, because in int8 a difference in the last digit may become a whole level.
    exact = Recognizer("tkfnet-nano-float32", threads=1)
    (compiled,) = exact(_bgr("astronaut"))
    for name in ("luma_from_bgr", "warp_normalize", "decode_faces"):
        monkeypatch.setattr(ops, name, getattr(reference, name))
    (readable,) = exact(_bgr("astronaut"))
    assert readable.box == pytest.approx(compiled.box, abs=0.05)
    assert list(readable.probabilities.values()) == pytest.approx(
        list(compiled.probabilities.values()), abs=1e-3
    )


def test_the_shipped_files_are_those_of_the_list() -> None:
    lines = (WEIGHTS / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in map(str.split, lines)}
    assert sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in WEIGHTS.glob("*.onnx")
    }
    assert models.embedded() == ("face-luma", "tkfnet-nano", "tkfnet-nano-float32")
