"""The training crop equals the crop of the runtime."""

import cv2
import numpy as np
import torch

from fer_edge import ops
from training.data.crops import crop_matrices, sample
from training.data.split import UNKNOWN, Split


def smooth(seed: int, count: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 7, 7), dtype=np.uint8)
    return np.stack([cv2.resize(c, (48, 48), interpolation=cv2.INTER_CUBIC) for c in coarse])


def as_split(images: np.ndarray) -> Split:
    n = len(images)
    votes = np.eye(8, dtype=np.float32)[np.arange(n) % 8]
    landmarks = np.full((n, 5, 2), np.nan, np.float32)
    return Split(images, votes, np.arange(n) % 8, np.arange(n), np.full(n, UNKNOWN), landmarks)


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
