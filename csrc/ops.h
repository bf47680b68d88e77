// The operations and the kernels that a target provides for them. fer_edge/ops/reference.py defines the
// operations, with the units and conventions of every argument.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace fer_edge {

constexpr int kFractionBits = 10;
constexpr int kOne = 1 << kFractionBits;
constexpr int kMaxLevel = 6;
constexpr int kMapChannels = 15;
constexpr int kStrides[3] = {8, 16, 32};

// uint8 [height, width] or [height, width, 3]; rows are `stride` bytes apart; a negative stride means
// bottom-up.
struct Image {
    const uint8_t* data;
    ptrdiff_t stride;
    int height, width;
};

// [first, last)
struct Interval {
    int first, last;
};

// The part rows x columns of a grid of height x width samples, contiguous. It contains every sample that a
// warp can read. The low byte is a sample and the high byte the sample below it, so that one 32-bit load
// fetches the four taps of a bilinear sample.
struct Samples {
    const uint16_t* data;
    int height, width;
    Interval rows, columns;
};

// Output coordinates (x, y), continuous, map to (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]) in 1/1024 of
// a sample.
struct Affine {
    float m[6];
};

// Rows of a float32 [..., width] picture, contiguous; `data` is its row 0.
struct Picture {
    float* data;
    Interval rows;
    int width;
};

// Normalization in scaled units: output = (value - mean) * scale, where the value is a sample times 1024.
// Taps outside the grid read the nearest sample if `edge`, else `fill`, which is in the units of a sample.
struct ScaledNormalization {
    float mean, scale, fill;
    bool edge;
};

// Struct of arrays float32 [count], best box first.
struct Boxes {
    const float *left, *top, *right, *bottom, *area;
    int count;
};

// The kernels of one instruction set. Pointers do not overlap; nothing is checked.
struct Target {
    const char* name;
    // bgr uint8 [H, W, 3] -> luma uint8 [H, W] with rows `luma_stride` bytes apart
    void (*luma_from_bgr)(const Image& bgr, uint8_t* luma, ptrdiff_t luma_stride);
    // plane uint8 [H, W] -> samples uint16 [H, W], contiguous; the row below the last row is the last row
    void (*interleave)(const Image& plane, uint16_t* samples);
    // plane uint8 [2 H, 2 W] -> rounded means of 2 x 2 pixels, uint8 [H, W] with rows `out_stride` bytes
    // apart
    void (*halve)(const Image& plane, uint8_t* out, ptrdiff_t out_stride);
    // halve and interleave in one pass: plane uint8 [2 H, 2 W] -> samples uint16 [H, W]; `rows` is scratch,
    // uint8 [2, W]
    void (*halve_and_interleave)(const Image& plane, uint8_t* rows, uint16_t* samples);
    // samples -> the rows of `out`
    void (*warp)(const Samples& samples, const Affine& affine, const ScaledNormalization& normalization,
                 const Picture& out);
    // logits float32 [count] -> indices int32 [returned] of those that are at least `limit`, ascending
    int (*find_cells)(const float* logits, int count, float limit, int32_t* cells);
    // boxes -> indices int32 [returned] of the boxes that no kept box before them overlaps by more than
    // `overlap`; `dropped` is scratch, int32 [count]
    int (*keep_distinct)(const Boxes& boxes, float overlap, int32_t* dropped, int32_t* kept);
};

// The targets that this machine can run, best first.
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
// Normalization in grey levels: output = (sample - mean) * scale.
struct Normalization {
    float mean, scale, fill;
    bool edge;
};
void warp_normalize(const Target& target, const Image& plane, const Warps& warps,
                    const Normalization& normalization);

}  // namespace fer_edge
