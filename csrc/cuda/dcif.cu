// DCIF and the mean over space in one launch, one block per image. With the channel gate g and the spatial
// gate a, out[c] = g[c] / P * sum over p of x[c, p] a[p]. So the gated map is never written. The map is read
// three times, from shared memory if it fits, else from the L2 cache.
//
// In memory the map is a matrix with one row per channel (contiguous) or per position (channels-last). A sum
// along the rows of one layout is a sum along the columns of the other.
#include "reductions.cuh"

namespace fer_edge {
namespace cuda {
namespace {

constexpr int kTaps = 7;
constexpr int kMinThreads = 256, kMaxThreads = 1024;
constexpr int kElementsPerThread = 16;

struct Arguments {
    const void* x;
    DcifWeights weights;
    void* out;
    int channels, height, width;

    __host__ __device__ int positions() const { return height * width; }
    __host__ __device__ size_t elements() const { return static_cast<size_t>(channels) * positions(); }
};

// Offsets of the arrays in shared memory, in floats, after the map if it is resident. Each is a multiple of
// 16 bytes.
struct Layout {
    int channels;   // [C]: means, later gates
    int hidden;     // [hidden]
    int planes;     // [2, P]: means over the channels, then maxima
    int positions;  // [P]: gates
    int parts;      // one partial result per thread
    int end;
};

__host__ __device__ inline int padded(int count) { return (count + 3) / 4 * 4; }

__host__ __device__ inline Layout layout_of(const Arguments& arguments, int threads) {
    Layout layout;
    layout.channels = 0;
    layout.hidden = layout.channels + padded(arguments.channels);
    layout.planes = layout.hidden + padded(arguments.weights.hidden);
    layout.positions = layout.planes + padded(2 * arguments.positions());
    layout.parts = layout.positions + padded(arguments.positions());
    layout.end = layout.parts + 2 * threads;
    return layout;
}

// The map of this block's image; copied to shared memory if kResident.
template <typename T, bool kResident>
__device__ const T* load_map(const Arguments& arguments) {
    const size_t elements = arguments.elements();
    const T* const map = static_cast<const T*>(arguments.x) + blockIdx.x * elements;
    if constexpr (kResident) {
        constexpr int kCount = Packet<T>::kCount;
        T* const resident = shared_memory<T>();
        for (size_t i = kCount * threadIdx.x; i < elements; i += kCount * blockDim.x)
            copy_async(resident + i, map + i);
        copy_async_commit();
        copy_async_wait<0>();
        __syncthreads();
        return resident;
    }
    return map;
}

// The part of one lane of the 7 x 7 convolution of planes [2, height, width], zero-padded, at a position.
template <typename T>
__device__ Sum part_of_convolution(const float* planes, const T* weights, int height, int width, int position,
                                   int lane, int lanes) {
    const int row = position / width, column = position % width;
    Sum part;
    for (int tap = lane; tap < 2 * kTaps * kTaps; tap += lanes) {
        const int i = row + tap / kTaps % kTaps - kTaps / 2, j = column + tap % kTaps - kTaps / 2;
        if (i < 0 || i >= height || j < 0 || j >= width) continue;
        const float* const plane = planes + tap / (kTaps * kTaps) * height * width;
        part.add(to_float(weights[tap]), plane[i * width + j]);
    }
    return part;
}

// Replaces the means in channel [C] by the gates; hidden [hidden] is scratch.
template <typename T>
__device__ void gate_channels(const DcifWeights& weights, int channels, float* channel, float* hidden) {
    const T *const squeeze_b = static_cast<const T*>(weights.squeeze_b), *const expand_b =
                                                                             static_cast<const T*>(
                                                                                 weights.expand_b);
    reduce_rows<Sum>(static_cast<const T*>(weights.squeeze_w), weights.hidden, channels, channel,
                     [=](int h, Sum all) { hidden[h] = fmaxf(all.sum + to_float(squeeze_b[h]), 0.0f); });
    __syncthreads();
    reduce_rows<Sum>(static_cast<const T*>(weights.expand_w), channels, weights.hidden, hidden,
                     [=](int c, Sum all) { channel[c] = sigmoid(all.sum + to_float(expand_b[c])); });
    __syncthreads();
}

template <typename T, bool kChannelsLast, bool kResident>
__global__ void __launch_bounds__(kMaxThreads) filter_and_pool(Arguments arguments) {
    const int channels = arguments.channels, positions = arguments.positions();
    const int height = arguments.height, width = arguments.width;
    const Layout layout = layout_of(arguments, blockDim.x);
    float* const floats = shared_memory<float>() + (kResident ? arguments.elements() * sizeof(T) / 4 : 0);
    float *const channel = floats + layout.channels, *const planes = floats + layout.planes,
                 *const spatial_gate = floats + layout.positions;
    Sum* const sums = reinterpret_cast<Sum*>(floats + layout.parts);
    SumAndLargest* const parts = reinterpret_cast<SumAndLargest*>(sums);
    const T* const map = load_map<T, kResident>(arguments);
    const auto sum_positions = [=](auto factors, auto finish) {
        if constexpr (kChannelsLast)
            reduce_columns<Sum>(map, positions, channels, factors, sums, finish);
        else
            reduce_rows<Sum>(map, channels, positions, factors, finish);
    };
    sum_positions(Ones(), [=](int c, Sum all) { channel[c] = all.sum / positions; });
    __syncthreads();
    gate_channels<T>(arguments.weights, channels, channel, floats + layout.hidden);
    const auto write_summary = [=](int p, SumAndLargest all) {
        planes[p] = all.sum / channels;
        planes[positions + p] = all.largest;
    };
    if constexpr (kChannelsLast)
        reduce_rows<SumAndLargest>(map, positions, channels, static_cast<const float*>(channel),
                                   write_summary);
    else
        reduce_columns(map, channels, positions, static_cast<const float*>(channel), parts, write_summary);
    __syncthreads();
    const T* const spatial_w = static_cast<const T*>(arguments.weights.spatial_w);
    for_each(
        positions, kMinLanes,
        [=](int p, int lane, int lanes) {
            return part_of_convolution(planes, spatial_w, height, width, p, lane, lanes);
        },
        [=](int p, Sum all) { spatial_gate[p] = sigmoid(all.sum); });
    __syncthreads();
    T* const out = static_cast<T*>(arguments.out) + static_cast<size_t>(blockIdx.x) * channels;
    sum_positions(static_cast<const float*>(spatial_gate),
                  [=](int c, Sum all) { out[c] = from_float<T>(channel[c] / positions * all.sum); });
}

int threads_for(const Arguments& arguments) {
    const size_t wanted = arguments.elements() / kElementsPerThread / kWarp * kWarp;
    if (wanted < kMinThreads) return kMinThreads;
    return wanted > kMaxThreads ? kMaxThreads : static_cast<int>(wanted);
}

template <typename T, bool kChannelsLast>
cudaError_t launch_dcif(const Arguments& arguments, int images, cudaStream_t stream) {
    int limit = 0;
    const cudaError_t error = shared_memory_limit(&limit);
    if (error != cudaSuccess) return error;
    const int threads = threads_for(arguments);
    const size_t floats = layout_of(arguments, threads).end * sizeof(float);
    const size_t all = floats + arguments.elements() * sizeof(T);
    const bool resident = all <= static_cast<size_t>(limit);
    const auto kernel =
        resident ? filter_and_pool<T, kChannelsLast, true> : filter_and_pool<T, kChannelsLast, false>;
    return launch(kernel, static_cast<unsigned>(images), static_cast<unsigned>(threads),
                  resident ? all : floats, stream, arguments);
}

}  // namespace

cudaError_t dcif(const Map& x, const DcifWeights& weights, void* out, cudaStream_t stream) {
    if (x.images == 0) return cudaSuccess;
    const Arguments arguments{x.data, weights, out, x.channels, x.height, x.width};
    return dispatch(x.dtype, [&](auto zero) {
        using T = decltype(zero);
        return x.channels_last ? launch_dcif<T, true>(arguments, x.images, stream)
                               : launch_dcif<T, false>(arguments, x.images, stream);
    });
}

}  // namespace cuda
}  // namespace fer_edge
