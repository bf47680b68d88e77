#include "memory.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <new>

namespace fer_edge {
namespace emulator {

GuardedMemory::GuardedMemory(size_t bytes, bool at_end) : bytes_(bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inner = std::max<size_t>((bytes + page - 1) / page * page, page);
    mapped_ = inner + 2 * page;
    void* const mapping = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) throw std::bad_alloc();
    mapping_ = static_cast<unsigned char*>(mapping);
    first_ = mapping_ + page;
    last_ = first_ + inner;
    if (mprotect(first_, inner, PROT_READ | PROT_WRITE) != 0) {
        munmap(mapping_, mapped_);
        throw std::bad_alloc();
    }
    begin_ = at_end ? last_ - (bytes + kAlignment - 1) / kAlignment * kAlignment : first_;
    clear();
}

GuardedMemory::~GuardedMemory() { munmap(mapping_, mapped_); }

void GuardedMemory::clear() { memset(first_, kUntouched, static_cast<size_t>(last_ - first_)); }

bool GuardedMemory::is_intact() const {
    const auto touched = [](unsigned char byte) { return byte != kUntouched; };
    return std::none_of(first_, begin_, touched) && std::none_of(begin_ + bytes_, last_, touched);
}

bool GuardedMemory::owns(const void* address) const {
    return address >= mapping_ && address < mapping_ + mapped_;
}

std::string GuardedMemory::offset_text(const void* address) const {
    const ptrdiff_t offset = static_cast<const unsigned char*>(address) - begin_;
    return "byte " + std::to_string(offset) + " of " + std::to_string(bytes_);
}

}  // namespace emulator
}  // namespace fer_edge
