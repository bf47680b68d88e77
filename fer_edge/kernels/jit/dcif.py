"""DCIF and the mean over space in one launch: one program per image, with the map in registers.

With the channel gate g and the spatial gate a, the result is out[c] = g[c] / P * sum_p x[c, p] a[p]. The map
is read once. Three sums over it remain: over the positions (for g), over the channels (for a), and the sum in
this formula. A map that does not fit into the registers is read three times in chunks of positions, the
second and third time from the L2 cache. Vectors over the channels are never split.

The hidden vector of the channel gate is never stored as a whole: each block of it is computed from the means
and used at once. All arithmetic is float32; only the result is rounded.
"""

import functools
import math
from typing import Any

import triton
import triton.language as tl

from fer_edge.aot.manifest import IMAGES, Axis, Buffer

from .dcif_tiles import (
    convolve_chunk,
    load_tile,
    mean_and_max_over_channels,
    select_chunk,
    sigmoid,
    sum_over_positions,
)
from .launch import DTYPES, Plan, TritonLaunch

# Elements of a tile: float32 [512, 64] takes 64 registers in each of 512 threads, half of the limit per
# thread.
TILE = 32768
# Number of matrices over the positions, [block, block_all], that a program holds in addition to a tile.
MATRICES = 2
MAX_WARPS = 16


@triton.jit
def channel_gate(
    mean,
    squeeze_w,
    squeeze_b,
    expand_w,
    expand_b,
    channel,
    channels: tl.constexpr,
    hidden: tl.constexpr,
    block_hidden: tl.constexpr,
):
    """Channel gate from the means [C]: squeeze, ReLU, expand, sigmoid; float32 [C]."""
    channel_mask = channel < channels
    expanded = tl.load(expand_b + channel, channel_mask, 0.0).to(tl.float32)
    for start in range(0, hidden, block_hidden):
        unit = start + tl.arange(0, block_hidden)
        hidden_mask = (unit < hidden)[:, None] & channel_mask[None, :]
        squeeze_block = tl.load(squeeze_w + unit[:, None] * channels + channel[None, :], hidden_mask, 0.0).to(
            tl.float32
        )
        squeezed = tl.sum(squeeze_block * mean[None, :], 1) + tl.load(squeeze_b + unit, unit < hidden, 0.0)
        # where() and not maximum(), because maximum() would replace NaN by 0.
        squeezed = tl.where(squeezed < 0.0, 0.0, squeezed)
        # Loaded after the squeeze weights are used: both together do not fit next to a tile.
        expand_block = tl.load(expand_w + channel[None, :] * hidden + unit[:, None], hidden_mask, 0.0).to(
            tl.float32
        )
        expanded += tl.sum(expand_block * squeezed[:, None], 0)
    return sigmoid(expanded)


@triton.jit
def filtered_mean(
    rows,
    channel_mask,
    first_tile,
    gate,
    spatial_w,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    stride_position: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
):
    """Spatial gate and mean over space of a map times its channel gate, float32 [C].

    `first_tile` is reused if it is the only tile of the map.
    """
    positions: tl.constexpr = height * width
    spatial_logit = tl.zeros([block_all // lanes, lanes], tl.float32)
    for start in range(0, positions, block):
        tile = (
            first_tile
            if block >= positions
            else load_tile(rows, channel_mask, start, positions, stride_position, block, lanes)
        )
        mean, maximum = mean_and_max_over_channels(tile * gate[None, :, None], channel_mask, channels)
        spatial_logit += convolve_chunk(
            mean, maximum, spatial_w, start, height, width, block, block_all, lanes
        )
    spatial_gate = sigmoid(spatial_logit)
    total = tl.zeros([rows.shape[0]], tl.float32)
    for start in range(0, positions, block):
        tile = (
            first_tile
            if block >= positions
            else load_tile(rows, channel_mask, start, positions, stride_position, block, lanes)
        )
        total += sum_over_positions(
            tile * select_chunk(spatial_gate, start, block, block_all, lanes)[:, None, :]
        )
    return total * gate * (1.0 / positions)


@triton.jit(do_not_specialize=["images"])
def dcif(
    x,
    squeeze_w,
    squeeze_b,
    expand_w,
    expand_b,
    spatial_w,
    out,
    images,
    channels: tl.constexpr,
    hidden: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    stride_channel: tl.constexpr,
    stride_position: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
    block_channels: tl.constexpr,
    block_hidden: tl.constexpr,
):
    """The whole operation for one image."""
    image = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, block_channels)
    channel_mask = channel < channels
    positions: tl.constexpr = height * width
    rows = x + image * (channels * positions) + channel * stride_channel
    first_tile = load_tile(rows, channel_mask, 0, positions, stride_position, block, lanes)
    total = sum_over_positions(first_tile)
    for start in range(block, positions, block):
        total += sum_over_positions(
            load_tile(rows, channel_mask, start, positions, stride_position, block, lanes)
        )
    mean = total * (1.0 / positions)
    gate = channel_gate(
        mean, squeeze_w, squeeze_b, expand_w, expand_b, channel, channels, hidden, block_hidden
    )
    pooled = filtered_mean(
        rows,
        channel_mask,
        first_tile,
        gate,
        spatial_w,
        channels,
        height,
        width,
        stride_position,
        block,
        block_all,
        lanes,
    )
    tl.store(out + image * channels + channel, pooled.to(out.dtype.element_ty), channel_mask)


@triton.jit(do_not_specialize=["images"])
def filter_and_pool(
    x,
    gate,
    spatial_w,
    out,
    images,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    stride_channel: tl.constexpr,
    stride_position: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
    block_channels: tl.constexpr,
):
    """The operation for one image, with a given channel gate."""
    image = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, block_channels)
    channel_mask = channel < channels
    positions: tl.constexpr = height * width
    rows = x + image * (channels * positions) + channel * stride_channel
    first_tile = load_tile(rows, channel_mask, 0, positions, stride_position, block, lanes)
    given = tl.load(gate + image * channels + channel, channel_mask, 0.0).to(tl.float32)
    pooled = filtered_mean(
        rows,
        channel_mask,
        first_tile,
        given,
        spatial_w,
        channels,
        height,
        width,
        stride_position,
        block,
        block_all,
        lanes,
    )
    tl.store(out + image * channels + channel, pooled.to(out.dtype.element_ty), channel_mask)


def kernel_constants(
    channels: int, height: int, width: int, dtype: str, channels_last: bool, tile: int
) -> dict[str, int]:
    """Constants of every kernel in this file; a program holds ``tile`` elements of a map at a time."""
    positions = height * width
    block_channels = triton.next_power_of_2(channels)
    block_all = max(8, triton.next_power_of_2(positions))
    matrix_width = MATRICES * block_all
    tile_width = max(block_channels, matrix_width)
    # During the convolution the matrices and the tile are held together; 1.5 times the tile size is allowed.
    fits = block_all * tile_width <= tile and block_all * (block_channels + matrix_width) <= tile + tile // 2
    # A loop over chunks holds more values besides the chunk, so a chunk is half as large.
    block = block_all if fits else max(4, tile // 2 // tile_width)
    # Eight lanes of a warp lie along the positions; each loads one position, or a vector of 16 bytes.
    vector = 1 if channels_last else math.gcd(positions, 16 // DTYPES[dtype].itemsize)
    return {
        "channels": channels,
        "height": height,
        "width": width,
        "stride_channel": 1 if channels_last else positions,
        "stride_position": channels if channels_last else 1,
        "block": block,
        "block_all": block_all,
        "lanes": min(block, 8 * vector),
        "block_channels": block_channels,
    }


def launch_options(sizes: dict[str, int]) -> dict[str, int]:
    """Number of warps of a program, one per 512 elements that it holds, and registers per thread."""
    tile_width = sizes["block"] * max(sizes["block_channels"], MATRICES * sizes["block_all"])
    warps = max(1, tile_width // 512)
    if sizes["block"] == sizes["block_all"]:
        return {"num_warps": min(MAX_WARPS, warps)}
    # A loop over chunks needs more registers than its elements suggest. Without this limit, ptxas saves
    # registers for a second program and spills; 8 warps may use all registers of a multiprocessor.
    return {"num_warps": min(MAX_WARPS // 2, warps), "max_registers": 255}


@functools.cache
def forward_plan(
    channels: int,
    height: int,
    width: int,
    dtype: str,
    channels_last: bool,
    hidden: int = 0,
    gate_given: bool = False,
    tile: int = TILE,
) -> Plan:
    """The launch of `dcif` with ``hidden`` hidden channels, or of `filter_and_pool` if ``gate_given``.

    The buffers have the names of the arguments of the reference. ``dtype`` is Triton's name of their dtype.
    A program holds ``tile`` elements of a map at a time.
    """
    sizes = kernel_constants(channels, height, width, dtype, channels_last, tile)
    buffers = {"x": Buffer("input", dtype, (IMAGES, channels, height, width), channels_last)}
    constants: dict[str, Any] = dict(sizes)
    if gate_given:
        buffers["gate"] = Buffer("input", dtype, (IMAGES, channels))
    else:
        block_hidden = min(
            triton.next_power_of_2(hidden), max(1, tile // DTYPES[dtype].itemsize // sizes["block_channels"])
        )
        constants |= {"hidden": hidden, "block_hidden": block_hidden}
        buffers["squeeze_w"] = Buffer("weight", dtype, (hidden, channels))
        buffers["squeeze_b"] = Buffer("weight", dtype, (hidden,))
        buffers["expand_w"] = Buffer("weight", dtype, (channels, hidden))
        buffers["expand_b"] = Buffer("weight", dtype, (channels,))
    buffers["spatial_w"] = Buffer("weight", dtype, (2, 7, 7))
    buffers["out"] = Buffer("output", dtype, (IMAGES, channels))
    kernel = filter_and_pool if gate_given else dcif
    launch = TritonLaunch(kernel, tuple(buffers), (Axis(1),), constants, **launch_options(sizes))
    return Plan("filter_and_pool" if gate_given else "dcif", buffers, (launch,))
