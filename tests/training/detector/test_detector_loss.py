"""Decoding, assignment and losses of the detector."""

import numpy as np
import pytest
import torch

from fer_edge import ops
from training.detector.loss import CENTRE_RADIUS, assign, complete_iou, decode, detector_loss
from training.models.face_luma import STRIDES, FaceLuma

FACE = torch.tensor([[40.0, 30, 100, 110]])
POINTS = torch.tensor([[[55.0, 60], [85, 60], [70, 75], [58, 92], [82, 92]]])


def empty_maps(side: int = 128) -> tuple[torch.Tensor, ...]:
    maps = tuple(torch.zeros(1, 15, side // s, side // s) for s in STRIDES)
    for level in maps:
        level[:, 0] = -10
    return maps


def test_decode_agrees_with_the_runtimes_decoder():
    torch.manual_seed(0)
    maps = tuple(m + 0.3 * torch.randn(m.shape) for m in empty_maps())
    maps[1][0, 0, 3, 4] = 4.0
    ours = decode(maps)
    boxes, points, scores = ops.decode_faces([m[0].numpy() for m in maps], threshold=0.5, overlap=0.4)
    best = int(ours.logits.argmax())
    assert len(scores) == 1
    np.testing.assert_allclose(boxes[0], ours.boxes[0, best], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(points[0], ours.landmarks[0, best], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(scores[0], ours.logits[0, best].sigmoid(), rtol=1e-5)


def test_assignment_stays_near_the_face_and_prefers_the_better_overlap():
    p = decode(empty_maps())
    boxes = p.boxes[0].clone()
    near = ((p.centres - torch.tensor([70.0, 70.0])).abs().amax(1) < 12) & (p.strides == 16)
    boxes[near] = FACE[0]
    cells, owner = assign(p.logits[0], boxes, p.centres, p.strides, FACE)
    away = (p.centres[cells] - torch.tensor([70.0, 70.0])).abs().amax(1)
    assert (away < CENTRE_RADIUS * p.strides[cells]).all()
    assert set(near.nonzero().flatten().tolist()) <= set(cells.tolist())
    assert (owner == 0).all()
    assert len(cells) >= 1


def test_a_cell_between_two_faces_belongs_to_one():
    p = decode(empty_maps())
    faces = torch.tensor([[40.0, 40, 72, 80], [56.0, 40, 88, 80]])
    cells, owner = assign(p.logits[0], p.boxes[0], p.centres, p.strides, faces)
    assert len(set(cells.tolist())) == len(cells)
    assert set(owner.tolist()) == {0, 1}


def test_complete_iou_is_zero_on_equality_and_grows_with_distance():
    target = FACE.repeat(3, 1)
    moved = target + torch.tensor([[0.0], [10], [200]])
    loss, iou = complete_iou(moved, target)
    assert abs(loss[0]) < 1e-5
    assert 0 < loss[1] < 1 < loss[2]
    assert iou[2] == 0


def test_ignored_regions_cost_nothing():
    maps = empty_maps()
    maps[0][0, 0, 5, 5] = 8.0  # centre (44, 44)
    nobody = [torch.zeros(0, 4)], [torch.zeros(0, 5, 2)]
    counted = detector_loss(maps, *nobody, [torch.zeros(0, 4)])["total"]
    ignored = detector_loss(maps, *nobody, [torch.tensor([[40.0, 40, 48, 48]])])["total"]
    assert counted > 1
    assert ignored < 0.01


@pytest.mark.slow
def test_a_few_steps_find_the_face():
    torch.manual_seed(0)
    model = FaceLuma()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    image = torch.zeros(2, 1, 128, 128)
    image[:, :, 30:110, 40:100] = 1.0
    for _ in range(60):
        losses = detector_loss(model(image), [FACE] * 2, [POINTS] * 2, [torch.zeros(0, 4)] * 2)
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
    p = decode(model(image))
    best = int(p.logits[0].argmax())
    assert p.logits[0, best].sigmoid() > 0.5
    assert (p.boxes[0, best] - FACE[0]).abs().max() < 8
    assert (p.landmarks[0, best] - POINTS[0]).abs().max() < 8
