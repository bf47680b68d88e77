// The operations and what a target must provide for them. The definitions of the operations, with the units
// and conventions of every argument, are in fer_edge/ops/reference.py.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace fer_edge {

constexpr int kFractionBits = 10;
constexpr int kOne = 1 << kFractionBits;
constexpr int kMaxLevel = 6;
constexpr int kMapChannels = 15;
constexpr int kStrides[3] = {8, 16, 32};

// uint8 [height, width] or [height, width, 3]; rows are `stride` bytes apart, upwards if negative.
struct Image {
    const uint8_t* data;
    ptrdiff_t stride;
    int height, width;
};

// [first, last)
struct Interval {
    int first, last;
};

// The part rows x columns of a grid of height x width samples, contiguous. Everything that a warp can read
// lies in the part. A sample stands in the low byte and the one below it in the high byte, so that one load
// of 32 bits fetches the four taps of a bilinear sample.
struct Samples {
    const uint16_t* data;
    int height, width;
    Interval rows, columns;
};

// The centre of output pixel (x, y) lies at (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]) in 1/1024 of a
// sample, for (x, y) its continuous coordinates.
struct Affine {
    float m[6];
};

// Rows of a float32 [..., width] picture, contiguous; `data` is its row 0.
struct Picture {
    float* data;
    Interval rows;
    int width;
};

// output = (value - mean) * scale in the units of the value, which is a sample times 1024. Taps outside the
// grid read the nearest sample if `edge`, else `fill`, in the units of a sample.
struct Tone {
    float mean, scale, fill;
    bool edge;
};

// Struct of arrays, each float32 [count], best box first.
struct Boxes {
    const float *left, *top, *right, *bottom, *area;
    int count;
};

// The kernels of one instruction set. Pointers do not overlap; nothing is checked.
struct Target {
    const char* name;
    // bgr uint8 [H, W, 3] -> luma uint8 [H, W] with rows `luma_stride` bytes apart
    void (*luma_from_bgr)(const Image& bgr, uint8_t* luma, ptrdiff_t luma_stride);
    // plane uint8 [H, W] -> samples uint16 [H, W], contiguous; below the last row stands the last row
    void (*interleave)(const Image& plane, uint16_t* samples);
    // plane uint8 [2 H, 2 W] -> rounded means of 2 x 2 pixels, uint8 [H, W] with rows `out_stride` bytes
    // apart
    void (*halve)(const Image& plane, uint8_t* out, ptrdiff_t out_stride);
    // Both at once: plane uint8 [2 H, 2 W] -> samples uint16 [H, W]; `rows` is scratch, uint8 [2, W]
    void (*halve_and_interleave)(const Image& plane, uint8_t* rows, uint16_t* samples);
    // samples -> the rows of `out`
    void (*warp)(const Samples& samples, const Affine& affine, const Tone& tone, const Picture& out);
    // logits float32 [count] -> indices int32 [returned] of those that are at least `limit`, ascending
    int (*find_cells)(const float* logits, int count, float limit, int32_t* cells);
    // boxes -> indices int32 [returned] of those that no kept one before them overlaps by more than
    // `overlap`; `dropped` is scratch, int32 [count]
    int (*keep_distinct)(const Boxes& boxes, float overlap, int32_t* dropped, int32_t* kept);
};

// Those that this machine can run, best first.
struct TargetList {
    const Target* const* first;
    int count;
};
TargetList runnable_targets();
const Target* target_from_name(const char* name);  // nullptr if this machine cannot run it

// matrices float32 [count, 2, 3], out float32 [count, 1, height, width]
struct Warps {
    const float* matrices;
    float* out;
    int count, height, width;
};
// In grey levels.
struct Normalisation {
    float mean, scale, fill;
    bool edge;
};
void warp_normalize(const Target& target, const Image& plane, const Warps& warps, const Normalisation& tone);

}  // namespace fer_edge
