#include "ops/cli/table.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "processor/base/check.h"
#include "processor/base/rfc3339.h"
#include "processor/base/suggest.h"
#include "schemas/json.h"

namespace alertstream::cli {
namespace {

constexpr std::string_view kGap = "  ";
constexpr std::string_view kEllipsis = "\xE2\x80\xA6";
constexpr std::string_view kReset = "\x1b[0m";

std::string_view ColorCode(CellStyle style) {
  switch (style) {
    case CellStyle::kPlain:
      return "";
    case CellStyle::kGood:
      return "\x1b[32m";
    case CellStyle::kWarning:
      return "\x1b[33m";
    case CellStyle::kBad:
      return "\x1b[31m";
    case CellStyle::kDim:
      return "\x1b[2m";
  }
  return "";
}

// The first character of `text`: how many bytes, how many columns. Malformed: one byte, one column.
struct Glyph {
  std::size_t bytes;
  std::size_t columns;
  std::int32_t code_point;  // -1: malformed.
};

Glyph FirstGlyph(std::string_view text) {
  utf8proc_int32_t code_point = -1;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto taken =
      utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size()), &code_point);
  if (taken <= 0) {
    return {.bytes = 1, .columns = 1, .code_point = -1};
  }
  return {.bytes = static_cast<std::size_t>(taken),
          .columns = static_cast<std::size_t>(std::max(0, utf8proc_charwidth(code_point))),
          .code_point = code_point};
}

// Characters that move the cursor, start an escape sequence or turn the writing direction.
bool DrivesTerminal(std::int32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0) ||
         (code_point >= 0x200E && code_point <= 0x200F) ||
         (code_point >= 0x2028 && code_point <= 0x202E) ||
         (code_point >= 0x2066 && code_point <= 0x2069);
}

std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Glyph glyph = FirstGlyph(text);
    if (glyph.code_point == -1) {
      out += "\\x" + fmt::format("{:02x}", static_cast<unsigned char>(text.front()));
    } else if (glyph.code_point == '\n') {
      out += "\\n";
    } else if (glyph.code_point == '\t') {
      out += "\\t";
    } else if (DrivesTerminal(glyph.code_point)) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(glyph.code_point));
    } else {
      out.append(text.substr(0, glyph.bytes));
    }
    text.remove_prefix(glyph.bytes);
  }
  return out;
}

std::string Cut(std::string text, std::size_t columns_max) {
  if (DisplayWidth(text) <= columns_max) {
    return text;
  }
  std::size_t columns = 0;
  std::size_t end = 0;
  while (end < text.size()) {
    const Glyph glyph = FirstGlyph(std::string_view(text).substr(end));
    if (columns + glyph.columns > columns_max - 1) {
      break;
    }
    columns += glyph.columns;
    end += glyph.bytes;
  }
  text.resize(end);
  return text.append(kEllipsis);
}

std::string ShortestDouble(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

// A cell as plain words: for text and for CSV.
std::string Words(const Cell& cell) {
  const Cell::Value& value = cell.value;
  if (const auto* text = std::get_if<std::string>(&value)) {
    return *text;
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return std::to_string(*integer);
  }
  if (const auto* number = std::get_if<double>(&value)) {
    return ShortestDouble(*number);
  }
  if (const auto* flag = std::get_if<bool>(&value)) {
    return *flag ? "true" : "false";
  }
  if (const auto* time = std::get_if<LogTime>(&value)) {
    return FormatRfc3339(*time);
  }
  if (const auto* raw = std::get_if<RawJson>(&value)) {
    return raw->text;
  }
  return {};
}

std::string LocalText(LogTime time) {
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) {
    return FormatRfc3339(time);
  }
  // The digits of the same moment in a zone that is that far from UTC.
  std::string text = FormatRfc3339(time + std::chrono::seconds(local.tm_gmtoff));
  text.pop_back();
  const long minutes = std::abs(local.tm_gmtoff) / 60;
  return text +
         fmt::format("{}{:02}:{:02}", local.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

// In the largest unit of which there is at least one.
std::string RelativeText(LogTime time, LogTime now) {
  const std::int64_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::abs(now - time)).count();
  constexpr std::array<std::pair<std::int64_t, char>, 4> kUnits = {
      {{86'400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}}};
  for (const auto& [size, unit] : kUnits) {
    if (seconds >= size) {
      return time > now ? fmt::format("in {}{}", seconds / size, unit)
                        : fmt::format("{}{} ago", seconds / size, unit);
    }
  }
  return "now";
}

std::string TextCell(const Cell& cell, const RenderOptions& options) {
  if (std::holds_alternative<Absent>(cell.value)) {
    return "-";
  }
  const auto* time = std::get_if<LogTime>(&cell.value);
  std::string text = time != nullptr ? TimeText(*time, options) : Printable(Words(cell));
  return options.format == OutputFormat::kText ? Cut(std::move(text), kCellWidthMax) : text;
}

void AppendJsonCell(const Cell& cell, std::string* out) {
  const Cell::Value& value = cell.value;
  const auto* number = std::get_if<double>(&value);
  if (std::holds_alternative<Absent>(value) || (number != nullptr && !std::isfinite(*number))) {
    out->append("null");
  } else if (std::holds_alternative<std::string>(value) || std::holds_alternative<LogTime>(value)) {
    schemas::AppendJsonString(Words(cell), out);
  } else {
    out->append(Words(cell));
  }
}

// RFC 4180: quoted where it must be.
void AppendCsvField(std::string_view text, std::string* out) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out->append(text);
    return;
  }
  out->push_back('"');
  for (const char c : text) {
    if (c == '"') {
      out->push_back('"');
    }
    out->push_back(c);
  }
  out->push_back('"');
}

// How a cell is put into its column; the last of a line has no spaces after it.
struct Padding {
  std::size_t width;
  bool right;
  bool last;
};

// Appends `colored`, which shows as `text`.
void AppendPadded(std::string_view text, std::string_view colored, const Padding& padding,
                  std::string* out) {
  const std::size_t taken = DisplayWidth(text);
  const std::string spaces(padding.width > taken ? padding.width - taken : 0, ' ');
  if (padding.right) {
    out->append(spaces).append(colored);
  } else {
    out->append(colored).append(padding.last ? "" : spaces);
  }
}

std::string Title(const Column& column) {
  if (!column.title.empty()) {
    return column.title;
  }
  std::string title = column.key;
  for (char& c : title) {
    c = c == '_' ? ' ' : c;
    c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return title;
}

// What Render and RenderRow share: a table's columns, those chosen and how to print them.
struct View {
  const std::vector<Column>& columns;
  const std::vector<std::size_t>& chosen;
  const RenderOptions& options;
};

void AppendJsonRow(const View& view, const std::vector<Cell>& row, std::string* out) {
  char separator = '{';
  for (const std::size_t index : view.chosen) {
    out->push_back(separator);
    separator = ',';
    schemas::AppendJsonString(view.columns[index].key, out);
    out->push_back(':');
    AppendJsonCell(row[index], out);
  }
  out->push_back('}');
}

void AppendCsvRow(const View& view, const std::vector<Cell>& row, std::string* out) {
  std::string_view separator;
  for (const std::size_t index : view.chosen) {
    out->append(separator);
    separator = ",";
    AppendCsvField(Words(row[index]), out);
  }
  out->append("\r\n");
}

void AppendTextRow(const View& view, const std::vector<Cell>& row,
                   const std::vector<std::size_t>& widths, std::string* out) {
  for (std::size_t i = 0; i < view.chosen.size(); ++i) {
    const std::size_t index = view.chosen[i];
    const std::string text = TextCell(row[index], view.options);
    const std::string colored = Colored(text, row[index].style, view.options.color);
    out->append(i == 0 ? std::string_view() : kGap);
    AppendPadded(text, colored,
                 {.width = widths[i],
                  .right = view.columns[index].right,
                  .last = i + 1 == view.chosen.size()},
                 out);
  }
  out->push_back('\n');
}

std::string RenderText(const View& view, const std::vector<std::vector<Cell>>& rows) {
  std::vector<std::size_t> widths;
  std::vector<Cell> heading(view.columns.size());
  for (const std::size_t index : view.chosen) {
    heading[index] = {.value = Title(view.columns[index]), .style = CellStyle::kDim};
    std::size_t width = DisplayWidth(Title(view.columns[index]));
    for (const auto& row : rows) {
      width = std::max(width, DisplayWidth(TextCell(row[index], view.options)));
    }
    widths.push_back(width);
  }
  std::string out;
  AppendTextRow(view, heading, widths, &out);
  for (const auto& row : rows) {
    AppendTextRow(view, row, widths, &out);
  }
  return out;
}

std::string RenderJson(const View& view, const std::vector<std::vector<Cell>>& rows) {
  std::string out = "[";
  for (const auto& row : rows) {
    out.append(out.size() == 1 ? "\n  " : ",\n  ");
    AppendJsonRow(view, row, &out);
  }
  return out.append(rows.empty() ? "]\n" : "\n]\n");
}

std::string RenderCsv(const View& view, const std::vector<std::vector<Cell>>& rows) {
  std::string out;
  std::vector<Cell> heading(view.columns.size());
  for (const std::size_t index : view.chosen) {
    heading[index].value = view.columns[index].key;
  }
  AppendCsvRow(view, heading, &out);
  for (const auto& row : rows) {
    AppendCsvRow(view, row, &out);
  }
  return out;
}

Result<std::vector<std::size_t>> SelectColumns(const std::vector<Column>& columns,
                                               const RenderOptions& options) {
  std::vector<std::size_t> chosen;
  std::vector<std::string_view> keys;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    keys.push_back(columns[i].key);
    if (options.columns.empty() && !(columns[i].wide && options.format == OutputFormat::kText)) {
      chosen.push_back(i);
    }
  }
  for (const std::string& wanted : options.columns) {
    const auto found = std::find(keys.begin(), keys.end(), wanted);
    if (found == keys.end()) {
      return Error(ErrorCode::kInvalid, "--columns: there is no column '" + Printable(wanted) +
                                            "'" + DidYouMean(wanted, keys) + " (columns: " +
                                            fmt::format("{}", fmt::join(keys, ", ")) + ")");
    }
    chosen.push_back(static_cast<std::size_t>(found - keys.begin()));
  }
  return chosen;
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::Add(std::vector<Cell> row) {
  ALERTSTREAM_CHECK(row.size() == columns_.size());
  rows_.push_back(std::move(row));
}

std::size_t Table::Truncate(std::size_t rows_max) {
  const std::size_t cut = rows_.size() > rows_max ? rows_.size() - rows_max : 0;
  rows_.resize(rows_.size() - cut);
  return cut;
}

Result<std::string> Table::Render(const RenderOptions& options) const {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto chosen, SelectColumns(columns_, options));
  const View view{.columns = columns_, .chosen = chosen, .options = options};
  switch (options.format) {
    case OutputFormat::kText:
    case OutputFormat::kWide:
      return RenderText(view, rows_);
    case OutputFormat::kJson:
      return RenderJson(view, rows_);
    case OutputFormat::kCsv:
      return RenderCsv(view, rows_);
    case OutputFormat::kJsonLines:
      break;
  }
  std::string out;
  for (const auto& row : rows_) {
    AppendJsonRow(view, row, &out);
    out.push_back('\n');
  }
  return out;
}

Result<std::string> RenderRow(const std::vector<Column>& columns, const std::vector<Cell>& row,
                              const RenderOptions& options) {
  ALERTSTREAM_CHECK(row.size() == columns.size());
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto chosen, SelectColumns(columns, options));
  const View view{.columns = columns, .chosen = chosen, .options = options};
  std::string out;
  switch (options.format) {
    case OutputFormat::kText:
    case OutputFormat::kWide: {
      std::vector<std::size_t> widths;
      widths.reserve(chosen.size());
      for (const std::size_t index : chosen) {
        widths.push_back(DisplayWidth(Title(columns[index])));
      }
      AppendTextRow(view, row, widths, &out);
      break;
    }
    case OutputFormat::kJson:
    case OutputFormat::kJsonLines:
      AppendJsonRow(view, row, &out);
      out.push_back('\n');
      break;
    case OutputFormat::kCsv:
      AppendCsvRow(view, row, &out);
      break;
  }
  return out;
}

std::string TimeText(LogTime time, const RenderOptions& options) {
  switch (options.time) {
    case TimeStyle::kUtc:
      break;
    case TimeStyle::kLocal:
      return LocalText(time);
    case TimeStyle::kRelative:
      return RelativeText(time, options.now);
  }
  return FormatRfc3339(time);
}

std::string Colored(std::string_view text, CellStyle style, bool color) {
  const std::string_view code = ColorCode(style);
  if (!color || code.empty()) {
    return std::string(text);
  }
  return std::string(code).append(text).append(kReset);
}

std::size_t DisplayWidth(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const Glyph glyph = FirstGlyph(text);
    columns += glyph.columns;
    text.remove_prefix(glyph.bytes);
  }
  return columns;
}

Result<OutputFormat> ParseOutputFormat(std::string_view text) {
  constexpr std::array<std::string_view, 5> kNames = {"text", "wide", "json", "jsonl", "csv"};
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end()) {
    return Error(ErrorCode::kInvalid,
                 "-o: expected text, wide, json, jsonl or csv" + DidYouMean(text, kNames));
  }
  return static_cast<OutputFormat>(found - kNames.begin());
}

Result<ColorMode> ParseColorMode(std::string_view text) {
  constexpr std::array<std::string_view, 3> kNames = {"auto", "always", "never"};
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end()) {
    return Error(ErrorCode::kInvalid,
                 "--color: expected auto, always or never" + DidYouMean(text, kNames));
  }
  return static_cast<ColorMode>(found - kNames.begin());
}

Result<TimeStyle> ParseTimeStyle(std::string_view text) {
  constexpr std::array<std::string_view, 3> kNames = {"utc", "local", "relative"};
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end()) {
    return Error(ErrorCode::kInvalid,
                 "--time: expected utc, local or relative" + DidYouMean(text, kNames));
  }
  return static_cast<TimeStyle>(found - kNames.begin());
}

bool UseColor(ColorMode mode, bool is_terminal, std::string_view no_color, std::string_view term) {
  switch (mode) {
    case ColorMode::kAlways:
      return true;
    case ColorMode::kNever:
      return false;
    case ColorMode::kAuto:
      break;
  }
  return is_terminal && no_color.empty() && term != "dumb";
}

}  // namespace alertstream::cli
