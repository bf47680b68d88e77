"""DCIF and the mean over space in one launch: a program an image, the map resident on chip.

With the channel gate g and the place gate a, the result is out[c] = g[c] / P * sum_p x[c, p] a[p]. So the map
is read once, and three sums over it are all that is left: over the places (for g), over the channels (for a),
and this one. A map that does not fit the registers is read three times, in chunks of places, the second and
third time from the L2 cache. Vectors over the channels are always whole.

The hidden vector of the channel gate is never put together: a block of it is made from the means and used up
at once. Everything is float32 until the result is rounded.
"""

import functools
import math
from typing import Any

import triton
import triton.language as tl

from fer_edge.aot.manifest import IMAGES, Axis, Buffer

from .dcif_tiles import chunk_of, convolved, over_places, sigmoid, summary_of, tile_of
from .launch import DTYPES, Plan, TritonLaunch

# Elements of a tile: float32 [512, 64] is 64 registers for each of 512 threads, half of what one may have.
TILE = 32768
# Matrices over the places, [block, block_all], that a program holds beside a tile.
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
    """Squeeze, ReLU, expand, sigmoid of the means [C]: float32 [C]."""
    inside = channel < channels
    expanded = tl.load(expand_b + channel, inside, 0.0).to(tl.float32)
    for start in range(0, hidden, block_hidden):
        unit = start + tl.arange(0, block_hidden)
        here = (unit < hidden)[:, None] & inside[None, :]
        squeeze = tl.load(squeeze_w + unit[:, None] * channels + channel[None, :], here, 0.0).to(tl.float32)
        squeezed = tl.sum(squeeze * mean[None, :], 1) + tl.load(squeeze_b + unit, unit < hidden, 0.0)
        # Not a maximum, which would lose what is not a number.
        squeezed = tl.where(squeezed < 0.0, 0.0, squeezed)
        # Not loaded along with the other, because the two do not fit beside a tile.
        expand = tl.load(expand_w + channel[None, :] * hidden + unit[:, None], here, 0.0).to(tl.float32)
        expanded += tl.sum(expand * squeezed[:, None], 0)
    return sigmoid(expanded)


@triton.jit
def filtered_mean(
    rows,
    inside,
    kept,
    gate,
    spatial_w,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    stride_place: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
):
    """Spatial gate and mean over space of a map times its channel gate, float32 [C].

    kept is the map's first tile, for a map that has only one.
    """
    places: tl.constexpr = height * width
    before = tl.zeros([block_all // lanes, lanes], tl.float32)
    for start in range(0, places, block):
        tile = kept if block >= places else tile_of(rows, inside, start, places, stride_place, block, lanes)
        mean, most = summary_of(tile * gate[None, :, None], inside, channels)
        before += convolved(mean, most, spatial_w, start, height, width, block, block_all, lanes)
    place_gate = sigmoid(before)
    total = tl.zeros([rows.shape[0]], tl.float32)
    for start in range(0, places, block):
        tile = kept if block >= places else tile_of(rows, inside, start, places, stride_place, block, lanes)
        total += over_places(tile * chunk_of(place_gate, start, block, block_all, lanes)[:, None, :])
    return total * gate * (1.0 / places)


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
    stride_place: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
    block_channels: tl.constexpr,
    block_hidden: tl.constexpr,
):
    """The whole operation for one image."""
    image = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, block_channels)
    inside = channel < channels
    places: tl.constexpr = height * width
    rows = x + image * (channels * places) + channel * stride_channel
    kept = tile_of(rows, inside, 0, places, stride_place, block, lanes)
    total = over_places(kept)
    for start in range(block, places, block):
        total += over_places(tile_of(rows, inside, start, places, stride_place, block, lanes))
    mean = total * (1.0 / places)
    gate = channel_gate(
        mean, squeeze_w, squeeze_b, expand_w, expand_b, channel, channels, hidden, block_hidden
    )
    pooled = filtered_mean(
        rows, inside, kept, gate, spatial_w, channels, height, width, stride_place, block, block_all, lanes
    )
    tl.store(out + image * channels + channel, pooled.to(out.dtype.element_ty), inside)


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
    stride_place: tl.constexpr,
    block: tl.constexpr,
    block_all: tl.constexpr,
    lanes: tl.constexpr,
    block_channels: tl.constexpr,
):
    """The operation for one image whose channel gate is given."""
    image = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, block_channels)
    inside = channel < channels
    places: tl.constexpr = height * width
    rows = x + image * (channels * places) + channel * stride_channel
    kept = tile_of(rows, inside, 0, places, stride_place, block, lanes)
    given = tl.load(gate + image * channels + channel, inside, 0.0).to(tl.float32)
    pooled = filtered_mean(
        rows, inside, kept, given, spatial_w, channels, height, width, stride_place, block, block_all, lanes
    )
    tl.store(out + image * channels + channel, pooled.to(out.dtype.element_ty), inside)


def sizes_of(
    channels: int, height: int, width: int, dtype: str, channels_last: bool, tile: int
) -> dict[str, int]:
    """Constants that every kernel here takes; ``tile`` elements of a map are held at a time."""
    places = height * width
    block_channels = triton.next_power_of_2(channels)
    block_all = max(8, triton.next_power_of_2(places))
    beside = MATRICES * block_all
    held = max(block_channels, beside)
    # While the convolution runs, the matrices are held beside the tile, which may take half as much again.
    fits = block_all * held <= tile and block_all * (block_channels + beside) <= tile + tile // 2
    # A loop over chunks keeps more beside each, so they are half as large.
    block = block_all if fits else max(4, tile // 2 // held)
    # Eight lanes of a warp along the places, whether each loads one place at a time or a vector of 16 bytes.
    vector = 1 if channels_last else math.gcd(places, 16 // DTYPES[dtype].itemsize)
    return {
        "channels": channels,
        "height": height,
        "width": width,
        "stride_channel": 1 if channels_last else places,
        "stride_place": channels if channels_last else 1,
        "block": block,
        "block_all": block_all,
        "lanes": min(block, 8 * vector),
        "block_channels": block_channels,
    }


def threads_of(sizes: dict[str, int]) -> dict[str, int]:
    """Warps of a program, one for each 512 elements that it holds, and what registers a thread may have."""
    held = sizes["block"] * max(sizes["block_channels"], MATRICES * sizes["block_all"])
    warps = max(1, held // 512)
    if sizes["block"] == sizes["block_all"]:
        return {"num_warps": min(MAX_WARPS, warps)}
    # A loop over chunks keeps more alive than the elements tell of. Left alone, ptxas makes room for a second
    # program and spills; with 8 warps it may take all that a multiprocessor has.
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
    """The one launch of `dcif` with so many hidden channels, or of `filter_and_pool` if the gate is given.

    Its buffers are named as the arguments of the reference; ``dtype`` is Triton's name of the dtype of all.
    ``tile`` elements of a map are held at a time.
    """
    sizes = sizes_of(channels, height, width, dtype, channels_last, tile)
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
    launch = TritonLaunch(kernel, tuple(buffers), (Axis(1),), constants, **threads_of(sizes))
    return Plan("filter_and_pool" if gate_given else "dcif", buffers, (launch,))
