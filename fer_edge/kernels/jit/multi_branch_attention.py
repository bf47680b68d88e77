"""Launch plan of the multi-branch attention forward pass: three launches, after `fold_multi_branch`.

| launch | writes | work, C = 512, 7 x 7, one image, 16 bits |
| --- | --- | --- |
| depthwise_and_moments | d [N P, 2 C], x as rows [N P, C], moments of x | 1.0 MFLOP, 0.27 MB |
| pointwise_and_gate | g = GELU(W d + b) [N P, 2 C], s = GELU(T t + b) [N, C] | 103 MFLOP, 2.8 MB |
| merge | out = M [x s; g] + b | 77 MFLOP, 1.8 MB |

Of these bytes, 2.6 MB of the second launch and 1.6 MB of the third are weights, for any batch size.

Why three launches and not two: the pointwise product could compute the depthwise convolution as its prologue,
and the gate could compute the moments. But then every block of output channels would repeat this work. At
batch 1 a GPU is filled by 32 blocks of 32 columns. They would do 32 times 9 loads of 2 bytes and 18 scalar
multiplications per value, in the loop that feeds the tensor cores. This costs more than an elementwise
launch, and it grows with the batch; the cost of a launch does not. One dense 3 x 3 convolution (depthwise
times pointwise) would read 4.5 times the weights. The gate does not need d, and the pointwise product does
not need the moments. So both branches share the first two launches.

x is written as rows because `merge` reads it along the channels, 16 bytes per request, for any layout of the
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
    """Tile sizes and launch options of one program of a matrix product."""

    rows: int
    columns: int
    depth: int
    num_warps: int
    num_stages: int


# Tiles of the pointwise product and of merge.
# small: up to 4 images, which have 196 rows at 7 x 7. Tiles of 16 rows give about 128 programs per image for
#   C = 512, one per multiprocessor of the largest GPUs. Such a program waits for weights, so its loop is deep
#   and the loads of four iterations are in flight.
# large: with 8 images, 64 x 64 gives as many programs.
# bulk: from 32 images, 64 x 128 still gives enough programs and reads a quarter less for the same number of
#   multiplications. `merge` then uses 48 KiB of shared memory, half of it for the float32 s.
# With eight warps nothing spills. On compute capability 7.5, where Triton has no tensor cores, 64 x 128 is
# too large and is not used.
TENSOR_TILES: Mapping[Batch, tuple[Tile, Tile]] = {
    "small": (Tile(16, 32, 64, 4, 4), Tile(16, 16, 64, 2, 4)),
    "large": (Tile(64, 64, 32, 8, 4), Tile(64, 64, 32, 8, 3)),
    "bulk": (Tile(64, 128, 32, 8, 3), Tile(64, 128, 32, 8, 3)),
}
# float32 is multiplied without tensor cores (no TF32); both operands of an iteration are in registers.
FLOAT32_TILES: Mapping[Batch, tuple[Tile, Tile]] = {
    "small": (Tile(16, 32, 32, 4, 3), Tile(16, 16, 32, 4, 3)),
    "large": (Tile(64, 32, 16, 8, 3), Tile(64, 32, 16, 8, 3)),
    "bulk": (Tile(64, 32, 16, 8, 3), Tile(64, 32, 16, 8, 3)),
}
# Blocks of 16 images for any batch size: the gate is about one fiftieth of the work.
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
    """The forward pass for maps [N, 2 channels, height, width]; ``dtype`` is Triton's name of the dtype.

    A plan is correct for any N and tuned for N = ``images``. With ``save``, the arrays that the backward pass
    reads become outputs: depthwise, moments, and local and scale with their values before GELU in a second
    plane. ``tensor_cores`` allows tiles that spill registers on GPUs older than compute capability 8.0.
    """
    batch: Batch = "small" if images <= 4 else "bulk" if images >= 32 and tensor_cores else "large"
    return _forward_plan(channels, height, width, dtype, channels_last, batch, save)


@functools.cache
def _forward_plan(
    channels: int, height: int, width: int, dtype: str, channels_last: bool, batch: Batch, save: bool
) -> Plan:
    positions = height * width
    pointwise, merge = (FLOAT32_TILES if dtype == "fp32" else TENSOR_TILES)[batch]
    return Plan(
        operation="multi_branch_attention",
        buffers=_buffers(channels, height, width, dtype, channels_last, save),
        launches=(
            _prepare(channels, height, width, channels_last, 512 if batch == "small" else 1024),
            _pointwise(channels, positions, pointwise, save),
            _merge(channels, positions, channels_last, merge),
        ),
    )


def _buffers(
    channels: int, height: int, width: int, dtype: str, channels_last: bool, save: bool
) -> dict[str, Buffer]:
    positions, double = height * width, 2 * channels
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
        "depthwise": Buffer(role, dtype, (IMAGES, positions, double)),
        "rows": Buffer("scratch", dtype, (IMAGES, positions, channels)),
        "moments": Buffer(role, "fp32", (IMAGES, 2, channels)),
        "local": Buffer(role, dtype, (planes, IMAGES, positions, double)),
        "scale": Buffer(role, "fp32", (planes, IMAGES, channels)),
        "out": Buffer("output", dtype, (IMAGES, channels, height, width), channels_last),
    }


def _prepare(channels: int, height: int, width: int, channels_last: bool, block: int) -> TritonLaunch:
    positions = triton.next_power_of_2(height * width)
    # At least 8 channels, so that a row of the tile is written in whole sectors of 32 bytes.
    block_channels = max(8, block // positions)
    return TritonLaunch(
        kernel=kernels.depthwise_and_moments,
        pointers=("z", "depthwise_w", "depthwise_b", "depthwise", "rows", "moments"),
        grid=(Axis(1), 2 * triton.cdiv(channels, block_channels)),
        constants={
            "channels": channels,
            "height": height,
            "width": width,
            "channel_stride": 1 if channels_last else height * width,
            "position_stride": 2 * channels if channels_last else 1,
            "block_positions": positions,
            "block_channels": block_channels,
        },
    )


def _pointwise(channels: int, positions: int, tile: Tile, save: bool) -> TritonLaunch:
    # The axis also holds the blocks of images, so there must be at least as many blocks of rows.
    rows = min(tile.rows, 1 << (16 * positions).bit_length() - 1)
    columns = triton.cdiv(2 * channels, tile.columns)
    return TritonLaunch(
        kernel=kernels.pointwise_and_gate,
        pointers=(
            *("depthwise", "moments", "alpha", "beta", "texture_w", "texture_b"),
            *("pointwise_w", "pointwise_b", "local", "scale"),
        ),
        grid=(Axis(positions, rows), columns + triton.cdiv(channels, GATE["gate_columns"])),
        constants={
            "channels": channels,
            "positions": positions,
            "save": save,
            "block_rows": rows,
            "block_columns": tile.columns,
            "block_depth": tile.depth,
            **GATE,
        },
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )


def _merge(channels: int, positions: int, channels_last: bool, tile: Tile) -> TritonLaunch:
    return TritonLaunch(
        kernel=kernels.merge,
        pointers=("rows", "scale", "local", "merged_w", "merged_b", "out"),
        grid=(Axis(positions, tile.rows), triton.cdiv(channels, tile.columns)),
        constants={
            "channels": channels,
            "positions": positions,
            "channel_stride": 1 if channels_last else positions,
            "position_stride": channels if channels_last else 1,
            "block_rows": tile.rows,
            "block_columns": tile.columns,
            "block_depth": tile.depth,
        },
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )
