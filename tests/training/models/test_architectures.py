"""The networks: sizes as in the papers, blocks as in their equations, ablations."""

import math

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from training.models import EXPRESSION_MODELS, build
from training.models.conv_cut import ConvCut, TokenAttention
from training.models.convnext import ConvNeXt
from training.models.dcif import Dcif
from training.models.face_luma import STRIDES, FaceLuma
from training.models.resnet import ResNet
from training.models.tafe import Tafe
from training.models.tkfnet import TkfNet
from training.models.tkfnet_nano import TkfNetNano

SIZE = 64  # of tkfnet-nano


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def multiply_adds(model: torch.nn.Module, channels: int, size: int) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, channels, size, size))
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("blocks", [(1, 1, 1), (0, 1, 2)])
def test_nano_stays_within_its_budget(blocks: tuple[int, int, int]):
    model = TkfNetNano(blocks=blocks)
    assert multiply_adds(model, 1, SIZE) <= 0.06e9
    assert parameters(model) <= 1.5e6
    assert model(torch.zeros(1, 1, SIZE, SIZE)).shape == (1, 8)


def test_tkfnet_has_the_papers_size():
    model = TkfNet(channels=3)
    assert parameters(model) == pytest.approx(14.0e6, rel=0.005)
    assert multiply_adds(model, 3, 224) == pytest.approx(1.9e9, rel=0.02)


@pytest.mark.slow
def test_conv_cut_trunk_has_the_papers_size():
    trunk = ConvNeXt("base", channels=3)
    assert parameters(trunk) == pytest.approx(51.6e6, rel=0.002)
    assert multiply_adds(trunk, 3, 224) == pytest.approx(12.2e9, rel=0.02)
    assert parameters(ConvCut().detail) + parameters(ConvCut().condense) == pytest.approx(0.2e6, rel=0.05)


@pytest.mark.parametrize(("name", "options"), [("tkfnet", {"size": 56, "width": 16}), ("tkfnet-nano", {})])
def test_a_crop_check_is_a_second_output_and_leaves_the_logits_alone(name: str, options: dict[str, object]):
    plain = build(name, **options).eval()
    checked = build(name, **options, crop_check=True).eval()
    checked.load_state_dict(checked.state_dict() | plain.state_dict())
    x = torch.randn(2, 1, plain.size, plain.size)
    torch.testing.assert_close(checked(x), plain(x), rtol=0, atol=0)
    checked.returns_crop_check = True
    logits, problems = checked(x)
    torch.testing.assert_close(logits, plain(x), rtol=0, atol=0)
    assert problems.shape == (2, 2)


@pytest.mark.parametrize("size", [56, 64, 100, 112, 160, 224])
def test_every_stem_of_tkfnet_ends_at_seven_by_seven(size: int):
    assert ResNet(18, size, 1, width=4)(torch.zeros(1, 1, size, size)).shape == (1, 32, 7, 7)


@pytest.mark.parametrize(("size", "side"), [(56, 7), (112, 14), (224, 14)])
def test_every_stem_of_conv_cut_leaves_sixteen_tokens(size: int, side: int):
    model = ConvCut("atto", size, tokens_width=64).eval()
    x = torch.zeros(1, 1, size, size)
    assert model.trunk(x).shape == (1, 160, side, side)
    assert model.detail(model.trunk(x)).shape == (1, 64, 4, 4)


@pytest.mark.parametrize(("depth", "weights"), [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032)])
def test_resnet_has_torchvisions_weights(depth: int, weights: int):
    # torchvision's counts without the classifier of 512 or 2048 x 1000 + 1000.
    model = ResNet(depth)
    assert parameters(model) == weights
    state = model.state_dict()
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    last = "layer4.0.conv3.weight" if depth == 50 else "layer4.0.conv2.weight"
    assert state[last].shape[0] == model.out_channels
    assert {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_mean", "bn1.bias"} <= set(state)
    assert ("layer1.0.downsample.0.weight" in state) == (depth == 50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet", {}), "model must be one of tkfnet, conv-cut, tkfnet-nano, mobile, got 'resnet'"),
        (("tkfnet", {"depth": 20}), "depth must be one of 18, 34, 50, got 20"),
        (("tkfnet", {"size": 32}), "size must be from 56 to 224 px, got 32"),
        (("tkfnet", {"heads": 4}), "model tkfnet: .*heads"),
        (("tkfnet", {"channels": 3}), r"options.channels must be 1 \(luma\), got 3"),
        (("tkfnet", {"tafe": "modul"}), "tafe must be one of both, modulation, local, none, got 'modul'"),
        (("tkfnet-nano", {"fusion": "sum"}), "fusion must be one of add, concatenate, got 'sum'"),
        (("conv-cut", {"variant": "large"}), "variant must be one of base, tiny, atto, got 'large'"),
        (("mobile", {"variant": "v3"}), "variant must be one of mobilenet-v1, .*, got 'v3'"),
        (("conv-cut", {"size": 64}), "size must be one of 56, 112, 224, got 64"),
        (("conv-cut", {"tokens_width": 100}), "multiple of 32, got 100"),
    ],
)
def test_a_wrong_option_is_named(arguments: tuple[str, dict[str, object]], message: str):
    name, options = arguments
    with pytest.raises(ValueError, match=message):
        build(name, **options)


ABLATIONS = [
    ("tkfnet-nano", {"tafe": "none"}),
    ("tkfnet-nano", {"tafe": "modulation"}),
    ("tkfnet-nano", {"tafe": "local"}),
    ("tkfnet-nano", {"fusion": "concatenate"}),
    ("tkfnet-nano", {"dcif": False}),
    ("tkfnet", {"size": 56, "width": 8, "tafe": "none", "dcif": False}),
    ("conv-cut", {"variant": "atto", "size": 56, "det": False}),
    ("conv-cut", {"variant": "atto", "size": 56, "attention": False}),
    ("conv-cut", {"variant": "atto", "size": 56, "det": False, "attention": False}),
]


@pytest.mark.parametrize(("name", "options"), ABLATIONS)
def test_an_ablation_is_another_network_that_learns(name: str, options: dict[str, object]):
    torch.manual_seed(0)
    kept = {k: v for k, v in options.items() if k in ("size", "width", "variant")}
    model, whole = build(name, **options), build(name, **kept)
    assert parameters(model) != parameters(whole)
    x = torch.randn(4, 1, model.size, model.size)
    model(x).square().sum().backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert unused == []


@pytest.mark.parametrize("name", EXPRESSION_MODELS)
def test_attention_has_a_map_a_picture(name: str):
    options = {
        "tkfnet": {"size": 56, "width": 8},
        "conv-cut": {"variant": "atto", "size": 56},
        "mobile": {"variant": "mobilenet-v2", "size": 64},
    }
    model = build(name, **options.get(name, {})).eval()
    maps = model.attention(torch.randn(3, 1, model.size, model.size))
    assert len(maps) == (1 if name == "mobile" else 2)
    for values in maps.values():
        assert values.shape[0] == 3
        assert values.ndim == 3
        assert (values >= 0).all()


def test_token_attention_follows_its_equation():
    torch.manual_seed(0)
    block = TokenAttention(64).double()
    x = torch.randn(2, 64, 4, 4, dtype=torch.float64)
    w = {name: p.detach().numpy() for name, p in block.named_parameters()}
    tokens = x.numpy().reshape(2, 64, 16).transpose(0, 2, 1)
    qkv = tokens @ w["qkv.weight"].T + w["qkv.bias"]
    query, key, value = (qkv[..., 64 * k : 64 * (k + 1)].reshape(2, 16, 2, 32) for k in range(3))
    scores = np.einsum("nqhd,nkhd->nhqk", query, key) / math.sqrt(32)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    mixed = np.einsum("nhqk,nkhd->nqhd", shares, value).reshape(2, 16, 64)
    y = tokens + mixed @ w["out.weight"].T + w["out.bias"]
    y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-5)
    y = y * w["norm.weight"] + w["norm.bias"]
    ours = block(x).detach().numpy().reshape(2, 64, 16).transpose(0, 2, 1)
    np.testing.assert_allclose(ours, y, rtol=1e-9, atol=1e-9)


def test_concatenated_branches_are_merged_from_twice_the_channels():
    torch.manual_seed(0)
    block = Tafe(4, fusion="concatenate")
    x = torch.randn(2, 4, 5, 5)
    y, texture = block.split(x).chunk(2, dim=1)
    expected = block.merge(torch.cat([block.modulated(texture), block.local(y)], dim=1))
    torch.testing.assert_close(block(x), expected)
    assert block.merge.weight.shape == (4, 8, 1, 1)


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
    # One gate a channel times one gate a position: every 2 x 2 minor of the ratios is zero.
    minor = ratio[:, 0, 0, 0] * ratio[:, 1, 3, 5] - ratio[:, 0, 3, 5] * ratio[:, 1, 0, 0]
    assert minor.abs().max() < 1e-5
    assert ratio[:, 0].std() > 0


def test_the_detector_does_not_depend_on_the_batch():
    torch.manual_seed(1)
    model = FaceLuma().eval()
    x = torch.randn(5, 1, 64, 64)
    with torch.no_grad():
        together, alone = model(x), model(x[2:3])
    for t, a in zip(*((o,) if isinstance(o, torch.Tensor) else o for o in (together, alone)), strict=True):
        torch.testing.assert_close(t[2:3], a, atol=1e-5, rtol=0)
