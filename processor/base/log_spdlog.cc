#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <charconv>
#include <cmath>
#include <map>
#include <mutex>
#include <utility>

#include "processor/base/log.h"
#include "processor/base/rfc3339.h"

namespace alertstream {
namespace {

constexpr std::string_view kCut = "...";

// Appends `text` in double quotes with the escapes of JSON; a byte that is no UTF-8 text of its own
// stays as it is, because log readers replace it.
void AppendQuoted(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      out->append("\\n");
    } else if (c == '\t') {
      out->append("\\t");
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      fmt::format_to(std::back_inserter(*out), "\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

bool NeedsQuotes(std::string_view text) {
  if (text.empty()) {
    return true;
  }
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F || c == '"' || c == '\\' || c == '=') {
      return true;
    }
  }
  return false;
}

void AppendText(std::string_view text, LogFormat format, std::string* out) {
  std::string cut;
  if (text.size() > kLogValueBytesMax) {
    std::size_t end = kLogValueBytesMax - kCut.size();
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
      --end;  // Not in the middle of a character.
    }
    cut = std::string(text.substr(0, end)).append(kCut);
    text = cut;
  }
  if (format == LogFormat::kJson || NeedsQuotes(text)) {
    AppendQuoted(text, out);
  } else {
    out->append(text);
  }
}

void AppendDouble(double value, LogFormat format, std::string* out) {
  if (std::isfinite(value) || format == LogFormat::kText) {
    fmt::format_to(std::back_inserter(*out), "{}", value);
  } else {
    out->append("null");  // JSON has no infinity.
  }
}

void AppendValue(const LogValue& value, LogFormat format, std::string* out) {
  const auto& held = value.value();
  if (const auto* text = std::get_if<std::string_view>(&held)) {
    AppendText(*text, format, out);
  } else if (const auto* number = std::get_if<double>(&held)) {
    AppendDouble(*number, format, out);
  } else if (const auto* flag = std::get_if<bool>(&held)) {
    out->append(*flag ? "true" : "false");
  } else if (const auto* integer = std::get_if<std::int64_t>(&held)) {
    fmt::format_to(std::back_inserter(*out), "{}", *integer);
  } else {
    fmt::format_to(std::back_inserter(*out), "{}", std::get<std::uint64_t>(held));
  }
}

void AppendField(const LogField& field, LogFormat format, std::string* out) {
  if (format == LogFormat::kJson) {
    out->push_back(',');
    AppendQuoted(field.name, out);
    out->push_back(':');
  } else {
    out->push_back(' ');
    out->append(field.name);
    out->push_back('=');
  }
  AppendValue(field.value, format, out);
}

std::string FormatLine(LogFormat format, LogTime time, LogLevel level, std::string_view event) {
  std::string line;
  if (format == LogFormat::kJson) {
    line.append(R"({"time":")").append(FormatRfc3339(time));
    line.append(R"(","level":")").append(LogLevelName(level)).append(R"(","event":)");
    AppendQuoted(event, &line);
    return line;
  }
  line.append(FormatRfc3339(time));
  line.append(fmt::format(" {:<7} {}", LogLevelName(level), event));
  return line;
}

// How many lines of one event were written in the current second.
struct Window {
  std::int64_t second = -1;
  std::uint32_t written = 0;
  std::uint64_t suppressed = 0;
};

}  // namespace

struct Logger::Impl {
  Impl(const LogOptions& given, const Clock& machine_clock)
      : options(given), clock(machine_clock), logger("alertstream", MakeSink(given)) {
    logger.set_pattern("%v");
    logger.set_level(spdlog::level::trace);  // Levels are ours; see Write.
    logger.flush_on(spdlog::level::trace);
  }

  static spdlog::sink_ptr MakeSink(const LogOptions& given) {
    if (given.out != nullptr) {
      return std::make_shared<spdlog::sinks::ostream_sink_mt>(*given.out);
    }
    return std::make_shared<spdlog::sinks::stderr_sink_mt>();
  }

  // Whether a line of `event` may be written now; then `*suppressed` is how many before it were
  // not.
  bool Admit(std::string_view event, std::uint64_t* suppressed) {
    *suppressed = 0;
    if (options.lines_per_second_max == 0) {
      return true;
    }
    const std::int64_t second =
        std::chrono::duration_cast<std::chrono::seconds>(clock.SinceBoot()).count();
    const std::scoped_lock lock(mutex);
    Window& window = WindowOf(event);
    if (window.second != second) {
      window.second = second;
      window.written = 0;
    }
    if (window.written >= options.lines_per_second_max) {
      ++window.suppressed;
      return false;
    }
    ++window.written;
    *suppressed = std::exchange(window.suppressed, 0);
    return true;
  }

  Window& WindowOf(std::string_view event) {
    const auto found = windows.find(event);
    if (found != windows.end()) {
      return found->second;
    }
    return windows[windows.size() < kLogEventNamesMax ? std::string(event) : std::string()];
  }

  const LogOptions options;
  const Clock& clock;
  spdlog::logger logger;
  std::mutex mutex;
  std::map<std::string, Window, std::less<>> windows;
};

Logger::Logger(const LogOptions& options, const Clock& clock)
    : impl_(std::make_unique<Impl>(options, clock)) {}

Logger::~Logger() = default;

void Logger::Write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  std::uint64_t suppressed = 0;
  if (level < impl_->options.level || !impl_->Admit(event, &suppressed)) {
    return;
  }
  const LogFormat format = impl_->options.format;
  std::string line = FormatLine(format, impl_->clock.Now(), level, event);
  for (const LogField& field : fields) {
    AppendField(field, format, &line);
  }
  if (suppressed != 0) {
    AppendField({"suppressed", suppressed}, format, &line);
  }
  if (format == LogFormat::kJson) {
    line.push_back('}');
  }
  impl_->logger.info(spdlog::string_view_t(line.data(), line.size()));
}

namespace {

std::unique_ptr<Logger>& ProgramLogger() {
  static auto logger = std::make_unique<Logger>(LogOptions{}, SystemClock());
  return logger;
}

}  // namespace

void ConfigureLogging(const LogOptions& options) {
  ProgramLogger() = std::make_unique<Logger>(options, SystemClock());
}

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  ProgramLogger()->Write(level, event, fields);
}

std::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

Result<LogLevel> ParseLogLevel(std::string_view text) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (text == LogLevelName(level)) {
      return level;
    }
  }
  return Error(ErrorCode::kInvalid, "log level: expected debug, info, warning or error");
}

Result<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "text") {
    return LogFormat::kText;
  }
  if (text == "json") {
    return LogFormat::kJson;
  }
  return Error(ErrorCode::kInvalid, "log format: expected text or json");
}

}  // namespace alertstream
