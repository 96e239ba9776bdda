#include "ops/cli/table.h"

#include <cstdlib>
#include <ctime>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::cli {
namespace {

using ::testing::HasSubstr;

Table Example() {
  Table table({{.key = "id"},
               {.key = "sends", .right = true},
               {.key = "ok"},
               {.key = "at", .title = "WHEN"},
               {.key = "detail", .wide = true}});
  table.Add({{.value = "trg_1"},
             {.value = std::int64_t{12}},
             {.value = true, .style = CellStyle::kGood},
             {.value = FromMicros(1'700'000'000'000'000)},
             {.value = RawJson{R"({"a":1})"}}});
  table.Add({{.value = "caf\xC3\xA9 \xE6\x97\xA5, \"x\""},
             {.value = 0.5},
             {.value = false, .style = CellStyle::kBad},
             {.value = Absent{}},
             {.value = "line\nbreak"}});
  return table;
}

std::string Render(const RenderOptions& options) {
  auto text = Example().Render(options);
  return text.ok() ? text.value() : text.error().message();
}

TEST(TableTest, TimesAreShownAsAskedInTextOnly) {
  const LogTime time = FromMicros(1'700'000'000'000'000);
  RenderOptions options;
  EXPECT_EQ(TimeText(time, options), "2023-11-14T22:13:20Z");
  ASSERT_EQ(::setenv("TZ", "Asia/Kathmandu", 1), 0);
  ::tzset();
  options.time = TimeStyle::kLocal;
  EXPECT_EQ(TimeText(time, options), "2023-11-15T03:58:20+05:45");
  ASSERT_EQ(::setenv("TZ", "America/St_Johns", 1), 0);
  ::tzset();
  EXPECT_EQ(TimeText(time, options), "2023-11-14T18:43:20-03:30");
  ASSERT_EQ(::unsetenv("TZ"), 0);
  ::tzset();

  options.time = TimeStyle::kRelative;
  for (const auto& [ago, text] : {std::pair<std::int64_t, std::string_view>{0, "now"},
                                  {59, "59s ago"},
                                  {60, "1m ago"},
                                  {7199, "1h ago"},
                                  {86'400 * 3, "3d ago"},
                                  {-120, "in 2m"}}) {
    options.now = time + std::chrono::seconds(ago);
    EXPECT_EQ(TimeText(time, options), text);
  }
  EXPECT_THAT(Render(options), HasSubstr("in 2m"));
  options.format = OutputFormat::kJson;
  EXPECT_THAT(Render(options), HasSubstr("\"at\":\"2023-11-14T22:13:20Z\""));
  options.format = OutputFormat::kCsv;
  EXPECT_THAT(Render(options), HasSubstr("2023-11-14T22:13:20Z"));
  const auto wrong = ParseTimeStyle("utcc");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(wrong.error().message(), HasSubstr("--time: expected utc, local or relative"));
}

TEST(TableTest, TextIsAlignedByDisplayWidthAndLeavesWideColumnsOut) {
  EXPECT_EQ(Render({}),
            "ID            SENDS  OK     WHEN\n"
            "trg_1            12  true   2023-11-14T22:13:20Z\n"
            "caf\xC3\xA9 \xE6\x97\xA5, \"x\"    0.5  false  -\n");
}

TEST(TableTest, WideShowsEveryColumnAndEscapesControls) {
  const std::string text = Render({.format = OutputFormat::kWide});
  EXPECT_THAT(text, HasSubstr("  DETAIL\n"));
  EXPECT_THAT(text, HasSubstr(R"(  {"a":1})"));
  EXPECT_THAT(text, HasSubstr("  line\\nbreak\n"));
}

TEST(TableTest, JsonIsTyped) {
  EXPECT_EQ(Render({.format = OutputFormat::kJson}),
            "[\n"
            R"(  {"id":"trg_1","sends":12,"ok":true,"at":"2023-11-14T22:13:20Z","detail":{"a":1}},)"
            "\n"
            "  {\"id\":\"caf\xC3\xA9 \xE6\x97\xA5, \\\"x\\\"\",\"sends\":0.5,\"ok\":false,"
            "\"at\":null,\"detail\":\"line\\nbreak\"}\n"
            "]\n");
}

TEST(TableTest, JsonLinesHaveOneObjectALine) {
  EXPECT_EQ(Render({.format = OutputFormat::kJsonLines, .columns = {"ok", "id"}}),
            "{\"ok\":true,\"id\":\"trg_1\"}\n"
            "{\"ok\":false,\"id\":\"caf\xC3\xA9 \xE6\x97\xA5, \\\"x\\\"\"}\n");
}

TEST(TableTest, CsvQuotesWhatItMust) {
  EXPECT_EQ(Render({.format = OutputFormat::kCsv}),
            "id,sends,ok,at,detail\r\n"
            "trg_1,12,true,2023-11-14T22:13:20Z,\"{\"\"a\"\":1}\"\r\n"
            "\"caf\xC3\xA9 \xE6\x97\xA5, \"\"x\"\"\",0.5,false,,\"line\nbreak\"\r\n");
}

TEST(TableTest, ColorSurroundsTheWordAndDoesNotMoveColumns) {
  const std::string text = Render({.color = true, .columns = {"ok", "id"}});
  EXPECT_THAT(text, HasSubstr("\x1b[32mtrue\x1b[0m   trg_1\n"));
  EXPECT_THAT(text, HasSubstr("\x1b[31mfalse\x1b[0m  caf"));
  EXPECT_EQ(Render({.columns = {"ok"}}).find('\x1b'), std::string::npos);
}

TEST(TableTest, AnUnknownColumnIsNamedWithTheNearest) {
  const auto text = Example().Render({.columns = {"send"}});
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(text.error().message(),
            "--columns: there is no column 'send'; did you mean 'sends'? "
            "(columns: id, sends, ok, at, detail)");
}

TEST(TableTest, TextCutsLongCellsAndDisarmsTheTerminal) {
  Table table(std::vector<Column>{{.key = "text"}});
  table.Add({{.value = std::string(100, 'x')}});
  table.Add({{.value = "\x1b[2J\xC2\x9B\xE2\x80\xAE\xFF\x7F"}});
  const auto text = table.Render({});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text.value(), "TEXT\n" + std::string(59, 'x') +
                              "\xE2\x80\xA6\n"
                              "\\u001b[2J\\u009b\\u202e\\xff\\u007f\n");
  const auto wide = table.Render({.format = OutputFormat::kWide});
  ASSERT_TRUE(wide.ok());
  EXPECT_THAT(wide.value(), HasSubstr(std::string(100, 'x')));
}

TEST(TableTest, EmptyTablesAreValidInEveryFormat) {
  const Table table(std::vector<Column>{{.key = "a"}});
  struct Case {
    OutputFormat format;
    std::string_view text;
  };
  for (const Case& c : {Case{OutputFormat::kText, "A\n"}, Case{OutputFormat::kJson, "[]\n"},
                        Case{OutputFormat::kJsonLines, ""}, Case{OutputFormat::kCsv, "a\r\n"}}) {
    const auto text = table.Render({.format = c.format});
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(text.value(), c.text);
  }
}

TEST(TableTest, NumbersThatJsonCannotHoldAreNull) {
  Table table(std::vector<Column>{{.key = "a"}});
  table.Add({{.value = std::numeric_limits<double>::infinity()}});
  const auto text = table.Render({.format = OutputFormat::kJsonLines});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text.value(), "{\"a\":null}\n");
}

TEST(TableTest, ARowAloneIsPrintedForTail) {
  const std::vector<Column> columns = {{.key = "seq", .right = true}, {.key = "kind"}};
  const std::vector<Cell> row = {{.value = std::int64_t{7}}, {.value = "BATCH"}};
  const auto text = RenderRow(columns, row, {});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text.value(), "  7  BATCH\n");
  const auto json = RenderRow(columns, row, {.format = OutputFormat::kJson});
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json.value(), "{\"seq\":7,\"kind\":\"BATCH\"}\n");
  const auto csv = RenderRow(columns, row, {.format = OutputFormat::kCsv, .columns = {"kind"}});
  ASSERT_TRUE(csv.ok());
  EXPECT_EQ(csv.value(), "BATCH\r\n");
}

TEST(OutputOptionsTest, FormatsAndColorModesAreReadByName) {
  ASSERT_TRUE(ParseOutputFormat("jsonl").ok());
  EXPECT_EQ(ParseOutputFormat("jsonl").value(), OutputFormat::kJsonLines);
  EXPECT_EQ(ParseOutputFormat("csv").value(), OutputFormat::kCsv);
  const auto format = ParseOutputFormat("jsno");
  ASSERT_FALSE(format.ok());
  EXPECT_THAT(format.error().message(), HasSubstr("did you mean 'json'?"));
  ASSERT_TRUE(ParseColorMode("never").ok());
  EXPECT_EQ(ParseColorMode("never").value(), ColorMode::kNever);
  const auto mode = ParseColorMode("yes");
  ASSERT_FALSE(mode.ok());
  EXPECT_THAT(mode.error().message(), HasSubstr("expected auto, always or never"));
}

TEST(OutputOptionsTest, AutoColorFollowsTheTerminalAndNoColor) {
  EXPECT_TRUE(UseColor(ColorMode::kAuto, true, "", "xterm"));
  EXPECT_FALSE(UseColor(ColorMode::kAuto, false, "", "xterm"));
  EXPECT_FALSE(UseColor(ColorMode::kAuto, true, "1", "xterm"));
  EXPECT_FALSE(UseColor(ColorMode::kAuto, true, "", "dumb"));
  EXPECT_TRUE(UseColor(ColorMode::kAlways, false, "1", "dumb"));
  EXPECT_FALSE(UseColor(ColorMode::kNever, true, "", "xterm"));
}

}  // namespace
}  // namespace alertstream::cli
