"""`warp_normalize` in one launch, bitwise equal to `fer_edge.ops.reference`.

A program computes a block of pixels of one picture. The reference computes each level of the mip map for the
whole plane; this kernel computes a sample of a level, as a rounded mean of rounded means, where it reads it.
One step in the picture is at most two samples of the level, so a pixel of the plane is read at most four
times.

Every product and sum must be rounded separately: launch with enable_fp_fusion=False.
"""

import triton
import triton.language as tl

FRACTION_BITS = tl.constexpr(10)
ONE = tl.constexpr(1024)
LEVELS = tl.constexpr(7)
MOST_PIXELS = tl.constexpr(128.0)
# 2^23: a larger float32 has no fraction, and adding 2^23 to a smaller number rounds it to an integer.
WHOLE = tl.constexpr(8388608.0)
BLOCK = 128


# Frame sizes and strides differ between cameras and must not trigger another compilation.
@triton.jit(do_not_specialize=["height", "width", "stride", "out_height", "out_width"])
def warp_normalize(
    plane,  # uint8 [height, width], rows `stride` bytes apart
    matrices,  # float32 [N, 2, 3]
    out,  # float32, float16 or int8 [N, 1, out_height, out_width]
    height,
    width,
    stride,
    out_height,
    out_width,
    mean,  # in 1/1024 of a grey level
    scale,  # factor of values in 1/1024 of a grey level
    fill,
    edge: tl.constexpr,
    block: tl.constexpr,
):
    """One program per block of pixels of each picture, all along x: CUDA allows at most 65535 along y."""
    blocks = tl.cdiv(out_height * out_width, block)
    picture = (tl.program_id(0) // blocks).to(tl.int64)
    pixel = tl.program_id(0) % blocks * block + tl.arange(0, block)
    matrix = matrices + picture * 6
    level = level_of(matrix)
    x = (pixel % out_width).to(tl.float32) + 0.5
    y = (pixel // out_width).to(tl.float32) + 0.5
    u = position(matrix, level, x, y, halved(width, level))
    v = position(matrix + 3, level, x, y, halved(height, level))
    value = tl.zeros([block], tl.float32)
    for at in tl.static_range(LEVELS):
        if level == at:
            value = sample(plane, height, width, stride, u, v, fill, edge, at)
    value = (value - mean) * scale
    if out.dtype.element_ty == tl.int8:
        value = tl.minimum(tl.maximum(nearest(value), -128.0), 127.0)
    target = out + picture * out_height * out_width + pixel
    tl.store(target, value.to(out.dtype.element_ty), mask=pixel < out_height * out_width)


@triton.jit
def level_of(matrix):
    """Number of halvings, up to six, after which the matrix steps over at most two pixels per output."""
    a, b = tl.load(matrix), tl.load(matrix + 1)
    c, d = tl.load(matrix + 3), tl.load(matrix + 4)
    pixels = tl.sqrt_rn(tl.abs(a * d - b * c))
    level = 0
    most = 2.0
    while most < MOST_PIXELS:
        level += (pixels > most).to(tl.int32)
        most *= 2
    # The comparison is false for NaN too.
    return tl.where(pixels < float("inf"), level, 0)


@triton.jit
def halved(length, level):
    """Length of a side after `level` halvings, each rounded up."""
    return (length + (1 << level) - 1) >> level


@triton.jit
def nearest(value):
    """The nearest integer, float32, ties to the even one."""
    size = tl.abs(value)
    whole = tl.where(size < WHOLE, (size + WHOLE) - WHOLE, size)
    return tl.where(value < 0, -whole, whole)


@triton.jit
def position(line, level, x, y, length):
    """Position along one axis, in 1/1024 of a sample, clamped to one sample around the level; int32."""
    factor = (1024 >> level).to(tl.float32)
    across, down, start = tl.load(line) * factor, tl.load(line + 1) * factor, tl.load(line + 2) * factor
    exact = across * x + ((down * y + start) - ONE / 2)
    # The comparison is false for NaN, which is therefore placed before the plane.
    bounded = tl.where(exact > -ONE, exact, -ONE * 1.0)
    return nearest(tl.minimum(bounded, length.to(tl.float32) * ONE)).to(tl.int32)


@triton.jit
def sample(plane, height, width, stride, u, v, fill, edge: tl.constexpr, level: tl.constexpr):
    """Bilinear interpolation of the four samples around (u, v), in 1/1024 grey level: float32 [block]."""
    row = (v >> FRACTION_BITS)[:, None, None] + tl.arange(0, 2)[None, :, None]
    column = (u >> FRACTION_BITS)[:, None, None] + tl.arange(0, 2)[None, None, :]
    row, column = tl.broadcast(row, column)
    inner_row = tl.minimum(tl.maximum(row, 0), halved(height, level) - 1)
    inner_column = tl.minimum(tl.maximum(column, 0), halved(width, level) - 1)
    taps = level_pixel(plane, height, width, stride, inner_row, inner_column, level).to(tl.float32)
    if not edge:
        taps = tl.where((row == inner_row) & (column == inner_column), taps, fill)
    left, right = tl.split(taps)
    top, bottom = tl.split(left * ONE + (right - left) * (u & (ONE - 1)).to(tl.float32)[:, None])
    return top + (bottom - top) * ((v & (ONE - 1)).to(tl.float32) * (1.0 / ONE))


@triton.jit
def level_pixel(plane, height, width, stride, row, column, level: tl.constexpr):
    """Samples of a level of the mip map, int32: rounded means of four samples of the level below.

    If the level below has an odd number of rows or columns, its last one is repeated.
    """
    # An else, because Triton also compiles the code after a return.
    if level == 0:
        return tl.load(plane + row.to(tl.int64) * stride + column).to(tl.int32)
    else:  # noqa: RET505
        total = tl.zeros_like(row) + 2
        for child in range(4):
            lower_row = tl.minimum(2 * row + child // 2, halved(height, level - 1) - 1)
            lower_column = tl.minimum(2 * column + child % 2, halved(width, level - 1) - 1)
            total += level_pixel(plane, height, width, stride, lower_row, lower_column, level - 1)
        return total >> 2
