// ResourceTest: the routes over a memory log with a real task, a real projector and a real
// PostgreSQL, so that an answer is what a client would see. Every answer is compared with the
// description of the API.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/docs/embedded.h"
#include "api/resources/resource_routes.h"
#include "projections/projector.h"
#include "schemas/json.h"
#include "tests/support/fake_keys.h"
#include "tests/support/one_answer.h"
#include "tests/support/openapi_check.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/runtime_story.h"

namespace alertstream::api {

inline constexpr std::string_view kPhone = "+254700000001";

// Tokens are "role.tenant".
class NamedTokens final : public UserTokens {
 public:
  Result<Caller> CallerOf(std::string_view token) const override {
    const std::size_t dot = token.find('.');
    const auto role = ParseRole(token.substr(0, dot));
    if (dot == std::string_view::npos || !role) {
      return Error(ErrorCode::kDenied, "not a token of ours");
    }
    return Caller{.tenant = std::string(token.substr(dot + 1)),
                  .actor = "usr_" + std::string(token.substr(0, dot)),
                  .is_user = true,
                  .role = *role,
                  .site = ""};
  }
};

class AuditNotes final : public AuditTrail {
 public:
  Status Record(const AuditEvent& event) override {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
    return Status::Ok();
  }
  std::vector<AuditEvent> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<AuditEvent> events_;
};

struct Call {
  std::string method = "GET";
  std::string path;
  std::string body = {};
  std::string token = "editor.acme";
  std::vector<std::pair<std::string, std::string>> fields = {};
  std::string query = {};
  bool reveals = false;  // The answer may hold a telephone number.
};

class ResourceTest : public ::testing::Test {
 protected:
  ResourceTest() {
    story_.writer.Shop("acme");
    story_.writer.Tenant("zoo");
    owner_ = story_.Start();
    EXPECT_TRUE(owner_->RunUntilQuiet().ok());
    watch_ =
        Value(AnswerWatch::Start(story_.log, clock_, {.log_id = story_.log_id(), .partitions = 1}));
    writer_ = std::make_unique<LogWriter>(story_.log, LogWriterOptions{});
    projector_ = std::make_unique<projections::Projector>(
        story_.log, clock_, *database_,
        projections::ProjectorOptions{.log_id = story_.log_id(),
                                      .partitions = {0},
                                      .on_error = [](std::int32_t, const Error& error) {
                                        ADD_FAILURE() << error.message();
                                      }});
    projector_->Start();
    EXPECT_TRUE(AddRoutes(&routes_, &read_).ok());
  }

  ~ResourceTest() override {
    workers_.Stop();
    writer_->Stop();
    watch_->Stop();
    wait_.Stop();
    projector_->Stop();
  }

  Status AddRoutes(http::Routes* routes, const ReadDatabase* read) {
    return AddResourceRoutes(routes, {.read = {.guard = guard_, .clock = clock_, .database = read},
                                      .keys = read == nullptr ? nullptr : &keys_,
                                      .writer = *writer_,
                                      .watch = *watch_,
                                      .cursors = cursors_,
                                      .token_key = token_key_,
                                      .partitions = 1});
  }

  template <typename T>
  static T Value(Result<T> result) {
    EXPECT_TRUE(result.ok());
    return std::move(result).value();
  }

  // The answer; the processor runs meanwhile, unless it sleeps.
  http::Response Send(const Call& call) {
    http::Request request{.method = call.method, .path = call.path, .query = call.query};
    request.body = call.body;
    if (!call.token.empty()) {
      request.headers.Add("Authorization", "Bearer " + call.token);
    }
    for (const auto& [name, value] : call.fields) {
      request.headers.Add(name, value);
    }
    const auto answer = std::make_shared<OneAnswer>();
    routes_.Handle(std::move(request), http::Responder(answer, 1));
    while (processor_runs_ && !answer->Has()) {
      EXPECT_TRUE(owner_->RunUntilQuiet().ok());
      clock_.SleepFor(std::chrono::milliseconds(1));
    }
    http::Response response = answer->Wait();
    EXPECT_THAT(check_.Faults(call.method, call.path, response), ::testing::IsEmpty())
        << response.body;
    if (!call.reveals) {
      EXPECT_THAT(response.body, ::testing::Not(::testing::HasSubstr("254700000001")));
    }
    return response;
  }
  http::Response Post(const std::string& path, const std::string& body,
                      std::vector<std::pair<std::string, std::string>> fields = {}) {
    return Send({.method = "POST", .path = path, .body = body, .fields = std::move(fields)});
  }
  http::Response Get(const std::string& path) { return Send({.path = path}); }

  // The text of a member of the answer, as JSON.
  static std::string Member(const http::Response& response, std::string_view name) {
    schemas::JsonDocument document;
    std::string text;
    if (document.Parse(response.body).ok()) {
      if (const auto member = document.root().FindPath(name)) {
        schemas::AppendJson(*member, &text);
      }
    }
    return text;
  }
  static std::string Field(const http::Response& response, std::string_view name) {
    return std::string(response.headers.Find(name).value_or(""));
  }

  Clock& clock_ = SystemClock();
  runtime::Story story_{1};
  std::unique_ptr<runtime::Instance> owner_;
  bool processor_runs_ = true;
  std::unique_ptr<sql::Database> database_ = postgres::NewMigratedTestDatabase();
  sql::TenantPool pool_{*database_, {.role = "alertstream_api"}, 4};
  sql::Pool identity_pool_{*database_, {.role = "alertstream_identity"}, 2};
  FakeKeys identity_;
  NamedTokens tokens_;
  AccessGuard guard_{{.identity = identity_, .users = tokens_, .clock = clock_}};
  WorkerPool workers_{{.threads = 2}};
  ProjectionWait wait_{*database_, clock_};
  AuditNotes audit_;
  const ReadDatabase read_{.pool = pool_, .workers = workers_, .wait = wait_, .audit = audit_};
  RequestKeys keys_{identity_pool_, clock_};
  const HmacKey token_key_ = runtime::StoryKey();
  const CursorBook cursors_{token_key_};
  const OpenApiCheck check_{OpenApiJson()};
  std::unique_ptr<AnswerWatch> watch_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<projections::Projector> projector_;
  http::Routes routes_;
};

}  // namespace alertstream::api
