// Bilinear sampling along an affine, one output row at a time. A picture whose taps all lie in the grid is
// sampled kLanes pixels at a time without a check; the rows of others are halved until a span lies within, or
// wholly outside, or is too short to matter.
#include "../warp_position.h"
#include "lanes.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {
namespace {

constexpr int kShortSpan = 8;
// Output pixels whose positions are computed before any is sampled.
constexpr int kChunk = 64;

struct Row {
    Line u, v;
    float* out;
};

Row row_at(const Affine& affine, const Picture& out, int y) {
    return {line_from_affine(affine, 0, y), line_from_affine(affine, 1, y),
            out.data + static_cast<ptrdiff_t>(y) * out.width};
}

// Positions along one axis, both ends included.
struct Range {
    int first, last;
};

inline Range joined(Range a, Range b) {
    return {a.first < b.first ? a.first : b.first, a.last > b.last ? a.last : b.last};
}

// The two ends bound the positions between them.
inline Range range_of_span(const Line& line, int length, int x0, int x1) {
    const int a = position_at(line, x0, length), b = position_at(line, x1 - 1, length);
    return a < b ? Range{a, b} : Range{b, a};
}

enum class Place { kInside, kOutside, kMixed };

Place place_of(const Samples& grid, Range u, Range v) {
    const int width = grid.width * kOne, height = grid.height * kOne;
    // The tap after the position is in the grid as well.
    if (u.first >= 0 && v.first >= 0 && u.last < width - kOne && v.last < height - kOne)
        return Place::kInside;
    const bool beside = u.last <= -kOne || u.first >= width, beyond = v.last <= -kOne || v.first >= height;
    return beside || beyond ? Place::kOutside : Place::kMixed;
}

float tap(const Samples& grid, const Tone& tone, int column, int row) {
    const int x = column < 0 ? 0 : column >= grid.width ? grid.width - 1 : column;
    const int y = row < 0 ? 0 : row >= grid.height ? grid.height - 1 : row;
    if (!tone.edge && (x != column || y != row)) return tone.fill;
    const ptrdiff_t stride = grid.columns.last - grid.columns.first;
    const uint16_t both = grid.data[(y - grid.rows.first) * stride + (x - grid.columns.first)];
    return static_cast<float>(both & 255);
}

float sample(const Samples& grid, const Tone& tone, int u, int v) {
    const int x = u >> kFractionBits, y = v >> kFractionBits;
    const float across = static_cast<float>(u & (kOne - 1)), down = static_cast<float>(v & (kOne - 1)) / kOne;
    float rows[2];
    for (int k = 0; k < 2; ++k) {
        const float left = tap(grid, tone, x, y + k), right = tap(grid, tone, x + 1, y + k);
        rows[k] = left * kOne + (right - left) * across;
    }
    return rows[0] + (rows[1] - rows[0]) * down;
}

void warp_guarded(const Samples& grid, const Tone& tone, const Row& row, int x0, int x1) {
    for (int x = x0; x < x1; ++x) {
        const int u = position_at(row.u, x, grid.width), v = position_at(row.v, x, grid.height);
        row.out[x] = (sample(grid, tone, u, v) - tone.mean) * tone.scale;
    }
}

// What the lanes need of a picture, each value in every lane.
struct Constants {
    Floats u_slope, v_slope, mean, scale;
    Ints stride, first;
};

Constants constants_of(const Samples& grid, const Affine& affine, const Tone& tone) {
    const int stride = grid.columns.last - grid.columns.first;
    return {splat(affine.m[0]), splat(affine.m[3]), splat(tone.mean),
            splat(tone.scale),  splat(stride),      splat(grid.rows.first * stride + grid.columns.first)};
}

// They go through memory because a load can take its address from there, while moving lanes to general
// registers would occupy the port that puts the loaded samples together.
struct Positions {
    int u[kChunk], v[kChunk], offset[kChunk];
};

inline void locate(const Constants& k, Floats u_offset, Floats v_offset, Floats x, int at,
                   Positions& positions) {
    const Ints u = nearest(add(mul(x, k.u_slope), u_offset));
    const Ints v = nearest(add(mul(x, k.v_slope), v_offset));
    store(positions.u + at, u);
    store(positions.v + at, v);
    store(positions.offset + at, sub(add(mul(whole(v), k.stride), whole(u)), k.first));
}

// The arithmetic of `sample`, without a guard.
inline Floats blend(const Constants& k, const uint16_t* samples, const Positions& positions, int at) {
    const Pairs weights = weights_from_fraction(fraction(load(positions.u + at)));
    const Quads quads = quads_at(samples, positions.offset + at);
    const Floats top = to_floats(dot(upper_of(quads), weights)),
                 bottom = to_floats(dot(lower_of(quads), weights));
    const Floats down = mul(to_floats(fraction(load(positions.v + at))), splat(1.0f / kOne));
    return mul(sub(add(top, mul(sub(bottom, top), down)), k.mean), k.scale);
}

// Samples x0 to x1, all of whose taps are in the grid.
void warp_inside(const Samples& grid, const Constants& constants, const Tone& tone, const Row& row, int x0,
                 int x1) {
    if (x1 - x0 < kLanes) return warp_guarded(grid, tone, row, x0, x1);
    const Constants k = constants;
    const Floats u_offset = splat(row.u.offset), v_offset = splat(row.v.offset);
    const uint16_t* const samples = grid.data;
    while (x0 < x1) {
        // A rest shorter than the lanes is sampled again with the pixels before it.
        if (x1 - x0 < kLanes) x0 = x1 - kLanes;
        const int count = (x1 - x0 < kChunk ? x1 - x0 : kChunk) / kLanes * kLanes;
        Positions positions;
        Floats x = ramp(static_cast<float>(x0) + 0.5f);
        for (int i = 0; i < count; i += kLanes, x = add(x, splat(static_cast<float>(kLanes))))
            locate(k, u_offset, v_offset, x, i, positions);
        for (int i = 0; i < count; i += kLanes) store(row.out + x0 + i, blend(k, samples, positions, i));
        x0 += count;
    }
}

void warp_span(const Samples& grid, const Constants& k, const Tone& tone, const Row& row, int x0, int x1) {
    const Range u = range_of_span(row.u, grid.width, x0, x1), v = range_of_span(row.v, grid.height, x0, x1);
    const Place place = place_of(grid, u, v);
    if (place == Place::kInside) return warp_inside(grid, k, tone, row, x0, x1);
    if (place == Place::kOutside && !tone.edge) {
        const float value = (tone.fill * kOne - tone.mean) * tone.scale;
        for (int x = x0; x < x1; ++x) row.out[x] = value;
        return;
    }
    if (x1 - x0 <= kShortSpan) return warp_guarded(grid, tone, row, x0, x1);
    // Rounded up, so that neither half is empty.
    const int middle = x0 + ((x1 - x0) / 2 + kShortSpan - 1) / kShortSpan * kShortSpan;
    warp_span(grid, k, tone, row, x0, middle);
    warp_span(grid, k, tone, row, middle, x1);
}

bool is_inside(const Samples& grid, const Affine& affine, const Picture& out) {
    const Row top = row_at(affine, out, out.rows.first), bottom = row_at(affine, out, out.rows.last - 1);
    const Range u = joined(range_of_span(top.u, grid.width, 0, out.width),
                           range_of_span(bottom.u, grid.width, 0, out.width));
    const Range v = joined(range_of_span(top.v, grid.height, 0, out.width),
                           range_of_span(bottom.v, grid.height, 0, out.width));
    return place_of(grid, u, v) == Place::kInside;
}

}  // namespace

void warp(const Samples& samples, const Affine& affine, const Tone& tone, const Picture& out) {
    const Constants k = constants_of(samples, affine, tone);
    const bool inside = is_inside(samples, affine, out);
    for (int y = out.rows.first; y < out.rows.last; ++y) {
        const Row row = row_at(affine, out, y);
        if (inside)
            warp_inside(samples, k, tone, row, 0, out.width);
        else
            warp_span(samples, k, tone, row, 0, out.width);
    }
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
