"""What the attention kernels do to blocks of rows: places of maps [N, C, H, W], read as tokens [N T, C]."""

import triton
import triton.language as tl


@triton.jit
def map_offset(row, channel, tokens: tl.constexpr, channels: tl.constexpr, channels_last: tl.constexpr):
    """Where channels [C] of rows [R] lie in a map: [R, C]."""
    if channels_last:
        offset = row[:, None] * channels + channel[None, :]
    else:
        place = row // tokens * (tokens * channels) + row % tokens
        offset = place[:, None] + channel[None, :] * tokens
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
    """Outputs [O] of rows [R] of a map, multiplied by weight^T, and the bias: float32 [R, O]."""
    row_here = (row < images * tokens)[:, None]
    output_here = output < outputs
    total = tl.zeros((row.shape[0], output.shape[0]), tl.float32)
    for start in range(0, channels, block_channels):
        channel = start + tl.arange(0, block_channels)
        channel_here = channel < channels
        left = source + map_offset(row, channel, tokens, channels, channels_last)
        left = tl.load(left, row_here & channel_here[None, :], 0.0)
        right = weight + output[None, :] * channels + channel[:, None]
        right = tl.load(right, output_here[None, :] & channel_here[:, None], 0.0)
        total = tl.dot(left, right, total, input_precision="ieee")
    return total + tl.load(bias + output, output_here, 0.0).to(tl.float32)[None, :]


@triton.jit
def head_part(
    qkv,
    token,
    head,
    column,
    which: tl.constexpr,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    width: tl.constexpr,
):
    """Columns [D] of a head's queries (which 0), keys (1) or values (2): [R, D]; qkv begins at the image."""
    begin = qkv + which * channels + head * width
    here = (token < tokens)[:, None] & (column < width)[None, :]
    return tl.load(begin + token[:, None] * (3 * channels) + column[None, :], here, 0.0)


@triton.jit
def softmax(scores, tokens: tl.constexpr, width: tl.constexpr):
    """Of products [R, keys] of queries and keys, over the keys that are there."""
    key = tl.arange(0, scores.shape[1])
    scores = tl.where((key < tokens)[None, :], scores * width**-0.5, float("-inf"))
    shares = tl.exp(scores - tl.max(scores, 1)[:, None])
    return shares / tl.sum(shares, 1)[:, None]


@triton.jit
def head_shares(
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
    """What tokens [R] take of each key of a head: float32 [R, keys]; qkv begins at the image."""
    key = tl.arange(0, block_keys)
    scores = tl.zeros((token.shape[0], block_keys), tl.float32)
    for start in tl.range(0, width, block_width, loop_unroll_factor=unroll):
        column = start + tl.arange(0, block_width)
        query = head_part(qkv, token, head, column, 0, tokens, channels, width)
        keys = head_part(qkv, key, head, column, 1, tokens, channels, width)
        scores = tl.dot(query, tl.trans(keys), scores, input_precision="ieee")
    return softmax(scores, tokens, width)


@triton.jit
def layer_norm(joined, norm_w, norm_b, channel, channels: tl.constexpr, epsilon: tl.constexpr):
    """LayerNorm of float32 rows [R, C]; they are 0 where a channel only pads."""
    here = channel < channels
    mean = tl.sum(joined, 1)[:, None] / channels
    centred = tl.where(here[None, :], joined - mean, 0.0)
    variance = tl.sum(centred * centred, 1)[:, None] / channels
    scale = tl.load(norm_w + channel, here, 0.0).to(tl.float32)[None, :]
    shift = tl.load(norm_b + channel, here, 0.0).to(tl.float32)[None, :]
    return centred / tl.sqrt_rn(variance + epsilon) * scale + shift
