// Kernels for the test of the emulator: a correct one, and one for each fault that it must detect.
#include "../values.cuh"

namespace fer_edge {
namespace cuda {
namespace {

// out[i] = x[0] + ... + x[i] for one block; uses shuffles, shared memory and a barrier.
__global__ void prefix_sums(const float* x, float* out, int count) {
    float* const sums = shared_memory<float>();
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, i = threadIdx.x;
    float value = i < count ? x[i] : 0.0f;
    for (int step = 1; step < kWarp; step *= 2) {
        const float before = __shfl_sync(kAllLanes, value, lane >= step ? lane - step : lane);
        if (lane >= step) value += before;
    }
    if (lane == kWarp - 1) sums[warp] = value;
    __syncthreads();
    for (int k = 0; k < warp; ++k) value += sums[k];
    if (i < count) out[i] = value;
}

__global__ void without_a_barrier(const float* x, float* out, int count) {
    float* const reversed = shared_memory<float>();
    const int i = threadIdx.x;
    if (i < count) reversed[i] = x[i];
    if (i < count) out[i] = reversed[count - 1 - i];
}

__global__ void without_a_wait(const float* x, float* out, int count) {
    float* const copied = shared_memory<float>();
    const int i = threadIdx.x;
    if (4 * i + 4 <= count) copy_async(copied + 4 * i, x + 4 * i);
    copy_async_commit();
    copy_async_wait<1>();
    __syncthreads();
    if (i < count) out[i] = copied[i];
}

__global__ void reads_behind(const float* x, float* out, int count) { out[0] = x[count]; }

__global__ void writes_before(const float*, float* out, int) { out[-1] = 1.0f; }

__global__ void shared_behind(const float*, float* out, int) {
    shared_memory<float>()[blockDim.x] = 1.0f;
    out[0] = 0.0f;
}

__global__ void divergent_barriers(const float*, float* out, int) {
    if (threadIdx.x == 0)
        __syncthreads();
    else
        __syncthreads();
    out[0] = 0.0f;
}

__global__ void leaves_early(const float* x, float* out, int count) {
    if (static_cast<int>(threadIdx.x) >= count) return;
    __syncthreads();
    out[threadIdx.x] = x[threadIdx.x];
}

__global__ void shuffles_alone(const float* x, float* out, int) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_xor_sync(kAllLanes, x[0], 1);
}

__global__ void blocks_talk(const float*, float* out, int count) {
    if (blockIdx.x == 0 && threadIdx.x == 0) out[0] = 1.0f;
    if (blockIdx.x == 1 && threadIdx.x == 0) out[count - 1] = out[0];
}

__global__ void misaligned(const float* x, float* out, int) {
    out[0] = reinterpret_cast<const float4*>(x + 1)->x;
}

using Kernel = void (*)(const float*, float*, int);
constexpr Kernel kKernels[] = {prefix_sums,    without_a_barrier, without_a_wait,     reads_behind,
                               writes_before,  shared_behind,     divergent_barriers, leaves_early,
                               shuffles_alone, blocks_talk,       misaligned};

}  // namespace
}  // namespace cuda
}  // namespace fer_edge

// Launches a kernel with two blocks of 64 threads and 256 bytes of shared memory per block.
extern "C" cudaError_t faulty_kernels(int kernel, const float* x, float* out, int count) {
    using namespace fer_edge::cuda;
    return launch(kKernels[kernel], 2, 64, 64 * sizeof(float), nullptr, x, out, count);
}

// c = a b + c for 16 x 16 tiles, a row-major and b column-major.
namespace fer_edge {
namespace cuda {
namespace {

template <typename T>
__global__ void multiply_tiles(const T* a, const T* b, float* c) {
    using namespace nvcuda;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, T, wmma::row_major> left;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, T, wmma::col_major> right;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
    wmma::load_matrix_sync(left, a, 16);
    wmma::load_matrix_sync(right, b, 16);
    wmma::load_matrix_sync(sum, c, 16, wmma::mem_row_major);
    wmma::mma_sync(sum, left, right, sum);
    wmma::store_matrix_sync(c, sum, 16, wmma::mem_row_major);
}

}  // namespace
}  // namespace cuda
}  // namespace fer_edge

extern "C" cudaError_t tiles(const __half* a, const __half* b, float* c) {
    return fer_edge::cuda::launch(fer_edge::cuda::multiply_tiles<__half>, 1, 32, 0, nullptr, a, b, c);
}
