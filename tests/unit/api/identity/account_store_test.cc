// Provider accounts and numbers in a real PostgreSQL, and the mirror that answers for them.
#include "api/identity/account_store.h"

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/identity/account_mirror.h"
#include "api/identity/joined_identity.h"
#include "tests/support/identity_database.h"

namespace alertstream::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Secret = Redacted<std::string>;

const AccountOwner kAcme = {.tenant = "acme", .actor = "usr_1"};
const AccountOwner kOther = {.tenant = "other", .actor = "usr_2"};
const AccountOwner kOperator = {.actor = "ops", .is_operator = true};
constexpr const char* kToken = "first-auth-token-of-acme";
constexpr const char* kPhone = "+15550006789";

class AccountStoreTest : public ::testing::Test {
 protected:
  static AccountAsk Ask(const std::string& name = "mine") {
    return {.name = name,
            .account_sid = "AC1",
            .auth_token = Secret(kToken),
            .public_url = "https://alerts.example"};
  }
  AccountSummary Add(const AccountOwner& owner, const std::string& name = "mine") {
    auto made = store_.Add(owner, Ask(name));
    EXPECT_TRUE(made.ok()) << made.error().message();
    return made.ok() ? made.value() : AccountSummary{};
  }
  NumberClaim Claim(const AccountOwner& owner, const std::string& number = kPhone) {
    auto claimed = store_.Claim(owner, {.account = "mine", .number = number});
    EXPECT_TRUE(claimed.ok()) << claimed.error().message();
    return claimed.ok() ? claimed.value() : NumberClaim{};
  }
  // Looks only when it is told or notified.
  std::unique_ptr<AccountMirror> Mirror() {
    return std::make_unique<AccountMirror>(
        db_.database(), db_.sealer(), db_.clock(),
        AccountMirrorOptions{.look_every = milliseconds(std::chrono::hours(1)),
                             .look_pause = look_pause_,
                             .configured = configured_,
                             .on_unserved = [this](const std::string& id, const Error& error) {
                               unserved_.emplace_back(id, error);
                             }});
  }
  void Look(AccountMirror& mirror) {
    auto session = db_.database().Open({.role = "alertstream_identity"});
    const Status looked = mirror.Look(*session.value());
    EXPECT_TRUE(looked.ok()) << looked.error().message();
  }
  template <typename Done>
  static bool Within(seconds limit, Done done) {
    Clock& clock = SystemClock();
    const auto began = clock.SinceBoot();
    while (!done() && clock.SinceBoot() - began < limit) {
      clock.SleepFor(milliseconds(10));
    }
    return done();
  }

  IdentityDatabase db_;
  milliseconds look_pause_{0};
  std::set<std::string> file_accounts_;
  std::set<std::string> file_numbers_;
  const ConfiguredAccounts configured_ = {.has_account =
                                              [this](std::string_view, std::string_view name) {
                                                return file_accounts_.contains(std::string(name));
                                              },
                                          .has_number =
                                              [this](std::string_view, std::string_view number) {
                                                return file_numbers_.contains(std::string(number));
                                              }};
  AccountStore store_{{.pool = db_.pool(),
                       .sealer = db_.sealer(),
                       .clock = db_.clock(),
                       .configured = configured_}};
  std::vector<std::pair<std::string, Error>> unserved_;
};

TEST_F(AccountStoreTest, CredentialsAreSealedAndTheMirrorOpensThem) {
  const AccountSummary made = Add(kAcme);
  EXPECT_THAT(made.id, ::testing::StartsWith("pa_"));
  const auto dump = db_.Ask({"test.dump",
                             "SELECT string_agg(a::text, ' ') || (SELECT string_agg(e::text, ' ') "
                             "FROM identity.audit_events e) FROM identity.provider_accounts a"});
  EXPECT_THAT(dump, HasSubstr("provider_account.add"));
  EXPECT_THAT(dump, Not(HasSubstr(kToken)));
  const auto mirror = Mirror();
  ASSERT_TRUE(mirror->Known()) << mirror->Problem();
  const auto account = mirror->Find("twilio", "mine");
  ASSERT_NE(account, nullptr);
  EXPECT_EQ(account->tenant, "acme");
  EXPECT_EQ(account->account_sid, "AC1");
  EXPECT_EQ(account->base_url, "https://api.twilio.com");
  ASSERT_EQ(account->auth_tokens.size(), 1U);
  EXPECT_EQ(account->auth_tokens[0].Reveal(), kToken);
  const auto webhook = mirror->FindWebhookAccount("twilio", "mine");
  ASSERT_NE(webhook, nullptr);
  EXPECT_EQ(webhook->public_url, "https://alerts.example");
  EXPECT_EQ(mirror->Find("twilio", "yours"), nullptr);
  EXPECT_EQ(mirror->All().size(), 1U);
}

TEST_F(AccountStoreTest, WhatIsWrongWithAnAccountIsSaidWithoutItsSecrets) {
  using Change = void (*)(AccountAsk*);
  const std::vector<std::pair<Change, const char*>> cases = {
      {[](AccountAsk* ask) { ask->provider = "pigeon"; }, "provider: expected twilio"},
      {[](AccountAsk* ask) { ask->name = "a b"; }, "name: expected letters"},
      {[](AccountAsk* ask) { ask->account_sid = ""; }, "account_sid: expected"},
      {[](AccountAsk* ask) { ask->base_url = "ftp://x"; }, "base_url: expected"},
      {[](AccountAsk* ask) { ask->public_url = "https://x/?q"; }, "public_url: expected"},
      {[](AccountAsk* ask) { ask->sends_per_second = 0; }, "sends_per_second: expected"},
      {[](AccountAsk* ask) { ask->burst = 0; }, "burst: expected"},
      {[](AccountAsk* ask) { ask->auth_token = Secret("short"); }, "auth_token: expected 16"},
      {[](AccountAsk* ask) { ask->auth_token = Secret("a token with blanks"); }, "auth_token: "},
      {[](AccountAsk* ask) { ask->api_key_sid = "SK1"; }, "api_key_sid: goes together"},
      {[](AccountAsk* ask) { ask->api_key_secret = Secret(kToken); }, "api_key_sid: goes"},
  };
  for (const auto& [change, expected] : cases) {
    AccountAsk ask = Ask();
    change(&ask);
    const auto made = store_.Add(kAcme, ask);
    ASSERT_FALSE(made.ok()) << expected;
    EXPECT_EQ(made.error().code(), ErrorCode::kInvalid) << expected;
    EXPECT_THAT(made.error().message(), HasSubstr(expected));
    EXPECT_THAT(made.error().message(), Not(HasSubstr(kToken)));
  }
}

TEST_F(AccountStoreTest, AnAccountIsItsTenants) {
  const AccountSummary made = Add(kAcme);
  EXPECT_EQ(store_.Add(kOther, Ask()).error().code(), ErrorCode::kConflict);
  EXPECT_TRUE(store_.List(kOther).value().empty());
  EXPECT_EQ(store_.List(kAcme).value().size(), 1U);
  EXPECT_EQ(store_.List(kOperator).value().size(), 1U);
  const CredentialsAsk fresh = {.auth_token = Secret("another-auth-token")};
  EXPECT_EQ(store_.Rotate(kOther, made.id, fresh).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store_.Remove(kOther, made.id).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store_.Remove(kAcme, "mine").error().code(), ErrorCode::kNotFound)
      << "only an operator names it by its name";
  EXPECT_TRUE(store_.Rotate(kOperator, "mine", fresh).ok());
  EXPECT_TRUE(store_.Remove(kAcme, made.id).ok());
}

TEST_F(AccountStoreTest, ATenantHasSoManyAccounts) {
  for (std::size_t i = 0; i < kAccountsOfTenantMax; ++i) {
    Add(kAcme, "a" + std::to_string(i));
  }
  EXPECT_EQ(store_.Add(kAcme, Ask("more")).error().code(), ErrorCode::kExhausted);
  EXPECT_TRUE(store_.Add(kOther, Ask("others")).ok());
  EXPECT_TRUE(store_.Add(kOperator, Ask("shared")).ok());
}

TEST_F(AccountStoreTest, ATenantClaimsSoManyNumbersItself) {
  Add(kAcme);
  const auto number = [](std::size_t i) { return "+1555001" + std::to_string(1000 + i); };
  for (std::size_t i = 0; i < kNumbersSelfServedMax; ++i) {
    ASSERT_TRUE(store_.Claim(kAcme, {.account = "mine", .number = number(i)}).ok());
  }
  const NumberAsk more = {.account = "mine", .number = number(kNumbersSelfServedMax)};
  EXPECT_EQ(store_.Claim(kAcme, more).error().code(), ErrorCode::kExhausted);
  AccountOwner operator_for_acme = kOperator;
  operator_for_acme.tenant = kAcme.tenant;
  EXPECT_TRUE(store_.Claim(operator_for_acme, more).ok());
}

TEST_F(AccountStoreTest, ANumberIsOneTenants) {
  Add(kAcme);
  ASSERT_TRUE(store_.Add(kOther, Ask("theirs")).ok());
  const NumberClaim claim = Claim(kAcme);
  EXPECT_EQ(Claim(kAcme).id, claim.id) << "claimed again is claimed";
  // Of its own account: a telephone number has one holder.
  const auto second = store_.Claim(kOther, {.account = "theirs", .number = kPhone});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(second.error().message(), Not(HasSubstr("acme")));
  EXPECT_THAT(second.error().message(), Not(HasSubstr("555")));
  // Of an account of another tenant, and of one that there is not.
  for (const char* account : {"mine", "none"}) {
    EXPECT_EQ(store_.Claim(kOther, {.account = account, .number = "+15550001111"}).error().code(),
              ErrorCode::kNotFound);
  }
  AccountOwner for_other = kOperator;
  for_other.tenant = "other";
  EXPECT_EQ(store_.Claim(for_other, {.account = "mine", .number = "+15550001111"}).error().code(),
            ErrorCode::kNotFound)
      << "not even an operator gives away what a tenant's account has";
  // Sender ids are names within an account.
  Claim(kAcme, "ACME");
  EXPECT_TRUE(store_.Claim(kOther, {.account = "theirs", .number = "ACME"}).ok());

  const auto mirror = Mirror();
  EXPECT_EQ(mirror->TenantOfNumber("twilio", "mine", kPhone), "acme");
  EXPECT_EQ(mirror->TenantOfNumber("twilio", "theirs", kPhone), std::nullopt);
  EXPECT_EQ(store_.Release(kOther, claim.id).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(store_.Remove(kAcme, store_.List(kAcme).value()[0].id).error().code(),
            ErrorCode::kConflict);
  ASSERT_TRUE(store_.Release(kAcme, claim.id).ok());
  EXPECT_TRUE(store_.Claim(kOther, {.account = "theirs", .number = kPhone}).ok());
  EXPECT_EQ(db_.Ask({"test.audit",
                     "SELECT count(*) FROM identity.audit_events WHERE detail::text || subject "
                     "LIKE '%555%'"}),
            "0");
}

TEST_F(AccountStoreTest, TheDeploymentsAccountsAreClaimedByAnOperatorAlone) {
  Add(kOperator);
  EXPECT_EQ(store_.Claim(kAcme, {.account = "mine", .number = kPhone}).error().code(),
            ErrorCode::kNotFound);
  EXPECT_EQ(store_.Claim(kOperator, {.account = "mine", .number = kPhone}).error().code(),
            ErrorCode::kInvalid)
      << "for nobody";
  AccountOwner for_acme = kOperator;
  for_acme.tenant = "acme";
  EXPECT_TRUE(store_.Claim(for_acme, {.account = "mine", .number = kPhone}).ok());
  EXPECT_EQ(Mirror()->Find("twilio", "mine")->tenant, "") << "all tenants send through it";
}

TEST_F(AccountStoreTest, NumbersHaveAForm) {
  Add(kAcme);
  for (const char* number :
       {"", "+", "+1555", "+1555000678a", "+1 555 000 6789", "15550006789", " ACME", "A\tB"}) {
    EXPECT_EQ(store_.Claim(kAcme, {.account = "mine", .number = number}).error().code(),
              ErrorCode::kInvalid)
        << number;
  }
  for (const char* number : {"+1555000", "ACME", "MG0123456789abcdef", "22334"}) {
    EXPECT_TRUE(store_.Claim(kAcme, {.account = "mine", .number = number}).ok()) << number;
  }
}

TEST_F(AccountStoreTest, TheFileOfKeysComesFirst) {
  const AccountSummary made = Add(kAcme);
  const NumberClaim claim = Claim(kAcme);
  file_accounts_ = {"mine", "files"};
  file_numbers_ = {kPhone, "+15550002222"};
  const auto refused = store_.Add(kOther, Ask("files"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  ASSERT_TRUE(store_.Add(kAcme, Ask("second")).ok());
  EXPECT_EQ(store_.Claim(kAcme, {.account = "second", .number = "+15550002222"}).error().code(),
            ErrorCode::kConflict);
  EXPECT_EQ(store_.Claim(kAcme, {.account = "files", .number = "+15550003333"}).error().code(),
            ErrorCode::kNotFound);
  // What was stored before the file had it does not serve, and is told once.
  const auto mirror = Mirror();
  EXPECT_EQ(mirror->Find("twilio", "mine"), nullptr);
  EXPECT_NE(mirror->Find("twilio", "second"), nullptr);
  EXPECT_EQ(mirror->TenantOfNumber("twilio", "mine", kPhone), std::nullopt);
  Add(kAcme, "third");
  Look(*mirror);
  ASSERT_EQ(unserved_.size(), 2U);
  EXPECT_EQ(unserved_[0].first, made.id);
  EXPECT_THAT(unserved_[0].second.message(), HasSubstr("the file of keys has an account"));
  EXPECT_EQ(unserved_[1].first, claim.id);
  EXPECT_THAT(unserved_[1].second.message(), HasSubstr("release the claim"));
}

TEST_F(AccountStoreTest, WhatATenantClaimedIsNotTheFilesAccountsOfThatName) {
  Add(kAcme);
  Add(kAcme, "sound");
  const NumberClaim claim = Claim(kAcme);
  ASSERT_TRUE(store_.Claim(kAcme, {.account = "sound", .number = "+15550004444"}).ok());
  Add(kOperator, "shared");
  AccountOwner for_acme = kOperator;
  for_acme.tenant = "acme";
  ASSERT_TRUE(store_.Claim(for_acme, {.account = "shared", .number = "+15550005555"}).ok());
  file_accounts_ = {"mine", "shared"};
  const auto mirror = Mirror();
  EXPECT_EQ(mirror->TenantOfNumber("twilio", "mine", kPhone), std::nullopt);
  EXPECT_EQ(mirror->TenantOfNumber("twilio", "sound", "+15550004444"), "acme");
  EXPECT_EQ(mirror->TenantOfNumber("twilio", "shared", "+15550005555"), "acme")
      << "the operator's account moved into the file";
  ASSERT_FALSE(unserved_.empty());
  EXPECT_EQ(unserved_.back().first, claim.id);
  EXPECT_THAT(unserved_.back().second.message(), HasSubstr("whose name the file of keys has"));
}

TEST_F(AccountStoreTest, ATokenThatIsOverComesBackWithNoLoad) {
  const AccountSummary made = Add(kAcme);
  ASSERT_TRUE(store_
                  .Rotate(kAcme, made.id,
                          {.auth_token = Secret("second-auth-token"), .overlap = minutes(1)})
                  .ok());
  const auto mirror = Mirror();
  mirror->Stop();
  db_.clock().Advance(minutes(1));
  auto session = db_.database().Open({.role = "alertstream_identity"});
  ASSERT_TRUE(mirror->Reload(*session.value()).ok());
  EXPECT_EQ(mirror->FindWebhookAccount("twilio", "mine")->auth_tokens.size(), 1U);
  EXPECT_EQ(mirror->Find("twilio", "mine")->auth_tokens.front().Reveal(), "second-auth-token");
}

TEST_F(AccountStoreTest, ChangesThatFollowOneAnotherAreTakenInTogether) {
  look_pause_ = milliseconds(1'000);
  const auto mirror = Mirror();
  Add(kAcme);
  SystemClock().SleepFor(milliseconds(700));
  EXPECT_EQ(mirror->Find("twilio", "mine"), nullptr) << "the pause is not over";
  Add(kAcme, "second");
  db_.clock().Advance(look_pause_);
  EXPECT_TRUE(Within(seconds(5), [&] { return mirror->Find("twilio", "second") != nullptr; }));
  EXPECT_NE(mirror->Find("twilio", "mine"), nullptr);
}

TEST_F(AccountStoreTest, ARotatedTokenIsBelievedUntilTheOverlapIsOver) {
  const AccountSummary made = Add(kAcme);
  const auto rotated = store_.Rotate(
      kAcme, made.id,
      {.auth_token = Secret("second-auth-token"), .overlap = std::chrono::minutes(1)});
  ASSERT_TRUE(rotated.ok()) << rotated.error().message();
  const auto mirror = Mirror();
  const auto tokens = [&] {
    std::vector<std::string> texts;
    for (const auto& token : mirror->FindWebhookAccount("twilio", "mine")->auth_tokens) {
      texts.push_back(token.Reveal());
    }
    return texts;
  };
  EXPECT_THAT(tokens(), ElementsAre("second-auth-token", kToken));
  EXPECT_EQ(mirror->Find("twilio", "mine")->auth_tokens.front().Reveal(), "second-auth-token");
  db_.clock().Advance(minutes(1));
  EXPECT_TRUE(Within(seconds(5), [&] { return tokens().size() == 1; }));
  EXPECT_THAT(tokens(), ElementsAre("second-auth-token"));
  EXPECT_EQ(store_.Rotate(kAcme, made.id, {}).error().code(), ErrorCode::kInvalid);
  ASSERT_TRUE(
      store_.Rotate(kAcme, made.id, {.api_key_sid = "SK1", .api_key_secret = Secret(kToken)}).ok());
  Look(*mirror);
  EXPECT_EQ(mirror->Find("twilio", "mine")->api_key_sid, "SK1");
  EXPECT_EQ(mirror->Find("twilio", "mine")->auth_tokens.front().Reveal(), "second-auth-token");
}

TEST_F(AccountStoreTest, AChangeIsHeardOfWithinFiveSeconds) {
  const auto mirror = Mirror();
  ASSERT_EQ(mirror->Find("twilio", "mine"), nullptr);
  const AccountSummary made = Add(kAcme);
  EXPECT_TRUE(Within(seconds(5), [&] { return mirror->Find("twilio", "mine") != nullptr; }));
  const NumberClaim claim = Claim(kAcme);
  EXPECT_TRUE(Within(seconds(5),
                     [&] { return mirror->TenantOfNumber("twilio", "mine", kPhone).has_value(); }));
  ASSERT_TRUE(store_.Release(kAcme, claim.id).ok());
  ASSERT_TRUE(store_.Remove(kAcme, made.id).ok());
  EXPECT_TRUE(Within(seconds(5), [&] { return mirror->Find("twilio", "mine") == nullptr; }));
  EXPECT_EQ(mirror->TenantOfNumber("twilio", "mine", kPhone), std::nullopt);
}

TEST_F(AccountStoreTest, WithoutTheDatabaseAccountsServeForAQuarterOfAnHour) {
  Add(kAcme);
  Claim(kAcme);
  const auto mirror = Mirror();
  mirror->Stop();
  db_.clock().Advance(kServeWithoutDatabase);
  EXPECT_TRUE(mirror->Known());
  EXPECT_NE(mirror->Find("twilio", "mine"), nullptr);
  EXPECT_EQ(mirror->TenantOfNumber("twilio", "mine", kPhone), "acme");
  db_.clock().Advance(seconds(1));
  EXPECT_FALSE(mirror->Known());
  EXPECT_EQ(mirror->Find("twilio", "mine"), nullptr);
  EXPECT_EQ(mirror->FindWebhookAccount("twilio", "mine"), nullptr);
  EXPECT_EQ(mirror->TenantOfNumber("twilio", "mine", kPhone), std::nullopt);
  Look(*mirror);
  EXPECT_NE(mirror->Find("twilio", "mine"), nullptr);
}

TEST_F(AccountStoreTest, AnAccountThatCannotBeOpenedIsNotThereAndHidesNoOther) {
  const AccountSummary broken = Add(kAcme);
  const AccountSummary moved = Add(kAcme, "moved");
  Add(kAcme, "sound");
  db_.Ask({"test.break",
           "UPDATE identity.provider_accounts SET credentials_sealed = 'x'::bytea "
           "WHERE account_id = $1"},
          sql::Params().Text(broken.id));
  // Sealed for another row.
  db_.Ask({"test.move",
           "UPDATE identity.provider_accounts SET credentials_sealed = (SELECT credentials_sealed "
           "FROM identity.provider_accounts WHERE account = 'sound') WHERE account_id = $1"},
          sql::Params().Text(moved.id));
  const auto mirror = Mirror();
  EXPECT_EQ(mirror->Find("twilio", "mine"), nullptr);
  EXPECT_EQ(mirror->Find("twilio", "moved"), nullptr);
  EXPECT_NE(mirror->Find("twilio", "sound"), nullptr);
  std::set<std::string> unserved;
  for (const auto& [id, error] : unserved_) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    unserved.insert(id);
  }
  EXPECT_EQ(unserved, (std::set<std::string>{broken.id, moved.id}));
}

TEST(CredentialsTest, AreReadBackAndRefusedOtherwise) {
  const auto read = ReadCredentials(WriteCredentials(
      {.auth_tokens = {Secret("a\"b"), Secret("c")}, .api_key_secret = Secret("k")}));
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read.value().auth_tokens[0].Reveal(), "a\"b");
  EXPECT_EQ(read.value().auth_tokens[1].Reveal(), "c");
  EXPECT_EQ(read.value().api_key_secret.Reveal(), "k");
  for (const char* text : {"", "[]", "{}", R"({"auth_tokens":[],"api_key_secret":""})",
                           R"({"auth_tokens":[1],"api_key_secret":""})",
                           R"({"auth_tokens":["secret-token"],"api_key_secret":7})"}) {
    const auto wrong = ReadCredentials(Secret(text));
    ASSERT_FALSE(wrong.ok()) << text;
    EXPECT_EQ(wrong.error().code(), ErrorCode::kCorrupt);
    EXPECT_THAT(wrong.error().message(), Not(HasSubstr("secret-token")));
  }
}

}  // namespace
}  // namespace alertstream::api
