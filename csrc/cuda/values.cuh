// Values inside a kernel: conversion to and from float32, vector loads and stores of eight values, reductions
// over a warp.
#pragma once

#include <string.h>

#include "launch.cuh"

namespace fer_edge {
namespace cuda {

__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(__half value) { return __half2float(value); }
__device__ inline float to_float(__nv_bfloat16 value) { return __bfloat162float(value); }

// Rounded to nearest, ties to even.
template <typename T>
__device__ inline T from_float(float value);
template <>
__device__ inline float from_float<float>(float value) {
    return value;
}
template <>
__device__ inline __half from_float<__half>(float value) {
    return __float2half_rn(value);
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float value) {
    return __float2bfloat16_rn(value);
}

// The values of one 16-byte load or store.
template <typename T>
struct alignas(16) Packet {
    static constexpr int kCount = 16 / sizeof(T);
    T values[kCount];
};

// Loads eight values; the address is a multiple of 16 bytes.
template <typename T>
__device__ inline void load8(const T* source, float (&values)[8]) {
    constexpr int kCount = Packet<T>::kCount;
#pragma unroll
    for (int i = 0; i < 8 / kCount; ++i) {
        const uint4 bits = reinterpret_cast<const uint4*>(source)[i];
        Packet<T> packet;
        memcpy(&packet, &bits, sizeof bits);
#pragma unroll
        for (int j = 0; j < kCount; ++j) values[i * kCount + j] = to_float(packet.values[j]);
    }
}

template <typename T>
__device__ inline void store8(T* target, const float (&values)[8]) {
    constexpr int kCount = Packet<T>::kCount;
#pragma unroll
    for (int i = 0; i < 8 / kCount; ++i) {
        Packet<T> packet;
#pragma unroll
        for (int j = 0; j < kCount; ++j) packet.values[j] = from_float<T>(values[i * kCount + j]);
        uint4 bits;
        memcpy(&bits, &packet, sizeof bits);
        reinterpret_cast<uint4*>(target)[i] = bits;
    }
}

// The sum over kLanes neighbouring lanes, returned in all of them.
template <int kLanes = kWarp>
__device__ inline float warp_sum(float value) {
#pragma unroll
    for (int step = kLanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
    return value;
}

template <int kLanes = kWarp>
__device__ inline float warp_max(float value) {
#pragma unroll
    for (int step = kLanes / 2; step > 0; step /= 2)
        value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, step));
    return value;
}

// The exact GELU, x * Phi(x).
__device__ inline float gelu(float value) {
    return 0.5f * value * (1.0f + erff(value * 0.70710678118654752f));
}

__device__ inline float sigmoid(float value) { return 1.0f / (1.0f + expf(-value)); }

}  // namespace cuda
}  // namespace fer_edge
