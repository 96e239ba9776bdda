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
  sql::Statement statement{};
};

// Which bounds of a page are real; a bound that excludes nothing is left out of the text, because
// the database, which plans a statement once and for all values, would count on its excluding much.
struct Ends {
  bool high = false;
  bool low = false;
};

Ends EndsOf(const PageRequest& request) {
  return {.high = request.after.has_value() || request.until != kEnd,
          .low = request.before.has_value() || request.since != kBeginning};
}

// What a statement depends on.
struct Key {
  const char* list = "";
  std::vector<std::size_t> filters;
  Ends ends;
  bool ascending = false;
  std::size_t rows = 0;

  friend bool operator<(const Key& a, const Key& b) { return a.Parts() < b.Parts(); }

 private:
  std::tuple<const char*, const std::vector<std::size_t>&, bool, bool, bool, std::size_t> Parts()
      const {
    return {list, filters, ends.high, ends.low, ascending, rows};
  }
};

void Write(const ListShape& shape, const Key& key, Text* out) {
  out->name = fmt::format("read_model.{}.{}{}{}{}", key.list, key.ascending ? "before" : "after",
                          key.rows, key.ends.high ? ".high" : "", key.ends.low ? ".low" : "");
  out->text = fmt::format("SELECT {} FROM {} WHERE tenant_id = $1", shape.columns, shape.from);
  std::size_t parameter = 2;
  for (const std::size_t filter : key.filters) {
    ALERTSTREAM_CHECK(filter < shape.filters.size());
    out->name += fmt::format(".{}", filter);
    out->text += fmt::format(" AND {} = ${}", shape.filters[filter], parameter++);
  }
  // The comparison of the time alone lets the database leave out partitions, which it cannot
  // conclude from that of the pair. At one end only: of two it would expect next to no rows.
  const auto end = [&](const char* relation, bool prunes) {
    out->text += fmt::format(" AND ({}, {}) {} (${}::timestamptz, ${})", shape.time, shape.id,
                             relation, parameter, parameter + 1);
    if (prunes) {
      out->text += fmt::format(" AND {} {}= ${}::timestamptz", shape.time, relation, parameter);
    }
    parameter += 2;
  };
  if (key.ends.high) {
    end("<", !key.ascending);
  }
  if (key.ends.low) {
    end(">", key.ascending);
  }
  const char* direction = key.ascending ? "ASC" : "DESC";
  out->text += fmt::format(" ORDER BY {0} {2}, {1} {2} LIMIT {3}", shape.time, shape.id, direction,
                           key.rows);
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
  Key key{.list = shape.name,
          .filters = std::move(indexes),
          .ends = EndsOf(request),
          .ascending = request.before.has_value(),
          .rows = RowsSize(request.limit)};
  const std::lock_guard lock(mutex);
  const auto [entry, is_new] = texts.try_emplace(std::move(key));
  if (is_new) {
    Write(shape, entry->first, &entry->second);
  }
  return entry->second.statement;
}

sql::Params PageParams(std::string_view tenant, const FilterValues& filters,
                       const PageRequest& request, const PageBounds& bounds) {
  sql::Params params;
  params.Text(tenant);
  for (const auto& [index, value] : filters) {
    params.Text(value);
  }
  const Ends ends = EndsOf(request);
  if (ends.high) {
    params.Time(bounds.high.time).Text(bounds.high.id);
  }
  if (ends.low) {
    params.Time(bounds.low.time).Text(bounds.low.id);
  }
  return params;
}

FilterValues WantedFilters(std::initializer_list<std::optional<std::string>> values) {
  FilterValues wanted;
  std::size_t index = 0;
  for (const auto& value : values) {
    if (value) {
      wanted.emplace_back(index, *value);
    }
    ++index;
  }
  return wanted;
}

Result<sql::Rows> RunPage(sql::Session& session, std::string_view tenant, const ListShape& shape,
                          const FilterValues& filters, const PageRequest& request) {
  return session.Run(PageStatement(shape, filters, request),
                     PageParams(tenant, filters, request, BoundsOf(request)));
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
