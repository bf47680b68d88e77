"""Multi-branch attention forward in three launches, after `fold_multi_branch`.

1. `depthwise_and_moments`: d = depthwise 3 x 3 of y; x as rows, its mean and variance. One image a program.
2. `pointwise_and_gate`: g = GELU(pointwise d + bias) and s = GELU(texture (alpha mean + beta variance) +
   bias): two matrix products that do not need each other, side by side in one grid.
3. `merge`: [x s; g] merged^T + bias, with x s made on the way to the tensor cores.
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
    place_stride: tl.constexpr,
    block_places: tl.constexpr,
    block_channels: tl.constexpr,
):
    """Programs (image, block of channels of y, then block of channels of x)."""
    places: tl.constexpr = height * width
    tiles: tl.constexpr = (channels + block_channels - 1) // block_channels
    image = tl.program_id(0).to(tl.int64)
    tile = tl.program_id(1)
    place = tl.arange(0, block_places)
    channel = tile % tiles * block_channels + tl.arange(0, block_channels)
    y = z + image * (2 * channels * places)
    if tile < tiles:
        both = _depthwise(
            y, depthwise_w, depthwise_b, place, channel, channels, height, width, channel_stride, place_stride
        )
        column = 2 * tile * block_channels + tl.arange(0, 2 * block_channels)
        target = depthwise + (image * places + place)[:, None] * (2 * channels) + column[None, :]
        mask = (place < places)[:, None] & (column < 2 * channels)[None, :]
        tl.store(target, both.to(depthwise.dtype.element_ty), mask=mask)
    else:
        offsets = (channels + channel)[:, None] * channel_stride + place[None, :] * place_stride
        inside = (channel < channels)[:, None] & (place < places)[None, :]
        x = tl.load(y + offsets, mask=inside, other=0.0)
        tl.store(rows + (image * places + place)[None, :] * channels + channel[:, None], x, mask=inside)
        mean, variance = mean_and_variance(x.to(tl.float32), inside, places)
        means = moments + image * (2 * channels) + channel
        tl.store(means, mean, mask=channel < channels)
        tl.store(means + channels, variance, mask=channel < channels)


@triton.jit
def _depthwise(
    y,
    depthwise_w,
    depthwise_b,
    place,
    channel,
    channels: tl.constexpr,
    height: tl.constexpr,
    width: tl.constexpr,
    channel_stride: tl.constexpr,
    place_stride: tl.constexpr,
):
    """Output channels 2 c and 2 c + 1 of each channel c, side by side: float32 [places, 2 channels]."""
    mask = channel < channels
    bias = depthwise_b + 2 * channel
    even = tl.load(bias, mask=mask, other=0.0).to(tl.float32)[None, :]
    odd = tl.load(bias + 1, mask=mask, other=0.0).to(tl.float32)[None, :]
    for tap in tl.static_range(9):
        row = place // width + (tap // 3 - 1)
        column = place % width + (tap % 3 - 1)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        offsets = (row * width + column)[:, None] * place_stride + channel[None, :] * channel_stride
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
    local,  # [1 or 2, N, P, 2 C]: after GELU, and before it if save
    scale,  # float32 [1 or 2, N, C]: likewise
    images,
    channels: tl.constexpr,
    places: tl.constexpr,
    save: tl.constexpr,
    block_rows: tl.constexpr,
    block_columns: tl.constexpr,
    block_depth: tl.constexpr,
    gate_images: tl.constexpr,
    gate_columns: tl.constexpr,
    gate_depth: tl.constexpr,
):
    """Programs (block of rows, block of the 2 C columns of g), then (of images, of the C columns of s)."""
    tiles: tl.constexpr = (2 * channels + block_columns - 1) // block_columns
    tile = tl.program_id(1)
    if tile < tiles:
        row = tl.program_id(0) * block_rows + tl.arange(0, block_rows)
        column = tile * block_columns + tl.arange(0, block_columns)
        row_mask = row < images * places
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
        _activate(target, hidden, mask, images.to(tl.int64) * (places * 2 * channels), save)
    elif tl.program_id(0) * gate_images < images:
        image = tl.program_id(0) * gate_images + tl.arange(0, gate_images)
        channel = (tile - tiles) * gate_columns + tl.arange(0, gate_columns)
        gate = _gate(moments, alpha, beta, texture_w, texture_b, image, channel, images, channels, gate_depth)
        scales = scale + image[:, None] * channels + channel[None, :]
        inside = (image < images)[:, None] & (channel < channels)[None, :]
        _activate(scales, gate, inside, images * channels, save)


@triton.jit
def _activate(target, values, mask, plane, save: tl.constexpr):
    """Stores GELU of the values, and the values themselves a plane further on if they are to be saved."""
    # They first: their registers are free then, and nothing spills.
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
    """Before GELU: float32 [images, columns], in float32 throughout, because the variance of float16 values
    may exceed the largest float16.
    """
    bias = tl.load(texture_b + column, mask=column < channels, other=0.0).to(tl.float32)
    gate = tl.zeros([image.shape[0], column.shape[0]], tl.float32) + bias[None, :]
    for start in range(0, channels, depth):
        channel = start + tl.arange(0, depth)
        inside = channel < channels
        source = moments + image[:, None] * (2 * channels) + channel[None, :]
        mask = (image < images)[:, None] & inside[None, :]
        of_mean = tl.load(alpha + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
        of_variance = tl.load(beta + channel, mask=inside, other=0.0).to(tl.float32)[None, :]
        texture = of_mean * tl.load(source, mask=mask, other=0.0)
        texture += of_variance * tl.load(source + channels, mask=mask, other=0.0)
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
    places: tl.constexpr,
    channel_stride: tl.constexpr,
    place_stride: tl.constexpr,
    block_rows: tl.constexpr,
    block_columns: tl.constexpr,
    block_depth: tl.constexpr,
):
    """Programs (block of rows, block of the C columns of the output)."""
    row = tl.program_id(0) * block_rows + tl.arange(0, block_rows)
    column = tl.program_id(1) * block_columns + tl.arange(0, block_columns)
    row_mask = row < images * places
    column_mask = column < channels
    image = (row // places).to(tl.int64)
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
    starts = out + image * (channels * places) + row % places * place_stride
    target = starts[:, None] + column[None, :] * channel_stride
    tl.store(target, total.to(out.dtype.element_ty), mask=row_mask[:, None] & column_mask[None, :])
