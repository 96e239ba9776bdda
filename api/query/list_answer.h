// Lists as answers: a page of JSON, or many rows as CSV or JSON lines. Used by the routes of lists
// and by tests; a route brings its filters and reads its rows.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/query/accept.h"
#include "api/query/cursor.h"
#include "api/query/list_query.h"
#include "api/query/object_fields.h"
#include "api/query/read_desk.h"
#include "projections/read_model/page.h"

namespace alertstream::api {

struct ListRows {
  std::vector<std::pair<read_model::PageKey, ObjectFields>> rows;
  bool has_more = false;
};

// The rows of `page`, each with its key and as `fields_of` writes it.
template <typename Row, typename KeyOf, typename FieldsOf>
ListRows RowsOf(const read_model::Page<Row>& page, KeyOf key_of, FieldsOf fields_of) {
  ListRows list;
  list.has_more = page.has_more;
  list.rows.reserve(page.rows.size());
  for (const Row& row : page.rows) {
    list.rows.emplace_back(key_of(row), fields_of(row));
  }
  return list;
}

struct ListRoute {
  std::span<const FilterSpec> filters;
  // One page. The call gives the tenant and what its path names.
  std::function<Result<ListRows>(sql::Session&, const ReadCall&, const ListQuery&,
                                 const read_model::PageRequest&)>
      read;
  // True for an id as the list's objects have; and where the object of that id stands.
  std::function<bool(std::string_view id)> is_id;
  std::function<Result<std::optional<read_model::PageKey>>(sql::Session&, std::string_view tenant,
                                                           std::string_view id)>
      find;
  // An object without values: the columns of a CSV without rows.
  ObjectFields columns;
};

// The planner of a list. `route` is copied; `cursors` outlives the routes.
ReadPlanner PlanList(ListRoute route, const CursorBook& cursors);

}  // namespace alertstream::api
