// Who is let through to a route, and what the others are told.
#include "api/identity/access.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/auth/request_signature.h"
#include "tests/support/fake_keys.h"
#include "tests/support/manual_clock.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using Fields = std::vector<std::pair<std::string, std::string>>;

const HmacKey kSecret("a signing secret");

class FakeTokens final : public UserTokens {
 public:
  Result<Caller> CallerOf(std::string_view token) const override {
    if (token == "lost") {
      return Error(ErrorCode::kUnavailable, "the database cannot be reached");
    }
    const auto role = ParseRole(token);
    if (!role) {
      return Error(ErrorCode::kDenied, "not valid");
    }
    return Caller{.tenant = "acme", .actor = "usr_1", .is_user = true, .role = *role};
  }
};

class LostKeys final : public Identity {
 public:
  std::shared_ptr<const ApiKey> FindKey(std::string_view /*presented*/) const override {
    return nullptr;
  }
  bool Available() const override { return false; }
  EventRate RateOf(std::string_view /*tenant*/) const override { return {}; }
  bool OriginAllowed(std::string_view /*origin*/) const override { return false; }
  std::optional<std::string> TenantOfNumber(std::string_view /*provider*/,
                                            std::string_view /*account*/,
                                            std::string_view /*number*/) const override {
    return std::nullopt;
  }
  std::shared_ptr<const WebhookAccount> FindWebhookAccount(
      std::string_view /*provider*/, std::string_view /*account*/) const override {
    return nullptr;
  }
};

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() {
    keys_.Add(
        "as_sk_1",
        {.id = "key_1", .kind = KeyKind::kSecret, .tenant = "acme", .signing_secrets = {kSecret}});
    keys_.Add("as_sk_site", {.id = "key_2",
                             .kind = KeyKind::kSecret,
                             .tenant = "acme",
                             .site = "shop",
                             .signing_secrets = {kSecret}});
    keys_.Add("as_sk_home", {.id = "key_3",
                             .kind = KeyKind::kSecret,
                             .tenant = "acme",
                             .signing_secrets = {kSecret},
                             .networks = {ParseNetwork("10.1.0.0/16").value()}});
    keys_.Add("as_pk_1", {.id = "key_4", .tenant = "acme", .origins = {"*"}});
    keys_.Add("as_op_1", {.id = "ops", .kind = KeyKind::kOperator});
  }

  std::variant<Caller, http::Response> Admit(const Fields& fields, Permission permission,
                                             const std::string& method = "GET") const {
    http::Request request{.method = method, .body = "{}", .peer = "10.1.2.3"};
    for (const auto& [name, value] : fields) {
      request.headers.Add(name, value);
    }
    return guard_.Admit(request, permission);
  }
  static int StatusOf(const std::variant<Caller, http::Response>& answer) {
    const auto* response = std::get_if<http::Response>(&answer);
    return response == nullptr ? 200 : response->status;
  }
  static std::string Signed(std::chrono::seconds offset = {}) {
    return SignRequest(kSecret, ToMicros(ManualClock::kNoon + offset) / 1'000'000, "{}");
  }

  FakeKeys keys_;
  FakeTokens users_;
  ManualClock clock_;
  AccessGuard guard_{{.identity = keys_, .users = users_, .clock = clock_}};
};

TEST_F(AccessTest, NobodyIsLetThroughWithoutOneCredential) {
  const std::vector<std::pair<Fields, int>> cases = {
      {{}, 401},
      {{{"Authorization", ""}}, 401},
      {{{"Authorization", "Basic b3duZXI6"}}, 401},
      {{{"Authorization", "Bearer "}}, 401},
      {{{"Authorization", "Bearer nobody"}}, 401},
      {{{"Authorization", "Bearer " + std::string(kAccessTokenBytesMax + 1, 'a')}}, 401},
      {{{"Authorization", "Bearer lost"}}, 503},
      {{{"X-API-Key", "as_sk_none"}}, 401},
      {{{"X-API-Key", std::string(kApiKeyBytesMax + 1, 'a')}}, 401},
      {{{"X-API-Key", "as_sk_1"}, {"X-API-Key", "as_sk_1"}}, 400},
      {{{"X-API-Key", "as_sk_1"}, {"Authorization", "Bearer owner"}}, 400},
      {{{"X-API-Key", "as_pk_1"}}, 403},
      {{{"X-API-Key", "as_op_1"}}, 403},
      {{{"X-API-Key", "as_sk_1"}}, 200},
      {{{"Authorization", "bearer owner"}}, 200},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(StatusOf(Admit(cases[i].first, Permission::kReadEvents)), cases[i].second) << i;
  }
  const auto answer = Admit({}, Permission::kReadEvents);
  EXPECT_EQ(std::get<http::Response>(answer).headers.Find("WWW-Authenticate"),
            "Bearer realm=\"alertstream\"");
}

TEST_F(AccessTest, ARoleWithoutThePermissionIsForbidden) {
  EXPECT_EQ(StatusOf(Admit({{"Authorization", "Bearer viewer"}}, Permission::kReadEvents)), 200);
  const auto answer = Admit({{"Authorization", "Bearer viewer"}}, Permission::kWriteTriggers);
  ASSERT_EQ(StatusOf(answer), 403);
  EXPECT_THAT(std::get<http::Response>(answer).body, HasSubstr("viewer may not write_triggers"));
}

TEST_F(AccessTest, ASecretKeySignsWhatChangesSomething) {
  const Fields unsigned_fields = {{"X-API-Key", "as_sk_1"}};
  EXPECT_EQ(StatusOf(Admit(unsigned_fields, Permission::kReadEvents, "HEAD")), 200);
  EXPECT_EQ(StatusOf(Admit(unsigned_fields, Permission::kWriteTriggers, "POST")), 401);
  EXPECT_EQ(StatusOf(Admit(unsigned_fields, Permission::kWriteTriggers, "DELETE")), 401);
  const auto with = [](const std::string& signature) {
    return Fields{{"X-API-Key", "as_sk_1"}, {"X-Signature", signature}};
  };
  EXPECT_EQ(StatusOf(Admit(with(Signed()), Permission::kWriteTriggers, "POST")), 200);
  EXPECT_EQ(StatusOf(Admit(with("nonsense"), Permission::kWriteTriggers, "POST")), 400);
  EXPECT_EQ(
      StatusOf(Admit(with(Signed(std::chrono::seconds(-400))), Permission::kWriteTriggers, "POST")),
      403);
}

TEST_F(AccessTest, ASignatureIsGoodOnce) {
  const auto ask = [&](const std::string& method, const std::string& path,
                       const std::string& signature, const std::string& idempotency_key = "") {
    http::Request request{.method = method, .path = path, .body = "{}", .peer = "10.1.2.3"};
    request.headers.Add("X-API-Key", "as_sk_1");
    request.headers.Add("X-Signature", signature);
    if (!idempotency_key.empty()) {
      request.headers.Add("Idempotency-Key", idempotency_key);
    }
    return guard_.Admit(request, Permission::kWriteTriggers);
  };
  using std::chrono::seconds;
  EXPECT_EQ(StatusOf(ask("DELETE", "/a", Signed())), 200);
  const auto replayed = ask("POST", "/b", Signed());
  ASSERT_EQ(StatusOf(replayed), 403);
  EXPECT_THAT(std::get<http::Response>(replayed).body,
              ::testing::AllOf(HasSubstr("bad_signature"),
                               HasSubstr("X-Signature was used already; sign the request anew")));
  const std::string other = "v1=" + std::string(64, 'a');
  EXPECT_EQ(StatusOf(ask("POST", "/b", Signed() + "," + other)), 403) << "written otherwise";
  EXPECT_EQ(StatusOf(ask("POST", "/b", Signed(), "k")), 403);
  EXPECT_EQ(StatusOf(ask("POST", "/b", Signed(seconds(-1)))), 200) << "another second";

  EXPECT_EQ(StatusOf(ask("POST", "/c", Signed(seconds(1)), "k")), 200);
  EXPECT_EQ(StatusOf(ask("POST", "/c", Signed(seconds(1)), "k")), 200) << "a retry";
  EXPECT_EQ(StatusOf(ask("POST", "/c", Signed(seconds(1)), "l")), 403);
  EXPECT_EQ(StatusOf(ask("POST", "/d", Signed(seconds(1)), "k")), 403);

  EXPECT_EQ(StatusOf(ask("POST", "/e", Signed(seconds(300)))), 200) << "a clock that is ahead";
  clock_.Advance(seconds(600));
  EXPECT_EQ(StatusOf(ask("POST", "/e", Signed(seconds(300)))), 403) << "valid for 600 s";
}

TEST(UsedSignaturesTest, TheOldestIsForgottenFirst) {
  UsedSignatures used(2);
  const ApiKey key{.id = "key_1", .tenant = "acme"};
  const LogTime now = ManualClock::kNoon;
  const std::int64_t at = ToMicros(now) / 1'000'000;
  const auto use = [&](const std::string& body) {
    return used.Use(key, {at}, {.body = body}, now);
  };
  EXPECT_TRUE(use("a"));
  EXPECT_TRUE(use("b"));
  EXPECT_FALSE(use("a")) << "what is refused takes no room";
  EXPECT_FALSE(use("b"));
  EXPECT_TRUE(used.Use({.id = "key_2", .tenant = "acme"}, {at}, {.body = "b"}, now));
  EXPECT_TRUE(use("c"));
  EXPECT_TRUE(use("a")) << "forgotten";
}

TEST_F(AccessTest, ASecretKeyActsAsAdminOfItsTenantWithoutManagingUsers) {
  const auto answer = Admit({{"X-API-Key", "as_sk_1"}}, Permission::kManageKeys);
  ASSERT_EQ(StatusOf(answer), 200);
  const Caller& caller = std::get<Caller>(answer);
  EXPECT_EQ(caller.tenant, "acme");
  EXPECT_EQ(caller.actor, "key_1");
  EXPECT_FALSE(caller.is_user);
  EXPECT_EQ(caller.role, Role::kAdmin);
  EXPECT_EQ(StatusOf(Admit({{"X-API-Key", "as_sk_1"}}, Permission::kManageUsers)), 403);
}

TEST_F(AccessTest, TheKeyOfOneWebsiteManagesNeitherKeysNorWebsites) {
  const Fields fields = {{"X-API-Key", "as_sk_site"}};
  EXPECT_EQ(StatusOf(Admit(fields, Permission::kReadSites)), 200);
  EXPECT_EQ(StatusOf(Admit(fields, Permission::kManageKeys)), 403);
  EXPECT_EQ(StatusOf(Admit(fields, Permission::kManageSites)), 403);
  EXPECT_EQ(StatusOf(Admit(fields, Permission::kManageProviders)), 403);
}

TEST_F(AccessTest, ABoundSignatureIsGoodForItsRouteAlone) {
  const auto ask = [&](const std::string& path, const std::string& signed_path,
                       std::string_view query = "") {
    http::Request request{
        .method = "DELETE", .path = path, .query = std::string(query), .peer = "10.1.2.3"};
    request.headers.Add("X-API-Key", "as_sk_1");
    request.headers.Add("X-Signature",
                        SignBoundRequest(kSecret, ToMicros(ManualClock::kNoon) / 1'000'000,
                                         "DELETE." + signed_path, ""));
    return StatusOf(guard_.Admit(request, Permission::kManageSites));
  };
  EXPECT_EQ(ask("/api/v1/websites/a", "/api/v1/websites/b"), 403);
  EXPECT_EQ(ask("/api/v1/websites/a", "/api/v1/websites/a", "x=1"), 403);
  EXPECT_EQ(ask("/api/v1/websites/a", "/api/v1/websites/a"), 200);
  EXPECT_EQ(ask("/api/v1/websites/a", "/api/v1/websites/a"), 403) << "once";
  EXPECT_EQ(ask("/api/v1/websites/b", "/api/v1/websites/b"), 200) << "in the same second";
  EXPECT_EQ(ask("/api/v1/websites/c", "/api/v1/websites/c?x=1", "x=1"), 200);
}

TEST_F(AccessTest, AKeysScopesBoundWhatItMay) {
  keys_.Add("as_sk_read", {.id = "key_5",
                           .kind = KeyKind::kSecret,
                           .tenant = "acme",
                           .signing_secrets = {kSecret},
                           .scopes = {.ingest = true, .read = true, .manage = false}});
  keys_.Add("as_sk_write", {.id = "key_6",
                            .kind = KeyKind::kSecret,
                            .tenant = "acme",
                            .signing_secrets = {kSecret},
                            .scopes = {.ingest = true, .read = false, .manage = true}});
  const Fields reads = {{"X-API-Key", "as_sk_read"}};
  const Fields writes = {{"X-API-Key", "as_sk_write"}};
  for (const Permission permission : kPermissions) {
    if (permission == Permission::kManageUsers) {
      continue;  // Of no key at all.
    }
    const bool is_looking = IsLooking(permission);
    EXPECT_EQ(StatusOf(Admit(reads, permission)), is_looking ? 200 : 403)
        << PermissionName(permission);
    EXPECT_EQ(StatusOf(Admit(writes, permission)), is_looking ? 403 : 200)
        << PermissionName(permission);
  }
  const auto answer = Admit(reads, Permission::kWriteTriggers);
  EXPECT_THAT(std::get<http::Response>(answer).body, HasSubstr("scopes do not hold manage"));
}

TEST_F(AccessTest, AKeyWithNetworksIsUsedFromThereOnly) {
  http::Request request{.method = "GET"};
  request.headers.Add("X-API-Key", "as_sk_home");
  request.peer = "10.1.2.3";
  EXPECT_EQ(StatusOf(guard_.Admit(request, Permission::kReadEvents)), 200);
  request.peer = "10.2.2.3";
  EXPECT_EQ(StatusOf(guard_.Admit(request, Permission::kReadEvents)), 403);
  request.peer = "";
  EXPECT_EQ(StatusOf(guard_.Admit(request, Permission::kReadEvents)), 403);
}

TEST_F(AccessTest, WhileKeysAreNotKnownAKeyIsNotRefused) {
  const LostKeys lost;
  const AccessGuard guard({.identity = lost, .users = users_, .clock = clock_});
  http::Request request{.method = "GET"};
  request.headers.Add("X-API-Key", "as_sk_1");
  const auto answer = guard.Admit(request, Permission::kReadEvents);
  ASSERT_EQ(StatusOf(answer), 503);
  EXPECT_EQ(std::get<http::Response>(answer).headers.Find("Retry-After"), "5");
}

}  // namespace
}  // namespace alertstream::api
