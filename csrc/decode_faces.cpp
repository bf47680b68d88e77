#include "decode_faces.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace fer_edge {
namespace {

constexpr float kMaxLogSide = 8.0f;
// Coordinates from here on are not real, and their squares and products would overflow in later stages.
constexpr float kMaxPosition = 1 << 24;

struct Proposal {
    float logit;
    DecodedFace face;
};

float limit_from_threshold(double threshold) {
    if (threshold >= 1) return std::numeric_limits<float>::infinity();
    return static_cast<float>(std::log(threshold / (1 - threshold)));
}

float side_from_log(float log_side, float half_stride) {
    // This comparison keeps a NaN.
    const float bounded = log_side > kMaxLogSide ? kMaxLogSide : log_side;
    return static_cast<float>(std::exp(static_cast<double>(bounded))) * half_stride;
}

bool all_real(const DecodedFace& face) {
    // False for NaN.
    const auto real = [](float value) { return std::fabs(value) < kMaxPosition; };
    return std::all_of(face.box, face.box + 4, real) &&
           std::all_of(face.landmarks, face.landmarks + 10, real);
}

Proposal proposal_from_cell(const FaceMap& map, int stride, int32_t cell) {
    const size_t cells = static_cast<size_t>(map.height) * map.width;
    const auto value = [&](int channel) { return map.data[channel * cells + cell]; };
    const float step = static_cast<float>(stride);
    const float centre[2] = {(static_cast<float>(cell % map.width) + 0.5f) * step,
                             (static_cast<float>(cell / map.width) + 0.5f) * step};
    Proposal proposal{value(0), {}};
    for (int axis = 0; axis < 2; ++axis) {
        const float middle = centre[axis] + value(1 + axis) * step;
        const float half = side_from_log(value(3 + axis), step / 2);
        proposal.face.box[axis] = middle - half;
        proposal.face.box[axis + 2] = middle + half;
        for (int point = 0; point < 5; ++point)
            proposal.face.landmarks[2 * point + axis] = centre[axis] + value(5 + 2 * point + axis) * step;
    }
    return proposal;
}

std::vector<Proposal> find_proposals(const Target& target, const FaceMap (&maps)[3], float limit) {
    std::vector<Proposal> proposals;
    std::vector<int32_t> cells;
    for (int level = 0; level < 3; ++level) {
        const FaceMap& map = maps[level];
        cells.resize(std::max(cells.size(), static_cast<size_t>(map.height) * map.width));
        const int found = target.find_cells(map.data, map.height * map.width, limit, cells.data());
        for (int i = 0; i < found; ++i) {
            const Proposal proposal = proposal_from_cell(map, kStrides[level], cells[i]);
            if (all_real(proposal.face)) proposals.push_back(proposal);
        }
    }
    std::stable_sort(proposals.begin(), proposals.end(),
                     [](const Proposal& a, const Proposal& b) { return a.logit > b.logit; });
    return proposals;
}

std::vector<int32_t> distinct(const Target& target, const std::vector<Proposal>& proposals, float overlap) {
    const size_t count = proposals.size();
    std::vector<float> sides(5 * count);
    float* const left = sides.data();
    float *const top = left + count, *const right = top + count, *const bottom = right + count;
    float* const area = bottom + count;
    for (size_t i = 0; i < count; ++i) {
        const float* box = proposals[i].face.box;
        left[i] = box[0], top[i] = box[1], right[i] = box[2], bottom[i] = box[3];
        area[i] = (box[2] - box[0]) * (box[3] - box[1]);
    }
    std::vector<int32_t> dropped(count), kept(count);
    const Boxes boxes{left, top, right, bottom, area, static_cast<int>(count)};
    kept.resize(target.keep_distinct(boxes, overlap, dropped.data(), kept.data()));
    return kept;
}

}  // namespace

std::vector<DecodedFace> decode_faces(const Target& target, const FaceMap (&maps)[3], double threshold,
                                      double overlap) {
    const std::vector<Proposal> proposals = find_proposals(target, maps, limit_from_threshold(threshold));
    std::vector<DecodedFace> faces;
    for (const int32_t index : distinct(target, proposals, static_cast<float>(overlap))) {
        faces.push_back(proposals[index].face);
        faces.back().score =
            static_cast<float>(1 / (1 + std::exp(-static_cast<double>(proposals[index].logit))));
    }
    return faces;
}

}  // namespace fer_edge
