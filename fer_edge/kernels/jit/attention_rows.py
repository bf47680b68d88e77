"""Functions on blocks of rows of the attention kernels: maps [N, C, H, W], read as tokens [N T, C]."""

import triton
import triton.language as tl


@triton.jit
def map_offset(row, channel, tokens: tl.constexpr, channels: tl.constexpr, channels_last: tl.constexpr):
    """Offsets [R, C] of channels [C] of rows [R] in a map."""
    if channels_last:
        offset = row[:, None] * channels + channel[None, :]
    else:
        row_offset = row // tokens * (tokens * channels) + row % tokens
        offset = row_offset[:, None] + channel[None, :] * tokens
    return offset


@triton.jit
def linear(
    source,
    weight,
    bias,
    row,
    output,
    images,
    outputs: tl.constexpr,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    channels_last: tl.constexpr,
    block_channels: tl.constexpr,
):
    """Linear layer: rows [R] of a map times weight^T plus bias, outputs [O]; float32 [R, O]."""
    row_mask = (row < images * tokens)[:, None]
    output_mask = output < outputs
    total = tl.zeros((row.shape[0], output.shape[0]), tl.float32)
    for start in range(0, channels, block_channels):
        channel = start + tl.arange(0, block_channels)
        channel_mask = channel < channels
        left = source + map_offset(row, channel, tokens, channels, channels_last)
        left = tl.load(left, row_mask & channel_mask[None, :], 0.0)
        right = weight + output[None, :] * channels + channel[:, None]
        right = tl.load(right, output_mask[None, :] & channel_mask[:, None], 0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    return total + tl.load(bias + output, output_mask, 0.0).to(tl.float32)[None, :]


@triton.jit
def load_head(
    qkv,
    token,
    head,
    column,
    which: tl.constexpr,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    width: tl.constexpr,
):
    """Columns [D] of a head of the queries (which = 0), keys (1) or values (2): [R, D].

    qkv points to the image.
    """
    begin = qkv + which * channels + head * width
    mask = (token < tokens)[:, None] & (column < width)[None, :]
    return tl.load(begin + token[:, None] * (3 * channels) + column[None, :], mask, 0.0)


@triton.jit
def softmax(scores, tokens: tl.constexpr, width: tl.constexpr):
    """Softmax of the products [R, keys] of queries and keys, without the keys that only pad the block."""
    key = tl.arange(0, scores.shape[1])
    scores = tl.where((key < tokens)[None, :], scores * width**-0.5, float("-inf"))
    attention = tl.exp(scores - tl.max(scores, 1)[:, None])
    return attention / tl.sum(attention, 1)[:, None]


@triton.jit
def head_attention(
    qkv,
    token,
    head,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    width: tl.constexpr,
    block_keys: tl.constexpr,
    block_width: tl.constexpr,
    unroll: tl.constexpr,
):
    """Attention weights of tokens [R] for the keys of a head: float32 [R, keys]; qkv points to the image."""
    key = tl.arange(0, block_keys)
    scores = tl.zeros((token.shape[0], block_keys), tl.float32)
    for start in tl.range(0, width, block_width, loop_unroll_factor=unroll):
        column = start + tl.arange(0, block_width)
        query = load_head(qkv, token, head, column, 0, tokens, channels, width)
        keys = load_head(qkv, key, head, column, 1, tokens, channels, width)
        scores = tl.dot(query, tl.trans(keys), scores, input_precision="ieee")
    return softmax(scores, tokens, width)


@triton.jit
def layer_norm(joined, norm_w, norm_b, channel, channels: tl.constexpr, epsilon: tl.constexpr):
    """LayerNorm of float32 rows [R, C], which must be 0 in padding channels."""
    mask = channel < channels
    mean = tl.sum(joined, 1)[:, None] / channels
    centred = tl.where(mask[None, :], joined - mean, 0.0)
    variance = tl.sum(centred * centred, 1)[:, None] / channels
    scale = tl.load(norm_w + channel, mask, 0.0).to(tl.float32)[None, :]
    shift = tl.load(norm_b + channel, mask, 0.0).to(tl.float32)[None, :]
    return centred / tl.sqrt_rn(variance + epsilon) * scale + shift
