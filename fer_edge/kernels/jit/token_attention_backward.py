"""Gradients of `token_attention`, without its matrix products, which torch.mm computes.

Only x, qkv and the weights are kept from the forward pass: recomputing the softmax of at most 64 tokens costs
less than reading it. With J = x + O out_w^T + out_b, y = LayerNorm(J) and dy the gradient of the loss:

1. `mix` computes O from qkv; torch.mm computes O out_w^T;
2. `normalize_backward`: dJ from dy, and the part of each image of the gradients of out_b, norm_w and norm_b;
3. torch.mm: dO = dJ out_w, and the gradient of out_w;
4. `attend_backward`: for each head dV = P^T dO, dP = dO V^T, dS = P (dP - sum P dP), dQ = dS K / sqrt(d),
   dK = dS^T Q / sqrt(d), and the part of each image of the gradient of qkv_b;
5. torch.mm: dx = dJ + dqkv qkv_w, and the gradient of qkv_w.

The parts are float32 and torch.sum adds them, so a gradient of a vector is rounded once.
"""

import functools

import triton
import triton.language as tl

from fer_edge.aot.manifest import IMAGES, Axis, Buffer

from .attention_rows import load_head, map_offset, softmax
from .launch import Plan, TritonLaunch
from .token_attention import block_size, mix_launch


@triton.jit(do_not_specialize=["images"])
def normalize_backward(
    y_grad,
    x,
    projected,
    norm_w,
    joined_grad,
    out_b_parts,
    norm_w_parts,
    norm_b_parts,
    images,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    epsilon: tl.constexpr,
    channels_last: tl.constexpr,
    block_rows: tl.constexpr,
    block_channels: tl.constexpr,
):
    """Gradients of LayerNorm for one image; the vectors are summed over its positions in a fixed order."""
    image = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, block_channels)
    channel_mask = channel < channels
    weight = tl.load(norm_w + channel, channel_mask, 0.0).to(tl.float32)[None, :]
    out_part = tl.zeros((block_channels,), tl.float32)
    weight_part = tl.zeros((block_channels,), tl.float32)
    bias_part = tl.zeros((block_channels,), tl.float32)
    for start in range(0, tokens, block_rows):
        token = start + tl.arange(0, block_rows)
        mask = (token < tokens)[:, None] & channel_mask[None, :]
        row = image * tokens + token
        in_map = map_offset(row, channel, tokens, channels, channels_last)
        in_rows = row[:, None] * channels + channel[None, :]
        joined = tl.load(x + in_map, mask, 0.0).to(tl.float32)
        joined += tl.load(projected + in_rows, mask, 0.0).to(tl.float32)
        grad = tl.load(y_grad + in_map, mask, 0.0).to(tl.float32)
        mean = tl.sum(joined, 1)[:, None] / channels
        centred = tl.where(mask, joined - mean, 0.0)
        deviation = tl.sqrt_rn(tl.sum(centred * centred, 1)[:, None] / channels + epsilon)
        normed = centred / deviation
        weight_part += tl.sum(grad * normed, 0)
        bias_part += tl.sum(grad, 0)
        grad *= weight
        along = tl.sum(grad * normed, 1)[:, None] / channels
        grad = (grad - tl.sum(grad, 1)[:, None] / channels - normed * along) / deviation
        out_part += tl.sum(grad, 0)
        tl.store(joined_grad + in_rows, grad.to(joined_grad.dtype.element_ty), mask)
    part = image * channels + channel
    tl.store(out_b_parts + part, out_part, channel_mask)
    tl.store(norm_w_parts + part, weight_part, channel_mask)
    tl.store(norm_b_parts + part, bias_part, channel_mask)


@triton.jit
def store_head_gradient(
    part,
    qkv_grad,
    qkv_b_parts,
    token,
    column,
    which: tl.constexpr,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    width: tl.constexpr,
):
    """Stores the gradient [R, D] of what `load_head` reads, and its sum over R.

    qkv_grad and qkv_b_parts point to the head.
    """
    mask = (token < tokens)[:, None] & (column < width)[None, :]
    target = qkv_grad + which * channels + token[:, None] * (3 * channels) + column[None, :]
    tl.store(target, part.to(qkv_grad.dtype.element_ty), mask)
    tl.store(qkv_b_parts + which * channels + column, tl.sum(part, 0), column < width)


@triton.jit(do_not_specialize=["images"])
def attend_backward(
    qkv,
    mixed_grad,
    qkv_grad,
    qkv_b_parts,
    images,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    heads: tl.constexpr,
    block_tokens: tl.constexpr,
    block_width: tl.constexpr,
):
    """Rows of the gradient of qkv and their sum, for one head of one image."""
    image, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    token = tl.arange(0, block_tokens)
    width: tl.constexpr = channels // heads
    dtype: tl.constexpr = qkv.dtype.element_ty
    qkv += image * tokens * 3 * channels
    qkv_grad += image * tokens * 3 * channels + head * width
    qkv_b_parts += image * 3 * channels + head * width
    mixed_grad += image * tokens * channels + head * width
    scores = tl.zeros((block_tokens, block_tokens), tl.float32)
    grad = tl.zeros((block_tokens, block_tokens), tl.float32)
    for start in range(0, width, block_width):
        column = start + tl.arange(0, block_width)
        mask = (token < tokens)[:, None] & (column < width)[None, :]
        query = load_head(qkv, token, head, column, 0, tokens, channels, width)
        key = load_head(qkv, token, head, column, 1, tokens, channels, width)
        scores = tl.dot(query, tl.trans(key), scores, input_precision="ieee")
        value = load_head(qkv, token, head, column, 2, tokens, channels, width)
        out = tl.load(mixed_grad + token[:, None] * channels + column[None, :], mask, 0.0)
        grad = tl.dot(out, tl.trans(value), grad, input_precision="ieee")
    attention = softmax(scores, tokens, width)
    grad = (attention * (grad - tl.sum(attention * grad, 1)[:, None])).to(dtype)
    attention = attention.to(dtype)
    scale = width**-0.5
    for start in range(0, width, block_width):
        column = start + tl.arange(0, block_width)
        mask = (token < tokens)[:, None] & (column < width)[None, :]
        key = load_head(qkv, token, head, column, 1, tokens, channels, width)
        part = tl.dot(grad, key, input_precision="ieee") * scale
        store_head_gradient(part, qkv_grad, qkv_b_parts, token, column, 0, tokens, channels, width)
        query = load_head(qkv, token, head, column, 0, tokens, channels, width)
        part = tl.dot(tl.trans(grad), query, input_precision="ieee") * scale
        store_head_gradient(part, qkv_grad, qkv_b_parts, token, column, 1, tokens, channels, width)
        out = tl.load(mixed_grad + token[:, None] * channels + column[None, :], mask, 0.0)
        part = tl.dot(tl.trans(attention), out, input_precision="ieee")
        store_head_gradient(part, qkv_grad, qkv_b_parts, token, column, 2, tokens, channels, width)


@functools.cache
def mix_plan(channels: int, tokens: int, heads: int, dtype: str) -> Plan:
    """The attention output before out_w, from qkv."""
    buffers = {
        "qkv": Buffer("input", dtype, (IMAGES, tokens, 3 * channels)),
        "mixed": Buffer("output", dtype, (IMAGES, tokens, channels)),
    }
    sizes = {"tokens": tokens, "channels": channels, "heads": heads}
    return Plan("token_attention", buffers, (mix_launch(sizes),))


@functools.cache
def normalize_backward_plan(
    channels: int, height: int, width: int, epsilon: float, dtype: str, channels_last: bool
) -> Plan:
    """The gradient of the argument of LayerNorm, and one part per image of out_b, norm_w and norm_b."""
    map_shape, rows = (IMAGES, channels, height, width), (IMAGES, height * width, channels)
    buffers = {
        "y_grad": Buffer("input", dtype, map_shape, channels_last),
        "x": Buffer("input", dtype, map_shape, channels_last),
        "projected": Buffer("input", dtype, rows),
        "norm_w": Buffer("weight", dtype, (channels,)),
        "joined_grad": Buffer("output", dtype, rows),
        "out_b_parts": Buffer("output", "fp32", (IMAGES, channels)),
        "norm_w_parts": Buffer("output", "fp32", (IMAGES, channels)),
        "norm_b_parts": Buffer("output", "fp32", (IMAGES, channels)),
    }
    block_channels = block_size(channels)
    constants = {
        "tokens": height * width,
        "channels": channels,
        "epsilon": epsilon,
        "channels_last": channels_last,
        # 4096 values of each array at a time, 16 per thread.
        "block_rows": max(1, min(16, 4096 // block_channels)),
        "block_channels": block_channels,
    }
    launch = TritonLaunch(normalize_backward, tuple(buffers), (Axis(1),), constants, num_warps=8)
    return Plan("token_attention", buffers, (launch,))


@functools.cache
def attend_backward_plan(channels: int, tokens: int, heads: int, dtype: str) -> Plan:
    """From the gradient of the output of `mix` to the gradient of qkv, and one part per image of qkv_b."""
    rows = (IMAGES, tokens, channels)
    buffers = {
        "qkv": Buffer("input", dtype, (IMAGES, tokens, 3 * channels)),
        "mixed_grad": Buffer("input", dtype, rows),
        "qkv_grad": Buffer("output", dtype, (IMAGES, tokens, 3 * channels)),
        "qkv_b_parts": Buffer("output", "fp32", (IMAGES, 3 * channels)),
    }
    block_tokens = block_size(tokens)
    small = block_tokens == 16
    constants = {
        "tokens": tokens,
        "channels": channels,
        "heads": heads,
        "block_tokens": block_tokens,
        # With 64 tokens, 32 columns or 4 warps would spill registers in float32 and on sm_75.
        "block_width": min(32 if small else 16, block_size(channels // heads)),
    }
    launch = TritonLaunch(
        attend_backward,
        tuple(buffers),
        (Axis(1), heads),
        constants,
        num_warps=4 if small else 8,
        num_stages=2,
    )
    return Plan("token_attention", buffers, (launch,))
