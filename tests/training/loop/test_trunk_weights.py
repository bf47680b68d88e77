"""Start weights of the mobile trunks: what the file's network gives, the trunk gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training.data.crops import MEAN, SCALE
from training.loop.start_weights import load_start_weights
from training.loop.trunk_weights import INPUT_RANGES
from training.models import build
from training.models.mobile import MobileTrunk


def random_trunk(variant: str) -> MobileTrunk:
    """A trunk of three input channels with statistics that matter."""
    torch.manual_seed(0)
    trunk = MobileTrunk(variant)
    first = trunk.convolutions[0].convolution
    first.weight = nn.Parameter(torch.randn(first.out_channels, 3, 3, 3) / 5)
    for layer in trunk.convolutions:
        for name, low, high in (("weight", 0.8, 1.2), ("bias", -0.1, 0.3), ("running_var", 0.7, 1.4)):
            nn.init.uniform_(getattr(layer.norm, name), low, high)
        nn.init.uniform_(layer.norm.running_mean, -0.2, 0.2)
    return trunk.eval()


def write_trunk(trunk: MobileTrunk, path: Path, folded: bool) -> None:
    arrays = {}
    for k, layer in enumerate(trunk.convolutions):
        norm, weight = layer.norm, layer.convolution.weight
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        if folded:
            arrays[f"L.{k}.conv.weight"] = weight * factor[:, None, None, None]
            arrays[f"L.{k}.conv.bias"] = norm.bias - norm.running_mean * factor
        else:
            arrays[f"L.{k}.weight"] = weight
            names = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
            arrays |= {f"L.{k}.norm.{name}": getattr(norm, name) for name in names}
    np.savez(path, **{name: value.detach().numpy() for name, value in arrays.items()})


@pytest.mark.parametrize(
    ("variant", "folded"), [("mobilenet-v1", True), ("mobilenet-v2", False), ("efficientnet-lite0", False)]
)
def test_the_trunk_gives_what_the_network_of_the_file_gives(
    variant: str, folded: bool, tmp_path: Path
) -> None:
    theirs = random_trunk(variant)
    write_trunk(theirs, tmp_path / "trunk.npz", folded)
    luma = torch.rand(32, 1, 64, 64) * 255
    x = (luma - MEAN) * SCALE
    model = build("mobile", variant=variant, size=64)
    report = load_start_weights(model, tmp_path / "trunk.npz", x)
    assert report == "trunk.npz: all weights of the trunk taken"
    expected = INPUT_RANGES[variant]
    mean, deviation = (torch.tensor(v)[:, None, None] for v in (expected.mean, expected.deviation))
    with torch.no_grad():
        wanted, found = theirs((luma - mean) / deviation), model.eval().trunk(x)
    # The borders differ: zeros there are black less the mean, in two different ranges.
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1)) if wanted.shape[2] > 2 else ...
    scale = wanted.abs().mean()
    assert ((found - wanted)[inside].abs().mean() / scale) < 0.1
    # In training, the statistics of the batch are those that were measured.
    if folded:
        training = model.train().trunk(x)
        assert (training - found).abs().mean() / scale < 0.05


def test_a_file_of_another_trunk_is_refused(tmp_path: Path) -> None:
    write_trunk(random_trunk("mobilenet-v2"), tmp_path / "trunk.npz", folded=False)
    model = build("mobile", variant="efficientnet-lite0", size=64)
    with pytest.raises(ValueError, match="does not fit efficientnet-lite0"):
        load_start_weights(model, tmp_path / "trunk.npz", torch.zeros(4, 1, 64, 64))
    with pytest.raises(ValueError, match="holds a mobile trunk"):
        load_start_weights(build("tkfnet-nano"), tmp_path / "trunk.npz", torch.zeros(4, 1, 64, 64))
