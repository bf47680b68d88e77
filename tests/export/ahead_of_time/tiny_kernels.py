"""Small kernels for tests of the compiler; imported only by processes without Triton's interpreter."""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["images"])
def scale(x, y, images, channels: tl.constexpr, factor: tl.constexpr):
    """Writes factor x to y for maps [N, C]."""
    offset = tl.program_id(0) * channels + tl.arange(0, channels)
    tl.store(y + offset, tl.load(x + offset) * factor)


@triton.jit(do_not_specialize=["images"])
def multiply(x, y, images, side: tl.constexpr):
    """Writes x x to y for one matrix, with as much shared memory as pipelined blocks need."""
    row, depth = tl.arange(0, side), tl.arange(0, 64)
    total = tl.zeros((side, side), tl.float32)
    for start in range(0, side, 64):
        left = tl.load(x + row[:, None] * side + start + depth[None, :])
        right = tl.load(x + (start + depth[:, None]) * side + row[None, :])
        total = tl.dot(left, right, total)
    tl.store(y + row[:, None] * side + row[None, :], total)
