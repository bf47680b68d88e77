// Eight lanes of AVX2. Ports and latencies in comments are those of Ice Lake (uops.info).
#pragma once

#include <immintrin.h>

#include "../ops.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {

using Floats = __m256;
using Ints = __m256i;
using Pairs = __m256i;
constexpr int kLanes = 8;

static inline Floats splat(float value) { return _mm256_set1_ps(value); }
static inline Ints splat(int value) { return _mm256_set1_epi32(value); }
static inline Floats ramp(float first) {
    return _mm256_add_ps(_mm256_set1_ps(first), _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
static inline Floats sub(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
static inline Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
static inline Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
static inline Ints sub(Ints a, Ints b) { return _mm256_sub_epi32(a, b); }
static inline Ints mul(Ints a, Ints b) { return _mm256_mullo_epi32(a, b); }
static inline Ints nearest(Floats a) { return _mm256_cvtps_epi32(a); }
static inline Floats to_floats(Ints a) { return _mm256_cvtepi32_ps(a); }
static inline void store(float* out, Floats a) { _mm256_storeu_ps(out, a); }
static inline bool any_at_least(const float* values, float limit) {
    return _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(values), splat(limit), _CMP_GE_OQ)) != 0;
}

// A position in 1/1024 as its whole part and the rest.
static inline Ints whole(Ints position) { return _mm256_srai_epi32(position, kFractionBits); }
static inline Ints fraction(Ints position) { return _mm256_and_si256(position, splat(kOne - 1)); }

// Two 16-bit weights in each lane: 1024 - fraction, fraction.
static inline Pairs weights_from_fraction(Ints fraction) {
    return _mm256_add_epi32(_mm256_sub_epi32(_mm256_slli_epi32(fraction, 16), fraction), splat(kOne));
}
static inline Ints dot(Pairs pairs, Pairs weights) { return _mm256_madd_epi16(pairs, weights); }

// The samples at an offset and after it, as two 16-bit halves of each lane. They are loaded one by one: since
// the microcode against Downfall (2023) a gather takes 30 to 50 cycles on the processors concerned. Each load
// is shifted so that the pair arrives in its lane; a blend then costs less than an insertion, which only one
// port can do.
template <int kLane>
static inline __m128i pair_in_lane(const uint16_t* pair) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(pair - 2 * kLane));
}
static inline __m128i four_pairs_at(const uint16_t* base, const int* offset) {
    const __m128i even =
        _mm_blend_epi32(pair_in_lane<0>(base + offset[0]), pair_in_lane<1>(base + offset[1]), 0b0010);
    const __m128i odd =
        _mm_blend_epi32(pair_in_lane<2>(base + offset[2]), pair_in_lane<3>(base + offset[3]), 0b1000);
    return _mm_blend_epi32(even, odd, 0b1100);
}
static inline Pairs pairs_at(const uint16_t* base, const int* offset) {
    return _mm256_set_m128i(four_pairs_at(base, offset + 4), four_pairs_at(base, offset));
}
static inline void store(int* out, Ints a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), a); }
static inline Ints load(const int* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

// Luma of 32 pixels; reads 4 bytes past them.
constexpr int kLumaBlock = 32;
constexpr int kLumaSlack = 2;

// Luma of pixels 0 to 3 and 16 to 19 from `bgr` on, as 32-bit values.
static inline __m256i luma_quads(const uint8_t* bgr) {
    const __m256i blue_green =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1));
    const __m256i red = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1));
    const __m256i pixels = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bgr))),
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(bgr + 48)), 1);
    const __m256i cool =
        _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, blue_green), splat(19235 << 16 | 3735));
    const __m256i warm = _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, red), splat(9798));
    const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(cool, warm), splat(1 << 14));
    return _mm256_srli_epi32(sum, 15);
}

static inline void luma_block(const uint8_t* bgr, uint8_t* luma) {
    // Packing works within halves of 128 bits, which puts pixels 0 to 15 and 16 to 31 in order.
    const __m256i first = _mm256_packus_epi32(luma_quads(bgr), luma_quads(bgr + 12));
    const __m256i second = _mm256_packus_epi32(luma_quads(bgr + 24), luma_quads(bgr + 36));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(luma), _mm256_packus_epi16(first, second));
}

// The blocks of a mip level: 16 samples.
constexpr int kSumBlock = 16;
static inline void widen_block(const uint8_t* pixels, uint16_t* out) {
    const __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), wide);
}
static inline void quad_block(const uint8_t* upper, const uint8_t* lower, uint16_t* out) {
    const __m256i ones = _mm256_set1_epi8(1);
    const __m256i top =
        _mm256_maddubs_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(upper)), ones);
    const __m256i bottom =
        _mm256_maddubs_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(lower)), ones);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_add_epi16(top, bottom));
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
