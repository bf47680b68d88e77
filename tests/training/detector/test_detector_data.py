"""Photographs, their split, and the canvases made from them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.detector.augment import MIN_FACE, NEGATIVE_SHARE, PhotoPool, make_canvas
from training.detector.canvases import Batches, Plan, canvas_loader
from training.detector.clutter import draw_round_things
from training.detector.photos import load_photos, without_copies


def test_splits_share_no_picture_and_lose_none(photographs: Path):
    splits = {name: load_photos(photographs, name) for name in ("train", "valid", "test")}
    seen = [photo.image.tobytes() for photos in splits.values() for photo in photos]
    assert len(seen) == len(set(seen)) == 60
    assert len(splits["train"]) > len(splits["test"])


def test_pictures_that_another_split_shows_nearly_the_same_are_left_out(photographs: Path):
    train, test = (load_photos(photographs, name) for name in ("train", "test"))
    assert len(without_copies(test, train)) == len(test)
    # Mirrored, cut by two pixels, and brighter.
    changed = np.clip(train[0].image[2:-2, -3:1:-1].astype(int) + 12, 0, 255).astype(np.uint8)
    assert [photo.number for photo in without_copies([*test, replace(train[0], image=changed)], train)] == [
        photo.number for photo in test
    ]


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


def test_pictures_without_a_face_are_drawn_more_often(photographs: Path):
    photos = load_photos(photographs, "train")
    rng = np.random.default_rng(0)
    pool = PhotoPool([p for p in photos if not p.negative] * 9 + [p for p in photos if p.negative])
    share = np.mean([pool.draw(rng).negative for _ in range(4000)])
    assert share == pytest.approx(NEGATIVE_SHARE, abs=4 * np.sqrt(NEGATIVE_SHARE / 4000))
    assert not any(PhotoPool([p for p in photos if not p.negative]).draw(rng).negative for _ in range(99))


def test_some_faces_are_cut_by_an_edge_and_some_are_upside_down(photographs: Path):
    photos = PhotoPool([p for p in load_photos(photographs, "train") if p.certain.any()])
    cut = total = turned = 0
    for seed in range(200):
        canvas = make_canvas(photos, 128, np.random.default_rng(seed))
        cut += int(((canvas.boxes < -1) | (canvas.boxes > 129)).any(1).sum())
        mouth = canvas.landmarks[:, 3:].mean(1) - canvas.landmarks[:, :2].mean(1)
        turned += int((mouth[:, 1] < 0).sum())
        total += len(canvas.boxes)
    assert 0.05 < cut / total < 0.5
    assert 0 < turned / total < 0.1


def test_faces_that_the_dark_hides_are_ignored(photographs: Path):
    photos = PhotoPool([p for p in load_photos(photographs, "train") if p.certain.any()])
    for seed in range(60):
        canvas = make_canvas(photos, 128, np.random.default_rng(seed))
        for x0, y0, x1, y1 in canvas.boxes.clip(0, 127).astype(int):
            assert canvas.image[y0 : y1 + 1, x0 : x1 + 1].std() > 1.9


def test_round_things_change_a_copy():
    plain = np.full((60, 90), 128, np.uint8)
    drawn = draw_round_things(plain, np.random.default_rng(2))
    assert (plain == 128).all()
    assert (drawn != 128).mean() > 0.05


PLAN = Plan(epochs=3, epoch_size=10, batch_size=4, canvas_size=96, final_epochs=1, final_strength=0.3, seed=5)


def test_batches_count_epochs_and_leave_out_the_rest():
    assert list(Batches(PLAN, 1)) == [list(range(k, k + 4)) for k in (10, 14, 20, 24)]
    assert len(Batches(PLAN, 1)) == 4


def test_neither_workers_nor_a_resumed_run_change_the_canvases(photographs: Path):
    photos = PhotoPool(load_photos(photographs, "train"))
    runs = [
        list(canvas_loader(photos, PLAN, first, workers, False))
        for first, workers in ((0, 0), (0, 2), (2, 0))
    ]
    for (image, faces), (other, same) in zip(runs[0], runs[1], strict=True):
        assert (image == other).all()
        assert (faces.boxes == same.boxes).all()
        assert (faces.landmarks == same.landmarks).all()
    assert (runs[0][4][0] == runs[2][0][0]).all()
    assert (runs[0][0][0] != runs[0][2][0]).any()
