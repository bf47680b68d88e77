// The prefilter of warp_normalize: computes the part of a mip level that a warp reads.
#pragma once

#include <stdint.h>

#include <vector>

#include "ops.h"

namespace fer_edge {

// The length of an axis after `level` halvings.
inline int halved(int length, int level) { return (length + (1 << level) - 1) >> level; }

// It reuses its memory in later calls.
class MipLevel {
  public:
    Samples compute(const Target& target, const Image& plane, int level, Interval rows, Interval columns);

  private:
    Image halve(const Target& target, const Image& plane, std::vector<uint8_t>& memory);

    std::vector<uint8_t> halves_[2];
    std::vector<uint16_t> samples_;
};

}  // namespace fer_edge
