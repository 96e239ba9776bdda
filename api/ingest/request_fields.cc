#include "api/ingest/request_fields.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "api/http/uri.h"
#include "processor/base/text.h"
#include "schemas/limits.h"
#include "schemas/text.h"

namespace alertstream::api {
namespace {

bool IsKeyCharacter(char c) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~:/";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kMarks.find(c) != std::string_view::npos;
}

// What stands between quotes with backslashes before '"' and '\'; nothing if `text` is no such
// string from its first byte to its last.
std::optional<std::string> Unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') {
    return std::nullopt;
  }
  text = text.substr(1, text.size() - 2);
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
      if (i == text.size() || (text[i] != '"' && text[i] != '\\')) {
        return std::nullopt;
      }
    } else if (text[i] == '"') {
      return std::nullopt;
    }
    plain.push_back(text[i]);
  }
  return plain;
}

// The number of a preference `wait=N`, with or without quotes and parameters behind it.
std::optional<std::uint32_t> WaitOf(std::string_view preference) {
  const std::size_t equals = preference.find('=');
  if (equals == std::string_view::npos ||
      !http::EqualsIgnoringCase(Trimmed(preference.substr(0, equals)), "wait")) {
    return std::nullopt;
  }
  std::string_view digits = preference.substr(equals + 1);
  digits = Trimmed(digits.substr(0, digits.find(';')));
  if (digits.size() >= 2 && digits.front() == '"' && digits.back() == '"') {
    digits = digits.substr(1, digits.size() - 2);
  }
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  if (digits.empty() || end != digits.data() + digits.size() || error != std::errc()) {
    return std::nullopt;
  }
  return seconds;
}

}  // namespace

Result<std::optional<std::string>> IdempotencyKeyField(const http::Headers& headers) {
  constexpr std::string_view kName = "Idempotency-Key";
  const auto field = headers.Find(kName);
  if (!field) {
    return std::optional<std::string>();
  }
  if (headers.Count(kName) > 1) {
    return Error(ErrorCode::kInvalid, "Idempotency-Key: given more than once");
  }
  std::optional<std::string> key;
  if (field->starts_with('"')) {
    key = Unquoted(*field);
  } else if (std::all_of(field->begin(), field->end(), IsKeyCharacter)) {
    key = std::string(*field);
  }
  if (!key || key->empty() ||
      !std::all_of(key->begin(), key->end(), [](char c) { return c >= ' ' && c <= '~'; })) {
    return Error(ErrorCode::kInvalid,
                 "Idempotency-Key: expected a string in double quotes that is not empty");
  }
  if (key->size() > kIdempotencyKeyHeaderBytesMax) {
    return Error(ErrorCode::kInvalid, "Idempotency-Key: longer than " +
                                          std::to_string(kIdempotencyKeyHeaderBytesMax) + " bytes");
  }
  return key;
}

std::chrono::seconds PreferredWait(const http::Headers& headers) {
  for (const http::HeaderField& field : headers.fields()) {
    if (!http::EqualsIgnoringCase(field.name, "Prefer")) {
      continue;
    }
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      if (const auto seconds = WaitOf(rest.substr(0, comma))) {
        return std::min(std::chrono::seconds(*seconds), kPreferredWaitMax);
      }
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return {};
}

std::optional<v1::TraceContext> TraceOf(const http::Headers& headers) {
  const auto parent = headers.Find("traceparent");
  if (!parent || headers.Count("traceparent") > 1 ||
      parent->size() < schemas::kTraceparentBytesMax) {
    return std::nullopt;
  }
  constexpr std::string_view kVersion = "00";
  const bool is_later = !parent->starts_with(kVersion);
  if (is_later && (parent->starts_with("ff") ||
                   parent->find_first_not_of("0123456789abcdef") != kVersion.size() ||
                   (parent->size() > schemas::kTraceparentBytesMax &&
                    (*parent)[schemas::kTraceparentBytesMax] != '-'))) {
    return std::nullopt;
  }
  std::string known(kVersion);
  known.append(
      is_later ? parent->substr(kVersion.size(), schemas::kTraceparentBytesMax - kVersion.size())
               : parent->substr(kVersion.size()));
  if (!schemas::IsTraceparent(known)) {
    return std::nullopt;
  }
  v1::TraceContext trace;
  trace.set_traceparent(std::move(known));
  const std::string_view state = headers.Find("tracestate").value_or("");
  if (state.size() <= schemas::kTracestateBytesMax && schemas::HasNoControls(state) &&
      schemas::IsUtf8(state) && headers.Count("tracestate") == 1) {
    trace.set_tracestate(state.data(), state.size());
  }
  return trace;
}

std::optional<std::string> CloudEventsFieldValue(std::string_view value) {
  std::optional<std::string> plain;
  if (value.starts_with('"')) {
    plain = Unquoted(value);
    if (!plain) {
      return std::nullopt;
    }
    value = *plain;
  }
  auto decoded = http::PercentDecoded(value);
  if (!decoded || !schemas::IsUtf8(*decoded)) {
    return std::nullopt;
  }
  return decoded;
}

}  // namespace alertstream::api
