"""A map as the kernels of DCIF see it: tiles of places, and the 7 x 7 convolution as a matrix over them.

A tile is float32 [block / lanes, C, lanes]: `block` places are split in two axes for the sake of the layout.
The compiler then puts eight lanes of a warp along the places and four along the channels, and each thread
adds up most of either sum by itself. Of a map of 512 channels a sum over the places takes a thread 24
shuffles, where a tile [C, block] would take 160.

The convolution is before[q] = sum_p K[q, p] summary[p], with K[q, p] the tap from q to p, read from the 98
weights in the L1 cache: nothing is shifted or passed through memory. Vectors over all the places of a map,
`block_all` of them with the padding, are [block_all / lanes, lanes].
"""

import triton
import triton.language as tl


@triton.jit
def places_of(start, block: tl.constexpr, lanes: tl.constexpr):
    """Places from `start` on, int32 [block / lanes, 1, lanes]."""
    outer = start + tl.arange(0, block // lanes) * lanes
    return outer[:, None, None] + tl.arange(0, lanes)[None, None, :]


@triton.jit
def tile_of(
    rows,
    inside,
    start,
    places: tl.constexpr,
    stride_place: tl.constexpr,
    block: tl.constexpr,
    lanes: tl.constexpr,
):
    """float32 [block / lanes, C, lanes], the places from `start` on; rows are pointers [C] to the map."""
    place = places_of(start, block, lanes)
    here = inside[None, :, None] & (place < places)
    return tl.load(rows[None, :, None] + place * stride_place, here, 0.0).to(tl.float32)


@triton.jit
def over_places(tile):
    """Sum of a tile over its places, [C]."""
    return tl.sum(tl.sum(tile, 0), 1)


@triton.jit
def summary_of(gated, inside, channels: tl.constexpr):
    """Mean and maximum over the channels, float32 [block / lanes, lanes]."""
    mean = tl.sum(gated, 1) * (1.0 / channels)
    return mean, tl.max(tl.where(inside[None, :, None], gated, float("-inf")), 1)


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
    """The taps on mean and maximum between two runs of places, and where there are any.

    [summed / lanes, kept / lanes, lanes, lanes]: the axes are s // lanes, k // lanes, k % lanes, s % lanes of
    a place s to sum over and a place k to keep. Forward they lead from k to s, else from s to k.
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
    on_mean = tl.load(spatial_w + tap, reached, 0.0).to(tl.float32)
    on_most = tl.load(spatial_w + 49 + tap, reached, 0.0).to(tl.float32)
    return on_mean, on_most, reached


@triton.jit
def over_summed(values):
    """Sum over the first and the last axis of what `taps_between` gives."""
    # In an order that leaves no layout in which the compiler could want to have a tile too.
    return tl.sum(tl.sum(values, 0), 2)


@triton.jit
def convolved(
    mean,
    most,
    spatial_w,
    start,
    height: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
):
    """What the summary of a chunk adds to the convolution, float32 [all / lanes, lanes]."""
    on_mean, on_most, reached = taps_between(
        spatial_w, start, block, 0, block_all, height, width, lanes, forward=True
    )
    added = on_mean * mean[:, None, None, :] + on_most * most[:, None, None, :]
    # Selected, not multiplied by 0: what is not finite stays within its window.
    return over_summed(tl.where(reached, added, 0.0))


@triton.jit
def chunk_of(values, start, block: tl.constexpr, block_all: tl.constexpr, lanes: tl.constexpr):
    """The part [block / lanes, lanes] of values [all / lanes, lanes] from place `start` on."""
    if block < block_all:
        row = start // lanes + tl.arange(0, block // lanes)
        chosen = tl.arange(0, block_all // lanes)[:, None, None] == row[None, :, None]
        values = tl.sum(tl.where(chosen, values[:, None, :], 0.0), 0)
    return values
