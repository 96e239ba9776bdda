#include "processor/base/log.h"

#include <chrono>
#include <limits>
#include <sstream>
#include <string>
#include <type_traits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A person's data is no field.
static_assert(!std::is_constructible_v<LogValue, Redacted<std::string>>);
static_assert(!std::is_constructible_v<LogField, const char*, Redacted<std::string>>);
static_assert(std::is_constructible_v<LogValue, std::string>);

class StillClock final : public Clock {
 public:
  LogTime Now() const override { return FromMicros(1'700'000'000'123'000) + since_boot; }
  std::chrono::microseconds SinceBoot() const override { return since_boot; }
  void SleepFor(std::chrono::milliseconds duration) override { since_boot += duration; }

  std::chrono::microseconds since_boot{0};
};

// What one logger writes.
class LogTest : public ::testing::Test {
 protected:
  Logger Make(LogFormat format, LogLevel level = LogLevel::kInfo, std::uint32_t per_second = 2) {
    return Logger(
        {.level = level, .format = format, .lines_per_second_max = per_second, .out = &out_},
        clock_);
  }

  std::string Take() {
    std::string text = out_.str();
    out_.str("");
    return text;
  }

  StillClock clock_;
  std::ostringstream out_;
};

TEST_F(LogTest, TextLinesHoldTimeLevelEventAndFields) {
  Logger logger = Make(LogFormat::kText);
  logger.Write(
      LogLevel::kWarning, "commit_failed",
      {{"partition", 3}, {"seq", 12U}, {"took_s", 0.25}, {"retry", true}, {"kind", "x y"}});
  EXPECT_EQ(Take(),
            "2023-11-14T22:13:20.123Z warning commit_failed partition=3 seq=12 took_s=0.25 "
            "retry=true kind=\"x y\"\n");
}

TEST_F(LogTest, JsonLinesAreTyped) {
  Logger logger = Make(LogFormat::kJson);
  logger.Write(LogLevel::kError, "stopped",
               {{"seq", std::numeric_limits<std::uint64_t>::max()},
                {"least", std::numeric_limits<std::int64_t>::min()},
                {"rate", 1.5},
                {"endless", std::numeric_limits<double>::infinity()},
                {"held", false},
                {"text", std::string("a\"b\\c\nd\x01")}});
  EXPECT_EQ(Take(),
            R"({"time":"2023-11-14T22:13:20.123Z","level":"error","event":"stopped",)"
            R"("seq":18446744073709551615,"least":-9223372036854775808,"rate":1.5,"endless":null,)"
            R"("held":false,"text":"a\"b\\c\nd\u0001"})"
            "\n");
}

TEST_F(LogTest, AValueCannotForgeALine) {
  Logger logger = Make(LogFormat::kText);
  logger.Write(LogLevel::kInfo, "read", {{"name", "x\n2023 error forged"}, {"eq", "a=b"}});
  const std::string line = Take();
  EXPECT_THAT(line, HasSubstr(R"(name="x\n2023 error forged" eq="a=b")"));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST_F(LogTest, LongTextsAreCutBetweenCharacters) {
  Logger logger = Make(LogFormat::kText);
  std::string text(kLogValueBytesMax - 4, 'a');
  text += "\xC3\xA9\xC3\xA9\xC3\xA9";
  logger.Write(LogLevel::kInfo, "read", {{"t", text}});
  EXPECT_THAT(Take(), EndsWith("aa...\n"));
}

TEST_F(LogTest, LinesBelowTheLevelAreNotWritten) {
  Logger logger = Make(LogFormat::kText, LogLevel::kWarning);
  logger.Write(LogLevel::kInfo, "quiet", {});
  EXPECT_EQ(Take(), "");
  logger.Write(LogLevel::kWarning, "loud", {});
  EXPECT_THAT(Take(), HasSubstr("loud"));
}

TEST_F(LogTest, RepeatedEventsAreCountedInsteadOfWritten) {
  Logger logger = Make(LogFormat::kJson);
  for (int i = 0; i < 5; ++i) {
    logger.Write(LogLevel::kInfo, "retry", {{"i", i}});
  }
  EXPECT_EQ(Take().find("\"i\":2"), std::string::npos);
  logger.Write(LogLevel::kInfo, "other", {});
  EXPECT_THAT(Take(), StartsWith("{"));  // Another event has a limit of its own.
  clock_.SleepFor(std::chrono::seconds(1));
  logger.Write(LogLevel::kInfo, "retry", {{"i", 5}});
  EXPECT_THAT(Take(), EndsWith("\"i\":5,\"suppressed\":3}\n"));
  logger.Write(LogLevel::kInfo, "retry", {{"i", 6}});
  EXPECT_THAT(Take(), EndsWith("\"i\":6}\n"));
}

TEST_F(LogTest, ZeroMeansNoLimit) {
  Logger logger = Make(LogFormat::kText, LogLevel::kInfo, 0);
  for (int i = 0; i < 100; ++i) {
    logger.Write(LogLevel::kInfo, "line", {{"i", i}});
  }
  EXPECT_THAT(Take(), HasSubstr("i=99"));
}

TEST(LogNamesTest, LevelsAndFormatsAreReadByTheirNames) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    ASSERT_TRUE(ParseLogLevel(LogLevelName(level)).ok());
    EXPECT_EQ(ParseLogLevel(LogLevelName(level)).value(), level);
  }
  const auto level = ParseLogLevel("INFO");
  ASSERT_FALSE(level.ok());
  EXPECT_EQ(level.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(level.error().message(), HasSubstr("debug, info, warning or error"));
  ASSERT_TRUE(ParseLogFormat("json").ok());
  const auto format = ParseLogFormat("xml");
  ASSERT_FALSE(format.ok());
  EXPECT_THAT(format.error().message(), HasSubstr("text or json"));
}

}  // namespace
}  // namespace alertstream
