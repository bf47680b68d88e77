// Bilinear sampling with an affine map. If all taps of a picture lie in the grid, it is sampled kLanes pixels
// at a time without checks; otherwise its rows are split into spans.
#include "../warp_position.h"
#include "lanes.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {
namespace {

constexpr int kShortSpan = 8;
// Number of output pixels whose positions are computed before they are sampled.
constexpr int kChunk = 64;

struct Row {
    Line u, v;
    float* out;
};

Row row_at(const Affine& affine, const Picture& out, int y) {
    return {line_from_affine(affine, 0, y), line_from_affine(affine, 1, y),
            out.data + static_cast<ptrdiff_t>(y) * out.width};
}

// Positions along one axis, including both ends.
struct Range {
    int first, last;
};

inline Range joined(Range a, Range b) {
    return {a.first < b.first ? a.first : b.first, a.last > b.last ? a.last : b.last};
}

// Positions are monotone, so the two ends bound the positions between them.
inline Range range_of_span(const Line& line, int length, Interval span) {
    const int a = position_at(line, span.first, length), b = position_at(line, span.last - 1, length);
    return a < b ? Range{a, b} : Range{b, a};
}

// Where the taps of a set of output pixels lie in relation to the grid.
enum class Location { kInside, kOutside, kMixed };

Location location_of(const Samples& grid, Range u, Range v) {
    const int width = grid.width * kOne, height = grid.height * kOne;
    // The tap after the position must be in the grid too.
    if (u.first >= 0 && v.first >= 0 && u.last < width - kOne && v.last < height - kOne)
        return Location::kInside;
    const bool beside = u.last <= -kOne || u.first >= width, beyond = v.last <= -kOne || v.first >= height;
    return beside || beyond ? Location::kOutside : Location::kMixed;
}

float tap(const Samples& grid, const ScaledNormalization& normalization, int column, int row) {
    const int x = column < 0 ? 0 : column >= grid.width ? grid.width - 1 : column;
    const int y = row < 0 ? 0 : row >= grid.height ? grid.height - 1 : row;
    if (!normalization.edge && (x != column || y != row)) return normalization.fill;
    const ptrdiff_t stride = grid.columns.last - grid.columns.first;
    const uint16_t pair = grid.data[(y - grid.rows.first) * stride + (x - grid.columns.first)];
    return static_cast<float>(pair & 255);
}

float sample(const Samples& grid, const ScaledNormalization& normalization, int u, int v) {
    const int x = u >> kFractionBits, y = v >> kFractionBits;
    const float across = static_cast<float>(u & (kOne - 1)), down = static_cast<float>(v & (kOne - 1)) / kOne;
    float rows[2];
    for (int k = 0; k < 2; ++k) {
        const float left = tap(grid, normalization, x, y + k), right = tap(grid, normalization, x + 1, y + k);
        rows[k] = left * kOne + (right - left) * across;
    }
    return rows[0] + (rows[1] - rows[0]) * down;
}

void warp_checked(const Samples& grid, const ScaledNormalization& normalization, const Row& row,
                  Interval span) {
    for (int x = span.first; x < span.last; ++x) {
        const int u = position_at(row.u, x, grid.width), v = position_at(row.v, x, grid.height);
        row.out[x] = (sample(grid, normalization, u, v) - normalization.mean) * normalization.scale;
    }
}

// Constants of a picture, each in every lane.
struct Constants {
    Floats u_slope, v_slope, mean, scale;
    Ints stride, first;
};

Constants constants_of(const Samples& grid, const Affine& affine, const ScaledNormalization& normalization) {
    const int stride = grid.columns.last - grid.columns.first;
    return {
        splat(affine.m[0]),         splat(affine.m[3]), splat(normalization.mean),
        splat(normalization.scale), splat(stride),      splat(grid.rows.first * stride + grid.columns.first)};
}

// Output pixels [x, x + count) of a row, at most kChunk. If count is not a multiple of the lanes, the last
// lanes overlap the lanes before.
struct Chunk {
    Row row;
    int x, count;
};

// Sample positions of a chunk, in memory: a load can read its address from memory. Moving lanes to general
// registers would occupy the port that assembles the loaded samples.
struct Positions {
    int u[kChunk], v[kChunk], offset[kChunk];
};

inline void locate_lanes(const Constants& k, const Row& row, Floats x, int at, Positions& positions) {
    const Ints u = nearest(add(mul(x, k.u_slope), splat(row.u.offset)));
    const Ints v = nearest(add(mul(x, k.v_slope), splat(row.v.offset)));
    store(positions.u + at, u);
    store(positions.v + at, v);
    store(positions.offset + at, sub(add(mul(whole(v), k.stride), whole(u)), k.first));
}

inline void locate(const Constants& k, const Row& row, int x0, int count, Positions& positions) {
    const int last = count - kLanes;
    Floats x = ramp(static_cast<float>(x0) + 0.5f);
    for (int i = 0; i <= last; i += kLanes, x = add(x, splat(static_cast<float>(kLanes))))
        locate_lanes(k, row, x, i, positions);
    if (count % kLanes != 0)
        locate_lanes(k, row, ramp(static_cast<float>(x0 + last) + 0.5f), last, positions);
}

// The arithmetic of `sample`, without checks.
inline Floats blend_lanes(const Constants& k, const uint16_t* samples, const Positions& positions, int at) {
    const Pairs weights = weights_from_fraction(fraction(load(positions.u + at)));
    const Quads quads = quads_at(samples, positions.offset + at);
    const Ints top = dot(upper_of(quads), weights), bottom = dot(lower_of(quads), weights);
    const Floats down = mul(to_floats(fraction(load(positions.v + at))), splat(1.0f / kOne));
    const Floats value = add(to_floats(top), mul(to_floats(sub(bottom, top)), down));
    return mul(sub(value, k.mean), k.scale);
}

inline void blend(const Constants& k, const uint16_t* samples, int count, const Positions& positions,
                  float* out) {
    const int last = count - kLanes;
    for (int i = 0; i <= last; i += kLanes) store(out + i, blend_lanes(k, samples, positions, i));
    if (count % kLanes != 0) store(out + last, blend_lanes(k, samples, positions, last));
}

// Samples rows x columns of `out`, whose taps are all in the grid. The positions of a chunk are computed
// before the previous chunk is blended, so that no load waits for its address.
void warp_inside(const Samples& grid, const Affine& affine, const Constants& constants, const Picture& out,
                 Interval rows, Interval columns) {
    const Constants k = constants;
    Positions positions[2];
    Chunk pending{};
    int turn = 0;
    for (int y = rows.first; y < rows.last; ++y) {
        const Row row = row_at(affine, out, y);
        for (int x = columns.first; x < columns.last; x += kChunk, turn ^= 1) {
            const int count = columns.last - x;
            const Chunk chunk = count < kLanes   ? Chunk{row, columns.last - kLanes, kLanes}
                                : count < kChunk ? Chunk{row, x, count}
                                                 : Chunk{row, x, kChunk};
            // The usual width is a multiple of kChunk: loops of fixed length.
            if (chunk.count == kChunk && pending.count == kChunk) {
                locate(k, chunk.row, chunk.x, kChunk, positions[turn]);
                blend(k, grid.data, kChunk, positions[turn ^ 1], pending.row.out + pending.x);
            } else {
                locate(k, chunk.row, chunk.x, chunk.count, positions[turn]);
                blend(k, grid.data, pending.count, positions[turn ^ 1], pending.row.out + pending.x);
            }
            pending = chunk;
        }
    }
    blend(k, grid.data, pending.count, positions[turn ^ 1], pending.row.out + pending.x);
}

// A span is halved until it lies inside the grid, outside the grid, or is short.
void warp_span(const Samples& grid, const Affine& affine, const Constants& k,
               const ScaledNormalization& normalization, const Picture& out, int y, Interval span) {
    const Row row = row_at(affine, out, y);
    const int count = span.last - span.first;
    const Range u = range_of_span(row.u, grid.width, span), v = range_of_span(row.v, grid.height, span);
    const Location location = location_of(grid, u, v);
    if (location == Location::kInside && count >= kLanes)
        return warp_inside(grid, affine, k, out, {y, y + 1}, span);
    if (location == Location::kOutside && !normalization.edge) {
        const float value = (normalization.fill * kOne - normalization.mean) * normalization.scale;
        for (int x = span.first; x < span.last; ++x) row.out[x] = value;
        return;
    }
    if (count <= kShortSpan) return warp_checked(grid, normalization, row, span);
    // Rounded up, so that neither half is empty.
    const int middle = span.first + (count / 2 + kShortSpan - 1) / kShortSpan * kShortSpan;
    warp_span(grid, affine, k, normalization, out, y, {span.first, middle});
    warp_span(grid, affine, k, normalization, out, y, {middle, span.last});
}

bool is_inside(const Samples& grid, const Affine& affine, const Picture& out) {
    const Interval all{0, out.width};
    const Row top = row_at(affine, out, out.rows.first), bottom = row_at(affine, out, out.rows.last - 1);
    const Range u = joined(range_of_span(top.u, grid.width, all), range_of_span(bottom.u, grid.width, all));
    const Range v = joined(range_of_span(top.v, grid.height, all), range_of_span(bottom.v, grid.height, all));
    return location_of(grid, u, v) == Location::kInside;
}

}  // namespace

void warp(const Samples& samples, const Affine& affine, const ScaledNormalization& normalization,
          const Picture& out) {
    const Constants k = constants_of(samples, affine, normalization);
    // Most faces lie inside the frame, so the rows need not be checked one by one.
    if (out.width >= kLanes && is_inside(samples, affine, out))
        return warp_inside(samples, affine, k, out, out.rows, {0, out.width});
    for (int y = out.rows.first; y < out.rows.last; ++y)
        warp_span(samples, affine, k, normalization, out, y, {0, out.width});
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
