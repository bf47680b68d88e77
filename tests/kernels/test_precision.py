"""The tolerance of precision.py rejects faults: each is planted in the source text of a reference.

The faulty operation is computed in float64 and rounded once, so only the fault can be rejected.
"""

import functools
import inspect
import os

import pytest
import torch
from draws import dcif_weights, multi_branch_weights, normal, token_attention_weights
from precision import assert_accurate, expected
from torch import Tensor
from torch.nn import functional as F

from fer_edge.kernels import fold_multi_branch, reference
from tests.kernels.rounding_model import largest_rounding

pytestmark = pytest.mark.numeric
# x has 14 x 14 positions, so that an accumulator of low precision is detected; attention has at most 8 x 8.
CASES = {
    "dcif": (normal(2, 32, 14, 14), dcif_weights(32, 64), ()),
    "multi_branch_attention": (normal(1, 128, 14, 14), multi_branch_weights(64), ()),
    "token_attention": (normal(2, 64, 8, 8), token_attention_weights(64), (2, 0.1)),
}
# Operation, name of the fault, text of the reference, text with the fault.
FAULTS = [
    ("dcif", "sum over HW - 1", "x.mean((2, 3))", "x.flatten(2)[..., 1:].mean(2)"),
    ("dcif", "bias dropped", "weights.expand_b)", "None)"),
    ("dcif", "float16 sum", "x.mean((2, 3))", "summed(x.flatten(2)) / 196"),
    ("dcif", "float16 product", "F.linear(hidden, ", "matmul(hidden, "),
    ("dcif", "no gradient of the gate", "x.mean((2, 3))", "x.mean((2, 3)).detach()"),
    ("filter_and_pool", "channels left out", "gated.amax(1)", "gated[:, 8:].amax(1)"),
    ("filter_and_pool", "mean over C + 1", "gated.mean(1)", "(gated.sum(1) / (gated.shape[1] + 1))"),
    (
        "filter_and_pool",
        "a tap at the border",
        "padding=3)",
        "padding=3) - F.pad(summary[:, :1, 1:2, 1:2] * spatial_w[0, 4, 4], (0, 13, 0, 13))",
    ),
    (
        "filter_and_pool",
        "float16 sum",
        "(gated * spatial_gate).mean((2, 3))",
        "summed((gated * spatial_gate).flatten(2)) / 196",
    ),
    ("filter_and_pool", "no gradient of the maximum", "gated.amax(1)", "gated.amax(1).detach()"),
    (
        "filter_and_pool",
        "no gradient of the spatial gate",
        "(gated * spatial_gate)",
        "(gated * spatial_gate.detach())",
    ),
    ("multi_branch_attention", "variance over HW - 1", "square().mean((2, 3))", "square().sum((2, 3)) / 195"),
    ("multi_branch_attention", "mean over HW - 1", "x.mean((2, 3))", "x.flatten(2)[..., 1:].mean(2)"),
    ("multi_branch_attention", "variance dropped", " + w.beta * variance", ""),
    ("multi_branch_attention", "bias dropped", "w.pointwise_b))", "None))"),
    (
        "multi_branch_attention",
        "a tap at the border",
        "groups=y.shape[1])",
        "groups=y.shape[1]) - F.pad(local_tap(y, w.depthwise_w), (0, 13, 0, 13))",
    ),
    ("multi_branch_attention", "float16 mean", "x.mean((2, 3))", "summed(x.flatten(2)) / 196"),
    (
        "multi_branch_attention",
        "float16 product",
        "F.conv2d(local, w.pointwise_w[:, :, None, None], w.pointwise_b)",
        "matmul(local.movedim(1, -1), w.pointwise_w, w.pointwise_b).movedim(-1, 1)",
    ),
    ("multi_branch_attention", "no gradient of the variance", "variance, w.tex", "variance.detach(), w.tex"),
    ("multi_branch_attention", "no gradient of the scale", "x * scale", "x * scale.detach()"),
    ("token_attention", "no 1 / sqrt(d)", " / math.sqrt(query.shape[-1])", ""),
    ("token_attention", "d of all heads", "math.sqrt(query.shape[-1])", "math.sqrt(channels)"),
    ("token_attention", "a key less", "dim=-1)", "dim=-1) * (torch.arange(64) < 63)"),
    ("token_attention", "epsilon ignored", "norm_b, epsilon", "norm_b, 1e-5"),
    ("token_attention", "no residual", "tokens + F.linear(mixed", "F.linear(mixed"),
    ("token_attention", "bias dropped", "weights.out_b)", "None)"),
    ("token_attention", "float16 projection", "F.linear(tokens, ", "matmul(tokens, "),
    ("token_attention", "float16 product", "F.linear(mixed, ", "matmul(mixed, "),
    ("token_attention", "no gradient of the keys", "key.transpose(2, 3)", "key.detach().transpose(2, 3)"),
    ("token_attention", "no gradient of the residual", "tokens + F", "tokens.detach() + F"),
]


# In float16 these faults are not larger than its rounding errors: GELU's approximation, and operands of 11
# bits as in TF32 (bfloat16 has 8).
FLOAT32_FAULTS = [
    ("dcif", "short operands", "F.linear(hidden, ", "shortened(hidden, "),
    ("token_attention", "short operands", "F.linear(tokens, ", "shortened(tokens, "),
    (
        "multi_branch_attention",
        "short operands",
        "F.conv2d(local, w.pointwise_w[:, :, None, None], w.pointwise_b)",
        "shortened(local.movedim(1, -1), w.pointwise_w, w.pointwise_b).movedim(-1, 1)",
    ),
    ("multi_branch_attention", "approximate GELU", "w.texture_b))", "w.texture_b), approximate='tanh')"),
]
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)


class Half(torch.autograd.Function):
    """Rounds to float16; the gradient passes unchanged."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.half().double()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad


def summed(terms: Tensor) -> Tensor:
    """The sum over the last dimension in a float16 accumulator."""
    total = torch.zeros_like(terms[..., 0])
    for term in terms.unbind(-1):
        total = Half.apply(total + term)
    return total


def matmul(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`F.linear` in a float16 accumulator."""
    return summed(x[..., None, :] * weight) + bias


def shortened(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`F.linear` of operands rounded to 11 bits."""
    return F.linear(Half.apply(x), Half.apply(weight), bias)


def local_tap(y: Tensor, weight: Tensor) -> Tensor:
    """The product of the middle tap of the depthwise convolution and the first position."""
    return y[:, :, :1, :1].repeat_interleave(2, dim=1) * weight[:, 1:2, 1:2]


def planted(operation, old, new):
    """The references with a replaced text in the source of one function."""
    source = inspect.getsource(reference)
    begin = source.index(f"\ndef {operation}(")
    end = source.index("\ndef ", begin + 1)
    assert source[begin:end].count(old) == 1, f"{old!r} must be in {operation} once"
    source = source[:begin] + source[begin:end].replace(old, new) + source[end:]
    functions = {f.__name__: f for f in (summed, matmul, shortened, local_tap)}
    module = {"__name__": "faulty", **functions}
    exec(compile(source, "faulty reference", "exec"), module)
    return module


def computed(name, dtype, function):
    """Output and gradients in float64, of arguments that are exact in the dtype."""
    x, weights, rest = CASES[name]
    leaves = [value.to(dtype).double().requires_grad_() for value in (x, *weights)]
    out = function(leaves[0], type(weights)(*leaves[1:]), *rest)
    upstream = normal(*out.shape, dtype=torch.float16, seed=1).double()
    found = torch.autograd.grad(out, leaves, upstream, materialize_grads=True)
    return {"out": out.detach(), **dict(zip(("x", *weights._fields), found, strict=True))}


@functools.cache
def allowed(name, dtype):
    def folded(z: Tensor, weights: reference.MultiBranchWeights) -> Tensor:
        return reference.multi_branch_attention(z, fold_multi_branch(weights))

    function = folded if name == "multi_branch_attention" else getattr(reference, name)
    return expected(
        lambda: computed(name, dtype, function), dtype, torch.float32 if name == "dcif" else dtype
    )


def check(name, dtype, function):
    for key, values in computed(name, dtype, function).items():
        assert_accurate(key, values.to(dtype), allowed(name, dtype)[key])


@every_dtype
@pytest.mark.parametrize("name", CASES)
def test_the_exact_result_rounded_once_is_accepted(name, dtype):
    check(name, dtype, getattr(reference, name))


def cases(faults, *dtypes: torch.dtype):
    return [
        pytest.param(operation, *texts, dtype, id=f"{operation}-{fault}-{dtype}")
        for operation, fault, *texts in faults
        for dtype in dtypes
    ]


@pytest.mark.parametrize(
    ("operation", "old", "new", "dtype"),
    [*cases(FAULTS, torch.float32, torch.float16), *cases(FLOAT32_FAULTS, torch.float32)],
)
def test_a_fault_is_rejected(operation, old, new, dtype):
    name = "dcif" if operation == "filter_and_pool" else operation
    with pytest.raises(AssertionError, match=r"error .* allowed"):
        check(name, dtype, planted(operation, old, new)[name])


def test_no_array_may_have_another_dtype_or_shape_or_be_infinite():
    array = allowed("dcif", torch.float32)["out"]
    right = array.exact.float()
    assert_accurate("out", right, array)
    for wrong, message in ((right.half(), "float16"), (right[:1], "shape"), (right / 0, "not finite")):
        with pytest.raises(AssertionError, match=message):
            assert_accurate("out", wrong, array)


def test_an_operator_without_a_bound_is_refused():
    with pytest.raises(NotImplementedError, match=r"no bound for aten\.tan"):
        expected(lambda: {"out": normal(2).tan()}, torch.float32)


def test_equal_values_have_equal_errors():
    x = normal(1, 5).expand(40, 5) * 3

    def differences() -> dict[str, Tensor]:
        quotients = x / 7
        return {"out": quotients[:20] - quotients[20:]}

    found = expected(differences, torch.float32)
    assert (found["out"].spread == largest_rounding(x[0] * 0, torch.float32)).all()


def test_pytorch_computes_as_the_environment_says():
    asked = os.environ.get("ATEN_CPU_CAPABILITY")
    assert asked in (None, torch.backends.cpu.get_cpu_capability().lower())
    assert torch.get_float32_matmul_precision() == "highest"
