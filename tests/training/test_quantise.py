"""Quantisation-aware training: gradients pass, ranges follow, and int8-cpu leaves the result unchanged."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import numpy_helper

from export.export_specs import expression_from_checkpoint
from export.onnx_from_checkpoint import onnx_from_model
from export.precisions.int8_cpu import int8_from_float32
from training.data.split import load_prepared
from training.evaluation.inference import input_batches
from training.loop.checkpoint import model_from_checkpoint, save_checkpoint
from training.loop.settings import Settings
from training.models import build
from training.quantise import (
    ACTIVATION_LEVELS,
    WEIGHT_LEVELS,
    RoundedInput,
    RoundedWeight,
    quantise,
    quantised_layers,
)

OPTIONS = {"widths": [16, 16, 16]}


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint as of training.train, and the folder that quantise wrote."""
    folder = tmp_path_factory.mktemp("quantise")
    torch.manual_seed(0)
    settings = asdict(Settings(model="tkfnet-nano", options=OPTIONS, batch_size=32))
    before = folder / "before.pt"
    save_checkpoint(before, {"ema": build("tkfnet-nano", **OPTIONS).state_dict(), "settings": settings})
    quantise(before, prepared, folder / "out", epochs=2, lr=1e-3, views=None, limit=None)
    return before, folder / "out"


def test_weight_lies_on_levels_of_its_channel_and_the_gradient_passes():
    torch.manual_seed(0)
    weight = torch.randn(3, 4, 3, 3) * torch.tensor([0.01, 1.0, 100.0])[:, None, None, None]
    weight.requires_grad_()
    rounded = RoundedWeight()(weight)
    scale = weight.detach().flatten(1).abs().amax(1)[:, None, None, None] / WEIGHT_LEVELS
    levels = rounded.detach() / scale
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    assert (rounded - weight).abs().max(dim=0).values.max() > 0
    assert ((rounded - weight).abs() <= 0.501 * scale).all()
    rounded.sum().backward()
    torch.testing.assert_close(weight.grad, torch.ones_like(weight))


def test_input_range_follows_training_only_and_holds_zero():
    rounded, layer = RoundedInput(), torch.nn.Linear(4, 4)
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    layer.eval()
    torch.testing.assert_close(rounded(layer, (x,))[0], x)
    assert (rounded.low, rounded.high) == (0.0, 0.0)
    layer.train()
    (first,) = rounded(layer, (x,))
    assert (rounded.low, rounded.high) == (0.0, 4.0)
    assert (first - x).abs().max() <= 0.501 * 4 / ACTIVATION_LEVELS
    rounded(layer, (2 * x,))
    assert 4.0 < rounded.high < 8.0
    layer.eval()
    held = rounded.high
    (clipped,) = rounded(layer, (100 * x,))
    assert rounded.high == held
    torch.testing.assert_close(clipped, torch.full_like(x, held))


def test_a_crop_check_is_refused_instead_of_lost(prepared: Path, tmp_path: Path):
    settings = asdict(Settings(model="tkfnet-nano", options=OPTIONS | {"crop_check": True}, batch_size=32))
    checked = tmp_path / "checked.pt"
    save_checkpoint(checked, {"settings": settings, "crop_check_limits": {"covered": 0.5, "rolled": 0.5}})
    with pytest.raises(ValueError, match=r"checked\.pt must be without a crop check.*train_crop_check"):
        quantise(checked, prepared, tmp_path / "out", epochs=1, lr=1e-3, views=None, limit=32)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_training_moves_the_weights_and_leaves_them_on_levels(trained: tuple[Path, Path]):
    before, out = trained
    old = quantised_layers(model_from_checkpoint(before))
    new = quantised_layers(model_from_checkpoint(out / "checkpoint.pt"))
    assert old.keys() == new.keys()
    for name, layer in new.items():
        scale = layer.weight.detach().flatten(1).abs().amax(1) / WEIGHT_LEVELS
        levels = layer.weight.detach().flatten(1) / scale[:, None]
        torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0, msg=name)
        # They moved further than by rounding alone.
        start = RoundedWeight()(old[name].weight).detach()
        assert not torch.allclose(start, layer.weight, atol=1e-4), name


@pytest.mark.slow
def test_the_log_has_a_line_for_each_epoch(trained: tuple[Path, Path]):
    lines = (trained[1] / "log.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(np.isfinite(row["train_loss"]) for row in rows)
    assert all(0 <= row["valid_accuracy"] <= 1 for row in rows)


@pytest.mark.slow
def test_int8_rounds_the_weights_to_themselves(trained: tuple[Path, Path], prepared: Path):
    model, export = expression_from_checkpoint(trained[1] / "checkpoint.pt")
    proto = onnx_from_model(model, export, export.model_spec)
    file = int8_from_float32(proto, input_batches(load_prepared(prepared, "train"), model.size))
    floats = {w.name: numpy_helper.to_array(w) for w in proto.graph.initializer}
    stored = {w.name: numpy_helper.to_array(w) for w in file.graph.initializer}
    restored = {n.output[0]: n for n in file.graph.node if n.op_type == "DequantizeLinear"}
    wanted = {n.name: n.input[1] for n in proto.graph.node if n.op_type in ("Conv", "Gemm")}
    checked = 0
    for node in file.graph.node:
        if node.name not in wanted:
            continue
        levels, scale = (stored[name] for name in restored[node.input[1]].input[:2])
        steps = scale.reshape(-1, *[1] * (levels.ndim - 1))
        # Far below half a level of the channel, which would be the error of other weights.
        off = np.abs(levels * steps - floats[wanted[node.name]])
        assert (off <= 0.02 * steps).all(), node.name
        checked += 1
    assert checked == len(wanted) > 10
