// Memory between two guard pages.
#pragma once

#include <stddef.h>

#include <string>

namespace fer_edge {
namespace emulator {

constexpr unsigned char kUntouched = 0xff;
// The alignment of every array, as csrc/cuda/ops.h requires.
constexpr size_t kAlignment = 32;

class GuardedMemory {
  public:
    GuardedMemory(size_t bytes, bool at_end);
    ~GuardedMemory();
    GuardedMemory(const GuardedMemory&) = delete;
    GuardedMemory& operator=(const GuardedMemory&) = delete;

    unsigned char* begin() const { return begin_; }
    size_t bytes() const { return bytes_; }
    // Fills the memory with kUntouched.
    void clear();
    // Whether the bytes between the memory and the ends of its pages are unchanged.
    bool is_intact() const;
    // Whether the address lies in the mapping, including the guard pages.
    bool owns(const void* address) const;
    // The offset of an address, as text for messages.
    std::string offset_text(const void* address) const;

  private:
    unsigned char *mapping_, *first_, *last_, *begin_;
    size_t mapped_, bytes_;
};

}  // namespace emulator
}  // namespace fer_edge
