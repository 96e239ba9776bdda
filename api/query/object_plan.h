// PlanObject: the planner of a route that shows one object by its id. Used by the routes.
#pragma once

#include <functional>
#include <string>

#include "api/query/read_desk.h"
#include "processor/base/id.h"

namespace alertstream::api {

// The object as JSON. kNotFound: the tenant has none of that id.
using ReadObject =
    std::function<Result<std::string>(sql::Session&, const ReadCall&, const std::string& id)>;

// The id is the path's parameter "id"; what is no id of `kind` is not found either.
ReadPlanner PlanObject(IdKind kind, ReadObject read);

// Of a route without an id in its path.
ReadPlanner PlanSingle(ReadObject read);

Error NotFound();

// The value, or kNotFound.
template <typename Row>
Result<Row> Required(Result<std::optional<Row>> found) {
  if (!found.ok()) {
    return found.error();
  }
  if (!found.value()) {
    return NotFound();
  }
  return *std::move(found).value();
}

}  // namespace alertstream::api
