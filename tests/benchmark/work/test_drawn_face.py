"""The drawn face: the embedded detector finds each one, at the place where it was drawn."""

import numpy as np
import pytest

from fer_edge import Recognizer
from fer_edge.benchmark.work.clips import drawn_clip
from fer_edge.benchmark.work.drawn_face import Place, face_crop, frame_with_faces, moving_places


@pytest.fixture(scope="module")
def embedded() -> Recognizer:
    """The embedded networks with default settings."""
    return Recognizer()


@pytest.mark.parametrize("count", [0, 1, 4, 8, 16])
@pytest.mark.parametrize("size", [(480, 640), (720, 1280)])
def test_every_face_is_found(embedded: Recognizer, count: int, size: tuple[int, int]) -> None:
    for time in (0.0, 0.5):
        places = moving_places(count, *size, time)
        faces = embedded(frame_with_faces(*size, places))
        assert len(faces) == count
        boxes = np.array([face.box for face in faces]).reshape(count, 4)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        for place in places:
            apart = np.hypot(*(centres - (place.x, place.y)).T).min()
            assert apart < 0.2 * place.side
        # A face whose crop is refused would measure another path; what the network makes of it takes no time.
        assert {face.abstain_reason for face in faces} <= {None, "expression unclear"}


def test_a_turned_face_and_one_beyond_the_frame(embedded: Recognizer) -> None:
    (turned,) = embedded(frame_with_faces(480, 640, [Place(320, 240, 150, 0.3)]))
    right, left = np.array(turned.landmarks)[:2]
    assert np.arctan2(*(left - right)[::-1]) == pytest.approx(0.3, abs=0.1)
    assert embedded(frame_with_faces(480, 640, [Place(900, 240, 150)])) == []


def test_a_crop_is_a_face(embedded: Recognizer) -> None:
    (face,) = embedded.recognize_crops([face_crop(64)])
    assert face.abstain_reason is None


def test_a_clip_goes_forwards_and_backwards() -> None:
    clip = drawn_clip(1, 160, 120)
    assert (clip.name, len(clip.frames), clip.frames[0].shape) == ("160x120, 1 face", 30, (120, 160, 3))
    frames = clip.endless()
    played = [next(frames) for _ in range(61)]
    numbers = [next(n for n, f in enumerate(clip.frames) if f is frame) for _, frame in played]
    assert numbers == [*range(30), *range(28, 0, -1), 0, 1, 2]
    assert [time for time, _ in played] == pytest.approx([number / 30 for number in range(61)])


def test_frames_differ_by_noise() -> None:
    first, second = (frame_with_faces(60, 80, [], seed=seed).astype(int) for seed in (0, 1))
    assert 1 < np.abs(first - second).mean() < 6
