"""Which cells learn which face: SimOTA (Ge et al., "YOLOX", 2021) for a whole batch at once.

Each face takes the k cells of least cost among those near its centre; k is the sum of its best overlaps. Near
its centre are at most 3 x 3 cells of each level, whose numbers follow from the centre. So only the costs of
27 candidates a face are computed, without a loop over pictures and without waiting for the device.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fer_edge.arrays import F32
from training.models.face_luma import STRIDES

CENTRE_RADIUS = 1.5  # strides; cells further from a face's centre are not assigned to it
CANDIDATES = 10  # overlaps summed for k
OVERLAP_COST = 3.0  # weight of the box against the score in the assignment's cost, as in YOLOX
_FAR = 1e5  # cost of what is no candidate
_AROUND = 3  # cells in a row within CENTRE_RADIUS

Shapes = tuple[tuple[int, int], ...]  # (height, width) of each level, in cells


@dataclass(frozen=True, slots=True)
class Faces:
    """True faces of a batch, padded to the same number a picture.

    ``boxes`` f32 [N, G, 4] xyxy and ``landmarks`` f32 [N, G, 5, 2] in network px; ``real`` bool [N, G] is
    False for padding, whose boxes are of one pixel, because an empty box has no aspect; ``ignored`` f32
    [N, K, 4] regions, padded with empty ones.
    """

    boxes: Tensor
    landmarks: Tensor
    real: Tensor
    ignored: Tensor

    def to(self, device: torch.device) -> "Faces":
        """On another device, without waiting for pinned memory."""
        parts = (self.boxes, self.landmarks, self.real, self.ignored)
        return Faces(*(part.to(device, non_blocking=True) for part in parts))

    def pin_memory(self) -> "Faces":
        """In page-locked memory; torch's DataLoader calls this."""
        parts = (self.boxes, self.landmarks, self.real, self.ignored)
        return Faces(*(part.pin_memory() for part in parts))


def pad_faces(boxes: list[F32], landmarks: list[F32], ignored: list[F32]) -> Faces:
    """One array of each kind a picture, [g, 4], [g, 5, 2] and [k, 4], to a batch."""
    most = max(1, *map(len, boxes))
    box = np.tile(np.array([0, 0, 1, 1], np.float32), (len(boxes), most, 1))
    points = np.zeros((len(boxes), most, 5, 2), np.float32)
    real = np.zeros((len(boxes), most), bool)
    regions = np.zeros((len(boxes), max(1, *map(len, ignored)), 4), np.float32)
    for n, count in enumerate(map(len, boxes)):
        box[n, :count], points[n, :count], real[n, :count] = boxes[n], landmarks[n], True
        regions[n, : len(ignored[n])] = ignored[n]
    return Faces(*map(torch.from_numpy, (box, points, real, regions)))


@dataclass(frozen=True, slots=True)
class Assignment:
    """``cells`` i64 [N, G, 27]: the candidates of each face; ``chosen`` bool [N, G, 27]: those that learn
    it.
    """

    cells: Tensor
    chosen: Tensor


def candidates(boxes: Tensor, shapes: Shapes) -> tuple[Tensor, Tensor]:
    """Cells near the centres of faces [N, G, 4]: their numbers over all levels and whether they exist and are
    near, both [N, G, 27].
    """
    offset, stride, first, height, width = _neighbourhood(shapes, boxes.device)
    middle = ((boxes[..., :2] + boxes[..., 2:]) / 2)[:, :, None] / stride[:, None]  # [N, G, 27, 2] in strides
    cell = middle.floor() + offset
    x, y = cell.unbind(-1)
    near = ((cell + 0.5 - middle).abs() < CENTRE_RADIUS).all(-1)
    near &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index = first + y.clamp(min=0).minimum(height - 1) * width + x.clamp(min=0).minimum(width - 1)
    return index.long(), near


@lru_cache(maxsize=8)
def _neighbourhood(shapes: Shapes, device: torch.device) -> tuple[Tensor, ...]:
    """For each of the 27 candidates: offset from the centre's cell [27, 2], stride, number of the level's
    first cell, height and width of the level.
    """
    reach = torch.arange(_AROUND) - _AROUND // 2
    around = torch.cartesian_prod(reach, reach).float()
    counts = torch.tensor([height * width for height, width in shapes])
    columns = (torch.tensor(STRIDES), counts.cumsum(0) - counts, *torch.tensor(shapes).unbind(1))
    repeated = [column.float().repeat_interleave(len(around)).to(device) for column in columns]
    return (around.repeat(len(shapes), 1).to(device), *repeated)


@torch.no_grad()
def assign(logits: Tensor, boxes: Tensor, faces: Faces, shapes: Shapes) -> Assignment:
    """Chooses the cells of each face; a cell that several faces take learns the one of least cost.

    ``logits`` [N, A] and ``boxes`` [N, A, 4] are predictions over all levels.
    """
    cells, near = candidates(faces.boxes, shapes)
    near &= faces.real[..., None]
    flat = cells.flatten(1)
    there = boxes.gather(1, flat[..., None].expand(-1, -1, 4)).view(*cells.shape, 4)
    iou = overlaps(there, faces.boxes[:, :, None])
    cost = F.softplus(-logits.gather(1, flat).view(cells.shape)) + OVERLAP_COST * (1 - iou) + _FAR * ~near
    best = (iou * near).topk(min(CANDIDATES, iou.shape[-1]), dim=-1).values
    count = best.sum(-1, keepdim=True).clamp(min=1).long()
    rank = cost.argsort(dim=-1, stable=True).argsort(dim=-1)
    taken = (rank < count) & near
    # Least cost of each cell, then the first of the faces that offer it.
    offered = torch.where(taken, cost, torch.inf).flatten(1)
    least = torch.full_like(logits, torch.inf).scatter_reduce(1, flat, offered, "amin")
    wins = taken & (cost == least.gather(1, flat).view(cells.shape))
    face = torch.arange(cells.shape[1], device=cells.device)[:, None].expand_as(cells)
    bids = torch.where(wins, face, cells.shape[1]).flatten(1)
    owner = torch.full_like(logits, cells.shape[1], dtype=torch.long).scatter_reduce(1, flat, bids, "amin")
    return Assignment(cells, wins & (owner.gather(1, flat).view(cells.shape) == face))


def overlaps(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes [..., 4] that broadcast -> [...]."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    return shared / (area(a) + area(b) - shared).clamp(min=1e-6)


def area(boxes: Tensor) -> Tensor:
    """Area of boxes [..., 4]; 0 for inverted ones."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
