"""Photographs, their split, and the canvases made from them."""

from pathlib import Path

import numpy as np
import pytest

from training.detector.augment import MIN_FACE, PhotoPool, make_canvas
from training.detector.photos import load_photos


def test_splits_share_no_picture_and_lose_none(photographs: Path):
    splits = {name: load_photos(photographs, name) for name in ("train", "valid", "test")}
    seen = [photo.image.tobytes() for photos in splits.values() for photo in photos]
    assert len(seen) == len(set(seen)) == 60
    assert len(splits["train"]) > len(splits["test"])


def test_doubtful_faces_are_marked(photographs: Path):
    certain = np.concatenate([p.certain for p in load_photos(photographs, "train")])
    assert certain.any()
    assert not certain.all()


def test_a_folder_without_data_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"faces-\*\.npz"):
        load_photos(tmp_path, "train")


def test_unknown_split(photographs: Path):
    with pytest.raises(ValueError, match="train"):
        load_photos(photographs, "dev")


def test_canvas_is_a_function_of_the_generator(photographs: Path):
    photos = PhotoPool(load_photos(photographs, "train"))
    one, two = (make_canvas(photos, 128, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.boxes, two.boxes)


def test_landmarks_stay_on_the_dots(photographs: Path):
    photos = PhotoPool(load_photos(photographs, "train"))
    darker = total = 0
    for seed in range(60):
        canvas = make_canvas(photos, 256, np.random.default_rng(seed))
        for box, points in zip(canvas.boxes, canvas.landmarks, strict=True):
            size = box[2] - box[0]
            inside = ((points > 3) & (points < 252)).all()
            if size < 40 or not inside:
                continue
            at = canvas.image[tuple(np.floor(points[:, ::-1]).astype(int).T)].astype(float)
            # Between the mouth corners is skin, which is brighter than the dots at any exposure.
            skin = canvas.image[tuple(np.floor(points[3:].mean(0)[::-1]).astype(int))]
            darker += int((at < skin - 2).sum())
            total += 5
    assert total > 100
    # Occlusion, noise and very dark exposures hide a few.
    assert darker / total > 0.8


def test_right_and_left_survive_the_mirror(photographs: Path):
    photos = PhotoPool(load_photos(photographs, "train"))
    for seed in range(40):
        canvas = make_canvas(photos, 256, np.random.default_rng(seed))
        eyes = canvas.landmarks[:, 1] - canvas.landmarks[:, 0]
        mouth = canvas.landmarks[:, 3:].mean(1) - canvas.landmarks[:, :2].mean(1)
        # In an upright face, the person's right eye is on the picture's left, so the turn from eyes to mouth
        # is positive.
        assert (eyes[:, 0] * mouth[:, 1] - eyes[:, 1] * mouth[:, 0] > 0).all()


def test_kept_faces_are_large_enough(photographs: Path):
    photos = PhotoPool(load_photos(photographs, "train"))
    for seed in range(20):
        boxes = make_canvas(photos, 128, np.random.default_rng(seed)).boxes
        assert ((boxes[:, 2:] - boxes[:, :2]) >= MIN_FACE - 1e-3).all()
