// Calls a function for each processor fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL) during its lifetime.
#pragma once

#include <signal.h>

#include <vector>

namespace fer_edge {
namespace emulator {

class FaultHandler {
  public:
    // The function receives the signal and the address of the fault and must not return. It runs on its own
    // stack, because the fault may be a stack overflow of the fiber.
    explicit FaultHandler(void (*on_fault)(int signal, const void* address));
    ~FaultHandler();
    FaultHandler(const FaultHandler&) = delete;
    FaultHandler& operator=(const FaultHandler&) = delete;

  private:
    static constexpr int kSignals[4] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    std::vector<char> stack_;
    stack_t old_stack_;
    struct sigaction old_actions_[4];
};

}  // namespace emulator
}  // namespace fer_edge
