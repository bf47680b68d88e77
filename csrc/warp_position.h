// Sample positions of a warp, used by the kernels and by the code that selects the samples to prepare. The
// functions are `static`, so each target has its own copy: AVX2 code must never be linked into the scalar
// target.
#pragma once

#include <math.h>

#include "ops.h"

namespace fer_edge {

// Position in 1/1024 of a sample, rounded and clamped to one sample around the grid. NaN becomes the position
// before the grid.
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
