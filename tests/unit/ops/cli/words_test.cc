#include "ops/cli/words.h"

#include <gtest/gtest.h>

#include "ops/cli/exit_code.h"
#include "ops/cli/json_object.h"

namespace alertstream::cli {
namespace {

TEST(WordsTest, NumbersAreMasked) {
  struct Case {
    std::string_view address;
    std::string_view shown;
  };
  for (const Case& c : {
           Case{"+254700000001", "+254 700 *** 001"},
           Case{"+14155550100", "+1 415 *** 100"},
           Case{"+447700900123", "+44 770 *** 123"},
           Case{"+2547001", "***"},  // Too short to hide a part of it.
           Case{"ann@example.com", "a***@example.com"},
           Case{"@example.com", "***"},
           Case{"a-push-token", "***"},
           Case{"", "***"},
       }) {
    EXPECT_EQ(MaskAddress(c.address), c.shown) << c.address;
  }
}

TEST(WordsTest, PositionsNameTheirTopic) {
  EXPECT_EQ(PositionText(1, 3, 88213), "site-events@3:88213");
  EXPECT_EQ(PositionText(12, 0, 0), "journal@0:0");
  EXPECT_EQ(PositionText(0, 0, 5), "");
  EXPECT_EQ(PositionText(99, 0, 5), "");
}

TEST(WordsTest, TextIsCutBetweenCharacters) {
  EXPECT_EQ(Clip("short", 5), "short");
  EXPECT_EQ(Clip("longer", 5), "longe\xE2\x80\xA6");
  EXPECT_EQ(Clip("\xC3\xA4\xC3\xB6\xC3\xBC", 2), "\xC3\xA4\xC3\xB6\xE2\x80\xA6");
  EXPECT_EQ(Clip("", 0), "");
}

TEST(WordsTest, DeliveriesAreTold) {
  v1::NotificationFact fact;
  fact.set_status(v1::NOTIFICATION_STATUS_DELIVERED);
  EXPECT_EQ(DeliveryText(fact), "delivered, no change");
  fact.set_changed(true);
  EXPECT_EQ(DeliveryText(fact), "delivered");
  fact.set_status(v1::NOTIFICATION_STATUS_STARTED);
  fact.set_attempt(2);
  fact.set_result(v1::ATTEMPT_CLASS_RETRY);
  fact.set_error_code("30001");
  fact.set_retry_at_us(1'795'176'000'000'000);
  EXPECT_EQ(DeliveryText(fact), "started, attempt 2: retry, 30001, again at 2026-11-20T12:00:00Z");
}

TEST(WordsTest, LargeNumbersAreGrouped) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1000), "1,000");
  EXPECT_EQ(Grouped(1234567), "1,234,567");
}

TEST(ExitCodeTest, EveryErrorHasItsCode) {
  struct Case {
    ErrorCode code;
    int exit;
  };
  for (const Case& c : {
           Case{ErrorCode::kInvalid, 1},
           Case{ErrorCode::kDenied, 5},
           Case{ErrorCode::kNotFound, 4},
           Case{ErrorCode::kConflict, 6},
           Case{ErrorCode::kExhausted, 1},
           Case{ErrorCode::kUnavailable, 7},
           Case{ErrorCode::kFenced, 6},
           Case{ErrorCode::kUnknown, 7},
           Case{ErrorCode::kCorrupt, 9},
       }) {
    EXPECT_EQ(static_cast<int>(ExitCodeOf(c.code)), c.exit) << ErrorCodeName(c.code);
  }
}

TEST(ExitCodeTest, AnErrorIsOneJsonObject) {
  EXPECT_EQ(ErrorJson(Error(ErrorCode::kInvalid, "a \"b\""), "alertstream x --help"),
            "{\"error\":{\"code\":\"invalid\",\"message\":\"a \\\"b\\\"\",\"hint\":\"\","
            "\"docs\":\"alertstream x --help\"}}\n");
}

TEST(JsonObjectTest, MembersStandInTheirOrder) {
  JsonList list;
  list.Text("a\n").Raw("1");
  JsonObject object;
  object.Text("text", "\xFF").Integer("n", -1).Number("x", 0.5).Bool("b", true).Null("z");
  object.Raw("list", list.Take());
  EXPECT_EQ(object.Take(),
            "{\"text\":\"\xEF\xBF\xBD\",\"n\":-1,\"x\":0.500,\"b\":true,\"z\":null,"
            "\"list\":[\"a\\n\",1]}");
  EXPECT_EQ(object.Take(), "{}");
}

}  // namespace
}  // namespace alertstream::cli
