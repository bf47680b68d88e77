// Runs a launch on one CPU thread, with one fiber per CUDA thread of a block, and checks it.
//
// It detects:
// - reads and writes outside of the arrays or of the requested shared memory;
// - uninitialized shared memory that reaches a result (it is NaN);
// - threads that do not all wait at the same barrier;
// - unaligned vector loads and other undefined behaviour (if compiled with -fsanitize=undefined);
// - wrong results in IEEE arithmetic;
// - results that depend on the order of the threads, if a test compares several orders.
//
// It does not detect: anything about time, registers or the device compiler; races whose orders give the same
// result; violations of the memory model (fibers see each other's writes at once); rounding inside tensor
// cores.
#pragma once

#include <driver_types.h>
#include <stddef.h>
#include <stdint.h>
#include <vector_types.h>

#include <functional>

namespace fer_edge {
namespace emulator {

// Functions of the running thread.
int lane();
void* shared_memory();
void wait_for_block(int line);
// Waits for the lanes of the mask, then returns the value of the source lane.
uint64_t exchange(unsigned mask, uint64_t value, int source_lane, int line);
void start_copy(void* target, const void* source, size_t bytes);
void close_copies();
void finish_copies(int groups_left);

cudaError_t run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& kernel);
int shared_limit();

}  // namespace emulator
}  // namespace fer_edge

extern "C" {

// Sets the order of blocks, warps and lanes (0 forward, 1 backward, 2 shuffled) and the maximum shared memory
// of a block.
void emulator_configure(int order, unsigned seed, int shared_limit);
// The error of the last failed launch.
const char* emulator_message();
// Memory aligned to 32 bytes, filled with 0xff bytes (NaN in every floating-point type), between two guard
// pages. It ends at the second page if `at_end`, else it begins after the first.
void* emulator_allocate(size_t bytes, int at_end);
void emulator_release(void* memory);
}
