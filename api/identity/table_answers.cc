#include "api/identity/table_answers.h"

#include <utility>

#include "api/query/object_fields.h"

namespace alertstream::api {

http::ProblemDetails TableProblem(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kNotFound:
      return {.status = 404, .code = "not_found", .detail = error.message()};
    case ErrorCode::kConflict:
      return {.status = 409, .code = "conflict", .detail = error.message()};
    case ErrorCode::kInvalid:
    case ErrorCode::kExhausted:
      return {.status = 422, .code = "validation_failed", .detail = error.message()};
    case ErrorCode::kDenied:
    case ErrorCode::kCorrupt:
      return {.status = 500,
              .code = "internal",
              .detail = "The secrets cannot be read; see the server's log."};
    case ErrorCode::kUnavailable:
    case ErrorCode::kUnknown:
    case ErrorCode::kFenced:
      break;
  }
  return {.status = 503, .code = "unavailable", .detail = "The database cannot be reached."};
}

std::string ListJson(std::string_view url, std::string data) {
  ObjectFields fields;
  fields.Text("object", "list").Json("data", std::move(data)).Bool("has_more", false);
  fields.Text("url", url).Null("next_cursor");
  return fields.ToJson();
}

}  // namespace alertstream::api
