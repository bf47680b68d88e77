"""Float64 arithmetic that simulates the rounding errors of lower precision, with random signs.

`precision.py` explains which errors these are, and what the tests derive from them.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

# Error bound of a library's exp, erf or sigmoid, in roundings.
FUNCTION = 4.0

aten = torch.ops.aten
# These select, move or compare values. Views are recognised without a list.
EXACT = {
    *(aten.relu, aten.threshold_backward, aten.amax, aten.eq, aten.neg, aten.cat, aten.stack, aten.clone),
    *(aten.relu_, aten.copy_, aten.new_empty_strided, aten.slice_backward, aten._unsafe_view, aten._to_copy),
    *(aten.ones_like, aten.randn, aten.nll_loss_forward, aten.nll_loss_backward),
}
ELEMENTARY = {aten.add, aten.sub, aten.rsub, aten.mul, aten.div, aten.pow, aten.square, aten.rsqrt}
SUMS = {aten.sum, aten.mean}
PRODUCTS = {aten.mm, aten.mv, aten.bmm, aten.addmm, aten.convolution, aten.convolution_backward}
# Attention's products stay in registers; those of two matrices are stored.
NOT_STORED = {aten.bmm}


def unit_roundoff(dtype: torch.dtype) -> float:
    """u: the largest relative error of rounding to nearest, for normal numbers."""
    return torch.finfo(dtype).eps / 2


def largest_rounding(values: Tensor, dtype: torch.dtype) -> Tensor:
    """The largest error when values are rounded to the dtype, at least half its smallest subnormal number."""
    smallest = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    return (unit_roundoff(dtype) * values.abs()).clamp(min=smallest / 2)


class RoundingModel(TorchDispatchMode):
    """Adds to the result of every float64 operator an error of the largest size, with a random sign.

    Args:
        stored: dtype of arrays in memory and of the operands of products; all other values are float32.
        draw: number of the draw of the signs.
    """

    def __init__(self, stored: torch.dtype, draw: int) -> None:
        super().__init__()
        self._stored, self._draw, self._count = stored, draw, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, operator = kwargs or {}, func.overloadpacket
        if operator in COMPOSITES:
            with self:
                return COMPOSITES[operator](*args, **kwargs)
        if operator in PRODUCTS:
            args = tuple(self._round(a) if _is_float64(a) else a for a in args)
        result = func(*args, **kwargs)
        if func.is_view or operator in EXACT or not any(map(_is_float64, _as_tuple(result))):
            return result
        if operator not in PRODUCTS | SUMS:
            return self._with_errors(
                result, unit_roundoff(torch.float32) * _condition(operator, result, args)
            )
        sizes = _as_tuple(func(*(a.abs() if _is_float64(a) else a for a in args), **kwargs))
        summed = [
            None if r is None else self._with_errors(r, unit_roundoff(torch.float32) * math.sqrt(n) * size)
            for r, size, n in zip(_as_tuple(result), sizes, _terms(operator, result, args), strict=True)
        ]
        if operator in PRODUCTS - NOT_STORED:
            summed = [None if r is None else self._round(r) for r in summed]
        return tuple(summed) if isinstance(result, tuple) else summed[0]

    def _round(self, values: Tensor) -> Tensor:
        """Values as they are stored; values that are exact in the dtype do not change."""
        inexact = values.to(self._stored).double() != values
        return self._with_errors(values, inexact * largest_rounding(values, self._stored))

    def _with_errors(self, values: Tensor, largest: Tensor) -> Tensor:
        self._count += 1
        return values + largest * _signs(values, 1000 * self._draw + self._count)


def _signs(values: Tensor, key: int) -> Tensor:
    """1 or -1, a hash of each value and the key: equal values have equal signs."""
    bits = (values + 0.0).view(torch.int64) ^ key
    for multiplier in (0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9, 0x14D049BB133111EB):
        bits = bits * multiplier
        bits = bits ^ (bits >> 29)
    return ((bits >> 40) & 1).double() * 2 - 1


def _condition(operator: Any, result: Tensor, args: Sequence[Any]) -> Tensor:
    """The error of an operator in units of u: its own rounding and, of functions, that of their argument."""
    if operator in ELEMENTARY:
        return result.abs()
    if operator is aten.exp:
        return FUNCTION * result * (1 + args[0].abs())
    if operator is aten.sigmoid:
        return FUNCTION * result * (1 + args[0].abs() * (1 - result))
    if operator in (aten.erf, aten.log):
        return FUNCTION * result.abs()
    raise NotImplementedError(f"rounding_model.py has no bound for {operator}: add it to one of its sets")


def _terms(operator: Any, result: Any, args: Sequence[Any]) -> tuple[int, ...]:
    """The number of terms in the sum of each result of an operator; 0 if it has no sum."""
    if operator in SUMS:
        n = args[0].numel() // max(1, result.numel())
        return (n if n > 1 else 0,)
    if operator is aten.convolution:
        return (args[1][0].numel() + 1,)
    if operator is aten.convolution_backward:
        upstream, _, weight = args[:3]
        outputs = upstream.numel() // max(1, upstream.shape[1])
        return (weight.numel() // weight.shape[1], outputs, outputs)
    return (args[-2].shape[-1] + 1,)


def _gelu(x: Tensor) -> Tensor:
    return x * (0.5 * (1 + torch.erf(x * 0.5**0.5)))


def _gelu_backward(grad: Tensor, x: Tensor) -> Tensor:
    density = torch.exp(-0.5 * x * x) * (2 * math.pi) ** -0.5
    return grad * (0.5 * (1 + torch.erf(x * 0.5**0.5)) + x * density)


def _sigmoid_backward(grad: Tensor, y: Tensor) -> Tensor:
    return grad * (y * (1 - y))


def _softmax(x: Tensor, dim: int, _: bool) -> Tensor:
    shares = torch.exp(x - x.amax(dim, keepdim=True))
    return shares / shares.sum(dim, keepdim=True)


def _softmax_backward(grad: Tensor, y: Tensor, dim: int, _: torch.dtype) -> Tensor:
    return y * (grad - (y * grad).sum(dim, keepdim=True))


def _layer_norm(
    x: Tensor, shape: list[int], weight: Tensor, bias: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Over the last dimension, the only one that the references normalise."""
    mean = x.mean(-1, keepdim=True)
    rstd = torch.rsqrt((x - mean).square().mean(-1, keepdim=True) + epsilon)
    return (x - mean) * rstd * weight + bias, mean, rstd


def _layer_norm_backward(
    grad: Tensor, x: Tensor, shape: list[int], mean: Tensor, rstd: Tensor, weight: Tensor, *_: Any
) -> tuple[Tensor, Tensor, Tensor]:
    normed, scaled = (x - mean) * rstd, grad * weight
    along = (scaled * normed).mean(-1, keepdim=True)
    x_grad = (scaled - scaled.mean(-1, keepdim=True) - normed * along) * rstd
    over = list(range(x.ndim - 1))
    return x_grad, (grad * normed).sum(over), grad.sum(over)


def _log_softmax(x: Tensor, dim: int, _: bool) -> Tensor:
    shifted = x - x.amax(dim, keepdim=True)
    return shifted - torch.log(torch.exp(shifted).sum(dim, keepdim=True))


def _log_softmax_backward(grad: Tensor, y: Tensor, dim: int, _: torch.dtype) -> Tensor:
    return grad - torch.exp(y) * grad.sum(dim, keepdim=True)


def _batch_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    train: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Updates the running mean and variance in training."""
    over, shape = [d for d in range(x.ndim) if d != 1], (1, -1) + (1,) * (x.ndim - 2)
    if train:
        running = mean, variance
        mean = x.mean(over)
        variance = (x - mean.view(shape)).square().mean(over)
        n = x.numel() // x.shape[1]
        for kept, new in zip(running, (mean, variance * (n / (n - 1))), strict=True):
            kept.copy_((1 - momentum) * kept + momentum * new)
    rstd = torch.rsqrt(variance + eps)
    normed = (x - mean.view(shape)) * rstd.view(shape)
    return normed * weight.view(shape) + bias.view(shape), mean, rstd


def _batch_norm_backward(
    grad: Tensor, x: Tensor, weight: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """In training, with the statistics of the batch."""
    _, _, mean, rstd, train, _, _ = rest
    assert train
    over, shape = [d for d in range(x.ndim) if d != 1], (1, -1) + (1,) * (x.ndim - 2)
    normed = (x - mean.view(shape)) * rstd.view(shape)
    along = (grad * normed).mean(over, keepdim=True)
    x_grad = (grad - grad.mean(over, keepdim=True) - normed * along) * (rstd * weight).view(shape)
    return x_grad, (grad * normed).sum(over), grad.sum(over)


COMPOSITES: dict[Any, Callable[..., Any]] = {
    aten.gelu: _gelu,
    aten.gelu_backward: _gelu_backward,
    aten.sigmoid_backward: _sigmoid_backward,
    aten._softmax: _softmax,
    aten._softmax_backward_data: _softmax_backward,
    aten._log_softmax: _log_softmax,
    aten._log_softmax_backward_data: _log_softmax_backward,
    aten.native_batch_norm: _batch_norm,
    aten.native_batch_norm_backward: _batch_norm_backward,
    aten.native_layer_norm: _layer_norm,
    aten.native_layer_norm_backward: _layer_norm_backward,
}


def _is_float64(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.float64


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
