"""Triton's `multi_branch_attention` against the reference in float64.

The interpreter is right in float32 and float16; bfloat16 is left to a GPU. Tolerance: precision.py, with the
reference's error measured on several draws, because the largest error of eight numbers is a matter of luck.
"""

import pytest
import torch
from precision import assert_as_exact, cast, gradients, relative_error
from torch.nn import functional as F

from fer_edge.kernels import MultiBranchWeights, fold_multi_branch, reference
from fer_edge.kernels.jit.launch import DTYPE_NAMES
from fer_edge.kernels.jit.multi_branch_attention import forward_plan
from fer_edge.kernels.random_weights import multi_branch_weights
from fer_edge.kernels.triton_ops import multi_branch_attention

pytestmark = pytest.mark.usefixtures("nan_in_new_memory")
OPERATOR = torch.ops.fer_edge.multi_branch_attention.default
PRECISIONS = (torch.float32, torch.float16)
LAYOUTS = ("contiguous", "channels_last", "strided")
# Channels, map, images; more than 4 images take the larger tiles.
SMALL = (8, (4, 4), 1)
DRAWS = 10


def draw(channels, size, images, dtype, layout="contiguous", seed=0):
    """Normal z [images, 2 channels, *size], with numbers exact in the dtype; strided is neither layout."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(images, 2 * channels, *size, generator=generator, dtype=torch.float64).to(dtype)
    return laid_out(z, layout)


def laid_out(z, layout):
    if layout == "strided":
        return torch.stack([z, z], dim=-1)[..., 0]
    last = layout == "channels_last"
    return z.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def weights_of(channels, dtype, *, concatenate=False, seed=0):
    return cast(multi_branch_weights(channels, concatenate, seed), dtype)


def computed(function, z, weights, training):
    """The output and, in training, the gradients of z and of every weight, by name."""
    if not training:
        return {"out": function(z, weights)}
    inputs = {"z": z.detach().requires_grad_()}
    inputs |= {name: w.detach().requires_grad_() for name, w in weights._asdict().items()}
    out = function(inputs["z"], MultiBranchWeights(*list(inputs.values())[1:]))
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(9)).half()
    return {"out": out.detach()} | gradients(out, upstream, inputs)


def in_rows(x, weight, bias=None, padding=0, groups=1):
    """conv2d, but a 1 x 1 weight meets the places of all images at once: its gradient is then one sum, not a
    sum over images of sums, which in float32 is half as exact. Both are plain PyTorch.
    """
    if weight.shape[2:] != (1, 1):
        return torch.conv2d(x, weight, bias, padding=padding, groups=groups)
    return F.linear(x.movedim(1, -1), weight[:, :, 0, 0], bias).movedim(-1, 1)


def relative_errors(values, exact):
    return {name: relative_error(values[name], correct) for name, correct in exact.items()}


def check(draws, monkeypatch, training=False):
    """The first of several z and weights, against the reference's largest errors on all of them."""
    worst = {}
    for z, weights in reversed(draws):
        wide = z.double(), cast(weights, torch.float64)
        exact = computed(reference.multi_branch_attention, *wide, training)
        for conv2d in (torch.conv2d, in_rows):
            with monkeypatch.context() as patch:
                patch.setattr(F, "conv2d", conv2d)
                rounded = computed(reference.multi_branch_attention, z, weights, training)
            for name, error in relative_errors(rounded, exact).items():
                worst[name] = max(worst.get(name, 0.0), error)
    got = computed(multi_branch_attention, z, weights, training)
    for name, error in relative_errors(got, exact).items():
        assert (got[name].dtype, got[name].shape) == (z.dtype, exact[name].shape)
        allowed = max(2 * worst[name], torch.finfo(z.dtype).eps)
        assert error <= allowed, f"{name}: relative error {error:.3g}, allowed {allowed:.3g}"
    return got


def drawn(shape, dtype, layout="contiguous", concatenate=False, factor=1.0, centre=0.0):
    """As many z and weights as `check` asks for."""
    return [
        (
            laid_out(draw(*shape, torch.float64, seed=seed) * factor + centre, layout).to(dtype),
            weights_of(shape[0], dtype, concatenate=concatenate, seed=seed),
        )
        for seed in range(DRAWS)
    ]


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("concatenate", [False, True], ids=["added", "concatenated"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, concatenate, dtype, monkeypatch):
    draws = drawn((8, (3, 5), 3), dtype, layout, concatenate)
    got = check(draws, monkeypatch, training=True)
    kept = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    assert got["out"].is_contiguous(memory_format=kept)
    assert got["z"].is_contiguous(memory_format=kept)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize(
    "shape",
    [(24, (4, 4), 1), (24, (5, 9), 3), (40, (7, 7), 1), (8, (14, 14), 1), (24, (1, 1), 5), (40, (4, 4), 5)],
    ids=str,
)
def test_shapes(shape, dtype, monkeypatch):
    check(drawn(shape, dtype, "channels_last" if shape[2] == 3 else "contiguous"), monkeypatch, training=True)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_more_images_than_a_block_of_the_gate_or_chunks(dtype, monkeypatch):
    check(drawn((8, (2, 1), 17), dtype), monkeypatch, training=True)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("images", [1, 8, 64])
def test_all_tiles(images, dtype):
    z, weights = draw(40, (4, 4), 3, dtype), weights_of(40, dtype)
    folded = fold_multi_branch(weights)._asdict()
    plan = forward_plan(40, 4, 4, DTYPE_NAMES[dtype], False, images, tensor_cores=True)
    exact = reference.multi_branch_attention(z.double(), cast(weights, torch.float64))
    rounded = reference.multi_branch_attention(z, weights)
    assert_as_exact("out", plan.run(3, z=z, **folded)["out"], rounded, exact)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize(("factor", "centre"), [(1e-3, 0.0), (5.0, 0.0), (0.2, 5.0)])
def test_magnitudes(factor, centre, dtype, monkeypatch):
    check(drawn((24, (4, 4), 2), dtype, factor=factor, centre=centre), monkeypatch, training=True)


def test_large_values_of_float32(monkeypatch):
    check(drawn((24, (4, 4), 2), torch.float32, factor=1e5), monkeypatch, training=True)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_constant_maps_have_no_variance(dtype, monkeypatch):
    draws = [(z.expand(-1, -1, 4, 5).contiguous(), weights) for z, weights in drawn((8, (1, 1), 2), dtype)]
    check(draws, monkeypatch, training=True)
    *_, moments, _, _ = OPERATOR(draws[0][0], *fold_multi_branch(draws[0][1]), True)
    assert moments[:, 1].abs().max() < 1e-12


def test_variance_may_exceed_the_largest_float16():
    z, weights = draw(8, (7, 7), 2, torch.float16), weights_of(8, torch.float16, concatenate=True)
    # The same answer from an x that is 512 times as large: powers of two round nothing.
    large = z * torch.where(torch.arange(16) < 8, 1, 512)[:, None, None]
    smaller = torch.where(torch.arange(16) < 8, 1 / 512, 1).half()
    merge_w, beta = weights.merge_w * smaller, weights.beta / 512**2
    scaled = weights._replace(alpha=weights.alpha / 512, beta=beta, merge_w=merge_w)
    # Back from what was rounded.
    weights = weights._replace(beta=beta.double().mul(512**2).half(), merge_w=merge_w / smaller)
    exact = reference.multi_branch_attention(large.double(), cast(scaled, torch.float64))
    assert not reference.multi_branch_attention(large, scaled).isfinite().all()
    got = multi_branch_attention(large, scaled)
    assert_as_exact("out", got, reference.multi_branch_attention(z, weights), exact)


def test_gradients_of_the_reference():
    z = draw(8, (2, 3), 2, torch.float64).requires_grad_()
    weights = [w.requires_grad_() for w in weights_of(8, torch.float64)]

    assert torch.autograd.gradcheck(
        lambda z, *weights: reference.multi_branch_attention(z, MultiBranchWeights(*weights)), (z, *weights)
    )


@pytest.mark.parametrize(
    ("layout", "training"), [("contiguous", True), ("channels_last", False), ("strided", True)]
)
def test_is_a_good_operator(layout, training):
    tensors = draw(8, (2, 3), 2, torch.float32, layout), *fold_multi_branch(weights_of(8, torch.float32))
    leaves = [tensor.detach().requires_grad_(training) for tensor in tensors]
    torch.library.opcheck(OPERATOR, (*leaves, training))


@pytest.mark.parametrize("layout", ["channels_last", "strided"])
def test_compiled_by_pytorch(layout):
    z, weights = draw(*SMALL, torch.float32, layout), weights_of(8, torch.float32)
    compiled = torch.compile(multi_branch_attention, fullgraph=True, backend="aot_eager")
    eager = computed(multi_branch_attention, z, weights, training=True)
    for name, values in computed(compiled, z, weights, training=True).items():
        assert torch.equal(values, eager[name]), name
        assert values.stride() == eager[name].stride(), name


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_no_images(dtype):
    z, weights = draw(8, (4, 4), 0, dtype), weights_of(8, dtype)
    got = computed(multi_branch_attention, z, weights, training=True)
    assert got.pop("out").shape == (0, 8, 4, 4)
    assert got.pop("z").shape == z.shape
    for name, gradient in got.items():
        assert torch.equal(gradient, torch.zeros_like(getattr(weights, name))), name


def test_same_bits_each_time():
    z, weights = draw(8, (5, 3), 2, torch.float16), weights_of(8, torch.float16)
    first, again = (computed(multi_branch_attention, z, weights, training=True) for _ in range(2))
    for name, values in first.items():
        assert torch.equal(values, again[name]), name


@pytest.mark.parametrize("images", [3, 6])
def test_an_image_does_not_depend_on_the_others(images):
    z, weights = draw(24, (5, 5), images, torch.float32), weights_of(24, torch.float32)
    together = multi_branch_attention(z, weights)
    alone = multi_branch_attention(z[1:2], weights)
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-6 * float(alone.abs().max()))


def test_only_training_keeps_anything():
    z, weights = draw(*SMALL, torch.float32), weights_of(8, torch.float32)
    folded = fold_multi_branch(weights)
    out, *saved = OPERATOR(z, *folded, False)
    assert [tensor.numel() for tensor in saved] == [0] * 4
    assert torch.equal(out, OPERATOR(z, *folded, True)[0])
    assert torch.equal(out, multi_branch_attention(z, folded))
    assert len(forward_plan(8, 4, 4, "fp32", False).launches) == 3
