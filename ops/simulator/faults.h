// Faults: what the provider simulator was told to do wrong, and how often. Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace alertstream::simulator {

enum class Fault : std::uint8_t {
  // Of a request that would be accepted.
  kHttp429,
  kHttp500,
  kOptOut21610,
  kAcceptThenHang,  // Accepted, callbacks and all, but nobody is told.
  kHang,            // Not accepted, and no answer.
  kReset,           // Not accepted, and the connection is cut.
  // Of the callbacks of a message.
  kDuplicateCallbacks,
  kReorderCallbacks,
};
inline constexpr std::size_t kFaultCount = static_cast<std::size_t>(Fault::kReorderCallbacks) + 1;
inline constexpr std::uint32_t kFaultTimesMax = 1'000'000;

std::string_view FaultName(Fault fault);  // "http_429", ...
std::optional<Fault> FaultByName(std::string_view name);

class Faults {
 public:
  // The next `times` opportunities, instead of what was left; 0 ends the fault.
  void Set(Fault fault, std::uint32_t times);
  void Clear();

  // Uses up one: the first of the enum that is left. Nothing: do it right.
  std::optional<Fault> TakeOfRequest();
  bool TakeDuplicate() { return Take(Fault::kDuplicateCallbacks); }
  bool TakeReorder() { return Take(Fault::kReorderCallbacks); }

  // {"http_429":0,...}: what is left of each.
  std::string Json() const;

 private:
  bool Take(Fault fault);

  mutable std::mutex mutex_;
  std::array<std::uint32_t, kFaultCount> left_{};
};

}  // namespace alertstream::simulator
