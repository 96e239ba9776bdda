#include "projections/read_model/audit.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "processor/base/check.h"

namespace alertstream::read_model {
namespace {

constexpr std::array kFilters = {"actor"};
constexpr const char* kColumns = "id, at, actor, action, subject, detail";

// Of one time, entries of identity come before (are older than) those of the log, then by number.
enum class Source : char { kIdentity = 'i', kLog = 'l' };

struct Place {
  Source source = Source::kLog;
  std::int64_t number = 0;
};

std::optional<Place> PlaceOf(std::string_view id) {
  constexpr std::string_view kPrefix = "aud_";
  if (!id.starts_with(kPrefix) || id.size() < kPrefix.size() + 2) {
    return std::nullopt;
  }
  const char source = id[kPrefix.size()];
  if (source != static_cast<char>(Source::kLog) && source != static_cast<char>(Source::kIdentity)) {
    return std::nullopt;
  }
  const std::string_view digits = id.substr(kPrefix.size() + 1);
  Place place{.source = static_cast<Source>(source), .number = 0};
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), place.number);
  const bool is_number = read.ec == std::errc() && read.ptr == digits.data() + digits.size() &&
                         place.number >= 0 && std::to_string(place.number) == digits;
  return is_number ? std::optional(place) : std::nullopt;
}

std::string IdOf(Source source, std::int64_t number) {
  return fmt::format("aud_{}{}", static_cast<char>(source), number);
}

// The key within the entries of `source` that stands where `key` does in the whole list.
Result<PageKey> KeyWithin(Source source, const PageKey& key) {
  const auto place = PlaceOf(key.id);
  if (!place) {
    return Error(ErrorCode::kInvalid, "The cursor is not of the audit log.");
  }
  std::int64_t number = place->number;
  if (place->source < source) {
    number = std::numeric_limits<std::int64_t>::min();
  } else if (place->source > source) {
    number = std::numeric_limits<std::int64_t>::max();
  }
  return PageKey{.time = key.time, .id = std::to_string(number)};
}

Result<std::vector<AuditEntry>> ReadFrom(sql::Session& session, std::string_view tenant,
                                         Source source, const FilterValues& filters,
                                         const PageRequest& request) {
  PageRequest within = request;
  if (request.after) {
    ALERTSTREAM_ASSIGN_OR_RETURN(within.after, KeyWithin(source, *request.after));
  }
  if (request.before) {
    ALERTSTREAM_ASSIGN_OR_RETURN(within.before, KeyWithin(source, *request.before));
  }
  const ListShape& shape = source == Source::kLog ? kAuditLogList : kAuditEventList;
  const sql::Statement& statement = PageStatement(shape, filters, within);
  // Ids are numbers here: what is below all of them is the least number, not "".
  PageBounds bounds = BoundsOf(within);
  const std::string least = std::to_string(std::numeric_limits<std::int64_t>::min());
  bounds.low.id = bounds.low.id.empty() ? least : bounds.low.id;
  bounds.high.id = bounds.high.id.empty() ? least : bounds.high.id;
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               session.Run(statement, PageParams(tenant, filters, within, bounds)));
  std::vector<AuditEntry> entries;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    entries.push_back({.id = IdOf(source, rows.Integer(row, 0)),
                       .at = rows.Time(row, 1),
                       .actor = std::string(rows.Text(row, 2)),
                       .action = std::string(rows.Text(row, 3)),
                       .subject = std::string(rows.Text(row, 4)),
                       .detail = std::string(rows.Text(row, 5))});
  }
  return entries;
}

bool IsOlder(const AuditEntry& a, const AuditEntry& b) {
  const auto key = [](const AuditEntry& entry) {
    const auto place = PlaceOf(entry.id);
    ALERTSTREAM_CHECK(place.has_value());
    return std::tuple(entry.at, place->source, place->number);
  };
  return key(a) < key(b);
}

}  // namespace

const ListShape kAuditLogList = {.name = "audit_log",
                                 .columns = kColumns,
                                 .from = "read_model.audit_log",
                                 .time = "at",
                                 .id = "id",
                                 .filters = kFilters};
const ListShape kAuditEventList = {.name = "audit_events",
                                   .columns = kColumns,
                                   .from = "identity.audit_events",
                                   .time = "at",
                                   .id = "id",
                                   .filters = kFilters};

Result<Page<AuditEntry>> ListAudit(sql::Session& session, std::string_view tenant,
                                   const AuditFilters& filters, const PageRequest& request) {
  const FilterValues values = WantedFilters({filters.actor});
  ALERTSTREAM_ASSIGN_OR_RETURN(auto entries,
                               ReadFrom(session, tenant, Source::kLog, values, request));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto others,
                               ReadFrom(session, tenant, Source::kIdentity, values, request));
  entries.insert(entries.end(), others.begin(), others.end());
  // In the order in which the page is walked; each table gave its nearest.
  std::sort(entries.begin(), entries.end(), [&](const AuditEntry& a, const AuditEntry& b) {
    return request.before ? IsOlder(a, b) : IsOlder(b, a);
  });
  Page<AuditEntry> page;
  page.has_more = entries.size() > request.limit;
  entries.resize(std::min(entries.size(), request.limit));
  if (request.before) {
    std::reverse(entries.begin(), entries.end());
  }
  page.rows = std::move(entries);
  return page;
}

bool IsAuditId(std::string_view id) { return PlaceOf(id).has_value(); }

Result<std::optional<PageKey>> FindAuditKey(sql::Session& session, std::string_view tenant,
                                            std::string_view id) {
  static constexpr sql::Statement kOfLog = {
      "read_model.audit_log_key",
      "SELECT at FROM read_model.audit_log WHERE tenant_id = $1 AND id = $2::bigint"};
  static constexpr sql::Statement kOfIdentity = {
      "read_model.audit_event_key",
      "SELECT at FROM identity.audit_events WHERE tenant_id = $1 AND id = $2::bigint"};
  const auto place = PlaceOf(id);
  if (!place) {
    return std::optional<PageKey>();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto key, FindKey(session, place->source == Source::kLog ? kOfLog : kOfIdentity, tenant,
                        std::to_string(place->number)));
  if (key) {
    key->id = std::string(id);
  }
  return key;
}

}  // namespace alertstream::read_model
