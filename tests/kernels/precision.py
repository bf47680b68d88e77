"""The tolerance of the numeric tests, derived from the arithmetic of the operation.

What a kernel computes differs from the exact result by the sum of its rounding errors: sum_i J_i d_i, where
d_i is the error of rounding i and J_i the factor by which the rest of the computation passes it on.
`expected` measures the size of this sum. It runs the reference, forward and backward, in float64, and
`RoundingModel` adds to the result of every operator an error of the largest size that it can have, with a
random sign. The root mean square of the change over `DRAWS` draws of the signs is the spread, an estimate of
sqrt(sum_i (J_i d_i)^2). This is Monte Carlo arithmetic (Parker, "Monte Carlo Arithmetic", UCLA CSD-970002,
1997), with signs as in CESTAC (Vignes, "A stochastic arithmetic for reliable scientific computation", 1993).

The largest errors, with u = 2^-24 in float32, 2^-11 in float16 and 2^-8 in bfloat16:

- An elementary operation: u |r| of float32. Functions such as exp: see `rounding_model.py`.
- A sum or product of n terms, accumulated in float32 in any order: sqrt(n) u sum |term|, where sum |term| is
  the operator applied to absolute values: Higham and Mary, "A New Approach to Probabilistic Rounding Error
  Analysis", SIAM J. Sci. Comput. 41(5), 2019. An error per term is the size of one standard deviation, so
  their factor lambda is `CONFIDENCE` here.
- What is stored in the dtype of the arguments: u |v| of that dtype, or half its smallest subnormal number:
  the operands of products, unless they are exact in the dtype, the results of products of two matrices, and
  the outputs. The scores of attention and all other values are float32. `dcif` rounds its outputs only.

A value may be `CONFIDENCE` times the spread away from the exact one. A sum of independent errors of mean zero
within these bounds is further away with a probability of at most 2 exp(-CONFIDENCE^2 / 2) = 7e-4 (Hoeffding).
If the errors are uniform within the bounds, their standard deviation is 1/sqrt(3) of the spread, and the
probability is 4e-12. `test_precision.py` shows which faults this tolerance rejects.

A sign is a hash of the value, so that equal values have equal errors, as in real arithmetic: ties stay ties,
and the errors of a constant map add up. The float64 rounding errors of the measurement itself are 2^-29 of
the measured ones, so the tolerance is the same on every CPU.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from tests.kernels.rounding_model import RoundingModel, largest_rounding

Weights = TypeVar("Weights", bound=tuple[Tensor, ...])

DRAWS = 16
CONFIDENCE = 4.0


class Expected(NamedTuple):
    """The exact values of an array, and their tolerance."""

    exact: Tensor  # float64
    spread: Tensor  # float64, of the same shape, of the rounding errors
    dtype: torch.dtype


def expected(
    compute: Callable[[], Mapping[str, Tensor]],
    dtype: torch.dtype,
    stored: torch.dtype | None = None,
    draws: int = DRAWS,
) -> dict[str, Expected]:
    """The arrays of a computation in float64, and the spread of their errors if it is done in ``dtype``.

    Args:
        compute: calls a reference, forward and backward, on float64 arguments that are exact in ``dtype``.
        dtype: of the arguments and results of the implementation.
        stored: dtype of intermediate arrays in memory, if it differs.
        draws: fewer for computations that take long.
    """
    exact = {name: value.detach() for name, value in compute().items()}
    squares = {name: torch.zeros_like(value) for name, value in exact.items()}
    for draw in range(draws):
        with RoundingModel(stored or dtype, draw):
            found = compute()
        for name, value in found.items():
            squares[name] += (value.detach() - exact[name]).square() / draws
    return {
        name: Expected(exact[name], _spread(exact[name], values, dtype, draws), dtype)
        for name, values in squares.items()
    }


def _spread(exact: Tensor, squares: Tensor, dtype: torch.dtype, draws: int) -> Tensor:
    """The spread including the rounding of the result, with part of the mean of the array.

    After so few draws, the mean square of one value has a standard deviation of a third of its value. The
    mean over the array varies far less, so it counts as four more draws.
    """
    squares = squares + largest_rounding(exact, dtype).square()
    mean = squares.mean() if squares.numel() else 0.0
    return ((draws * squares + 4 * mean) / (draws + 4)).sqrt()


def assert_accurate(name: str, values: Tensor, array: Expected) -> None:
    """No value is further from the exact one than rounding explains."""
    exact, spread, dtype = array
    assert values.shape == exact.shape, f"{name}: shape {list(values.shape)}, not {list(exact.shape)}"
    assert values.dtype == dtype, f"{name}: {values.dtype}, not {dtype}"
    assert values.isfinite().all(), f"{name}: not finite"
    if not exact.numel():
        return
    errors = (values.detach().double() - exact).abs()
    ratio = torch.where(errors > 0, errors / spread, 0.0)
    worst = int(ratio.argmax())
    assert ratio.flatten()[worst] <= CONFIDENCE, (
        f"{name}: error {errors.flatten()[worst]:.3g} of {exact.flatten()[worst]:.3g}, "
        f"allowed {CONFIDENCE * spread.flatten()[worst]:.3g}"
    )


def cast(weights: Weights, dtype: torch.dtype) -> Weights:
    """A named tuple of tensors in another dtype, as leaves of a new graph if they were leaves of one."""
    return type(weights)(*(w.detach().to(dtype).requires_grad_(w.requires_grad) for w in weights))


def gradients(output: Tensor, upstream: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of <output, upstream> by input."""
    found: Iterable[Tensor] = torch.autograd.grad(output, list(inputs.values()), upstream.to(output.dtype))
    return dict(zip(inputs, found, strict=True))
