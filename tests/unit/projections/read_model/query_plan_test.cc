// Every list finds its rows by an index, whatever is filtered: the plans that PostgreSQL makes for
// tables of 100,000 rows, as the API's role under row-level security.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
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
#include "projections/read_model/triggers.h"
#include "tests/support/postgres_fixture.h"

namespace alertstream::read_model {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A fifth of all rows are the tenant's that asks. Values of filters differ in how many rows they
// have: a status has thousands, an event has five.
constexpr const char* kRows = R"(
SET search_path = read_model;
SELECT read_model.ensure_month('read_model', t) FROM generate_series(
  '2026-09-15 00:00:00+00'::timestamptz, '2026-11-15 00:00:00+00', '1 month') t;
CREATE TEMP TABLE o AS SELECT 't' || n % 5 AS tenant, n, lpad(n::text, 26, '0') AS tail,
  '2026-09-15 00:00:00+00'::timestamptz + n * interval '50 seconds' AS at
  FROM generate_series(0, 99999) n;
INSERT INTO events SELECT tenant, 'evt_' || tail, 'type' || n % 50, '', at, at, at, 'accepted', 1,
  'site-events', 0, n, 3, '[]', NULL, n FROM o;
INSERT INTO decisions SELECT tenant, 'dec_' || tail, 'evt_' || lpad((n / 25 * 25 + n % 5)::text,
    26, '0'),
  'a.b', 'trg' || n % 100 / 5, 1, 'rcp_' || n % 1000, 'sms', 'transactional',
  CASE WHEN n % 10 < 7 THEN 'send' ELSE 'suppress' END, NULL, NULL, NULL, '[]', 1, 1, at, 0,
    n FROM o;
INSERT INTO notifications SELECT tenant, left(id_floor('ntf_', at), 14) || lpad(n::text, 16, '0'),
  'send', 'evt_' || lpad((n / 25 * 25 + n % 5)::text, 26, '0'), 'dec_' || tail,
  'trg' || n % 100 / 5, 1, 'rcp_' || n % 1000, CASE WHEN n % 7 < 5 THEN 'sms' ELSE 'email' END,
  'transactional', CASE WHEN n % 10 < 9 THEN 'delivered' ELSE 'failed' END, at, at, at, 'main',
  'twilio', 'acc', '+1555', 'SM1', NULL, 1, 1, NULL, '***', NULL, '[]', 0, n FROM o;
INSERT INTO consents SELECT tenant, 'con_' || tail, 'rcp_' || n % 1000, 'sms', 'marketing',
    'granted',
  'api', true, NULL, NULL, 'usr_1', at, at, 'accepted', NULL, 1, 'consent-changes', 0, n, n FROM o;
INSERT INTO dead_letters SELECT tenant, 'dlq_' || tail, 'site-events', 0, n, at,
  CASE WHEN n % 20 < 19 THEN 'decode' ELSE 'schema' END,
  CASE WHEN n % 20 < 19 THEN 'malformed_json' ELSE 'field_missing' END, '',
  CASE WHEN n % 20 < 19 THEN '' ELSE 'a.rare' END, at, NULL, n,
  CASE WHEN n % 20 < 19 THEN 'open' ELSE 'dropped' END FROM o;
INSERT INTO audit_log SELECT tenant, n, at, 'usr_' || n % 100, 'trigger.change', 'x', '{}', 0,
    n FROM o;
INSERT INTO triggers SELECT tenant, 'trg' || n % 1000, n / 1000, n / 1000 = 99, 'a.b', true, false,
  '{}', NULL, 'usr_1', at, 0, n FROM o;
)";
constexpr const char* kIdentityRows = R"(
INSERT INTO identity.audit_events (tenant_id, at, actor, action, subject, detail)
  SELECT 't' || n % 5, '2026-09-15 00:00:00+00'::timestamptz + n * interval '50 seconds',
  'usr_' || n % 100, 'key.create', 'key_1', '{}' FROM generate_series(0, 99999) n;
)";

struct List {
  const ListShape& shape;
  bool always_filtered = false;  // By its first filter.
  bool few = false;              // A tenant has so few rows that they are sorted.
  std::vector<std::string> values;
};

std::vector<List> Lists() {
  const std::string event = "evt_" + fmt::format("{:026}", 50'000);
  return {{.shape = kEventList, .values = {"type10"}},
          {.shape = kDecisionList, .values = {event, "trg0", "rcp_0", "suppress"}},
          {.shape = kNotificationList, .values = {"failed", "sms", "trg0", event, "rcp_0"}},
          {.shape = kConsentList, .always_filtered = true, .values = {"rcp_0"}},
          {.shape = kDeadLetterList, .values = {"field_missing", "dropped", "schema", "a.rare"}},
          {.shape = kAuditLogList, .values = {"usr_10"}},
          {.shape = kAuditEventList, .values = {"usr_10"}},
          {.shape = kTriggerList, .few = true, .values = {}},
          {.shape = kTriggerVersionList, .always_filtered = true, .values = {"trg0"}}};
}

class QueryPlanTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    database_ = postgres::NewMigratedTestDatabase();
    Write("alertstream_projector", kRows);
    Write("alertstream_identity", kIdentityRows);
    Write("", "SET search_path = read_model; ANALYZE;");
  }
  static void TearDownTestSuite() { database_.reset(); }

  static void Write(const std::string& role, const std::string& script) {
    auto session = database_->Open({.role = role, .statement_timeout = std::chrono::seconds(120)});
    ASSERT_TRUE(session.ok()) << session.error().message();
    const Status written = session.value()->RunScript(script);
    ASSERT_TRUE(written.ok()) << written.error().message();
  }

  // The plan of a page, as the API's sessions make it: once, without looking at the values.
  static std::string PlanOf(sql::Session& session, const List& list, const FilterValues& filters,
                            const PageRequest& request) {
    static int number = 0;
    const std::string name = fmt::format("plan_{}", ++number);
    PageBounds bounds = BoundsOf(request);
    if (std::string_view(list.shape.name).starts_with("audit")) {  // Whose ids are numbers.
      bounds.low.id = bounds.low.id.empty() ? "0" : bounds.low.id;
      bounds.high.id = bounds.high.id.empty() ? "0" : bounds.high.id;
    }
    std::string values;
    const sql::Params params = PageParams("t0", filters, request, bounds);
    for (const auto& value : params.values()) {
      values += fmt::format("{}'{}'", values.empty() ? "" : ", ", *value);
    }
    const std::string text = PageStatement(list.shape, filters, request).text;
    const Status prepared = session.RunScript(fmt::format("PREPARE {} AS {}", name, text));
    EXPECT_TRUE(prepared.ok()) << text << "\n" << prepared.error().message();
    // Statements live for ever.
    const std::string& explain =
        texts.emplace_back(fmt::format("EXPLAIN (COSTS OFF) EXECUTE {}({})", name, values));
    const std::string& explain_name = texts.emplace_back("explain." + name);
    const auto rows = session.Run({explain_name.c_str(), explain.c_str()}, sql::Params());
    if (!rows.ok()) {
      ADD_FAILURE() << text << "\n" << rows.error().message();
      return "";
    }
    std::string plan;
    for (std::size_t row = 0; row < rows.value().size(); ++row) {
      plan += std::string(rows.value().Text(row, 0)) + "\n";
    }
    return plan;
  }

  static std::unique_ptr<sql::Database> database_;
  static inline std::deque<std::string> texts;
};

std::unique_ptr<sql::Database> QueryPlanTest::database_;

// None, each alone, and all.
std::vector<FilterValues> FiltersOf(const List& list) {
  std::vector<FilterValues> all;
  if (!list.always_filtered) {
    all.emplace_back();
  }
  FilterValues together;
  for (std::size_t i = 0; i < list.values.size(); ++i) {
    all.push_back({{i, list.values[i]}});
    together.emplace_back(i, list.values[i]);
  }
  if (list.values.size() > 1) {
    all.push_back(together);
  }
  return all;
}

TEST_F(QueryPlanTest, EveryListUsesAnIndexWhateverIsFiltered) {
  const auto opened = database_->Open({.role = "alertstream_api"});
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  const auto& session = opened.value();
  ASSERT_TRUE(session->Begin({.read_only = true, .tenant = "t0"}).ok());
  const PageKey middle{FromMicros(1'792'000'000'000'000), "5"};
  const std::vector<PageRequest> requests = {
      {.limit = 20},
      {.limit = 100, .after = middle},
      {.limit = 20, .before = middle},
      {.limit = 1000, .since = middle.time},
      {.limit = 20, .after = middle, .since = FromMicros(ToMicros(middle.time) - 86'400'000'000)}};
  for (const List& list : Lists()) {
    ASSERT_EQ(list.values.size(), list.shape.filters.size()) << list.shape.name;
    for (const FilterValues& filters : FiltersOf(list)) {
      for (const PageRequest& request : requests) {
        const std::string name = PageStatement(list.shape, filters, request).name;
        const std::string plan = PlanOf(*session, list, filters, request);
        EXPECT_THAT(plan, HasSubstr("Index")) << name;
        EXPECT_THAT(plan, Not(HasSubstr("Seq Scan"))) << name;
        // A page must not read and sort all that the tenant has. Where a filter leaves few rows, or
        // for a block of an export, that is cheaper than to follow the order.
        if (filters.empty() && !list.few && request.limit <= 100) {
          EXPECT_THAT(plan, Not(HasSubstr("->  Sort\n"))) << name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace alertstream::read_model
