"""The operations on PyTorch tensors, computed by the extension `fer_edge._cuda`.

This module passes the addresses of tensors and allocates memory with PyTorch. Kernels are launched on the
current stream without synchronization, so calls can be captured into a CUDA graph. There are no gradients.
torch.compile cannot trace addresses: its graph breaks at each call. Names and arguments are those of
`reference`, which documents them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from fer_edge import _cuda

from .fold import fold_multi_branch
from .layout import dense, is_channels_last
from .reference import DcifWeights, FoldedMultiBranchWeights, MultiBranchWeights, TokenAttentionWeights

# Bytes; required by vector loads and tensor cores. PyTorch aligns its own memory to 512 bytes.
ALIGNMENT = 32
FLOATS: dict[torch.dtype, Literal["float32", "float16", "bfloat16"]] = {
    torch.float32: "float32",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
}
PICTURES: dict[torch.dtype, Literal["float32", "float16", "int8"]] = {
    torch.float32: "float32",
    torch.float16: "float16",
    torch.int8: "int8",
}

# With fullgraph=True, the error of torch.compile contains this reason.
_untraced = torch.compiler.disable(reason="kernels='cuda' cannot be traced; use triton, or fullgraph=False")


@_untraced
def multi_branch_attention(z: Tensor, weights: MultiBranchWeights | FoldedMultiBranchWeights) -> Tensor:
    """See `reference.multi_branch_attention`; unfolded weights are folded at each call."""
    folded = weights if isinstance(weights, FoldedMultiBranchWeights) else fold_multi_branch(weights)
    z, channels_last = _readable_map(z)
    n, both, height, width = z.shape
    channels = both // 2
    kept = _aligned_weights(folded)
    scale = _empty(z, (2, n, channels), torch.float32)
    local = _empty(z, (2, n * height * width, 2 * channels))
    out = _empty(z, (n, channels, height, width), channels_last=channels_last)
    with _stream(z) as stream:
        _cuda.multi_branch_attention(
            z.data_ptr(),
            z.shape,
            FLOATS[z.dtype],
            channels_last,
            [weight.data_ptr() for weight in kept],
            scale.data_ptr(),
            local.data_ptr(),
            out.data_ptr(),
            stream,
        )
    return out


@_untraced
def dcif(x: Tensor, weights: DcifWeights) -> Tensor:
    """See `reference.dcif`."""
    x, channels_last = _readable_map(x)
    kept = _aligned_weights(weights)
    out = _empty(x, x.shape[:2])
    with _stream(x) as stream:
        _cuda.dcif(
            x.data_ptr(),
            x.shape,
            FLOATS[x.dtype],
            channels_last,
            [weight.data_ptr() for weight in kept],
            len(weights.squeeze_b),
            out.data_ptr(),
            stream,
        )
    return out


@_untraced
def token_attention(x: Tensor, weights: TokenAttentionWeights, heads: int, epsilon: float = 1e-5) -> Tensor:
    """See `reference.token_attention`."""
    x, channels_last = _readable_map(x)
    n, channels, height, width = x.shape
    kept = _aligned_weights(weights)
    qkv = _empty(x, (n * height * width, 3 * channels))
    mixed = _empty(x, (n * height * width, channels))
    out = _empty(x, x.shape, channels_last=channels_last)
    with _stream(x) as stream:
        _cuda.token_attention(
            x.data_ptr(),
            x.shape,
            FLOATS[x.dtype],
            channels_last,
            [weight.data_ptr() for weight in kept],
            heads,
            epsilon,
            qkv.data_ptr(),
            mixed.data_ptr(),
            out.data_ptr(),
            stream,
        )
    return out


@_untraced
def warp_normalize(
    plane: Tensor,
    matrices: Tensor,
    out: Tensor,
    *,
    mean: float,
    scale: float,
    border: Literal["edge", "constant"],
    fill: float,
) -> None:
    """See `reference.warp_normalize`."""
    with _stream(plane) as stream:
        _cuda.warp_normalize(
            plane.data_ptr(),
            plane.shape,
            plane.stride(0),
            matrices.data_ptr(),
            len(matrices),
            out.data_ptr(),
            PICTURES[out.dtype],
            out.shape[2:],
            mean,
            scale,
            border,
            fill,
            stream,
        )


def _readable_map(x: Tensor) -> tuple[Tensor, bool]:
    """The map in a layout that the kernels read, and whether it is channels-last."""
    if x.dtype not in FLOATS:
        raise TypeError(
            f"kernels='cuda' needs float32, float16 or bfloat16, got {x.dtype}; cast it with .to()"
        )
    return _aligned(dense(x)), is_channels_last(x)


def _aligned_weights(weights: Sequence[Tensor]) -> list[Tensor]:
    """The weights, contiguous and aligned. Some may be copies: keep the list until the launch."""
    return [_aligned(weight.contiguous()) for weight in weights]


def _aligned(tensor: Tensor) -> Tensor:
    return tensor if tensor.data_ptr() % ALIGNMENT == 0 else tensor.clone()


def _empty(
    like: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None, channels_last: bool = False
) -> Tensor:
    """Uninitialized memory on the device of the tensor; its dtype is the default."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(tuple(shape), dtype=dtype or like.dtype, device=like.device, memory_format=layout)


@contextmanager
def _stream(tensor: Tensor) -> Iterator[int]:
    """The current stream of the device of the tensor; inside, this device is the current one."""
    with torch.cuda.device(tensor.device):
        yield torch.cuda.current_stream(tensor.device).cuda_stream
