#include "lanes.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {
namespace {

// The samples of a row after its whole blocks. Rows are widened to whole blocks if the plane has the pixels,
// so this is rare; noinline keeps it out of the loops.
__attribute__((noinline)) void interleave_rest(const uint8_t* upper, const uint8_t* lower, int first,
                                               int last, uint16_t* samples) {
    for (int x = first; x < last; ++x) samples[x] = static_cast<uint16_t>(upper[x] | lower[x] << 8);
}

__attribute__((noinline)) void halve_rest(const uint8_t* upper, const uint8_t* lower, int first, int last,
                                          uint8_t* out) {
    for (int x = first; x < last; ++x) {
        const int sum = upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1];
        out[x] = static_cast<uint8_t>((sum + 2) >> 2);
    }
}

inline void interleave_row(const uint8_t* upper, const uint8_t* lower, int count, uint16_t* samples) {
    int x = 0;
    for (; x <= count - kBlock; x += kBlock) interleave_block(upper + x, lower + x, samples + x);
    if (x < count) interleave_rest(upper, lower, x, count, samples);
}

inline void halve_row(const uint8_t* upper, const uint8_t* lower, int count, uint8_t* out) {
    int x = 0;
    for (; x <= count - kBlock; x += kBlock) halve_block(upper + 2 * x, lower + 2 * x, out + x);
    if (x < count) halve_rest(upper, lower, x, count, out);
}

}  // namespace

void interleave(const Image& plane, uint16_t* samples) {
    const int width = plane.width;
    const uint8_t* row = plane.data;
    for (int y = 1; y < plane.height; ++y, row += plane.stride, samples += width)
        interleave_row(row, row + plane.stride, width, samples);
    interleave_row(row, row, width, samples);
}

void halve(const Image& plane, uint8_t* out, ptrdiff_t out_stride) {
    for (int y = 0; y < plane.height / 2; ++y) {
        const uint8_t* const row = plane.data + 2 * y * plane.stride;
        halve_row(row, row + plane.stride, plane.width / 2, out + y * out_stride);
    }
}

void halve_and_interleave(const Image& plane, uint8_t* rows, uint16_t* samples) {
    const int width = plane.width / 2;
    const uint8_t* row = plane.data;
    uint8_t *above = rows, *below = rows + width;
    halve_row(row, row + plane.stride, width, above);
    for (int y = 1; y < plane.height / 2; ++y, samples += width) {
        row += 2 * plane.stride;
        halve_row(row, row + plane.stride, width, below);
        interleave_row(above, below, width, samples);
        uint8_t* const spare = above;
        above = below;
        below = spare;
    }
    interleave_row(above, above, width, samples);
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
