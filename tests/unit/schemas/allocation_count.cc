#include "tests/unit/schemas/allocation_count.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace alertstream::schemas {
namespace {

std::atomic<std::size_t> allocations = 0;

[[maybe_unused]] void* Allocate(std::size_t bytes) {
  ++allocations;
  void* const memory = std::malloc(bytes);
  if (memory == nullptr) {
    std::abort();
  }
  return memory;
}

}  // namespace

std::size_t AllocationCount() { return allocations; }

}  // namespace alertstream::schemas

// The thread sanitizer has operators of its own, which cannot be replaced: with it the count stays
// 0.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ALERTSTREAM_KEEPS_OPERATOR_NEW
#endif
#endif

#ifndef ALERTSTREAM_KEEPS_OPERATOR_NEW
// The array forms end in these.
void* operator new(std::size_t bytes) { return alertstream::schemas::Allocate(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
  return alertstream::schemas::Allocate(bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*bytes*/) noexcept { std::free(memory); }
#endif
