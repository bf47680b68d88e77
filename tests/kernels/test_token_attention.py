"""Triton's `token_attention` against the reference in float64, with the tolerance of precision.py.

The interpreter is correct in float32 and float16; bfloat16 is tested on a GPU.
"""

import pytest
import torch
from draws import LAYOUTS, normal, token_attention_weights
from precision import assert_accurate, cast, expected, gradients

from fer_edge.kernels import reference
from fer_edge.kernels.jit.launch import DTYPE_NAMES
from fer_edge.kernels.jit.token_attention import forward_plan
from fer_edge.kernels.triton_ops import token_attention

pytestmark = pytest.mark.usefixtures("nan_in_new_memory")
PRECISIONS = (torch.float32, torch.float16)
EPSILON = 1e-5


def draw(images, channels, size, dtype, layout="contiguous", seed=0):
    """Normal x [images, channels, *size]."""
    return normal(images, channels, *size, dtype=dtype, layout=layout, seed=seed)


def leaves(x, weights):
    """The map and the weights as leaves of a new graph, by name."""
    found = {"x": x.detach().requires_grad_()}
    return found | {name: w.detach().requires_grad_() for name, w in weights._asdict().items()}


def computed(function, inputs, upstream, heads, epsilon=EPSILON):
    """The output and the gradients of the inputs, by name."""
    weights = reference.TokenAttentionWeights(*list(inputs.values())[1:])
    y = function(inputs["x"], weights, heads, epsilon)
    return {"y": y.detach()} | gradients(y, upstream, inputs)


def forward(x, weights, heads):
    """The output that is expected of x, without gradients."""
    wide = x.double(), cast(weights, torch.float64)
    return expected(lambda: {"y": reference.token_attention(*wide, heads, EPSILON)}, x.dtype)["y"]


def check(x, heads, epsilon=EPSILON, changed=lambda weights: weights):
    """The output and all gradients."""
    upstream = draw(*x.shape[:2], x.shape[2:], x.dtype, seed=100)
    weights = cast(changed(token_attention_weights(x.shape[1])), x.dtype)
    wide = leaves(x.double(), cast(weights, torch.float64))
    exact = expected(lambda: computed(reference.token_attention, wide, upstream, heads, epsilon), x.dtype)
    for name, values in computed(token_attention, leaves(x, weights), upstream, heads, epsilon).items():
        assert_accurate(name, values, exact[name])


@pytest.mark.slow
@pytest.mark.numeric
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize(
    ("channels", "heads", "size", "images"),
    [
        (8, 1, (4, 4), 3),
        (24, 3, (3, 5), 2),
        (40, 5, (7, 7), 1),
        (40, 1, (4, 4), 1),
        (64, 2, (8, 8), 1),
    ],
)
def test_output_and_gradients(channels, heads, size, images, dtype):
    check(draw(images, channels, size, dtype), heads)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_layouts_are_bitwise_equal(layout, dtype):
    weights = cast(token_attention_weights(24), dtype)
    upstream = draw(3, 24, (3, 5), dtype, seed=1)
    x = draw(3, 24, (3, 5), dtype, layout)
    plain = computed(token_attention, leaves(draw(3, 24, (3, 5), dtype), weights), upstream, 3)
    got = computed(token_attention, leaves(x, weights), upstream, 3)
    for name, values in plain.items():
        assert torch.equal(got[name], values), name
    expected = x if layout == "channels_last" else x.contiguous()
    assert got["y"].stride() == got["x"].stride() == expected.stride()


@pytest.mark.slow
@pytest.mark.numeric
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_one_position(dtype):
    check(draw(3, 64, (1, 1), dtype), 2)


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_kernels_for_many_channels(layout, dtype):
    plan = forward_plan(40, 3, 5, 5, EPSILON, DTYPE_NAMES[dtype], layout == "channels_last", fused_channels=0)
    assert [launch.kernel.__name__ for launch in plan.launches] == ["project", "mix", "join", "normalize"]
    x, weights = draw(2, 40, (3, 5), dtype, layout), cast(token_attention_weights(40), dtype)
    y = plan.run(2, x=x, **weights._asdict())["y"]
    assert y.stride() == x.stride()
    assert_accurate("y", y, forward(x, weights, 5))


@pytest.mark.parametrize(("channels", "launches"), [(8, 2), (256, 2), (264, 4), (2048, 4)])
def test_launches(channels, launches):
    assert len(forward_plan(channels, 4, 4, 8, EPSILON, "fp16", False).launches) == launches


@pytest.mark.slow
@pytest.mark.numeric
@pytest.mark.parametrize(
    ("factor", "dtype"),
    [(1e3, torch.float32), (1e-4, torch.float32), (8.0, torch.float16), (1e-3, torch.float16)],
)
def test_saturated_softmax_and_small_numbers(factor, dtype):
    check((draw(1, 64, (4, 4), torch.float64) * factor).to(dtype), 2)


@pytest.mark.numeric
def test_scores_beyond_the_range_of_float16():
    # Every query and key is 400 in 8 channels: their product is 1.28e6, beyond the largest float16, 65504.
    # All scores are equal, so the output does not change.
    weights, x = token_attention_weights(8), draw(1, 8, (4, 4), torch.float16)
    weights = weights._replace(
        qkv_w=weights.qkv_w * torch.tensor([0.0, 0.0, 1.0]).repeat_interleave(8)[:, None]
    )
    large = torch.cat([torch.full((16,), 400.0, dtype=torch.float64), weights.qkv_b[16:]])
    y = token_attention(x, cast(weights._replace(qkv_b=large), torch.float16), 1)
    half = cast(weights, torch.float16)
    assert_accurate("y", y, forward(x, half, 1))


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_maps_that_are_constant_over_positions(dtype):
    check(draw(1, 64, (1, 1), dtype).expand(1, 64, 3, 5).contiguous(), 2)


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_positions_without_variance_over_channels(dtype):
    x = torch.full((1, 64, 4, 4), 1.5, dtype=dtype)
    # LayerNorm's argument is 2 everywhere.
    check(x, 2, changed=lambda w: w._replace(out_w=w.out_w * 0, out_b=w.out_b * 0 + 0.5))


@pytest.mark.slow
@pytest.mark.numeric
def test_another_epsilon():
    check(draw(1, 64, (4, 4), torch.float32), 2, epsilon=1.0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_images(layout):
    weights = cast(token_attention_weights(8), torch.float32)
    x = draw(3, 8, (4, 4), torch.float32, layout)[:0]
    got = computed(token_attention, leaves(x, weights), torch.empty(0, 8, 4, 4), 1)
    assert got["y"].shape == got["x"].shape == (0, 8, 4, 4)
    for name, weight in weights._asdict().items():
        assert torch.equal(got[name], torch.zeros_like(weight)), name


@pytest.mark.slow
def test_bitwise_equal_when_repeated_and_for_any_batch_composition():
    weights = cast(token_attention_weights(8), torch.float16)
    x, upstream = draw(3, 8, (4, 4), torch.float16), draw(3, 8, (4, 4), torch.float16, seed=1)
    first, again = (computed(token_attention, leaves(x, weights), upstream, 1) for _ in range(2))
    for name, values in first.items():
        assert torch.equal(values, again[name]), name
    for image in range(3):
        alone = computed(token_attention, leaves(x[image, None], weights), upstream[image, None], 1)
        assert torch.equal(alone["y"][0], first["y"][image])
        assert torch.equal(alone["x"][0], first["x"][image])


def test_nothing_is_saved_without_gradients():
    weights = cast(token_attention_weights(8), torch.float32)
    x = draw(1, 8, (4, 4), torch.float32)
    operation = torch.ops.fer_edge.token_attention
    y, kept = operation(x, *weights, 1, EPSILON, False)
    assert kept.numel() == 0
    trained, qkv = operation(x, *weights, 1, EPSILON, True)
    assert torch.equal(trained, y)
    assert qkv.shape == (1, 16, 24)
    with torch.no_grad():
        assert token_attention(x.requires_grad_(), weights, 1).grad_fn is None


def test_gradients_of_the_reference():
    x = draw(2, 8, (2, 3), torch.float64).requires_grad_()
    weights = [w.requires_grad_() for w in token_attention_weights(8)]

    assert torch.autograd.gradcheck(
        lambda x, *weights: reference.token_attention(x, reference.TokenAttentionWeights(*weights), 2),
        (x, *weights),
        fast_mode=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_opcheck(layout):
    x = draw(1, 8, (4, 4), torch.float32, layout)
    weights = cast(token_attention_weights(8), torch.float32)
    given = [tensor.requires_grad_() for tensor in (x, *weights)]
    operations = torch.ops.fer_edge
    torch.library.opcheck(operations.token_attention, (*given, 1, EPSILON, True))
    plain = [tensor.detach() for tensor in given]
    torch.library.opcheck(operations.token_attention, (*plain, 1, EPSILON, False))
    y, qkv = operations.token_attention(*plain, 1, EPSILON, True)
    kept = (plain[0], qkv, *(plain[i] for i in (1, 3, 4, 5)))
    torch.library.opcheck(operations.token_attention_backward, (y, *kept, 1, EPSILON))


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS[:2])
def test_compiled_by_pytorch(layout):
    weights = cast(token_attention_weights(8), torch.float32)
    x = draw(2, 8, (4, 4), torch.float32, layout)
    compiled = torch.compile(token_attention, fullgraph=True, backend="aot_eager")
    upstream = torch.ones_like(x)
    eager = computed(token_attention, leaves(x, weights), upstream, 1)
    for name, values in computed(compiled, leaves(x, weights), upstream, 1).items():
        assert torch.equal(values, eager[name]), name
        assert values.stride() == eager[name].stride(), name
