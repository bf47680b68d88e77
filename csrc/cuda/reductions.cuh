// Reductions by a block over the rows or the columns of a matrix in memory, with a weight per value.
#pragma once

#include "values.cuh"

namespace fer_edge {
namespace cuda {

// Minimum number of lanes that read a row together; fewer would leave sectors of a load unused.
constexpr int kMinLanes = 8;

// Partial results of a reduction.
struct Sum {
    float sum = 0.0f;

    __device__ void add(float value, float weight) { sum = fmaf(value, weight, sum); }
    __device__ void add(const Sum& other) { sum += other.sum; }
    __device__ Sum from_lane(int step) const { return {__shfl_xor_sync(kAllLanes, sum, step)}; }
};

struct SumAndLargest {
    float sum = 0.0f, largest = -INFINITY;

    __device__ void add(float value, float weight) {
        sum = fmaf(value, weight, sum);
        largest = fmaxf(largest, value * weight);
    }
    __device__ void add(const SumAndLargest& other) {
        sum += other.sum;
        largest = fmaxf(largest, other.largest);
    }
    __device__ SumAndLargest from_lane(int step) const {
        return {__shfl_xor_sync(kAllLanes, sum, step), __shfl_xor_sync(kAllLanes, largest, step)};
    }
};

// Weights that are all 1.
struct Ones {
    __device__ float operator[](int) const { return 1.0f; }
};

__device__ inline void weights8(const float* weights, int first, float (&values)[8]) {
    load8(weights + first, values);
}
__device__ inline void weights8(Ones, int, float (&values)[8]) {
#pragma unroll
    for (float& value : values) value = 1.0f;
}

// For each item: calls part(item, lane, lanes) in each of `lanes` lanes, then finish(item, combined parts) in
// one lane. The number of lanes is a power of two, as large as the threads of the block allow.
template <typename Part, typename Finish>
__device__ void for_each(int items, int min_lanes, Part part, Finish finish) {
    int lanes = min_lanes;
    while (lanes < kWarp && lanes * items < static_cast<int>(blockDim.x)) lanes *= 2;
    const int at_once = blockDim.x / lanes, lane = threadIdx.x % lanes;
    for (int first = 0; first < items; first += at_once) {
        const int item = first + threadIdx.x / lanes;
        decltype(part(item, lane, lanes)) all;
        if (item < items) all = part(item, lane, lanes);
        for (int step = lanes / 2; step > 0; step /= 2) all.add(all.from_lane(step));
        if (item < items && lane == 0) finish(item, all);
    }
}

// Calls finish(row, Summary) for each row of a matrix [rows, length], with a weight per column. If length is
// a multiple of 8, rows and weights must be aligned to 16 bytes.
template <typename Summary, typename T, typename Weights, typename Finish>
__device__ void reduce_rows(const T* matrix, int rows, int length, Weights weights, Finish finish) {
    const auto part = [=](int row, int lane, int lanes) {
        const T* const values = matrix + static_cast<size_t>(row) * length;
        Summary found;
        if (length % 8 != 0) {
            for (int k = lane; k < length; k += lanes) found.add(to_float(values[k]), weights[k]);
            return found;
        }
        for (int k = 8 * lane; k < length; k += 8 * lanes) {
            float loaded[8], factors[8];
            load8(values + k, loaded);
            weights8(weights, k, factors);
#pragma unroll
            for (int i = 0; i < 8; ++i) found.add(loaded[i], factors[i]);
        }
        return found;
    };
    for_each(rows, kMinLanes, part, finish);
}

// Calls finish(column, Summary) for each column of a matrix [rows, length], with a weight per row.
// Neighbouring threads read neighbouring columns; if the rows are short, several rows at a time. `parts` is
// shared memory for one Summary per thread.
template <typename Summary, typename T, typename Weights, typename Finish>
__device__ void reduce_columns(const T* matrix, int rows, int length, Weights weights, Summary* parts,
                               Finish finish) {
    const int width = min(length, static_cast<int>(blockDim.x)), groups = blockDim.x / width;
    const int group = threadIdx.x / width;
    for (int first = 0; first < length; first += width) {
        const int column = first + threadIdx.x % width;
        Summary part;
        for (int row = group; row < rows && group < groups && column < length; row += groups)
            part.add(to_float(matrix[static_cast<size_t>(row) * length + column]), weights[row]);
        parts[threadIdx.x] = part;
        __syncthreads();
        const auto join = [=](int item, int lane, int lanes) {
            Summary joined;
            for (int i = lane; i < groups; i += lanes) joined.add(parts[i * width + item]);
            return joined;
        };
        for_each(min(width, length - first), groups < kMinLanes ? 1 : kMinLanes, join,
                 [=](int item, const Summary& all) { finish(first + item, all); });
        __syncthreads();
    }
}

}  // namespace cuda
}  // namespace fer_edge
