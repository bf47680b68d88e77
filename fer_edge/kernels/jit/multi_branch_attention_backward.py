"""Multi-branch attention backward pass, without its matrix products, which torch.mm computes.

G is the gradient of the output as rows [N P, C], and J = [x s | g] are the concatenated branches:

    dJ = G M,  dM = G^T J                                                     torch.mm
    ds = sum over positions of dJx x,  du = ds GELU'(u),  dh = dJg GELU'(h)   `joined_gradients`, also x s
    dT = du^T t,  dt = du T;  dW = dh^T d,  dd = dh W                         torch.mm
    dx = dJx s + dt (alpha + 2 beta (x - mean)) / P                           `map_gradients`
    dy = the transposed depthwise convolution of dd                           `map_gradients`
    gradients of the taps                                                     `tap_gradients`

Every sum has a fixed order and is computed by one program, so training is bitwise reproducible.
"""

import functools

import triton
import triton.language as tl

from fer_edge.aot.manifest import IMAGES, Axis, Buffer

from .launch import Plan, TritonLaunch
from .rows import gelu_slope

# Number of programs per block of channels in tap_gradients; each takes a part of the images. With the 32
# blocks of C = 512 this gives 512 programs, about four per multiprocessor of the largest GPUs.
CHUNKS = 16


@triton.jit(do_not_specialize=["images"])
def joined_gradients(
    z,  # [N, 2 C, H, W]
    scale,  # float32 [2, N, C]: s and u
    local,  # [2, N, P, 2 C]: g and h
    joined_grad,  # [N, P, 3 C]
    modulated,  # [N, P, C]: x s
    gate_grad,  # float32 [N, C]: of u
    hidden_grad,  # [N, P, 2 C]: of h
    images,
    channels: tl.constexpr,
    positions: tl.constexpr,
    channel_stride: tl.constexpr,
    position_stride: tl.constexpr,
    block_positions: tl.constexpr,
    block_channels: tl.constexpr,
):
    """Grid: (image, blocks of the C channels of x s followed by blocks of the 2 C channels of g)."""
    tiles: tl.constexpr = (channels + block_channels - 1) // block_channels
    image = tl.program_id(0).to(tl.int64)
    tile = tl.program_id(1)
    position = tl.arange(0, block_positions)[None, :]
    column = tl.arange(0, block_channels)[:, None]
    joined = joined_grad + (image * positions + position) * (3 * channels)
    if tile < tiles:
        column += tile * block_channels
        mask = (position < positions) & (column < channels)
        x = (
            z
            + image * (2 * channels * positions)
            + position * position_stride
            + (channels + column) * channel_stride
        )
        x = tl.load(x, mask=mask, other=0.0).to(tl.float32)
        grad = tl.load(joined + column, mask=mask, other=0.0).to(tl.float32)
        s = tl.load(scale + image * channels + column, mask=column < channels, other=0.0)
        target = modulated + (image * positions + position) * channels + column
        tl.store(target, (x * s).to(modulated.dtype.element_ty), mask=mask)
        u = tl.load(scale + (images + image) * channels + column, mask=column < channels, other=0.0)
        scale_grad = tl.sum(grad * x, 1)[:, None]
        tl.store(gate_grad + image * channels + column, scale_grad * gelu_slope(u), mask=column < channels)
    else:
        column += (tile - tiles) * block_channels
        mask = (position < positions) & (column < 2 * channels)
        grad = tl.load(joined + channels + column, mask=mask, other=0.0).to(tl.float32)
        before = local + ((images + image) * positions + position) * (2 * channels) + column
        grad *= gelu_slope(tl.load(before, mask=mask, other=0.0).to(tl.float32))
        target = hidden_grad + (image * positions + position) * (2 * channels) + column
        tl.store(target, grad.to(hidden_grad.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["images"])
def map_gradients(
    z,  # [N, 2 C, H, W]
    alpha,  # [C]
    beta,  # [C]
    depthwise_w,  # [2 C, 3, 3]
    moments,  # float32 [N, 2, C]
    scale,  # float32 [2, N, C]
    joined_grad,  # [N, P, 3 C]
    texture_grad,  # float32 [N, C]: of t
    depthwise_grad,  # [N, P, 2 C]: of d
    z_grad,  # [N, 2 C, H, W]
    images,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    channel_stride: tl.constexpr,
    position_stride: tl.constexpr,
    block_positions: tl.constexpr,
    block_channels: tl.constexpr,
):
    """Grid: (image, blocks of channels of y followed by blocks of channels of x)."""
    positions: tl.constexpr = height * width
    tiles: tl.constexpr = (channels + block_channels - 1) // block_channels
    image = tl.program_id(0).to(tl.int64)
    tile = tl.program_id(1)
    position = tl.arange(0, block_positions)
    channel = tile % tiles * block_channels + tl.arange(0, block_channels)
    mask = (position < positions)[:, None] & (channel < channels)[None, :]
    maps = (
        image * (2 * channels * positions)
        + position[:, None] * position_stride
        + channel[None, :] * channel_stride
    )
    if tile < tiles:
        column = 2 * tile * block_channels + tl.arange(0, 2 * block_channels)
        source = depthwise_grad + image * (positions * 2 * channels)
        total = _transposed(source, depthwise_w, position, column, channels, height, width)
        # Channel c of y has the outputs 2 c and 2 c + 1.
        y_grad = tl.sum(tl.reshape(total, [block_positions, block_channels, 2]), 2)
        tl.store(z_grad + maps, y_grad.to(z_grad.dtype.element_ty), mask=mask)
    else:
        inside = channel < channels
        x = tl.load(z + maps + channels * channel_stride, mask=mask, other=0.0).to(tl.float32)
        mean = tl.load(moments + image * (2 * channels) + channel, mask=inside, other=0.0)
        mean_factor = tl.load(alpha + channel, mask=inside, other=0.0).to(tl.float32)
        variance_factor = tl.load(beta + channel, mask=inside, other=0.0).to(tl.float32)
        texture_mean_grad = (
            tl.load(texture_grad + image * channels + channel, mask=inside, other=0.0) / positions
        )
        texture = mean_factor[None, :] + 2.0 * variance_factor[None, :] * (x - mean[None, :])
        joined = joined_grad + (image * positions + position[:, None]) * (3 * channels) + channel[None, :]
        grad = tl.load(joined, mask=mask, other=0.0).to(tl.float32)
        s = tl.load(scale + image * channels + channel, mask=inside, other=0.0)
        x_grad = grad * s[None, :] + texture * texture_mean_grad[None, :]
        tl.store(z_grad + maps + channels * channel_stride, x_grad.to(z_grad.dtype.element_ty), mask=mask)


@triton.jit
def _transposed(
    maps, depthwise_w, position, column, channels: tl.constexpr, height: tl.constexpr, width: tl.constexpr
):
    """Transposed depthwise convolution, before pairs of outputs are summed: float32 [positions, columns]."""
    total = tl.zeros([position.shape[0], column.shape[0]], tl.float32)
    for tap in tl.static_range(9):
        weight = tl.load(depthwise_w + column * 9 + tap, mask=column < 2 * channels, other=0.0)
        shifted = _shifted(maps, position[:, None], column[None, :], tap, channels, height, width)
        total += shifted * weight.to(tl.float32)[None, :]
    return total


@triton.jit
def _shifted(maps, position, column, tap, channels: tl.constexpr, height: tl.constexpr, width: tl.constexpr):
    """Values of maps [P, 2 C] at the outputs that read each position through a tap: float32, zero if none."""
    row = position // width - (tap // 3 - 1)
    right = position % width - (tap % 3 - 1)
    inside = (row >= 0) & (row < height) & (right >= 0) & (right < width) & (position < height * width)
    source = maps + (row * width + right) * (2 * channels) + column
    return tl.load(source, mask=inside & (column < 2 * channels), other=0.0).to(tl.float32)


@triton.jit(do_not_specialize=["images"])
def tap_gradients(
    z,  # [N, 2 C, H, W]
    depthwise_grad,  # [N, P, 2 C]: of d
    taps_grad,  # float32 [chunks, 9, 2 C], summed over the chunks by the caller
    images,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    channel_stride: tl.constexpr,
    position_stride: tl.constexpr,
    chunks: tl.constexpr,
    block_positions: tl.constexpr,
    block_columns: tl.constexpr,
):
    """Grid: (block of the 2 C channels, chunk). A chunk is every chunks-th image; an empty one writes
    nothing.

    The images of a chunk are read once per tap, after the first time from the L1 cache.
    """
    positions: tl.constexpr = height * width
    chunk = tl.program_id(1)
    if chunk < images:
        position = tl.arange(0, block_positions)[None, :]
        column = tl.program_id(0) * block_columns + tl.arange(0, block_columns)[:, None]
        offsets = column // 2 * channel_stride + position * position_stride
        mask = (column < 2 * channels) & (position < positions)
        for tap in range(9):
            total = tl.zeros([block_columns, block_positions], tl.float32)
            start = chunk.to(tl.int64) * (positions * 2 * channels)
            for _ in range(chunk, images, chunks):
                y = tl.load(z + start + offsets, mask=mask, other=0.0).to(tl.float32)
                total += y * _shifted(depthwise_grad + start, position, column, tap, channels, height, width)
                start += chunks * positions * 2 * channels
            target = taps_grad + (chunk * 9 + tap) * (2 * channels) + column
            tl.store(target, tl.sum(total, 1)[:, None], mask=column < 2 * channels)


@functools.cache
def joined_plan(channels: int, height: int, width: int, dtype: str, channels_last: bool) -> Plan:
    """From the gradient of the concatenated branches to the gradients before both GELUs."""
    positions, double = height * width, 2 * channels
    block_channels = _block_channels(positions)
    tiles = triton.cdiv(channels, block_channels) + triton.cdiv(double, block_channels)
    names = ("z", "scale", "local", "joined_grad", "modulated", "gate_grad", "hidden_grad")
    return Plan(
        operation="multi_branch_attention",
        buffers={
            "z": Buffer("input", dtype, (IMAGES, double, height, width), channels_last),
            "scale": Buffer("input", "fp32", (2, IMAGES, channels)),
            "local": Buffer("input", dtype, (2, IMAGES, positions, double)),
            "joined_grad": Buffer("input", dtype, (IMAGES, positions, 3 * channels)),
            "modulated": Buffer("output", dtype, (IMAGES, positions, channels)),
            "gate_grad": Buffer("output", "fp32", (IMAGES, channels)),
            "hidden_grad": Buffer("output", dtype, (IMAGES, positions, double)),
        },
        launches=(
            TritonLaunch(
                kernel=joined_gradients,
                pointers=names,
                grid=(Axis(1), tiles),
                constants={
                    "channels": channels,
                    "positions": positions,
                    **_strides(channels, positions, channels_last),
                    "block_positions": triton.next_power_of_2(positions),
                    "block_channels": block_channels,
                },
            ),
        ),
    )


@functools.cache
def maps_plan(channels: int, height: int, width: int, dtype: str, channels_last: bool) -> Plan:
    """From the gradients of the concatenated branches, t and d to the gradients of z and of the taps."""
    positions, double = height * width, 2 * channels
    block_channels = _block_channels(positions)
    tiles = triton.cdiv(channels, block_channels)
    maps = (IMAGES, double, height, width)
    constants = {
        "channels": channels,
        "height": height,
        "width": width,
        **_strides(channels, positions, channels_last),
        "block_positions": triton.next_power_of_2(positions),
    }
    names = ("z", "alpha", "beta", "depthwise_w", "moments", "scale", "joined_grad", "texture_grad")
    return Plan(
        operation="multi_branch_attention",
        buffers={
            "z": Buffer("input", dtype, maps, channels_last),
            "alpha": Buffer("weight", dtype, (channels,)),
            "beta": Buffer("weight", dtype, (channels,)),
            "depthwise_w": Buffer("weight", dtype, (double, 3, 3)),
            "moments": Buffer("input", "fp32", (IMAGES, 2, channels)),
            "scale": Buffer("input", "fp32", (2, IMAGES, channels)),
            "joined_grad": Buffer("input", dtype, (IMAGES, positions, 3 * channels)),
            "texture_grad": Buffer("input", "fp32", (IMAGES, channels)),
            "depthwise_grad": Buffer("input", dtype, (IMAGES, positions, double)),
            "z_grad": Buffer("output", dtype, maps, channels_last),
            "taps_grad": Buffer("output", "fp32", (CHUNKS, 9, double)),
        },
        launches=(
            TritonLaunch(
                kernel=map_gradients,
                pointers=(*names, "depthwise_grad", "z_grad"),
                grid=(Axis(1), 2 * tiles),
                constants={**constants, "block_channels": block_channels},
            ),
            TritonLaunch(
                kernel=tap_gradients,
                pointers=("z", "depthwise_grad", "taps_grad"),
                grid=(tiles, CHUNKS),
                constants={**constants, "chunks": CHUNKS, "block_columns": 2 * block_channels},
                # At 14 x 14 positions a tile has 4,096 elements, and the loop holds three tiles.
                num_warps=8,
            ),
        ),
    )


def _block_channels(positions: int) -> int:
    """About a thousand elements per tile; a row has at least 8 channels, a sector of 32 bytes."""
    return max(8, 1024 // triton.next_power_of_2(positions))


def _strides(channels: int, positions: int, channels_last: bool) -> dict[str, int]:
    return {
        "channel_stride": 1 if channels_last else positions,
        "position_stride": 2 * channels if channels_last else 1,
    }
