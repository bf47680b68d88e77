#include "fibers.h"

#include <stdlib.h>
#include <sys/mman.h>

#include <new>

namespace fer_edge {
namespace emulator {
namespace {

// Only touched pages use memory. Fragments of the emulated tensor cores are the largest local variables.
constexpr size_t kStackBytes = 256 * 1024;
enum Code { kFirst = 0, kStopped = 1, kAbandoned = 2, kResumed = 1 };

jmp_buf home;
Fiber* current = nullptr;

}  // namespace

void (*Fiber::body)() = nullptr;

Fiber::Fiber() {
    stack_ = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    if (stack_ == MAP_FAILED) throw std::bad_alloc();
    getcontext(&start_);
    start_.uc_stack.ss_sp = stack_;
    start_.uc_stack.ss_size = kStackBytes;
    start_.uc_link = nullptr;
    makecontext(&start_, &Fiber::enter, 0);
}

Fiber::~Fiber() { munmap(stack_, kStackBytes); }

void Fiber::enter() {
    for (;;) {
        body();
        stop();
    }
}

void Fiber::resume() {
    current = this;
    switch (_setjmp(home)) {
        case kFirst:
            if (started_) _longjmp(context_, kResumed);
            started_ = true;
            setcontext(&start_);
            abort();
        case kAbandoned:
            throw Abandoned{};
        default:
            break;
    }
}

void Fiber::stop() {
    if (_setjmp(current->context_) == kFirst) _longjmp(home, kStopped);
}

void Fiber::abandon() { _longjmp(home, kAbandoned); }

}  // namespace emulator
}  // namespace fer_edge
