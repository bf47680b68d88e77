"""The kernels of `token_attention` for many channels. The backward pass also uses `mix`."""

import triton
import triton.language as tl

from .attention_rows import head_attention, layer_norm, linear, load_head, map_offset


@triton.jit(do_not_specialize=["images"])
def mix(
    qkv,
    mixed,
    images,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    heads: tl.constexpr,
    block_rows: tl.constexpr,
    block_keys: tl.constexpr,
    block_width: tl.constexpr,
):
    """Rows [N T, C] of the attention output before out_w, for a block of tokens and one head of one image."""
    image, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    token = tl.program_id(2) * block_rows + tl.arange(0, block_rows)
    key = tl.arange(0, block_keys)
    width: tl.constexpr = channels // heads
    dtype: tl.constexpr = qkv.dtype.element_ty
    qkv += image * tokens * 3 * channels
    mixed += image * tokens * channels + head * width
    attention = head_attention(qkv, token, head, tokens, channels, width, block_keys, block_width, 1).to(
        dtype
    )
    for start in range(0, width, block_width):
        column = start + tl.arange(0, block_width)
        values = load_head(qkv, key, head, column, 2, tokens, channels, width)
        result = tl.dot(attention, values, input_precision="ieee").to(dtype)
        mask = (token < tokens)[:, None] & (column < width)[None, :]
        tl.store(mixed + token[:, None] * channels + column[None, :], result, mask)


@triton.jit(do_not_specialize=["images"])
def join(
    mixed,
    out_w,
    out_b,
    x,
    joined,
    images,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    channels_last: tl.constexpr,
    block_rows: tl.constexpr,
    block_outputs: tl.constexpr,
    block_channels: tl.constexpr,
):
    """float32 rows [N T, C]: mixed out_w^T + out_b + x."""
    row = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    output = tl.program_id(1) * block_outputs + tl.arange(0, block_outputs)
    mask = (row < images * tokens)[:, None] & (output < channels)[None, :]
    # Rows have the memory layout of a channels-last map.
    total = linear(mixed, out_w, out_b, row, output, images, channels, tokens, channels, True, block_channels)
    offset = map_offset(row, output, tokens, channels, channels_last)
    total += tl.load(x + offset, mask, 0.0).to(tl.float32)
    tl.store(joined + row[:, None] * channels + output[None, :], total, mask)


@triton.jit(do_not_specialize=["images"])
def normalize(
    joined,
    norm_w,
    norm_b,
    y,
    images,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    epsilon: tl.constexpr,
    channels_last: tl.constexpr,
    block_rows: tl.constexpr,
    block_channels: tl.constexpr,
):
    """LayerNorm of rows [N T, C], stored in the layout of the map y."""
    row = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    channel = tl.arange(0, block_channels)
    mask = (row < images * tokens)[:, None] & (channel < channels)[None, :]
    rows = tl.load(joined + row[:, None] * channels + channel[None, :], mask, 0.0)
    normed = layer_norm(rows, norm_w, norm_b, channel, channels, epsilon)
    offset = map_offset(row, channel, tokens, channels, channels_last)
    tl.store(y + offset, normed.to(y.dtype.element_ty), mask)
