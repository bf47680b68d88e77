// Self-attention over the positions of a map, in three launches:
//   1. project: queries, keys and values of all heads, one matrix product
//   2. attend:  softmax(Q K^T / sqrt(d)) V, one block per image and head
//   3. finish:  output projection, residual and LayerNorm, one block per few whole rows
#include "rows_matmul.cuh"

namespace fer_edge {
namespace cuda {
namespace {

// Target that stores sums + bias in rows of `width`.
template <typename T>
struct BiasedRows {
    const T* bias;
    T* data;
    int width;

    __device__ bool rows_first(int) const { return false; }
    __device__ void write8(int row, int column, float (&values)[8]) const {
        float biases[8];
        load8(bias + column, biases);
#pragma unroll
        for (int i = 0; i < 8; ++i) values[i] += biases[i];
        store8(data + static_cast<int64_t>(row) * width + column, values);
    }
};

template <typename T, typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    project(MapRows<const T> x, Rows<T> weights, BiasedRows<T> qkv) {
    const int across = (weights.count + Shape::kColumns - 1) / Shape::kColumns;
    rows_matmul<Shape>(x, weights, blockIdx.x / across * Shape::kRows, blockIdx.x % across * Shape::kColumns,
                       shared_memory<unsigned char>(), qkv);
}

constexpr int kAttendThreads = 256;
constexpr int kChunk = 32;  // channels of a head that are loaded at a time
constexpr int kChunkPitch = kChunk + 1;
constexpr int kMaxTokens = 64;

// Number of tokens in shared memory: rounded up to a multiple of 16, as the threads read them.
__host__ __device__ constexpr int padded(int tokens) { return (tokens + 15) / 16 * 16; }

// Shared memory for scores and for chunks of queries, keys and values, in float32.
int attend_bytes(int tokens) {
    const int rows = padded(tokens);
    return rows * (rows + 1 + 3 * kChunkPitch) * 4;
}

// Loads [T, kChunk] of the queries, keys or values of a head; zeros outside its width and after the last
// token.
template <typename T>
__device__ void load_chunk(const T* source, int stride, int tokens, int width, float* chunk) {
    const int column = threadIdx.x % kChunk;
    for (int row = threadIdx.x / kChunk; row < padded(tokens); row += kAttendThreads / kChunk)
        chunk[row * kChunkPitch + column] =
            row < tokens && column < width ? to_float(source[row * stride + column]) : 0.0f;
}

// Each thread computes the scores of rows threadIdx.x / 16 + 16 i and columns threadIdx.x % 16 + 16 j.
__device__ inline void add_scores(const float* queries, const float* keys, int tokens, int width,
                                  float (&sums)[4][4]) {
    queries += threadIdx.x / 16 * kChunkPitch;
    keys += threadIdx.x % 16 * kChunkPitch;
#pragma unroll 4
    for (int e = 0; e < width; ++e) {
        float right[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) right[j] = 16 * j < tokens ? keys[16 * j * kChunkPitch + e] : 0.0f;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const float left = 16 * i < tokens ? queries[16 * i * kChunkPitch + e] : 0.0f;
#pragma unroll
            for (int j = 0; j < 4; ++j) sums[i][j] = fmaf(left, right[j], sums[i][j]);
        }
    }
}

// Softmax of the scores, one warp per row.
__device__ inline void softmax_rows(float* scores, int tokens) {
    const int pitch = padded(tokens) + 1, lane = threadIdx.x % kWarp;
    for (int row = threadIdx.x / kWarp; row < tokens; row += kAttendThreads / kWarp) {
        float* const row_scores = scores + row * pitch;
        const float low = -INFINITY;
        const float first = lane < tokens ? row_scores[lane] : low;
        const float second = lane + kWarp < tokens ? row_scores[lane + kWarp] : low;
        const float largest = warp_max(fmaxf(first, second));
        const float a = expf(first - largest), b = expf(second - largest);
        const float factor = 1.0f / warp_sum(a + b);
        if (lane < tokens) row_scores[lane] = a * factor;
        if (lane + kWarp < tokens) row_scores[lane + kWarp] = b * factor;
    }
}

// A chunk of attention times values: a warp computes rows warp + 8 i, a lane one column.
template <typename T>
__device__ void write_mixed(const float* attention, const float* values, int tokens, int width, int stride,
                            T* target) {
    constexpr int kWarps = kAttendThreads / kWarp, kRows = kMaxTokens / kWarps;
    const int pitch = padded(tokens) + 1, lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    float sums[kRows] = {};
    for (int token = 0; token < tokens; ++token) {
        const float value = values[token * kChunkPitch + lane];
#pragma unroll
        for (int i = 0; i < kRows; ++i)
            if (kWarps * i < tokens)
                sums[i] = fmaf(attention[(warp + kWarps * i) * pitch + token], value, sums[i]);
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
        const int row = warp + kWarps * i;
        if (row < tokens && lane < width) target[row * stride + lane] = from_float<T>(sums[i]);
    }
}

// qkv [N, T, 3, heads, d] -> mixed [N, T, heads, d]
template <typename T>
__global__ void __launch_bounds__(kAttendThreads)
    attend(const T* qkv, int tokens, int heads, int channels, float factor, T* mixed) {
    const int image = blockIdx.x / heads, head = blockIdx.x % heads, width = channels / heads;
    const int rows = padded(tokens), chunk = rows * kChunkPitch, stride = 3 * channels;
    const T* const source = qkv + static_cast<int64_t>(image) * tokens * stride + head * width;
    T* const target = mixed + static_cast<int64_t>(image) * tokens * channels + head * width;
    float* const queries = shared_memory<float>();
    float *const keys = queries + chunk, *const values = keys + chunk, *const scores = values + chunk;

    float sums[4][4] = {};
    load_chunk(source + 2 * channels, stride, tokens, width, values);
    for (int first = 0; first < width; first += kChunk) {
        load_chunk(source + first, stride, tokens, width - first, queries);
        load_chunk(source + channels + first, stride, tokens, width - first, keys);
        __syncthreads();
        add_scores(queries, keys, tokens, min(kChunk, width - first), sums);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 16; ++i) {
        const int row = threadIdx.x / 16 + i / 4 * 16, column = threadIdx.x % 16 + i % 4 * 16;
        if (row < rows && column < rows) scores[row * (rows + 1) + column] = sums[i / 4][i % 4] * factor;
    }
    __syncthreads();
    softmax_rows(scores, tokens);
    __syncthreads();
    for (int first = 0; first < width; first += kChunk) {
        if (first > 0) {
            __syncthreads();
            load_chunk(source + 2 * channels + first, stride, tokens, width - first, values);
            __syncthreads();
        }
        write_mixed(scores, values, tokens, width - first, channels, target + first);
    }
}

// The widest tile that leaves space for whole rows in 64 KiB, because every block reads all weights of the
// output.
using FinishShape = Tile<1, 4, 2, 64, 4>;
constexpr int kFinishValues = 4096;

// Number of rows per block: the largest power of two that fits.
int finish_rows(int channels) {
    int rows = FinishShape::kRows;
    while (rows * channels > kFinishValues) rows /= 2;
    return rows;
}

// float32 rows from row `first` in shared memory, `pitch` apart, each followed by its mean and factor.
struct Joined {
    float* data;
    int first, pitch;

    __device__ float* at(int row) const { return data + (row - first) * pitch; }
};

// Target that stores sums + bias + residual in shared memory.
template <typename T>
struct ResidualRows {
    const T* bias;
    MapRows<const T> x;
    Joined joined;

    __device__ bool rows_first(int column) const { return x.rows_first(column); }
    __device__ void write8(int row, int column, float (&values)[8]) const {
        float biases[8], residual[8];
        load8(bias + column, biases);
        x.read8(row, column, residual);
#pragma unroll
        for (int i = 0; i < 8; ++i) values[i] += biases[i] + residual[i];
        store8(joined.at(row) + column, values);
    }
};

// Stores mean and 1 / sqrt(variance + epsilon) after each row; one warp per row.
__device__ inline void measure_rows(const Joined& joined, int end, int channels, float epsilon) {
    const int lane = threadIdx.x % kWarp;
    for (int row = joined.first + threadIdx.x / kWarp; row < end; row += FinishShape::kThreads / kWarp) {
        float* const values = joined.at(row);
        float sum = 0.0f, squares = 0.0f;
        for (int i = lane; i < channels; i += kWarp) sum += values[i];
        const float mean = warp_sum(sum) / channels;
        for (int i = lane; i < channels; i += kWarp)
            squares = fmaf(values[i] - mean, values[i] - mean, squares);
        const float variance = warp_sum(squares) / channels;
        if (lane == 0) {
            values[channels] = mean;
            values[channels + 1] = 1.0f / sqrtf(variance + epsilon);
        }
    }
}

template <typename T>
struct Finish {
    Rows<T> mixed, weights;
    const T *bias, *norm_w, *norm_b;
    MapRows<const T> x;
    MapRows<T> out;
    float epsilon;
};

template <typename T>
__global__ void __launch_bounds__(FinishShape::kThreads, 1) finish(Finish<T> task, int rows) {
    unsigned char* const shared = shared_memory<unsigned char>();
    const int channels = task.weights.count, first = blockIdx.x * rows;
    const Joined joined = {reinterpret_cast<float*>(shared + FinishShape::kSharedBytes), first, channels + 4};
    Rows<T> mixed = task.mixed;
    mixed.count = min(mixed.count, first + rows);
    for (int column = 0; column < channels; column += FinishShape::kColumns) {
        rows_matmul<FinishShape>(mixed, task.weights, first, column, shared,
                                 ResidualRows<T>{task.bias, task.x, joined});
        __syncthreads();
    }
    measure_rows(joined, mixed.count, channels, task.epsilon);
    __syncthreads();
    const bool rows_first = task.out.rows_first(0);
    for (int item = threadIdx.x; item < rows * (channels / 8); item += FinishShape::kThreads) {
        const int row = first + (rows_first ? item % rows : item / (channels / 8));
        const int column = (rows_first ? item / rows : item % (channels / 8)) * 8;
        if (row >= mixed.count) continue;
        float values[8], factors[8], offsets[8];
        const float* const source = joined.at(row);
        load8(source + column, values);
        load8(task.norm_w + column, factors);
        load8(task.norm_b + column, offsets);
#pragma unroll
        for (int i = 0; i < 8; ++i)
            values[i] = fmaf((values[i] - source[channels]) * source[channels + 1], factors[i], offsets[i]);
        task.out.write8(row, column, values);
    }
}

template <typename T, typename Shape>
cudaError_t launch_project(const MapRows<const T>& x, const Rows<T>& weights, const BiasedRows<T>& qkv,
                           cudaStream_t stream) {
    const int tiles = divided_up(x.count, Shape::kRows) * divided_up(weights.count, Shape::kColumns);
    return launch(project<T, Shape>, dim3(tiles), dim3(Shape::kThreads), Shape::kSharedBytes, stream, x,
                  weights, qkv);
}

template <typename T>
cudaError_t run(const Map& map, const TokenAttentionWeights& weights, int heads, float epsilon, T* qkv,
                T* mixed, void* out, cudaStream_t stream) {
    const auto as = [](const void* pointer) { return static_cast<const T*>(pointer); };
    const int channels = map.channels, tokens = map.height * map.width, count = map.images * tokens;
    const MapRows<const T> x = map_rows<const T>(map, map.data, channels, 0, channels);
    const Rows<T> qkv_w = {as(weights.qkv_w), 3 * channels, channels};
    const BiasedRows<T> projected = {as(weights.qkv_b), qkv, 3 * channels};
    cudaError_t error = count <= kFewRows ? launch_project<T, FewRows>(x, qkv_w, projected, stream)
                                          : launch_project<T, ManyRows>(x, qkv_w, projected, stream);
    if (error != cudaSuccess) return error;
    const float factor = 1.0f / sqrtf(static_cast<float>(channels / heads));
    error = launch(attend<T>, dim3(map.images * heads), dim3(kAttendThreads), attend_bytes(tokens), stream,
                   qkv, tokens, heads, channels, factor, mixed);
    if (error != cudaSuccess) return error;
    const Finish<T> task = {{mixed, count, channels},
                            {as(weights.out_w), channels, channels},
                            as(weights.out_b),
                            as(weights.norm_w),
                            as(weights.norm_b),
                            x,
                            map_rows<T>(map, out, channels, 0, channels),
                            epsilon};
    const int rows = finish_rows(channels);
    return launch(finish<T>, dim3(divided_up(count, rows)), dim3(FinishShape::kThreads),
                  FinishShape::kSharedBytes + rows * (channels + 4) * 4, stream, task, rows);
}

}  // namespace

cudaError_t token_attention(const Map& x, const TokenAttentionWeights& weights, int32_t heads, float epsilon,
                            void* qkv, void* mixed, void* out, cudaStream_t stream) {
    if (x.images == 0) return cudaSuccess;
    return dispatch(x.dtype, [&](auto zero) {
        using T = decltype(zero);
        return run<T>(x, weights, heads, epsilon, static_cast<T*>(qkv), static_cast<T*>(mixed), out, stream);
    });
}

}  // namespace cuda
}  // namespace fer_edge
