"""Network inputs from pictures: the runtime's crop, sampled once through one matrix.

Bilinear, with the half-pixel convention of ``fer_edge.ops.reference``. Random geometry is composed into the
same matrix (``training.loop.augment``), so that a picture is resampled only once in training, as in use.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fer_edge.arrays import F32
from fer_edge.stages.align import matrices_from_boxes, matrices_from_landmarks
from fer_edge.stages.preprocess import EXPOSED, FLAT
from training.data.split import Split

# Positions of the five landmarks as shares of the crop's side: the median over FER+ pictures, made symmetric,
# so that aligned crops show about the same part of the face as the pictures do.
TEMPLATE = ((0.317, 0.389), (0.683, 0.389), (0.5, 0.594), (0.345, 0.758), (0.655, 0.758))
MEAN, SCALE = 129.0, 1 / 64.0  # mean and standard deviation of FER2013's luma, rounded


def crop_matrices(split: Split, size: int, aligned: bool = True) -> F32:
    """f32 [n, 2, 3] from crop to picture: by the landmarks where they are known, else of the whole
    picture.
    """
    box = np.array([[0, 0, split.side, split.side]], np.float32)
    matrices = np.repeat(matrices_from_boxes(box, size), len(split), axis=0)
    if aligned:
        found = split.found
        matrices[found] = matrices_from_landmarks(
            split.landmarks[found], np.array(TEMPLATE, np.float32), size
        )
    return matrices


def sample(images: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Samples u8 [n, H, W] through matrices f32 [n, 2, 3] (crop to picture pixels) as luma f32 [n, 1, size,
    size].
    """
    height, width = images.shape[1:]
    device = matrices.device
    # grid_sample expects both coordinates in [-1, 1], where -1 and 1 are the outer edges of the border
    # pixels.
    to_unit = torch.tensor([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]], device=device)
    from_unit = torch.tensor([[size / 2, 0, size / 2], [0, size / 2, size / 2], [0, 0, 1]], device=device)
    last = torch.tensor([0.0, 0, 1], device=device).expand(len(matrices), 1, 3)
    theta = (to_unit @ torch.cat([matrices, last], dim=1) @ from_unit)[:, :2]
    grid = F.affine_grid(theta, [len(images), 1, size, size], align_corners=False)
    return F.grid_sample(images[:, None].float(), grid, padding_mode="border", align_corners=False)


def correct_exposure(luma: Tensor) -> Tensor:
    """Stretches crops [n, 1, S, S] of little contrast to the mean and deviation of the training pictures, and
    clips them at black and white; others stay as they are.
    """
    deviation, mean = torch.std_mean(luma, (1, 2, 3), correction=0, keepdim=True)
    stretched = ((luma - mean) * (EXPOSED / deviation.clamp(min=1e-3)) + MEAN).clamp(0, 255)
    return torch.where(deviation < FLAT, stretched, luma)


def normalised(luma: Tensor) -> Tensor:
    """Luma 0-255 as network input, channels last in memory."""
    return ((luma.float() - MEAN) * SCALE).contiguous(memory_format=torch.channels_last)


def inputs_from_split(split: Split, size: int, aligned: bool = True, mirrored: bool = False) -> F32:
    """The runtime's crops of a split as network inputs, float32 [n, 1, size, size]."""
    matrices = torch.from_numpy(crop_matrices(split, size, aligned))
    luma = correct_exposure(sample(torch.from_numpy(split.images), matrices, size)).numpy()
    x = (luma - np.float32(MEAN)) * np.float32(SCALE)
    return np.ascontiguousarray(x[..., ::-1]) if mirrored else x
