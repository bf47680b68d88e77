"""Assignment and losses of the face detector.

Assignment: SimOTA (Ge et al., "YOLOX", 2021): each face takes the k cells of least cost among those near its
centre, where k is the sum of its best overlaps. Losses: quality focal loss on the score, whose target is the
root of the overlap (after Li et al., "Generalized Focal Loss", 2020), CIoU on the box (Zheng et al., 2020),
L1 on landmarks relative to the face's size. One score for "face, and well placed" replaces YuNet's product of
two scores.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from training.models.face_luma import STRIDES

CENTRE_RADIUS = 1.5  # strides; cells further from a face's centre are not assigned to it
CANDIDATES = 10  # overlaps summed for k
OVERLAP_COST = 3.0  # weight of the box against the score in the assignment's cost, as in YOLOX
BOX_WEIGHT = 2.0
LANDMARK_WEIGHT = 5.0  # the error is a share of the face's size, typically 0.02
MAX_LOG_SIZE = 8.0  # as in the runtime's decoder


@dataclass(frozen=True, slots=True)
class Predictions:
    """All cells of a batch: ``logits`` [N, A], ``boxes`` [N, A, 4] xyxy px, ``landmarks`` [N, A, 5, 2] px."""

    logits: Tensor
    boxes: Tensor
    landmarks: Tensor
    centres: Tensor  # [A, 2] px
    strides: Tensor  # [A]


def decode(maps: tuple[Tensor, ...]) -> Predictions:
    """Raw maps to network pixels: ``fer_edge.ops.decode_faces``, differentiable and without suppression."""
    flat, centres, strides = [], [], []
    for stride, level in zip(STRIDES, maps, strict=True):
        height, width = level.shape[2:]
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        centres.append(torch.stack([x, y], dim=-1).reshape(-1, 2) * stride)
        strides.append(torch.full((height * width,), float(stride)))
        flat.append(level.flatten(2).transpose(1, 2))
    raw, centre, stride_of = torch.cat(flat, 1), torch.cat(centres), torch.cat(strides)
    middle = centre + raw[..., 1:3] * stride_of[:, None]
    half = raw[..., 3:5].clamp(max=MAX_LOG_SIZE).exp() * stride_of[:, None] / 2
    offsets = raw[..., 5:].unflatten(-1, (5, 2)) * stride_of[:, None, None]
    boxes = torch.cat([middle - half, middle + half], dim=-1)
    return Predictions(raw[..., 0], boxes, centre[:, None] + offsets, centre, stride_of)


def overlaps(a: Tensor, b: Tensor) -> Tensor:
    """IoU of each of [n, 4] with each of [m, 4] -> [n, m]."""
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    return shared / (_area(a)[:, None] + _area(b) - shared).clamp(min=1e-6)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def complete_iou(predicted: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """CIoU loss and IoU of paired boxes [n, 4] -> [n], [n]."""
    low = torch.maximum(predicted[:, :2], target[:, :2])
    high = torch.minimum(predicted[:, 2:], target[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    iou = shared / (_area(predicted) + _area(target) - shared).clamp(min=1e-6)
    hull = torch.maximum(predicted[:, 2:], target[:, 2:]) - torch.minimum(predicted[:, :2], target[:, :2])
    apart = (predicted[:, :2] + predicted[:, 2:] - target[:, :2] - target[:, 2:]).square().sum(-1) / 4
    size_p, size_t = predicted[:, 2:] - predicted[:, :2], target[:, 2:] - target[:, :2]
    aspect = torch.atan(size_t[:, 0] / size_t[:, 1]) - torch.atan(size_p[:, 0] / size_p[:, 1].clamp(min=1e-6))
    v = aspect.square() * (4 / torch.pi**2)
    with torch.no_grad():
        alpha = v / (1 - iou + v).clamp(min=1e-6)
    return 1 - iou + apart / hull.square().sum(-1).clamp(min=1e-6) + alpha * v, iou


@torch.no_grad()
def assign(
    logits: Tensor, boxes: Tensor, centres: Tensor, strides: Tensor, faces: Tensor
) -> tuple[Tensor, Tensor]:
    """SimOTA for one picture: indices of positive cells and, for each, of its face.

    ``logits`` [A], ``boxes`` [A, 4], ``faces`` [g, 4].
    """
    middle = (faces[:, :2] + faces[:, 2:]) / 2
    away = (centres - middle[:, None]).abs().amax(-1)
    near = away < CENTRE_RADIUS * strides
    cells = near.any(0).nonzero().squeeze(1)
    iou = overlaps(faces, boxes[cells])
    score_cost = F.softplus(-logits[cells])
    cost = score_cost + OVERLAP_COST * (1 - iou) + 1e5 * ~near[:, cells]
    count = iou.topk(min(CANDIDATES, len(cells)), dim=1).values.sum(1).clamp(min=1).long()
    rank = cost.argsort(dim=1).argsort(dim=1)
    taken = (rank < count[:, None]) & near[:, cells]
    owner = torch.where(taken, cost, torch.inf).argmin(0)
    positive = taken.any(0)
    return cells[positive], owner[positive]


def detector_loss(
    maps: tuple[Tensor, ...], faces: list[Tensor], landmarks: list[Tensor], ignored: list[Tensor]
) -> dict[str, Tensor]:
    """Losses of a batch: "score", "box", "landmarks" and their weighted sum "total".

    ``faces`` [g, 4], ``landmarks`` [g, 5, 2] and ``ignored`` [k, 4] in network px, one of each a picture.
    """
    p = decode(maps)
    target = torch.zeros_like(p.logits)
    weight = torch.ones_like(p.logits)
    pictures, cells, boxes, points = [], [], [], []
    for n in range(len(faces)):
        if len(ignored[n]):
            weight[n, _inside(p.centres, ignored[n])] = 0
        if len(faces[n]):
            cell, owner = assign(p.logits[n], p.boxes[n], p.centres, p.strides, faces[n])
            pictures.append(torch.full_like(cell, n))
            cells.append(cell)
            boxes.append(faces[n][owner])
            points.append(landmarks[n][owner])
    if not cells:
        score = _quality_focal(p.logits, target, weight)
        zero = 0 * sum(level.sum() for level in maps)
        return {
            "total": score + zero,
            "score": score.detach(),
            "box": zero.detach(),
            "landmarks": zero.detach(),
        }
    n, cell, box, point = torch.cat(pictures), torch.cat(cells), torch.cat(boxes), torch.cat(points)
    box_loss, iou = complete_iou(p.boxes[n, cell], box)
    # The root, because a box of 12 px that is 1 px off overlaps by only 0.7: one threshold must fit all
    # sizes.
    target[n, cell] = iou.detach().clamp(0, 1).sqrt()
    weight[n, cell] = 1
    score = _quality_focal(p.logits, target, weight) / len(cell)
    size = _area(box).sqrt()[:, None, None]
    point_loss = F.smooth_l1_loss(p.landmarks[n, cell] / size, point / size, beta=0.02)
    total = score + BOX_WEIGHT * box_loss.mean() + LANDMARK_WEIGHT * point_loss
    parts = {"score": score, "box": box_loss.mean(), "landmarks": point_loss}
    return {"total": total, **{k: v.detach() for k, v in parts.items()}}


def _inside(centres: Tensor, regions: Tensor) -> Tensor:
    """Which of [A, 2] centres lie in any of [k, 4] regions."""
    above, below = centres[:, None] > regions[:, :2], centres[:, None] < regions[:, 2:]
    return (above & below).all(-1).any(1)


def _quality_focal(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Sum of |target - score|^2 times cross-entropy."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return ((target - logits.sigmoid()).abs().square() * entropy * weight).sum()
