"""Checks of the arguments of the operations, done once, in the public functions."""

import torch
from torch import Tensor

from .reference import DcifWeights, FoldedMultiBranchWeights, MultiBranchWeights, TokenAttentionWeights

MAX_CHANNELS = 2048
MAX_SIDE = 14
MAX_TOKENS = 64
# Shapes of the fields: C channels of the map, H hidden channels, M columns of merge.
_LOCAL: dict[str, tuple[str | int, ...]] = {
    "alpha": ("C",),
    "beta": ("C",),
    "texture_w": ("C", "C"),
    "texture_b": ("C",),
    "depthwise_w": ("2C", 3, 3),
    "depthwise_b": ("2C",),
    "pointwise_w": ("2C", "2C"),
    "pointwise_b": ("2C",),
}
SHAPES: dict[type, dict[str, tuple[str | int, ...]]] = {
    MultiBranchWeights: _LOCAL
    | {"project_w": ("C", "2C"), "project_b": ("C",), "merge_w": ("C", "M"), "merge_b": ("C",)},
    FoldedMultiBranchWeights: _LOCAL | {"merged_w": ("C", "3C"), "merged_b": ("C",)},
    DcifWeights: {
        "squeeze_w": ("H", "C"),
        "squeeze_b": ("H",),
        "expand_w": ("C", "H"),
        "expand_b": ("C",),
        "spatial_w": (2, 7, 7),
    },
    TokenAttentionWeights: {
        "qkv_w": ("3C", "C"),
        "qkv_b": ("3C",),
        "out_w": ("C", "C"),
        "out_b": ("C",),
        "norm_w": ("C",),
        "norm_b": ("C",),
    },
}


def check_dtypes(tensors: list[Tensor]) -> None:
    expected, device = tensors[0].dtype, tensors[0].device
    for tensor in tensors[1:]:
        if tensor.dtype != expected or tensor.device != device:
            raise TypeError(
                f"weights must be {expected} on {device} like the map, "
                f"got {tensor.dtype} on {tensor.device}; convert them with .to()"
            )


def check_map(name: str, x: Tensor, multiple: int) -> None:
    """Checks a floating-point map [N, multiple * C, H, W]. float64 is allowed: the reference accepts it."""
    if x.ndim != 4 or not x.is_floating_point():
        raise TypeError(f"{name} must be floating [N, C, H, W], got {x.dtype} {list(x.shape)}")
    # Not divmod: torch.compile of torch 2.11 does not trace it.
    channels, extra = x.shape[1] // multiple, x.shape[1] % multiple
    if extra or channels % 8 or not 8 <= channels <= MAX_CHANNELS:
        raise ValueError(
            f"{name} must have {'2 x ' if multiple == 2 else ''}C channels, C a multiple of 8 up to "
            f"{MAX_CHANNELS}, got {x.shape[1]}; pad them with zeros"
        )
    if not (1 <= x.shape[2] <= MAX_SIDE and 1 <= x.shape[3] <= MAX_SIDE):
        raise ValueError(
            f"{name} must have 1 to {MAX_SIDE} positions per side, got {list(x.shape)}; pool it first"
        )


def check_tokens(name: str, x: Tensor, heads: int) -> None:
    """Checks a map whose positions are the tokens of attention with `heads` heads."""
    channels, positions = x.shape[1], x.shape[2] * x.shape[3]
    if positions > MAX_TOKENS:
        raise ValueError(f"{name} must have at most {MAX_TOKENS} positions, got {positions}; pool it first")
    if heads < 1 or channels % heads:
        raise ValueError(f"heads must divide the {channels} channels, got {heads}")


def check_weights(weights: tuple[Tensor, ...], channels: int) -> None:
    """Checks the shapes: the kernels read as many values as the shapes say."""
    sides = {"C": channels, "2C": 2 * channels, "3C": 3 * channels}
    if isinstance(weights, DcifWeights):
        sides["H"] = len(weights.squeeze_w)
    if isinstance(weights, MultiBranchWeights):
        sides["M"] = (2 if weights.merge_w.shape[-1] == 2 * channels else 1) * channels
    for name, shape in SHAPES[type(weights)].items():
        expected = [sides[side] if isinstance(side, str) else side for side in shape]
        check_shape(name, getattr(weights, name), expected)


def check_shape(name: str, tensor: Tensor, expected: list[int]) -> None:
    if list(tensor.shape) != expected:
        raise ValueError(f"{name} must be {expected} for this map, got {list(tensor.shape)}")


def check_warp(plane: Tensor, matrices: Tensor, out: Tensor, border: str) -> None:
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
