"""FER+: reading the packed form, leaving copies out, and the crops."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fer_edge import ops
from training.copies import copies_between
from training.crops import Jitter, crop_matrices, erase, jittered_matrices, photometric, sample
from training.ferplus import LABELS, Split, load_prepared, read_packed
from training.prepare_ferplus import without_copies


def smooth(seed: int, count: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 7, 7), dtype=np.uint8)
    return np.stack([cv2.resize(c, (48, 48), interpolation=cv2.INTER_CUBIC) for c in coarse])


def as_split(images: np.ndarray) -> Split:
    n = len(images)
    votes = np.eye(8, dtype=np.float32)[np.arange(n) % 8]
    return Split(images, votes, np.arange(n) % 8, np.arange(n), np.full((n, 5, 2), np.nan, np.float32))


def test_reading_applies_the_rules(tmp_path: Path):
    votes = np.zeros((5, 10), np.uint8)
    votes[0, 1] = 10  # happiness
    votes[1, [0, 8]] = 4, 6  # majority "unknown": left out
    votes[2, [4, 5, 9]] = 6, 2, 2  # anger; "not a face" does not count
    votes[3, 3] = 10  # copy of a held-out picture: left out
    votes[4, [2, 6]] = 5, 5  # equals: the first in FER+ order
    np.savez(
        tmp_path / "train-0.npz",
        images=smooth(0, 5),
        votes=votes,
        fer2013_label=np.array([3, 6, 0, 4, 2], np.int8),
        row=np.arange(5),
        copy_of_heldout=np.array([0, 0, 0, 1, 0], bool),
    )
    split = read_packed(tmp_path, "train")
    assert split.rows.tolist() == [0, 2, 4]
    assert [LABELS[k] for k in split.labels] == ["happiness", "anger", "surprise"]
    np.testing.assert_allclose(split.votes.sum(1), 1)
    assert split.votes[1, LABELS.index("anger")] == pytest.approx(0.75)
    assert [LABELS[k] for k in split.fer2013] == ["happiness", "anger", "fear"]


def test_missing_data_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"valid\.npz"):
        read_packed(tmp_path, "valid")
    with pytest.raises(FileNotFoundError, match="prepare_ferplus"):
        load_prepared(tmp_path, "valid")


def test_near_copies_are_found_and_others_are_not():
    originals = smooth(1, 40)
    brighter = np.clip(originals[3] * 0.8 + 30, 0, 255).astype(np.uint8)
    mirrored = np.ascontiguousarray(originals[5][:, ::-1])
    compressed = cv2.imdecode(cv2.imencode(".jpg", originals[7], [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 0)
    shifted = np.roll(originals[9], 1, axis=1)
    others = np.stack([brighter, mirrored, compressed, shifted, *smooth(2, 40)])
    pairs = {(i, j) for i, j, _ in copies_between(originals, others)}
    assert pairs == {(3, 0), (5, 1), (7, 2), (9, 3)}


def test_training_rows_that_show_a_test_picture_are_left_out():
    train, test = smooth(3, 30), smooth(4, 10)
    train[11] = test[6]
    kept, count = without_copies(as_split(train), [as_split(test)])
    assert count == 1
    assert kept.rows.tolist() == [k for k in range(30) if k != 11]


def test_the_training_crop_is_the_runtimes_crop():
    split = as_split(smooth(5, 6))
    landmarks = np.array([(15, 19), (31, 17), (23, 28), (17, 36), (30, 35)], np.float32)
    split.landmarks[:4] = landmarks + np.arange(4, dtype=np.float32)[:, None, None]
    matrices = crop_matrices(split, 64)
    ours = sample(torch.from_numpy(split.images), torch.from_numpy(matrices), 64).numpy()
    theirs = np.full_like(ours, np.nan)
    for k in range(6):
        ops.warp_normalize(
            split.images[k], matrices[k : k + 1], theirs[k : k + 1], mean=0.0, scale=1.0, border="edge"
        )
    np.testing.assert_allclose(ours, theirs, atol=0.2)


def test_no_jitter_gives_the_crop_or_its_mirror():
    split = as_split(smooth(6, 12))
    still = Jitter(rotation=0, zoom=0, shift=0, shear=0, unaligned=0)
    matrices = torch.from_numpy(crop_matrices(split, 64))
    moved = jittered_matrices(matrices, matrices, 64, still, torch.Generator().manual_seed(0))
    images = torch.from_numpy(split.images)
    plain, ours = sample(images, matrices, 64), sample(images, moved, 64)
    same = (ours - plain).abs().amax((1, 2, 3)) < 0.1
    mirrored = (ours - plain.flip(3)).abs().amax((1, 2, 3)) < 0.1
    assert (same | mirrored).all()
    assert same.any()
    assert mirrored.any()


def test_photometric_is_reproducible_and_finite():
    luma = torch.from_numpy(smooth(7, 16))[:, None].float()
    one, two = (photometric(luma, Jitter(), torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.isfinite(one).all()
    assert one.abs().max() < 12


def test_erasing_covers_about_the_stated_share():
    x = torch.zeros(400, 1, 64, 64)
    covered = (erase(x, 1.0, torch.Generator().manual_seed(2)) != 0).float().mean((1, 2, 3))
    assert 0.05 < covered.mean() < 0.12
    assert covered.max() < 0.25
    assert (erase(x, 0.0, torch.Generator().manual_seed(2)) == 0).all()
