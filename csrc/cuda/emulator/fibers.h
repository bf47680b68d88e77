// Cooperative threads that run one at a time. ucontext enters each fiber once; after that setjmp and longjmp
// switch between fibers, without a system call.
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

    // Called from outside: continues where the fiber stopped (or at the start of `body`) until it stops
    // again.
    void resume();
    // Called from inside: returns to the caller of resume().
    static void stop();
    // Called from inside, also from a signal handler: the fiber never continues; resume() throws Abandoned.
    [[noreturn]] static void abandon();

    struct Abandoned {};

    // The function that all fibers run repeatedly; they stop after each run.
    static void (*body)();

  private:
    static void enter();

    void* stack_;
    ucontext_t start_;
    jmp_buf context_;
    bool started_ = false;
};

}  // namespace emulator
}  // namespace fer_edge
