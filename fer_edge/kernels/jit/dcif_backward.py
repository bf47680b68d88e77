"""Gradients of `filter_and_pool`, which are those of DCIF behind its channel gate: a program an image.

With gated[c, p] = g[c] x[c, p], its mean and maximum over the channels, before = their 7 x 7 convolution and
a = sigmoid(before), the result was out[c] = mean_p gated[c, p] a[p]. Nothing but the arguments is saved. One
pass over the map makes `before` again and, along with it, da[p] = sum_c dout[c] gated[c, p] / P. That is all
that dbefore = da a (1 - a) needs. The second pass takes each chunk of places with the transposed convolution
of dbefore:

    dgated[c, p] = dout[c] a[p] / P + dmean[p] / C + dmost[p] / (channels that share the maximum), if c is one
    dx = dgated g        dg[c] = sum_p dgated[c, p] x[c, p]

The gradient of the 98 weights is a sum over the images too. It is left to a product of matrices, for which
summary and dbefore are written out; programs never add to the same memory, so every bit repeats.
"""

import functools

import triton
import triton.language as tl

from fer_edge.aot.manifest import IMAGES, Axis, Buffer

from .dcif import TILE, sizes_of, threads_of
from .dcif_tiles import (
    chunk_of,
    convolved,
    over_places,
    over_summed,
    places_of,
    sigmoid,
    summary_of,
    taps_between,
    tile_of,
)
from .launch import Plan, TritonLaunch


@triton.jit
def row_of_places(start, block: tl.constexpr, lanes: tl.constexpr):
    """Places from `start` on, int32 [block / lanes, lanes]."""
    return (start + tl.arange(0, block // lanes) * lanes)[:, None] + tl.arange(0, lanes)[None, :]


@triton.jit
def placed(chunk, start, block: tl.constexpr, block_all: tl.constexpr, lanes: tl.constexpr):
    """A chunk [block / lanes, lanes] in its place among all, float32 [all / lanes, lanes], 0 elsewhere."""
    if block < block_all:
        row = start // lanes + tl.arange(0, block // lanes)
        chosen = tl.arange(0, block_all // lanes)[:, None, None] == row[None, :, None]
        chunk = tl.sum(tl.where(chosen, chunk[None, :, :], 0.0), 1)
    return chunk


@triton.jit
def first_pass(
    rows,
    inside,
    kept,
    gate,
    upstream,
    spatial_w,
    summary,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    stride_place: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
):
    """The place gate and dbefore, float32 [all / lanes, lanes]; writes the summary [2, P]."""
    places: tl.constexpr = height * width
    before = tl.zeros([block_all // lanes, lanes], tl.float32)
    dgate = tl.zeros([block_all // lanes, lanes], tl.float32)
    for start in range(0, places, block):
        tile = kept if block >= places else tile_of(rows, inside, start, places, stride_place, block, lanes)
        gated = tile * gate[None, :, None]
        mean, most = summary_of(gated, inside, channels)
        before += convolved(mean, most, spatial_w, start, height, width, block, block_all, lanes)
        dgate += placed(tl.sum(gated * upstream[None, :, None], 1), start, block, block_all, lanes)
        place = row_of_places(start, block, lanes)
        tl.store(summary + place, mean, place < places)
        tl.store(summary + places + place, most, place < places)
    place_gate = sigmoid(before)
    return place_gate, dgate * place_gate * (1.0 - place_gate)


@triton.jit
def gradient_of_tile(
    gated,
    inside,
    upstream,
    place_gate,
    dbefore,
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
    on_mean, on_most, _ = taps_between(
        spatial_w, 0, block_all, start, block, height, width, lanes, forward=False
    )
    dsummary = dbefore[:, None, None, :]
    dmean = over_summed(on_mean * dsummary) * (1.0 / channels)
    dmost = over_summed(on_most * dsummary)
    _, most = summary_of(gated, inside, channels)
    shares = (gated == most[:, None, :]) & inside[None, :, None]
    dmost = dmost / tl.sum(shares.to(tl.float32), 1)
    here = chunk_of(place_gate, start, block, block_all, lanes)
    dgated = upstream[None, :, None] * here[:, None, :] + dmean[:, None, :]
    return dgated + tl.where(shares, dmost[:, None, :], 0.0)


@triton.jit
def second_pass(
    rows,
    targets,
    inside,
    kept,
    gate,
    upstream,
    place_gate,
    dbefore,
    spatial_w,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    stride_place: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
):
    """Writes dx to the targets; returns dg, float32 [C]."""
    places: tl.constexpr = height * width
    total = tl.zeros([rows.shape[0]], tl.float32)
    for start in range(0, places, block):
        tile = kept if block >= places else tile_of(rows, inside, start, places, stride_place, block, lanes)
        gated = tile * gate[None, :, None]
        dgated = gradient_of_tile(
            gated,
            inside,
            upstream,
            place_gate,
            dbefore,
            spatial_w,
            start,
            channels,
            height,
            width,
            block,
            block_all,
            lanes,
        )
        total += over_places(dgated * tile)
        place = places_of(start, block, lanes)
        result = (dgated * gate[None, :, None]).to(targets.dtype.element_ty)
        target = targets[None, :, None] + place * stride_place
        tl.store(target, result, inside[None, :, None] & (place < places))
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
    dbefore,
    images,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    stride_channel: tl.constexpr,
    stride_place: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
    block_channels: tl.constexpr,
):
    """Both passes for one image."""
    image = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, block_channels)
    inside = channel < channels
    places: tl.constexpr = height * width
    offset = image * (channels * places) + channel * stride_channel
    kept = tile_of(x + offset, inside, 0, places, stride_place, block, lanes)
    vector = image * channels + channel
    given = tl.load(gate + vector, inside, 0.0).to(tl.float32)
    upstream = tl.load(dout + vector, inside, 0.0).to(tl.float32) * (1.0 / places)
    place_gate, dlogit = first_pass(
        x + offset,
        inside,
        kept,
        given,
        upstream,
        spatial_w,
        summary + image * (2 * places),
        channels,
        height,
        width,
        stride_place,
        block,
        block_all,
        lanes,
    )
    total = second_pass(
        x + offset,
        dx + offset,
        inside,
        kept,
        given,
        upstream,
        place_gate,
        dlogit,
        spatial_w,
        channels,
        height,
        width,
        stride_place,
        block,
        block_all,
        lanes,
    )
    tl.store(dgate + vector, total, inside)
    place = row_of_places(0, block_all, lanes)
    tl.store(dbefore + image * places + place, dlogit, place < places)


@functools.cache
def backward_plan(
    channels: int, height: int, width: int, dtype: str, channels_last: bool, tile: int = TILE
) -> Plan:
    """The one launch of the backward pass.

    Of the outputs dx is the gradient of x, dgate that of the gate; summary and dbefore are the mean and the
    maximum over the channels and the gradient of their convolution, from which that of spatial_w follows.
    """
    # Beside a tile its gradient is held.
    sizes = sizes_of(channels, height, width, dtype, channels_last, tile // 2)
    places = height * width
    map_shape = (IMAGES, channels, height, width)
    buffers = {
        "x": Buffer("input", dtype, map_shape, channels_last),
        "gate": Buffer("input", "fp32", (IMAGES, channels)),
        "spatial_w": Buffer("weight", dtype, (2, 7, 7)),
        "dout": Buffer("input", dtype, (IMAGES, channels)),
        "dx": Buffer("output", dtype, map_shape, channels_last),
        "dgate": Buffer("output", "fp32", (IMAGES, channels)),
        "summary": Buffer("output", "fp32", (IMAGES, 2, height, width)),
        "dbefore": Buffer("output", "fp32", (IMAGES, places)),
    }
    launch = TritonLaunch(filter_and_pool_backward, tuple(buffers), (Axis(1),), sizes, **threads_of(sizes))
    return Plan("filter_and_pool_backward", buffers, (launch,))
