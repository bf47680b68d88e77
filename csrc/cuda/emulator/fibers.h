// Threads that run one at a time and hand over by themselves. Contexts of ucontext are entered once; after
// that setjmp and longjmp switch, which make no system call.
#pragma once

#include <setjmp.h>
#include <stddef.h>
#include <ucontext.h>

#include <memory>

namespace fer_edge {
namespace emulator {

class Fiber {
  public:
    Fiber();
    ~Fiber();
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    // From outside: goes on where the fiber stopped, or at the beginning of `body`, until it stops.
    void resume();
    // From inside: back to the caller of resume().
    static void stop();
    // From inside, also from a signal's handler: ends the fiber's turn for good; resume() throws Abandoned.
    [[noreturn]] static void abandon();

    struct Abandoned {};

    // What all fibers run, again and again; each time they stop once at the end.
    static void (*body)();

  private:
    static void enter();

    void* stack_;
    ucontext_t start_;
    jmp_buf place_;
    bool started_ = false;
};

}  // namespace emulator
}  // namespace fer_edge
