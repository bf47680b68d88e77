"""`warp_normalize` on the Triton kernel. It has no gradients, because the plane is uint8."""

from typing import Literal

import numpy as np
import torch
import triton
from torch import Tensor

from fer_edge.kernels.jit import warp_normalize as kernels


def warp_normalize(
    plane: Tensor,
    matrices: Tensor,
    out: Tensor,
    *,
    mean: float,
    scale: float,
    border: Literal["edge", "constant"],
    fill: float,
) -> None:
    """`fer_edge.kernels.reference.warp_normalize` in one launch, bitwise equal.

    Args:
        plane: uint8 [H, W] on a CUDA device, or on the CPU in Triton's interpreter; contiguous rows.
        matrices: float32 [N, 2, 3], contiguous.
        out: float32, float16 or int8 [N, 1, h, w] to fill, contiguous.
        mean: grey level that maps to 0.
        scale: factor applied after the mean is subtracted.
        border: value of taps outside the plane: the nearest pixel ("edge") or `fill` ("constant").
        fill: grey level outside the plane.
    """
    _fill(plane, matrices, out, mean, scale, border == "edge", fill)


@torch.library.custom_op("fer_edge::warp_normalize", mutates_args=("out",))
def _fill(
    plane: Tensor, matrices: Tensor, out: Tensor, mean: float, scale: float, edge: bool, fill: float
) -> None:
    (height, width), (count, _, out_height, out_width) = plane.shape, out.shape
    if out.numel() == 0:
        return
    one = np.float32(kernels.ONE)
    grid = (count * triton.cdiv(out_height * out_width, kernels.BLOCK),)
    with torch.cuda.device(plane.device if plane.is_cuda else -1):
        kernels.warp_normalize[grid](
            plane,
            matrices,
            out,
            height,
            width,
            plane.stride(0),
            out_height,
            out_width,
            # Exact, because 1024 is a power of two.
            float(np.float32(mean) * one),
            float(np.float32(scale) / one),
            float(fill),
            edge=edge,
            block=kernels.BLOCK,
            enable_fp_fusion=False,
        )


@_fill.register_fake
def _(
    plane: Tensor, matrices: Tensor, out: Tensor, mean: float, scale: float, edge: bool, fill: float
) -> None:
    return None
