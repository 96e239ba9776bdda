// The forms of answers: objects as JSON and CSV, times, masks, which form is wanted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "api/query/accept.h"
#include "api/query/object_fields.h"
#include "api/query/personal_view.h"
#include "api/query/views.h"
#include "schemas/common.pb.h"

namespace alertstream::api {
namespace {

constexpr LogTime kNoon = FromMicros(1'795'176'000'000'000);

ObjectFields Sample() {
  ObjectFields fields;
  fields.Text("text", "a\"b")
      .Text("absent", std::optional<std::string>())
      .Time("at", kNoon + LogDuration(250'999))
      .Integer("number", -5)
      .Bool("yes", true)
      .Json("inner", R"({"a":[1,2]})");
  return fields;
}

TEST(ObjectFieldsTest, WritesJson) {
  EXPECT_EQ(Sample().ToJson(),
            R"({"text":"a\"b","absent":null,"at":"2026-11-20T12:00:00.250Z","number":-5,)"
            R"("yes":true,"inner":{"a":[1,2]}})");
}

TEST(ObjectFieldsTest, WritesCsv) {
  std::string csv;
  Sample().AppendCsvNames(&csv);
  Sample().AppendCsvValues(&csv);
  EXPECT_EQ(csv,
            "text,absent,at,number,yes,inner\r\n"
            "\"a\"\"b\",,2026-11-20T12:00:00.250Z,-5,true,\"{\"\"a\"\":[1,2]}\"\r\n");
}

// What a spreadsheet would calculate (OWASP, CSV injection).
TEST(ObjectFieldsTest, CsvHoldsNoFormula) {
  const std::tuple<const char*, const char*> cases[] = {
      {"plain", "plain"},
      {"=1+1", "\"'=1+1\""},
      {"+254700***001", "\"'+254700***001\""},
      {"-1", "\"'-1\""},
      {"@SUM(A1)", "\"'@SUM(A1)\""},
      {"\t=1", "\"'\t=1\""},
      {"\r=1", "\"'\r=1\""},
      {"a=1", "a=1"},
      {"a,b", "\"a,b\""},
      {"a\nb", "\"a\nb\""},
      {"=\"x\"", "\"'=\"\"x\"\"\""},
      {"", ""},
  };
  for (const auto& [value, expected] : cases) {
    std::string csv;
    ObjectFields().Text("v", value).AppendCsvValues(&csv);
    EXPECT_EQ(csv, std::string(expected) + "\r\n") << value;
  }
}

TEST(FormatMillisTest, AlwaysHasThreeDigits) {
  EXPECT_EQ(FormatMillis(kNoon), "2026-11-20T12:00:00.000Z");
  EXPECT_EQ(FormatMillis(kNoon + LogDuration(1'000)), "2026-11-20T12:00:00.001Z");
  EXPECT_EQ(FormatMillis(kNoon + LogDuration(999'999)), "2026-11-20T12:00:00.999Z");
  EXPECT_EQ(FormatMillis(FromMicros(-1)), "1969-12-31T23:59:59.999Z");
}

TEST(AcceptTest, ChoosesTheForm) {
  using Form = std::optional<ListForm>;
  const std::tuple<const char*, Form> cases[] = {
      {"*/*", ListForm::kJson},
      {"application/json", ListForm::kJson},
      {"application/*", ListForm::kJson},
      {"text/csv", ListForm::kCsv},
      {"TEXT/CSV", ListForm::kCsv},
      {"text/*", ListForm::kCsv},
      {"text/csv; charset=utf-8", ListForm::kCsv},
      {"application/x-ndjson", ListForm::kLines},
      {"text/csv;q=0.5, application/json;q=0.4", ListForm::kCsv},
      {"text/csv;q=0.4, application/json;q=0.5", ListForm::kJson},
      {"text/csv, */*;q=0.1", ListForm::kCsv},
      {"application/json;q=0, */*", ListForm::kCsv},
      {"text/html, application/xhtml+xml, */*;q=0.8", ListForm::kJson},
      {"text/html", std::nullopt},
      {"application/json;q=0", std::nullopt},
      {"application/json;q=0.000", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& [accept, expected] : cases) {
    http::Headers headers;
    headers.Add("Accept", accept);
    EXPECT_EQ(AcceptedForm(headers), expected) << accept;
  }
  EXPECT_EQ(AcceptedForm(http::Headers()), ListForm::kJson);
}

std::string Masked(std::string_view json) {
  schemas::JsonDocument document;
  EXPECT_TRUE(document.Parse(json).ok()) << json;
  std::string out;
  AppendMaskedJson(document.root(), &out);
  return out;
}

TEST(MaskedJsonTest, KeepsTheShapeAndNoValue) {
  EXPECT_EQ(Masked(R"({"phone":"+254700000001","amount":1500,"ok":true,"none":null,)"
                   R"("items":[{"name":"Ann"},2.5,[]],"empty":{}})"),
            R"({"phone":"***","amount":"***","ok":"***","none":null,)"
            R"("items":[{"name":"***"},"***",[]],"empty":{}})");
  EXPECT_EQ(Masked("\"Ann\""), R"("***")");
}

TEST(MaskedJsonTest, HidesNamesThatCouldBePeople) {
  EXPECT_EQ(
      Masked(R"({"+254700000001":1,"ann@example.com":2,"k254700000001":3,"Ann Lee":4,"v2":5})"),
      R"({"***1":"***","***2":"***","***3":"***","***4":"***","v2":"***"})");
}

TEST(RevealSealedTest, DecodesWhatIsPlain) {
  v1::Personal personal;
  personal.set_plain("+254700000001");
  EXPECT_EQ(RevealSealed(personal.SerializeAsString()), "+254700000001");
  personal.mutable_sealed()->set_key_id("k");
  EXPECT_EQ(RevealSealed(personal.SerializeAsString()), std::nullopt);
  EXPECT_EQ(RevealSealed(std::string("\xFF")), std::nullopt);
  EXPECT_EQ(RevealSealed(std::nullopt), std::nullopt);
}

TEST(ViewsTest, ANotificationIsMaskedUnlessRevealed) {
  v1::Personal to;
  to.set_plain("+254700000001");
  v1::Personal body;
  body.set_plain("Hello Ann");
  read_model::Notification row;
  row.to_masked = "+254700***001";
  row.to_sealed = to.SerializeAsString();
  row.body_sealed = body.SerializeAsString();
  const std::string masked = NotificationFields(row, {}).ToJson();
  EXPECT_THAT(masked, ::testing::HasSubstr(R"("to":"+254700***001","body":null)"));
  EXPECT_THAT(NotificationFields(row, {.reveal = true}).ToJson(),
              ::testing::HasSubstr(R"("to":"+254700000001","body":"Hello Ann")"));
}

TEST(ViewsTest, TheTimelineHasMilliseconds) {
  EXPECT_EQ(TimelineJson(R"([{"at": "2026-11-20T12:00:00Z", "status": "commanded"},)"
                         R"({"at": "2026-11-20T12:00:00.123456Z", "status": "failed",)"
                         R"( "attempt": 2, "retry_at": "2026-11-20T12:00:01Z"}])"),
            R"([{"at":"2026-11-20T12:00:00.000Z","status":"commanded"},)"
            R"({"at":"2026-11-20T12:00:00.123Z","status":"failed","attempt":2,)"
            R"("retry_at":"2026-11-20T12:00:01.000Z"}])");
  EXPECT_EQ(TimelineJson("broken"), "[]");
}

TEST(ViewsTest, UsageIsOfThePresentMonth) {
  read_model::Usage usage{.plan = "starter", .sends_max = 100, .months = {}};
  usage.months.push_back({.month = 202611, .sends = 130, .sends_max = 100});
  usage.months.push_back({.month = 202610, .sends = 7, .sends_max = -1});
  EXPECT_EQ(UsageFields(usage, kNoon).ToJson(),
            R"({"object":"usage","plan":"starter","month":"2026-11","sends":130,"sends_max":100,)"
            R"("left":0,"resets_at":"2026-12-01T00:00:00.000Z","months":[)"
            R"({"month":"2026-11","sends":130,"sends_max":100},)"
            R"({"month":"2026-10","sends":7,"sends_max":null}]})");
  // A month without a send has no row.
  EXPECT_THAT(UsageFields(usage, FromMicros(1'798'761'600'000'000)).ToJson(),
              ::testing::HasSubstr(R"("month":"2027-01","sends":0,"sends_max":100,"left":100,)"
                                   R"("resets_at":"2027-02-01T00:00:00.000Z")"));
}

}  // namespace
}  // namespace alertstream::api
