// What commands print: rows under named columns, as text for people or as JSON, JSON lines or CSV
// for programs, and the rules for colour. Pure: it makes strings, the command writes them. Every
// read command prints through it, so that -o, --columns and --color mean the same everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"

namespace alertstream::cli {

// kText leaves out columns marked wide and cuts long cells; kWide shows everything.
enum class OutputFormat : std::uint8_t { kText, kWide, kJson, kJsonLines, kCsv };
Result<OutputFormat> ParseOutputFormat(std::string_view text);  // text|wide|json|jsonl|csv

enum class ColorMode : std::uint8_t { kAuto, kAlways, kNever };
Result<ColorMode> ParseColorMode(std::string_view text);  // auto|always|never
// kAuto: colour on a terminal, unless NO_COLOR is set to anything but "" or TERM is "dumb".
bool UseColor(ColorMode mode, bool is_terminal, std::string_view no_color, std::string_view term);

// How text shows times; JSON and CSV are always RFC 3339 UTC.
enum class TimeStyle : std::uint8_t { kUtc, kLocal, kRelative };
Result<TimeStyle> ParseTimeStyle(std::string_view text);  // utc|local|relative

enum class CellStyle : std::uint8_t { kPlain, kGood, kWarning, kBad, kDim };

// No value: "-" in text, null in JSON, an empty field in CSV.
struct Absent {};
// JSON that is already written, for an object or a list inside a row; text shows it as it is.
struct RawJson {
  std::string text;
};

struct Cell {
  using Value = std::variant<Absent, std::string, std::int64_t, double, bool, LogTime, RawJson>;
  Value value;
  CellStyle style = CellStyle::kPlain;
};

struct Column {
  std::string key;         // Member name in JSON and heading in CSV: lower_snake_case.
  std::string title = {};  // Heading in text; empty: the key in capitals.
  bool wide = false;       // Only with kWide; JSON and CSV always have it.
  bool right = false;      // Numbers.
};

// Cells of kText are cut to this many columns of the terminal, with "…" at the end.
inline constexpr std::size_t kCellWidthMax = 60;

struct RenderOptions {
  OutputFormat format = OutputFormat::kText;
  bool color = false;
  std::vector<std::string> columns = {};  // Keys, in this order; empty: all of the format.
  TimeStyle time = TimeStyle::kUtc;
  LogTime now{};  // With kRelative.
};

class Table {
 public:
  explicit Table(std::vector<Column> columns);

  // REQUIRES: one cell a column.
  void Add(std::vector<Cell> row);
  std::size_t size() const { return rows_.size(); }
  // Keeps the first `rows_max` rows; returns how many were cut.
  std::size_t Truncate(std::size_t rows_max);

  // The whole table, ending in a line feed; text without rows is the headings alone. Times are RFC
  // 3339 UTC. Control characters of a cell are shown as escapes in text, so that data cannot drive
  // the terminal. kInvalid names a column that does not exist.
  Result<std::string> Render(const RenderOptions& options) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// For `tail`: one row at a time, without headings. Text columns are as wide as their headings,
// because nothing is known about the rows that follow.
Result<std::string> RenderRow(const std::vector<Column>& columns, const std::vector<Cell>& row,
                              const RenderOptions& options);

// A time as text shows it: RFC 3339 in UTC or in the zone of the environment, "5m ago", "in 2h".
std::string TimeText(LogTime time, const RenderOptions& options);

// `text` in the colour of `style`, or as it is without `color`.
std::string Colored(std::string_view text, CellStyle style, bool color);

// Columns of the terminal that UTF-8 `text` takes; a malformed byte takes one.
std::size_t DisplayWidth(std::string_view text);

}  // namespace alertstream::cli
