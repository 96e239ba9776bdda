// Problem documents (RFC 9457), the form of every answer that is an error:
//   {"type":"about:blank","title","status","code","detail","request_id","errors":[{"detail",
//   "pointer"}]}
// `code` is a stable word for programs, `detail` a sentence for people; neither ever holds personal
// data. The title is the status phrase. `request_id` is added when the answer is sent (encode.h),
// so nobody has to carry it. Pure; used by the server and by every handler.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/http/message.h"

namespace alertstream::http {

inline constexpr std::string_view kProblemContentType = "application/problem+json";

// One fault within the request's body.
struct ProblemError {
  std::string detail;
  std::string pointer;  // JSON pointer as a fragment: "#/data/phone"; "#" is the whole body,
                        // empty: it lies elsewhere, in a header field.
};

struct ProblemDetails {
  int status = 400;
  std::string_view code;  // snake_case, a literal.
  std::string detail;     // UTF-8.
  std::vector<ProblemError> errors = {};
};

// The code where an answer has no better one: "not_found" for 404, "unavailable" for 503.
std::string_view ProblemCodeOf(int status);

// The document without `request_id`, as JSON.
void AppendProblem(const ProblemDetails& details, std::string* out);

Response Problem(const ProblemDetails& details);
// With ProblemCodeOf(status).
Response Problem(int status, std::string_view detail);

// JSON pointer of member `name` of the body: "#/name", with the escapes of RFC 6901 and RFC 3986.
std::string PointerTo(std::string_view name);

}  // namespace alertstream::http
