// The operations on the device. Arguments are device pointers, sizes and a stream. The operations are defined
// in fer_edge/kernels/reference.py and fer_edge/ops/reference.py.
//
// No function allocates or synchronizes, so each can be captured into a CUDA graph; scratch memory is an
// argument. Arguments are checked in bindings.cpp, not here. Arrays are contiguous and aligned to 32 bytes.
// The names have C linkage because the tests call them without C++.
#pragma once

#include <driver_types.h>
#include <stddef.h>
#include <stdint.h>

namespace fer_edge {
namespace cuda {

enum class DType : int32_t { kF32 = 0, kF16 = 1, kBF16 = 2, kI8 = 3 };

// [images, channels, height, width], stored as [images, height, width, channels] if `channels_last`. The
// number of channels is a multiple of 8. The output of an operation has the layout of its input.
struct Map {
    const void* data;
    int32_t images, channels, height, width;
    bool channels_last;
    DType dtype;
};

// `FoldedMultiBranchWeights` for C channels, all of the type of the map.
struct MultiBranchWeights {
    const void* alpha;        // [C]
    const void* beta;         // [C]
    const void* texture_w;    // [C, C]
    const void* texture_b;    // [C]
    const void* depthwise_w;  // [2 C, 3, 3]
    const void* depthwise_b;  // [2 C]
    const void* pointwise_w;  // [2 C, 2 C]
    const void* pointwise_b;  // [2 C]
    const void* merged_w;     // [C, 3 C]
    const void* merged_b;     // [C]
};

// `DcifWeights` for C channels, all of the type of the map.
struct DcifWeights {
    const void* squeeze_w;  // [hidden, C]
    const void* squeeze_b;  // [hidden]
    const void* expand_w;   // [C, hidden]
    const void* expand_b;   // [C]
    const void* spatial_w;  // [2, 7, 7]
    int32_t hidden;
};

// `TokenAttentionWeights` for C channels, all of the type of the map.
struct TokenAttentionWeights {
    const void* qkv_w;   // [3 C, C]
    const void* qkv_b;   // [3 C]
    const void* out_w;   // [C, C]
    const void* out_b;   // [C]
    const void* norm_w;  // [C]
    const void* norm_b;  // [C]
};

// uint8 [height, width]; rows are `stride` bytes apart.
struct Plane {
    const uint8_t* data;
    int64_t stride;
    int32_t height, width;
};

// [count, 1, height, width] of float32, float16 or int8: (sample - mean) * scale, with samples in grey
// levels. Taps outside the plane read the nearest pixel if `edge`, else `fill`.
struct Pictures {
    void* data;
    int32_t count, height, width;
    DType dtype;
    float mean, scale, fill;
    bool edge;
};

extern "C" {

// z [N, 2 C, H, W] -> out [N, C, H, W]. Scratch: scale float32 [2, N, C], local [2, N H W, 2 C] of the type
// of z.
cudaError_t multi_branch_attention(const Map& z, const MultiBranchWeights& weights, float* scale, void* local,
                                   void* out, cudaStream_t stream);

// x [N, C, H, W] -> out [N, C] of the type of x.
cudaError_t dcif(const Map& x, const DcifWeights& weights, void* out, cudaStream_t stream);

// x [N, C, H, W] -> out [N, C, H, W], H W at most 64. Scratch of the type of x, with T = H W: qkv [N T, 3 C],
// mixed [N T, C].
cudaError_t token_attention(const Map& x, const TokenAttentionWeights& weights, int32_t heads, float epsilon,
                            void* qkv, void* mixed, void* out, cudaStream_t stream);

// matrices float32 [count, 2, 3], on the device
cudaError_t warp_normalize(const Plane& plane, const float* matrices, const Pictures& out,
                           cudaStream_t stream);
}

}  // namespace cuda
}  // namespace fer_edge
