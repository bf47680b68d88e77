// Four lanes of NEON, which every 64-bit Arm processor has. There is no gather: each lane is loaded
// separately.
#pragma once

#include <arm_neon.h>
#include <string.h>

#include "../ops.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {

using Floats = float32x4_t;
using Ints = int32x4_t;
constexpr int kLanes = 4;

static inline Floats splat(float value) { return vdupq_n_f32(value); }
static inline Ints splat(int value) { return vdupq_n_s32(value); }
static inline Floats ramp(float first) {
    const float steps[4] = {0, 1, 2, 3};
    return vaddq_f32(vdupq_n_f32(first), vld1q_f32(steps));
}
static inline Floats add(Floats a, Floats b) { return vaddq_f32(a, b); }
static inline Floats sub(Floats a, Floats b) { return vsubq_f32(a, b); }
static inline Floats mul(Floats a, Floats b) { return vmulq_f32(a, b); }
static inline Ints add(Ints a, Ints b) { return vaddq_s32(a, b); }
static inline Ints sub(Ints a, Ints b) { return vsubq_s32(a, b); }
static inline Ints mul(Ints a, Ints b) { return vmulq_s32(a, b); }
static inline Ints nearest(Floats a) { return vcvtnq_s32_f32(a); }
static inline Floats to_floats(Ints a) { return vcvtq_f32_s32(a); }
static inline void store(float* out, Floats a) { vst1q_f32(out, a); }
static inline void store(int* out, Ints a) { vst1q_s32(out, a); }
static inline Ints load(const int* from) { return vld1q_s32(from); }
static inline bool any_at_least(const float* values, float limit) {
    return vmaxvq_u32(vcgeq_f32(vld1q_f32(values), splat(limit))) != 0;
}

// Integer part and rest of a position in 1/1024.
static inline Ints whole(Ints position) { return vshrq_n_s32(position, kFractionBits); }
static inline Ints fraction(Ints position) { return vandq_s32(position, splat(kOne - 1)); }

// Two 16-bit values in each lane. The weights of two neighbours are 1024 - fraction, fraction.
using Pairs = int16x8_t;
static inline Pairs weights_from_fraction(Ints fraction) {
    return vreinterpretq_s16_s32(vaddq_s32(vsubq_s32(vshlq_n_s32(fraction, 16), fraction), splat(kOne)));
}
static inline Ints dot(Pairs pairs, Pairs weights) {
    const int32x4_t low = vmull_s16(vget_low_s16(pairs), vget_low_s16(weights));
    return vpaddq_s32(low, vmull_high_s16(pairs, weights));
}

// The four taps at an offset, in the bytes of each lane: a sample, the one below it, and both of the next
// column.
using Quads = uint16x8_t;
static inline Quads quads_at(const uint16_t* base, const int* offset) {
    uint32_t quads[4];
    memcpy(quads + 0, base + offset[0], 4);
    memcpy(quads + 1, base + offset[1], 4);
    memcpy(quads + 2, base + offset[2], 4);
    memcpy(quads + 3, base + offset[3], 4);
    return vreinterpretq_u16_u32(vld1q_u32(quads));
}
static inline Pairs upper_of(Quads quads) {
    return vreinterpretq_s16_u16(vandq_u16(quads, vdupq_n_u16(255)));
}
static inline Pairs lower_of(Quads quads) { return vreinterpretq_s16_u16(vshrq_n_u16(quads, 8)); }

// Mip levels are computed in blocks of 16 samples.
constexpr int kBlock = 16;
static inline void interleave_block(const uint8_t* upper, const uint8_t* lower, uint16_t* samples) {
    const uint8x16x2_t both = {{vld1q_u8(upper), vld1q_u8(lower)}};
    vst2q_u8(reinterpret_cast<uint8_t*>(samples), both);
}
static inline uint8x8_t means_of_quads(const uint8_t* upper, const uint8_t* lower) {
    return vrshrn_n_u16(vpadalq_u8(vpaddlq_u8(vld1q_u8(upper)), vld1q_u8(lower)), 2);
}
static inline void halve_block(const uint8_t* upper, const uint8_t* lower, uint8_t* out) {
    vst1q_u8(out, vcombine_u8(means_of_quads(upper, lower), means_of_quads(upper + 16, lower + 16)));
}

// Luma of 16 pixels.
constexpr int kLumaBlock = 16;
constexpr int kLumaSlack = 0;
static inline uint16x4_t luma_quad(uint16x4_t blue, uint16x4_t green, uint16x4_t red) {
    uint32x4_t sum = vmull_n_u16(blue, 3735);
    sum = vmlal_n_u16(sum, green, 19235);
    return vrshrn_n_u32(vmlal_n_u16(sum, red, 9798), 15);
}
static inline uint8x8_t luma_half(uint8x8_t blue, uint8x8_t green, uint8x8_t red) {
    const uint16x8_t b = vmovl_u8(blue), g = vmovl_u8(green), r = vmovl_u8(red);
    const uint16x4_t low = luma_quad(vget_low_u16(b), vget_low_u16(g), vget_low_u16(r));
    return vmovn_u16(vcombine_u16(low, luma_quad(vget_high_u16(b), vget_high_u16(g), vget_high_u16(r))));
}
static inline void luma_block(const uint8_t* bgr, uint8_t* luma) {
    const uint8x16x3_t p = vld3q_u8(bgr);
    const uint8x8_t low = luma_half(vget_low_u8(p.val[0]), vget_low_u8(p.val[1]), vget_low_u8(p.val[2]));
    const uint8x8_t high = luma_half(vget_high_u8(p.val[0]), vget_high_u8(p.val[1]), vget_high_u8(p.val[2]));
    vst1q_u8(luma, vcombine_u8(low, high));
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
