// The part of warp_normalize that is the same for all targets: selects the mip level of a matrix and the part
// of it that is read.
#include <algorithm>
#include <cmath>

#include "mip_level.h"
#include "ops.h"
#include "warp_position.h"

namespace fer_edge {
namespace {

// Rows of samples are widened to a multiple of this, so that targets compute whole blocks.
constexpr int kColumnMultiple = 32;
// 64 KiB of samples stay in the nearest caches; a larger picture is computed in bands of rows.
constexpr int64_t kMaxSamples = 1 << 15;
// Pixels of the plane that a band may reduce to its samples. It bounds the memory that a thread keeps.
constexpr int64_t kMaxSource = 1 << 22;

int level_from_matrix(const float* m) {
    const float pixels = std::sqrt(std::fabs(m[0] * m[4] - m[1] * m[3]));
    if (!std::isfinite(pixels)) return 0;
    int level = 0;
    while (level < kMaxLevel && pixels > 2 << level) ++level;
    return level;
}

Affine affine_from_matrix(const float* matrix, int level) {
    const float factor = static_cast<float>(kOne) / static_cast<float>(1 << level);
    Affine affine;
    for (int i = 0; i < 6; ++i) affine.m[i] = matrix[i] * factor;
    return affine;
}

// The interval of all taps of a warp along one axis of a grid of `length`. Positions are monotone in x and in
// y, also after rounding, so the corners bound them.
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

// Samples one picture with one matrix.
class Warp {
  public:
    Warp(const Target& target, const Image& plane, const float* matrix,
         const ScaledNormalization& normalization, MipLevel& memory)
        : target_(target),
          plane_(plane),
          level_(level_from_matrix(matrix)),
          affine_(affine_from_matrix(matrix, level_)),
          normalization_(normalization),
          memory_(memory) {}

    void fill(const Picture& out) const {
        const int height = halved(plane_.height, level_), width = halved(plane_.width, level_);
        const Interval rows = taps_from_affine(affine_, 1, height, out);
        const Interval columns = widened(taps_from_affine(affine_, 0, width, out), width);
        const int64_t samples = int64_t{rows.last - rows.first} * (columns.last - columns.first);
        const bool is_large = samples > kMaxSamples || (samples << 2 * level_) > kMaxSource;
        if (is_large && out.rows.last - out.rows.first > 1) {
            const int middle = (out.rows.first + out.rows.last) / 2;
            fill({out.data, {out.rows.first, middle}, out.width});
            fill({out.data, {middle, out.rows.last}, out.width});
            return;
        }
        target_.warp(memory_.compute(target_, plane_, level_, rows, columns), affine_, normalization_, out);
    }

  private:
    const Target& target_;
    const Image& plane_;
    const int level_;
    const Affine affine_;
    const ScaledNormalization& normalization_;
    MipLevel& memory_;
};

}  // namespace

void warp_normalize(const Target& target, const Image& plane, const Warps& warps,
                    const Normalization& normalization) {
    if (warps.height == 0 || warps.width == 0) return;
    const size_t pixels = static_cast<size_t>(warps.height) * warps.width;
    // Scaling by 1024 is exact.
    const ScaledNormalization scaled{normalization.mean * kOne, normalization.scale / kOne,
                                     normalization.fill, normalization.edge};
    // Each thread keeps up to 1.5 MB, so that later warps allocate nothing.
    thread_local MipLevel memory;
    for (int n = 0; n < warps.count; ++n)
        Warp(target, plane, warps.matrices + 6 * n, scaled, memory)
            .fill({warps.out + n * pixels, {0, warps.height}, warps.width});
}

}  // namespace fer_edge
