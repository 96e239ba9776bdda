#include "api/http/problem.h"

#include <array>
#include <utility>

#include "schemas/json.h"

namespace alertstream::http {
namespace {

constexpr std::array<std::pair<int, std::string_view>, 21> kCodes = {{
    {400, "malformed_request"},
    {401, "unauthenticated"},
    {403, "forbidden"},
    {404, "not_found"},
    {405, "method_not_allowed"},
    {406, "not_acceptable"},
    {408, "request_timeout"},
    {409, "conflict"},
    {412, "precondition_failed"},
    {413, "too_large"},
    {414, "uri_too_long"},
    {415, "unsupported_media_type"},
    {417, "expectation_failed"},
    {422, "validation_failed"},
    {428, "precondition_required"},
    {429, "rate_limited"},
    {431, "headers_too_large"},
    {501, "not_implemented"},
    {503, "unavailable"},
    {504, "timeout"},
    {505, "version_not_supported"},
}};

bool IsFragmentCharacter(char c) {
  constexpr std::string_view kMarks = "-._~!$&'()*+,;=:@?";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kMarks.find(c) != std::string_view::npos;
}

}  // namespace

std::string_view ProblemCodeOf(int status) {
  for (const auto& [number, code] : kCodes) {
    if (number == status) {
      return code;
    }
  }
  return status < 500 ? "malformed_request" : "internal";
}

void AppendProblem(const ProblemDetails& details, std::string* out) {
  out->append(R"({"type":"about:blank","title":")").append(StatusText(details.status));
  out->append(R"(","status":)").append(std::to_string(details.status));
  out->append(R"(,"code":")").append(details.code).append(R"(","detail":)");
  schemas::AppendJsonString(details.detail, out);
  if (!details.errors.empty()) {
    out->append(R"(,"errors":[)");
    for (const ProblemError& error : details.errors) {
      out->append(out->back() == '[' ? R"({"detail":)" : R"(,{"detail":)");
      schemas::AppendJsonString(error.detail, out);
      if (!error.pointer.empty()) {
        out->append(R"(,"pointer":)");
        schemas::AppendJsonString(error.pointer, out);
      }
      out->push_back('}');
    }
    out->push_back(']');
  }
  out->push_back('}');
}

Response Problem(const ProblemDetails& details) {
  Response response;
  response.status = details.status;
  response.headers.Add("Content-Type", kProblemContentType);
  AppendProblem(details, &response.body);
  return response;
}

Response Problem(int status, std::string_view detail) {
  return Problem(ProblemDetails{
      .status = status, .code = ProblemCodeOf(status), .detail = std::string(detail)});
}

std::string PointerTo(std::string_view name) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string pointer = "#/";
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '~') {
      pointer.append("~0");
    } else if (c == '/') {
      pointer.append("~1");
    } else if (IsFragmentCharacter(c)) {
      pointer.push_back(c);
    } else {
      pointer.append({'%', kHex[byte >> 4U], kHex[byte & 15U]});
    }
  }
  return pointer;
}

}  // namespace alertstream::http
