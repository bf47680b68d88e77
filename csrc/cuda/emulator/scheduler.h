// Runs a launch on one thread of the CPU, every thread of a block as a fiber, and judges it.
//
// What it proves: that no thread reads or writes outside of its arrays or of the shared memory asked for,
// that no uninitialised shared memory gets into a result (it is NaN), that all threads meet at the same
// barriers, that vector loads are aligned and nothing else happens that C++ leaves undefined (compiled with
// -fsanitize=undefined), that what is computed is right in the arithmetic of IEEE, and, run in several orders
// with equal results, that no value depends on which thread comes first.
//
// What it does not prove: anything about time, registers or the device's compiler; races whose two orders
// agree; the memory model (fibers see each other's writes at once); the rounding inside tensor cores.
#pragma once

#include <driver_types.h>
#include <stddef.h>
#include <stdint.h>
#include <vector_types.h>

#include <functional>

namespace fer_edge {
namespace emulator {

// What the running thread is, has and waits for.
int lane();
void* shared_memory();
void wait_for_block(int line);
// Waits for the lanes of the mask, then returns the value of one of them.
uint64_t exchange(unsigned mask, uint64_t value, int source_lane, int line);
void start_copy(void* target, const void* source, size_t bytes);
void close_copies();
void finish_copies(int groups_left);

cudaError_t run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& kernel);
int shared_limit();

}  // namespace emulator
}  // namespace fer_edge

extern "C" {

// In which order blocks, warps and lanes run: 0 forward, 1 backward, 2 shuffled; and what a block can have of
// shared memory.
void emulator_configure(int order, unsigned seed, int shared_limit);
// What was wrong with the launch that failed last.
const char* emulator_message();
// Memory at a multiple of 32 bytes, full of ones (NaN in every type), between two pages that must not be
// touched: it ends at the second if `at_end`, else begins after the first. nullptr if there is none.
void* emulator_allocate(size_t bytes, int at_end);
void emulator_release(void* memory);
}
