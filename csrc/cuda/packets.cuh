// Sources and targets of the rows of a matrix product: packets of 16 bytes along the channels of one row. A
// map is a matrix with one row per (image, position) and one column per channel, for both memory layouts.
#pragma once

#include <type_traits>

#include "values.cuh"

namespace fer_edge {
namespace cuda {

template <typename T>
__device__ inline uint4 bits_of(const Packet<T>& packet) {
    uint4 bits;
    memcpy(&bits, &packet, sizeof bits);
    return bits;
}

template <typename T>
__device__ inline Packet<T> packet_of(const uint4& bits) {
    Packet<T> packet;
    memcpy(&packet, &bits, sizeof bits);
    return packet;
}

// A packet of values with a distance of `step` in memory.
template <typename T>
__device__ inline uint4 gather(const T* first, int step) {
    Packet<T> packet;
#pragma unroll
    for (int i = 0; i < Packet<T>::kCount; ++i) packet.values[i] = first[i * step];
    return bits_of(packet);
}

// T [count, width], contiguous. `width` is a multiple of 8.
template <typename T>
struct Rows {
    using Value = T;
    const T* data;
    int count, width;

    // Whether neighbouring threads should read neighbouring rows (else neighbouring packets of a row).
    __device__ bool rows_first(int) const { return false; }
    // Whether the packet at the column can be copied from memory, at address at(); else read() computes it.
    __device__ bool in_memory(int) const { return true; }
    __device__ const T* at(int row, int column) const {
        return data + static_cast<int64_t>(row) * width + column;
    }
    __device__ uint4 read(int row, int column) const {
        return *reinterpret_cast<const uint4*>(at(row, column));
    }
};

// The `width` channels from `first` of a map of [images, channels, positions] or [images, positions,
// channels].
template <typename T>
struct MapRows {
    using Value = std::remove_const_t<T>;
    T* data;
    int count, width;  // images * positions, channels read or written
    int positions, channels, first;
    bool channels_last;

    __device__ bool rows_first(int) const { return !channels_last; }
    __device__ bool in_memory(int) const { return channels_last; }
    __device__ T* at(int row, int column) const {
        const int image = row / positions, position = row - image * positions, channel = first + column;
        const int inside = channels_last ? position * channels + channel : channel * positions + position;
        return data + static_cast<int64_t>(image) * channels * positions + inside;
    }
    __device__ uint4 read(int row, int column) const {
        const T* const source = at(row, column);
        return channels_last ? *reinterpret_cast<const uint4*>(source) : gather(source, positions);
    }
    // Eight channels.
    __device__ void read8(int row, int column, float (&values)[8]) const {
        const T* const source = at(row, column);
        if (channels_last) {
            load8(source, values);
            return;
        }
#pragma unroll
        for (int i = 0; i < 8; ++i) values[i] = to_float(source[i * positions]);
    }
    __device__ void write8(int row, int column, const float (&values)[8]) const {
        T* const target = at(row, column);
        if (channels_last) {
            store8(target, values);
            return;
        }
#pragma unroll
        for (int i = 0; i < 8; ++i) target[i * positions] = from_float<Value>(values[i]);
    }
};

template <typename T, typename Data>
MapRows<T> map_rows(const Map& map, Data* data, int channels, int first, int width) {
    const int positions = map.height * map.width;
    return {static_cast<T*>(data), map.images * positions, width, positions, channels, first,
            map.channels_last};
}

}  // namespace cuda
}  // namespace fer_edge
