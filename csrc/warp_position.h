// Where a warp samples: shared by the launcher, which chooses what to prepare, and the kernels. `static`, so
// that each target keeps its own copy: one compiled for AVX2 must never be linked into the scalar target.
#pragma once

#include <math.h>

#include "ops.h"

namespace fer_edge {

// Position in 1/1024 of a sample, rounded, within one sample of the grid. What is not a number counts as
// before it.
static inline int bounded_position(float position, int length) {
    const float last = static_cast<float>(length) * kOne;
    position = position > -kOne ? position : -kOne;
    position = position < last ? position : last;
    return static_cast<int>(lrintf(position));
}

// One axis of an affine along an output row: position(x) = slope * x + offset at the centre x of an output
// pixel.
struct Line {
    float slope, offset;
};

static inline Line line_from_affine(const Affine& affine, int axis, int y) {
    const float* m = affine.m + 3 * axis;
    return {m[0], m[1] * (static_cast<float>(y) + 0.5f) + m[2] - 0.5f * kOne};
}

static inline int position_at(const Line& line, int x, int length) {
    return bounded_position(line.slope * (static_cast<float>(x) + 0.5f) + line.offset, length);
}

}  // namespace fer_edge
