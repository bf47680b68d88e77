// The vector types and blocks of the target that is compiled. Every function is `static inline` in the
// namespace of the target, and only plain C headers are included. Otherwise the linker would merge a template
// or inline function that is compiled with different flags, and the scalar target could run AVX2 code.
#pragma once

#include "../ops.h"

#if defined(FER_EDGE_USE_AVX2)
#include "lanes_avx2.h"
#elif defined(FER_EDGE_USE_NEON)
#include "lanes_neon.h"
#else
#include "lanes_scalar.h"
#endif
