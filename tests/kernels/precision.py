"""What "right" means: at most twice as far from float64 as the reference in the same precision."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

Weights = TypeVar("Weights", bound=tuple[Tensor, ...])


def cast(weights: Weights, dtype: torch.dtype) -> Weights:
    """A named tuple of tensors in another dtype, as leaves of a new graph if they were leaves of one."""
    return type(weights)(*(w.detach().to(dtype).requires_grad_(w.requires_grad) for w in weights))


def largest_error(values: Tensor, exact: Tensor) -> float:
    """The largest distance; infinite if a value is not finite."""
    values = values.detach().double()
    if not values.isfinite().all():
        return float("inf")
    return float((values - exact.detach().double()).abs().max()) if exact.numel() else 0.0


def assert_as_exact(name: str, values: Tensor, reference: Tensor, exact: Tensor) -> None:
    """Twice the reference's error, and never less than a unit in the last place of the largest value: an
    answer that is rounded once cannot be closer.
    """
    assert values.shape == exact.shape, f"{name}: shape {list(values.shape)}, not {list(exact.shape)}"
    assert values.dtype == reference.dtype, f"{name}: {values.dtype}, not {reference.dtype}"
    scale = float(exact.detach().abs().max()) if exact.numel() else 0.0
    unit = torch.finfo(values.dtype).eps * scale
    allowed = max(2 * largest_error(reference, exact), unit)
    error = largest_error(values, exact)
    assert error <= allowed, f"{name}: error {error:.3g}, allowed {allowed:.3g} of values up to {scale:.3g}"


def gradients(output: Tensor, upstream: Tensor, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of <output, upstream> by input."""
    found: Iterable[Tensor] = torch.autograd.grad(output, list(inputs.values()), upstream.to(output.dtype))
    return dict(zip(inputs, found, strict=True))


def relative_error(values: Tensor, exact: Tensor) -> float:
    """`largest_error` in units of the largest value, of 1 where every value is zero."""
    scale = float(exact.detach().abs().max()) if exact.numel() else 0.0
    return largest_error(values, exact) / (scale or 1.0)


def assert_as_exact_as_the_worst(name: str, values: Tensor, exact: Tensor, worst: float) -> None:
    """As `assert_as_exact`, with the reference's relative error on several draws: the largest error of a few
    numbers is a matter of luck.
    """
    assert values.shape == exact.shape, f"{name}: shape {list(values.shape)}, not {list(exact.shape)}"
    allowed = max(2 * worst, torch.finfo(values.dtype).eps)
    error = relative_error(values, exact)
    assert error <= allowed, f"{name}: relative error {error:.3g}, allowed {allowed:.3g}"
