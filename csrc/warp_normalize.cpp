// The part of warp_normalize that is the same on every target: which mip level a matrix needs, and which part
// of it.
#include <algorithm>
#include <cmath>

#include "mip_level.h"
#include "ops.h"
#include "warp_position.h"

namespace fer_edge {
namespace {

// Rows of samples are widened to a multiple of this, so that no target is left with single samples to
// compute.
constexpr int kColumnMultiple = 32;
// 64 KiB of samples stay in the nearest caches; a larger picture is made in bands of rows.
constexpr int64_t kMaxSamples = 1 << 15;

int level_from_matrix(const float* m) {
    const float pixels = std::sqrt(std::fabs(m[0] * m[4] - m[1] * m[3]));
    if (!(pixels > 2 && pixels <= 2 << kMaxLevel)) return 0;
    int level = 1;
    while (pixels > 2 << level) ++level;
    return level;
}

Affine affine_from_matrix(const float* matrix, int level) {
    const float factor = static_cast<float>(kOne) / static_cast<float>(1 << level);
    Affine affine;
    for (int i = 0; i < 6; ++i) affine.m[i] = matrix[i] * factor;
    return affine;
}

// The indices, along one axis of a grid of `length`, of every tap of a warp. Positions are monotone in x and
// in y, also after rounding, so the corners bound them.
Interval taps_from_affine(const Affine& affine, int axis, int length, const Picture& out) {
    int first = length, last = 0;
    for (const int y : {out.rows.first, out.rows.last - 1}) {
        const Line line = line_from_affine(affine, axis, y);
        for (const int x : {0, out.width - 1}) {
            const int tap = position_at(line, x, length) >> kFractionBits;
            first = std::min(first, tap);
            last = std::max(last, tap + 2);
        }
    }
    return {std::clamp(first, 0, length - 1), std::clamp(last, 1, length)};
}

Interval widened(Interval columns, int length) {
    const int count =
        (columns.last - columns.first + kColumnMultiple - 1) / kColumnMultiple * kColumnMultiple;
    return {columns.first, std::min(columns.first + count, length)};
}

// One picture by one matrix.
class Warp {
  public:
    Warp(const Target& target, const Image& plane, const float* matrix, const Tone& tone, MipLevel& memory)
        : target_(target),
          plane_(plane),
          level_(level_from_matrix(matrix)),
          affine_(affine_from_matrix(matrix, level_)),
          tone_(tone),
          memory_(memory) {}

    void fill(const Picture& out) const {
        const int height = halved(plane_.height, level_), width = halved(plane_.width, level_);
        const Interval rows = taps_from_affine(affine_, 1, height, out);
        const Interval columns = widened(taps_from_affine(affine_, 0, width, out), width);
        const int64_t samples = int64_t{rows.last - rows.first} * (columns.last - columns.first);
        if (samples > kMaxSamples && out.rows.last - out.rows.first > 1) {
            const int middle = (out.rows.first + out.rows.last) / 2;
            fill({out.data, {out.rows.first, middle}, out.width});
            fill({out.data, {middle, out.rows.last}, out.width});
            return;
        }
        target_.warp(memory_.compute(target_, plane_, level_, rows, columns), affine_, tone_, out);
    }

  private:
    const Target& target_;
    const Image& plane_;
    const int level_;
    const Affine affine_;
    const Tone& tone_;
    MipLevel& memory_;
};

}  // namespace

void warp_normalize(const Target& target, const Image& plane, const Warps& warps, const Normalisation& tone) {
    if (warps.height == 0 || warps.width == 0) return;
    const size_t pixels = static_cast<size_t>(warps.height) * warps.width;
    // The factors of 1024 are exact.
    const Tone scaled{tone.mean * kOne, tone.scale / kOne, tone.fill, tone.edge};
    // Each thread keeps some hundred kilobytes, so that warps allocate nothing.
    thread_local MipLevel memory;
    for (int n = 0; n < warps.count; ++n)
        Warp(target, plane, warps.matrices + 6 * n, scaled, memory)
            .fill({warps.out + n * pixels, {0, warps.height}, warps.width});
}

}  // namespace fer_edge
