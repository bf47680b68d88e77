// nvcuda::wmma for 16 x 16 x 16 tiles. The fragment of each lane has space for the whole tile, but only lane
// 0's is filled. The API does not define which lane holds which element, and elementwise loops over x[] work
// as on a device. Products are exact and summed in order in float32; tensor cores round differently.
#pragma once

#include <type_traits>

#include "device.h"

namespace nvcuda {
namespace wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };

template <typename Use, int M, int N, int K, typename T, typename Layout = void>
struct fragment {
    static_assert(M == 16 && N == 16 && K == 16, "only tiles of 16 x 16 x 16");
    static constexpr int num_elements = 256;
    T x[256];  // row by row
};

namespace emulated {

inline float value(float v) { return v; }
inline float value(__half v) { return __half2float(v); }
inline float value(__nv_bfloat16 v) { return __bfloat162float(v); }

// Addresses must be multiples of 32 bytes and rows multiples of 16 bytes, as on a device.
template <typename T>
void check(const T* memory, unsigned stride) {
    if (reinterpret_cast<uintptr_t>(memory) % 32 != 0 || stride * sizeof(T) % 16 != 0) __builtin_trap();
}

}  // namespace emulated

template <typename Fragment>
void fill_fragment(Fragment& tile, float value) {
    for (auto& element : tile.x) element = value;
}

template <typename Use, typename T, typename Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, T, Layout>& tile, const T* memory, unsigned stride) {
    __syncwarp();
    emulated::check(memory, stride);
    if (fer_edge::emulator::lane() != 0) return;
    constexpr bool kRows = std::is_same_v<Layout, row_major>;
    for (unsigned i = 0; i < 16; ++i)
        for (unsigned j = 0; j < 16; ++j)
            tile.x[16 * i + j] = kRows ? memory[i * stride + j] : memory[j * stride + i];
}

template <typename T>
void load_matrix_sync(fragment<accumulator, 16, 16, 16, T>& tile, const T* memory, unsigned stride,
                      layout_t layout) {
    __syncwarp();
    emulated::check(memory, stride);
    if (fer_edge::emulator::lane() != 0) return;
    for (unsigned i = 0; i < 16; ++i)
        for (unsigned j = 0; j < 16; ++j)
            tile.x[16 * i + j] = layout == mem_row_major ? memory[i * stride + j] : memory[j * stride + i];
}

template <typename T>
void store_matrix_sync(T* memory, const fragment<accumulator, 16, 16, 16, T>& tile, unsigned stride,
                       layout_t layout) {
    __syncwarp();
    emulated::check(memory, stride);
    if (fer_edge::emulator::lane() == 0)
        for (unsigned i = 0; i < 16; ++i)
            for (unsigned j = 0; j < 16; ++j)
                memory[layout == mem_row_major ? i * stride + j : j * stride + i] = tile.x[16 * i + j];
}

template <typename T, typename LayoutA, typename LayoutB>
void mma_sync(fragment<accumulator, 16, 16, 16, float>& out,
              const fragment<matrix_a, 16, 16, 16, T, LayoutA>& a,
              const fragment<matrix_b, 16, 16, 16, T, LayoutB>& b,
              const fragment<accumulator, 16, 16, 16, float>& added) {
    __syncwarp();
    if (fer_edge::emulator::lane() != 0) return;
    float left[256], right[256];
    for (int i = 0; i < 256; ++i) {
        left[i] = emulated::value(a.x[i]);
        right[i] = emulated::value(b.x[i]);
    }
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 16; ++j) {
            float sum = added.x[16 * i + j];
            for (int k = 0; k < 16; ++k) sum += left[16 * i + k] * right[16 * k + j];
            out.x[16 * i + j] = sum;
        }
}

}  // namespace wmma
}  // namespace nvcuda
