// Launch and synchronization of all kernels in this folder. Compiled by nvcc, kernels run on a device.
// Compiled by a C++ compiler with FER_EDGE_EMULATED, they run on the CPU, where emulator/ checks them.
//
// The emulator requires that a kernel gets its shared memory from shared_memory() only, calls barriers and
// shuffles with all threads of the block or mask, and does not return before the last barrier of the block.
#pragma once

#include <type_traits>

#include "ops.h"

#ifdef FER_EDGE_EMULATED
#include "emulator/device.h"
#include "emulator/wmma.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <mma.h>
#endif

namespace fer_edge {
namespace cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

#ifdef FER_EDGE_EMULATED
using emulator::copy_async;
using emulator::copy_async_commit;
using emulator::copy_async_wait;
using emulator::launch;
using emulator::shared_memory;
using emulator::shared_memory_limit;
constexpr int kArchitecture = FER_EDGE_EMULATED;
#else
#ifdef __CUDA_ARCH__
constexpr int kArchitecture = __CUDA_ARCH__;
#else
constexpr int kArchitecture = 0;  // in host code
#endif

// The dynamic shared memory of the block, aligned to 32 bytes.
template <typename T>
__device__ inline T* shared_memory() {
    extern __shared__ __align__(32) unsigned char fer_edge_shared[];
    return reinterpret_cast<T*>(fer_edge_shared);
}

// Starts a copy of 16 bytes to shared memory; both addresses are multiples of 16. Before compute
// capability 8.0 the copy is synchronous.
__device__ inline void copy_async(void* shared, const void* global) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    const unsigned target = static_cast<unsigned>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(target), "l"(global) : "memory");
#else
    *static_cast<uint4*>(shared) = *static_cast<const uint4*>(global);
#endif
}

// Closes the group of copies that this thread has started.
__device__ inline void copy_async_commit() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most the kLeft latest groups of this thread are pending. Other threads may read the data
// only after a barrier.
template <int kLeft>
__device__ inline void copy_async_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
#endif
}

// The maximum shared memory of a block on the current device, in bytes.
inline cudaError_t shared_memory_limit(int* bytes) {
    int device = 0;
    const cudaError_t error = cudaGetDevice(&device);
    if (error != cudaSuccess) return error;
    return cudaDeviceGetAttribute(bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
}

// Launches the kernel; the arguments have the types of its parameters. More than 48 KiB of shared memory must
// be requested. An error is also cleared in the CUDA runtime, so that a later call does not report it again.
template <typename... Parameters>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                   cudaStream_t stream, std::common_type_t<Parameters>... arguments) {
    constexpr size_t kDefaultSharedBytes = 48 * 1024;
    const void* const function = reinterpret_cast<const void*>(kernel);
    cudaError_t error = cudaSuccess;
    if (shared_bytes > kDefaultSharedBytes)
        error = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     static_cast<int>(shared_bytes));
    void* pointers[] = {&arguments...};
    if (error == cudaSuccess) error = cudaLaunchKernel(function, grid, block, pointers, shared_bytes, stream);
    const cudaError_t last = cudaGetLastError();
    return error != cudaSuccess ? error : last;
}
#endif

// Whether the tensor cores of the architecture support T; for device code.
template <typename T>
__device__ constexpr bool has_tensor_cores() {
    return (sizeof(T) == 2 && kArchitecture >= 800);
}
template <>
__device__ constexpr bool has_tensor_cores<__half>() {
    return kArchitecture >= 700;
}

// Calls function(T()) for the type T of a map.
template <typename Function>
cudaError_t dispatch(DType dtype, Function function) {
    switch (dtype) {
        case DType::kF32:
            return function(float());
        case DType::kF16:
            return function(__half());
        case DType::kBF16:
            return function(__nv_bfloat16());
        default:
            return cudaErrorInvalidValue;
    }
}

inline int divided_up(int64_t count, int block) { return static_cast<int>((count + block - 1) / block); }

}  // namespace cuda
}  // namespace fer_edge
