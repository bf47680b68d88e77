// Memory between two pages that must not be touched.
#pragma once

#include <stddef.h>

#include <string>

namespace fer_edge {
namespace emulator {

constexpr unsigned char kUntouched = 0xff;
// What csrc/cuda/ops.h promises of every array.
constexpr size_t kAlignment = 32;

class GuardedMemory {
  public:
    GuardedMemory(size_t bytes, bool at_end);
    ~GuardedMemory();
    GuardedMemory(const GuardedMemory&) = delete;
    GuardedMemory& operator=(const GuardedMemory&) = delete;

    unsigned char* begin() const { return begin_; }
    size_t bytes() const { return bytes_; }
    // Makes everything kUntouched.
    void clear();
    // Whether what lies between the memory and its pages' ends is as it was.
    bool is_intact() const;
    // Whether the address lies in the memory's mapping.
    bool owns(const void* address) const;
    // For messages: where the address lies.
    std::string place_of(const void* address) const;

  private:
    unsigned char *mapping_, *first_, *last_, *begin_;
    size_t mapped_, bytes_;
};

}  // namespace emulator
}  // namespace fer_edge
