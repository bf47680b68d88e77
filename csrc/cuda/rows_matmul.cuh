// The product of a matrix's rows and a weight's rows, a tile a block: what every 1 x 1 convolution and every
// linear layer here is made of. The rows come from a source, which may compute them; what becomes of the sums
// decides the target.
//
// A tile walks along the depth in steps. While it makes the sums of one step, the packets of the next ones
// are on their way into a ring in shared memory: those that lie in memory as they are needed are copied
// asynchronously, those that are computed pass through registers. One barrier a step.
#pragma once

#include <type_traits>

#include "packets.cuh"

namespace fer_edge {
namespace cuda {

// A warp makes 16 x 32 sums. Where there are few rows, several warps share them: each has its part of every
// step, and the parts are added in a fixed order. Rows in shared memory are 16 bytes longer than they need
// to be: eight of them, a packet each, lie in 32 different banks.
template <int kRowWarps_, int kColumnWarps_, int kSplits_, int kStepBytes_, int kStages_>
struct Tile {
    static constexpr int kRowWarps = kRowWarps_, kColumnWarps = kColumnWarps_, kSplits = kSplits_;
    static constexpr int kStepBytes = kStepBytes_, kStages = kStages_;
    static constexpr int kRows = 16 * kRowWarps, kColumns = 32 * kColumnWarps;
    static constexpr int kThreads = kWarp * kRowWarps * kColumnWarps * kSplits;
    static constexpr int kStageBytes = (kRows + kColumns) * (kStepBytes + 16);
    static constexpr int kSumsPitch = kColumns + 4;
    static constexpr int kSumsBytes = kSplits * kRows * kSumsPitch * 4;
    static constexpr int kSharedBytes = kStages * kStageBytes;
    static_assert(kSumsBytes <= kSharedBytes, "the sums take the ring's place");
};

// At batch 1 a weight is read once whatever the tile: small tiles spread it over the multiprocessors. With
// many rows every tile reads it again. Both keep 24 KiB under way.
using FewRows = Tile<1, 1, 4, 256, 3>;
using ManyRows = Tile<4, 2, 1, 64, 4>;
constexpr int kFewRows = 256;

// The sums of a warp, and how 16 steps of depth are added to them: on CUDA cores.
template <typename Left, typename Right, bool kTensorCores>
struct WarpSums {
    float sums[4][4];  // rows lane / 8 + 4 i, columns lane % 8 + 8 j

    __device__ void clear() {
#pragma unroll
        for (int i = 0; i < 16; ++i) sums[i / 4][i % 4] = 0.0f;
    }
    template <typename T>
    __device__ static void load4(const T* source, float (&values)[4]) {
        struct alignas(4 * sizeof(T)) Four {
            T values[4];
        };
        const Four four = *reinterpret_cast<const Four*>(source);
#pragma unroll
        for (int i = 0; i < 4; ++i) values[i] = to_float(four.values[i]);
    }
    __device__ void add(const Left* rows, int row_pitch, const Right* columns, int column_pitch) {
        const int lane = threadIdx.x % kWarp;
        rows += lane / 8 * row_pitch;
        columns += lane % 8 * column_pitch;
        // Sixteen at a time: one long sum would round worse than the reference's.
        float parts[4][4] = {};
#pragma unroll
        for (int k = 0; k < 16; k += 4) {
            float left[4][4], right[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) load4(rows + 4 * i * row_pitch + k, left[i]);
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                load4(columns + 8 * j * column_pitch + k, right);
#pragma unroll
                for (int i = 0; i < 4; ++i)
#pragma unroll
                    for (int e = 0; e < 4; ++e) parts[i][j] = fmaf(left[i][e], right[e], parts[i][j]);
            }
        }
#pragma unroll
        for (int i = 0; i < 16; ++i) sums[i / 4][i % 4] += parts[i / 4][i % 4];
    }
    __device__ void store(float* target, int pitch) const {
        const int lane = threadIdx.x % kWarp;
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) target[(lane / 8 + 4 * i) * pitch + lane % 8 + 8 * j] = sums[i][j];
    }
};

// On tensor cores.
template <typename T>
struct WarpSums<T, T, true> {
    nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> sums[2];

    __device__ void clear() {
        nvcuda::wmma::fill_fragment(sums[0], 0.0f);
        nvcuda::wmma::fill_fragment(sums[1], 0.0f);
    }
    __device__ void add(const T* rows, int row_pitch, const T* columns, int column_pitch) {
        using namespace nvcuda::wmma;
        fragment<matrix_a, 16, 16, 16, T, row_major> left;
        load_matrix_sync(left, rows, row_pitch);
#pragma unroll
        for (int j = 0; j < 2; ++j) {
            fragment<matrix_b, 16, 16, 16, T, col_major> right;
            load_matrix_sync(right, columns + 16 * j * column_pitch, column_pitch);
            mma_sync(sums[j], left, right, sums[j]);
        }
    }
    __device__ void store(float* target, int pitch) const {
        nvcuda::wmma::store_matrix_sync(target, sums[0], pitch, nvcuda::wmma::mem_row_major);
        nvcuda::wmma::store_matrix_sync(target + 16, sums[1], pitch, nvcuda::wmma::mem_row_major);
    }
};

template <typename Left, typename Right>
__device__ constexpr bool on_tensor_cores() {
    return std::is_same<Left, Right>::value && has_tensor_cores<Left>();
}

// kCount rows of kStep values in shared memory, and how a thread brings its share of them there.
template <typename T, int kCount, int kStep, int kThreads>
struct Panel {
    static constexpr int kPackets = kStep / Packet<T>::kCount;  // of a row
    static constexpr int kPitch = kStep + Packet<T>::kCount;
    static constexpr int kBytes = kCount * kPitch * static_cast<int>(sizeof(T));
    static constexpr int kShare = (kCount * kPackets + kThreads - 1) / kThreads;
    static constexpr bool kAsync = kArchitecture >= 800;
    uint4 computed[kShare];

    // Calls move(which, row, column) for the thread's packets, all of them within the tile.
    template <typename Move>
    __device__ static void visit(bool down, Move move) {
#pragma unroll
        for (int i = 0; i < kShare; ++i) {
            const int item = threadIdx.x + i * kThreads;
            const int row = down ? item % kCount : item / kPackets;
            const int packet = down ? item / kCount : item % kPackets;
            if (kCount * kPackets % kThreads == 0 || item < kCount * kPackets)
                move(i, row, packet * Packet<T>::kCount);
        }
    }
    // Zeros beyond the last row and the end of the rows.
    template <typename Source>
    __device__ void fetch(const Source& source, int first, int k, T* panel) {
        visit(source.down(k), [&](int which, int row, int column) {
            T* const target = panel + row * kPitch + column;
            const bool inside = first + row < source.count && k + column < source.width;
            if (!inside)
                *reinterpret_cast<uint4*>(target) = make_uint4(0, 0, 0, 0);
            else if (kAsync && source.direct(k + column))
                copy_async(target, source.at(first + row, k + column));
            else
                computed[which] = source.read(first + row, k + column);
        });
    }
    // What fetch() did not write; the same arguments.
    template <typename Source>
    __device__ void put(const Source& source, int first, int k, T* panel) {
        visit(source.down(k), [&](int which, int row, int column) {
            const bool inside = first + row < source.count && k + column < source.width;
            if (inside && !(kAsync && source.direct(k + column)))
                *reinterpret_cast<uint4*>(panel + row * kPitch + column) = computed[which];
        });
    }
};

// Adds up the splits' parts of a tile and hands them to the target.
template <typename Shape, typename Target>
__device__ inline void write_tile(const float* parts, int row, int column, int rows, int columns,
                                  const Target& target) {
    constexpr int kAcross = Shape::kColumns / 8, kPart = Shape::kRows * Shape::kSumsPitch;
    const bool down = target.down(column);
    for (int item = threadIdx.x; item < Shape::kRows * kAcross; item += Shape::kThreads) {
        const int i = down ? item % Shape::kRows : item / kAcross;
        const int j = (down ? item / Shape::kRows : item % kAcross) * 8;
        if (row + i >= rows || column + j >= columns) continue;
        float values[8], more[8];
        load8(parts + i * Shape::kSumsPitch + j, values);
#pragma unroll
        for (int split = 1; split < Shape::kSplits; ++split) {
            load8(parts + split * kPart + i * Shape::kSumsPitch + j, more);
#pragma unroll
            for (int e = 0; e < 8; ++e) values[e] += more[e];
        }
        target.write8(row + i, column + j, values);
    }
}

// The sums of the tile whose corner is (row, column) go to target.write8(row, column, values), eight
// neighbouring columns a call. `shared` has Shape::kSharedBytes and is free when the function is entered; on
// return some threads may still read it. Sources are like `Rows`, targets have down() and write8().
template <typename Shape, typename Source, typename Weights, typename Target>
__device__ __forceinline__ void rows_matmul(const Source& source, const Weights& weights, int row, int column,
                                            unsigned char* shared, const Target& target) {
    using Left = typename Source::Value;
    using Right = typename Weights::Value;
    constexpr int kWidest = static_cast<int>(sizeof(Left) > sizeof(Right) ? sizeof(Left) : sizeof(Right));
    constexpr int kStep = Shape::kStepBytes / kWidest, kAhead = Shape::kStages - 1;
    using LeftPanel = Panel<Left, Shape::kRows, kStep, Shape::kThreads>;
    using RightPanel = Panel<Right, Shape::kColumns, kStep, Shape::kThreads>;
    const int warp = threadIdx.x / kWarp, split = warp % Shape::kSplits, part = warp / Shape::kSplits;
    const int warp_row = part / Shape::kColumnWarps * 16, warp_column = part % Shape::kColumnWarps * 32;
    const auto left_of = [&](int step) {
        return reinterpret_cast<Left*>(shared + step % Shape::kStages * Shape::kStageBytes);
    };
    const auto right_of = [&](int step) {
        return reinterpret_cast<Right*>(shared + step % Shape::kStages * Shape::kStageBytes +
                                        LeftPanel::kBytes);
    };

    LeftPanel left;
    RightPanel right;
    WarpSums<Left, Right, on_tensor_cores<Left, Right>()> sums;
    sums.clear();
#pragma unroll
    for (int step = 0; step < kAhead; ++step) {
        left.fetch(source, row, step * kStep, left_of(step));
        right.fetch(weights, column, step * kStep, right_of(step));
        copy_async_commit();
        left.put(source, row, step * kStep, left_of(step));
        right.put(weights, column, step * kStep, right_of(step));
    }
    const int steps = (source.width + kStep - 1) / kStep;
    for (int step = 0; step < steps; ++step) {
        copy_async_wait<kAhead - 1>();
        // The step's packets are there, and nobody reads the place of the ones fetched next any more.
        __syncthreads();
        const int next = step + kAhead;
        left.fetch(source, row, next * kStep, left_of(next));
        right.fetch(weights, column, next * kStep, right_of(next));
        copy_async_commit();
        const int end = min(kStep, source.width - step * kStep);
#pragma unroll
        for (int slice = 0; slice < kStep; slice += 16 * Shape::kSplits) {
            const int k = slice + 16 * split;
            if (k < end)
                sums.add(left_of(step) + warp_row * LeftPanel::kPitch + k, LeftPanel::kPitch,
                         right_of(step) + warp_column * RightPanel::kPitch + k, RightPanel::kPitch);
        }
        left.put(source, row, next * kStep, left_of(next));
        right.put(weights, column, next * kStep, right_of(next));
    }
    copy_async_wait<0>();
    __syncthreads();

    float* const parts = reinterpret_cast<float*>(shared);
    sums.store(parts + split * Shape::kRows * Shape::kSumsPitch + warp_row * Shape::kSumsPitch + warp_column,
               Shape::kSumsPitch);
    __syncthreads();
    write_tile<Shape>(parts, row, column, source.count, weights.count, target);
}

}  // namespace cuda
}  // namespace fer_edge
