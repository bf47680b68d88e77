"""The operations of `fer_edge.kernels` in plain PyTorch: their definition, and the reference of all tests.

Sources: TKFNet (arXiv 2505.09967), Conv-cut (arXiv 2504.09077) and "Attention Is All You Need" (Vaswani et
al., 2017). All arithmetic uses the dtype of the arguments; nothing is folded or fused. Weights are named
tuples, so an array has the same name in every implementation. `warp_normalize` is defined in
`fer_edge.ops.reference`.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fer_edge.ops import reference as ops


class MultiBranchWeights(NamedTuple):
    """Weights of `multi_branch_attention` for C channels; all of one floating dtype and device."""

    alpha: Tensor  # [C], factor of the mean over space
    beta: Tensor  # [C], factor of the variance over space
    texture_w: Tensor  # [C, C]
    texture_b: Tensor  # [C]
    depthwise_w: Tensor  # [2 C, 3, 3]; output channels 2 c and 2 c + 1 read input channel c
    depthwise_b: Tensor  # [2 C]
    pointwise_w: Tensor  # [2 C, 2 C]
    pointwise_b: Tensor  # [2 C]
    project_w: Tensor  # [C, 2 C]
    project_b: Tensor  # [C]
    merge_w: Tensor  # [C, C] to add the branches, [C, 2 C] to concatenate them (modulation first)
    merge_b: Tensor  # [C]


class FoldedMultiBranchWeights(NamedTuple):
    """`MultiBranchWeights` with project and merge in one matrix; see `fer_edge.kernels.fold`."""

    alpha: Tensor  # [C]
    beta: Tensor  # [C]
    texture_w: Tensor  # [C, C]
    texture_b: Tensor  # [C]
    depthwise_w: Tensor  # [2 C, 3, 3]
    depthwise_b: Tensor  # [2 C]
    pointwise_w: Tensor  # [2 C, 2 C]
    pointwise_b: Tensor  # [2 C]
    merged_w: Tensor  # [C, 3 C]: columns of the C modulated channels, then of the 2 C local channels
    merged_b: Tensor  # [C]


class DcifWeights(NamedTuple):
    """Weights of `dcif` for C and H hidden channels, with batch normalization folded into squeeze."""

    squeeze_w: Tensor  # [H, C]
    squeeze_b: Tensor  # [H]
    expand_w: Tensor  # [C, H]
    expand_b: Tensor  # [C]
    spatial_w: Tensor  # [2, 7, 7]: taps on the mean over the channels, then on their maximum


class TokenAttentionWeights(NamedTuple):
    """Weights of `token_attention` for C channels."""

    qkv_w: Tensor  # [3 C, C]: rows of all queries, then keys, then values; within each, head by head
    qkv_b: Tensor  # [3 C]
    out_w: Tensor  # [C, C]
    out_b: Tensor  # [C]
    norm_w: Tensor  # [C]
    norm_b: Tensor  # [C]


def multi_branch_attention(z: Tensor, weights: MultiBranchWeights | FoldedMultiBranchWeights) -> Tensor:
    """TAFE after its first 1 x 1 convolution: modulation by texture, local texture, fusion of both.

    Args:
        z: floating-point [N, 2 C, H, W], output of the first convolution: the C channels of the local branch,
            then the C channels to modulate.
        weights: of the dtype of z.

    Returns:
        [N, C, H, W] of the dtype of z.

    Source: TKFNet (arXiv 2505.09967), equations of the multi-branch attention, with the population variance
    and the exact GELU (Hendrycks and Gimpel, 2016).
    """
    w = weights
    y, x = z.chunk(2, dim=1)
    mean = x.mean((2, 3))  # [N, C]
    variance = (x - mean[:, :, None, None]).square().mean((2, 3))
    scale = F.gelu(F.linear(w.alpha * mean + w.beta * variance, w.texture_w, w.texture_b))
    modulated = x * scale[:, :, None, None]
    local = F.conv2d(y, w.depthwise_w[:, None], w.depthwise_b, padding=1, groups=y.shape[1])  # [N, 2 C, H, W]
    local = F.gelu(F.conv2d(local, w.pointwise_w[:, :, None, None], w.pointwise_b))
    if isinstance(w, FoldedMultiBranchWeights):
        return F.conv2d(torch.cat([modulated, local], dim=1), w.merged_w[:, :, None, None], w.merged_b)
    local = F.conv2d(local, w.project_w[:, :, None, None], w.project_b)  # [N, C, H, W]
    added = w.merge_w.shape[1] == y.shape[1]
    joined = modulated + local if added else torch.cat([modulated, local], dim=1)
    return F.conv2d(joined, w.merge_w[:, :, None, None], w.merge_b)


def dcif(x: Tensor, weights: DcifWeights) -> Tensor:
    """Dual Contextual Information Filtering and the mean over space that follows it.

    Args:
        x: floating-point [N, C, H, W].
        weights: of the dtype of x.

    Returns:
        [N, C] of the dtype of x.

    Source: TKFNet (arXiv 2505.09967).
    """
    hidden = F.relu(F.linear(x.mean((2, 3)), weights.squeeze_w, weights.squeeze_b))
    gate = torch.sigmoid(F.linear(hidden, weights.expand_w, weights.expand_b))
    return filter_and_pool(x, gate, weights.spatial_w)


def filter_and_pool(x: Tensor, gate: Tensor, spatial_w: Tensor) -> Tensor:
    """The part of `dcif` after its channel gate. Training computes this gate with batch statistics.

    Args:
        x: floating-point [N, C, H, W].
        gate: [N, C], in (0, 1), of the dtype of x.
        spatial_w: [2, 7, 7], as in `DcifWeights`.

    Returns:
        [N, C] of the dtype of x. If several channels attain the maximum, they share its gradient equally.
    """
    gated = x * gate[:, :, None, None]
    summary = torch.stack([gated.mean(1), gated.amax(1)], dim=1)  # [N, 2, H, W]
    spatial_gate = torch.sigmoid(F.conv2d(summary, spatial_w[None], padding=3))  # [N, 1, H, W]
    return (gated * spatial_gate).mean((2, 3))


def token_attention(x: Tensor, weights: TokenAttentionWeights, heads: int, epsilon: float = 1e-5) -> Tensor:
    """Multi-head softmax(Q K^T / sqrt(d)) V over the positions of one map, residual, LayerNorm.

    Args:
        x: floating-point [N, C, H, W], at most 64 positions.
        weights: of the dtype of x.
        heads: number of heads; divides C.
        epsilon: added to the variance of LayerNorm.

    Returns:
        [N, C, H, W] of the dtype of x.

    Source: Vaswani et al., 2017; over spatial positions as in Conv-cut (arXiv 2504.09077).
    """
    n, channels, height, width = x.shape
    tokens = x.flatten(2).transpose(1, 2)  # [N, T, C]
    parts = F.linear(tokens, weights.qkv_w, weights.qkv_b).reshape(n, -1, 3, heads, channels // heads)
    query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # [N, heads, T, d]
    attention = F.softmax(query @ key.transpose(2, 3) / math.sqrt(query.shape[-1]), dim=-1)
    mixed = (attention @ value).transpose(1, 2).reshape(n, -1, channels)
    joined = tokens + F.linear(mixed, weights.out_w, weights.out_b)
    normed = F.layer_norm(joined, (channels,), weights.norm_w, weights.norm_b, epsilon)
    return normed.transpose(1, 2).reshape(n, channels, height, width)


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
    """`fer_edge.ops.reference.warp_normalize` on tensors of any device; it computes on the CPU.

    Args:
        plane: uint8 [H, W].
        matrices: float32 [N, 2, 3].
        out: float32, float16 or int8 [N, 1, h, w] to fill; int8 is rounded to nearest and saturated.
        mean: grey level that maps to 0.
        scale: factor applied after the mean is subtracted.
        border: value of taps outside the plane: the nearest pixel ("edge") or `fill` ("constant").
        fill: grey level outside the plane.
    """
    pictures = np.empty(out.shape, np.float32)
    ops.warp_normalize(
        plane.cpu().numpy(),
        matrices.cpu().numpy(),
        pictures,
        mean=mean,
        scale=scale,
        border=border,
        fill=fill,
    )
    result = torch.from_numpy(pictures)
    out.copy_(result.round().clamp(-128, 127) if out.dtype == torch.int8 else result)
