#include "api/query/list_query.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "api/http/uri.h"
#include "api/query/cursor.h"
#include "processor/base/rfc3339.h"
#include "schemas/enum_words.h"
#include "schemas/text.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;

ProblemDetails Malformed(std::string detail) {
  return {.status = 400, .code = "malformed_request", .detail = std::move(detail)};
}

// A name may be repeated in an answer only if it can be no person's address.
bool IsShowableName(std::string_view name) {
  constexpr std::size_t kShownMax = 32;
  return !name.empty() && name.size() <= kShownMax &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

ProblemDetails UnknownMember(std::string_view name, std::span<const FilterSpec> filters) {
  std::string known = "limit, starting_after, ending_before, cursor, since, until";
  for (const FilterSpec& filter : filters) {
    known += fmt::format(", {}", filter.name);
  }
  return Malformed(
      fmt::format("The query has a member{} that this list does not know; it knows: {}.",
                  IsShowableName(name) ? fmt::format(" \"{}\"", name) : "", known));
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

// Empty: `value` is as the filter wants it; else what it expects.
std::string FaultOf(const FilterSpec& filter, const std::string& value) {
  switch (filter.kind) {
    case FilterKind::kId:
      return ParseId(filter.id_kind, value).ok()
                 ? ""
                 : fmt::format("an id that begins with {}", PrefixOf(filter.id_kind));
    case FilterKind::kWord:
      return schemas::EnumOfWord(filter.words(), value)
                 ? ""
                 : "one of " + schemas::WordsOf(filter.words());
    case FilterKind::kEntityId:
      return schemas::IsEntityId(value) ? "" : "an id of a-z, 0-9, _ and -";
    case FilterKind::kEventType:
      return schemas::IsEventType(value) ? "" : "an event type";
    case FilterKind::kActor:
      return IsPrintable(value) ? "" : "printable ASCII";
  }
  return "";
}

std::optional<ProblemDetails> ReadTime(std::string_view name, const std::string& value,
                                       LogTime* time) {
  const auto parsed = ParseRfc3339(value);
  if (!parsed.ok()) {
    return Malformed(fmt::format(
        "{}: expected a time such as 2026-01-31T09:00:00Z ('+' in a query is %2B)", name));
  }
  *time = parsed.value();
  return std::nullopt;
}

std::optional<ProblemDetails> ReadLimit(const std::string& value, std::size_t limit_max,
                                        ListQuery* query) {
  std::size_t limit = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), limit);
  if (read.ec != std::errc() || read.ptr != value.data() + value.size() || limit < 1 ||
      limit > limit_max) {
    return Malformed(fmt::format("limit: expected 1 to {}", limit_max));
  }
  query->limit = limit;
  return std::nullopt;
}

std::optional<ProblemDetails> ReadPlace(const std::string& name, const std::string& value,
                                        ListQuery* query) {
  if (value.size() > kCursorBytesMax || !IsPrintable(value)) {
    return Malformed(name + ": expected a cursor of this list, or the id of one of its objects");
  }
  if (query->starting_after || query->ending_before) {
    return Malformed("Expected one of starting_after, cursor and ending_before");
  }
  (name == "ending_before" ? query->ending_before : query->starting_after) = value;
  return std::nullopt;
}

std::optional<ProblemDetails> ReadMember(const std::string& name, const std::string& value,
                                         const ListRules& rules, ListQuery* query) {
  if (value.empty()) {
    return Malformed("A member of the query has no value; leave it out instead.");
  }
  if (name == "limit") {
    return ReadLimit(value, rules.limit_max, query);
  }
  if (name == "starting_after" || name == "cursor" || name == "ending_before") {
    return ReadPlace(name, value, query);
  }
  if (name == "since") {
    return ReadTime(name, value, &query->since);
  }
  if (name == "until") {
    return ReadTime(name, value, &query->until);
  }
  const auto filter = std::find_if(rules.filters.begin(), rules.filters.end(),
                                   [&](const FilterSpec& spec) { return spec.name == name; });
  if (filter == rules.filters.end()) {
    return UnknownMember(name, rules.filters);
  }
  const std::string expected = value.size() > kFilterBytesMax
                                   ? fmt::format("at most {} bytes", kFilterBytesMax)
                                   : FaultOf(*filter, value);
  if (!expected.empty()) {
    return Malformed(fmt::format("{}: expected {}", name, expected));
  }
  query->filters.emplace(name, value);
  return std::nullopt;
}

}  // namespace

std::optional<std::string> ListQuery::Filter(std::string_view name) const {
  const auto found = filters.find(name);
  return found == filters.end() ? std::nullopt : std::optional(found->second);
}

std::variant<ListQuery, ProblemDetails> ParseListQuery(std::string_view query,
                                                       const ListRules& rules) {
  const auto members = http::ParseQuery(query);
  if (!members) {
    return Malformed("The query is malformed, or has too many members.");
  }
  ListQuery list;
  std::set<std::string_view> seen;
  for (const auto& [name, value] : *members) {
    if (!seen.insert(name).second) {
      return Malformed("A member of the query is given twice.");
    }
    if (auto problem = ReadMember(name, value, rules, &list)) {
      return *std::move(problem);
    }
  }
  if (list.since > list.until) {
    return Malformed("since: expected a time that is not after until");
  }
  return list;
}

std::optional<ProblemDetails> RefuseQuery(std::string_view query) {
  const auto members = http::ParseQuery(query);
  if (members && members->empty()) {
    return std::nullopt;
  }
  return Malformed("This route takes no query.");
}

}  // namespace alertstream::api
