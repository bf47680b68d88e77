"""Parts of kernels that treat a batch of maps as one matrix: one row per position, image after image.

A tile may contain rows of several images, so small maps (49 positions) also fill it. Rows are addressed with
64-bit pointers; offsets inside a tile fit into 32 bits.
"""

import triton
import triton.language as tl


@triton.jit
def gelu(u):
    """The exact GELU, u Phi(u), in float32."""
    return 0.5 * u * (1.0 + tl.erf(u * 0.7071067811865476))


@triton.jit
def gelu_slope(u):
    """Derivative of `gelu`: Phi(u) + u phi(u)."""
    density = 0.3989422804014327 * tl.exp(-0.5 * u * u)
    return 0.5 * (1.0 + tl.erf(u * 0.7071067811865476)) + u * density


@triton.jit
def multiply(total, a, a_mask, b, b_mask, depth: tl.constexpr, block_depth: tl.constexpr):
    """The float32 sum total [M, N] + A [M, depth] B [N, depth]^T, from pointers to the rows of A and B."""
    for start in range(0, depth, block_depth):
        at = start + tl.arange(0, block_depth)
        left = tl.load(a[:, None] + at[None, :], mask=a_mask[:, None] & (at < depth)[None, :], other=0.0)
        right = tl.load(b[None, :] + at[:, None], mask=b_mask[None, :] & (at < depth)[:, None], other=0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    return total


@triton.jit
def mean_and_variance(x, mask, positions: tl.constexpr):
    """Mean and population variance over the positions of a float32 tile [channels, positions], in two passes.

    The tile must be zero outside the mask.
    """
    mean = tl.sum(x, 1) / positions
    deviation = tl.where(mask, x - mean[:, None], 0.0)
    return mean, tl.sum(deviation * deviation, 1) / positions
