"""Kernels of the multi-branch attention forward pass: three launches, after `fold_multi_branch`.

1. `depthwise_and_moments`: d = depthwise 3 x 3 of y; x as rows, its mean and variance. A program handles one
   image.
2. `pointwise_and_gate`: g = GELU(pointwise d + bias) and s = GELU(texture (alpha mean + beta variance) +
   bias), two independent matrix products in one grid.
3. `merge`: [x s; g] merged^T + bias; x s is computed while the operands are loaded.
"""

import triton
import triton.language as tl

from .rows import gelu, mean_and_variance, multiply


@triton.jit(do_not_specialize=["images"])
def depthwise_and_moments(
    z,  # [N, 2 C, H, W]
    depthwise_w,  # [2 C, 3, 3]
    depthwise_b,  # [2 C]
    depthwise,  # [N, P, 2 C]
    rows,  # [N, P, C]: x
    moments,  # float32 [N, 2, C]: means, then variances
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
    y = z + image * (2 * channels * positions)
    if tile < tiles:
        output_pair = _depthwise(
            y,
            depthwise_w,
            depthwise_b,
            position,
            channel,
            channels,
            height,
            width,
            channel_stride,
            position_stride,
        )
        column = 2 * tile * block_channels + tl.arange(0, 2 * block_channels)
        target = depthwise + (image * positions + position)[:, None] * (2 * channels) + column[None, :]
        mask = (position < positions)[:, None] & (column < 2 * channels)[None, :]
        tl.store(target, output_pair.to(depthwise.dtype.element_ty), mask=mask)
    else:
        offsets = (channels + channel)[:, None] * channel_stride + position[None, :] * position_stride
        inside = (channel < channels)[:, None] & (position < positions)[None, :]
        x = tl.load(y + offsets, mask=inside, other=0.0)
        tl.store(rows + (image * positions + position)[None, :] * channels + channel[:, None], x, mask=inside)
        mean, variance = mean_and_variance(x.to(tl.float32), inside, positions)
        means = moments + image * (2 * channels) + channel
        tl.store(means, mean, mask=channel < channels)
        tl.store(means + channels, variance, mask=channel < channels)


@triton.jit
def _depthwise(
    y,
    depthwise_w,
    depthwise_b,
    position,
    channel,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    channel_stride: tl.constexpr,
    position_stride: tl.constexpr,
):
    """Output channels 2 c and 2 c + 1 of each channel c, interleaved: float32 [positions, 2 channels]."""
    mask = channel < channels
    bias = depthwise_b + 2 * channel
    even = tl.load(bias, mask=mask, other=0.0).to(tl.float32)[None, :]
    odd = tl.load(bias + 1, mask=mask, other=0.0).to(tl.float32)[None, :]
    for tap in tl.static_range(9):
        row = position // width + (tap // 3 - 1)
        column = position % width + (tap % 3 - 1)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        offsets = (row * width + column)[:, None] * position_stride + channel[None, :] * channel_stride
        value = tl.load(y + offsets, mask=inside[:, None] & mask[None, :], other=0.0).to(tl.float32)
        weight = depthwise_w + channel * 18 + tap
        even += value * tl.load(weight, mask=mask, other=0.0).to(tl.float32)[None, :]
        odd += value * tl.load(weight + 9, mask=mask, other=0.0).to(tl.float32)[None, :]
    return tl.interleave(even, odd)


@triton.jit(do_not_specialize=["images"])
def pointwise_and_gate(
    depthwise,  # [N, P, 2 C]
    moments,  # float32 [N, 2, C]
    alpha,  # [C]
    beta,  # [C]
    texture_w,  # [C, C]
    texture_b,  # [C]
    pointwise_w,  # [2 C, 2 C]
    pointwise_b,  # [2 C]
    local,  # [1 or 2, N, P, 2 C]: after GELU; with save also before GELU
    scale,  # float32 [1 or 2, N, C]: as local
    images,
    channels: tl.constexpr,
    positions: tl.constexpr,
    save: tl.constexpr,
    block_rows: tl.constexpr,
    block_columns: tl.constexpr,
    block_depth: tl.constexpr,
    gate_images: tl.constexpr,
    gate_columns: tl.constexpr,
    gate_depth: tl.constexpr,
):
    """Grid: (block of rows, block of the 2 C columns of g), then (block of images, block of columns of s)."""
    tiles: tl.constexpr = (2 * channels + block_columns - 1) // block_columns
    tile = tl.program_id(1)
    if tile < tiles:
        row = tl.program_id(0) * block_rows + tl.arange(0, block_rows)
        column = tile * block_columns + tl.arange(0, block_columns)
        row_mask = row < images * positions
        column_mask = column < 2 * channels
        start = row.to(tl.int64) * (2 * channels)
        hidden = tl.zeros([block_rows, block_columns], tl.float32)
        weights = pointwise_w + column * (2 * channels)
        hidden = multiply(
            hidden, depthwise + start, row_mask, weights, column_mask, 2 * channels, block_depth
        )
        hidden += tl.load(pointwise_b + column, mask=column_mask, other=0.0).to(tl.float32)[None, :]
        target = local + start[:, None] + column[None, :]
        mask = row_mask[:, None] & column_mask[None, :]
        _activate(target, hidden, mask, images.to(tl.int64) * (positions * 2 * channels), save)
    elif tl.program_id(0) * gate_images < images:
        image = tl.program_id(0) * gate_images + tl.arange(0, gate_images)
        channel = (tile - tiles) * gate_columns + tl.arange(0, gate_columns)
        gate = _gate(moments, alpha, beta, texture_w, texture_b, image, channel, images, channels, gate_depth)
        scales = scale + image[:, None] * channels + channel[None, :]
        inside = (image < images)[:, None] & (channel < channels)[None, :]
        _activate(scales, gate, inside, images * channels, save)


@triton.jit
def _activate(target, values, mask, plane, save: tl.constexpr):
    """Stores GELU of the values; with save also the values themselves, one plane further."""
    # The values are stored first: this frees their registers, so nothing spills.
    if save:
        tl.store(target + plane, values.to(target.dtype.element_ty), mask=mask)
    tl.store(target, gelu(values).to(target.dtype.element_ty), mask=mask)


@triton.jit
def _gate(
    moments,
    alpha,
    beta,
    texture_w,
    texture_b,
    image,
    column,
    images,
    channels: tl.constexpr,
    depth: tl.constexpr,
):
    """The gate before GELU: float32 [images, columns].

    All arithmetic is float32, because the variance of float16 values may exceed the largest float16.
    """
    bias = tl.load(texture_b + column, mask=column < channels, other=0.0).to(tl.float32)
    gate = tl.zeros([image.shape[0], column.shape[0]], tl.float32) + bias[None, :]
    for start in range(0, channels, depth):
        channel = start + tl.arange(0, depth)
        inside = channel < channels
        source = moments + image[:, None] * (2 * channels) + channel[None, :]
        mask = (image < images)[:, None] & inside[None, :]
        mean_factor = tl.load(alpha + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
        variance_factor = tl.load(beta + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
        texture = mean_factor * tl.load(source, mask=mask, other=0.0)
        texture += variance_factor * tl.load(source + channels, mask=mask, other=0.0)
        weight = tl.load(
            texture_w + column[None, :] * channels + channel[:, None],
            mask=(column < channels)[None, :] & inside[:, None],
            other=0.0,
        )
        gate = tl.dot(texture, weight.to(tl.float32), gate, input_precision="ieee")
    return gate


@triton.jit(do_not_specialize=["images"])
def merge(
    rows,  # [N, P, C]: x
    scale,  # float32 [N, C]
    local,  # [N, P, 2 C]
    merged_w,  # [C, 3 C]
    merged_b,  # [C]
    out,  # [N, C, H, W]
    images,
    channels: tl.constexpr,
    positions: tl.constexpr,
    channel_stride: tl.constexpr,
    position_stride: tl.constexpr,
    block_rows: tl.constexpr,
    block_columns: tl.constexpr,
    block_depth: tl.constexpr,
):
    """Grid: (block of rows, block of the C columns of the output)."""
    row = tl.program_id(0) * block_rows + tl.arange(0, block_rows)
    column = tl.program_id(1) * block_columns + tl.arange(0, block_columns)
    row_mask = row < images * positions
    column_mask = column < channels
    image = (row // positions).to(tl.int64)
    scales = scale + image * channels
    x_rows = rows + row.to(tl.int64) * channels
    weights = merged_w + column * (3 * channels)
    total = tl.zeros([block_rows, block_columns], tl.float32)
    for start in range(0, channels, block_depth):
        channel = start + tl.arange(0, block_depth)
        inside = channel < channels
        mask = row_mask[:, None] & inside[None, :]
        x = tl.load(x_rows[:, None] + channel[None, :], mask=mask, other=0.0)
        s = tl.load(scales[:, None] + channel[None, :], mask=mask, other=0.0)
        weight = tl.load(
            weights[None, :] + channel[:, None], mask=column_mask[None, :] & inside[:, None], other=0.0
        )
        modulated = (x.to(tl.float32) * s).to(weight.dtype)
        total = tl.dot(modulated, weight, total, input_precision="ieee")
    local_rows = local + row.to(tl.int64) * (2 * channels)
    total = multiply(total, local_rows, row_mask, weights + channels, column_mask, 2 * channels, block_depth)
    total += tl.load(merged_b + column, mask=column_mask, other=0.0).to(tl.float32)[None, :]
    starts = out + image * (channels * positions) + row % positions * position_stride
    target = starts[:, None] + column[None, :] * channel_stride
    tl.store(target, total.to(out.dtype.element_ty), mask=row_mask[:, None] & column_mask[None, :])
