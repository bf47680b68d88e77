"""Building blocks of the DCIF kernels: tiles of a map, and its 7 x 7 convolution as a matrix product.

A tile is float32 [block / lanes, C, lanes]: `block` spatial positions, split into two axes. With this shape
the compiler puts eight lanes of a warp along the positions and four along the channels, so each thread
computes most of either sum without shuffles. With 512 channels, a sum over the positions takes 24 shuffles
per thread; a tile [C, block] would take 160.

The convolution is spatial_logit[q] = sum_p K[q, p] summary[p], where K[q, p] is the tap from q to p. The 98
weights are read from the L1 cache, so no shifted copy of the map is needed. A vector over all positions of a
map is [block_all / lanes, lanes]; `block_all` is the number of positions, padded.
"""

import triton
import triton.language as tl


@triton.jit
def tile_positions(start, block: tl.constexpr, lanes: tl.constexpr):
    """Positions from `start`, int32 [block / lanes, 1, lanes]."""
    outer = start + tl.arange(0, block // lanes) * lanes
    return outer[:, None, None] + tl.arange(0, lanes)[None, None, :]


@triton.jit
def load_tile(
    rows,
    channel_mask,
    start,
    positions: tl.constexpr,
    stride_position: tl.constexpr,
    block: tl.constexpr,
    lanes: tl.constexpr,
):
    """The positions from `start`, float32 [block / lanes, C, lanes]; rows are pointers [C] to the map."""
    position = tile_positions(start, block, lanes)
    mask = channel_mask[None, :, None] & (position < positions)
    return tl.load(rows[None, :, None] + position * stride_position, mask, 0.0).to(tl.float32)


@triton.jit
def sum_over_positions(tile):
    """Sum of a tile over its positions, [C]."""
    return tl.sum(tl.sum(tile, 0), 1)


@triton.jit
def mean_and_max_over_channels(gated, channel_mask, channels: tl.constexpr):
    """Mean and maximum over the channels, float32 [block / lanes, lanes]."""
    mean = tl.sum(gated, 1) * (1.0 / channels)
    return mean, tl.max(tl.where(channel_mask[None, :, None], gated, float("-inf")), 1)


@triton.jit
def sigmoid(values):
    """1 / (1 + exp(-values)), without an exponential that overflows."""
    small = tl.exp(-tl.abs(values))
    return tl.where(values < 0.0, small, 1.0) / (1.0 + small)


@triton.jit
def taps_between(
    spatial_w,
    summed_start,
    summed: tl.constexpr,
    kept_start,
    kept: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    lanes: tl.constexpr,
    forward: tl.constexpr,
):
    """The taps on mean and maximum between two ranges of positions, and a mask of the taps that exist.

    Each is [summed / lanes, kept / lanes, lanes, lanes]. The axes are s // lanes, k // lanes, k % lanes and
    s % lanes, where s is a position that is summed over and k is a position of the result. If `forward`, the
    tap leads from k to s, else from s to k.
    """
    s = (summed_start + tl.arange(0, summed // lanes) * lanes)[:, None, None, None]
    s += tl.arange(0, lanes)[None, None, None, :]
    k = (kept_start + tl.arange(0, kept // lanes) * lanes)[None, :, None, None]
    k += tl.arange(0, lanes)[None, None, :, None]
    down, right = s // width - k // width, s % width - k % width
    reached = (down >= -3) & (down <= 3) & (right >= -3) & (right <= 3)
    reached = reached & (s < height * width) & (k < height * width)
    tap = down * 7 + right
    tap = 24 + tap if forward else 24 - tap
    mean_taps = tl.load(spatial_w + tap, reached, 0.0).to(tl.float32)
    max_taps = tl.load(spatial_w + 49 + tap, reached, 0.0).to(tl.float32)
    return mean_taps, max_taps, reached


@triton.jit
def sum_over_summed(values):
    """Sum over the summed positions, which are the first and the last axis of `taps_between`."""
    # This order keeps the compiler from also converting the tile to the layout of the taps.
    return tl.sum(tl.sum(values, 0), 2)


@triton.jit
def convolve_chunk(
    mean,
    maximum,
    spatial_w,
    start,
    height: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
):
    """The contribution of a chunk to the convolution, float32 [block_all / lanes, lanes]."""
    mean_taps, max_taps, reached = taps_between(
        spatial_w, start, block, 0, block_all, height, width, lanes, forward=True
    )
    added = mean_taps * mean[:, None, None, :] + max_taps * maximum[:, None, None, :]
    # where() and not a product with 0: a value that is not finite only affects positions in its window.
    return sum_over_summed(tl.where(reached, added, 0.0))


@triton.jit
def select_chunk(values, start, block: tl.constexpr, block_all: tl.constexpr, lanes: tl.constexpr):
    """The part [block / lanes, lanes] of values [block_all / lanes, lanes] from position `start`."""
    if block < block_all:
        row = start // lanes + tl.arange(0, block // lanes)
        chosen = tl.arange(0, block_all // lanes)[:, None, None] == row[None, :, None]
        values = tl.sum(tl.where(chosen, values[:, None, :], 0.0), 0)
    return values
