#include "faults.h"

namespace fer_edge {
namespace emulator {
namespace {

constexpr size_t kStackBytes = 1 << 16;
void (*handler)(int, const void*) = nullptr;

void on_signal(int signal, siginfo_t* info, void*) { handler(signal, info->si_addr); }

}  // namespace

FaultHandler::FaultHandler(void (*on_fault)(int, const void*)) : stack_(kStackBytes) {
    handler = on_fault;
    stack_t alternative{};
    alternative.ss_sp = stack_.data();
    alternative.ss_size = stack_.size();
    sigaltstack(&alternative, &old_stack_);
    struct sigaction action{};
    action.sa_sigaction = on_signal;
    // SA_NODEFER: the handler does not return, so the signal must not stay blocked.
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    for (int i = 0; i < 4; ++i) sigaction(kSignals[i], &action, &old_actions_[i]);
}

FaultHandler::~FaultHandler() {
    for (int i = 0; i < 4; ++i) sigaction(kSignals[i], &old_actions_[i], nullptr);
    sigaltstack(&old_stack_, nullptr);
}

}  // namespace emulator
}  // namespace fer_edge
