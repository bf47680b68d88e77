// The asynchronous copies of one thread. They happen as late as they may, so that a missing wait is seen.
#pragma once

#include <string.h>

#include <algorithm>
#include <vector>

namespace fer_edge {
namespace emulator {

class PendingCopies {
  public:
    void start(void* target, const void* source, size_t bytes) {
        copies_.push_back({target, source, bytes, group_});
    }

    // Ends the group of the copies started since the last one ended.
    void close() { ++group_; }

    // Copies all but the latest closed groups and the open one.
    void finish(int groups_left) {
        const auto is_late = [=](const Copy& copy) { return copy.group >= group_ - groups_left; };
        const auto late = std::find_if(copies_.begin(), copies_.end(), is_late);
        std::for_each(copies_.begin(), late,
                      [](const Copy& copy) { memcpy(copy.target, copy.source, copy.bytes); });
        copies_.erase(copies_.begin(), late);
    }

  private:
    struct Copy {
        void* target;
        const void* source;
        size_t bytes;
        int group;
    };

    std::vector<Copy> copies_;
    int group_ = 0;
};

}  // namespace emulator
}  // namespace fer_edge
