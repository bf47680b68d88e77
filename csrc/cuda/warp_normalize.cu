// Samples N pictures from one plane, one thread per output pixel; bitwise equal to
// fer_edge/ops/reference.py::warp_normalize. Every product and sum is rounded separately. The reference
// computes each level of the mip map for the whole plane; here a sample of a level is computed where it is
// read.
//
// Threads share nothing: neighbours along x read neighbouring taps, which are in the L1 cache.
#include "values.cuh"

namespace fer_edge {
namespace cuda {
namespace {

constexpr int kFractionBits = 10;
constexpr int kOne = 1 << kFractionBits;
constexpr int kMaxLevel = 6;
constexpr int kTileHeight = 4;
// Minimum number of blocks per multiprocessor; with a larger number the compiler would spill registers.
constexpr int kBlocks = 8;

__device__ inline int halved(int length, int level) { return (length + (1 << level) - 1) >> level; }

// Four pixels of a row, the first in the lowest byte. One load reads them if all rows of the plane are
// aligned to four bytes; `column` is a multiple of four.
__device__ inline uint32_t four_pixels(const Plane& plane, bool aligned, int row, int column) {
    const uint8_t* const first = plane.data + row * plane.stride + column;
    if (aligned) return __ldg(reinterpret_cast<const uint32_t*>(first));
    return __ldg(first) | __ldg(first + 1) << 8 | __ldg(first + 2) << 16 |
           static_cast<uint32_t>(__ldg(first + 3)) << 24;
}

// The rounded means of the 2 x 2 pixels on the left and on the right, in the low bytes of the two halves.
__device__ inline uint32_t means_of_quads(uint32_t upper, uint32_t lower) {
    constexpr uint32_t kEven = 0x00ff00ffu;
    const uint32_t sums = (upper & kEven) + (upper >> 8 & kEven) + (lower & kEven) + (lower >> 8 & kEven);
    return (sums + 0x00020002u) >> 2 & kEven;
}

// Pixel (row, column) of a level, if all pixels of the plane under it exist.
template <int kLevel>
struct Inside {
    __device__ static int at(const Plane& plane, bool aligned, int row, int column) {
        int sum = 2;
#pragma unroll 1
        for (int k = 0; k < 4; ++k)
            sum += Inside<kLevel - 1>::at(plane, aligned, 2 * row + k / 2, 2 * column + k % 2);
        return sum >> 2;
    }
};

template <>
struct Inside<2> {
    __device__ static int at(const Plane& plane, bool aligned, int row, int column) {
        uint32_t rows[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) rows[k] = four_pixels(plane, aligned, 4 * row + k, 4 * column);
        const uint32_t sums = means_of_quads(rows[0], rows[1]) + means_of_quads(rows[2], rows[3]);
        return static_cast<int>((sums & 0xffffu) + (sums >> 16) + 2) >> 2;
    }
};

template <>
struct Inside<1> {
    __device__ static int at(const Plane& plane, bool, int row, int column) {
        const uint8_t* const upper = plane.data + 2 * row * plane.stride + 2 * column;
        const uint8_t* const lower = upper + plane.stride;
        return (__ldg(upper) + __ldg(upper + 1) + __ldg(lower) + __ldg(lower + 1) + 2) >> 2;
    }
};

template <>
struct Inside<0> {
    __device__ static int at(const Plane& plane, bool, int row, int column) {
        return __ldg(plane.data + row * plane.stride + column);
    }
};

// Any pixel of a level. At each level, an odd side is padded by repeating the last row or column.
template <int kLevel>
struct Guarded {
    __device__ static int at(const Plane& plane, int row, int column) {
        const int last_row = halved(plane.height, kLevel - 1) - 1;
        const int last_column = halved(plane.width, kLevel - 1) - 1;
        int sum = 2;
#pragma unroll 1
        for (int k = 0; k < 4; ++k)
            sum += Guarded<kLevel - 1>::at(plane, min(2 * row + k / 2, last_row),
                                           min(2 * column + k % 2, last_column));
        return sum >> 2;
    }
};

template <>
struct Guarded<0> {
    __device__ static int at(const Plane& plane, int row, int column) {
        return __ldg(plane.data + row * plane.stride + column);
    }
};

// The affine map of a picture, in 1/1024 of a pixel of its level.
struct Affine {
    float m[6];
    int level;
};

__device__ inline Affine affine_from_matrix(const float* matrix) {
    Affine affine;
#pragma unroll
    for (int i = 0; i < 6; ++i) affine.m[i] = __ldg(matrix + i);
    const float *m = affine.m, area = __fsub_rn(__fmul_rn(m[0], m[4]), __fmul_rn(m[1], m[3]));
    const float pixels = __fsqrt_rn(fabsf(area));
    affine.level = 0;
    if (isfinite(pixels))
        while (affine.level < kMaxLevel && pixels > 2 << affine.level) ++affine.level;
    const float factor = static_cast<float>(kOne >> affine.level);
#pragma unroll
    for (int i = 0; i < 6; ++i) affine.m[i] = __fmul_rn(affine.m[i], factor);
    return affine;
}

// A position along one axis of the level, rounded and clamped to one pixel around it. fmaxf ignores NaN,
// which becomes the position before the plane.
__device__ inline int position_at(const float* line, float x, float y, int length) {
    const float offset = __fsub_rn(__fadd_rn(__fmul_rn(line[1], y), line[2]), 0.5f * kOne);
    const float position = __fadd_rn(__fmul_rn(line[0], x), offset);
    const float bounded = fminf(fmaxf(position, -kOne), static_cast<float>(length) * kOne);
    return static_cast<int>(rintf(bounded));
}

__device__ inline float between(float first, float second, float weight) {
    return __fadd_rn(first, __fmul_rn(__fsub_rn(second, first), weight));
}

// The bilinear sample of the level at (u, v), in 1/1024 of a grey level.
template <int kLevel>
__device__ float sample(const Plane& plane, bool aligned, const Pictures& out, int u, int v) {
    const int height = halved(plane.height, kLevel), width = halved(plane.width, kLevel);
    const int row = v >> kFractionBits, column = u >> kFractionBits;
    const bool inside = row >= 0 && column >= 0 && (row + 2) << kLevel <= plane.height &&
                        (column + 2) << kLevel <= plane.width;
    float taps[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
        const int i = row + k / 2, j = column + k % 2;
        const int nearest_row = min(max(i, 0), height - 1), nearest_column = min(max(j, 0), width - 1);
        if (inside)
            taps[k] = static_cast<float>(Inside<kLevel>::at(plane, aligned, i, j));
        else if (out.edge || (i == nearest_row && j == nearest_column))
            taps[k] = static_cast<float>(Guarded<kLevel>::at(plane, nearest_row, nearest_column));
        else
            taps[k] = out.fill;
    }
    const float across = static_cast<float>(u & (kOne - 1));
    const float top = __fadd_rn(__fmul_rn(taps[0], kOne), __fmul_rn(__fsub_rn(taps[1], taps[0]), across));
    const float bottom = __fadd_rn(__fmul_rn(taps[2], kOne), __fmul_rn(__fsub_rn(taps[3], taps[2]), across));
    return between(top, bottom, static_cast<float>(v & (kOne - 1)) * (1.0f / kOne));
}

template <int kLevel = 0>
__device__ float sample_of_level(const Plane& plane, bool aligned, const Pictures& out, int level, int u,
                                 int v) {
    if constexpr (kLevel < kMaxLevel)
        if (level > kLevel) return sample_of_level<kLevel + 1>(plane, aligned, out, level, u, v);
    return sample<kLevel>(plane, aligned, out, u, v);
}

__device__ inline void store(float* target, float value) { *target = value; }
__device__ inline void store(__half* target, float value) { *target = __float2half_rn(value); }
// Rounded to nearest, ties to even, and saturated.
__device__ inline void store(int8_t* target, float value) {
    *target = static_cast<int8_t>(fminf(fmaxf(rintf(value), -128.0f), 127.0f));
}

// A block computes kTileHeight rows of 32 pixels of picture blockIdx.x; matrices are float32 [count, 2, 3].
template <typename T>
__global__ void __launch_bounds__(kTileHeight* kWarp, kBlocks)
    warp_pixels(Plane plane, bool aligned, const float* matrices, Pictures out) {
    const int x = blockIdx.y * kWarp + threadIdx.x, y = blockIdx.z * kTileHeight + threadIdx.y;
    if (x >= out.width || y >= out.height) return;
    const Affine affine = affine_from_matrix(matrices + int64_t{6} * blockIdx.x);
    const float across = static_cast<float>(x) + 0.5f, rows_first = static_cast<float>(y) + 0.5f;
    const int u = position_at(affine.m, across, rows_first, halved(plane.width, affine.level));
    const int v = position_at(affine.m + 3, across, rows_first, halved(plane.height, affine.level));
    const float value = sample_of_level(plane, aligned, out, affine.level, u, v);
    // Scaling by 1024 is exact, so this equals (sample - mean) * scale.
    const float normalized = __fmul_rn(__fsub_rn(value, out.mean * kOne), out.scale / kOne);
    T* const picture = static_cast<T*>(out.data) + (int64_t{blockIdx.x} * out.height + y) * out.width;
    store(picture + x, normalized);
}

template <typename T>
cudaError_t launch_warps(const Plane& plane, const float* matrices, const Pictures& out,
                         cudaStream_t stream) {
    const bool aligned =
        (reinterpret_cast<uintptr_t>(plane.data) | static_cast<uintptr_t>(plane.stride)) % 4 == 0;
    const dim3 grid(static_cast<unsigned>(out.count), static_cast<unsigned>(divided_up(out.width, kWarp)),
                    static_cast<unsigned>(divided_up(out.height, kTileHeight)));
    return launch(warp_pixels<T>, grid, dim3(kWarp, kTileHeight), 0, stream, plane, aligned, matrices, out);
}

}  // namespace

cudaError_t warp_normalize(const Plane& plane, const float* matrices, const Pictures& out,
                           cudaStream_t stream) {
    if (out.count == 0 || out.height == 0 || out.width == 0) return cudaSuccess;
    switch (out.dtype) {
        case DType::kF32:
            return launch_warps<float>(plane, matrices, out, stream);
        case DType::kF16:
            return launch_warps<__half>(plane, matrices, out, stream);
        case DType::kI8:
            return launch_warps<int8_t>(plane, matrices, out, stream);
        default:
            return cudaErrorInvalidValue;
    }
}

}  // namespace cuda
}  // namespace fer_edge
