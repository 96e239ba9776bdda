// Structured log lines on stderr: an event name and typed fields, as text or as JSON, one a line.
//
//   Log(LogLevel::kWarning, "commit_failed", {{"partition", 3}, {"error",
//   status.error().message()}});
//
// Thread-safe. Used by everything that has effects: the runtime, the adapters, the program.
// Deciding code never logs. A Redacted value is no field, so a telephone number, a secret or a
// message body does not compile; control bytes are escaped, so a value cannot forge a line.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "processor/base/clock.h"
#include "processor/base/redacted.h"
#include "processor/base/result.h"

namespace alertstream {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
enum class LogFormat : std::uint8_t { kText, kJson };

// "debug", "info", "warning", "error"; "text", "json". kInvalid names what is possible.
std::string_view LogLevelName(LogLevel level);
Result<LogLevel> ParseLogLevel(std::string_view text);
Result<LogFormat> ParseLogFormat(std::string_view text);

// Longer texts are cut, with "..." at their end: a line stays below what a pipe takes at once.
inline constexpr std::size_t kLogValueBytesMax = 2048;
// Lines a second of one event name. A loop that fails 10,000 times a second must not fill a disk.
inline constexpr std::uint32_t kLogLinesPerSecondMax = 20;
// Event names with a limit of their own; names are literals, so more is a mistake and shares one.
inline constexpr std::size_t kLogEventNamesMax = 1024;

// The value of a field. Text is not copied: it lives as long as the call.
class LogValue {
 public:
  using Variant = std::variant<std::int64_t, std::uint64_t, double, bool, std::string_view>;

  // Implicit on purpose: fields are written as {"seq", 12}.
  // NOLINTBEGIN(google-explicit-constructor)
  template <std::integral T>
  LogValue(T value) : value_(Widen(value)) {}
  LogValue(double value) : value_(value) {}
  LogValue(std::string_view value) : value_(value) {}
  LogValue(const std::string& value) : value_(std::string_view(value)) {}
  LogValue(const char* value) : value_(std::string_view(value)) {}
  template <typename T>
  LogValue(const Redacted<T>& value) = delete;
  // NOLINTEND(google-explicit-constructor)

  const Variant& value() const { return value_; }

 private:
  template <std::integral T>
  static Variant Widen(T value) {
    if constexpr (std::same_as<T, bool>) {
      return value;
    } else if constexpr (std::signed_integral<T>) {
      return static_cast<std::int64_t>(value);
    } else {
      return static_cast<std::uint64_t>(value);
    }
  }

  Variant value_;
};

struct LogField {
  std::string_view name;  // lower_snake_case, a literal.
  LogValue value;
};

struct LogOptions {
  LogLevel level = LogLevel::kInfo;  // Lines below it are not written.
  LogFormat format = LogFormat::kText;
  std::uint32_t lines_per_second_max = kLogLinesPerSecondMax;  // Of one event name; 0: no limit.
  std::ostream* out = nullptr;                                 // nullptr: stderr.
};

// One destination. The program has one (below); tests make their own.
class Logger {
 public:
  // `clock` and `options.out` outlive the logger.
  Logger(const LogOptions& options, const Clock& clock);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  // A line that is over its event's limit is counted instead; the count stands as `suppressed` in
  // the next line of that event that is written.
  void Write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Replaces the program's logger: once, at its start, before there are other threads.
void ConfigureLogging(const LogOptions& options);

// A line through the program's logger (text, info and above, until ConfigureLogging).
void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

}  // namespace alertstream
