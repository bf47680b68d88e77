#include "lanes.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {
namespace {

// Calls block(x) so that blocks cover [0, count), the last one overlapping the one before it. Returns where
// single samples have to start: at 0 if there are too few for a block.
template <typename Block>
inline int cover(int count, Block block) {
    if (count < kBlock) return 0;
    for (int x = 0; x < count - kBlock; x += kBlock) block(x);
    block(count - kBlock);
    return count;
}

void interleave_row(const uint8_t* upper, const uint8_t* lower, int count, uint16_t* samples) {
    const auto block = [&](int x) { interleave_block(upper + x, lower + x, samples + x); };
    for (int x = cover(count, block); x < count; ++x)
        samples[x] = static_cast<uint16_t>(upper[x] | lower[x] << 8);
}

void halve_row(const uint8_t* upper, const uint8_t* lower, int count, uint8_t* out) {
    const auto block = [&](int x) { halve_block(upper + 2 * x, lower + 2 * x, out + x); };
    for (int x = cover(count, block); x < count; ++x) {
        const int sum = upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1];
        out[x] = static_cast<uint8_t>((sum + 2) >> 2);
    }
}

}  // namespace

void interleave(const Image& plane, uint16_t* samples) {
    const uint8_t* row = plane.data;
    for (int y = 0; y < plane.height; ++y, samples += plane.width) {
        const uint8_t* const lower = y + 1 < plane.height ? row + plane.stride : row;
        interleave_row(row, lower, plane.width, samples);
        row = lower;
    }
}

void halve(const Image& plane, uint8_t* out, ptrdiff_t out_stride) {
    for (int y = 0; y < plane.height / 2; ++y) {
        const uint8_t* const row = plane.data + 2 * y * plane.stride;
        halve_row(row, row + plane.stride, plane.width / 2, out + y * out_stride);
    }
}

void halve_and_interleave(const Image& plane, uint8_t* rows, uint16_t* samples) {
    const int width = plane.width / 2;
    uint8_t *above = rows, *current = rows + width;
    halve_row(plane.data, plane.data + plane.stride, width, above);
    for (int y = 1; y < plane.height / 2; ++y, samples += width) {
        const uint8_t* const upper = plane.data + 2 * y * plane.stride;
        const uint8_t* const lower = upper + plane.stride;
        // One loop for both: the halves are interleaved while they are in registers.
        const bool covered = cover(width, [&](int x) {
            halve_block(upper + 2 * x, lower + 2 * x, current + x);
            interleave_block(above + x, current + x, samples + x);
        });
        if (!covered) {
            halve_row(upper, lower, width, current);
            interleave_row(above, current, width, samples);
        }
        uint8_t* const spare = above;
        above = current;
        current = spare;
    }
    interleave_row(above, above, width, samples);
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
