#include "scheduler.h"

#include <signal.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "copies.h"
#include "faults.h"
#include "fibers.h"
#include "memory.h"

// The built-in variables of the running thread.
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace fer_edge {
namespace emulator {
namespace {

constexpr int kWarp = 32;
constexpr int kMaxThreads = 1024;
enum Order { kForward, kBackward, kShuffled };
enum class State { kReady = 0, kAtBarrier, kInExchange, kLeft };

struct Thread {
    State state;
    // Of the barrier or exchange that it waits for.
    int line, source_lane;
    unsigned mask;
    uint64_t value, received;
    PendingCopies copies;
};

struct Failure {
    cudaError_t error;
    std::string what;
};

int order = kForward;
int limit = 227 * 1024;
std::mt19937 random_numbers;
std::string message;
std::map<void*, std::unique_ptr<GuardedMemory>> allocations;

std::deque<Fiber> fibers;
std::vector<Thread> threads;
Thread* running = nullptr;
GuardedMemory* shared = nullptr;
const std::function<void()>* body = nullptr;

std::string text(const uint3& at) {
    return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " + std::to_string(at.z) + ")";
}

[[noreturn]] void fail(const std::string& what) {
    throw Failure{cudaErrorLaunchFailure, "block " + text(blockIdx) + ": " + what};
}

// An error inside a fiber ends the launch. The message is stored outside of the fiber's stack.
[[noreturn]] void fail_inside(const char* what) {
    message = std::string("thread ") + text(threadIdx) + " " + what;
    Fiber::abandon();
}

void stop_as(State state, int line) {
    running->state = state;
    running->line = line;
    Fiber::stop();
}

void run_thread() {
    (*body)();
    running->state = State::kLeft;
}

std::vector<int> ordered(int count) {
    std::vector<int> indices(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) indices[i] = order == kBackward ? count - 1 - i : i;
    if (order == kShuffled) std::shuffle(indices.begin(), indices.end(), random_numbers);
    return indices;
}

void resume(int index) {
    running = &threads[index];
    const unsigned i = static_cast<unsigned>(index);
    threadIdx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
    try {
        fibers[index].resume();
    } catch (const Fiber::Abandoned&) {
        fail(message);
    }
}

bool is_ready(const Thread* warp) {
    return std::any_of(warp, warp + kWarp, [](const Thread& t) { return t.state == State::kReady; });
}

bool arrived(const Thread* warp, const Thread& first) {
    for (int lane = 0; lane < kWarp; ++lane) {
        const Thread& other = warp[lane];
        if (first.mask >> lane & 1 &&
            (other.state != State::kInExchange || other.mask != first.mask || other.line != first.line))
            return false;
    }
    return true;
}

// Lets lanes continue if all lanes of their mask have arrived.
void finish_exchanges(Thread* warp) {
    unsigned finished = 0;
    for (int lane = 0; lane < kWarp; ++lane)
        if (!(finished >> lane & 1) && warp[lane].state == State::kInExchange && arrived(warp, warp[lane]))
            finished |= warp[lane].mask;
    for (int lane = 0; lane < kWarp; ++lane) {
        if (!(finished >> lane & 1)) continue;
        const int source = warp[lane].source_lane;
        if (source >= kWarp || !(warp[lane].mask >> source & 1))
            fail("a shuffle reads a lane that takes no part");
        warp[lane].received = warp[source].value;
        warp[lane].state = State::kReady;
    }
}

// Runs one warp until it waits for others, then the next one. Without a needed barrier, values are then
// exchanged in a wrong order, which is detected.
void step_warp(int warp) {
    for (const int lane : ordered(kWarp))
        if (threads[warp * kWarp + lane].state == State::kReady) resume(warp * kWarp + lane);
    finish_exchanges(&threads[warp * kWarp]);
}

bool step_any_warp() {
    for (const int warp : ordered(static_cast<int>(threads.size()) / kWarp)) {
        if (!is_ready(&threads[warp * kWarp])) continue;
        step_warp(warp);
        return true;
    }
    return false;
}

[[noreturn]] void fail_apart() {
    int counts[4] = {};
    for (const Thread& thread : threads) ++counts[static_cast<int>(thread.state)];
    fail("the threads are apart: " + std::to_string(counts[static_cast<int>(State::kAtBarrier)]) +
         " at a barrier, " + std::to_string(counts[static_cast<int>(State::kInExchange)]) +
         " in a shuffle or warp barrier, " + std::to_string(counts[static_cast<int>(State::kLeft)]) +
         " have left the kernel");
}

// Called if no thread can continue. Returns true if all have left, false if all may leave the barrier.
bool finish_barrier() {
    const Thread& first = threads.front();
    for (const Thread& thread : threads)
        if (thread.state != first.state || thread.state == State::kInExchange || thread.line != first.line)
            fail_apart();
    if (first.state == State::kLeft) return true;
    for (Thread& thread : threads) thread.state = State::kReady;
    return false;
}

void run_block() {
    shared->clear();
    for (Thread& thread : threads) thread = Thread{};
    do {
        while (step_any_warp()) {
        }
    } while (!finish_barrier());
    if (!shared->is_intact()) fail("wrote outside of its shared memory");
}

// Turns a processor fault in a kernel into a failure of its launch.
void on_fault(int signal, const void* address) {
    message = "thread " + text(threadIdx);
    if (signal == SIGSEGV || signal == SIGBUS)
        message += " must not access address " + std::to_string(reinterpret_cast<uintptr_t>(address));
    else
        message += signal == SIGFPE ? " divides by zero" : " does what C++ leaves undefined";
    if (shared->owns(address)) message += ", " + shared->offset_text(address) + " shared ones";
    for (const auto& [begin, memory] : allocations)
        if (memory->owns(address)) message += ", " + memory->offset_text(address) + " of an array";
    Fiber::abandon();
}

void check_launch(dim3 grid, dim3 block, size_t shared_bytes) {
    const uint64_t size = uint64_t{block.x} * block.y * block.z;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535 || size == 0 ||
        size > kMaxThreads || block.z > 64)
        throw Failure{cudaErrorInvalidConfiguration, "no device takes this grid or block"};
    if (size % kWarp != 0)
        throw Failure{cudaErrorInvalidConfiguration, "the block is not made of whole warps"};
    if (shared_bytes > static_cast<size_t>(limit))
        throw Failure{cudaErrorInvalidValue, "the block asks for more shared memory than there is"};
}

void run_grid(size_t block_size) {
    while (fibers.size() < block_size) fibers.emplace_back();
    threads.assign(block_size, Thread{});
    const int64_t blocks = int64_t{gridDim.x} * gridDim.y * gridDim.z;
    for (const int index : ordered(static_cast<int>(blocks))) {
        const unsigned i = static_cast<unsigned>(index);
        blockIdx = {i % gridDim.x, i / gridDim.x % gridDim.y, i / (gridDim.x * gridDim.y)};
        run_block();
    }
    for (const auto& [begin, memory] : allocations)
        if (!memory->is_intact()) fail("or another one: wrote beside an array");
}

}  // namespace

int lane() { return static_cast<int>(running - threads.data()) % kWarp; }

void* shared_memory() { return shared->begin(); }

void wait_for_block(int line) { stop_as(State::kAtBarrier, line); }

uint64_t exchange(unsigned mask, uint64_t value, int source_lane, int line) {
    if (!(mask >> lane() & 1)) fail_inside("is not in the mask that it waits for");
    running->mask = mask;
    running->value = value;
    running->source_lane = source_lane;
    stop_as(State::kInExchange, line);
    return running->received;
}

void start_copy(void* target, const void* source, size_t bytes) {
    if ((reinterpret_cast<uintptr_t>(target) | reinterpret_cast<uintptr_t>(source)) % bytes != 0)
        fail_inside("copies between addresses that are not aligned");
    running->copies.start(target, source, bytes);
}

void close_copies() { running->copies.close(); }

void finish_copies(int groups_left) { running->copies.finish(groups_left); }

int shared_limit() { return limit; }

cudaError_t run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& kernel) {
    try {
        check_launch(grid, block, shared_bytes);
        GuardedMemory memory(shared_bytes, true);
        const FaultHandler handler(on_fault);
        shared = &memory;
        body = &kernel;
        gridDim = grid;
        blockDim = block;
        Fiber::body = run_thread;
        run_grid(size_t{block.x} * block.y * block.z);
        return cudaSuccess;
    } catch (const Failure& failure) {
        // Fibers that stopped in the middle of a kernel cannot be reused.
        fibers.clear();
        message = failure.what;
        return failure.error;
    } catch (const std::bad_alloc&) {
        message = "no memory for the fibers";
        return cudaErrorMemoryAllocation;
    }
}

}  // namespace emulator
}  // namespace fer_edge

using namespace fer_edge::emulator;

void emulator_configure(int new_order, unsigned seed, int shared_limit) {
    order = new_order;
    random_numbers.seed(seed);
    limit = shared_limit;
}

const char* emulator_message() { return message.c_str(); }

void* emulator_allocate(size_t bytes, int at_end) {
    auto memory = std::make_unique<GuardedMemory>(bytes, at_end != 0);
    void* const begin = memory->begin();
    allocations.emplace(begin, std::move(memory));
    return begin;
}

void emulator_release(void* memory) { allocations.erase(memory); }
