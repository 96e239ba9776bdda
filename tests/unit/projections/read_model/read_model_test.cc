// The queries on a real PostgreSQL: what they find, in which order, and whose it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "projections/read_model/audit.h"
#include "projections/read_model/dead_letters.h"
#include "projections/read_model/decisions.h"
#include "projections/read_model/events.h"
#include "projections/read_model/notifications.h"
#include "projections/read_model/recipients.h"
#include "projections/read_model/trigger_versions.h"
#include "projections/read_model/usage.h"
#include "tests/support/postgres_fixture.h"

namespace alertstream::read_model {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Rows of two tenants, acme and other, that are alike but for the tenant. Ten of each kind,
// numbered 0 to 9; 2k and 2k + 1 are of one time, so that only the id tells their order.
constexpr const char* kRows = R"(
SELECT read_model.ensure_month('read_model', '2026-11-20 12:00:00+00');
INSERT INTO events SELECT t, 'evt_' || n, CASE n % 2 WHEN 0 THEN 'a.b' ELSE 'c' END, 'shop',
  '2026-11-20 12:00:00+00', '2026-11-20 12:00:00+00'::timestamptz + n / 2 * interval '1 second',
  '2026-11-20 12:00:01+00', 'accepted', 1, 'site-events', 3, 100 + n, 3,
  '[{"gate":"schema","verdict":"passed"}]', CASE n WHEN 9 THEN 'evt_0' END, 7
  FROM unnest(ARRAY['acme', 'other']) t, generate_series(0, 9) n;
INSERT INTO decisions SELECT t, 'dec_' || n, 'evt_' || n / 5, 'a.b', 'trg' || n % 2, 4,
  CASE WHEN n < 8 THEN 'rcp_' || n % 2 END, 'sms', 'transactional',
  CASE n % 2 WHEN 0 THEN 'send' ELSE 'suppress' END, CASE n % 2 WHEN 1 THEN 'cooldown' END, NULL,
  CASE n % 2 WHEN 0 THEN 'ntf_' || n END, '[]', 1, 2,
  '2026-11-20 12:00:00+00'::timestamptz + n / 2 * interval '1 second', 3, 40 + n
  FROM unnest(ARRAY['acme', 'other']) t, generate_series(0, 9) n;
INSERT INTO notifications SELECT t, read_model.id_floor('ntf_', '2026-11-20 12:00:00+00') || n,
  'send', 'evt_' || n / 5, 'dec_' || n, 'trg' || n % 2, 4, 'rcp_' || n % 2,
  CASE WHEN n < 5 THEN 'sms' ELSE 'whatsapp' END, 'transactional',
  CASE n % 2 WHEN 0 THEN 'delivered' ELSE 'failed' END,
  '2026-11-20 12:00:00+00'::timestamptz + n / 2 * interval '1 second', '2026-11-20 12:00:09+00',
  '2026-11-21 12:00:00+00', 'main', 'twilio', 'acc', '+1555', 'SM' || n, NULL, 1, 1, '\x0a01',
  '+254700***001', '\x0a02', '[{"at":"2026-11-20T12:00:00Z","status":"commanded"}]', 3, 7
  FROM unnest(ARRAY['acme', 'other']) t, generate_series(0, 9) n;
INSERT INTO attempts SELECT t, read_model.id_floor('ntf_', '2026-11-20 12:00:00+00') || '1', n,
  '2026-11-20 12:00:02+00', NULL, 'retry', 'twilio', 'acc', NULL, '30001', NULL, 3, 7
  FROM unnest(ARRAY['acme', 'other']) t, generate_series(1, 2) n;
INSERT INTO recipients SELECT t, 'rcp_0', '\x00', 'phone', '\x0a01', '+254700***001',
  '2026-11-20 12:00:00+00', '2026-11-20 12:00:00+00', 3, 7 FROM unnest(ARRAY['acme', 'other']) t;
INSERT INTO consents SELECT t, 'con_' || n, 'rcp_' || n % 2, 'sms', 'marketing',
  CASE WHEN n < 6 THEN 'granted' ELSE 'revoked' END, 'web_form', true, '{"kind":"web_form"}',
  NULL, 'usr_1', '2026-11-20 11:00:00+00',
  '2026-11-20 12:00:00+00'::timestamptz + n / 2 * interval '1 second',
  CASE WHEN n < 8 THEN 'accepted' ELSE 'rejected' END, NULL, n, 'consent-changes', 3, n, 7
  FROM unnest(ARRAY['acme', 'other']) t, generate_series(0, 9) n;
INSERT INTO opt_outs SELECT t, n, 'rcp_0', CASE n % 2 WHEN 0 THEN 'sms' ELSE 'all' END,
  CASE WHEN n < 2 THEN 'active' ELSE 'removed' END, 'api', '', 'usr_1',
  '2026-11-20 12:00:00+00'::timestamptz + n * interval '1 second', 'accepted', NULL, n, 'opt-outs',
  3, n, 7 FROM unnest(ARRAY['acme', 'other']) t, generate_series(0, 2) n;
INSERT INTO triggers SELECT t, 'trg0', n, n = 2, 'a.b', true, false,
  format('{"id":"trg0","when":"v%s"}', n)::jsonb, NULL, 'usr_1', '2026-11-20 12:00:00+00', 3, 7
  FROM unnest(ARRAY['acme', 'other']) t, generate_series(1, 2) n;
INSERT INTO tenants SELECT t, 'active', 'starter', '', '', 0, 1, '2026-11-20 12:00:00+00', 3, 7
  FROM unnest(ARRAY['acme', 'other']) t;
INSERT INTO plans SELECT t, 'starter', 100, 1, '2026-11-20 12:00:00+00', 3, 7
  FROM unnest(ARRAY['acme', 'other']) t;
INSERT INTO quota_usage SELECT t, 202600 + n, n, 100, '2026-11-20 12:00:00+00', 3, 7
  FROM unnest(ARRAY['acme', 'other']) t, generate_series(10, 11) n;
INSERT INTO dead_letters SELECT t, 'dlq_' || n, 'site-events', 3, n, '2026-11-20 12:00:00+00',
  CASE n WHEN 9 THEN 'schema' ELSE 'decode' END,
  CASE n % 2 WHEN 0 THEN 'malformed_json' ELSE 'field_missing' END, 'no brace',
  CASE n % 4 WHEN 0 THEN 'a.b' ELSE '' END,
  '2026-11-20 12:00:00+00'::timestamptz + n / 2 * interval '1 second', '\x0a03', 7
  FROM unnest(ARRAY['acme', 'other']) t, generate_series(0, 9) n;
UPDATE dead_letters SET status = 'resolved', retries = 1, acted_at = at, acted_by = 'usr_1',
  acted_reason = 'the site is back', retry_of = 'dlq_2' WHERE "offset" < 4;
INSERT INTO audit_log SELECT t, n,
    '2026-11-20 12:00:00+00'::timestamptz + n / 2 * interval '1 second',
  'usr_' || n % 2, 'trigger.change', 'trg0', '{}', 3, 7
  FROM unnest(ARRAY['acme', 'other']) t, generate_series(0, 9) n;
)";
constexpr const char* kIdentityRows = R"(
INSERT INTO identity.audit_events (tenant_id, at, actor, action, subject, detail)
  SELECT t, '2026-11-20 12:00:00+00'::timestamptz + n / 2 * interval '1 second', 'usr_' || n % 2,
  'key.create', 'key_1', '{}' FROM unnest(ARRAY['acme', 'other']) t, generate_series(0, 5) n
  ORDER BY t, n;
)";

constexpr LogTime kNoon = FromMicros(1'795'176'000'000'000);
constexpr LogDuration kSecond{1'000'000};
constexpr std::string_view kFirstNotification = "ntf_01M7WD7TG00000000000000000";

class ReadModelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    database_ = postgres::NewMigratedTestDatabase();
    Write("alertstream_projector", std::string("SET search_path = read_model;") + kRows);
    Write("alertstream_identity", kIdentityRows);
  }
  static void TearDownTestSuite() { database_.reset(); }

  static void Write(const std::string& role, const std::string& script) {
    auto session = database_->Open({.role = role});
    ASSERT_TRUE(session.ok()) << session.error().message();
    const Status written = session.value()->RunScript(script);
    ASSERT_TRUE(written.ok()) << written.error().message();
  }

  void SetUp() override {
    auto session = database_->Open({.role = "alertstream_api"});
    ASSERT_TRUE(session.ok()) << session.error().message();
    session_ = std::move(session).value();
    Enter("acme");
  }
  void Enter(const std::string& tenant) {
    session_->Rollback();
    ASSERT_TRUE(session_->Begin({.read_only = true, .tenant = tenant}).ok());
  }

  template <typename T>
  static T Value(Result<T> result) {
    if (!result.ok()) {
      ADD_FAILURE() << result.error().message();
      return T();
    }
    return std::move(result).value();
  }

  static std::unique_ptr<sql::Database> database_;
  std::unique_ptr<sql::Session> session_;
};

std::unique_ptr<sql::Database> ReadModelTest::database_;

template <typename Row>
std::vector<std::string> Ids(const Page<Row>& page) {
  std::vector<std::string> ids;
  for (const Row& row : page.rows) {
    ids.push_back(row.id.substr(row.id.size() - 1));
  }
  return ids;
}

TEST_F(ReadModelTest, PagesGoNewestFirstAndMeet) {
  const auto first = Value(ListEvents(*session_, "acme", {}, {.limit = 4}));
  EXPECT_THAT(Ids(first), ElementsAre("9", "8", "7", "6"));
  EXPECT_TRUE(first.has_more);
  const PageKey last{first.rows.back().append_time, first.rows.back().id};
  const auto second = Value(ListEvents(*session_, "acme", {}, {.limit = 4, .after = last}));
  EXPECT_THAT(Ids(second), ElementsAre("5", "4", "3", "2"));
  const PageKey next{second.rows.back().append_time, second.rows.back().id};
  const auto third = Value(ListEvents(*session_, "acme", {}, {.limit = 4, .after = next}));
  EXPECT_THAT(Ids(third), ElementsAre("1", "0"));
  EXPECT_FALSE(third.has_more);
}

TEST_F(ReadModelTest, APageBeforeAKeyIsTheOneNextToIt) {
  const PageKey key{kNoon + kSecond, "evt_2"};
  const auto page = Value(ListEvents(*session_, "acme", {}, {.limit = 3, .before = key}));
  EXPECT_THAT(Ids(page), ElementsAre("5", "4", "3"));
  EXPECT_TRUE(page.has_more);
  const auto rest = Value(ListEvents(*session_, "acme", {}, {.limit = 7, .before = key}));
  EXPECT_THAT(Ids(rest), ElementsAre("9", "8", "7", "6", "5", "4", "3"));
  EXPECT_FALSE(rest.has_more);
}

TEST_F(ReadModelTest, SinceIsIncludedAndUntilIsNot) {
  const auto page = Value(
      ListEvents(*session_, "acme", {}, {.since = kNoon + kSecond, .until = kNoon + 3 * kSecond}));
  EXPECT_THAT(Ids(page), ElementsAre("5", "4", "3", "2"));
}

TEST_F(ReadModelTest, EventsAreFilteredByType) {
  EventFilters filters;
  filters.type = "c";
  EXPECT_THAT(Ids(Value(ListEvents(*session_, "acme", filters, {}))),
              ElementsAre("9", "7", "5", "3", "1"));
}

TEST_F(ReadModelTest, FindsAnEventAndItsPlace) {
  const auto event = Value(FindEvent(*session_, "acme", "evt_9"));
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->append_time, kNoon + 4 * kSecond);
  EXPECT_EQ(event->topic, "site-events");
  EXPECT_EQ(event->partition, 3);
  EXPECT_EQ(event->offset, 109);
  EXPECT_EQ(event->duplicate_of, "evt_0");
  EXPECT_EQ(Value(FindEventKey(*session_, "acme", "evt_9")),
            (PageKey{kNoon + 4 * kSecond, "evt_9"}));
  EXPECT_FALSE(Value(FindEvent(*session_, "acme", "evt_x")).has_value());
  EXPECT_FALSE(Value(FindEventKey(*session_, "acme", "evt_x")).has_value());
}

TEST_F(ReadModelTest, DecisionsAreFilteredByEachAndByAll) {
  struct Case {
    DecisionFilters filters;
    std::vector<std::string> ids;
  };
  const Case cases[] = {
      {{.event = "evt_1"}, {"9", "8", "7", "6", "5"}},
      {{.trigger = "trg0"}, {"8", "6", "4", "2", "0"}},
      {{.recipient = "rcp_1"}, {"7", "5", "3", "1"}},
      {{.outcome = "suppress"}, {"9", "7", "5", "3", "1"}},
      {{.event = "evt_1", .trigger = "trg1", .recipient = "rcp_1", .outcome = "suppress"},
       {"7", "5"}},
      {{.event = "evt_1", .outcome = "fail"}, {}},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(Ids(Value(ListDecisions(*session_, "acme", each.filters, {}))), each.ids);
  }
  const auto decision = Value(FindDecision(*session_, "acme", "dec_9"));
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(decision->recipient, std::nullopt);
  EXPECT_EQ(decision->reason, "cooldown");
  EXPECT_EQ(decision->seq, 49);
}

TEST_F(ReadModelTest, NotificationsAreFilteredByEachAndByAll) {
  struct Case {
    NotificationFilters filters;
    std::vector<std::string> ids;
  };
  const Case cases[] = {
      {{.status = "failed"}, {"9", "7", "5", "3", "1"}},
      {{.channel = "sms"}, {"4", "3", "2", "1", "0"}},
      {{.trigger = "trg0"}, {"8", "6", "4", "2", "0"}},
      {{.event = "evt_0"}, {"4", "3", "2", "1", "0"}},
      {{.recipient = "rcp_1"}, {"9", "7", "5", "3", "1"}},
      {{.status = "failed",
        .channel = "sms",
        .trigger = "trg1",
        .event = "evt_0",
        .recipient = "rcp_1"},
       {"3", "1"}},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(Ids(Value(ListNotifications(*session_, "acme", each.filters, {}))), each.ids);
  }
}

TEST_F(ReadModelTest, FindsANotificationWithItsAttempts) {
  const std::string id = std::string(kFirstNotification) + "1";
  const auto row = Value(FindNotification(*session_, "acme", id));
  ASSERT_TRUE(row.has_value());
  EXPECT_EQ(row->notification.to_sealed, std::string("\x0a\x01"));
  EXPECT_EQ(row->notification.to_masked, "+254700***001");
  EXPECT_EQ(row->notification.error_code, std::nullopt);
  const std::vector<Attempt>& attempts = row->attempts;
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(attempts[1].attempt, 2);
  EXPECT_EQ(attempts[1].error_code, "30001");
  EXPECT_EQ(attempts[1].finished_at, std::nullopt);
  const auto other =
      Value(FindNotification(*session_, "acme", std::string(kFirstNotification) + "2"));
  ASSERT_TRUE(other.has_value());
  EXPECT_THAT(other->attempts, IsEmpty());
}

TEST_F(ReadModelTest, ARecipientHasPermissionsInForce) {
  ASSERT_TRUE(Value(FindRecipient(*session_, "acme", "rcp_0")).has_value());
  EXPECT_THAT(Ids(Value(ListConsents(*session_, "acme", "rcp_0", {}))),
              ElementsAre("8", "6", "4", "2", "0"));
  const auto consents = Value(ListConsentsInForce(*session_, "acme", "rcp_0"));
  ASSERT_EQ(consents.size(), 1U);
  EXPECT_EQ(consents[0].id, "con_6");  // con_8 was rejected.
  EXPECT_EQ(consents[0].status, "revoked");
  const auto opt_outs = Value(ListOptOutsInForce(*session_, "acme", "rcp_0"));
  ASSERT_EQ(opt_outs.size(), 2U);
  EXPECT_EQ(opt_outs[0].channel, "all");
  EXPECT_EQ(opt_outs[0].status, "active");
  EXPECT_EQ(opt_outs[1].channel, "sms");
  EXPECT_EQ(opt_outs[1].status, "removed");
}

TEST_F(ReadModelTest, FindsATriggerInOneOfItsVersions) {
  const auto old = Value(FindTriggerVersion(*session_, "acme", "trg0", 1));
  ASSERT_TRUE(old.has_value());
  EXPECT_FALSE(old->is_current);
  EXPECT_THAT(old->definition, ::testing::HasSubstr("v1"));
  EXPECT_FALSE(Value(FindTriggerVersion(*session_, "acme", "trg0", 3)).has_value());
}

TEST_F(ReadModelTest, UsageHasThePlanAndTheMonths) {
  const auto usage = Value(ReadUsage(*session_, "acme"));
  EXPECT_EQ(usage.plan, "starter");
  EXPECT_EQ(usage.sends_max, 100);
  ASSERT_EQ(usage.months.size(), 2U);
  EXPECT_EQ(usage.months[0].month, 202611);
  EXPECT_EQ(usage.months[0].sends, 11);
}

TEST_F(ReadModelTest, DeadLettersAreFilteredByReason) {
  DeadLetterFilters filters;
  filters.reason = "field_missing";
  EXPECT_THAT(Ids(Value(ListDeadLetters(*session_, "acme", filters, {}))),
              ElementsAre("9", "7", "5", "3", "1"));
  const auto letter = Value(FindDeadLetter(*session_, "acme", "dlq_3"));
  ASSERT_TRUE(letter.has_value());
  EXPECT_EQ(letter->original_sealed, std::string("\x0a\x03"));
}

TEST_F(ReadModelTest, DeadLettersAreFilteredByWhatWasDoneAboutThem) {
  const auto ids = [&](const DeadLetterFilters& filters) {
    return Ids(Value(ListDeadLetters(*session_, "acme", filters, {})));
  };
  EXPECT_THAT(ids({.reason = {}, .status = "resolved", .stage = {}, .type = {}}),
              ElementsAre("3", "2", "1", "0"));
  EXPECT_THAT(ids({.reason = {}, .status = {}, .stage = "schema", .type = {}}), ElementsAre("9"));
  EXPECT_THAT(ids({.reason = {}, .status = {}, .stage = {}, .type = "a.b"}),
              ElementsAre("8", "4", "0"));
  EXPECT_THAT(ids({.reason = "malformed_json", .status = "resolved", .stage = {}, .type = "a.b"}),
              ElementsAre("0"));
  const auto letter = Value(FindDeadLetter(*session_, "acme", "dlq_3"))->letter;
  EXPECT_EQ(letter.status, "resolved");
  EXPECT_EQ(letter.retries, 1);
  EXPECT_EQ(letter.acted_by, "usr_1");
  EXPECT_EQ(letter.acted_reason, "the site is back");
  EXPECT_EQ(letter.died_as, std::nullopt);
  EXPECT_EQ(letter.retry_of, "dlq_2");
  EXPECT_EQ(Value(FindDeadLetter(*session_, "acme", "dlq_4"))->letter.status, "open");
}

TEST_F(ReadModelTest, DeadLettersAreCountedByKind) {
  const auto counts = Value(CountDeadLetters(*session_, "acme"));
  ASSERT_EQ(counts.size(), 5U);
  EXPECT_EQ(counts[0].status, "open");
  EXPECT_EQ(counts[0].stage, "decode");
  EXPECT_EQ(counts[0].reason, "field_missing");
  EXPECT_EQ(counts[0].letters, 2);  // 5 and 7.
  EXPECT_EQ(counts[0].last - counts[0].first, std::chrono::seconds(1));
  EXPECT_EQ(counts[2].stage, "schema");
  EXPECT_EQ(counts[2].letters, 1);
  EXPECT_EQ(counts[4].status, "resolved");
  EXPECT_EQ(counts[4].reason, "malformed_json");
  EXPECT_EQ(counts[4].letters, 2);
}

std::vector<std::string> AuditIds(const Page<AuditEntry>& page) {
  std::vector<std::string> ids;
  for (const AuditEntry& entry : page.rows) {
    ids.push_back(entry.id);
  }
  return ids;
}

// Both tables in one order, whatever the size of the pages and the way they are walked.
TEST_F(ReadModelTest, TheAuditLogJoinsTwoTables) {
  const auto whole = Value(ListAudit(*session_, "acme", {}, {}));
  ASSERT_EQ(whole.rows.size(), 16U);
  EXPECT_FALSE(whole.has_more);
  const auto ids = AuditIds(whole);
  EXPECT_THAT(
      std::vector<std::string>(ids.begin(), ids.begin() + 8),
      ElementsAre("aud_l9", "aud_l8", "aud_l7", "aud_l6", "aud_l5", "aud_l4", "aud_i6", "aud_i5"));
  for (const std::size_t limit : {1U, 3U, 5U, 16U}) {
    std::vector<std::string> walked;
    PageRequest request{.limit = limit};
    while (true) {
      const auto page = Value(ListAudit(*session_, "acme", {}, request));
      for (const auto& entry : page.rows) {
        walked.push_back(entry.id);
        request.after = PageKey{entry.at, entry.id};
      }
      if (!page.has_more) {
        break;
      }
    }
    EXPECT_EQ(walked, ids) << limit;
    walked.clear();
    request = {.limit = limit, .before = PageKey{whole.rows.back().at, whole.rows.back().id}};
    while (true) {
      const auto page = Value(ListAudit(*session_, "acme", {}, request));
      walked.insert(walked.begin(), page.rows.size(), "");
      for (std::size_t i = 0; i < page.rows.size(); ++i) {
        walked[i] = page.rows[i].id;
      }
      if (!page.rows.empty()) {
        request.before = PageKey{page.rows.front().at, page.rows.front().id};
      }
      if (!page.has_more) {
        break;
      }
    }
    EXPECT_EQ(walked, std::vector<std::string>(ids.begin(), ids.end() - 1)) << limit;
  }
}

TEST_F(ReadModelTest, TheAuditLogIsFilteredByActorAndTime) {
  AuditFilters filters;
  filters.actor = "usr_1";
  const auto page =
      Value(ListAudit(*session_, "acme", filters, {.since = kNoon, .until = kNoon + kSecond}));
  EXPECT_THAT(AuditIds(page), ElementsAre("aud_l1", "aud_i2"));
  EXPECT_EQ(Value(FindAuditKey(*session_, "acme", "aud_i2")), (PageKey{kNoon, "aud_i2"}));
  EXPECT_FALSE(Value(FindAuditKey(*session_, "acme", "aud_i999")).has_value());
}

TEST(AuditIdTest, OnlyTheListsOwnFormsAreIds) {
  EXPECT_TRUE(IsAuditId("aud_l0"));
  EXPECT_TRUE(IsAuditId("aud_i9223372036854775807"));
  for (const char* id : {"", "aud_", "aud_l", "aud_x1", "aud_l-1", "aud_l01", "aud_l1x", "aud_l+1",
                         "aud_i9223372036854775808", "evt_1"}) {
    EXPECT_FALSE(IsAuditId(id)) << id;
  }
}

TEST_F(ReadModelTest, AKeyOfAnotherListIsRefusedByTheAuditLog) {
  const auto page = ListAudit(*session_, "acme", {}, {.after = PageKey{kNoon, "evt_1"}});
  ASSERT_FALSE(page.ok());
  EXPECT_EQ(page.error().code(), ErrorCode::kInvalid);
}

// Row-level security alone keeps tenants apart: the statements are asked about another tenant.
TEST_F(ReadModelTest, ASessionSeesNoOtherTenantWhateverItAsks) {
  EXPECT_THAT(Value(ListEvents(*session_, "other", {}, {})).rows, IsEmpty());
  EXPECT_THAT(Value(ListDecisions(*session_, "other", {}, {})).rows, IsEmpty());
  EXPECT_THAT(Value(ListNotifications(*session_, "other", {}, {})).rows, IsEmpty());
  EXPECT_THAT(Value(ListConsents(*session_, "other", "rcp_0", {})).rows, IsEmpty());
  EXPECT_THAT(Value(ListDeadLetters(*session_, "other", {}, {})).rows, IsEmpty());
  EXPECT_THAT(Value(ListAudit(*session_, "other", {}, {})).rows, IsEmpty());
  EXPECT_FALSE(Value(FindNotification(*session_, "other", std::string(kFirstNotification) + "1"))
                   .has_value());
  EXPECT_THAT(Value(ListConsentsInForce(*session_, "other", "rcp_0")), IsEmpty());
  EXPECT_THAT(Value(ListOptOutsInForce(*session_, "other", "rcp_0")), IsEmpty());
  EXPECT_THAT(Value(ReadUsage(*session_, "other")).months, IsEmpty());
  EXPECT_FALSE(Value(FindEvent(*session_, "other", "evt_1")).has_value());
  EXPECT_FALSE(Value(FindDecision(*session_, "other", "dec_1")).has_value());
  EXPECT_FALSE(Value(FindRecipient(*session_, "other", "rcp_0")).has_value());
  EXPECT_FALSE(Value(FindDeadLetter(*session_, "other", "dlq_1")).has_value());
  EXPECT_FALSE(Value(FindTriggerVersion(*session_, "other", "trg0", 1)).has_value());
  Enter("other");
  EXPECT_EQ(Value(ListEvents(*session_, "other", {}, {})).rows.size(), 10U);
  session_->Rollback();
  ASSERT_TRUE(session_->Begin({.read_only = true}).ok());
  EXPECT_THAT(Value(ListEvents(*session_, "acme", {}, {})).rows, IsEmpty());  // No tenant at all.
}

TEST(PageStatementTest, TheSameQuestionIsTheSameStatement) {
  const sql::Statement& statement = PageStatement(kEventList, {{0, "x"}}, {.limit = 20});
  EXPECT_EQ(&statement, &PageStatement(kEventList, {{0, "y"}}, {.limit = 5}));
  EXPECT_NE(&statement, &PageStatement(kEventList, {}, {.limit = 20}));
  EXPECT_NE(&statement, &PageStatement(kEventList, {{0, "x"}}, {.limit = 21}));
  EXPECT_NE(&statement, &PageStatement(kEventList, {{0, "x"}}, {.before = PageKey{}}));
  EXPECT_NE(&statement, &PageStatement(kEventList, {{0, "x"}}, {.after = PageKey{}}));
  EXPECT_STREQ(PageStatement(kEventList, {{0, "x"}}, {.limit = 21}).name,
               "read_model.events.after101.0");
}

}  // namespace
}  // namespace alertstream::read_model
