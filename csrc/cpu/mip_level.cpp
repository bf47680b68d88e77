#include "lanes.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {

void interleave(const Image& plane, uint16_t* samples) {
    for (int y = 0; y < plane.height; ++y, samples += plane.width) {
        const uint8_t* const upper = plane.data + y * plane.stride;
        const uint8_t* const lower = y + 1 < plane.height ? upper + plane.stride : upper;
        int x = 0;
        for (; x <= plane.width - kBlock; x += kBlock) interleave_block(upper + x, lower + x, samples + x);
        for (; x < plane.width; ++x) samples[x] = static_cast<uint16_t>(upper[x] | lower[x] << 8);
    }
}

void halve(const Image& plane, uint8_t* out, ptrdiff_t out_stride) {
    const int width = plane.width / 2;
    for (int y = 0; y + 1 < plane.height; y += 2, out += out_stride) {
        const uint8_t *const upper = plane.data + y * plane.stride, *const lower = upper + plane.stride;
        int x = 0;
        for (; x <= width - kBlock; x += kBlock) halve_block(upper + 2 * x, lower + 2 * x, out + x);
        for (; x < width; ++x)
            out[x] = static_cast<uint8_t>(
                (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1] + 2) >> 2);
    }
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
