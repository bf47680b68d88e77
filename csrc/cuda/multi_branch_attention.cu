// TAFE after its first 1 x 1 convolution, in three launches, with folded weights:
//   1. prepare: d = depthwise 3 x 3 of y; t = alpha mean(x) + beta variance(x)
//   2. expand:  g = GELU(pointwise d) and s = GELU(texture t)
//   3. merge:   out = merged [x s; g]
// Recomputing d in every tile of the second launch would save one launch. But it would add 9 multiplications
// on CUDA cores per value to the 32 or 64 on tensor cores.
#include "rows_matmul.cuh"

namespace fer_edge {
namespace cuda {
namespace {

constexpr int kGroup = 16;  // channels that a block prepares
constexpr int kPrepareThreads = 128;

template <typename T>
struct Weights {
    const T *alpha, *beta, *texture_w, *texture_b, *depthwise_w, *depthwise_b, *pointwise_w, *pointwise_b,
        *merged_w, *merged_b;
};

// [kGroup, height, width] in shared memory, with a border of zeros around each plane. The pitch is odd, so
// the channels of a position lie in different banks.
struct Planes {
    float* data;
    int height, width, border;

    __device__ int row_pitch() const { return width + 2 * border; }
    __device__ int pitch() const { return (height + 2 * border) * row_pitch() | 1; }
    __device__ float* at(int channel, int position) const {
        const int y = position / width, x = position - y * width;
        return data + channel * pitch() + (y + border) * row_pitch() + x + border;
    }
};

int plane_bytes(const Map& z) { return kGroup * ((z.height + 2) * (z.width + 2) | 1) * 4; }

// Loads `count` channels of the map from `first`; the rest of the group is zero.
template <typename T>
__device__ void load_planes(const MapRows<const T>& map, int image, int first, int count,
                            const Planes& planes) {
    for (int i = threadIdx.x; i < kGroup * planes.pitch(); i += kPrepareThreads) planes.data[i] = 0.0f;
    __syncthreads();
    if (map.channels_last) {
        constexpr int kCount = Packet<T>::kCount, kAcross = kGroup / kCount;
        const int channel = threadIdx.x % kAcross * kCount;
        for (int position = threadIdx.x / kAcross; position < map.positions && channel < count;
             position += kPrepareThreads / kAcross) {
            const Packet<T> packet =
                packet_of<T>(map.read(image * map.positions + position, first + channel));
            float* const target = planes.at(channel, position);
#pragma unroll
            for (int i = 0; i < kCount; ++i) target[i * planes.pitch()] = to_float(packet.values[i]);
        }
    } else {
        constexpr int kWarps = kPrepareThreads / kWarp;
        const T* const source = map.at(image * map.positions, first);
        const int warp = threadIdx.x / kWarp;
        for (int position = threadIdx.x % kWarp; position < map.positions; position += kWarp) {
            float* const target = planes.at(0, position);
#pragma unroll
            for (int channel = warp; channel < kGroup; channel += kWarps)
                if (channel < count)
                    target[channel * planes.pitch()] = to_float(source[channel * map.positions + position]);
        }
    }
    __syncthreads();
}

// Each thread keeps the taps of one input channel, which gives two output channels.
template <typename T>
__device__ void convolve(const Planes& planes, const Weights<T>& weights, int image, int first, int count,
                         int channels, T* out) {
    struct alignas(2 * sizeof(T)) Pair {
        T even, odd;
    };
    const int channel = threadIdx.x % kGroup, positions = planes.height * planes.width;
    if (channel >= count) return;
    const int made = 2 * (first + channel);
    float even[9], odd[9];
#pragma unroll
    for (int tap = 0; tap < 9; ++tap) {
        even[tap] = to_float(weights.depthwise_w[made * 9 + tap]);
        odd[tap] = to_float(weights.depthwise_w[made * 9 + 9 + tap]);
    }
    const float even_b = to_float(weights.depthwise_b[made]), odd_b = to_float(weights.depthwise_b[made + 1]);
    T* const target = out + static_cast<int64_t>(image) * positions * 2 * channels + made;
    for (int position = threadIdx.x / kGroup; position < positions; position += kPrepareThreads / kGroup) {
        const float* const source = planes.at(channel, position) - planes.row_pitch() - 1;
        float even_sum = even_b, odd_sum = odd_b;
#pragma unroll
        for (int tap = 0; tap < 9; ++tap) {
            const float value = source[tap / 3 * planes.row_pitch() + tap % 3];
            even_sum = fmaf(value, even[tap], even_sum);
            odd_sum = fmaf(value, odd[tap], odd_sum);
        }
        const Pair pair = {from_float<T>(even_sum), from_float<T>(odd_sum)};
        *reinterpret_cast<Pair*>(target + position * 2 * channels) = pair;
    }
}

// t from mean and variance, with eight lanes per channel.
template <typename T>
__device__ void mix_moments(const Planes& planes, const Weights<T>& weights, int first, int count,
                            float* out) {
    constexpr int kLanes = kPrepareThreads / kGroup;
    const int channel = threadIdx.x / kLanes, lane = threadIdx.x % kLanes;
    const int positions = planes.height * planes.width;
    const float* const plane = planes.data + channel * planes.pitch();
    float sum = 0.0f, squares = 0.0f;
    for (int position = lane; position < positions; position += kLanes) sum += plane[position];
    const float mean = warp_sum<kLanes>(sum) / positions;
    for (int position = lane; position < positions; position += kLanes)
        squares = fmaf(plane[position] - mean, plane[position] - mean, squares);
    const float variance = warp_sum<kLanes>(squares) / positions;
    if (lane == 0 && channel < count)
        out[first + channel] = fmaf(to_float(weights.alpha[first + channel]), mean,
                                    to_float(weights.beta[first + channel]) * variance);
}

// One block per image and group of channels; the groups of y come first, then those of x. d [N P, 2 C], t [N,
// C].
template <typename T>
__global__ void __launch_bounds__(kPrepareThreads)
    prepare(MapRows<const T> z, int height, int width, Weights<T> weights, T* d, float* t) {
    const int channels = z.channels / 2, groups = (channels + kGroup - 1) / kGroup;
    const int image = blockIdx.x / (2 * groups), group = blockIdx.x % (2 * groups);
    const bool modulated = group >= groups;
    const int first = (modulated ? group - groups : group) * kGroup, count = min(kGroup, channels - first);
    const Planes planes = {shared_memory<float>(), height, width, modulated ? 0 : 1};
    load_planes(z, image, modulated ? channels + first : first, count, planes);
    if (modulated)
        mix_moments(planes, weights, first, count, t + static_cast<int64_t>(image) * channels);
    else
        convolve(planes, weights, image, first, count, channels, d);
}

// Target that stores GELU(sums + bias) in rows of `width`.
template <typename T, typename Out>
struct GeluRows {
    const T* bias;
    Out* data;
    int width;

    __device__ bool rows_first(int) const { return false; }
    __device__ void write8(int row, int column, float (&values)[8]) const {
        float biases[8];
        load8(bias + column, biases);
#pragma unroll
        for (int i = 0; i < 8; ++i) values[i] = gelu(values[i] + biases[i]);
        store8(data + static_cast<int64_t>(row) * width + column, values);
    }
};

// The tiles of g, then the tiles of s. s is float32, because the variance of float16 values may exceed the
// largest float16.
//
// __launch_bounds__ has a second number because without it the compiler may spill to fit more blocks.
template <typename T, typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    expand(Rows<T> d, Rows<float> t, Weights<T> weights, T* g, float* s) {
    unsigned char* const shared = shared_memory<unsigned char>();
    const int across = (d.width + Shape::kColumns - 1) / Shape::kColumns;
    const int tiles = (d.count + Shape::kRows - 1) / Shape::kRows * across;
    int tile = blockIdx.x;
    if (tile < tiles) {
        rows_matmul<Shape>(d, Rows<T>{weights.pointwise_w, d.width, d.width}, tile / across * Shape::kRows,
                           tile % across * Shape::kColumns, shared,
                           GeluRows<T, T>{weights.pointwise_b, g, d.width});
        return;
    }
    tile -= tiles;
    const int gates = (t.width + Shape::kColumns - 1) / Shape::kColumns;
    rows_matmul<Shape>(t, Rows<T>{weights.texture_w, t.width, t.width}, tile / gates * Shape::kRows,
                       tile % gates * Shape::kColumns, shared,
                       GeluRows<T, float>{weights.texture_b, s, t.width});
}

// Source of the rows [x s; g].
template <typename T>
struct JoinedRows {
    using Value = T;
    MapRows<const T> x;
    const float* s;  // [N, C]
    const T* g;      // [N P, 2 C]
    int count, width;

    __device__ bool rows_first(int column) const { return column < x.width && x.rows_first(column); }
    __device__ bool in_memory(int column) const { return column >= x.width; }
    __device__ const T* at(int row, int column) const {
        return Rows<T>{g, count, 2 * x.width}.at(row, column - x.width);
    }
    __device__ uint4 read(int row, int column) const {
        if (in_memory(column)) return *reinterpret_cast<const uint4*>(at(row, column));
        Packet<T> packet = packet_of<T>(x.read(row, column));
        const float* const factors = s + static_cast<int64_t>(row / x.positions) * x.width + column;
#pragma unroll
        for (int i = 0; i < Packet<T>::kCount; ++i)
            packet.values[i] = from_float<T>(to_float(packet.values[i]) * factors[i]);
        return bits_of(packet);
    }
};

// Target that stores sums + bias in a map.
template <typename T>
struct BiasedMap {
    const T* bias;
    MapRows<T> map;

    __device__ bool rows_first(int column) const { return map.rows_first(column); }
    __device__ void write8(int row, int column, float (&values)[8]) const {
        float biases[8];
        load8(bias + column, biases);
#pragma unroll
        for (int i = 0; i < 8; ++i) values[i] += biases[i];
        map.write8(row, column, values);
    }
};

template <typename T, typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, 1)
    merge(JoinedRows<T> joined, Rows<T> weights, BiasedMap<T> out) {
    const int across = (weights.count + Shape::kColumns - 1) / Shape::kColumns;
    rows_matmul<Shape>(joined, weights, blockIdx.x / across * Shape::kRows,
                       blockIdx.x % across * Shape::kColumns, shared_memory<unsigned char>(), out);
}

template <typename T>
struct Scratch {
    float *t, *s;
    T *d, *g;
};

template <typename T, typename Shape>
cudaError_t expand_and_merge(const Map& z, const Weights<T>& weights, const Scratch<T>& scratch, void* out,
                             cudaStream_t stream) {
    const int channels = z.channels / 2, rows = z.images * z.height * z.width;
    const Rows<T> d = {scratch.d, rows, 2 * channels};
    const Rows<float> t = {scratch.t, z.images, channels};
    const int pointwise = divided_up(rows, Shape::kRows) * divided_up(2 * channels, Shape::kColumns);
    const int gates = divided_up(z.images, Shape::kRows) * divided_up(channels, Shape::kColumns);
    const cudaError_t error = launch(expand<T, Shape>, dim3(pointwise + gates), dim3(Shape::kThreads),
                                     Shape::kSharedBytes, stream, d, t, weights, scratch.g, scratch.s);
    if (error != cudaSuccess) return error;
    const MapRows<const T> x = map_rows<const T>(z, z.data, z.channels, channels, channels);
    const JoinedRows<T> joined = {x, scratch.s, scratch.g, rows, 3 * channels};
    const Rows<T> merged_w = {weights.merged_w, channels, 3 * channels};
    const BiasedMap<T> target = {weights.merged_b, map_rows<T>(z, out, channels, 0, channels)};
    return launch(merge<T, Shape>,
                  dim3(divided_up(rows, Shape::kRows) * divided_up(channels, Shape::kColumns)),
                  dim3(Shape::kThreads), Shape::kSharedBytes, stream, joined, merged_w, target);
}

template <typename T>
Weights<T> typed(const MultiBranchWeights& w) {
    const auto as = [](const void* pointer) { return static_cast<const T*>(pointer); };
    return {as(w.alpha),       as(w.beta),        as(w.texture_w),   as(w.texture_b), as(w.depthwise_w),
            as(w.depthwise_b), as(w.pointwise_w), as(w.pointwise_b), as(w.merged_w),  as(w.merged_b)};
}

}  // namespace

// Scratch: `scale` holds t and s, float32 [2, N, C]; `local` holds d and g, [2, N P, 2 C].
cudaError_t multi_branch_attention(const Map& z, const MultiBranchWeights& weights, float* scale, void* local,
                                   void* out, cudaStream_t stream) {
    if (z.images == 0) return cudaSuccess;
    return dispatch(z.dtype, [&](auto zero) {
        using T = decltype(zero);
        const int channels = z.channels / 2, rows = z.images * z.height * z.width;
        const Scratch<T> scratch = {scale, scale + static_cast<int64_t>(z.images) * channels,
                                    static_cast<T*>(local),
                                    static_cast<T*>(local) + static_cast<int64_t>(rows) * 2 * channels};
        const cudaError_t error =
            launch(prepare<T>, dim3(z.images * 2 * divided_up(channels, kGroup)), dim3(kPrepareThreads),
                   plane_bytes(z), stream, map_rows<const T>(z, z.data, z.channels, 0, z.channels), z.height,
                   z.width, typed<T>(weights), scratch.d, scratch.t);
        if (error != cudaSuccess) return error;
        return rows <= kFewRows ? expand_and_merge<T, FewRows>(z, typed<T>(weights), scratch, out, stream)
                                : expand_and_merge<T, ManyRows>(z, typed<T>(weights), scratch, out, stream);
    });
}

}  // namespace cuda
}  // namespace fer_edge
