// Pages of lists: newest first by (time, id), found by key and never by counting. Pure but for the
// statements' cache, which is thread-safe. Used by every list of the read model.
//
// A list's text is put together from constants of this program, one statement for each set of
// columns that are compared, so that every one of them has a plan of its own: "column = $n OR $n IS
// NULL" would keep the database from using an index.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "projections/sql/database.h"

namespace alertstream::read_model {

// A statement of a page reads one row more than the page has, rounded up to one of few sizes that
// stand in its text: a size as a parameter makes the database plan for a tenth of the table.
inline constexpr std::size_t kPageRowsMax = 1000;

// 0001-01-01 and the last microsecond of 9999: before and after everything.
inline constexpr LogTime kBeginning = FromMicros(-62'135'596'800'000'000);
inline constexpr LogTime kEnd = FromMicros(253'402'300'799'999'999);

// The place of a row in its list.
struct PageKey {
  LogTime time{};
  std::string id;

  friend bool operator==(const PageKey&, const PageKey&) = default;
  friend bool operator<(const PageKey& a, const PageKey& b) {
    return std::tie(a.time, a.id) < std::tie(b.time, b.id);
  }
};

struct PageRequest {
  std::size_t limit = 20;         // 1 to kPageRowsMax.
  std::optional<PageKey> after;   // Rows that are older than this.
  std::optional<PageKey> before;  // Rows that are newer than this: those nearest to it.
  LogTime since = kBeginning;     // From this time on.
  LogTime until = kEnd;           // Before this time.
};

template <typename Row>
struct Page {
  std::vector<Row> rows;  // Newest first, whichever way the page was walked.
  bool has_more = false;  // There are more rows that way.
};

// The strict bounds of a page: low < (time, id) < high.
struct PageBounds {
  PageKey low;
  PageKey high;
};
PageBounds BoundsOf(const PageRequest& request);

// A list, as constants that live for ever.
struct ListShape {
  const char* name;     // "notifications"
  const char* columns;  // The columns of a row.
  const char* from;     // "read_model.notifications"
  const char* time;     // The column that orders it.
  const char* id;       // The column that orders rows of one time.
  // Columns that a filter may compare; a filter is named by its index.
  std::span<const char* const> filters;
};

// What is compared: the index of the filter and the value, ascending by index.
using FilterValues = std::vector<std::pair<std::size_t, std::string>>;

// The statement of a page. REQUIRES: the filters' indexes ascend and are of the shape.
const sql::Statement& PageStatement(const ListShape& shape, const FilterValues& filters,
                                    const PageRequest& request);
// Its parameters: tenant, filters, and those bounds that the page has: high time, high id, low
// time, low id. `bounds`: BoundsOf, or the same with ids of another form.
sql::Params PageParams(std::string_view tenant, const FilterValues& filters,
                       const PageRequest& request, const PageBounds& bounds);

// Runs it; the rows are in the order in which they were walked,
// one more than `request.limit` if there are more.
Result<sql::Rows> RunPage(sql::Session& session, std::string_view tenant, const ListShape& shape,
                          const FilterValues& filters, const PageRequest& request);

// The page of the list, each row read by `read(rows, index)`.
template <typename Row, typename Read>
Result<Page<Row>> FindPage(sql::Session& session, std::string_view tenant, const ListShape& shape,
                           const FilterValues& filters, const PageRequest& request, Read read) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               RunPage(session, tenant, shape, filters, request));
  Page<Row> page;
  const std::size_t count = std::min(rows.size(), request.limit);
  page.has_more = rows.size() > request.limit;
  page.rows.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    // A page before a key was walked away from it, towards the newest.
    page.rows.push_back(read(rows, request.before ? count - 1 - i : i));
  }
  return page;
}

// Those that are wanted; `values` are in the order of the shape's filters.
FilterValues WantedFilters(std::initializer_list<std::optional<std::string>> values);

// The one row of `statement`, whose parameters are tenant and id.
template <typename Row, typename Read>
Result<std::optional<Row>> FindOne(sql::Session& session, const sql::Statement& statement,
                                   std::string_view tenant, std::string_view id, Read read) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               session.Run(statement, sql::Params().Text(tenant).Text(id)));
  if (rows.size() == 0) {
    return std::optional<Row>();
  }
  return std::optional<Row>(read(rows, 0));
}

// All rows of `statement`, whose parameters are tenant and id.
template <typename Row, typename Read>
Result<std::vector<Row>> FindAll(sql::Session& session, const sql::Statement& statement,
                                 std::string_view tenant, std::string_view id, Read read) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               session.Run(statement, sql::Params().Text(tenant).Text(id)));
  std::vector<Row> all;
  all.reserve(rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    all.push_back(read(rows, row));
  }
  return all;
}

// A column that may be NULL.
std::optional<std::string> OptionalText(const sql::Rows& rows, std::size_t row, std::size_t column);
std::optional<std::string> OptionalBytes(const sql::Rows& rows, std::size_t row,
                                         std::size_t column);
std::optional<LogTime> OptionalTime(const sql::Rows& rows, std::size_t row, std::size_t column);
std::optional<std::int64_t> OptionalInteger(const sql::Rows& rows, std::size_t row,
                                            std::size_t column);

// The place of the row with this id; nothing if the tenant has none. `statement` has the parameters
// tenant and id and returns its time.
Result<std::optional<PageKey>> FindKey(sql::Session& session, const sql::Statement& statement,
                                       std::string_view tenant, std::string_view id);

}  // namespace alertstream::read_model
