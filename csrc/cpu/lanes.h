// The vector types and blocks of the target being compiled. Every function is `static inline` in the target's
// own namespace and only plain C headers are included: a template or inline function shared between files
// with different flags would be merged by the linker, and the scalar target could end up running AVX2 code.
#pragma once

#include "../ops.h"

#if defined(FER_EDGE_USE_AVX2)
#include "lanes_avx2.h"
#elif defined(FER_EDGE_USE_NEON)
#include "lanes_neon.h"
#else
#include "lanes_scalar.h"
#endif
