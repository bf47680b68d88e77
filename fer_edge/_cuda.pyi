from collections.abc import Sequence
from typing import Literal

# Arrays are device addresses on the current device; streams are cudaStream_t handles. No call synchronizes.
Shape = Sequence[int]  # images, channels, height, width
Size = Sequence[int]  # height, width
Float = Literal["float32", "float16", "bfloat16"]

def multi_branch_attention(
    z: int,
    shape: Shape,
    dtype: Float,
    channels_last: bool,
    weights: Sequence[int],
    scale: int,
    local: int,
    out: int,
    stream: int,
) -> None: ...
def dcif(
    x: int,
    shape: Shape,
    dtype: Float,
    channels_last: bool,
    weights: Sequence[int],
    hidden: int,
    out: int,
    stream: int,
) -> None: ...
def token_attention(
    x: int,
    shape: Shape,
    dtype: Float,
    channels_last: bool,
    weights: Sequence[int],
    heads: int,
    epsilon: float,
    qkv: int,
    mixed: int,
    out: int,
    stream: int,
) -> None: ...
def warp_normalize(
    plane: int,
    size: Size,
    row_stride: int,
    matrices: int,
    count: int,
    out: int,
    dtype: Literal["float32", "float16", "int8"],
    out_size: Size,
    mean: float,
    scale: float,
    border: Literal["edge", "constant"],
    fill: float,
    stream: int,
) -> None: ...
