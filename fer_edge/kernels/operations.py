"""The public operations: check the arguments, choose an implementation, call it."""

from typing import Literal

import torch
from torch import Tensor

from .dispatch import Kernels, implementation
from .reference import (
    DcifWeights,
    FoldedMultiBranchWeights,
    MultiBranchWeights,
    TokenAttentionWeights,
)

MAX_CHANNELS = 2048
MAX_SIDE = 14
MAX_TOKENS = 64
FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def multi_branch_attention(
    z: Tensor, weights: MultiBranchWeights | FoldedMultiBranchWeights, *, kernels: Kernels = "auto"
) -> Tensor:
    """TAFE after its first 1 x 1 convolution; see `fer_edge.kernels.reference.multi_branch_attention`.

    Args:
        z: float32, float16 or bfloat16 [N, 2 C, H, W], contiguous or channels-last, C a multiple of 8 up to
            2048, at most 14 x 14 places.
        weights: folded weights save the multiplication of two matrices at each call; the reference takes
            unfolded ones only.
        kernels: which implementation.

    Returns:
        [N, C, H, W] of the dtype and memory format of z. Under autocast everything is cast first.

    Raises:
        ValueError, TypeError: an argument does not fit.
        ImportError, RuntimeError: the implementation asked for cannot run here.
    """
    _check_map("z", z, 2)
    _check_weights(z, weights, z.shape[1] // 2)
    return _call("multi_branch_attention", kernels, z, weights)


def dcif(x: Tensor, weights: DcifWeights, *, kernels: Kernels = "auto") -> Tensor:
    """Channel gate, spatial gate and mean over space; see `fer_edge.kernels.reference.dcif`.

    Args:
        x: float32, float16 or bfloat16 [N, C, H, W], contiguous or channels-last, C a multiple of 8 up to
            2048, at most 14 x 14 places.
        weights: of the dtype of x.
        kernels: which implementation.

    Returns:
        [N, C] of the dtype of x. Under autocast everything is cast first.

    Raises:
        ValueError, TypeError: an argument does not fit.
        ImportError, RuntimeError: the implementation asked for cannot run here.
    """
    _check_map("x", x, 1)
    _check_weights(x, weights, x.shape[1])
    return _call("dcif", kernels, x, weights)


def filter_and_pool(x: Tensor, gate: Tensor, spatial_w: Tensor, *, kernels: Kernels = "auto") -> Tensor:
    """`dcif` with the channel gate given; see `fer_edge.kernels.reference.filter_and_pool`.

    Args and errors as for `dcif`; gate [N, C] and spatial_w [2, 7, 7] are of the dtype of x.
    """
    _check_map("x", x, 1)
    if gate.shape != x.shape[:2]:
        raise ValueError(f"gate must be [{x.shape[0]}, {x.shape[1]}], got {list(gate.shape)}; one a channel")
    return _call("filter_and_pool", kernels, x, gate, spatial_w)


def token_attention(
    x: Tensor,
    weights: TokenAttentionWeights,
    heads: int,
    epsilon: float = 1e-5,
    *,
    kernels: Kernels = "auto",
) -> Tensor:
    """Self-attention over the places of a map; see `fer_edge.kernels.reference.token_attention`.

    Args:
        x: float32, float16 or bfloat16 [N, C, H, W], contiguous or channels-last, C a multiple of 8 up to
            2048, at most 64 places.
        weights: of the dtype of x.
        heads: divides C.
        epsilon: of LayerNorm.
        kernels: which implementation.

    Returns:
        [N, C, H, W] of the dtype and memory format of x. Under autocast everything is cast first.

    Raises:
        ValueError, TypeError: an argument does not fit.
        ImportError, RuntimeError: the implementation asked for cannot run here.
    """
    _check_map("x", x, 1)
    channels, places = x.shape[1], x.shape[2] * x.shape[3]
    if places > MAX_TOKENS:
        raise ValueError(f"x must have at most {MAX_TOKENS} places, got {places}; pool it first")
    if heads < 1 or channels % heads:
        raise ValueError(f"heads must divide the {channels} channels, got {heads}")
    _check_weights(x, weights, channels)
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
    """Sample a picture from the plane for each matrix; see `fer_edge.ops.reference.warp_normalize`.

    Args:
        plane: uint8 [H, W], luma, or the Y rows of an NV12 frame; contiguous rows, any row stride.
        matrices: float32 [N, 2, 3], contiguous, on the plane's device.
        out: float32, float16 or int8 [N, 1, h, w] to fill, contiguous. float16 is rounded to nearest, int8
            too and saturated: choose mean and scale such that the result is in the network's int8 units.
        mean: grey level that becomes 0.
        scale: factor after the mean is taken off.
        border: what taps outside the plane read: its nearest pixel, or `fill`.
        fill: grey level outside the plane for the border "constant".
        kernels: which implementation. No gradients: the plane is made of integers.

    Raises:
        ValueError, TypeError: an argument does not fit.
        ImportError, RuntimeError: the implementation asked for cannot run here.
    """
    _check_warp(plane, matrices, out, border)
    function = implementation("warp_normalize", kernels, plane.device.type, gradients=False)
    function(plane, matrices, out, mean=mean, scale=scale, border=border, fill=fill)


def _call(operation: str, kernels: Kernels, x: Tensor, *rest: object) -> Tensor:
    tensors = [x, *_tensors(rest)]
    gradients = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, rest = x.to(dtype), tuple(_cast(value, dtype) for value in rest)
    else:
        _check_dtypes(tensors)
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
    """Tensors and named tuples of tensors in the dtype; numbers as they are."""
    if isinstance(value, Tensor):
        return value.to(dtype)
    return type(value)(*(field.to(dtype) for field in value)) if isinstance(value, tuple) else value


def _check_dtypes(tensors: list[Tensor]) -> None:
    expected, device = tensors[0].dtype, tensors[0].device
    for tensor in tensors[1:]:
        if tensor.dtype != expected or tensor.device != device:
            raise TypeError(
                f"weights must be {expected} on {device} like the map, "
                f"got {tensor.dtype} on {tensor.device}; convert them with .to()"
            )


def _check_map(name: str, x: Tensor, multiple: int) -> None:
    """A floating map [N, multiple * C, H, W]. float64 passes: the reference takes it."""
    if x.ndim != 4 or not x.is_floating_point():
        raise TypeError(f"{name} must be floating [N, C, H, W], got {x.dtype} {list(x.shape)}")
    channels, extra = divmod(x.shape[1], multiple)
    if extra or channels % 8 or not 8 <= channels <= MAX_CHANNELS:
        raise ValueError(
            f"{name} must have {'2 x ' if multiple == 2 else ''}C channels, C a multiple of 8 up to "
            f"{MAX_CHANNELS}, got {x.shape[1]}; pad them with zeros"
        )
    if not (1 <= x.shape[2] <= MAX_SIDE and 1 <= x.shape[3] <= MAX_SIDE):
        raise ValueError(
            f"{name} must have 1 to {MAX_SIDE} places a side, got {list(x.shape)}; pool it first"
        )


def _check_weights(x: Tensor, weights: tuple[Tensor, ...], channels: int) -> None:
    """Rows that read the map must be as long as the map has channels."""
    first = {
        "MultiBranchWeights": "texture_w",
        "FoldedMultiBranchWeights": "texture_w",
        "DcifWeights": "squeeze_w",
    }
    name = first.get(type(weights).__name__, "qkv_w")
    width = getattr(weights, name).shape[1]
    if width != channels:
        raise ValueError(f"{name} must be [*, {channels}] for this map, got [*, {width}]")


def _check_warp(plane: Tensor, matrices: Tensor, out: Tensor, border: str) -> None:
    if plane.ndim != 2 or plane.dtype != torch.uint8 or plane.stride(1) != 1 or plane.numel() == 0:
        raise TypeError(
            f"plane must be uint8 [H, W] with contiguous rows, got {plane.dtype} {list(plane.shape)}"
        )
    if matrices.dtype != torch.float32 or matrices.ndim != 3 or matrices.shape[1:] != (2, 3):
        raise TypeError(f"matrices must be float32 [N, 2, 3], got {matrices.dtype} {list(matrices.shape)}")
    if out.dtype not in (torch.float32, torch.float16, torch.int8):
        raise TypeError(f"out must be float32, float16 or int8, got {out.dtype}")
    if out.ndim != 4 or out.shape[0] != len(matrices) or out.shape[1] != 1:
        raise ValueError(
            f"out must be [{len(matrices)}, 1, h, w], got {list(out.shape)}; one for each matrix"
        )
    if not (out.is_contiguous() and matrices.is_contiguous()):
        raise ValueError("out and matrices must be contiguous, got strided views; use .contiguous()")
    if not plane.device == matrices.device == out.device:
        raise ValueError(
            "plane, matrices and out must be on one device, "
            f"got {plane.device}, {matrices.device} and {out.device}"
        )
    if border not in ("edge", "constant"):
        raise ValueError(f"border must be edge or constant, got {border}; choose one of them")
