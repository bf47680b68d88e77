// One lane of plain C++, for every processor.
#pragma once

#include <math.h>

#include "../ops.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {

using Floats = float;
using Ints = int;
constexpr int kLanes = 1;

static inline float splat(float value) { return value; }
static inline int splat(int value) { return value; }
static inline float ramp(float first) { return first; }
static inline float add(float a, float b) { return a + b; }
static inline float sub(float a, float b) { return a - b; }
static inline float mul(float a, float b) { return a * b; }
static inline int add(int a, int b) { return a + b; }
static inline int sub(int a, int b) { return a - b; }
static inline int mul(int a, int b) { return a * b; }
static inline int nearest(float a) { return static_cast<int>(lrintf(a)); }
static inline float to_floats(int a) { return static_cast<float>(a); }
static inline void store(float* out, float a) { *out = a; }
static inline void store(int* out, int a) { *out = a; }
static inline int load(const int* from) { return *from; }
static inline bool any_at_least(const float* values, float limit) { return *values >= limit; }

// Integer part and rest of a position in 1/1024.
static inline int whole(int position) { return position >> kFractionBits; }
static inline int fraction(int position) { return position & (kOne - 1); }

// Two samples, or their weights.
struct Pairs {
    int left, right;
};
static inline Pairs weights_from_fraction(int fraction) { return {kOne - fraction, fraction}; }
static inline int dot(Pairs pair, Pairs weights) {
    return pair.left * weights.left + pair.right * weights.right;
}

// The four taps at an offset: a sample, the one below it in the high byte, and both of the next column.
struct Quads {
    int left, right;
};
static inline Quads quads_at(const uint16_t* base, const int* offset) {
    return {base[*offset], base[*offset + 1]};
}
static inline Pairs upper_of(Quads quads) { return {quads.left & 255, quads.right & 255}; }
static inline Pairs lower_of(Quads quads) { return {quads.left >> 8, quads.right >> 8}; }

// A block that the compiler can vectorize with the baseline instructions.
constexpr int kLumaBlock = 32;
constexpr int kLumaSlack = 0;
static inline void luma_block(const uint8_t* bgr, uint8_t* luma) {
    for (int i = 0; i < kLumaBlock; ++i, bgr += 3)
        luma[i] =
            static_cast<uint8_t>((3735u * bgr[0] + 19235u * bgr[1] + 9798u * bgr[2] + (1u << 14)) >> 15);
}

constexpr int kBlock = 16;
static inline void interleave_block(const uint8_t* upper, const uint8_t* lower, uint16_t* samples) {
    for (int i = 0; i < kBlock; ++i) samples[i] = static_cast<uint16_t>(upper[i] | lower[i] << 8);
}
static inline void halve_block(const uint8_t* upper, const uint8_t* lower, uint8_t* out) {
    for (int i = 0; i < kBlock; ++i, upper += 2, lower += 2)
        out[i] = static_cast<uint8_t>((upper[0] + upper[1] + lower[0] + lower[1] + 2) >> 2);
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
