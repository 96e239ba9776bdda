// The query of a list, read strictly: a page, times and filters. Pure. Used by every list.
//
// A member that the list does not know is refused, as is one given twice or without a value: a
// filter that is silently ignored shows somebody what they did not ask for.
#pragma once

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "api/http/problem.h"
#include "processor/base/id.h"
#include "processor/base/time.h"
#include "projections/read_model/page.h"

namespace alertstream::api {

inline constexpr std::size_t kListLimitDefault = 20;
inline constexpr std::size_t kListLimitMax = 100;
// Of one answer in CSV or JSON lines: about 10 MB, held in memory while it is made and sent.
inline constexpr std::size_t kExportLimitMax = 10'000;
inline constexpr std::size_t kFilterBytesMax = 128;  // The longest id or event type.

// What a filter takes.
enum class FilterKind : std::uint8_t {
  kId,         // An id of `id_kind`.
  kWord,       // A word of the enum `words`.
  kEntityId,   // A trigger's id.
  kEventType,  // An event's type.
  kActor,      // A user, a key, or who else changes things: printable ASCII.
};

struct FilterSpec {
  std::string_view name;
  FilterKind kind = FilterKind::kEntityId;
  IdKind id_kind = IdKind::kEvent;                               // Of kId.
  const google::protobuf::EnumDescriptor* (*words)() = nullptr;  // Of kWord.
};

struct ListQuery {
  std::map<std::string, std::string, std::less<>> filters;  // By their names; all are well-formed.
  LogTime since = read_model::kBeginning;
  LogTime until = read_model::kEnd;
  std::optional<std::size_t> limit;
  // As given: a cursor, or an object's id. At most one of the two.
  std::optional<std::string> starting_after;  // Or `cursor`, which means the same.
  std::optional<std::string> ending_before;

  std::optional<std::string> Filter(std::string_view name) const;
};

struct ListRules {
  std::span<const FilterSpec> filters;
  std::size_t limit_max = kListLimitMax;
};

// `query` as sent. The problem (400) names what is known, and repeats no value.
std::variant<ListQuery, http::ProblemDetails> ParseListQuery(std::string_view query,
                                                             const ListRules& rules);
// For routes that take no query.
std::optional<http::ProblemDetails> RefuseQuery(std::string_view query);

}  // namespace alertstream::api
