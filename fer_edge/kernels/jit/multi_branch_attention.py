"""The plan of the multi-branch attention forward: three launches, after `fold_multi_branch`.

| launch | writes | work, C = 512, 7 x 7, one image, 16 bits |
| --- | --- | --- |
| depthwise_and_moments | d [N P, 2 C], x as rows [N P, C], moments of x | 1.0 MFLOP, 0.27 MB |
| pointwise_and_gate | g = GELU(W d + b) [N P, 2 C], s = GELU(T t + b) [N, C] | 103 MFLOP, 2.8 MB |
| merge | out = M [x s; g] + b | 77 MFLOP, 1.8 MB |

Weights are 2.6 MB of the second's bytes and 1.6 MB of the third's, and stay the same for any batch.

Why three and not two: the depthwise convolution could be done on the way into the pointwise product, and the
moments on the way into the gate's, but every block of output channels would do it again. The 32 blocks of 32
columns that fill a GPU at batch 1 would do 32 times 9 loads of 2 bytes and 18 scalar multiplications a value,
in the loop that feeds the tensor cores: more than an elementwise launch costs, and it grows with the batch,
which the cost of a launch does not. One dense 3 x 3 convolution (depthwise times pointwise) would read 4.5
times the weights. The gate does not need d, nor the pointwise product the moments: each pair shares a launch.

x is written as rows because merge reads it along the channels, 16 bytes a request, whatever the layout of the
map, and multiplies it by s in registers.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import triton

from fer_edge.aot.manifest import IMAGES, Axis, Buffer

from . import multi_branch_attention_forward as kernels
from .launch import Plan, TritonLaunch

Batch = Literal["small", "large", "bulk"]


@dataclass(frozen=True)
class Tile:
    """What one program of a matrix product computes, and with what."""

    rows: int
    columns: int
    depth: int
    num_warps: int
    num_stages: int


# Tiles of the pointwise product and of merge. At most 4 images are 196 rows of 7 x 7: tiles of 16 rows make
# about 128 programs an image for C = 512, one for each multiprocessor of the largest GPUs; such a program
# waits for weights, so its loop is deep and the loads of four turns are in flight. With 8 images 64 x 64 does
# the same. From 32 images 64 x 128 is enough programs and reads a quarter less for as many multiplications;
# merge then fills 48 KiB of shared memory, of which half is the float32 s. Eight warps leave no spill, also
# on compute capability 75, where Triton has no tensor cores and 64 x 128 is too large.
TENSOR_TILES: Mapping[Batch, tuple[Tile, Tile]] = {
    "small": (Tile(16, 32, 64, 4, 4), Tile(16, 16, 64, 2, 4)),
    "large": (Tile(64, 64, 32, 8, 4), Tile(64, 64, 32, 8, 3)),
    "bulk": (Tile(64, 128, 32, 8, 3), Tile(64, 128, 32, 8, 3)),
}
# float32 is multiplied without tensor cores, exactly, with both operands of a turn in registers.
FLOAT32_TILES: Mapping[Batch, tuple[Tile, Tile]] = {
    "small": (Tile(16, 32, 32, 4, 3), Tile(16, 16, 32, 4, 3)),
    "large": (Tile(64, 32, 16, 8, 3), Tile(64, 32, 16, 8, 3)),
    "bulk": (Tile(64, 32, 16, 8, 3), Tile(64, 32, 16, 8, 3)),
}
# One image fills a block of the gate as well as sixteen do: it is one row in 50 of the work.
GATE = {"gate_images": 16, "gate_columns": 32, "gate_depth": 16}


def forward_plan(
    channels: int,
    height: int,
    width: int,
    dtype: str,
    channels_last: bool,
    images: int = 1,
    save: bool = False,
    tensor_cores: bool = False,
) -> Plan:
    """The forward pass for maps [N, 2 channels, height, width] of Triton's dtype.

    A plan is right for any N; ``images`` is the N that it should be fast for. ``save`` makes outputs of what
    the backward pass reads: depthwise, moments, and local and scale with their values before GELU in a second
    plane. ``tensor_cores`` allows tiles that spill registers on a GPU older than compute capability 80.
    """
    batch: Batch = "small" if images <= 4 else "bulk" if images >= 32 and tensor_cores else "large"
    return _forward_plan(channels, height, width, dtype, channels_last, batch, save)


@functools.cache
def _forward_plan(
    channels: int, height: int, width: int, dtype: str, channels_last: bool, batch: Batch, save: bool
) -> Plan:
    places = height * width
    pointwise, merge = (FLOAT32_TILES if dtype == "fp32" else TENSOR_TILES)[batch]
    return Plan(
        operation="multi_branch_attention",
        buffers=_buffers(channels, height, width, dtype, channels_last, save),
        launches=(
            _prepare(channels, height, width, channels_last, 512 if batch == "small" else 1024),
            _pointwise(channels, places, pointwise, save),
            _merge(channels, places, channels_last, merge),
        ),
    )


def _buffers(
    channels: int, height: int, width: int, dtype: str, channels_last: bool, save: bool
) -> dict[str, Buffer]:
    places, double = height * width, 2 * channels
    weights = {
        "alpha": (channels,),
        "beta": (channels,),
        "texture_w": (channels, channels),
        "texture_b": (channels,),
        "depthwise_w": (double, 3, 3),
        "depthwise_b": (double,),
        "pointwise_w": (double, double),
        "pointwise_b": (double,),
        "merged_w": (channels, 3 * channels),
        "merged_b": (channels,),
    }
    role: Literal["output", "scratch"] = "output" if save else "scratch"
    planes = 2 if save else 1
    return {
        "z": Buffer("input", dtype, (IMAGES, double, height, width), channels_last),
        **{name: Buffer("weight", dtype, shape) for name, shape in weights.items()},
        "depthwise": Buffer(role, dtype, (IMAGES, places, double)),
        "rows": Buffer("scratch", dtype, (IMAGES, places, channels)),
        "moments": Buffer(role, "fp32", (IMAGES, 2, channels)),
        "local": Buffer(role, dtype, (planes, IMAGES, places, double)),
        "scale": Buffer(role, "fp32", (planes, IMAGES, channels)),
        "out": Buffer("output", dtype, (IMAGES, channels, height, width), channels_last),
    }


def _prepare(channels: int, height: int, width: int, channels_last: bool, block: int) -> TritonLaunch:
    places = triton.next_power_of_2(height * width)
    # At least 8: a row of the tile is then written in whole sectors of 32 bytes.
    block_channels = max(8, block // places)
    return TritonLaunch(
        kernel=kernels.depthwise_and_moments,
        pointers=("z", "depthwise_w", "depthwise_b", "depthwise", "rows", "moments"),
        grid=(Axis(1), 2 * triton.cdiv(channels, block_channels)),
        constants={
            "channels": channels,
            "height": height,
            "width": width,
            "channel_stride": 1 if channels_last else height * width,
            "place_stride": 2 * channels if channels_last else 1,
            "block_places": places,
            "block_channels": block_channels,
        },
    )


def _pointwise(channels: int, places: int, tile: Tile, save: bool) -> TritonLaunch:
    # Blocks of rows must be at least as many as blocks of images, which use the same axis.
    rows = min(tile.rows, 1 << (16 * places).bit_length() - 1)
    columns = triton.cdiv(2 * channels, tile.columns)
    return TritonLaunch(
        kernel=kernels.pointwise_and_gate,
        pointers=(
            *("depthwise", "moments", "alpha", "beta", "texture_w", "texture_b"),
            *("pointwise_w", "pointwise_b", "local", "scale"),
        ),
        grid=(Axis(places, rows), columns + triton.cdiv(channels, GATE["gate_columns"])),
        constants={
            "channels": channels,
            "places": places,
            "save": save,
            "block_rows": rows,
            "block_columns": tile.columns,
            "block_depth": tile.depth,
            **GATE,
        },
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )


def _merge(channels: int, places: int, channels_last: bool, tile: Tile) -> TritonLaunch:
    return TritonLaunch(
        kernel=kernels.merge,
        pointers=("rows", "scale", "local", "merged_w", "merged_b", "out"),
        grid=(Axis(places, tile.rows), triton.cdiv(channels, tile.columns)),
        constants={
            "channels": channels,
            "places": places,
            "channel_stride": 1 if channels_last else places,
            "place_stride": channels if channels_last else 1,
            "block_rows": tile.rows,
            "block_columns": tile.columns,
            "block_depth": tile.depth,
        },
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )
