#include "api/log/position_text.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "schemas/topics.h"

namespace alertstream::api {
namespace {

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || text.front() == '-' || error != std::errc() ||
      end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

std::optional<AppendedPosition> ParsePosition(std::string_view text) {
  const std::size_t first = text.find('/');
  const std::size_t last = text.rfind('/');
  if (first == std::string_view::npos || first == last) {
    return std::nullopt;
  }
  const auto topic = schemas::TopicByName(text.substr(0, first));
  const auto partition = ParseNumber<std::int32_t>(text.substr(first + 1, last - first - 1));
  const auto offset = ParseNumber<std::int64_t>(text.substr(last + 1));
  if (!topic || schemas::SpecOf(*topic).role != schemas::TopicRole::kInput || !partition ||
      !offset) {
    return std::nullopt;
  }
  return AppendedPosition{.topic = *topic, .partition = *partition, .offset = *offset};
}

}  // namespace

std::string FormatPositions(std::span<const AppendedPosition> positions) {
  std::string text;
  for (const AppendedPosition& position : positions) {
    text += fmt::format("{}{}/{}/{}", text.empty() ? "" : ",", schemas::NameOf(position.topic),
                        position.partition, position.offset);
  }
  return text;
}

Result<std::vector<AppendedPosition>> ParsePositions(std::string_view text) {
  std::vector<AppendedPosition> positions;
  for (std::string_view rest = text;;) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const auto position = ParsePosition(rest.substr(0, comma));
    if (!position || positions.size() == kPositionsMax) {
      return Error(ErrorCode::kInvalid,
                   "expected the X-Position of an earlier answer, such as account-changes/0/41");
    }
    positions.push_back(*position);
    if (comma == rest.size()) {
      return positions;
    }
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace alertstream::api
