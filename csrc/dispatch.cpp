// The compiled targets and those that this processor can run, determined once.
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "ops.h"

#define FER_EDGE_DECLARE(target)                                                                \
    namespace target {                                                                          \
    void luma_from_bgr(const Image&, uint8_t*, ptrdiff_t);                                      \
    void interleave(const Image&, uint16_t*);                                                   \
    void halve(const Image&, uint8_t*, ptrdiff_t);                                              \
    void halve_and_interleave(const Image&, uint8_t*, uint16_t*);                               \
    void warp(const Samples&, const Affine&, const ScaledNormalization&, const Picture&);       \
    int find_cells(const float*, int, float, int32_t*);                                         \
    int keep_distinct(const Boxes&, float, int32_t*, int32_t*);                                 \
    constexpr Target kTarget{#target, luma_from_bgr, interleave,   halve, halve_and_interleave, \
                             warp,    find_cells,    keep_distinct};                            \
    }

namespace fer_edge {

FER_EDGE_DECLARE(scalar)
#if defined(__x86_64__)
FER_EDGE_DECLARE(avx2)
#elif defined(__aarch64__)
FER_EDGE_DECLARE(neon)
#endif

namespace {

#if defined(__x86_64__)
// Whether the processor has AVX2 and FMA, and the operating system saves their registers. Not by
// __builtin_cpu_supports, which finds nothing in what the compiler of the wheels (ziglang) links.
bool has_avx2() {
    constexpr unsigned kNeeded = bit_FMA | bit_OSXSAVE | bit_AVX;
    constexpr unsigned kSaved = 6;  // SSE's and AVX's registers, in XCR0
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & kNeeded) != kNeeded) return false;
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & kSaved) == kSaved && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}
#endif

struct Runnable {
    const Target* targets[3];
    int count = 0;

    Runnable() {
#if defined(__x86_64__)
        if (has_avx2()) targets[count++] = &avx2::kTarget;
#elif defined(__aarch64__)
        targets[count++] = &neon::kTarget;
#endif
        targets[count++] = &scalar::kTarget;
    }
};

const Runnable& runnable() {
    static const Runnable once;
    return once;
}

}  // namespace

TargetList runnable_targets() { return {runnable().targets, runnable().count}; }

const Target* target_from_name(const char* name) {
    for (int i = 0; i < runnable().count; ++i)
        if (strcmp(runnable().targets[i]->name, name) == 0) return runnable().targets[i];
    return nullptr;
}

}  // namespace fer_edge
