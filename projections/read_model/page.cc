#include "projections/read_model/page.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <tuple>

#include <fmt/format.h>

#include "processor/base/check.h"

namespace alertstream::read_model {
namespace {

// Of a short page, a full one, and a block of an export; each with the row that tells of more.
constexpr std::array<std::size_t, 3> kRowsSizes = {21, 101, kPageRowsMax + 1};

std::size_t RowsSize(std::size_t limit) {
  const auto* found = std::find_if(kRowsSizes.begin(), kRowsSizes.end(),
                                   [&](std::size_t size) { return size > limit; });
  ALERTSTREAM_CHECK(limit > 0 && found != kRowsSizes.end());
  return *found;
}

struct Text {
  std::string name;
  std::string text;
  sql::Statement statement;
};

// What a statement depends on.
using Key = std::tuple<const char*, std::vector<std::size_t>, bool, std::size_t>;

void Write(const ListShape& shape, const Key& key, Text* out) {
  const auto& [list, filters, ascending, rows] = key;
  out->name = fmt::format("read_model.{}.{}{}", list, ascending ? "before" : "after", rows);
  // The range of the time alone lets the database leave out partitions, which it cannot conclude
  // from the comparison of the pair.
  out->text = fmt::format(
      "SELECT {0} FROM {1} WHERE tenant_id = $1"
      " AND ({2}, {3}) < ($2::timestamptz, $3) AND ({2}, {3}) > ($4::timestamptz, $5)"
      " AND {2} <= $2::timestamptz AND {2} >= $4::timestamptz",
      shape.columns, shape.from, shape.time, shape.id);
  std::size_t parameter = 6;
  for (const std::size_t filter : filters) {
    ALERTSTREAM_CHECK(filter < shape.filters.size());
    out->name += fmt::format(".{}", filter);
    out->text += fmt::format(" AND {} = ${}", shape.filters[filter], parameter++);
  }
  const char* direction = ascending ? "ASC" : "DESC";
  out->text +=
      fmt::format(" ORDER BY {0} {2}, {1} {2} LIMIT {3}", shape.time, shape.id, direction, rows);
  out->statement = {.name = out->name.c_str(), .text = out->text.c_str()};
}

}  // namespace

PageBounds BoundsOf(const PageRequest& request) {
  // No id is empty, so (until, "") is below whatever happened at `until`, and above all before.
  PageBounds bounds{.low = {request.since, ""}, .high = {request.until, ""}};
  if (request.after) {
    bounds.high = std::min(bounds.high, *request.after);
  }
  if (request.before) {
    bounds.low = std::max(bounds.low, *request.before);
  }
  return bounds;
}

const sql::Statement& PageStatement(const ListShape& shape, const FilterValues& filters,
                                    const PageRequest& request) {
  static std::mutex mutex;
  static std::map<Key, Text> texts;  // A few hundred at most: subsets of the filters of few lists.
  std::vector<std::size_t> indexes;
  for (const auto& [index, value] : filters) {
    ALERTSTREAM_CHECK(indexes.empty() || indexes.back() < index);
    indexes.push_back(index);
  }
  Key key{shape.name, std::move(indexes), request.before.has_value(), RowsSize(request.limit)};
  const std::lock_guard lock(mutex);
  const auto [entry, is_new] = texts.try_emplace(std::move(key));
  if (is_new) {
    Write(shape, entry->first, &entry->second);
  }
  return entry->second.statement;
}

Result<sql::Rows> RunPage(sql::Session& session, std::string_view tenant, const ListShape& shape,
                          const FilterValues& filters, const PageRequest& request) {
  const PageBounds bounds = BoundsOf(request);
  sql::Params params;
  params.Text(tenant);
  params.Time(bounds.high.time).Text(bounds.high.id);
  params.Time(bounds.low.time).Text(bounds.low.id);
  for (const auto& [index, value] : filters) {
    params.Text(value);
  }
  return session.Run(PageStatement(shape, filters, request), params);
}

std::optional<std::string> OptionalText(const sql::Rows& rows, std::size_t row,
                                        std::size_t column) {
  return rows.IsNull(row, column) ? std::nullopt
                                  : std::optional(std::string(rows.Text(row, column)));
}

std::optional<std::string> OptionalBytes(const sql::Rows& rows, std::size_t row,
                                         std::size_t column) {
  return rows.IsNull(row, column) ? std::nullopt : std::optional(rows.Bytes(row, column));
}

std::optional<LogTime> OptionalTime(const sql::Rows& rows, std::size_t row, std::size_t column) {
  return rows.IsNull(row, column) ? std::nullopt : std::optional(rows.Time(row, column));
}

std::optional<std::int64_t> OptionalInteger(const sql::Rows& rows, std::size_t row,
                                            std::size_t column) {
  return rows.IsNull(row, column) ? std::nullopt : std::optional(rows.Integer(row, column));
}

Result<std::optional<PageKey>> FindKey(sql::Session& session, const sql::Statement& statement,
                                       std::string_view tenant, std::string_view id) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               session.Run(statement, sql::Params().Text(tenant).Text(id)));
  if (rows.size() == 0) {
    return std::optional<PageKey>();
  }
  return std::optional(PageKey{.time = rows.Time(0, 0), .id = std::string(id)});
}

}  // namespace alertstream::read_model
