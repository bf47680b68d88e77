"""Attention over the places of a map, residual and LayerNorm: two launches up to 256 channels, four beyond.

1. `project`: qkv = x qkv_w^T + qkv_b. Its rows are flattened over the images and its outputs cut in narrow
   blocks, because at batch 1 what takes time is to read the weights, which many multiprocessors do together.
2. `attend`: a program takes 16 tokens of one image through all the heads. Each head's result is multiplied by
   its columns of out_w at once and added up in registers, float32 [16, C], where residual and LayerNorm find
   it: nothing but qkv passes through memory.

Beyond 256 channels `mix` (a program for each head), `join` (as `project`) and `normalize` do the work of
`attend`. In half precision the operands of every product are rounded to it, as in the reference; sums and the
softmax are float32. Vaswani et al., 2017; Conv-cut (arXiv 2504.09077).
"""

import functools
from typing import Any

import triton
import triton.language as tl

from fer_edge.aot.manifest import IMAGES, Axis, Buffer

from .attention_rows import head_part, head_shares, layer_norm, linear, map_offset
from .launch import Plan, TritonLaunch
from .token_attention_wide import join, mix, normalize

# Rows of a block: the fewest that tensor cores multiply, so that a batch of one has as many blocks as it can.
ROWS = 16
OUTPUTS = 32
# Of a thread of `attend`: with 8 warps a multiprocessor has as many, and at batch 1 no other block wants any.
REGISTERS = 255
# `attend` holds float32 [16, C] and multiplies [16, C] of out_w at a time. Up to 256 channels that fits. With
# 512 it spills on sm_75, and at batch 1 one multiprocessor would read half a megabyte of out_w, which `join`
# spreads over all.
FUSED_CHANNELS = 256
# Shared memory for what is loaded ahead; the rest of 48 KiB is for changes of layout.
STAGED_BYTES = 44 * 1024
# Iterations that are unrolled at most.
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
    here = (row < images * tokens)[:, None] & (output < outputs)[None, :]
    tl.store(qkv + row[:, None] * outputs + output[None, :], total.to(qkv.dtype.element_ty), here)


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
    """All that follows `project`, for a block of tokens of one image."""
    image = tl.program_id(0).to(tl.int64)
    token = tl.program_id(1) * block_rows + tl.arange(0, block_rows)
    key = tl.arange(0, block_keys)
    channel = tl.arange(0, block_channels)
    channel_here = channel < channels
    width: tl.constexpr = channels // heads
    dtype: tl.constexpr = qkv.dtype.element_ty
    qkv += image * tokens * 3 * channels
    joined = tl.zeros((block_rows, block_channels), tl.float32)
    for head in range(heads):
        shares = head_shares(qkv, token, head, tokens, channels, width, block_keys, block_width, unroll)
        for start in tl.range(0, width, block_width, loop_unroll_factor=unroll):
            column = start + tl.arange(0, block_width)
            values = head_part(qkv, key, head, column, 2, tokens, channels, width)
            mixed = tl.dot(shares.to(dtype), values, input_precision="ieee").to(dtype)
            weight = out_w + channel[None, :] * channels + head * width + column[:, None]
            weight = tl.load(weight, (column < width)[:, None] & channel_here[None, :], 0.0)
            joined = tl.dot(mixed, weight, joined, input_precision="ieee")
    joined += tl.load(out_b + channel, channel_here, 0.0).to(tl.float32)[None, :]
    place = map_offset(image * tokens + token, channel, tokens, channels, channels_last)
    here = (token < tokens)[:, None] & channel_here[None, :]
    joined += tl.load(x + place, here, 0.0).to(tl.float32)
    normed = layer_norm(joined, norm_w, norm_b, channel, channels, epsilon)
    tl.store(y + place, normed.to(y.dtype.element_ty), here)


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
    """The launches for maps [N, channels, height, width]; ``dtype`` is Triton's name of the dtype of all.

    Its buffers are named as the arguments of the reference. The backward pass reads qkv, which is scratch
    here: give it to keep it. More than ``fused_channels`` channels take the kernels for many.
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
    """The power of two that holds so many, and as many at least as tensor cores multiply."""
    return max(ROWS, triton.next_power_of_2(count))


def mix_launch(sizes: dict[str, Any]) -> TritonLaunch:
    """From qkv to mixed; ``sizes`` are its constants tokens, channels and heads."""
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
    # 24 KiB of loads ahead in either size of number: at batch 1 a projection is little else.
    stages = 3 if dtype == "fp32" else 5
    return TritonLaunch(kernel, tuple(pointers.split()), grid, constants | blocks, num_stages=stages)


def _attend_launch(constants: dict[str, Any], dtype: str) -> TritonLaunch:
    tokens, channels = constants["tokens"], constants["channels"]
    width = channels // constants["heads"]
    keys, wide = block_size(tokens), block_size(channels)
    block_width = 16 if dtype == "fp32" else min(32, block_size(width))
    count = -(-width // block_width)
    # Only innermost loops load ahead. Unrolled, those over a head's width leave one, over the heads, which
    # stages the tiles of all; else the larger of the two stages its own.
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
