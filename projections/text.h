// How values of the log are written into tables: words of enums, ids, texts, masked addresses, the
// gates of a decision. Stored: what a column held yesterday has to come out of a rebuild today.
// Pure; used by the projections.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/id.h"
#include "processor/base/time.h"
#include "schemas/decision.pb.h"
#include "schemas/enum_words.h"

namespace alertstream::projections {

// `text` as PostgreSQL can hold it: U+0000 as U+2400 (a picture of it), malformed UTF-8 as U+FFFD.
std::string Storable(std::string_view text);
// The same; NULL for "".
std::optional<std::string> StorableOrNull(std::string_view text);

// As schemas::Word, from a table that is made once.
template <typename Enum>
const std::string& WordOf(Enum value) {
  static const std::vector<std::string> words = [] {
    const auto* type = google::protobuf::GetEnumDescriptor<Enum>();
    std::vector<std::string> made;
    for (int i = 0; i < type->value_count(); ++i) {
      const auto number = static_cast<std::size_t>(type->value(i)->number());
      if (made.size() <= number) {
        made.resize(number + 1);
      }
      made[number] = schemas::Word(static_cast<Enum>(number));
    }
    return made;
  }();
  static const std::string unknown = "unknown";
  const auto number = static_cast<std::size_t>(value);
  return number < words.size() && !words[number].empty() ? words[number] : unknown;
}
// NULL for UNSPECIFIED.
template <typename Enum>
std::optional<std::string> WordOrNull(Enum value) {
  return static_cast<int>(value) == 0 ? std::nullopt : std::optional(WordOf(value));
}

// "site-events"; the number of a topic that there is not.
std::string TopicWord(std::uint32_t topic);

// NULL for an id that is not set.
std::optional<std::string> IdOrNull(IdKind kind, std::string_view bytes);
// The time that an id begins with.
LogTime TimeOfId(std::string_view bytes);
// NULL for 0.
std::optional<LogTime> TimeOrNull(std::int64_t us);

// "+254700***001": six digits, fewer of a short number so that three stay hidden, and the last
// three; "a***@example.com"; "***".
std::string MaskedAddress(std::string_view address);

// [{"gate":"consent","verdict":"stopped","observed":1,"limit":0,
//   "source":{"topic":"consent-changes","partition":0,"offset":7}},...]
// observed and limit are left out where both are 0.
std::string GatesJson(const google::protobuf::RepeatedPtrField<v1::GateResult>& gates);

}  // namespace alertstream::projections
