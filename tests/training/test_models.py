"""Budgets of the two networks, and TAFE and DCIF against their equations."""

import math

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from training.models.dcif import Dcif
from training.models.face_luma import STRIDES, FaceLuma
from training.models.tafe import Tafe
from training.models.tkfnet_nano import SIZE, TkfNetNano


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_nano_stays_within_its_budget():
    model = TkfNetNano().eval()
    with FlopCounterMode(display=False) as counter:
        logits = model(torch.zeros(1, 1, SIZE, SIZE))
    assert logits.shape == (1, 8)
    assert counter.get_total_flops() / 2 <= 0.06e9
    assert parameters(model) <= 1.5e6


def test_detector_stays_within_its_budget_and_takes_any_multiple_of_32():
    model = FaceLuma().eval()
    assert parameters(model) <= 120_000
    for height, width in ((32, 32), (96, 160)):
        maps = model(torch.zeros(2, 1, height, width))
        assert [m.shape for m in maps] == [(2, 15, height // s, width // s) for s in STRIDES]


def test_tafe_and_dcif_have_the_papers_number_of_parameters_at_its_width():
    # TKFNet has 14.0 M: 11.177 M in the trunk of ResNet-18, 0.166 M in the head, the rest in these two.
    rest = parameters(Tafe(512)) + parameters(Dcif(512))
    assert rest == pytest.approx(14.0e6 - 11.177e6 - 0.166e6, rel=0.01)


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def test_tafe_follows_its_equations():
    torch.manual_seed(0)
    channels = 6
    block = Tafe(channels).double()
    with torch.no_grad():
        block.alpha.uniform_(0.5, 1.5)
        block.beta.uniform_(-1, 1)
    x = torch.randn(2, channels, 5, 4, dtype=torch.float64)
    w = {name: p.detach().numpy() for name, p in block.named_parameters()}

    def pointwise(name: str, v: np.ndarray) -> np.ndarray:
        return (
            np.einsum("oc,nchw->nohw", w[f"{name}.weight"][:, :, 0, 0], v) + w[f"{name}.bias"][:, None, None]
        )

    both = pointwise("split", x.numpy())
    y, xs = both[:, :channels], both[:, channels:]
    mean, variance = xs.mean((2, 3), keepdims=True), xs.var((2, 3), keepdims=True)
    modulated = xs * gelu(pointwise("texture.0", w["alpha"] * mean + w["beta"] * variance))
    padded = np.pad(y, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    kernels = w["local.0.weight"][:, 0]
    depthwise = np.stack(
        [(windows[:, o // 2] * kernels[o]).sum((-1, -2)) + w["local.0.bias"][o] for o in range(2 * channels)],
        axis=1,
    )
    local = pointwise("local.3", gelu(pointwise("local.1", depthwise)))
    expected = pointwise("merge", modulated + local)
    np.testing.assert_allclose(block(x).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_tafe_is_finite_on_a_constant_map():
    out = Tafe(8)(torch.full((1, 8, 4, 4), 3.0))
    assert torch.isfinite(out).all()


def test_dcif_gates_only_shrink_and_see_channel_then_place():
    torch.manual_seed(0)
    block = Dcif(32).eval()
    x = torch.randn(3, 32, 8, 8)
    out = block(x)
    assert (out.abs() <= x.abs()).all()
    ratio = out / x
    # One gate a channel times one gate a place: every 2 x 2 minor of the ratios vanishes.
    minor = ratio[:, 0, 0, 0] * ratio[:, 1, 3, 5] - ratio[:, 0, 3, 5] * ratio[:, 1, 0, 0]
    assert minor.abs().max() < 1e-5
    assert ratio[:, 0].std() > 0


@pytest.mark.parametrize("model", [TkfNetNano(), FaceLuma()])
def test_an_image_gets_the_same_answer_in_any_company(model: torch.nn.Module):
    torch.manual_seed(1)
    model.eval()
    x = torch.randn(5, 1, 64, 64)
    with torch.no_grad():
        together, alone = model(x), model(x[2:3])
    for t, a in zip(*((o,) if isinstance(o, torch.Tensor) else o for o in (together, alone)), strict=True):
        torch.testing.assert_close(t[2:3], a, atol=1e-5, rtol=0)
