#include "processor/base/duration.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>

namespace alertstream {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t micros;
};

// Largest first: FormatDuration takes the first that divides.
constexpr std::array<Unit, 5> kUnits = {{{"d", 86'400'000'000},
                                         {"h", 3'600'000'000},
                                         {"m", 60'000'000},
                                         {"s", 1'000'000},
                                         {"ms", 1'000}}};

}  // namespace

Result<LogDuration> ParseDuration(std::string_view text) {
  std::int64_t amount = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, amount);
  if (parsed.ec == std::errc() && text.front() != '-') {
    const std::string_view name(parsed.ptr, static_cast<std::size_t>(end - parsed.ptr));
    for (const Unit& unit : kUnits) {
      if (unit.name != name) {
        continue;
      }
      if (amount > std::numeric_limits<std::int64_t>::max() / unit.micros) {
        return Error(ErrorCode::kInvalid, "duration out of range");
      }
      return LogDuration(amount * unit.micros);
    }
  }
  return Error(ErrorCode::kInvalid,
               "expected a duration: a whole number and ms, s, m, h or d, such as 10m");
}

std::string FormatDuration(LogDuration duration) {
  const std::int64_t micros = duration.count();
  if (micros == 0) {
    return "0s";
  }
  for (const Unit& unit : kUnits) {
    if (micros % unit.micros == 0) {
      return std::to_string(micros / unit.micros).append(unit.name);
    }
  }
  return std::to_string(micros).append("us");
}

}  // namespace alertstream
