"""Attention over the positions of a map, residual and LayerNorm.

Up to 256 channels there are two launches:

1. `project`: qkv = x qkv_w^T + qkv_b. The rows are flattened over the images and the outputs are split into
   narrow blocks. At batch 1 reading the weights takes most of the time; narrow blocks spread it over many
   multiprocessors.
2. `attend`: a program computes all heads for 16 tokens of one image. The result of each head is multiplied by
   its columns of out_w and summed in registers, float32 [16, C]. Residual and LayerNorm are applied there, so
   only qkv is written to memory.

With more channels there are four: `mix` (one program per head), `join` (like `project`) and `normalize`
replace `attend`. In half precision the operands of every product are rounded to half, as in the reference;
sums and the softmax are float32. Sources: Vaswani et al., 2017; Conv-cut (arXiv 2504.09077).
"""

import functools
from typing import Any

import triton
import triton.language as tl

from fer_edge.aot.manifest import IMAGES, Axis, Buffer

from .attention_rows import head_attention, layer_norm, linear, load_head, map_offset
from .launch import Plan, TritonLaunch
from .token_attention_wide import join, mix, normalize

# Rows of a block: the minimum of the tensor cores, so that a batch of one gives as many blocks as possible.
ROWS = 16
OUTPUTS = 32
# Registers per thread of `attend`: 8 warps may use all of a multiprocessor, as at batch 1 no other block
# runs.
REGISTERS = 255
# `attend` holds float32 [16, C] and multiplies [16, C] of out_w at a time, which fits up to 256 channels.
# With 512 channels it spills on sm_75, and at batch 1 one multiprocessor would read half a megabyte of out_w;
# `join` spreads this over all multiprocessors.
FUSED_CHANNELS = 256
# Shared memory for prefetched operands; the rest of the 48 KiB is for layout conversions.
STAGED_BYTES = 44 * 1024
# Maximum number of unrolled iterations.
UNROLLED = 4


@triton.jit(do_not_specialize=["images"])
def project(
    x,
    qkv_w,
    qkv_b,
    qkv,
    images,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    channels_last: tl.constexpr,
    block_rows: tl.constexpr,
    block_outputs: tl.constexpr,
    block_channels: tl.constexpr,
):
    """Rows [N T, 3 C] of queries, keys and values."""
    row = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    output = tl.program_id(1) * block_outputs + tl.arange(0, block_outputs)
    outputs: tl.constexpr = 3 * channels
    total = linear(
        x, qkv_w, qkv_b, row, output, images, outputs, tokens, channels, channels_last, block_channels
    )
    mask = (row < images * tokens)[:, None] & (output < outputs)[None, :]
    tl.store(qkv + row[:, None] * outputs + output[None, :], total.to(qkv.dtype.element_ty), mask)


@triton.jit(do_not_specialize=["images"])
def attend(
    qkv,
    x,
    out_w,
    out_b,
    norm_w,
    norm_b,
    y,
    images,
    tokens: tl.constexpr,
    channels: tl.constexpr,
    heads: tl.constexpr,
    epsilon: tl.constexpr,
    channels_last: tl.constexpr,
    block_rows: tl.constexpr,
    block_keys: tl.constexpr,
    block_width: tl.constexpr,
    block_channels: tl.constexpr,
    unroll: tl.constexpr,
):
    """Everything after `project`, for a block of tokens of one image."""
    image = tl.program_id(0).to(tl.int64)
    token = tl.program_id(1) * block_rows + tl.arange(0, block_rows)
    key = tl.arange(0, block_keys)
    channel = tl.arange(0, block_channels)
    channel_mask = channel < channels
    width: tl.constexpr = channels // heads
    dtype: tl.constexpr = qkv.dtype.element_ty
    qkv += image * tokens * 3 * channels
    joined = tl.zeros((block_rows, block_channels), tl.float32)
    for head in range(heads):
        attention = head_attention(qkv, token, head, tokens, channels, width, block_keys, block_width, unroll)
        for start in tl.range(0, width, block_width, loop_unroll_factor=unroll):
            column = start + tl.arange(0, block_width)
            values = load_head(qkv, key, head, column, 2, tokens, channels, width)
            mixed = tl.dot(attention.to(dtype), values, input_precision="ieee").to(dtype)
            weight = out_w + channel[None, :] * channels + head * width + column[:, None]
            weight = tl.load(weight, (column < width)[:, None] & channel_mask[None, :], 0.0)
            joined = tl.dot(mixed, weight, joined, input_precision="ieee")
    joined += tl.load(out_b + channel, channel_mask, 0.0).to(tl.float32)[None, :]
    offset = map_offset(image * tokens + token, channel, tokens, channels, channels_last)
    mask = (token < tokens)[:, None] & channel_mask[None, :]
    joined += tl.load(x + offset, mask, 0.0).to(tl.float32)
    normed = layer_norm(joined, norm_w, norm_b, channel, channels, epsilon)
    tl.store(y + offset, normed.to(y.dtype.element_ty), mask)


@functools.cache
def forward_plan(
    channels: int,
    height: int,
    width: int,
    heads: int,
    epsilon: float,
    dtype: str,
    channels_last: bool,
    fused_channels: int = FUSED_CHANNELS,
) -> Plan:
    """The launches for maps [N, channels, height, width]; ``dtype`` is Triton's name of the dtype.

    The buffers have the names of the arguments of the reference. qkv is scratch here; a caller that needs it
    for the backward pass passes its own tensor. With more than ``fused_channels`` channels, `mix`, `join` and
    `normalize` replace `attend`.
    """
    map_shape = (IMAGES, channels, height, width)
    row = (IMAGES, height * width)
    buffers = {
        "x": Buffer("input", dtype, map_shape, channels_last),
        "qkv_w": Buffer("weight", dtype, (3 * channels, channels)),
        "qkv_b": Buffer("weight", dtype, (3 * channels,)),
        "out_w": Buffer("weight", dtype, (channels, channels)),
        "out_b": Buffer("weight", dtype, (channels,)),
        "norm_w": Buffer("weight", dtype, (channels,)),
        "norm_b": Buffer("weight", dtype, (channels,)),
        "qkv": Buffer("scratch", dtype, (*row, 3 * channels)),
        "y": Buffer("output", dtype, map_shape, channels_last),
    }
    sizes = {"tokens": height * width, "channels": channels}
    layout = {"channels_last": channels_last}
    launches = [_linear_launch(project, "x qkv_w qkv_b qkv", 3 * channels, sizes | layout, dtype)]
    if channels <= fused_channels:
        launches.append(_attend_launch(sizes | {"heads": heads, "epsilon": epsilon} | layout, dtype))
    else:
        buffers["mixed"] = Buffer("scratch", dtype, (*row, channels))
        buffers["joined"] = Buffer("scratch", "fp32", (*row, channels))
        launches += [
            mix_launch(sizes | {"heads": heads}),
            _linear_launch(join, "mixed out_w out_b x joined", channels, sizes | layout, dtype),
            _normalize_launch(sizes | {"epsilon": epsilon} | layout),
        ]
    return Plan("token_attention", buffers, tuple(launches))


def block_size(count: int) -> int:
    """The next power of two, at least the minimum of the tensor cores."""
    return max(ROWS, triton.next_power_of_2(count))


def mix_launch(sizes: dict[str, Any]) -> TritonLaunch:
    """The launch from qkv to mixed; ``sizes`` holds the constants tokens, channels and heads."""
    tokens, width = sizes["tokens"], sizes["channels"] // sizes["heads"]
    keys = block_size(tokens)
    blocks = {"block_rows": ROWS, "block_keys": keys, "block_width": min(32, block_size(width))}
    grid = (Axis(1), sizes["heads"], -(-tokens // ROWS))
    return TritonLaunch(mix, ("qkv", "mixed"), grid, sizes | blocks, num_warps=4 if keys == ROWS else 8)


def _linear_launch(
    kernel: Any, pointers: str, outputs: int, constants: dict[str, Any], dtype: str
) -> TritonLaunch:
    blocks = {"block_rows": ROWS, "block_outputs": OUTPUTS, "block_channels": 64}
    grid = (Axis(constants["tokens"], ROWS), -(-outputs // OUTPUTS))
    # 24 KiB of prefetched operands for 16 and 32 bit: at batch 1 loading them dominates a projection.
    stages = 3 if dtype == "fp32" else 5
    return TritonLaunch(kernel, tuple(pointers.split()), grid, constants | blocks, num_stages=stages)


def _attend_launch(constants: dict[str, Any], dtype: str) -> TritonLaunch:
    tokens, channels = constants["tokens"], constants["channels"]
    width = channels // constants["heads"]
    keys, wide = block_size(tokens), block_size(channels)
    block_width = 16 if dtype == "fp32" else min(32, block_size(width))
    count = -(-width // block_width)
    # Triton prefetches in innermost loops only. If the loops over the width of a head are unrolled, the loop
    # over the heads is innermost and stages the tiles of all of them. Otherwise each of the two inner loops
    # stages its own tiles, and the larger one counts.
    together, apart = count * (ROWS + 2 * keys + wide), keys + wide
    whole = [(count, 3, together), (count, 2, together)] if count <= UNROLLED else []
    unroll, stages = next(
        (unroll, stages)
        for unroll, stages, columns in (*whole, (1, 3, apart), (1, 2, apart))
        if (stages - 1) * columns * block_width * (4 if dtype == "fp32" else 2) <= STAGED_BYTES
    )
    blocks = {
        "block_rows": ROWS,
        "block_keys": keys,
        "block_width": block_width,
        "block_channels": wide,
        "unroll": unroll,
    }
    pointers = ("qkv", "x", "out_w", "out_b", "norm_w", "norm_b", "y")
    grid = (Axis(1), -(-tokens // ROWS))
    return TritonLaunch(
        attend,
        pointers,
        grid,
        constants | blocks,
        num_warps=8,
        num_stages=stages,
        max_registers=REGISTERS,
    )


def _normalize_launch(constants: dict[str, Any]) -> TritonLaunch:
    blocks = {"block_rows": 4, "block_channels": block_size(constants["channels"])}
    grid = (Axis(constants["tokens"], 4),)
    return TritonLaunch(normalize, ("joined", "norm_w", "norm_b", "y"), grid, constants | blocks, num_warps=8)
