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
  // The body {}.
  static std::string Signed(const std::string& target, std::chrono::seconds offset = {}) {
    return SignBoundRequest(kSecret, ToMicros(ManualClock::kNoon + offset) / 1'000'000, target,
                            "{}");
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
  const auto ask = [&](const std::string& signature) {
    return StatusOf(Admit(with(signature), Permission::kWriteTriggers, "POST"));
  };
  EXPECT_EQ(ask(Signed("POST.")), 200);
  EXPECT_EQ(ask("nonsense"), 400);
  EXPECT_EQ(ask(Signed("POST.", std::chrono::seconds(-400))), 403);
}

// What signs an event says nothing of the route: whoever sees it could send it to any other.
TEST_F(AccessTest, WhatSignsAnEventChangesNothing) {
  keys_.Add("as_sk_old", {.id = "key_old",
                          .kind = KeyKind::kSecret,
                          .tenant = "acme",
                          .signing_secrets = {kSecret},
                          .allow_body_only = true});
  const auto ask = [&](const std::string& signature) {
    http::Request request{.method = "DELETE", .path = "/a", .body = "{}", .peer = "10.1.2.3"};
    request.headers.Add("X-API-Key", "as_sk_old");
    request.headers.Add("X-Signature", signature);
    return guard_.Admit(request, Permission::kManageSites);
  };
  const std::int64_t now_s = ToMicros(ManualClock::kNoon) / 1'000'000;
  for (const std::string& signature :
       {SignRequest(kSecret, now_s, "{}"), "sha256=" + ToHex(AsView(kSecret.Sign("{}")))}) {
    const auto answer = ask(signature);
    ASSERT_EQ(StatusOf(answer), 403) << signature;
    EXPECT_THAT(std::get<http::Response>(answer).body, HasSubstr("v2: missing"));
  }
  EXPECT_EQ(StatusOf(ask(SignBoundRequest(kSecret, now_s, "DELETE./a", "{}"))), 200);
}

TEST_F(AccessTest, ASignatureIsGoodOnce) {
  using std::chrono::seconds;
  const auto ask = [&](seconds offset, const std::string& more = "",
                       const std::string& idempotency_key = "",
                       Repeats repeats = Repeats::kRefused) {
    http::Request request{.method = "POST", .path = "/a", .body = "{}", .peer = "10.1.2.3"};
    request.headers.Add("X-API-Key", "as_sk_1");
    request.headers.Add("X-Signature", Signed("POST./a", offset) + more);
    if (!idempotency_key.empty()) {
      request.headers.Add("Idempotency-Key", idempotency_key);
    }
    return guard_.Admit(request, Permission::kWriteTriggers, repeats);
  };
  EXPECT_EQ(StatusOf(ask(seconds(0))), 200);
  const auto replayed = ask(seconds(0));
  ASSERT_EQ(StatusOf(replayed), 403);
  EXPECT_THAT(std::get<http::Response>(replayed).body,
              ::testing::AllOf(HasSubstr("bad_signature"),
                               HasSubstr("X-Signature was used already; sign the request anew")));
  const std::string other = ",v2=" + std::string(64, 'a');
  EXPECT_EQ(StatusOf(ask(seconds(0), other)), 403) << "written otherwise";
  EXPECT_EQ(StatusOf(ask(seconds(0), "", "k", Repeats::kAnswered)), 403);
  EXPECT_EQ(StatusOf(ask(seconds(-1))), 200) << "another second";

  EXPECT_EQ(StatusOf(ask(seconds(1), "", "k", Repeats::kAnswered)), 200);
  EXPECT_EQ(StatusOf(ask(seconds(1), "", "k", Repeats::kAnswered)), 200) << "a retry";
  EXPECT_EQ(StatusOf(ask(seconds(1), "", "l", Repeats::kAnswered)), 403);
  EXPECT_EQ(StatusOf(ask(seconds(1), "", "", Repeats::kAnswered)), 403);

  EXPECT_EQ(StatusOf(ask(seconds(2), "", "k")), 200);
  EXPECT_EQ(StatusOf(ask(seconds(2), "", "k")), 403) << "where the route keeps no keys";

  EXPECT_EQ(StatusOf(ask(seconds(300))), 200) << "a clock that is ahead";
  clock_.Advance(seconds(600));
  EXPECT_EQ(StatusOf(ask(seconds(300))), 403) << "valid for 600 s";
}

TEST_F(AccessTest, WhatIsRefusedOtherwiseUsesNoSignature) {
  keys_.Add("as_sk_look", {.id = "key_look",
                           .kind = KeyKind::kSecret,
                           .tenant = "acme",
                           .signing_secrets = {kSecret},
                           .scopes = {.manage = false}});
  const auto ask = [&](Permission permission) {
    return StatusOf(
        Admit({{"X-API-Key", "as_sk_look"}, {"X-Signature", Signed("POST.")}}, permission, "POST"));
  };
  EXPECT_EQ(ask(Permission::kWriteTriggers), 403);
  EXPECT_EQ(ask(Permission::kReadEvents), 200) << "not used before";
  EXPECT_EQ(ask(Permission::kReadEvents), 403);
}

class UsedSignaturesTest : public ::testing::Test {
 protected:
  SignatureUse Use(const std::string& tenant, const std::string& key, const std::string& body) {
    return used_.Use({.id = key, .tenant = tenant}, kAt, {.method = "POST", .body = body}, now_,
                     Repeats::kRefused);
  }
  static constexpr std::int64_t kAt = ToMicros(ManualClock::kNoon) / 1'000'000;

  LogTime now_ = ManualClock::kNoon;
  UsedSignatures used_{{.of_tenant_max = 3, .of_all_max = 4, .spared = 1}};
};

TEST_F(UsedSignaturesTest, WhoFillsTheMemoryIsRefusedAndPushesNobodyOut) {
  EXPECT_EQ(Use("calm", "key_1", "a"), SignatureUse::kGood);
  EXPECT_EQ(Use("busy", "key_2", "a"), SignatureUse::kGood);
  EXPECT_EQ(Use("busy", "key_2", "b"), SignatureUse::kGood);
  EXPECT_EQ(Use("busy", "key_3", "b"), SignatureUse::kGood) << "another key's";
  EXPECT_EQ(Use("busy", "key_3", "c"), SignatureUse::kFull) << "whatever the key";
  EXPECT_EQ(Use("busy", "key_2", "a"), SignatureUse::kUsed);
  EXPECT_EQ(Use("calm", "key_1", "a"), SignatureUse::kUsed);
  EXPECT_EQ(Use("calm", "key_1", "b"), SignatureUse::kFull) << "all are too many";
  EXPECT_EQ(Use("new", "key_4", "a"), SignatureUse::kGood) << "but for those who have few";
}

TEST_F(UsedSignaturesTest, WhatIsOverIsForgotten) {
  for (const char* body : {"a", "b", "c"}) {
    EXPECT_EQ(Use("busy", "key_1", body), SignatureUse::kGood);
  }
  now_ += kSignatureWindow;
  EXPECT_EQ(Use("busy", "key_1", "d"), SignatureUse::kFull);
  EXPECT_EQ(Use("busy", "key_1", "a"), SignatureUse::kUsed) << "still valid";
  now_ += std::chrono::seconds(2);
  EXPECT_EQ(Use("busy", "key_1", "d"), SignatureUse::kGood);
}

TEST_F(AccessTest, AFullMemoryIsSaidToPass) {
  for (std::size_t i = 0; i < kUsedSignaturesOfTenantMax; ++i) {
    http::Request request{.method = "POST", .path = "/" + std::to_string(i), .peer = "10.1.2.3"};
    request.headers.Add("X-API-Key", "as_sk_1");
    request.headers.Add("X-Signature",
                        SignBoundRequest(kSecret, ToMicros(ManualClock::kNoon) / 1'000'000,
                                         "POST." + request.path, ""));
    ASSERT_EQ(StatusOf(guard_.Admit(request, Permission::kWriteTriggers)), 200);
  }
  const auto answer = Admit({{"X-API-Key", "as_sk_1"}, {"X-Signature", Signed("POST.")}},
                            Permission::kWriteTriggers, "POST");
  ASSERT_EQ(StatusOf(answer), 503);
  EXPECT_EQ(std::get<http::Response>(answer).headers.Find("Retry-After"), "5");
  EXPECT_THAT(std::get<http::Response>(answer).body, HasSubstr("signed more requests"));
}

TEST_F(AccessTest, ASecretKeyActsAsAdminOfItsTenantWithoutManagingUsers) {
  const auto answer = Admit({{"X-API-Key", "as_sk_1"}}, Permission::kManageKeys);
  ASSERT_EQ(StatusOf(answer), 200);
  const Caller& caller = std::get<Caller>(answer);
  EXPECT_EQ(caller.tenant, "acme");
  EXPECT_EQ(caller.actor, "key_1");
  EXPECT_FALSE(caller.is_user);
  EXPECT_EQ(caller.role, Role::kAdmin);
  EXPECT_TRUE(caller.bounds.has_value());
  EXPECT_EQ(StatusOf(Admit({{"X-API-Key", "as_sk_1"}}, Permission::kManageUsers)), 403);
}

TEST_F(AccessTest, ACallerIsKnownWithTheBoundsOfItsKey) {
  const LogTime end = ManualClock::kNoon + std::chrono::hours(1);
  const auto home = ParseNetwork("10.1.0.0/16").value();
  keys_.Add("as_sk_narrow", {.id = "key_9",
                             .kind = KeyKind::kSecret,
                             .tenant = "acme",
                             .signing_secrets = {kSecret},
                             .networks = {home},
                             .scopes = {.ingest = false},
                             .expires_at = end});
  const auto answer = Admit({{"X-API-Key", "as_sk_narrow"}}, Permission::kManageKeys);
  ASSERT_EQ(StatusOf(answer), 200);
  const auto& bounds = std::get<Caller>(answer).bounds;
  ASSERT_TRUE(bounds.has_value());
  EXPECT_EQ(bounds->scopes, (KeyScopes{.ingest = false}));
  EXPECT_THAT(bounds->networks, ::testing::ElementsAre(home));
  EXPECT_EQ(bounds->expires_at, end);
  EXPECT_FALSE(std::get<Caller>(Admit({{"Authorization", "Bearer owner"}}, Permission::kManageKeys))
                   .bounds.has_value());
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
