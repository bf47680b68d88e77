"""Gradients of `filter_and_pool`, the part of DCIF after its channel gate: one program per image.

The forward pass computes gated[c, p] = g[c] x[c, p], the summary (mean and maximum of gated over the
channels), spatial_logit = 7 x 7 convolution of the summary, a = sigmoid(spatial_logit) and
out[c] = mean_p gated[c, p] a[p]. It saves only its arguments.

The first pass over the map recomputes spatial_logit and sums da[p] = sum_c dout[c] gated[c, p] / P. Both
give dspatial_logit = da a (1 - a). The second pass applies the transposed convolution to dspatial_logit,
chunk by chunk. The last term of dgated is present only for channels that attain the maximum:

    dgated[c, p] = dout[c] a[p] / P + dmean[p] / C + dmaximum[p] / (number of channels that attain it)
    dx = dgated g        dg[c] = sum_p dgated[c, p] x[c, p]

The gradient of the 98 weights is also a sum over the images. A matrix product outside the kernel computes it
from summary and dspatial_logit, which are written to memory. No two programs add to the same memory, so the
result is bitwise reproducible.
"""

import functools

import triton
import triton.language as tl

from fer_edge.aot.manifest import IMAGES, Axis, Buffer

from .dcif import TILE, kernel_constants, launch_options
from .dcif_tiles import (
    convolve_chunk,
    load_tile,
    mean_and_max_over_channels,
    select_chunk,
    sigmoid,
    sum_over_positions,
    sum_over_summed,
    taps_between,
    tile_positions,
)
from .launch import Plan, TritonLaunch


@triton.jit
def chunk_positions(start, block: tl.constexpr, lanes: tl.constexpr):
    """Positions from `start`, int32 [block / lanes, lanes]."""
    return (start + tl.arange(0, block // lanes) * lanes)[:, None] + tl.arange(0, lanes)[None, :]


@triton.jit
def scatter_chunk(chunk, start, block: tl.constexpr, block_all: tl.constexpr, lanes: tl.constexpr):
    """A chunk [block / lanes, lanes] as part of float32 [block_all / lanes, lanes], 0 elsewhere."""
    if block < block_all:
        row = start // lanes + tl.arange(0, block // lanes)
        chosen = tl.arange(0, block_all // lanes)[:, None, None] == row[None, :, None]
        chunk = tl.sum(tl.where(chosen, chunk[None, :, :], 0.0), 1)
    return chunk


@triton.jit
def first_pass(
    rows,
    channel_mask,
    first_tile,
    gate,
    upstream,
    spatial_w,
    summary,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    stride_position: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
):
    """The spatial gate and dspatial_logit, float32 [block_all / lanes, lanes]; writes the summary [2, P]."""
    positions: tl.constexpr = height * width
    spatial_logit = tl.zeros([block_all // lanes, lanes], tl.float32)
    dgate = tl.zeros([block_all // lanes, lanes], tl.float32)
    for start in range(0, positions, block):
        tile = (
            first_tile
            if block >= positions
            else load_tile(rows, channel_mask, start, positions, stride_position, block, lanes)
        )
        gated = tile * gate[None, :, None]
        mean, maximum = mean_and_max_over_channels(gated, channel_mask, channels)
        spatial_logit += convolve_chunk(
            mean, maximum, spatial_w, start, height, width, block, block_all, lanes
        )
        dgate += scatter_chunk(tl.sum(gated * upstream[None, :, None], 1), start, block, block_all, lanes)
        position = chunk_positions(start, block, lanes)
        tl.store(summary + position, mean, position < positions)
        tl.store(summary + positions + position, maximum, position < positions)
    spatial_gate = sigmoid(spatial_logit)
    return spatial_gate, dgate * spatial_gate * (1.0 - spatial_gate)


@triton.jit
def gradient_of_tile(
    gated,
    channel_mask,
    upstream,
    spatial_gate,
    dspatial_logit,
    spatial_w,
    start,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
):
    """The gradient dgated of a tile, float32 [block / lanes, C, lanes]."""
    mean_taps, max_taps, _ = taps_between(
        spatial_w, 0, block_all, start, block, height, width, lanes, forward=False
    )
    dsummary = dspatial_logit[:, None, None, :]
    dmean = sum_over_summed(mean_taps * dsummary) * (1.0 / channels)
    dmaximum = sum_over_summed(max_taps * dsummary)
    _, maximum = mean_and_max_over_channels(gated, channel_mask, channels)
    at_maximum = (gated == maximum[:, None, :]) & channel_mask[None, :, None]
    dmaximum = dmaximum / tl.sum(at_maximum.to(tl.float32), 1)
    gate_chunk = select_chunk(spatial_gate, start, block, block_all, lanes)
    dgated = upstream[None, :, None] * gate_chunk[:, None, :] + dmean[:, None, :]
    return dgated + tl.where(at_maximum, dmaximum[:, None, :], 0.0)


@triton.jit
def second_pass(
    rows,
    targets,
    channel_mask,
    first_tile,
    gate,
    upstream,
    spatial_gate,
    dspatial_logit,
    spatial_w,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    stride_position: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
):
    """Writes dx to the targets and returns dg, float32 [C]."""
    positions: tl.constexpr = height * width
    total = tl.zeros([rows.shape[0]], tl.float32)
    for start in range(0, positions, block):
        tile = (
            first_tile
            if block >= positions
            else load_tile(rows, channel_mask, start, positions, stride_position, block, lanes)
        )
        gated = tile * gate[None, :, None]
        dgated = gradient_of_tile(
            gated,
            channel_mask,
            upstream,
            spatial_gate,
            dspatial_logit,
            spatial_w,
            start,
            channels,
            height,
            width,
            block,
            block_all,
            lanes,
        )
        total += sum_over_positions(dgated * tile)
        position = tile_positions(start, block, lanes)
        result = (dgated * gate[None, :, None]).to(targets.dtype.element_ty)
        target = targets[None, :, None] + position * stride_position
        tl.store(target, result, channel_mask[None, :, None] & (position < positions))
    return total


@triton.jit(do_not_specialize=["images"])
def filter_and_pool_backward(
    x,
    gate,
    spatial_w,
    dout,
    dx,
    dgate,
    summary,
    dspatial_logit,
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
    """Both passes for one image."""
    image = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, block_channels)
    channel_mask = channel < channels
    positions: tl.constexpr = height * width
    offset = image * (channels * positions) + channel * stride_channel
    first_tile = load_tile(x + offset, channel_mask, 0, positions, stride_position, block, lanes)
    vector = image * channels + channel
    given = tl.load(gate + vector, channel_mask, 0.0).to(tl.float32)
    upstream = tl.load(dout + vector, channel_mask, 0.0).to(tl.float32) * (1.0 / positions)
    spatial_gate, dlogit = first_pass(
        x + offset,
        channel_mask,
        first_tile,
        given,
        upstream,
        spatial_w,
        summary + image * (2 * positions),
        channels,
        height,
        width,
        stride_position,
        block,
        block_all,
        lanes,
    )
    total = second_pass(
        x + offset,
        dx + offset,
        channel_mask,
        first_tile,
        given,
        upstream,
        spatial_gate,
        dlogit,
        spatial_w,
        channels,
        height,
        width,
        stride_position,
        block,
        block_all,
        lanes,
    )
    tl.store(dgate + vector, total, channel_mask)
    position = chunk_positions(0, block_all, lanes)
    tl.store(dspatial_logit + image * positions + position, dlogit, position < positions)


@functools.cache
def backward_plan(
    channels: int, height: int, width: int, dtype: str, channels_last: bool, tile: int = TILE
) -> Plan:
    """The launch of the backward pass.

    Outputs: dx is the gradient of x and dgate the gradient of the gate. summary is the mean and the maximum
    over the channels and dspatial_logit the gradient of their convolution; both give the gradient of
    spatial_w.
    """
    # A program holds a tile and its gradient.
    sizes = kernel_constants(channels, height, width, dtype, channels_last, tile // 2)
    positions = height * width
    map_shape = (IMAGES, channels, height, width)
    buffers = {
        "x": Buffer("input", dtype, map_shape, channels_last),
        "gate": Buffer("input", "fp32", (IMAGES, channels)),
        "spatial_w": Buffer("weight", dtype, (2, 7, 7)),
        "dout": Buffer("input", dtype, (IMAGES, channels)),
        "dx": Buffer("output", dtype, map_shape, channels_last),
        "dgate": Buffer("output", "fp32", (IMAGES, channels)),
        "summary": Buffer("output", "fp32", (IMAGES, 2, height, width)),
        "dspatial_logit": Buffer("output", "fp32", (IMAGES, positions)),
    }
    launch = TritonLaunch(
        filter_and_pool_backward, tuple(buffers), (Axis(1),), sizes, **launch_options(sizes)
    )
    return Plan("filter_and_pool_backward", buffers, (launch,))
