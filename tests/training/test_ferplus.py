"""Crops of FER+ pictures and their distortions; reading them is in test_data_ferplus.py."""

import cv2
import numpy as np
import torch

from fer_edge import ops
from training.augment import Draw, Jitter, erase, jittered_matrices, photometric
from training.crops import crop_matrices, sample
from training.data.split import UNKNOWN, Split


def smooth(seed: int, count: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 7, 7), dtype=np.uint8)
    return np.stack([cv2.resize(c, (48, 48), interpolation=cv2.INTER_CUBIC) for c in coarse])


def as_split(images: np.ndarray) -> Split:
    n = len(images)
    votes = np.eye(8, dtype=np.float32)[np.arange(n) % 8]
    landmarks = np.full((n, 5, 2), np.nan, np.float32)
    return Split(images, votes, np.arange(n) % 8, np.arange(n), np.full(n, UNKNOWN), landmarks)


def draw(count: int, seed: int) -> Draw:
    return Draw(count, slice(None), torch.Generator().manual_seed(seed))


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
    moved = jittered_matrices(matrices, matrices, 64, still, draw(12, 0))
    images = torch.from_numpy(split.images)
    plain, ours = sample(images, matrices, 64), sample(images, moved, 64)
    same = (ours - plain).abs().amax((1, 2, 3)) < 0.1
    mirrored = (ours - plain.flip(3)).abs().amax((1, 2, 3)) < 0.1
    assert (same | mirrored).all()
    assert same.any()
    assert mirrored.any()


def test_photometric_is_reproducible_and_finite():
    luma = torch.from_numpy(smooth(7, 16))[:, None].float()
    one, two = (photometric(luma, Jitter(), draw(16, 1)) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.isfinite(one).all()
    assert one.abs().max() < 12


def test_erasing_covers_about_the_stated_share():
    x = torch.zeros(400, 1, 64, 64)
    covered = (erase(x, 1.0, draw(400, 2)) != 0).float().mean((1, 2, 3))
    assert 0.05 < covered.mean() < 0.12
    assert covered.max() < 0.25
    assert (erase(x, 0.0, draw(400, 2)) == 0).all()
