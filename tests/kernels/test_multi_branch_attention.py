"""Triton's `multi_branch_attention` against the reference in float64, with the tolerance of precision.py.

The interpreter is correct in float32 and float16; bfloat16 is tested on a GPU.
"""

import pytest
import torch
from draws import LAYOUTS, laid_out, multi_branch_weights, normal
from precision import assert_accurate, cast, expected, gradients

from fer_edge.kernels import MultiBranchWeights, fold_multi_branch, reference
from fer_edge.kernels.jit.launch import DTYPE_NAMES
from fer_edge.kernels.jit.multi_branch_attention import forward_plan
from fer_edge.kernels.triton_ops import multi_branch_attention

pytestmark = pytest.mark.usefixtures("nan_in_new_memory")
OPERATOR = torch.ops.fer_edge.multi_branch_attention.default
PRECISIONS = (torch.float32, torch.float16)
# Channels, map, images; more than 4 images use the larger tiles.
SMALL = (8, (4, 4), 1)


def draw(channels, size, images, dtype, layout="contiguous"):
    """Normal z [images, 2 channels, *size]."""
    return normal(images, 2 * channels, *size, dtype=dtype, layout=layout)


def weights_of(channels, dtype, *, concatenate=False):
    return cast(multi_branch_weights(channels, concatenate), dtype)


def folded(z, weights):
    """The reference as the kernels compute it, with project and merge in one matrix."""
    return reference.multi_branch_attention(z, fold_multi_branch(weights))


def computed(function, z, weights, training):
    """The output and, in training, the gradients of z and of every weight, by name."""
    if not training:
        return {"out": function(z, weights)}
    inputs = {"z": z.detach().requires_grad_()}
    inputs |= {name: w.detach().requires_grad_() for name, w in weights._asdict().items()}
    out = function(inputs["z"], MultiBranchWeights(*list(inputs.values())[1:]))
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(9)).half()
    return {"out": out.detach()} | gradients(out, upstream, inputs)


def expected_of(z, weights, training=False):
    """The exact arrays and their tolerances."""
    wide = z.double(), cast(weights, torch.float64)
    return expected(lambda: computed(folded, *wide, training), z.dtype)


def check(z, weights):
    """The output and all gradients."""
    exact = expected_of(z, weights, training=True)
    got = computed(multi_branch_attention, z, weights, training=True)
    for name, values in got.items():
        assert_accurate(name, values, exact[name])
    return got


def drawn(shape, dtype, layout="contiguous", concatenate=False, factor=1.0, centre=0.0):
    """Map and weights."""
    z = laid_out(draw(*shape, torch.float64) * factor + centre, layout).to(dtype)
    return z, weights_of(shape[0], dtype, concatenate=concatenate)


@pytest.mark.slow
@pytest.mark.numeric
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("concatenate", [False, True], ids=["added", "concatenated"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, concatenate, dtype):
    got = check(*drawn((8, (3, 5), 3), dtype, layout, concatenate))
    kept = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    assert got["out"].is_contiguous(memory_format=kept)
    assert got["z"].is_contiguous(memory_format=kept)


@pytest.mark.slow
@pytest.mark.numeric
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize(
    "shape",
    [(24, (4, 4), 1), (24, (5, 9), 3), (40, (7, 7), 1), (8, (14, 14), 1), (24, (1, 1), 5), (40, (4, 4), 5)],
    ids=str,
)
def test_shapes(shape, dtype):
    check(*drawn(shape, dtype, "channels_last" if shape[2] == 3 else "contiguous"))


@pytest.mark.slow
@pytest.mark.numeric
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_more_images_than_a_block_of_the_gate_or_chunks(dtype):
    check(*drawn((8, (2, 1), 17), dtype))


@pytest.mark.slow
@pytest.mark.numeric
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("images", [1, 8, 64])
def test_all_tiles(images, dtype):
    z, weights = draw(40, (4, 4), 3, dtype), weights_of(40, dtype)
    plan = forward_plan(40, 4, 4, DTYPE_NAMES[dtype], False, images, tensor_cores=True)
    out = plan.run(3, z=z, **fold_multi_branch(weights)._asdict())["out"]
    assert_accurate("out", out, expected_of(z, weights)["out"])


@pytest.mark.slow
@pytest.mark.numeric
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize(("factor", "centre"), [(1e-3, 0.0), (5.0, 0.0), (0.2, 5.0)])
def test_magnitudes(factor, centre, dtype):
    check(*drawn((24, (4, 4), 2), dtype, factor=factor, centre=centre))


@pytest.mark.slow
@pytest.mark.numeric
def test_large_values_of_float32():
    check(*drawn((24, (4, 4), 2), torch.float32, factor=1e5))


@pytest.mark.slow
@pytest.mark.numeric
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_constant_maps_have_no_variance(dtype):
    z, weights = drawn((8, (1, 1), 2), dtype)
    z = z.expand(-1, -1, 4, 5).contiguous()
    check(z, weights)
    *_, moments, _, _ = OPERATOR(z, *fold_multi_branch(weights), True)
    assert moments[:, 1].abs().max() < 1e-12


@pytest.mark.numeric
def test_variance_may_exceed_the_largest_float16():
    z, weights = draw(8, (7, 7), 2, torch.float16), weights_of(8, torch.float16, concatenate=True)
    # x is 512 times as large, and the weights are smaller by the same factor.
    large = z * torch.where(torch.arange(16) < 8, 1, 512)[:, None, None]
    smaller = torch.where(torch.arange(16) < 8, 1 / 512, 1).half()
    merge_w, beta = weights.merge_w * smaller, weights.beta / 512**2
    scaled = weights._replace(alpha=weights.alpha / 512, beta=beta, merge_w=merge_w)
    assert not reference.multi_branch_attention(large, scaled).isfinite().all()
    assert_accurate("out", multi_branch_attention(large, scaled), expected_of(large, scaled)["out"])


@pytest.mark.slow
def test_gradients_of_the_reference():
    z = draw(8, (2, 3), 2, torch.float64).requires_grad_()
    weights = [w.requires_grad_() for w in weights_of(8, torch.float64)]

    assert torch.autograd.gradcheck(
        lambda z, *weights: reference.multi_branch_attention(z, MultiBranchWeights(*weights)), (z, *weights)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "training"), [("contiguous", True), ("channels_last", False), ("strided", True)]
)
def test_opcheck(layout, training):
    tensors = draw(8, (2, 3), 2, torch.float32, layout), *fold_multi_branch(weights_of(8, torch.float32))
    leaves = [tensor.detach().requires_grad_(training) for tensor in tensors]
    torch.library.opcheck(OPERATOR, (*leaves, training))


@pytest.mark.slow
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


@pytest.mark.slow
def test_bitwise_equal_when_repeated():
    z, weights = draw(8, (5, 3), 2, torch.float16), weights_of(8, torch.float16)
    first, again = (computed(multi_branch_attention, z, weights, training=True) for _ in range(2))
    for name, values in first.items():
        assert torch.equal(values, again[name]), name


@pytest.mark.slow
@pytest.mark.numeric
@pytest.mark.parametrize("images", [3, 6])
def test_an_image_does_not_depend_on_the_others(images):
    z, weights = draw(24, (5, 5), images, torch.float32), weights_of(24, torch.float32)
    alone = expected_of(z[1:2], weights)["out"]
    z[0], z[2:] = 1e6, float("nan")
    assert_accurate("out", multi_branch_attention(z, weights)[1:2], alone)


def test_only_training_saves_arrays():
    z, weights = draw(*SMALL, torch.float32), weights_of(8, torch.float32)
    folded = fold_multi_branch(weights)
    out, *saved = OPERATOR(z, *folded, False)
    assert [tensor.numel() for tensor in saved] == [0] * 4
    assert torch.equal(out, OPERATOR(z, *folded, True)[0])
    assert torch.equal(out, multi_branch_attention(z, folded))
    assert len(forward_plan(8, 4, 4, "fp32", False).launches) == 3
