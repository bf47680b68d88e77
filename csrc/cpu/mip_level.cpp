#include "lanes.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {

void widen(const Image& plane, uint16_t* out, ptrdiff_t out_stride) {
    for (int y = 0; y < plane.height; ++y, out += out_stride) {
        const uint8_t* row = plane.data + y * plane.stride;
        int x = 0;
        for (; x <= plane.width - kSumBlock; x += kSumBlock) widen_block(row + x, out + x);
        for (; x < plane.width; ++x) out[x] = row[x];
    }
}

void sum_quads(const Image& plane, uint16_t* out, ptrdiff_t out_stride) {
    for (int y = 0; y < plane.height; ++y, out += out_stride) {
        const uint8_t *upper = plane.data + 2 * y * plane.stride, *lower = upper + plane.stride;
        int x = 0;
        for (; x <= plane.width - kSumBlock; x += kSumBlock)
            quad_block(upper + 2 * x, lower + 2 * x, out + x);
        for (; x < plane.width; ++x)
            out[x] = static_cast<uint16_t>(upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1]);
    }
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
