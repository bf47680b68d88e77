#include "mip_level.h"

#include <algorithm>

namespace fer_edge {
namespace {

Image part_of(const Image& plane, Interval rows, Interval columns) {
    return {plane.data + rows.first * plane.stride + columns.first, plane.stride, rows.last - rows.first,
            columns.last - columns.first};
}

// The pixels that give an interval of the level `halvings` above.
Interval source_of(Interval interval, int halvings, int length) {
    return {interval.first << halvings, std::min(interval.last << halvings, length)};
}

template <typename T>
T* at_least(std::vector<T>& memory, size_t size) {
    if (memory.size() < size) memory.resize(size);
    return memory.data();
}

}  // namespace

// An odd side is padded by repeating the last row or column.
Image MipLevel::halve(const Target& target, const Image& plane, std::vector<uint8_t>& memory) {
    const int height = halved(plane.height, 1), width = halved(plane.width, 1);
    uint8_t* const out = at_least(memory, static_cast<size_t>(height) * width);
    const auto row = [&](int y) { return plane.data + std::min(y, plane.height - 1) * plane.stride; };
    target.halve(plane, out, width);
    if (plane.height % 2 != 0)
        target.halve({row(plane.height - 1), 0, 2, plane.width},
                     out + static_cast<ptrdiff_t>(height - 1) * width, width);
    const int last = plane.width - 1;
    for (int y = 0; plane.width % 2 != 0 && y < height; ++y)
        out[static_cast<ptrdiff_t>(y) * width + width - 1] =
            static_cast<uint8_t>((2 * row(2 * y)[last] + 2 * row(2 * y + 1)[last] + 2) >> 2);
    return {out, width, height, width};
}

Samples MipLevel::compute(const Target& target, const Image& plane, int level, Interval rows,
                          Interval columns) {
    Image part = part_of(plane, source_of(rows, level, plane.height), source_of(columns, level, plane.width));
    for (int k = 0; k < level - 1; ++k) part = halve(target, part, halves_[k % 2]);
    const size_t size = static_cast<size_t>(rows.last - rows.first) * (columns.last - columns.first);
    uint16_t* const samples = at_least(samples_, size);
    std::vector<uint8_t>& memory = halves_[(level + 1) % 2];
    if (level > 0 && part.height % 2 == 0 && part.width % 2 == 0)
        target.halve_and_interleave(part, at_least(memory, part.width), samples);
    else
        target.interleave(level > 0 ? halve(target, part, memory) : part, samples);
    return {samples, halved(plane.height, level), halved(plane.width, level), rows, columns};
}

}  // namespace fer_edge
