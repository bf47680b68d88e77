// The part of decode_faces that is the same on every target.
#pragma once

#include <vector>

#include "ops.h"

namespace fer_edge {

// float32 [15, height, width], contiguous.
struct FaceMap {
    const float* data;
    int height, width;
};

struct DecodedFace {
    float box[4];
    float landmarks[10];
    float score;
};

std::vector<DecodedFace> decode_faces(const Target& target, const FaceMap (&maps)[3], double threshold,
                                      double overlap);

}  // namespace fer_edge
