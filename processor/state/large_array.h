// LargeArray: a zeroed array whose memory is taken from the system directly: pages that nobody
// touches take none, and the hardware's large pages, if wished, spare it address look-ups. Internal
// to processor/state. Not thread-safe.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include <sys/mman.h>

#include "processor/base/check.h"

namespace alertstream::state {

enum class PageSize : bool { kNormal, kLarge };

template <typename T>
class LargeArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>,
                "zero bytes are its value, and nobody destroys it");

 public:
  LargeArray() = default;
  // The process ends if there is no memory, as everywhere.
  LargeArray(std::size_t size, PageSize pages) : size_(size) {
    if (size == 0) {
      return;
    }
    void* bytes =
        mmap(nullptr, size * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ALERTSTREAM_CHECK(bytes != MAP_FAILED);
    if (pages == PageSize::kLarge) {
      static_cast<void>(madvise(bytes, size * sizeof(T), MADV_HUGEPAGE));  // A wish only.
    }
    data_ = static_cast<T*>(bytes);
  }
  ~LargeArray() {
    if (data_ != nullptr) {
      munmap(data_, size_ * sizeof(T));
    }
  }
  LargeArray(LargeArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  LargeArray& operator=(LargeArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  LargeArray(const LargeArray&) = delete;
  LargeArray& operator=(const LargeArray&) = delete;

  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace alertstream::state
