"""Losses of the face detector.

Quality focal loss on the score, whose target is the root of the overlap (after Li et al., "Generalized Focal
Loss", 2020), CIoU on the box (Zheng et al., 2020), wing loss on the landmarks relative to the face's size
(Feng et al., 2018). One score for "face, and well placed" replaces YuNet's product of two scores. All faces
of a batch, padded, are computed at once, so that a GPU never waits for a number.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from training.detector.assignment import Faces, Shapes, area, assign, overlaps
from training.models.face_luma import STRIDES

BOX_WEIGHT = 2.0
LANDMARK_WEIGHT = 5.0  # the error is a share of the face's size, typically 0.02
# Shares of the face's size, about 2.4 times those of the eye distance: up to WING the gradient falls with the
# error, beyond it is constant, so that neither small nor large errors are left alone.
WING, WING_CURVATURE = 0.1, 0.02
# Landmarks of a face of FULL_SIZE px and more have full weight, smaller ones in proportion to their size:
# there the marks are inexact by about a pixel.
FULL_SIZE, MIN_SIZE_WEIGHT = 48.0, 0.2
MAX_LOG_SIZE = 8.0  # as in the runtime's decoder


@dataclass(frozen=True, slots=True)
class Predictions:
    """All cells of a batch: ``logits`` [N, A], ``boxes`` [N, A, 4] xyxy px, ``landmarks`` [N, A, 5, 2] px."""

    logits: Tensor
    boxes: Tensor
    landmarks: Tensor
    centres: Tensor  # [A, 2] px
    strides: Tensor  # [A]
    shapes: Shapes


def decode(maps: tuple[Tensor, ...]) -> Predictions:
    """Raw maps to network pixels: ``fer_edge.ops.decode_faces``, differentiable and without suppression."""
    shapes = tuple((level.shape[2], level.shape[3]) for level in maps)
    centre, stride_of = _grid(shapes, maps[0].device)
    raw = torch.cat([level.flatten(2).transpose(1, 2) for level in maps], 1)
    middle = centre + raw[..., 1:3] * stride_of[:, None]
    half = raw[..., 3:5].clamp(max=MAX_LOG_SIZE).exp() * stride_of[:, None] / 2
    offsets = raw[..., 5:].unflatten(-1, (5, 2)) * stride_of[:, None, None]
    boxes = torch.cat([middle - half, middle + half], dim=-1)
    return Predictions(raw[..., 0], boxes, centre[:, None] + offsets, centre, stride_of, shapes)


@lru_cache(maxsize=8)
def _grid(shapes: Shapes, device: torch.device) -> tuple[Tensor, Tensor]:
    """Centres [A, 2] px and strides [A] of all cells."""
    centres, strides = [], []
    for stride, (height, width) in zip(STRIDES, shapes, strict=True):
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        centres.append(torch.stack([x, y], dim=-1).reshape(-1, 2) * stride)
        strides.append(torch.full((height * width,), float(stride)))
    return torch.cat(centres).to(device), torch.cat(strides).to(device)


def complete_iou(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """CIoU loss and IoU of paired boxes [..., 4] -> [...], [...]; targets must not be empty."""
    iou = overlaps(predicted, target)
    low, high = torch.minimum(predicted, target)[..., :2], torch.maximum(predicted, target)[..., 2:]
    apart = (predicted - target).unflatten(-1, (2, 2)).sum(-2).square().sum(-1) / 4
    width_p, height_p = (predicted[..., 2:] - predicted[..., :2]).unbind(-1)
    width_t, height_t = (target[..., 2:] - target[..., :2]).unbind(-1)
    aspect = torch.atan(width_t / height_t) - torch.atan(width_p / height_p.clamp(min=1e-6))
    v = aspect.square() * (4 / torch.pi**2)
    with torch.no_grad():
        alpha = v / (1 - iou + v).clamp(min=1e-6)
    return 1 - iou + apart / (high - low).square().sum(-1).clamp(min=1e-6) + alpha * v, iou


def wing(error: Tensor) -> Tensor:
    """Wing loss: logarithmic up to WING, then linear, and continuous."""
    size = error.abs()
    small = WING * torch.log1p(size / WING_CURVATURE)
    constant = WING * (1 - math.log1p(WING / WING_CURVATURE))
    return torch.where(size < WING, small, size - constant)


def detector_loss(maps: tuple[Tensor, ...], faces: Faces) -> dict[str, Tensor]:
    """Losses of a batch: "score", "box", "landmarks" and their weighted sum "total", each a mean over the
    cells that learn a face.
    """
    p = decode(maps)
    assignment = assign(p.logits, p.boxes, faces, p.shapes)
    chosen, flat = assignment.chosen, assignment.cells.flatten(1)
    count = chosen.sum().clamp(min=1)
    true = faces.boxes[:, :, None]
    boxes = p.boxes.gather(1, flat[..., None].expand(-1, -1, 4)).view(*chosen.shape, 4)
    box_loss, iou = complete_iou(boxes, true)
    box = (box_loss * chosen).sum() / count
    # The root, because a box of 12 px that is 1 px off overlaps by only 0.7: one threshold must fit all
    # sizes.
    quality = (iou.detach().clamp(0, 1).sqrt() * chosen).flatten(1)
    target = torch.zeros_like(p.logits).scatter_reduce(1, flat, quality, "amax")
    counted = 1 - _inside(p.centres, faces.ignored).to(p.logits.dtype)
    weight = counted.scatter_reduce(1, flat, chosen.flatten(1).to(p.logits.dtype), "amax")
    score = _quality_focal(p.logits, target, weight) / count
    size = area(true).sqrt()
    points = p.landmarks.flatten(2).gather(1, flat[..., None].expand(-1, -1, 10)).view(*chosen.shape, 5, 2)
    apart = wing((points - faces.landmarks[:, :, None]) / size[..., None, None]).mean((-1, -2))
    size_weight = (size / FULL_SIZE).clamp(MIN_SIZE_WEIGHT, 1)
    landmarks = (apart * size_weight * chosen).sum() / count
    total = score + BOX_WEIGHT * box + LANDMARK_WEIGHT * landmarks
    parts = {"score": score, "box": box, "landmarks": landmarks}
    return {"total": total, **{name: part.detach() for name, part in parts.items()}}


def _inside(centres: Tensor, regions: Tensor) -> Tensor:
    """Which of [A, 2] centres lie in any of a picture's regions [N, K, 4] -> bool [N, A]."""
    x, y = centres.unbind(-1)
    x0, y0, x1, y1 = regions[..., None].unbind(2)  # [N, K, 1]
    return ((x > x0) & (x < x1) & (y > y0) & (y < y1)).any(1)


def _quality_focal(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Sum of |target - score|^2 times cross-entropy."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return ((target - logits.sigmoid()).abs().square() * entropy * weight).sum()
