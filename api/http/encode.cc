#include "api/http/encode.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include "api/http/problem.h"
#include "schemas/json.h"

namespace alertstream::http {
namespace {

// Sent unless the response has a field of that name. Answers are data: a browser that is led to one
// may neither run nor frame it, nor tell anybody where it came from.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kDefaults = {{
    {"Cache-Control", "Cache-Control: no-store\r\n"},
    {"Content-Security-Policy",
     "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"},
    {"Referrer-Policy", "Referrer-Policy: no-referrer\r\n"},
}};

bool IsControl(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }

bool IsNameCharacter(char c) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kMarks.find(c) != std::string_view::npos;
}

bool IsSendable(const Response& response) {
  if (response.status < 200 || response.status > 599) {
    return false;
  }
  const auto& fields = response.headers.fields();
  return std::all_of(fields.begin(), fields.end(), [](const HeaderField& field) {
    return !field.name.empty() &&
           std::all_of(field.name.begin(), field.name.end(), IsNameCharacter) &&
           std::none_of(field.value.begin(), field.value.end(), IsControl);
  });
}

bool IsOwn(std::string_view name) {
  return EqualsIgnoringCase(name, "Content-Length") || EqualsIgnoringCase(name, "Connection") ||
         EqualsIgnoringCase(name, "Transfer-Encoding") || EqualsIgnoringCase(name, "Date") ||
         EqualsIgnoringCase(name, "X-Request-Id");
}

// The end of a problem document that names its request: it takes the place of the last brace.
std::string ProblemEnd(const Response& response, std::string_view request_id) {
  if (request_id.empty() || !response.body.ends_with('}') ||
      response.headers.Find("Content-Type") != kProblemContentType) {
    return {};
  }
  std::string end = R"(,"request_id":)";
  schemas::AppendJsonString(request_id, &end);
  return end.append("}");
}

std::string TwoDigits(unsigned value) {
  return {static_cast<char>('0' + value / 10 % 10), static_cast<char>('0' + value % 10)};
}

}  // namespace

std::string HttpDate(LogTime time) {
  constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                     "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::chrono::sys_time<LogDuration> instant{time.time_since_epoch()};
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date(day);
  const auto seconds = static_cast<unsigned>(
      std::chrono::duration_cast<std::chrono::seconds>(instant - day).count());
  std::string text(kDays[std::chrono::weekday(day).c_encoding()]);
  text.append(", ").append(TwoDigits(static_cast<unsigned>(date.day())));
  text.append(" ").append(kMonths[static_cast<unsigned>(date.month()) - 1]);
  text.append(" ").append(std::to_string(static_cast<int>(date.year())));
  text.append(" ").append(TwoDigits(seconds / 3600));
  text.append(":").append(TwoDigits(seconds / 60 % 60));
  text.append(":").append(TwoDigits(seconds % 60)).append(" GMT");
  return text;
}

void AppendResponse(const Response& response, const EncodeOptions& options, std::string* out) {
  if (!IsSendable(response)) {
    AppendResponse(Problem(500, "The answer to this request cannot be sent."), options, out);
    return;
  }
  const bool has_body = response.status != 204 && response.status != 304;
  out->append("HTTP/1.1 ").append(std::to_string(response.status));
  out->append(" ").append(StatusText(response.status)).append("\r\n");
  const std::string end = has_body ? ProblemEnd(response, options.request_id) : std::string();
  const std::size_t kept = response.body.size() - (end.empty() ? 0 : 1);
  for (const HeaderField& field : response.headers.fields()) {
    if (!IsOwn(field.name)) {
      out->append(field.name).append(": ").append(field.value).append("\r\n");
    }
  }
  if (has_body) {
    out->append("Content-Length: ").append(std::to_string(kept + end.size())).append("\r\n");
  }
  if (!options.request_id.empty()) {
    out->append("X-Request-Id: ").append(options.request_id).append("\r\n");
  }
  out->append("X-Content-Type-Options: nosniff\r\n");
  for (const auto& [name, line] : kDefaults) {
    if (!response.headers.Find(name)) {
      out->append(line);
    }
  }
  out->append("Date: ").append(HttpDate(options.date));
  out->append(options.keep_alive ? "\r\nConnection: keep-alive" : "\r\nConnection: close");
  out->append("\r\n\r\n");
  if (has_body && !options.is_head) {
    out->append(response.body, 0, kept).append(end);
  }
}

}  // namespace alertstream::http
