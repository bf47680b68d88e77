#include "mip_level.h"

#include <algorithm>

namespace fer_edge {
namespace {

uint16_t rounded(uint32_t sum, int level) {
    const int bits = bits_dropped(level);
    return static_cast<uint16_t>((sum + ((1u << bits) >> 1)) >> bits);
}

Image part_of(const Image& plane, int y, int x, int height, int width) {
    return {plane.data + y * plane.stride + x, plane.stride, height, width};
}

// Sums over 2 x 2 pixels of `rows` pairs of rows from y on; rows below the plane repeat its last one.
void sum_quads(const Target& target, const Image& plane, int y, int rows, int x, int width, uint16_t* out,
               ptrdiff_t stride) {
    const int inside = std::clamp((plane.height - y) / 2, 0, rows);
    target.sum_quads(part_of(plane, y, x, inside, width), out, stride);
    Image last = part_of(plane, plane.height - 1, x, 1, width);
    last.stride = 0;
    for (int row = inside; row < rows; ++row) target.sum_quads(last, out + row * stride, stride);
}

// Sums over blocks of quads: quads uint16 [side, count * side] -> out uint16 [count].
void sum_blocks(const uint16_t* quads, int level, int count, uint16_t* out) {
    const int side = 1 << (level - 1);
    for (int i = 0; i < count; ++i) {
        uint32_t sum = 0;
        for (int y = 0; y < side; ++y)
            for (int x = 0; x < side; ++x) sum += quads[(y * count + i) * side + x];
        out[i] = rounded(sum, level);
    }
}

// The block that the plane's right edge cuts: the last pixel of each row is repeated.
uint16_t last_block(const Image& plane, int level, int row) {
    const int side = 1 << level, x0 = plane.width >> level << level;
    uint32_t sum = 0;
    for (int y = row * side; y < (row + 1) * side; ++y) {
        const uint8_t* pixels = plane.data + std::min(y, plane.height - 1) * plane.stride;
        for (int x = x0; x < x0 + side; ++x) sum += pixels[std::min(x, plane.width - 1)];
    }
    return rounded(sum, level);
}

uint16_t* reserve(size_t size, std::unique_ptr<uint16_t[]>& memory, size_t& held) {
    if (size > held) memory.reset(new uint16_t[held = size]);
    return memory.get();
}

}  // namespace

Samples MipLevel::compute(const Target& target, const Image& plane, int level, Interval rows,
                          Interval columns) {
    const int height = rows.last - rows.first, width = columns.last - columns.first;
    uint16_t* const out =
        reserve(static_cast<size_t>(height) * width + 2 * kSlack, samples_, samples_size_) + kSlack;
    const Samples samples{out, blocks_along(plane.height, level), blocks_along(plane.width, level), rows,
                          columns};
    if (level == 0) {
        target.widen(part_of(plane, rows.first, columns.first, height, width), out, width);
        return samples;
    }
    const int side = 1 << level, y0 = rows.first * side, x0 = columns.first * side;
    const int whole = std::min(columns.last, plane.width >> level) - columns.first;
    if (level == 1) {
        sum_quads(target, plane, y0, height, x0, whole, out, width);
    } else {
        const int count = whole << (level - 1);
        uint16_t* const quads = reserve(static_cast<size_t>(count) << (level - 1), quads_, quads_size_);
        for (int row = 0; row < height; ++row) {
            sum_quads(target, plane, y0 + row * side, side / 2, x0, count, quads, count);
            sum_blocks(quads, level, whole, out + static_cast<ptrdiff_t>(row) * width);
        }
    }
    for (int row = 0; whole < width && row < height; ++row)
        out[static_cast<ptrdiff_t>(row) * width + whole] = last_block(plane, level, rows.first + row);
    return samples;
}

}  // namespace fer_edge
