"""Decoding, assignment and losses of the detector."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fer_edge import ops
from training.detector.assignment import (
    CANDIDATES,
    CENTRE_RADIUS,
    OVERLAP_COST,
    Faces,
    assign,
    overlaps,
    pad_faces,
)
from training.detector.loss import WING, complete_iou, decode, detector_loss, wing
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


def one_face() -> Faces:
    return pad_faces([FACE.numpy()], [POINTS.numpy()], [np.zeros((0, 4), np.float32)])


def nobody(ignored: np.ndarray) -> Faces:
    return pad_faces([np.zeros((0, 4), np.float32)], [np.zeros((0, 5, 2), np.float32)], [ignored])


def sim_ota(
    logits: Tensor, boxes: Tensor, centres: Tensor, strides: Tensor, faces: Tensor
) -> set[tuple[int, int]]:
    """(face, cell) of one picture, by the definition, face by face."""
    bids: dict[int, tuple[float, int]] = {}
    for number, face in enumerate(faces):
        middle = (face[:2] + face[2:]) / 2
        near = ((centres - middle).abs().amax(1) < CENTRE_RADIUS * strides).nonzero().flatten()
        iou = overlaps(boxes[near], face)
        cost = F.softplus(-logits[near]) + OVERLAP_COST * (1 - iou)
        count = max(1, int(iou.topk(min(CANDIDATES, len(near))).values.sum()))
        for k in cost.argsort()[:count].tolist():
            cell = int(near[k])
            bids[cell] = min(bids.get(cell, (np.inf, -1)), (float(cost[k]), number))
    return {(face, cell) for cell, (_, face) in bids.items()}


@pytest.mark.parametrize("seed", range(8))
def test_the_batched_assignment_is_that_of_each_picture(seed: int):
    rng = np.random.default_rng(seed)
    size = rng.uniform(8, 90, (4, 12, 1)) * rng.uniform(0.8, 1.2, (4, 12, 2))
    corner = rng.uniform(-20, 120, (4, 12, 2))  # centres outside the picture as well
    truth = np.concatenate([corner, corner + size], axis=-1).astype(np.float32)
    truth[0, 1] = truth[0, 0] + 2  # two faces on nearly the same cells
    boxes = [truth[0], truth[1, :0], truth[2, :1], truth[3]]
    torch.manual_seed(seed)
    p = decode(tuple(torch.randn(4, 15, 128 // s, 160 // s) for s in STRIDES))
    # Most cells predict a face that is near, with an error.
    guess = torch.from_numpy(truth)[:, torch.arange(len(p.centres)) % 12]
    predicted = guess + 4 * torch.randn(guess.shape)
    empty = [np.zeros((len(b), 5, 2), np.float32) for b in boxes]
    faces = pad_faces(boxes, empty, [np.zeros((0, 4), np.float32)] * 4)
    found = assign(p.logits, predicted, faces, p.shapes)
    taken = 0
    for n in range(4):
        pairs = [(int(g), int(found.cells[n, g, k])) for g, k in found.chosen[n].nonzero()]
        expected = sim_ota(p.logits[n], predicted[n], p.centres, p.strides, torch.from_numpy(boxes[n]))
        assert len(pairs) == len(set(pairs))
        assert set(pairs) == expected
        taken += len(pairs)
    assert taken > 20


def test_a_cell_between_two_faces_belongs_to_one():
    p = decode(empty_maps())
    boxes = np.array([[40.0, 40, 72, 80], [56.0, 40, 88, 80]], np.float32)
    faces = pad_faces([boxes], [np.zeros((2, 5, 2), np.float32)], [boxes[:0]])
    found = assign(p.logits, p.boxes, faces, p.shapes)
    cells = found.cells[found.chosen]
    assert len(set(cells.tolist())) == len(cells)
    assert found.chosen[0].any(1).all()


def test_two_equal_faces_share_no_cell():
    p = decode(empty_maps())
    boxes = FACE.repeat(2, 1).numpy()
    faces = pad_faces([boxes], [np.zeros((2, 5, 2), np.float32)], [boxes[:0]])
    found = assign(p.logits, p.boxes, faces, p.shapes)
    cells = found.cells[found.chosen]
    assert len(set(cells.tolist())) == len(cells) > 0


def test_padding_changes_nothing():
    torch.manual_seed(0)
    maps = tuple(m + 0.3 * torch.randn(m.shape) for m in empty_maps())
    more = tuple(m.repeat(2, 1, 1, 1) for m in maps)
    crowd = np.concatenate([FACE.numpy() - shift for shift in range(5)])
    points = np.zeros((5, 5, 2), np.float32)
    alone = detector_loss(maps, one_face())
    nothing = detector_loss(maps, nobody(np.zeros((0, 4), np.float32)))
    padded = pad_faces([FACE.numpy(), crowd], [POINTS.numpy(), points], [crowd[:0], crowd])
    two = decode(more)
    beside = assign(two.logits, two.boxes, padded, two.shapes)
    p = decode(maps)
    single = assign(p.logits, p.boxes, one_face(), p.shapes)
    assert set(beside.cells[0][beside.chosen[0]].tolist()) == set(single.cells[single.chosen].tolist())
    assert all(torch.isfinite(v) for v in (*alone.values(), *nothing.values()))
    assert nothing["box"] == nothing["landmarks"] == 0


def test_the_gradient_of_padding_is_finite():
    maps = tuple(m.repeat(2, 1, 1, 1).requires_grad_() for m in empty_maps())
    boxes = [FACE.numpy(), np.zeros((0, 4), np.float32)]
    points = [POINTS.numpy(), np.zeros((0, 5, 2), np.float32)]
    detector_loss(maps, pad_faces(boxes, points, [boxes[1], boxes[1]]))["total"].backward()
    assert all(torch.isfinite(m.grad).all() for m in maps)
    # The picture without a face teaches its scores only.
    assert all((m.grad[1, 1:] == 0).all() and (m.grad[1, 0] != 0).any() for m in maps)


def test_wing_loss_is_continuous_and_steep_at_zero():
    edge = torch.tensor([WING - 1e-6, WING + 1e-6])
    assert abs(float(wing(edge).diff())) < 1e-4
    error = torch.tensor([0.0, 0.3, -0.3], requires_grad=True)
    wing(error).sum().backward()
    torch.testing.assert_close(error.grad[1:], torch.tensor([1.0, -1.0]))
    near = torch.tensor(1e-3, requires_grad=True)
    wing(near).backward()
    assert near.grad > 3


def test_landmarks_of_large_faces_weigh_more():
    def loss(size: float) -> float:
        box = np.array([[64 - size / 2, 64 - size / 2, 64 + size / 2, 64 + size / 2]], np.float32)
        points = np.full((1, 5, 2), 64 + size / 4, np.float32)
        faces = pad_faces([box], [points], [box[:0]])
        maps = tuple(torch.zeros(1, 15, 128 // s, 128 // s) for s in STRIDES)
        return float(detector_loss(maps, faces)["landmarks"])

    assert loss(64) > 3 * loss(12)


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
    counted = detector_loss(maps, nobody(np.zeros((0, 4), np.float32)))["total"]
    ignored = detector_loss(maps, nobody(np.array([[40, 40, 48, 48]], np.float32)))["total"]
    assert counted > 1
    assert ignored < 0.01


@pytest.mark.slow
def test_a_few_steps_find_the_face():
    torch.manual_seed(0)
    model = FaceLuma()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, 60)
    image = torch.zeros(2, 1, 128, 128)
    image[:, :, 30:110, 40:100] = 1.0
    faces = pad_faces([FACE.numpy()] * 2, [POINTS.numpy()] * 2, [np.zeros((0, 4), np.float32)] * 2)
    for _ in range(60):
        losses = detector_loss(model(image), faces)
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        schedule.step()
    p = decode(model(image))
    best = int(p.logits[0].argmax())
    assert p.logits[0, best].sigmoid() > 0.5
    assert (p.boxes[0, best] - FACE[0]).abs().max() < 8
    assert (p.landmarks[0, best] - POINTS[0]).abs().max() < 8
