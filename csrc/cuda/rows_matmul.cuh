// Matrix product of rows and weight rows, one tile per block. All 1 x 1 convolutions and linear layers use
// it. A source provides the rows and may compute them; a target receives the sums.
//
// A tile is computed in steps along the depth. During one step, the packets of the next steps are loaded into
// a ring buffer in shared memory: packets in memory are copied asynchronously, computed packets go through
// registers. There is one barrier per step.
#pragma once

#include <type_traits>

#include "packets.cuh"

namespace fer_edge {
namespace cuda {

// A warp computes 16 x 32 sums. If there are few rows, several warps (splits) share a tile: each computes a
// part of every step, and the parts are added in a fixed order. Rows in shared memory are padded by 16 bytes,
// so that one packet of each of eight rows lies in 32 different banks.
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
    static_assert(kSumsBytes <= kSharedBytes, "the sums reuse the memory of the ring buffer");
};

// At batch 1 each weight is read once for any tile size, and small tiles spread the reads over the
// multiprocessors. With many rows every row of tiles reads the weights again, so tiles are larger. Both
// prefetch 24 KiB.
using FewRows = Tile<1, 1, 4, 256, 3>;
using ManyRows = Tile<4, 2, 1, 64, 4>;
constexpr int kFewRows = 256;

// The sums of a warp; add() adds the products of 16 depth values, here on CUDA cores.
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
        // Sums of sixteen products: one long sum would have larger rounding errors than the reference.
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

// The same on tensor cores.
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

// kCount rows of kStep values in shared memory, with functions that load the share of a thread.
template <typename T, int kCount, int kStep, int kThreads>
struct Panel {
    static constexpr int kPackets = kStep / Packet<T>::kCount;  // per row
    static constexpr int kPitch = kStep + Packet<T>::kCount;
    static constexpr int kBytes = kCount * kPitch * static_cast<int>(sizeof(T));
    static constexpr int kShare = (kCount * kPackets + kThreads - 1) / kThreads;
    static constexpr bool kAsync = kArchitecture >= 800;
    uint4 computed[kShare];

    // Calls move(which, row, column) for the packets of this thread.
    template <typename Move>
    __device__ static void visit(bool rows_first, Move move) {
#pragma unroll
        for (int i = 0; i < kShare; ++i) {
            const int item = threadIdx.x + i * kThreads;
            const int row = rows_first ? item % kCount : item / kPackets;
            const int packet = rows_first ? item / kCount : item % kPackets;
            if (kCount * kPackets % kThreads == 0 || item < kCount * kPackets)
                move(i, row, packet * Packet<T>::kCount);
        }
    }
    // Loads packets: starts copies and computes the others. Outside the matrix it writes zeros.
    template <typename Source>
    __device__ void fetch(const Source& source, int first, int k, T* panel) {
        visit(source.rows_first(k), [&](int which, int row, int column) {
            T* const target = panel + row * kPitch + column;
            const bool inside = first + row < source.count && k + column < source.width;
            if (!inside)
                *reinterpret_cast<uint4*>(target) = make_uint4(0, 0, 0, 0);
            else if (kAsync && source.in_memory(k + column))
                copy_async(target, source.at(first + row, k + column));
            else
                computed[which] = source.read(first + row, k + column);
        });
    }
    // Stores the packets that fetch() computed; takes the same arguments.
    template <typename Source>
    __device__ void store_computed(const Source& source, int first, int k, T* panel) {
        visit(source.rows_first(k), [&](int which, int row, int column) {
            const bool inside = first + row < source.count && k + column < source.width;
            if (inside && !(kAsync && source.in_memory(k + column)))
                *reinterpret_cast<uint4*>(panel + row * kPitch + column) = computed[which];
        });
    }
};

// Adds the parts of the splits and passes the sums of the tile to the target.
template <typename Shape, typename Target>
__device__ inline void write_tile(const float* parts, int row, int column, int rows, int columns,
                                  const Target& target) {
    constexpr int kAcross = Shape::kColumns / 8, kPart = Shape::kRows * Shape::kSumsPitch;
    const bool rows_first = target.rows_first(column);
    for (int item = threadIdx.x; item < Shape::kRows * kAcross; item += Shape::kThreads) {
        const int i = rows_first ? item % Shape::kRows : item / kAcross;
        const int j = (rows_first ? item / Shape::kRows : item % kAcross) * 8;
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

// Computes the tile at (row, column) and calls target.write8(row, column, values) for eight neighbouring
// columns at a time. `shared` has Shape::kSharedBytes and must be free at entry; after return some threads
// may still read it. Sources have the members of `Rows`; targets have rows_first() and write8().
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
        left.store_computed(source, row, step * kStep, left_of(step));
        right.store_computed(weights, column, step * kStep, right_of(step));
    }
    const int steps = (source.width + kStep - 1) / kStep;
    for (int step = 0; step < steps; ++step) {
        copy_async_wait<kAhead - 1>();
        // Now the packets of this step are loaded, and no thread reads the buffer of the next packets any
        // more.
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
        left.store_computed(source, row, next * kStep, left_of(next));
        right.store_computed(weights, column, next * kStep, right_of(next));
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
