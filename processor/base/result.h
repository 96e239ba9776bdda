// Error and Result<T>: how every fallible function of this repository reports failure.
//
// An ErrorCode says what the caller must do, not where the failure came from. The switch from code
// to reaction exists once in the task runner, once in the command line and once in the API.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "processor/base/check.h"

namespace alertstream {

enum class ErrorCode {
  kInvalid,      // The input can never succeed. Dead-letter it; HTTP 400; exit 3 or 1.
  kDenied,       // Not allowed to this caller. Never retried; HTTP 401 or 403; exit 5.
  kNotFound,     // What was named does not exist. HTTP 404; exit 4.
  kConflict,     // Another writer was first, or a precondition failed. HTTP 409; exit 6.
  kExhausted,    // A limit of ours is used up. Later, not now; HTTP 429.
  kUnavailable,  // A dependency failed. Retry with backoff; HTTP 503; exit 7.
  kFenced,       // A newer owner holds this transactional id. Drop the task, start over.
  kUnknown,      // The commit may or may not have been applied. Resolve it from the journal.
  kCorrupt,      // Stored bytes do not mean what they must. Stop the partition; exit 9.
};

// "invalid", "denied", ...: the stable name used in logs, metrics and JSON errors.
constexpr const char* ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kDenied:
      return "denied";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kExhausted:
      return "exhausted";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kFenced:
      return "fenced";
    case ErrorCode::kUnknown:
      return "unknown";
    case ErrorCode::kCorrupt:
      return "corrupt";
  }
  return "unknown";
}

// The message is for a person: what was wrong, and which setting or record to look at. It never
// holds an address, a name or a message body.
class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  ErrorCode code_;
  std::string message_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: `return value;` and `return Error(...);` both read as what they are.
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }

  // REQUIRES: ok()
  const T& value() const& {
    ALERTSTREAM_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T& value() & {
    ALERTSTREAM_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    ALERTSTREAM_CHECK(ok());
    return std::move(*std::get_if<0>(&state_));
  }

  // REQUIRES: !ok()
  const Error& error() const {
    ALERTSTREAM_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

// The outcome of an operation that returns nothing.
class [[nodiscard]] Status {
 public:
  Status() = default;
  // NOLINTNEXTLINE(google-explicit-constructor)
  Status(Error error) : error_(std::move(error)) {}

  static Status Ok() { return {}; }
  bool ok() const { return !error_.has_value(); }

  // REQUIRES: !ok()
  const Error& error() const {
    ALERTSTREAM_CHECK(!ok());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace alertstream

// Leaves the function with the error of `expression`, a Status or a Result.
#define ALERTSTREAM_RETURN_IF_ERROR(expression)                 \
  do {                                                          \
    auto&& alertstream_status_ = (expression);                  \
    if (!alertstream_status_.ok()) [[unlikely]] {               \
      return ::alertstream::Error(alertstream_status_.error()); \
    }                                                           \
  } while (false)

// The declaration is pasted as it is: parentheses around it would not compile.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define ALERTSTREAM_CONCAT_INNER(a, b) a##b
#define ALERTSTREAM_CONCAT(a, b) ALERTSTREAM_CONCAT_INNER(a, b)
#define ALERTSTREAM_ASSIGN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                     \
  if (!temporary.ok()) [[unlikely]] {                                \
    return ::alertstream::Error(temporary.error());                  \
  }                                                                  \
  declaration = std::move(temporary).value()

// ALERTSTREAM_ASSIGN_OR_RETURN(const auto x, F()): x is F's value, or the function returns F's
// error.
#define ALERTSTREAM_ASSIGN_OR_RETURN(declaration, expression) \
  ALERTSTREAM_ASSIGN_INNER(ALERTSTREAM_CONCAT(result_, __LINE__), declaration, expression)
// NOLINTEND(bugprone-macro-parentheses)
