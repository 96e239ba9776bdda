// API keys in a real PostgreSQL, and the mirror that answers for them.
#include "api/identity/key_store.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/identity/accounts.h"
#include "api/identity/identity_mirror.h"
#include "tests/support/identity_database.h"

namespace alertstream::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Secret = Redacted<std::string>;

class KeysTest : public ::testing::Test {
 protected:
  // Looks only when it is told or notified.
  std::unique_ptr<IdentityMirror> Mirror() {
    return std::make_unique<IdentityMirror>(
        db_.database(), db_.sealer(), db_.tokens(), db_.clock(),
        IdentityMirrorOptions{.look_every = milliseconds(std::chrono::hours(1))});
  }
  NewKey Create(const KeyAsk& ask) {
    auto made = store_.Create("acme", ask, "usr_1");
    EXPECT_TRUE(made.ok()) << made.error().message();
    return made.value();
  }
  void Look(IdentityMirror& mirror) {
    auto session = db_.database().Open({.role = "alertstream_identity"});
    const Status looked = mirror.Look(*session.value());
    EXPECT_TRUE(looked.ok()) << looked.error().message();
  }
  static bool Signs(const ApiKey& key, const Secret& secret) {
    const Digest expected = HmacKey(secret.Reveal()).Sign("body");
    return std::any_of(key.signing_secrets.begin(), key.signing_secrets.end(),
                       [&](const HmacKey& one) { return one.Sign("body") == expected; });
  }

  IdentityDatabase db_;
  KeyStore store_{db_.pool(), db_.sealer(), db_.clock()};
};

TEST_F(KeysTest, AKeyIsShownOnceAndStoredAsItsHash) {
  const NewKey made = Create({.name = "server", .networks = {ParseNetwork("10.0.0.0/8").value()}});
  EXPECT_THAT(made.key.Reveal(), ::testing::StartsWith("as_sk_live_"));
  EXPECT_LE(made.key.Reveal().size(), kApiKeyBytesMax);
  const auto listed = store_.List("acme", "");
  ASSERT_TRUE(listed.ok()) << listed.error().message();
  ASSERT_EQ(listed.value().size(), 1u);
  const KeySummary& key = listed.value().front();
  EXPECT_EQ(key.id, made.id);
  EXPECT_EQ(key.name, "server");
  EXPECT_EQ(key.hint, made.key.Reveal().substr(made.key.Reveal().size() - 4));
  EXPECT_THAT(key.networks, ::testing::ElementsAre("10.0.0.0/8"));
  EXPECT_EQ(key.live_secrets, 1);
  EXPECT_EQ(key.created_by, "usr_1");
  const auto dump = db_.Ask({"test.dump",
                             "SELECT string_agg(k::text, ' ') || (SELECT "
                             "string_agg(s::text, ' ') FROM identity.signing_secrets "
                             "s) FROM identity.api_keys k"});
  EXPECT_THAT(dump, ::testing::Not(::testing::HasSubstr(made.key.Reveal())));
  EXPECT_THAT(dump, ::testing::Not(::testing::HasSubstr(made.signing_secret.Reveal())));
  EXPECT_TRUE(store_.List("other", "").value().empty());
}

TEST_F(KeysTest, TheMirrorAnswersForKeys) {
  const NewKey secret = Create({.site = "shop", .own_rate = EventRate{5, 10}});
  const NewKey publishable =
      Create({.kind = KeyKind::kPublishable, .origins = {"https://a.example"}});
  const auto mirror = Mirror();
  ASSERT_TRUE(mirror->Available()) << mirror->Problem();
  const auto key = mirror->FindKey(secret.key.Reveal());
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->id, secret.id);
  EXPECT_EQ(key->tenant, "acme");
  EXPECT_EQ(key->site, "shop");
  EXPECT_EQ(key->kind, KeyKind::kSecret);
  EXPECT_EQ(key->own_rate, (EventRate{5, 10}));
  EXPECT_TRUE(Signs(*key, secret.signing_secret));
  EXPECT_EQ(mirror->FindKey(publishable.key.Reveal())->kind, KeyKind::kPublishable);
  EXPECT_TRUE(mirror->OriginAllowed("https://a.example"));
  EXPECT_FALSE(mirror->OriginAllowed("https://b.example"));
  EXPECT_EQ(mirror->FindKey(secret.key.Reveal() + "x"), nullptr);
  EXPECT_EQ(mirror->FindKey(""), nullptr);
}

TEST_F(KeysTest, ANewKeyIsKnownAfterALook) {
  const auto mirror = Mirror();
  const NewKey made = Create({});
  Look(*mirror);
  EXPECT_NE(mirror->FindKey(made.key.Reveal()), nullptr);
}

TEST_F(KeysTest, ARevocationIsHeardOfWithinFiveSeconds) {
  const NewKey made = Create({});
  const auto mirror = Mirror();
  ASSERT_NE(mirror->FindKey(made.key.Reveal()), nullptr);
  ASSERT_TRUE(store_.Revoke("acme", "", made.id, "usr_1").ok());
  Clock& clock = SystemClock();
  const auto began = clock.SinceBoot();
  while (mirror->FindKey(made.key.Reveal()) != nullptr && clock.SinceBoot() - began < seconds(5)) {
    clock.SleepFor(milliseconds(10));
  }
  EXPECT_LT(clock.SinceBoot() - began, seconds(5));
  EXPECT_EQ(mirror->FindKey(made.key.Reveal()), nullptr);
  EXPECT_TRUE(store_.Revoke("acme", "", made.id, "usr_1").ok()) << "twice is once";
  EXPECT_EQ(store_.Revoke("other", "", made.id, "usr_1").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store_.Revoke("acme", "elsewhere", made.id, "usr_1").error().code(),
            ErrorCode::kNotFound);
}

TEST_F(KeysTest, AKeyThatCannotBeReadIsNotThereAndHidesNoOther) {
  const NewKey broken = Create({});
  const NewKey revoked = Create({});
  const NewKey sound = Create({});
  std::vector<std::string> told;
  IdentityMirror mirror(
      db_.database(), db_.sealer(), db_.tokens(), db_.clock(),
      {.look_every = milliseconds(std::chrono::hours(1)),
       .on_unreadable_key = [&](const std::string& tenant, const std::string& key, const Error&) {
         told.push_back(tenant + "/" + key);
       }});
  ASSERT_NE(mirror.FindKey(broken.key.Reveal()), nullptr);
  mirror.Stop();
  db_.Ask({"test.break",
           "WITH s AS (UPDATE identity.signing_secrets SET secret_sealed = 'x'::bytea "
           "WHERE key_id = $1) UPDATE identity.api_keys SET changed_at = now() WHERE key_id = $1"},
          sql::Params().Text(broken.id));
  ASSERT_TRUE(store_.Revoke("acme", "", revoked.id, "u").ok());
  Look(mirror);
  Look(mirror);
  EXPECT_EQ(mirror.FindKey(broken.key.Reveal()), nullptr);
  EXPECT_EQ(mirror.FindKey(revoked.key.Reveal()), nullptr);
  EXPECT_NE(mirror.FindKey(sound.key.Reveal()), nullptr);
  EXPECT_THAT(told, ::testing::ElementsAre("acme/" + broken.id)) << "once";
  db_.Ask(
      {"test.network",
       "UPDATE identity.api_keys SET networks = '{nowhere}', revoked_at = NULL WHERE key_id = $1"},
      sql::Params().Text(revoked.id));
  const auto loaded = Mirror();
  EXPECT_TRUE(loaded->Available()) << loaded->Problem();
  EXPECT_EQ(loaded->FindKey(broken.key.Reveal()), nullptr);
  EXPECT_EQ(loaded->FindKey(revoked.key.Reveal()), nullptr);
  EXPECT_NE(loaded->FindKey(sound.key.Reveal()), nullptr);
}

TEST_F(KeysTest, RevocationsHoldThoughNoKeyCanBeLookedAt) {
  Accounts accounts({.pool = db_.pool(),
                     .sealer = db_.sealer(),
                     .tokens = db_.tokens(),
                     .clock = db_.clock(),
                     .cost = {.memory_kib = 64, .passes = 1}});
  ASSERT_TRUE(
      accounts
          .CreateUser("acme", Secret("a@b.example"), Secret("long enough"), Role::kEditor, "ops")
          .ok());
  const auto mirror = Mirror();
  mirror->Stop();
  const Grant grant = std::get<Grant>(
      accounts.LogIn({.email = Secret("a@b.example"), .password = Secret("long enough")}));
  ASSERT_TRUE(mirror->CallerOf(grant.access_token.Reveal()).ok());
  ASSERT_TRUE(accounts.LogOut(grant.refresh_token).ok());
  auto owner = db_.database().Open({});
  ASSERT_TRUE(
      owner.value()->Run({"test.hide", "ALTER TABLE identity.api_keys RENAME TO hidden"}).ok());
  auto session = db_.database().Open({.role = "alertstream_identity"});
  EXPECT_FALSE(mirror->Look(*session.value()).ok());
  EXPECT_EQ(mirror->CallerOf(grant.access_token.Reveal()).error().code(), ErrorCode::kDenied);
}

TEST_F(KeysTest, ARotatedKeyAndItsSuccessorLiveSideBySide) {
  const NewKey old = Create({.site = "shop", .name = "n", .is_test = true});
  const auto fresh = store_.Rotate("acme", "shop", old.id, Rotated::kKey, seconds(60), "usr_1");
  ASSERT_TRUE(fresh.ok()) << fresh.error().message();
  EXPECT_THAT(fresh.value().key.Reveal(), ::testing::StartsWith("as_sk_test_"));
  const auto mirror = Mirror();
  EXPECT_NE(mirror->FindKey(old.key.Reveal()), nullptr);
  ASSERT_NE(mirror->FindKey(fresh.value().key.Reveal()), nullptr);
  EXPECT_EQ(mirror->FindKey(fresh.value().key.Reveal())->site, "shop");
  db_.clock().Advance(seconds(60));
  EXPECT_EQ(mirror->FindKey(old.key.Reveal()), nullptr);
  EXPECT_NE(mirror->FindKey(fresh.value().key.Reveal()), nullptr);
  EXPECT_EQ(store_.Rotate("acme", "", old.id, Rotated::kKey, seconds(60), "u").error().code(),
            ErrorCode::kNotFound);
}

TEST_F(KeysTest, AKeyIsRotatedOnce) {
  const NewKey old = Create({});
  ASSERT_TRUE(store_.Rotate("acme", "", old.id, Rotated::kKey, seconds(60), "u").ok());
  EXPECT_EQ(store_.Rotate("acme", "", old.id, Rotated::kKey, seconds(60), "u").error().code(),
            ErrorCode::kConflict);
}

TEST_F(KeysTest, OfAChainOfKeysTwoLive) {
  const NewKey first = Create({});
  const auto rotate = [&](const std::string& key) {
    return store_.Rotate("acme", "", key, Rotated::kKey, seconds(60), "u");
  };
  const auto second = rotate(first.id);
  ASSERT_TRUE(second.ok());
  const auto early = rotate(second.value().id);
  ASSERT_FALSE(early.ok());
  EXPECT_EQ(early.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(early.error().message(), ::testing::HasSubstr("revoke " + first.id));
  ASSERT_TRUE(store_.Revoke("acme", "", first.id, "u").ok());
  const auto third = rotate(second.value().id);
  ASSERT_TRUE(third.ok()) << third.error().message();
  EXPECT_FALSE(rotate(third.value().id).ok());
  db_.clock().Advance(seconds(60));
  EXPECT_TRUE(rotate(third.value().id).ok());
}

TEST_F(KeysTest, RotationMakesNoMoreKeysThanATenantMayHave) {
  const NewKey first = Create({});
  const auto fill = [&](std::string_view name, std::string_view revoked_at, std::size_t count) {
    const std::string text =
        "INSERT INTO identity.api_keys (tenant_id, key_id, kind, mode, name, key_sha256, hint, "
        "origins, networks, created_at, created_by, revoked_at, changed_at) SELECT 'acme', '" +
        std::string(name) + "' || n, 'publishable', 'live', '', sha256(('" + std::string(name) +
        "' || n)::bytea), 'abcd', '{}', '{}', now(), 'u', " + std::string(revoked_at) +
        ", now() FROM generate_series(1, " + std::to_string(count) + ") n";
    auto session = db_.database().Open({.role = "alertstream_identity"});
    const auto done = session.value()->Run({"test.fill", text.c_str()});
    EXPECT_TRUE(done.ok()) << done.error().message();
  };
  const auto expect_full = [&](const std::string& key, std::string_view word) {
    const auto made = store_.Rotate("acme", "", key, Rotated::kKey, seconds(0), "u");
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code(), ErrorCode::kExhausted);
    EXPECT_THAT(made.error().message(), ::testing::HasSubstr(word));
  };
  fill("ended_", "now()", kKeysOfTenantMax);
  const auto second = store_.Rotate("acme", "", first.id, Rotated::kKey, seconds(0), "u");
  ASSERT_TRUE(second.ok()) << "keys that ended are no live ones: " << second.error().message();
  fill("live_", "NULL", kKeysOfTenantMax - 1);
  expect_full(second.value().id, "live");
  ASSERT_TRUE(store_.Revoke("acme", "", "live_1", "u").ok());
  fill("more_", "now()", kKeysEverOfTenantMax);
  expect_full(second.value().id, "had as many");
}

TEST_F(KeysTest, OfSigningSecretsTwoLive) {
  const NewKey first = Create({});
  const auto rotate = [&] {
    return store_.Rotate("acme", "", first.id, Rotated::kSigningSecret, seconds(60), "u")
        .value()
        .signing_secret;
  };
  const Secret second = rotate();
  const auto mirror = Mirror();
  const auto find = [&] { return mirror->FindKey(first.key.Reveal()); };
  EXPECT_TRUE(Signs(*find(), first.signing_secret));
  EXPECT_TRUE(Signs(*find(), second));
  const Secret third = rotate();
  Look(*mirror);
  EXPECT_FALSE(Signs(*find(), first.signing_secret));
  EXPECT_TRUE(Signs(*find(), second));
  EXPECT_TRUE(Signs(*find(), third));
  db_.clock().Advance(seconds(60));
  Look(*mirror);
  EXPECT_FALSE(Signs(*find(), second));
  EXPECT_TRUE(Signs(*find(), third));
  const NewKey publishable = Create({.kind = KeyKind::kPublishable});
  EXPECT_EQ(store_.Rotate("acme", "", publishable.id, Rotated::kSigningSecret, seconds(1), "u")
                .error()
                .code(),
            ErrorCode::kInvalid);
}

TEST_F(KeysTest, KeysOfASiteEndTogether) {
  const NewKey shop = Create({.site = "shop"});
  const NewKey other = Create({.site = "other"});
  ASSERT_TRUE(store_.RevokeAll("acme", "shop", "u").ok());
  const auto mirror = Mirror();
  EXPECT_EQ(mirror->FindKey(shop.key.Reveal()), nullptr);
  EXPECT_NE(mirror->FindKey(other.key.Reveal()), nullptr);
}

TEST_F(KeysTest, WithoutTheDatabaseKeysServeFor15Minutes) {
  const NewKey made = Create({});
  const auto mirror = Mirror();
  mirror->Stop();
  db_.clock().Advance(kServeWithoutDatabase);
  EXPECT_TRUE(mirror->Available());
  EXPECT_NE(mirror->FindKey(made.key.Reveal()), nullptr);
  db_.clock().Advance(milliseconds(1));
  EXPECT_FALSE(mirror->Available());
  EXPECT_EQ(mirror->FindKey(made.key.Reveal()), nullptr);
}

TEST_F(KeysTest, WithoutTheDatabaseASecretEndsAtItsTime) {
  const NewKey made = Create({});
  const auto rotated =
      store_.Rotate("acme", "", made.id, Rotated::kSigningSecret, seconds(60), "usr_1");
  ASSERT_TRUE(rotated.ok()) << rotated.error().message();
  const auto mirror = Mirror();
  mirror->Stop();
  db_.clock().Advance(seconds(60) - milliseconds(1));
  const auto before = mirror->FindKey(made.key.Reveal());
  ASSERT_NE(before, nullptr);
  EXPECT_TRUE(Signs(*before, made.signing_secret));
  db_.clock().Advance(milliseconds(1));
  const auto after = mirror->FindKey(made.key.Reveal());
  ASSERT_NE(after, nullptr);
  EXPECT_FALSE(Signs(*after, made.signing_secret));
  EXPECT_TRUE(Signs(*after, rotated.value().signing_secret));
  EXPECT_EQ(after->id, made.id);
}

TEST_F(KeysTest, AnAccessTokenEndsWithItsSessionOrItsRole) {
  Accounts accounts({.pool = db_.pool(),
                     .sealer = db_.sealer(),
                     .tokens = db_.tokens(),
                     .clock = db_.clock(),
                     .cost = {.memory_kib = 64, .passes = 1}});
  const auto user = accounts.CreateUser("acme", Secret("a@b.example"), Secret("long enough"),
                                        Role::kEditor, "ops");
  ASSERT_TRUE(user.ok()) << user.error().message();
  const LoginAsk ask = {.email = Secret("a@b.example"), .password = Secret("long enough")};
  const auto mirror = Mirror();
  const Grant first = std::get<Grant>(accounts.LogIn(ask));
  const Grant second = std::get<Grant>(accounts.LogIn(ask));
  const auto caller = mirror->CallerOf(first.access_token.Reveal());
  ASSERT_TRUE(caller.ok()) << caller.error().message();
  EXPECT_EQ(caller.value().actor, user.value());
  EXPECT_EQ(caller.value().tenant, "acme");
  EXPECT_EQ(caller.value().role, Role::kEditor);
  EXPECT_TRUE(caller.value().is_user);

  ASSERT_TRUE(accounts.LogOut(first.refresh_token).ok());
  Look(*mirror);
  EXPECT_EQ(mirror->CallerOf(first.access_token.Reveal()).error().code(), ErrorCode::kDenied);
  EXPECT_TRUE(mirror->CallerOf(second.access_token.Reveal()).ok());

  ASSERT_TRUE(accounts.SetRole("acme", user.value(), Role::kViewer, "ops").ok());
  Look(*mirror);
  EXPECT_EQ(mirror->CallerOf(second.access_token.Reveal()).error().code(), ErrorCode::kDenied);
  const auto third = accounts.Refresh(second.refresh_token, "");
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(mirror->CallerOf(third.value().access_token.Reveal()).value().role, Role::kViewer);

  mirror->Stop();
  db_.clock().Advance(kServeWithoutDatabase + seconds(1));
  const std::string fresh =
      db_.tokens().Issue({.user = "u", .tenant = "acme", .session = "ses_1"}, db_.clock().Now());
  EXPECT_EQ(mirror->CallerOf(fresh).error().code(), ErrorCode::kUnavailable);
}

TEST_F(KeysTest, AKeyMayWhatItsScopesSay) {
  const NewKey all = Create({});
  const NewKey narrow = Create({.scopes = {"read", "ingest"}});
  const NewKey publishable =
      Create({.kind = KeyKind::kPublishable, .origins = {"https://a.example"}});
  const auto mirror = Mirror();
  const auto scopes = [&](const NewKey& key) { return mirror->FindKey(key.key.Reveal())->scopes; };
  EXPECT_EQ(scopes(all), KeyScopes());
  EXPECT_EQ(scopes(narrow), (KeyScopes{.manage = false}));
  EXPECT_EQ(scopes(publishable), (KeyScopes{.read = false, .manage = false}));
  const auto rotated =
      store_.Rotate("acme", "", narrow.id, Rotated::kKey, std::chrono::seconds(60), "usr_1");
  ASSERT_TRUE(rotated.ok()) << rotated.error().message();
  Look(*mirror);
  EXPECT_EQ(scopes(rotated.value()), (KeyScopes{.manage = false})) << "its successor may no more";
}

TEST_F(KeysTest, AKeyGivesNoMoreThanItHolds) {
  const LogTime end = db_.clock().Now() + std::chrono::hours(1);
  const Network home = ParseNetwork("10.1.0.0/16").value();
  const KeyRights bounds = {
      .scopes = {.ingest = false, .read = false}, .networks = {home}, .expires_at = end};
  const KeyAsk within = {.networks = {ParseNetwork("10.1.2.0/24").value()},
                         .expires_at = end - seconds(1),
                         .scopes = {"manage"}};
  ASSERT_TRUE(store_.Create("acme", within, "key_1", &bounds).ok());
  const auto with = [&](auto change) {
    KeyAsk ask = within;
    change(&ask);
    return ask;
  };
  const std::vector<KeyAsk> beyond = {
      with([](KeyAsk* ask) { ask->scopes = {}; }),
      with([](KeyAsk* ask) {
        ask->scopes = {"manage", "read"};
      }),
      with([](KeyAsk* ask) { ask->kind = KeyKind::kPublishable; }),
      with([](KeyAsk* ask) { ask->networks = {}; }),
      with([](KeyAsk* ask) { ask->networks = {ParseNetwork("10.0.0.0/8").value()}; }),
      with([](KeyAsk* ask) { ask->networks.push_back(ParseNetwork("10.2.2.3").value()); }),
      with([](KeyAsk* ask) { ask->expires_at.reset(); }),
      with([&](KeyAsk* ask) { ask->expires_at = end + seconds(1); })};
  for (std::size_t i = 0; i < beyond.size(); ++i) {
    const auto refused = store_.Create("acme", beyond[i], "key_1", &bounds);
    ASSERT_FALSE(refused.ok()) << i;
    EXPECT_EQ(refused.error().code(), ErrorCode::kDenied) << i;
    const NewKey stronger = Create(beyond[i]);
    for (const Rotated what : {Rotated::kKey, Rotated::kSigningSecret}) {
      const auto taken =
          store_.Rotate("acme", "", stronger.id, what, seconds(60), "key_1", &bounds);
      ASSERT_FALSE(taken.ok()) << i;
      EXPECT_EQ(taken.error().code(), ErrorCode::kDenied) << i;
    }
  }
  const NewKey equal = Create(with([&](KeyAsk* ask) {
    ask->networks = {home};
    ask->expires_at = end;
  }));
  EXPECT_TRUE(
      store_.Rotate("acme", "", equal.id, Rotated::kKey, seconds(60), "key_1", &bounds).ok());
  const KeyRights all;
  EXPECT_TRUE(store_.Create("acme", {}, "key_1", &all).ok());
}

TEST_F(KeysTest, TheMirrorKnowsAKeysEnd) {
  const LogTime end = db_.clock().Now() + std::chrono::hours(1);
  const NewKey made = Create({.expires_at = end});
  EXPECT_EQ(Mirror()->FindKey(made.key.Reveal())->expires_at, end);
}

TEST_F(KeysTest, MoreKeysThanAServerHoldsLeaveTheOldestServing) {
  std::vector<NewKey> made;
  for (int i = 0; i < 4; ++i) {
    made.push_back(Create({}));
    db_.clock().Advance(seconds(1));
  }
  std::size_t held = 0;
  std::size_t left_out = 0;
  IdentityMirror mirror(db_.database(), db_.sealer(), db_.tokens(), db_.clock(),
                        {.keys_max = 3,
                         .look_every = milliseconds(std::chrono::hours(1)),
                         .on_count = [&](std::size_t in, std::size_t out) {
                           held = in;
                           left_out = out;
                         }});
  mirror.Stop();
  EXPECT_EQ(held, 3U);
  EXPECT_EQ(left_out, 1U);
  EXPECT_THAT(mirror.Problem(), ::testing::HasSubstr("1 live keys more than the 3"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(mirror.FindKey(made[static_cast<std::size_t>(i)].key.Reveal()), nullptr) << i;
  }
  EXPECT_EQ(mirror.FindKey(made[3].key.Reveal()), nullptr);
  EXPECT_FALSE(mirror.Available()) << "nobody can say that there is no such key";
  // A revocation and a new secret of those that are held go on being noticed.
  ASSERT_TRUE(store_.Revoke("acme", "", made[0].id, "u").ok());
  const auto secret =
      store_.Rotate("acme", "", made[1].id, Rotated::kSigningSecret, seconds(60), "u");
  ASSERT_TRUE(secret.ok());
  Look(mirror);
  EXPECT_EQ(mirror.FindKey(made[0].key.Reveal()), nullptr);
  EXPECT_TRUE(Signs(*mirror.FindKey(made[1].key.Reveal()), secret.value().signing_secret));
  // So there is room.
  EXPECT_EQ(left_out, 0U);
  EXPECT_TRUE(mirror.Available());
  EXPECT_NE(mirror.FindKey(made[3].key.Reveal()), nullptr);
}

}  // namespace
}  // namespace alertstream::api
