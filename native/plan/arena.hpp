// One block of memory for everything a plan touches: regions are reserved first, then laid out, aligned to cache lines.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace chainrule {

struct Region {
  size_t offset = 0, bytes = 0;
};

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { std::free(data_); }

  // Kernels may read (never write) up to one tile past a region's end; the margin keeps that inside the arena.
  static constexpr size_t alignment = 64, margin = 4096;

  Region reserve(size_t count, size_t item) {
    if (item && count > (std::numeric_limits<size_t>::max() / 4) / item)
      throw std::length_error("the plan would need more memory than can be addressed");
    const size_t bytes = count * item, rounded = (bytes + alignment - 1) / alignment * alignment;
    if (rounded > std::numeric_limits<size_t>::max() / 4 - size_)
      throw std::length_error("the plan would need more memory than can be addressed");
    const Region region{size_, bytes};
    size_ += rounded;
    return region;
  }
  void allocate() {
    const size_t page = size_t(2) << 20, bytes = size_ + margin;
    const size_t unit = bytes >= page ? page : alignment;   // huge pages spare the TLB on maps of several MB
    data_ = std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit);
    if (!data_) throw std::bad_alloc();
#ifdef __linux__
    if (unit == page) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
    std::memset(data_, 0, bytes);
  }
  template <class T>
  T* at(const Region& region) const {
    return reinterpret_cast<T*>(static_cast<char*>(data_) + region.offset);
  }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}   // namespace chainrule
