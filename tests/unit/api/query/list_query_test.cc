#include "api/query/list_query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "schemas/output.pb.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::array<FilterSpec, 5> kFilters = {
    {{.name = "status", .kind = FilterKind::kWord, .words = v1::NotificationStatus_descriptor},
     {.name = "trigger", .kind = FilterKind::kEntityId},
     {.name = "event", .kind = FilterKind::kId, .id_kind = IdKind::kEvent},
     {.name = "type", .kind = FilterKind::kEventType},
     {.name = "actor", .kind = FilterKind::kActor}}};

std::variant<ListQuery, http::ProblemDetails> Parse(std::string_view query) {
  return ParseListQuery(query, {.filters = kFilters});
}

ListQuery Good(std::string_view query) {
  auto parsed = Parse(query);
  if (const auto* problem = std::get_if<http::ProblemDetails>(&parsed)) {
    ADD_FAILURE() << query << ": " << problem->detail;
    return {};
  }
  return std::get<ListQuery>(std::move(parsed));
}

TEST(ListQueryTest, AnEmptyQueryAsksForEverything) {
  const ListQuery query = Good("");
  EXPECT_TRUE(query.filters.empty());
  EXPECT_EQ(query.limit, std::nullopt);
  EXPECT_EQ(query.since, read_model::kBeginning);
  EXPECT_EQ(query.until, read_model::kEnd);
  EXPECT_FALSE(query.starting_after || query.ending_before);
}

TEST(ListQueryTest, ReadsFiltersTimesAndThePage) {
  const ListQuery query = Good(
      "status=delivered&trigger=pay-late&event=evt_01JD3J0000000000000000000A&type=a.b"
      "&actor=usr_1&since=2026-11-20T12%3A00%3A00%2B03%3A00&until=2026-11-20T12:00:00.5Z&limit=100"
      "&starting_after=AQID");
  EXPECT_EQ(query.Filter("status"), "delivered");
  EXPECT_EQ(query.Filter("trigger"), "pay-late");
  EXPECT_EQ(query.Filter("event"), "evt_01JD3J0000000000000000000A");
  EXPECT_EQ(query.Filter("type"), "a.b");
  EXPECT_EQ(query.Filter("actor"), "usr_1");
  EXPECT_EQ(query.Filter("channel"), std::nullopt);
  EXPECT_EQ(query.since, FromMicros(1'795'165'200'000'000));
  EXPECT_EQ(query.until, FromMicros(1'795'176'000'500'000));
  EXPECT_EQ(query.limit, 100U);
  EXPECT_EQ(query.starting_after, "AQID");
}

TEST(ListQueryTest, CursorIsAnotherNameOfStartingAfter) {
  EXPECT_EQ(Good("cursor=AQID").starting_after, "AQID");
  EXPECT_EQ(Good("ending_before=AQID").ending_before, "AQID");
}

TEST(ListQueryTest, RefusesWhatItDoesNotKnowOrCannotRead) {
  struct Case {
    const char* query;
    const char* detail;
  };
  const Case cases[] = {
      {"%zz=1", "malformed"},
      {"colour=red",
       "\"colour\" that this list does not know; it knows: limit, starting_after, "
       "ending_before, cursor, since, until, status, trigger, event, type, actor"},
      {"status=sent&status=failed", "given twice"},
      {"status=", "no value"},
      {"status", "no value"},
      {"status=SENT", "status: expected one of commanded, started"},
      {"status=unspecified", "status: expected one of"},
      {"trigger=A", "trigger: expected an id of a-z"},
      {"event=dec_01JD3J0000000000000000000A", "event: expected an id that begins with evt_"},
      {"event=evt_1", "event: expected an id that begins with evt_"},
      {"type=a%20b", "type: expected an event type"},
      {"actor=a%20b", "actor: expected printable ASCII"},
      {"limit=0", "limit: expected 1 to 100"},
      {"limit=101", "limit: expected 1 to 100"},
      {"limit=-1", "limit: expected 1 to 100"},
      {"limit=+1", "limit: expected 1 to 100"},
      {"limit=1x", "limit: expected 1 to 100"},
      {"limit=99999999999999999999", "limit: expected 1 to 100"},
      {"since=yesterday", "since: expected a time"},
      {"since=1795176000", "since: expected a time"},
      {"until=2026-11-20", "until: expected a time"},
      {"until=2026-11-20T12:00:00+03:00", "%2B"},
      {"since=2026-11-21T00:00:00Z&until=2026-11-20T00:00:00Z", "not after until"},
      {"starting_after=a&ending_before=b", "one of starting_after, cursor and ending_before"},
      {"starting_after=a&cursor=b", "one of starting_after, cursor and ending_before"},
      {"cursor=%C3%A9", "cursor: expected a cursor of this list"},
  };
  for (const Case& each : cases) {
    const auto parsed = Parse(each.query);
    const auto* problem = std::get_if<http::ProblemDetails>(&parsed);
    ASSERT_NE(problem, nullptr) << each.query;
    EXPECT_EQ(problem->status, 400) << each.query;
    EXPECT_EQ(problem->code, "malformed_request") << each.query;
    EXPECT_THAT(problem->detail, HasSubstr(each.detail)) << each.query;
  }
}

TEST(ListQueryTest, ProblemsRepeatNoAddress) {
  for (const char* query : {"254700000001=1", "%2B254700000001=1", "recipient=%2B254700000001",
                            "trigger=%2B254700000001", "since=254700000001"}) {
    const auto parsed = Parse(query);
    const auto* problem = std::get_if<http::ProblemDetails>(&parsed);
    ASSERT_NE(problem, nullptr) << query;
    EXPECT_THAT(problem->detail, Not(HasSubstr("2547"))) << query;
  }
}

TEST(ListQueryTest, LongValuesAreRefused) {
  const std::string longest(kFilterBytesMax, 'a');
  EXPECT_EQ(Good("type=" + longest).Filter("type"), longest);
  const auto parsed = Parse("type=a" + longest);
  ASSERT_TRUE(std::holds_alternative<http::ProblemDetails>(parsed));
  EXPECT_THAT(std::get<http::ProblemDetails>(parsed).detail, HasSubstr("at most 128 bytes"));
}

TEST(ListQueryTest, AnExportMayHaveMore) {
  const auto parsed = ParseListQuery("limit=10000", {.limit_max = kExportLimitMax});
  ASSERT_TRUE(std::holds_alternative<ListQuery>(parsed));
  EXPECT_EQ(std::get<ListQuery>(parsed).limit, 10'000U);
}

TEST(ListQueryTest, RoutesWithoutAQueryRefuseOne) {
  EXPECT_FALSE(RefuseQuery("").has_value());
  EXPECT_FALSE(RefuseQuery("&").has_value());
  EXPECT_TRUE(RefuseQuery("expand=all").has_value());
  EXPECT_TRUE(RefuseQuery("%z").has_value());
}

}  // namespace
}  // namespace alertstream::api
