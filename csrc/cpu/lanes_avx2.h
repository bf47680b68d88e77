// Eight lanes of AVX2.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "../ops.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {

using Floats = __m256;
using Ints = __m256i;
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
static inline void store(int* out, Ints a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), a); }
static inline Ints load(const int* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
static inline bool any_at_least(const float* values, float limit) {
    return _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(values), splat(limit), _CMP_GE_OQ)) != 0;
}

// Integer part and rest of a position in 1/1024.
static inline Ints whole(Ints position) { return _mm256_srai_epi32(position, kFractionBits); }
static inline Ints fraction(Ints position) { return _mm256_and_si256(position, splat(kOne - 1)); }

// Two 16-bit values in each lane. The weights of two neighbours are 1024 - fraction, fraction.
using Pairs = __m256i;
static inline Pairs weights_from_fraction(Ints fraction) {
    return _mm256_add_epi32(_mm256_sub_epi32(_mm256_slli_epi32(fraction, 16), fraction), splat(kOne));
}
static inline Ints dot(Pairs pairs, Pairs weights) { return _mm256_madd_epi16(pairs, weights); }

// The four taps at an offset, in the bytes of each lane: a sample, the one below it, and both of the next
// column. Each lane is loaded separately, because a gather takes 30 to 50 cycles on the processors with the
// microcode update against Downfall (2023).
using Quads = __m256i;
static inline int load_32(const uint16_t* from) {
    int value;
    memcpy(&value, from, 4);
    return value;
}
static inline __m128i four_quads_at(const uint16_t* base, const int* offset) {
    __m128i quads = _mm_cvtsi32_si128(load_32(base + offset[0]));
    quads = _mm_insert_epi32(quads, load_32(base + offset[1]), 1);
    quads = _mm_insert_epi32(quads, load_32(base + offset[2]), 2);
    return _mm_insert_epi32(quads, load_32(base + offset[3]), 3);
}
static inline Quads quads_at(const uint16_t* base, const int* offset) {
    return _mm256_set_m128i(four_quads_at(base, offset + 4), four_quads_at(base, offset));
}
static inline Pairs upper_of(Quads quads) { return _mm256_and_si256(quads, splat(0x00ff00ff)); }
static inline Pairs lower_of(Quads quads) { return _mm256_srli_epi16(quads, 8); }

static inline __m128i load_128(const uint8_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
static inline __m256i load_256(const uint8_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

// Mip levels are computed in blocks of 32 samples.
constexpr int kBlock = 32;
static inline void interleave_block(const uint8_t* upper, const uint8_t* lower, uint16_t* samples) {
    const __m256i top = load_256(upper), bottom = load_256(lower);
    const __m256i low = _mm256_unpacklo_epi8(top, bottom), high = _mm256_unpackhi_epi8(top, bottom);
    __m256i* const out = reinterpret_cast<__m256i*>(samples);
    _mm256_storeu_si256(out, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(low, high, 0x31));
}
static inline __m256i means_of_quads(const uint8_t* upper, const uint8_t* lower) {
    const __m256i ones = _mm256_set1_epi8(1);
    const __m256i top = _mm256_maddubs_epi16(load_256(upper), ones);
    const __m256i sum = _mm256_add_epi16(top, _mm256_maddubs_epi16(load_256(lower), ones));
    return _mm256_srli_epi16(_mm256_add_epi16(sum, _mm256_set1_epi16(2)), 2);
}
static inline void halve_block(const uint8_t* upper, const uint8_t* lower, uint8_t* out) {
    const __m256i means =
        _mm256_packus_epi16(means_of_quads(upper, lower), means_of_quads(upper + 32, lower + 32));
    // Packing works within 128-bit halves, so the quarters are in the order 0, 2, 1, 3.
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permute4x64_epi64(means, 0b11011000));
}

// Luma of 32 pixels; it reads 4 bytes after them.
constexpr int kLumaBlock = 32;
constexpr int kLumaSlack = 2;

// Luma of pixels 0 to 3 and 16 to 19, counted from `bgr`, as 32-bit values.
static inline __m256i luma_quads(const uint8_t* bgr) {
    const __m256i blue_green =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1));
    const __m256i red = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1));
    const __m256i pixels = _mm256_set_m128i(load_128(bgr + 48), load_128(bgr));
    const __m256i cool =
        _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, blue_green), splat(19235 << 16 | 3735));
    const __m256i warm = _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, red), splat(9798));
    return _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(cool, warm), splat(1 << 14)), 15);
}
static inline void luma_block(const uint8_t* bgr, uint8_t* luma) {
    // Packing works within 128-bit halves, so pixels 0 to 15 and 16 to 31 are in order.
    const __m256i first = _mm256_packus_epi32(luma_quads(bgr), luma_quads(bgr + 12));
    const __m256i second = _mm256_packus_epi32(luma_quads(bgr + 24), luma_quads(bgr + 36));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(luma), _mm256_packus_epi16(first, second));
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
