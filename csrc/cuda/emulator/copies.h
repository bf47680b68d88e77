// The asynchronous copies of one thread. They are done as late as possible, so that a missing wait is
// detected.
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

    // Closes the group of copies that were started since the last call.
    void close() { ++group_; }

    // Does all copies except those of the latest `groups_left` closed groups and of the open group.
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
