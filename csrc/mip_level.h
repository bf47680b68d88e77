// The prefilter of warp_normalize: the part of a mip level that a warp reads.
#pragma once

#include <memory>

#include "ops.h"

namespace fer_edge {

// The number of blocks of 2^level pixels that cover so many pixels.
inline int blocks_along(int pixels, int level) { return (pixels + (1 << level) - 1) >> level; }

// Samples are sums over blocks of 2^level pixels a side; past level 3 they are kept in units of 1/64 grey
// level, because with more than 14 bits their product with a weight would not be exact in a float32.
inline int bits_dropped(int level) { return level > 3 ? 2 * level - 6 : 0; }

// Keeps its memory from one call to the next.
class MipLevel {
  public:
    Samples compute(const Target& target, const Image& plane, int level, Interval rows, Interval columns);

  private:
    std::unique_ptr<uint16_t[]> samples_, quads_;
    size_t samples_size_ = 0, quads_size_ = 0;
};

}  // namespace fer_edge
