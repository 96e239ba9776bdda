// Random: a small generator (SplitMix64, Steele, Lea and Flood 2014) for the demo's history: the
// same numbers from the same seed on every machine and with every library. Not for secrets. Belongs
// to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace alertstream::seed {

// A well mixed function of `value`.
constexpr std::uint64_t Mix(std::uint64_t value) {
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31U);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15U;
    return Mix(state_);
  }
  // 0 to `bound` - 1; what bounds far below 2^64 lose in fairness does not show.
  // REQUIRES: bound > 0
  std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }
  std::int64_t Between(std::int64_t first, std::int64_t last) {
    return first + static_cast<std::int64_t>(Below(static_cast<std::uint64_t>(last - first) + 1));
  }
  // True in `permille` of a thousand cases.
  bool Chance(std::uint64_t permille) { return Below(1000) < permille; }
  template <typename T, std::size_t N>
  const T& Of(const T (&list)[N]) {
    return list[Below(N)];
  }
  template <typename T>
  void Shuffle(std::span<T> items) {
    for (std::size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[Below(i)]);
    }
  }

 private:
  std::uint64_t state_;
};

}  // namespace alertstream::seed
