"""The public operations: check the arguments, choose an implementation, call it."""

from typing import Literal

import torch
from torch import Tensor

from .checks import check_dtypes, check_map, check_shape, check_tokens, check_warp, check_weights
from .dispatch import Kernels, implementation
from .reference import (
    DcifWeights,
    FoldedMultiBranchWeights,
    MultiBranchWeights,
    TokenAttentionWeights,
)

FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def multi_branch_attention(
    z: Tensor, weights: MultiBranchWeights | FoldedMultiBranchWeights, *, kernels: Kernels = "auto"
) -> Tensor:
    """TAFE after its first 1 x 1 convolution; see `fer_edge.kernels.reference.multi_branch_attention`.

    Args:
        z: float32, float16 or bfloat16 [N, 2 C, H, W], contiguous or channels-last, C a multiple of 8 up to
            2048, at most 14 x 14 positions.
        weights: of the dtype of z. Fold them once (`fold_multi_branch`) to avoid a matrix product per call.
        kernels: the implementation; see `fer_edge.kernels.dispatch`.

    Returns:
        [N, C, H, W] of the dtype and memory format of z. Under autocast all arguments are cast first.

    Raises:
        ValueError, TypeError: an argument is invalid.
        ImportError, RuntimeError: the requested implementation cannot run here.
    """
    check_map("z", z, 2)
    check_weights(weights, z.shape[1] // 2)
    return _call("multi_branch_attention", kernels, z, weights)


def dcif(x: Tensor, weights: DcifWeights, *, kernels: Kernels = "auto") -> Tensor:
    """Channel gate, spatial gate and mean over space; see `fer_edge.kernels.reference.dcif`.

    Args:
        x: float32, float16 or bfloat16 [N, C, H, W], contiguous or channels-last, C a multiple of 8 up to
            2048, at most 14 x 14 positions.
        weights: of the dtype of x.
        kernels: the implementation; see `fer_edge.kernels.dispatch`.

    Returns:
        [N, C] of the dtype of x. Under autocast all arguments are cast first.

    Raises:
        ValueError, TypeError: an argument is invalid.
        ImportError, RuntimeError: the requested implementation cannot run here.
    """
    check_map("x", x, 1)
    check_weights(weights, x.shape[1])
    return _call("dcif", kernels, x, weights)


def filter_and_pool(x: Tensor, gate: Tensor, spatial_w: Tensor, *, kernels: Kernels = "auto") -> Tensor:
    """`dcif` with a given channel gate; see `fer_edge.kernels.reference.filter_and_pool`.

    Arguments and errors as for `dcif`; gate [N, C] and spatial_w [2, 7, 7] have the dtype of x.
    """
    check_map("x", x, 1)
    check_shape("gate", gate, list(x.shape[:2]))
    check_shape("spatial_w", spatial_w, [2, 7, 7])
    return _call("filter_and_pool", kernels, x, gate, spatial_w)


def token_attention(
    x: Tensor,
    weights: TokenAttentionWeights,
    heads: int,
    epsilon: float = 1e-5,
    *,
    kernels: Kernels = "auto",
) -> Tensor:
    """Self-attention over the positions of a map; see `fer_edge.kernels.reference.token_attention`.

    Args:
        x: float32, float16 or bfloat16 [N, C, H, W], contiguous or channels-last, C a multiple of 8 up to
            2048, at most 64 positions.
        weights: of the dtype of x.
        heads: number of heads; divides C.
        epsilon: added to the variance of LayerNorm.
        kernels: the implementation; see `fer_edge.kernels.dispatch`.

    Returns:
        [N, C, H, W] of the dtype and memory format of x. Under autocast all arguments are cast first.

    Raises:
        ValueError, TypeError: an argument is invalid.
        ImportError, RuntimeError: the requested implementation cannot run here.
    """
    check_map("x", x, 1)
    check_tokens("x", x, heads)
    check_weights(weights, x.shape[1])
    return _call("token_attention", kernels, x, weights, heads, epsilon)


def warp_normalize(
    plane: Tensor,
    matrices: Tensor,
    out: Tensor,
    *,
    mean: float,
    scale: float,
    border: Literal["edge", "constant"] = "edge",
    fill: float = 0.0,
    kernels: Kernels = "auto",
) -> None:
    """Samples one picture from the plane for each matrix; see `fer_edge.ops.reference.warp_normalize`.

    Args:
        plane: uint8 [H, W], luma, or the Y rows of an NV12 frame; contiguous rows, any row stride.
        matrices: float32 [N, 2, 3], contiguous, on the device of the plane.
        out: float32, float16 or int8 [N, 1, h, w] to fill, contiguous. float16 is rounded to nearest; int8
            is rounded to nearest and saturated, so choose mean and scale for the int8 units of the network.
        mean: grey level that maps to 0.
        scale: factor applied after the mean is subtracted.
        border: value of taps outside the plane: the nearest pixel ("edge") or `fill` ("constant").
        fill: grey level outside the plane if border is "constant".
        kernels: the implementation; see `fer_edge.kernels.dispatch`. There are no gradients: the plane is
            uint8.

    Raises:
        ValueError, TypeError: an argument is invalid.
        ImportError, RuntimeError: the requested implementation cannot run here.
    """
    check_warp(plane, matrices, out, border)
    function = implementation("warp_normalize", kernels, plane.device.type, gradients=False)
    function(plane, matrices, out, mean=mean, scale=scale, border=border, fill=fill)


def _call(operation: str, kernels: Kernels, x: Tensor, *rest: object) -> Tensor:
    tensors = [x, *_tensors(rest)]
    gradients = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    # float64 is not cast, as in PyTorch's own autocast.
    if torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(x.device.type)
        x, rest = x.to(dtype), tuple(_cast(value, dtype) for value in rest)
    else:
        check_dtypes(tensors)
    if x.dtype not in FLOATS:
        if kernels not in ("auto", "reference"):
            raise TypeError(f"kernels={kernels!r} takes float32, float16 or bfloat16, got {x.dtype}")
        kernels = "reference"
    result: Tensor = implementation(operation, kernels, x.device.type, gradients)(x, *rest)
    return result


def _tensors(values: tuple[object, ...]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, tuple):
            found += _tensors(value)
    return found


def _cast(value: object, dtype: torch.dtype) -> object:
    """Casts tensors and named tuples of tensors to the dtype; returns numbers unchanged."""
    if isinstance(value, Tensor):
        return value.to(dtype)
    return type(value)(*(field.to(dtype) for field in value)) if isinstance(value, tuple) else value
