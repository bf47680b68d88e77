// BT.601 luma in 15-bit fixed point, with the coefficients and the rounding of OpenCV.
#include <string.h>

#include "lanes.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {
namespace {

void luma_row(const uint8_t* bgr, ptrdiff_t count, uint8_t* luma) {
    ptrdiff_t i = 0;
    for (; i <= count - kLumaBlock - kLumaSlack; i += kLumaBlock) luma_block(bgr + 3 * i, luma + i);
    while (i < count) {
        // The rest is copied first, because a block reads a few bytes after its last pixel.
        const ptrdiff_t rest = count - i < kLumaBlock ? count - i : kLumaBlock;
        uint8_t source[3 * (kLumaBlock + kLumaSlack)] = {0}, result[kLumaBlock];
        memcpy(source, bgr + 3 * i, 3 * rest);
        luma_block(source, result);
        memcpy(luma + i, result, rest);
        i += rest;
    }
}

}  // namespace

void luma_from_bgr(const Image& bgr, uint8_t* luma, ptrdiff_t luma_stride) {
    if (bgr.stride == 3 * static_cast<ptrdiff_t>(bgr.width) && luma_stride == bgr.width)
        return luma_row(bgr.data, static_cast<ptrdiff_t>(bgr.height) * bgr.width, luma);
    for (int y = 0; y < bgr.height; ++y)
        luma_row(bgr.data + y * bgr.stride, bgr.width, luma + y * luma_stride);
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
