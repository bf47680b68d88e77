// The part of the CUDA C++ device API that the kernels of this folder use, for a C++ compiler.
#pragma once

// The only keyword that the toolkit's headers leave undefined for other compilers.
#define __launch_bounds__(...)

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <driver_types.h>
#include <math.h>
#include <string.h>
#include <vector_types.h>

#include <type_traits>

#include "scheduler.h"

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

// The source line identifies a barrier: all threads of a block must wait at the same one.
inline void __syncthreads(int line = __builtin_LINE()) { fer_edge::emulator::wait_for_block(line); }

inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) {
    fer_edge::emulator::exchange(mask, 0, fer_edge::emulator::lane(), line);
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source_lane, int line = __builtin_LINE()) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle moves at most eight bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = fer_edge::emulator::exchange(mask, bits, source_lane, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int line = __builtin_LINE()) {
    return __shfl_sync(mask, value, fer_edge::emulator::lane() ^ lanes, line);
}

// A lane that would read after the last lane keeps its value.
template <typename T>
T __shfl_down_sync(unsigned mask, T value, int step, int line = __builtin_LINE()) {
    const int source = fer_edge::emulator::lane() + step;
    return __shfl_sync(mask, value, source < 32 ? source : fer_edge::emulator::lane(), line);
}

template <typename T>
T __ldg(const T* address) {
    return *address;
}

inline int min(int a, int b) { return b < a ? b : a; }
inline int max(int a, int b) { return a < b ? b : a; }
inline float rsqrtf(float value) { return 1.0f / sqrtf(value); }
// The code is compiled without contraction, so each operation rounds.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fsqrt_rn(float value) { return sqrtf(value); }

namespace fer_edge {
namespace emulator {

template <typename T>
T* shared_memory() {
    return static_cast<T*>(shared_memory());
}

inline void copy_async(void* shared, const void* global) { start_copy(shared, global, 16); }
inline void copy_async_commit() { close_copies(); }
template <int kLeft>
void copy_async_wait() {
    finish_copies(kLeft);
}

inline cudaError_t shared_memory_limit(int* bytes) {
    *bytes = shared_limit();
    return cudaSuccess;
}

template <typename... Parameters>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t,
                   std::common_type_t<Parameters>... arguments) {
    return run(grid, block, shared_bytes, [=] { kernel(arguments...); });
}

}  // namespace emulator
}  // namespace fer_edge
