// The routes that read, in front of a real PostgreSQL: who gets what, and in which form. Every
// route is called without credentials, with every role, and with another tenant's ids.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "api/docs/embedded.h"
#include "api/query/query_routes.h"
#include "processor/log/memory/memory_log.h"
#include "schemas/json.h"
#include "tests/support/fake_keys.h"
#include "tests/support/manual_clock.h"
#include "tests/support/one_answer.h"
#include "tests/support/openapi_check.h"
#include "tests/support/postgres_fixture.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Objects 100 to 104 are acme's, 200 to 204 are other's. The event lies on partition 0 at the place
// that the test appended it to. 'Ann' and +254700000001 are the personal data.
constexpr const char* kRows = R"(
SET search_path = read_model;
SELECT read_model.ensure_month('read_model', '2026-11-20 12:00:00+00');
CREATE TEMP TABLE o AS SELECT t.tenant, t.base + i AS n, lpad((t.base + i)::text, 26, '0') AS tail,
  '2026-11-20 12:00:00+00'::timestamptz + i * interval '1 second' AS at
  FROM (VALUES ('acme', 100), ('other', 200)) t(tenant, base), generate_series(0, 4) i;
INSERT INTO events SELECT tenant, 'evt_' || tail, 'a.b', '', at, at, at, 'accepted', 1,
  'site-events', 0, CASE tenant WHEN 'acme' THEN 0 ELSE 1 END, 3,
  '[{"gate":"dedupe","verdict":"passed"}]', NULL, 7 FROM o;
INSERT INTO decisions SELECT tenant, 'dec_' || tail, 'evt_' || tail, 'a.b', 'late', 1,
  'rcp_' || tail, 'sms', 'transactional', 'send', NULL, NULL,
  left(id_floor('ntf_', at), 14) || lpad(n::text, 16, '0'),
  '[{"gate":"condition","verdict":"passed","observed":1,"limit":10000}]', 1, 1, at, 0, 7 FROM o;
INSERT INTO notifications SELECT tenant, left(id_floor('ntf_', at), 14) || lpad(n::text, 16, '0'),
  'send', 'evt_' || tail, 'dec_' || tail, 'late', 1, 'rcp_' || tail, 'sms', 'transactional',
  'delivered', at, at, at, 'main', 'twilio', 'acc', '+1555', 'SM1', NULL, 1, 1,
  '\x0a0d2b323534373030303030303031', '+254700***001', '\x0a03416e6e',
  '[{"at":"2026-11-20T12:00:00Z","status":"commanded"}]', 0, 7 FROM o;
INSERT INTO attempts SELECT tenant, left(id_floor('ntf_', at), 14) || lpad(n::text, 16, '0'), 1, at,
  at, 'accepted', 'twilio', 'acc', 'SM1', NULL, NULL, 0, 7 FROM o;
INSERT INTO recipients SELECT tenant, 'rcp_' || tail, '\x00', 'phone',
  '\x0a0d2b323534373030303030303031', '+254700***001', at, at, 0, 7 FROM o;
INSERT INTO consents SELECT tenant, 'con_' || tail, 'rcp_' || tail, 'sms', 'marketing', 'granted',
  '=cmd()', true, NULL, '\x0a03416e6e', 'usr_1', at, at, 'accepted', NULL, 1, 'consent-changes', 0,
  n, 7 FROM o;
INSERT INTO triggers SELECT tenant, 'late', 1, true, 'a.b', true, false,
  '{"id":"late","name":"Late","when":"event.data.amount > 10"}', NULL, 'usr_1', at, 0, 7
  FROM o WHERE n % 100 = 0;
INSERT INTO dead_letters SELECT tenant, 'dlq_' || tail, 'site-events', 0, n, at, 'decode',
  'malformed_json', 'no brace', '', at, '\x0a0512034a416e', 7 FROM o;
INSERT INTO audit_log SELECT tenant, n, at, 'usr_1', 'trigger.change', 'late', '{}', 0, 7 FROM o;
INSERT INTO projection_positions VALUES (0, '\x00', 7, '\x00', 70, '{"account-changes": 42}', '{}',
  '2026-11-20 12:00:00+00', '2026-11-20 12:00:00+00');
)";

constexpr std::string_view kReason = "Ticket 4711, the customer asks";

class FakeTokens final : public UserTokens {
 public:
  Result<Caller> CallerOf(std::string_view token) const override {
    const std::size_t dash = token.find('-');
    const auto role = ParseRole(token.substr(dash + 1));
    if (dash == std::string_view::npos || !role) {
      return Error(ErrorCode::kDenied, "not valid");
    }
    return Caller{.tenant = std::string(token.substr(0, dash)),
                  .actor = "usr_" + std::string(token.substr(dash + 1)),
                  .is_user = true,
                  .role = *role,
                  .site = {}};
  }
};

class FakeAudit final : public AuditTrail {
 public:
  Status Record(const AuditEvent& event) override {
    const std::lock_guard lock(mutex_);
    if (fails) {
      return Error(ErrorCode::kUnavailable, "gone");
    }
    events.push_back(event);
    return Status::Ok();
  }
  std::atomic<bool> fails = false;
  std::vector<AuditEvent> events;  // Read when nothing is under way.

 private:
  std::mutex mutex_;
};

struct Ask {
  std::string path;
  std::string query = {};
  std::string token = "acme-owner";
  std::map<std::string, std::string> headers = {};
};

// Everything behind the routes.
class Stack {
 public:
  explicit Stack(sql::Database& database)
      : pool_(database, {.role = "alertstream_api"}, 4), wait_(database, clock_) {
    keys_.Add("as_sk_test_1", {.id = "key_1", .kind = KeyKind::kSecret, .tenant = "acme"});
    keys_.Add("as_pk_test_1", {.id = "key_2", .kind = KeyKind::kPublishable, .tenant = "acme"});
    EXPECT_TRUE(
        AddQueryRoutes(&routes_, {.read = {.guard = guard_, .clock = clock_, .database = &at_},
                                  .cursors = cursors_,
                                  .log = log_})
            .ok());
    EXPECT_TRUE(log_.ApplyTopics({.partitions = 1}, std::chrono::seconds(1)).ok());
    AppendEvent("acme");
    AppendEvent("other");
  }

  http::Response Get(const Ask& ask) { return Get(ask, routes_); }

  static http::Response Get(const Ask& ask, const http::Routes& routes) {
    http::Request request{.method = "GET", .path = "/api/v1/" + ask.path, .query = ask.query};
    if (!ask.token.empty()) {
      request.headers.Add("Authorization", "Bearer " + ask.token);
    }
    for (const auto& [name, value] : ask.headers) {
      request.headers.Add(name, value);
    }
    const auto answer = std::make_shared<OneAnswer>();
    routes.Handle(std::move(request), http::Responder(answer, 1));
    const http::Response response = answer->Wait();
    static const OpenApiCheck check{OpenApiJson()};
    for (const std::string& fault : check.Faults("GET", "/api/v1/" + ask.path, response)) {
      ADD_FAILURE() << ask.path << ": " << fault;
    }
    return response;
  }

  // Answers when the routes do; for requests that wait.
  std::shared_ptr<OneAnswer> Begin(const Ask& ask) {
    http::Request request{.method = "GET", .path = "/api/v1/" + ask.path};
    request.headers.Add("Authorization", "Bearer " + ask.token);
    for (const auto& [name, value] : ask.headers) {
      request.headers.Add(name, value);
    }
    auto answer = std::make_shared<OneAnswer>();
    routes_.Handle(std::move(request), http::Responder(answer, 1));
    return answer;
  }

  FakeAudit audit;
  ManualClock& clock() { return clock_; }
  const AccessGuard& guard() const { return guard_; }
  const CursorBook& cursors() const { return cursors_; }
  log::MemoryEventLog& log() { return log_; }

 private:
  void AppendEvent(const std::string& tenant) {
    v1::Envelope envelope;
    envelope.set_id("pay_1");
    envelope.set_tenant(tenant);
    envelope.set_routing_key(tenant);
    envelope.set_type("a.b");
    envelope.set_schema_version(1);
    envelope.set_trust(v1::TRUST_SECRET);
    envelope.mutable_site_event()->mutable_data()->set_plain(R"({"name":"Ann","amount":20})");
    const std::string value = envelope.SerializeAsString();
    const log::NewRecord record{
        .topic = schemas::Topic::kSiteEvents, .partition = 0, .key = tenant, .value = value};
    const auto appended = log_.Append(std::span(&record, 1), std::chrono::seconds(1));
    EXPECT_TRUE(appended.ok()) << appended.error().message();
  }

  ManualClock clock_;
  FakeKeys keys_;
  FakeTokens tokens_;
  AccessGuard guard_{{.identity = keys_, .users = tokens_, .clock = clock_}};
  log::MemoryEventLog log_{{.clock = clock_, .markers = true, .wait_on_clock = false}};
  CursorBook cursors_{HmacKey("deployment")};
  sql::TenantPool pool_;
  ProjectionWait wait_;
  WorkerPool workers_{{.threads = 2}};
  ReadDatabase at_{.pool = pool_, .workers = workers_, .wait = wait_, .audit = audit};
  http::Routes routes_;
};

class QueryRoutesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    database_ = postgres::NewMigratedTestDatabase();
    Write(kRows);
  }
  static void TearDownTestSuite() { database_.reset(); }

  // As the projector does.
  static void Write(const std::string& script) {
    auto session = database_->Open({.role = "alertstream_projector"});
    ASSERT_TRUE(session.ok()) << session.error().message();
    const Status written = session.value()->RunScript("SET search_path = read_model;\n" + script);
    ASSERT_TRUE(written.ok()) << written.error().message();
  }

  static std::unique_ptr<sql::Database> database_;
  Stack stack_{*database_};
};

std::unique_ptr<sql::Database> QueryRoutesTest::database_;

std::string Id(std::string_view prefix, int n) { return fmt::format("{}{:026}", prefix, n); }

// The notification's id begins with the time of its event.
std::string NotificationId(int n) {
  // 2026-11-20T12:00:00Z plus n % 100 seconds.
  constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::int64_t ms = 1'795'176'000'000 + (n % 100) * 1000;
  std::string digits(10, '0');
  for (std::size_t i = 10; i-- > 0; ms /= 32) {
    digits[i] = kDigits[static_cast<std::size_t>(ms % 32)];
  }
  return fmt::format("ntf_{}{:016}", digits, n);
}

struct Route {
  std::string path;
  // Letters of the roles that may: Owner, Admin, Editor, Viewer, aUditor.
  std::string_view roles;
};

// Every route, of objects of number n.
std::vector<Route> ObjectRoutes(int n) {
  return {{"events/" + Id("evt_", n), "OAEVU"},
          {"events/" + Id("evt_", n) + "/explain", "OAEVU"},
          {"notifications/" + NotificationId(n), "OAEVU"},
          {"notifications/" + NotificationId(n) + "/explain", "OAEVU"},
          {"recipients/" + Id("rcp_", n), "OAEVU"},
          {"recipients/" + Id("rcp_", n) + "/consents", "OAEVU"},
          {"recipients/" + Id("rcp_", n) + "/notifications", "OAEVU"},
          {"dead-letters/" + Id("dlq_", n), "OAEVU"}};
}

const std::array<Route, 7> kLists = {{{"events", "OAEVU"},
                                      {"decisions", "OAEVU"},
                                      {"notifications", "OAEVU"},
                                      {"usage", "OAEVU"},
                                      {"dead-letters", "OAEVU"},
                                      {"dead-letters/stats", "OAEVU"},
                                      {"audit", "OA--U"}}};

std::vector<Route> AllRoutes(int n) {
  std::vector<Route> routes = ObjectRoutes(n);
  routes.insert(routes.end(), kLists.begin(), kLists.end());
  return routes;
}

TEST_F(QueryRoutesTest, NobodyReadsWithoutCredentials) {
  for (const Route& route : AllRoutes(100)) {
    const auto answer = stack_.Get({.path = route.path, .token = ""});
    EXPECT_EQ(answer.status, 401) << route.path;
    EXPECT_TRUE(answer.headers.Find("WWW-Authenticate").has_value()) << route.path;
    EXPECT_EQ(stack_.Get({.path = route.path, .token = "wrong"}).status, 401) << route.path;
  }
}

TEST_F(QueryRoutesTest, EveryRoleReadsWhatItMay) {
  for (const Route& route : AllRoutes(100)) {
    for (const Role role : kRoles) {
      const bool may = route.roles[static_cast<std::size_t>(role)] != '-';
      const auto answer =
          stack_.Get({.path = route.path, .token = "acme-" + std::string(RoleName(role))});
      EXPECT_EQ(answer.status, may ? 200 : 403) << route.path << " as " << RoleName(role) << "\n"
                                                << answer.body;
    }
  }
}

TEST_F(QueryRoutesTest, AnotherTenantsObjectsDoNotExist) {
  for (const Role role : kRoles) {
    for (const Route& route : ObjectRoutes(200)) {
      const auto answer =
          stack_.Get({.path = route.path, .token = "acme-" + std::string(RoleName(role))});
      EXPECT_EQ(answer.status, 404) << route.path << " as " << RoleName(role);
      EXPECT_THAT(answer.body, HasSubstr("not_found"));
    }
  }
}

TEST_F(QueryRoutesTest, WhatIsNoIdIsNotFound) {
  for (const char* path :
       {"events/1", "events/dec_00000000000000000000000100", "notifications/x%27",
        "recipients/+254700000001", "recipients/x/consents", "recipients/x/notifications",
        "dead-letters/%00", "events/x/explain"}) {
    const auto answer = stack_.Get({.path = path});
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_THAT(answer.body, Not(HasSubstr("2547"))) << path;
  }
}

TEST_F(QueryRoutesTest, ListsHoldTheTenantsOwnOnly) {
  for (const char* path : {"events", "decisions", "notifications", "dead-letters", "audit"}) {
    const auto mine = stack_.Get({.path = path});
    EXPECT_THAT(mine.body, StartsWith(R"({"object":"list","data":[{"object":")")) << path;
    schemas::JsonDocument document;
    ASSERT_TRUE(document.Parse(mine.body).ok()) << path;
    EXPECT_EQ(document.root().Find("data")->size(), 5U) << path;
    EXPECT_THAT(mine.body, Not(HasSubstr("0000000020"))) << path;
    EXPECT_EQ(stack_.Get({.path = path, .token = "nobody-owner"}).body,
              fmt::format(R"({{"object":"list","data":[],"has_more":false,"url":"/api/v1/{}",)"
                          R"("next_cursor":null}})",
                          path));
  }
}

TEST_F(QueryRoutesTest, FiltersWithAnotherTenantsIdsFindNothing) {
  for (const auto& [path, query] : std::vector<std::pair<std::string, std::string>>{
           {"decisions", "event=" + Id("evt_", 200)},
           {"decisions", "recipient=" + Id("rcp_", 200)},
           {"notifications", "event=" + Id("evt_", 200)},
           {"notifications", "recipient=" + Id("rcp_", 200)}}) {
    const auto answer = stack_.Get({.path = path, .query = query});
    EXPECT_EQ(answer.status, 200);
    EXPECT_THAT(answer.body, HasSubstr(R"("data":[])")) << path << "?" << query;
  }
}

TEST_F(QueryRoutesTest, AServersSecretKeyReadsAndAPagesKeyDoesNot) {
  const auto with = [&](const char* key) {
    return stack_.Get({.path = "events", .token = "", .headers = {{"X-API-Key", key}}});
  };
  EXPECT_EQ(with("as_sk_test_1").status, 200);
  EXPECT_EQ(with("as_pk_test_1").status, 403);
  EXPECT_EQ(with("as_sk_test_2").status, 401);
}

TEST_F(QueryRoutesTest, CursorsWalkTheWholeListAndBack) {
  std::string walked;
  std::string query = "limit=2";
  for (int pages = 0; pages < 5; ++pages) {
    const auto answer = stack_.Get({.path = "events", .query = query});
    ASSERT_EQ(answer.status, 200) << answer.body;
    schemas::JsonDocument document;
    ASSERT_TRUE(document.Parse(answer.body).ok());
    for (auto each = document.root().Find("data")->first_child(); each;
         each = each->next_sibling()) {
      walked += each->Find("id")->AsString().back();
    }
    if (!document.root().Find("has_more")->AsBool()) {
      EXPECT_EQ(document.root().Find("next_cursor")->type(), schemas::JsonType::kNull);
      break;
    }
    query = "limit=2&cursor=" + std::string(document.root().Find("next_cursor")->AsString());
  }
  EXPECT_EQ(walked, "43210");
  const auto back =
      stack_.Get({.path = "events", .query = "limit=2&ending_before=" + Id("evt_", 101)});
  EXPECT_THAT(back.body, HasSubstr(Id("evt_", 103)));
  EXPECT_THAT(back.body, HasSubstr(Id("evt_", 102)));
  EXPECT_THAT(back.body, HasSubstr(R"("has_more":true)"));
}

TEST_F(QueryRoutesTest, APlaceOfAnotherListIsRefused) {
  const read_model::PageKey key{ManualClock::kNoon, Id("evt_", 102)};
  const auto cursor = [&](std::string_view tenant, std::string_view list) {
    return "starting_after=" + stack_.cursors().Write({tenant, list}, key);
  };
  EXPECT_EQ(stack_.Get({.path = "events", .query = cursor("acme", "/api/v1/events")}).status, 200);
  for (const std::string& query :
       {cursor("other", "/api/v1/events"), cursor("acme", "/api/v1/decisions"),
        std::string("starting_after=AAAA"), "starting_after=" + Id("evt_", 200),
        "ending_before=" + Id("evt_", 999), "starting_after=" + Id("dec_", 100)}) {
    const auto answer = stack_.Get({.path = "events", .query = query});
    EXPECT_EQ(answer.status, 400) << query;
    EXPECT_THAT(answer.body, HasSubstr("malformed_request")) << query;
  }
}

TEST_F(QueryRoutesTest, UnknownQueryMembersAreRefused) {
  EXPECT_THAT(stack_.Get({.path = "notifications", .query = "colour=red"}).body,
              HasSubstr("status, channel, trigger, event, recipient"));
  EXPECT_EQ(stack_.Get({.path = "usage", .query = "month=1"}).status, 400);
  EXPECT_EQ(stack_
                .Get({.path = "recipients/" + Id("rcp_", 100) + "/notifications",
                      .query = "recipient=" + Id("rcp_", 100)})
                .status,
            400);
}

TEST_F(QueryRoutesTest, AnObjectHasAnEntityTag) {
  const Ask ask{.path = "notifications/" + NotificationId(100)};
  const auto first = stack_.Get(ask);
  ASSERT_EQ(first.status, 200);
  const std::string tag(first.headers.Find("ETag").value_or(""));
  ASSERT_EQ(tag.size(), 34U) << tag;
  for (const std::string& known : {tag, "W/" + tag, "\"x\", " + tag, std::string("*")}) {
    const auto again = stack_.Get({.path = ask.path, .headers = {{"If-None-Match", known}}});
    EXPECT_EQ(again.status, 304) << known;
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(again.headers.Find("ETag"), tag);
  }
  EXPECT_EQ(stack_.Get({.path = ask.path, .headers = {{"If-None-Match", "\"x\""}}}).status, 200);
}

TEST_F(QueryRoutesTest, ANotificationHasItsTimelineAndAttempts) {
  const auto answer = stack_.Get({.path = "notifications/" + NotificationId(100)});
  EXPECT_THAT(answer.body,
              HasSubstr(R"("status":"delivered","created_at":"2026-11-20T12:00:00.000Z")"));
  EXPECT_THAT(answer.body,
              HasSubstr(R"("timeline":[{"at":"2026-11-20T12:00:00.000Z","status":"commanded"}])"));
  EXPECT_THAT(answer.body, HasSubstr(R"("attempts":[{"attempt":1,)"));
}

TEST_F(QueryRoutesTest, ExplanationsNameGatesConditionsAndTheTrigger) {
  for (const std::string& path : {"events/" + Id("evt_", 100) + "/explain",
                                  "notifications/" + NotificationId(100) + "/explain"}) {
    const auto answer = stack_.Get({.path = path});
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_THAT(answer.body, HasSubstr(R"("trigger":{"id":"late","version":1,"name":"Late")"));
    EXPECT_THAT(answer.body, HasSubstr(R"("text":"cost 1 of 10000")"));
    EXPECT_THAT(answer.body,
                HasSubstr(R"("conditions":[{"text":"event.data.amount > 10","outcome":"holds"}])"));
    EXPECT_THAT(answer.body, Not(HasSubstr("Ann")));
  }
  stack_.log().FailReads(schemas::Topic::kSiteEvents, true);
  const auto blind = stack_.Get({.path = "events/" + Id("evt_", 100) + "/explain"});
  EXPECT_EQ(blind.status, 200);
  EXPECT_THAT(blind.body, HasSubstr(R"("conditions":null)"));
}

TEST_F(QueryRoutesTest, EventDataIsReadFromTheLogAndMasked) {
  const Ask ask{.path = "events/" + Id("evt_", 100)};
  EXPECT_THAT(stack_.Get(ask).body,
              HasSubstr(R"("data_status":"masked","data":{"name":"***","amount":"***"})"));
  EXPECT_THAT(
      stack_.Get({.path = ask.path, .headers = {{"X-Reveal-Reason", std::string(kReason)}}}).body,
      HasSubstr(R"("data_status":"shown","data":{"name":"Ann","amount":20})"));
  stack_.log().FailReads(schemas::Topic::kSiteEvents, true);
  EXPECT_THAT(stack_.Get(ask).body, HasSubstr(R"("data_status":"unavailable","data":null)"));
}

TEST_F(QueryRoutesTest, PersonalDataIsMaskedUnlessTheRoleMayAndSaysWhy) {
  const std::string reason(kReason);
  struct Case {
    std::string path;
    std::string shown;
  };
  const Case cases[] = {
      {"notifications/" + NotificationId(100), R"("to":"+254700000001","body":"Ann")"},
      {"notifications", R"("to":"+254700000001","body":"Ann")"},
      {"recipients/" + Id("rcp_", 100), R"("address":"+254700000001")"},
      {"recipients/" + Id("rcp_", 100) + "/consents", R"("evidence_detail":"Ann")"},
      {"recipients/" + Id("rcp_", 100) + "/notifications", R"("body":"Ann")"},
      {"events/" + Id("evt_", 100), R"("name":"Ann")"},
  };
  for (const Case& each : cases) {
    const auto as = [&](const char* role, bool says_why) {
      Ask ask{.path = each.path, .token = std::string("acme-") + role};
      if (says_why) {
        ask.headers["X-Reveal-Reason"] = reason;
      }
      return stack_.Get(ask).body;
    };
    for (const char* role : {"owner", "admin", "auditor", "editor", "viewer"}) {
      EXPECT_THAT(as(role, false), Not(HasSubstr("Ann"))) << each.path << " as " << role;
      EXPECT_THAT(as(role, false), Not(HasSubstr("254700000001"))) << each.path << " as " << role;
    }
    EXPECT_TRUE(stack_.audit.events.empty());
    for (const char* role : {"editor", "viewer"}) {
      EXPECT_THAT(as(role, true), Not(HasSubstr("Ann"))) << each.path << " as " << role;
    }
    EXPECT_TRUE(stack_.audit.events.empty()) << "nothing was shown";
    for (const char* role : {"owner", "admin", "auditor"}) {
      EXPECT_THAT(as(role, true), HasSubstr(each.shown)) << each.path << " as " << role;
    }
    ASSERT_EQ(stack_.audit.events.size(), 3U);
    EXPECT_EQ(stack_.audit.events[2].tenant, "acme");
    EXPECT_EQ(stack_.audit.events[2].actor, "usr_auditor");
    EXPECT_EQ(stack_.audit.events[2].action, "personal_data.reveal");
    EXPECT_EQ(stack_.audit.events[2].subject, "/api/v1/" + each.path);
    EXPECT_EQ(stack_.audit.events[2].detail_json, R"({"reason":")" + reason + R"("})");
    stack_.audit.events.clear();
  }
}

TEST_F(QueryRoutesTest, WhatCannotBeRecordedIsNotShown) {
  stack_.audit.fails = true;
  const auto answer = stack_.Get({.path = "notifications/" + NotificationId(100),
                                  .headers = {{"X-Reveal-Reason", std::string(kReason)}}});
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, Not(HasSubstr("Ann")));
}

TEST_F(QueryRoutesTest, AReasonSaysSomething) {
  for (const std::string& reason : {std::string("because"), std::string(201, 'x'),
                                    std::string("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")}) {
    EXPECT_EQ(
        stack_.Get({.path = "notifications", .headers = {{"X-Reveal-Reason", reason}}}).status,
        400);
  }
}

TEST_F(QueryRoutesTest, ListsAreExportedAsCsvAndJsonLines) {
  const auto csv = stack_.Get(
      {.path = "recipients/" + Id("rcp_", 100) + "/consents", .headers = {{"Accept", "text/csv"}}});
  EXPECT_EQ(csv.status, 200);
  EXPECT_EQ(csv.headers.Find("Content-Type"), "text/csv; charset=utf-8; header=present");
  EXPECT_THAT(csv.body, StartsWith("object,id,recipient,channel,class,status,source,written,"));
  EXPECT_THAT(csv.body, HasSubstr("\r\nconsent," + Id("con_", 100) + ","));
  EXPECT_THAT(csv.body, HasSubstr(",granted,\"'=cmd()\",true,"));  // No formula.
  const auto lines = stack_.Get(
      {.path = "events", .query = "limit=3", .headers = {{"Accept", "application/x-ndjson"}}});
  EXPECT_EQ(lines.headers.Find("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(std::count(lines.body.begin(), lines.body.end(), '\n'), 3);
  const std::string next(lines.headers.Find("X-Next-Cursor").value_or(""));
  ASSERT_NE(next, "");
  const auto rest = stack_.Get({.path = "events",
                                .query = "starting_after=" + next,
                                .headers = {{"Accept", "application/x-ndjson"}}});
  EXPECT_EQ(std::count(rest.body.begin(), rest.body.end(), '\n'), 2);
  EXPECT_FALSE(rest.headers.Find("X-Next-Cursor").has_value());
  EXPECT_EQ(stack_.Get({.path = "events", .headers = {{"Accept", "text/html"}}}).status, 406);
}

TEST_F(QueryRoutesTest, AReadWaitsForItsPosition) {
  const auto at = [&](const char* positions) {
    return stack_.Begin({.path = "usage", .headers = {{"X-Min-Position", positions}}});
  };
  EXPECT_EQ(at("account-changes/0/41")->Wait().status, 200);
  for (const char* malformed : {"", "account-changes/0", "nothing/0/1", "account-changes/0/-1"}) {
    EXPECT_EQ(at(malformed)->Wait().status, 400) << malformed;
  }
  const auto waiting = at("account-changes/0/41,account-changes/0/42");
  Write(R"(UPDATE projection_positions SET inputs = '{"account-changes": 43}')");
  EXPECT_EQ(waiting->Wait().status, 200);
  const auto late = at("account-changes/0/43");
  stack_.clock().Advance(kMinPositionWaitMax);
  const auto answer = late->Wait();
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.headers.Find("Retry-After").has_value());
}

TEST_F(QueryRoutesTest, WithoutADatabaseTheSettingIsNamed) {
  http::Routes routes;
  ASSERT_TRUE(AddQueryRoutes(&routes, {.read = {.guard = stack_.guard(), .clock = stack_.clock()},
                                       .cursors = stack_.cursors(),
                                       .log = stack_.log()})
                  .ok());
  for (const Route& route : AllRoutes(100)) {
    const auto answer = Stack::Get({.path = route.path}, routes);
    EXPECT_EQ(answer.status, 503) << route.path;
    EXPECT_THAT(answer.body, HasSubstr("postgres.url"));
    EXPECT_EQ(Stack::Get({.path = route.path, .token = ""}, routes).status, 401) << route.path;
  }
}

TEST_F(QueryRoutesTest, ADatabaseThatIsGoneIsUnavailableUntilItIsBack) {
  EXPECT_EQ(stack_.Get({.path = "events"}).status, 200);
  postgres::TestCluster().Kill();
  const auto gone = stack_.Get({.path = "events"});
  EXPECT_EQ(gone.status, 503);
  EXPECT_TRUE(gone.headers.Find("Retry-After").has_value());
  EXPECT_THAT(gone.body, Not(HasSubstr("/tmp/")));  // Nothing about how we run it.
  ASSERT_TRUE(postgres::TestCluster().Restart().ok());
  // The pool tries anew a moment later.
  int status = 0;
  for (int tries = 0; tries < 100 && status != 200; ++tries) {
    status = stack_.Get({.path = "events"}).status;
    SystemClock().SleepFor(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(status, 200);
}

}  // namespace
}  // namespace alertstream::api
