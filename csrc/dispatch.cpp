// The compiled targets and those that this processor can run, determined once.
#include <string.h>

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

struct Runnable {
    const Target* targets[3];
    int count = 0;

    Runnable() {
#if defined(__x86_64__)
        // This also checks that the operating system saves the wide registers.
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
            targets[count++] = &avx2::kTarget;
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
