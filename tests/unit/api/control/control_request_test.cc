#include "api/control/control_request.h"

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/control/dead_letter_document.h"
#include "processor/base/id.h"
#include "schemas/dead_letter_header.h"
#include "schemas/envelope.pb.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

using schemas::Topic;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr LogTime kNow = FromMicros(1'795'176'000'000'000);
constexpr std::int32_t kPartitions = 4;

std::variant<ControlItems, http::ProblemDetails> Parse(std::string_view body) {
  return ParseControl(body, {.actor = "ops", .now = kNow, .partitions = kPartitions});
}

ControlItems ItemsOf(std::string_view body) {
  auto parsed = Parse(body);
  if (const auto* problem = std::get_if<http::ProblemDetails>(&parsed)) {
    ADD_FAILURE() << problem->detail << " "
                  << (problem->errors.empty()
                          ? ""
                          : problem->errors[0].pointer + ": " + problem->errors[0].detail);
    return {};
  }
  return std::get<ControlItems>(std::move(parsed));
}

// The only item of a request of this one event.
ControlItem ItemOf(std::string_view event) {
  auto items = ItemsOf(R"({"tenant":"acme","events":[)" + std::string(event) + "]}");
  EXPECT_THAT(items, SizeIs(1));
  return items.empty() ? ControlItem{} : std::move(items[0]);
}

v1::Envelope EnvelopeOf(const ControlItem& item) {
  v1::Envelope envelope;
  EXPECT_FALSE(item.records.empty());
  EXPECT_TRUE(!item.records.empty() && envelope.ParseFromString(item.records[0].value));
  return envelope;
}

constexpr std::string_view kTrigger =
    R"({"kind":"trigger","id":"paid","event_type":"order","recipients":{"field":"data.phone"},
        "channel":"sms","template":{"body":"Hi"},"message_class":"transactional","cooldown":"10m",
        "daily_cap":3})";

TEST(ControlRequest, EveryRecordSaysWhoMadeIt) {
  const ControlItem item = ItemOf(R"({"kind":"site","id":"shop"})");
  ASSERT_THAT(item.records, SizeIs(1));
  EXPECT_EQ(item.records[0].topic, Topic::kAccountChanges);
  EXPECT_EQ(item.records[0].key, "acme");
  EXPECT_EQ(item.records[0].partition, schemas::PartitionOf("acme", kPartitions));
  const v1::Envelope envelope = EnvelopeOf(item);
  EXPECT_EQ(envelope.trust(), v1::TRUST_SYSTEM);
  EXPECT_EQ(envelope.actor(), "ops");
  EXPECT_EQ(envelope.type(), "account.site");
  EXPECT_EQ(envelope.ingest_time_us(), ToMicros(kNow));
}

TEST(ControlRequest, RulesAreReadAsInRuleFiles) {
  struct Case {
    std::string_view event;
    ControlKind kind;
    std::string_view id;
    std::string_view text;  // In the change.
  };
  const std::vector<Case> cases = {
      {R"({"kind":"tenant","id":"zoo","plan":"basic"})", ControlKind::kTenant, "zoo", "basic"},
      {R"({"kind":"plan","id":"basic","sends_per_month_max":5})", ControlKind::kPlan, "basic",
       "sends_per_month_max: 5"},
      {R"({"kind":"site","id":"shop","status":"disabled"})", ControlKind::kSite, "shop",
       "SITE_STATUS_DISABLED"},
      {R"({"kind":"sender","id":"main","provider":"twilio","number":"+254 700 000001",
           "default":true})",
       ControlKind::kSender, "main", "+254700000001"},
      {kTrigger, ControlKind::kTrigger, "paid", "cooldown_us: 600000000"},
  };
  for (const Case& each : cases) {
    const ControlItem item = ItemOf(each.event);
    EXPECT_EQ(item.kind, each.kind);
    EXPECT_EQ(item.id, each.id);
    const v1::Envelope envelope = EnvelopeOf(item);
    EXPECT_THAT(envelope.account_change().DebugString(), HasSubstr(std::string(each.text)));
  }
}

TEST(ControlRequest, ATenantBelongsToItself) {
  EXPECT_EQ(EnvelopeOf(ItemOf(R"({"kind":"tenant","id":"zoo"})")).tenant(), "zoo");
  EXPECT_EQ(EnvelopeOf(ItemOf(R"({"kind":"site","id":"s","tenant":"zoo"})")).tenant(), "zoo");
}

TEST(ControlRequest, AnExpectedVersionIsLeftToTheFold) {
  const ControlItem item =
      ItemOf(R"({"kind":"site","id":"shop","expected_version":7,"reason":"moved"})");
  EXPECT_EQ(EnvelopeOf(item).account_change().expected_version(), 7U);
  EXPECT_EQ(EnvelopeOf(item).account_change().reason(), "moved");
}

TEST(ControlRequest, ReadsConsents) {
  const ControlItem item = ItemOf(
      R"({"kind":"consent","phone":"+254 700 000001","class":"marketing","status":"granted",
          "channel":"sms","source":"web_form","expected_version":2,
          "evidence":{"kind":"web_form","written":true,"disclosure_version":"v3",
                      "at":"2026-01-31T08:00:00Z"}})");
  EXPECT_EQ(item.records[0].topic, Topic::kConsentChanges);
  const v1::ConsentChange change = EnvelopeOf(item).consent_change();
  EXPECT_EQ(change.address().plain(), "+254700000001");
  EXPECT_EQ(change.address_kind(), v1::ADDRESS_KIND_PHONE);
  EXPECT_EQ(change.channel(), v1::CHANNEL_SMS);
  EXPECT_EQ(change.message_class(), v1::MESSAGE_CLASS_MARKETING);
  EXPECT_EQ(change.status(), v1::CONSENT_STATUS_GRANTED);
  EXPECT_EQ(change.source(), "web_form");
  EXPECT_EQ(change.expected_version(), 2U);
  EXPECT_TRUE(change.evidence().written());
  EXPECT_EQ(change.evidence().disclosure_version(), "v3");
  EXPECT_EQ(change.evidence().at_us(), 1'769'846'400'000'000);
}

TEST(ControlRequest, APersonIsNamedByPhoneEmailOrRecipient) {
  const std::string id = FormatId(IdKind::kRecipient, std::string(16, 'x'));
  const auto by_token = EnvelopeOf(ItemOf(R"({"kind":"opt_out","recipient":")" + id +
                                          R"(","status":"active","reason":"asked"})"));
  EXPECT_EQ(by_token.opt_out_change().recipient_token(), std::string(16, 'x'));
  EXPECT_EQ(by_token.opt_out_change().channel(), v1::CHANNEL_ALL);
  EXPECT_EQ(by_token.opt_out_change().by(), v1::OPT_OUT_BY_OPERATOR);
  const auto by_email = EnvelopeOf(ItemOf(
      R"({"kind":"opt_out","email":"a@b.example","status":"removed","reason":"a mistake"})"));
  EXPECT_EQ(by_email.opt_out_change().address_kind(), v1::ADDRESS_KIND_EMAIL);
  EXPECT_EQ(by_email.opt_out_change().status(), v1::OPT_OUT_STATUS_REMOVED);
}

TEST(ControlRequest, ASkipGoesToItsPartitionAndAnActivationToAll) {
  const ControlItem skip = ItemOf(
      R"({"kind":"skip","topic":"site-events","partition":3,"offset":17,"reason":"crashes"})");
  ASSERT_THAT(skip.records, SizeIs(1));
  EXPECT_EQ(skip.records[0].partition, 3);
  EXPECT_EQ(skip.records[0].key, schemas::kLogKey);
  const v1::AccountChange change = EnvelopeOf(skip).account_change();
  EXPECT_EQ(change.skip_requested().record().offset(), 17);
  EXPECT_EQ(change.reason(), "crashes");
  const ControlItem engine = ItemOf(R"({"kind":"engine_activate","version":1})");
  ASSERT_THAT(engine.records, SizeIs(kPartitions));
  EXPECT_EQ(engine.records[2].partition, 2);
  EXPECT_EQ(EnvelopeOf(engine).account_change().engine_activate().engine_version(), 1U);
}

TEST(ControlRequest, ARetryOfADeadLetterIsItsRecordWithAHeader) {
  v1::DeadLetterAction action;
  action.set_id(std::string(16, 'd'));
  action.set_kind(v1::DEAD_LETTER_ACTION_KIND_RETRY);
  action.mutable_record()->set_topic(static_cast<std::uint32_t>(Topic::kOptOuts));
  action.mutable_record()->set_partition(2);
  action.mutable_record()->set_offset(17);
  action.set_forced(true);
  v1::RawRecord record;
  record.set_key("any key");
  record.set_value(std::string("\xff\0x", 3));
  record.add_headers()->set_name("h");
  record.add_headers()->set_name(std::string(schemas::kDeadLetterHeader));
  record.add_headers()->set_name("As-Dead-Letter");
  const ControlItem item =
      ItemOf(DeadLetterDocument({.action = action, .reason = "again", .record = record}, ""));
  EXPECT_EQ(item.id, FormatId(IdKind::kDeadLetter, action.id()));
  ASSERT_THAT(item.records, SizeIs(1));
  const RecordToAppend& again = item.records[0];
  EXPECT_EQ(again.topic, Topic::kOptOuts);
  EXPECT_EQ(again.partition, 2);
  EXPECT_EQ(again.key, "any key");
  EXPECT_EQ(again.value, record.value());
  ASSERT_THAT(again.headers, SizeIs(2))
      << "the header of an earlier retry is replaced, however it is written";
  const schemas::HeaderView header{again.headers[1].first, again.headers[1].second};
  const auto read = schemas::RetryOf(std::span(&header, 1));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->id(), action.id());
  EXPECT_EQ(read->record().offset(), 17);
  EXPECT_TRUE(read->forced());
  EXPECT_EQ(read->actor(), "ops");
  EXPECT_EQ(read->reason(), "again");
}

TEST(ControlRequest, ADropIsAChangeOfItsTenantOrOfTheLog) {
  v1::DeadLetterAction action;
  action.set_id(std::string(16, 'd'));
  action.set_kind(v1::DEAD_LETTER_ACTION_KIND_DROP);
  action.mutable_record()->set_topic(1);
  action.mutable_record()->set_partition(3);
  for (const std::string tenant : {"acme", "", "_unrouted"}) {
    const ControlItem item =
        ItemOf(DeadLetterDocument({.action = action, .reason = "old", .record = {}}, tenant));
    ASSERT_THAT(item.records, SizeIs(1));
    EXPECT_EQ(item.records[0].topic, Topic::kAccountChanges);
    EXPECT_EQ(item.records[0].partition, 3);
    EXPECT_EQ(item.records[0].key, tenant == "acme" ? tenant : schemas::kLogKey) << tenant;
    const v1::Envelope envelope = EnvelopeOf(item);
    EXPECT_EQ(envelope.account_change().reason(), "old");
    EXPECT_EQ(envelope.account_change().dead_letter_action().SerializeAsString(),
              action.SerializeAsString());
  }
}

TEST(ControlRequest, ALetterWithoutARecordCannotBeRetried) {
  v1::DeadLetterAction action;
  action.set_id(std::string(16, 'd'));
  action.set_kind(v1::DEAD_LETTER_ACTION_KIND_RETRY);
  action.set_actor("ops");
  action.mutable_record()->set_topic(static_cast<std::uint32_t>(Topic::kDeliveryAttempts));
  action.mutable_record()->set_offset(-7);
  const auto again = RetryRecord(Topic::kDeliveryAttempts, 0, {}, action);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(again.error().message(), HasSubstr("a timer's"));
}

TEST(ControlRequest, AnEngineVersionBelowFiveIsRefused) {
  for (const auto& [in_force, status] : std::vector<std::pair<std::optional<std::uint32_t>, int>>{
           {std::nullopt, 503}, {1, 409}, {3, 409}, {4, 409}, {0, 200}, {5, 200}, {6, 200}}) {
    const auto problem = RefusalOfVersion(in_force);
    EXPECT_EQ(problem ? problem->status : 200, status) << in_force.value_or(99);
    if (status == 409) {
      EXPECT_EQ(problem->code, "engine_version");
      EXPECT_THAT(problem->detail, HasSubstr("engine activate 5"));
    }
  }
}

TEST(ControlRequest, ANotificationIsAskedForAgain) {
  v1::Envelope asked;
  asked.set_tenant("acme");
  asked.set_site("shop");
  v1::DirectNotification& direct = *asked.mutable_site_event()->mutable_direct();
  direct.mutable_to()->set_plain("+254700000001");
  direct.mutable_retry()->set_notification_id(
      FormatId(IdKind::kNotification, std::string(16, 'n')));
  direct.mutable_retry()->mutable_body()->set_plain("Hi {{you}}");
  direct.mutable_retry()->set_reason("again");
  const ControlItem item = ItemOf(NotificationRetryDocument(asked));
  EXPECT_EQ(item.id, direct.retry().notification_id());
  EXPECT_EQ(EnvelopeOf(item).site_event().direct().SerializeAsString(), direct.SerializeAsString());
  EXPECT_EQ(EnvelopeOf(item).site(), "shop");
}

TEST(ControlRequest, FaultsOfAnActionAreNamed) {
  for (const auto& [event, pointer] : {
           std::pair(R"({"kind":"dead_letter","action":"eat"})", "#/events/0/action"),
           std::pair(R"({"kind":"dead_letter","action":"drop","id":"ntf_x"})", "#/events/0/id"),
           std::pair(R"({"kind":"notification_retry","id":"x"})", "#/events/0/to"),
       }) {
    const auto parsed = Parse(R"({"tenant":"acme","events":[)" + std::string(event) + "]}");
    const auto* problem = std::get_if<http::ProblemDetails>(&parsed);
    ASSERT_NE(problem, nullptr) << event;
    EXPECT_EQ(problem->errors.at(0).pointer, pointer) << event;
  }
}

TEST(ControlRequest, ReadsEvents) {
  const ControlItem native =
      ItemOf(R"({"kind":"event","event_type":"order","data":{"n":1.0},"id":"o1"})");
  EXPECT_EQ(native.records[0].topic, Topic::kSiteEvents);
  EXPECT_EQ(EnvelopeOf(native).site_event().data().plain(), R"({"n":1.0})");
  EXPECT_EQ(EnvelopeOf(native).trust(), v1::TRUST_SYSTEM);
  EXPECT_EQ(EnvelopeOf(native).actor(), "ops");
  const ControlItem cloud = ItemOf(
      R"({"kind":"event","tenant":"zoo","specversion":"1.0","id":"7","source":"/s","type":"t"})");
  EXPECT_EQ(EnvelopeOf(cloud).source(), "/s");
  EXPECT_EQ(EnvelopeOf(cloud).tenant(), "zoo");
  EXPECT_EQ(EnvelopeOf(cloud).trust(), v1::TRUST_SYSTEM);
}

TEST(ControlRequest, ABodyOfAnotherFormIsMalformed) {
  struct Case {
    std::string_view body;
    std::string_view pointer;
  };
  const std::vector<Case> cases = {
      {"", "#"},
      {"[]", "#"},
      {R"({"events":[{"kind":"event"}],"more":1})", "#/more"},
      {R"({"tenant":"A B","events":[{}]})", "#/tenant"},
      {R"({"tenant":"acme"})", "#/events"},
      {R"({"events":[]})", "#/events"},
  };
  for (const Case& each : cases) {
    const auto parsed = Parse(each.body);
    const auto* problem = std::get_if<http::ProblemDetails>(&parsed);
    ASSERT_NE(problem, nullptr) << each.body;
    EXPECT_EQ(problem->status, 400);
    EXPECT_EQ(problem->code, "malformed_request");
    ASSERT_THAT(problem->errors, SizeIs(1));
    EXPECT_EQ(problem->errors[0].pointer, each.pointer) << each.body;
  }
  std::string many = R"({"events":[{})";
  for (std::size_t i = 0; i < kControlEventsMax; ++i) {
    many += ",{}";
  }
  EXPECT_EQ(std::get<http::ProblemDetails>(Parse(many + "]}")).status, 400);
}

TEST(ControlRequest, SaysWhereAnEventIsWrong) {
  struct Case {
    std::string_view event;
    std::string_view pointer;  // Below the event.
    std::string_view detail;
  };
  const std::vector<Case> cases = {
      {"7", "", "expected an object"},
      {"{}", "/kind", "expected one of tenant, plan"},
      {R"({"kind":"optout"})", "/kind", "did you mean 'opt_out'?"},
      {R"({"kind":"site","id":"a b"})", "/id", "expected an id"},
      {R"({"kind":"site","id":"a","colour":1})", "/colour", "no such field"},
      {R"({"kind":"site","id":"a","expected_version":"1"})", "/expected_version", "whole number"},
      {R"({"kind":"site","id":7})", "/id", "needs quotes"},
      {R"({"kind":"site","id":"a","b.c":1})", "/b.c", "no such field"},
      {R"({"kind":"site","id":"a","b[0]":1})", "/b%5B0%5D", "no such field"},
      {R"({"kind":"site","id":"a","b.":1})", "/b.", "no such field"},
      {R"({"kind":"trigger","id":"t","event_type":"e","recipients":{"field":"data.p","a.b":1},
           "channel":"sms","template":{"body":"Hi"},"message_class":"marketing"})",
       "/recipients/a.b", "no such field"},
      {R"({"kind":"plan","id":"p","sends_per_month_max":1.5})", "/sends_per_month_max",
       "whole number"},
      {R"({"kind":"trigger","id":"t","event_type":"e","recipients":{"list":["+254700000001","x"]},
           "channel":"sms","template":{"body":"Hi"},"message_class":"marketing"})",
       "/recipients/list/1", ""},
      {R"({"kind":"trigger","id":"t","event_type":"e","recipients":{"field":"data.p"},
           "channel":"sms","template":{"body":"{{"},"message_class":"marketing"})",
       "/template/body", ""},
      {R"({"kind":"consent","class":"marketing","status":"granted"})", "/phone", "exactly one"},
      {R"({"kind":"consent","phone":"12","class":"marketing","status":"granted"})", "/phone", ""},
      {R"({"kind":"consent","email":"nobody","class":"marketing","status":"granted"})", "/email",
       "one @"},
      {R"({"kind":"consent","recipient":"rcp_1","class":"marketing","status":"granted"})",
       "/recipient", "rcp_"},
      {R"({"kind":"consent","phone":"+254700000001","class":"spam","status":"granted"})", "/class",
       "transactional, informational, marketing"},
      {R"({"kind":"consent","phone":"+254700000001","class":"marketing","status":"granted",
           "evidence":{"kind":"paper","at":"soon"}})",
       "/evidence/at", "RFC 3339"},
      {R"({"kind":"opt_out","phone":"+254700000001","status":"active"})", "/reason", "missing"},
      {R"({"kind":"skip","topic":"facts","partition":0,"offset":1,"reason":"r"})", "/topic",
       "input topic"},
      {R"({"kind":"skip","topic":"opt-outs","partition":4,"offset":1,"reason":"r"})", "/partition",
       "0 to 3"},
      {R"({"kind":"engine_activate","version":99})", "/version", "whole number, 1 to"},
      {R"({"kind":"event","event_type":"e"})", "", "data: missing"},
      {R"({"kind":"event","event_type":"e","data":1,"tenant":"A"})", "", "tenant"},
  };
  for (const Case& each : cases) {
    const auto parsed = Parse(R"({"tenant":"acme","events":[{"kind":"site","id":"fine"},)" +
                              std::string(each.event) + "]}");
    const auto* problem = std::get_if<http::ProblemDetails>(&parsed);
    ASSERT_NE(problem, nullptr) << each.event;
    EXPECT_EQ(problem->status, 422);
    EXPECT_EQ(problem->code, "validation_failed");
    ASSERT_THAT(problem->errors, SizeIs(1)) << each.event;
    EXPECT_EQ(problem->errors[0].pointer, "#/events/1" + std::string(each.pointer)) << each.event;
    EXPECT_THAT(problem->errors[0].detail, HasSubstr(std::string(each.detail)));
    EXPECT_THAT(problem->errors[0].detail, ::testing::Not(HasSubstr("254700000001")));
  }
}

TEST(ControlRequest, AllThatIsWrongIsSaidAtOnce) {
  const auto parsed = Parse(R"({"events":[{"kind":"site","id":"a"},{"kind":"consent",
      "phone":"+254700000001","class":"marketing","status":"granted"},{"kind":"?"}]})");
  const auto* problem = std::get_if<http::ProblemDetails>(&parsed);
  ASSERT_NE(problem, nullptr);
  ASSERT_THAT(problem->errors, SizeIs(3));
  EXPECT_EQ(problem->errors[0].pointer, "#/events/0/tenant");
  EXPECT_EQ(problem->errors[1].pointer, "#/events/1/tenant");
  EXPECT_EQ(problem->errors[2].pointer, "#/events/2/kind");
}

}  // namespace
}  // namespace alertstream::api
