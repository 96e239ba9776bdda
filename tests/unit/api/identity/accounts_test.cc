// Accounts in a real PostgreSQL: registering, logging in, sessions that rotate, roles.
#include "api/identity/accounts.h"

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/identity/login_throttle.h"
#include "tests/support/identity_database.h"

namespace alertstream::api {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using Secret = Redacted<std::string>;

constexpr PasswordCost kCheap = {.memory_kib = 64, .passes = 1};

class AccountsTest : public ::testing::Test {
 protected:
  Accounts Make(const PasswordCost& cost = kCheap) {
    return Accounts({.pool = db_.pool(),
                     .sealer = db_.sealer(),
                     .tokens = db_.tokens(),
                     .clock = db_.clock(),
                     .cost = cost});
  }
  static RegisterAsk Jane() {
    return {.email = Secret("jane@shop.example"),
            .password = Secret("correct horse"),
            .tenant_name = "Jane's Shop",
            .device = "test",
            .address = "192.0.2.1"};
  }
  static LoginAsk Login(const std::string& password = "correct horse",
                        const std::string& email = "jane@shop.example") {
    return {.email = Secret(email),
            .password = Secret(password),
            .device = "test",
            .address = "192.0.2.1"};
  }
  static Grant Granted(const std::variant<Grant, Refusal>& answer) {
    if (const auto* refusal = std::get_if<Refusal>(&answer)) {
      ADD_FAILURE() << refusal->error.message();
      return {};
    }
    return std::get<Grant>(answer);
  }
  static std::optional<ErrorCode> Refused(const std::variant<Grant, Refusal>& answer) {
    const auto* refusal = std::get_if<Refusal>(&answer);
    return refusal == nullptr ? std::nullopt : std::optional(refusal->error.code());
  }
  Grant Register() { return std::get<Registered>(accounts_.Register(Jane())).grant; }
  std::string CountAudit(const std::string& action) {
    return db_.Ask({"test.audit", "SELECT count(*) FROM identity.audit_events WHERE action = $1"},
                   sql::Params().Text(action));
  }
  // From now on notes in which order rows that count attempts are changed or deleted.
  void NoteChanges() {
    auto owner = db_.database().Open({});
    const Status made = owner.value()->RunScript(
        "CREATE TABLE identity.changed (n int GENERATED ALWAYS AS IDENTITY, subject bytea);"
        "CREATE FUNCTION identity.note_failure_change() RETURNS trigger LANGUAGE plpgsql SECURITY "
        "DEFINER AS "
        "$$BEGIN INSERT INTO identity.changed (subject) VALUES (OLD.subject_sha256); "
        "RETURN coalesce(NEW, OLD); END$$;"
        "CREATE TRIGGER note_failure_change BEFORE UPDATE OR DELETE ON identity.login_failures "
        "FOR EACH ROW EXECUTE FUNCTION identity.note_failure_change();"
        "GRANT SELECT ON identity.changed TO alertstream_identity;");
    ASSERT_TRUE(made.ok()) << made.error().message();
  }
  // "address account": of Login.
  std::string Changed() {
    return db_.Ask({"test.changed",
                    "SELECT string_agg(CASE subject WHEN sha256(E'address\\n192.0.2.1') "
                    "THEN 'address' WHEN sha256(E'account\\njane@shop.example') THEN 'account' "
                    "ELSE 'all' END, ' ' ORDER BY n) FROM identity.changed"});
  }

  IdentityDatabase db_;
  Accounts accounts_ = Make();
};

TEST_F(AccountsTest, RegisteringMakesATenantWithItsOwner) {
  const auto answer = accounts_.Register(Jane());
  ASSERT_TRUE(std::holds_alternative<Registered>(answer));
  const Registered& made = std::get<Registered>(answer);
  EXPECT_THAT(made.grant.tenant, ::testing::MatchesRegex("jane-s-shop-[a-z0-9]{6}"));
  EXPECT_EQ(made.grant.role, Role::kOwner);
  EXPECT_THAT(made.request, HasSubstr(made.grant.tenant));
  const auto subject = db_.tokens().Read(made.grant.access_token.Reveal(), db_.clock().Now());
  ASSERT_TRUE(subject.ok()) << subject.error().message();
  EXPECT_EQ(subject.value().user, made.grant.user);
  EXPECT_EQ(subject.value().tenant, made.grant.tenant);
  EXPECT_EQ(subject.value().role, Role::kOwner);
  EXPECT_EQ(CountAudit("tenant.register"), "1");
  EXPECT_EQ(db_.Ask({"test.outbox", "SELECT count(*) FROM identity.outbox WHERE done_at IS NULL"}),
            "1");
}

TEST_F(AccountsTest, AnEMailAddressHasOneAccount) {
  Register();
  const auto again = accounts_.Register(Jane());
  ASSERT_TRUE(std::holds_alternative<Refusal>(again));
  EXPECT_EQ(std::get<Refusal>(again).error.code(), ErrorCode::kConflict);
  EXPECT_THAT(std::get<Refusal>(again).error.message(), ::testing::Not(HasSubstr("jane")));
}

TEST_F(AccountsTest, TheRightPasswordLogsIn) {
  const Grant first = Register();
  const Grant second = Granted(accounts_.LogIn(Login()));
  EXPECT_EQ(second.user, first.user);
  EXPECT_EQ(second.tenant, first.tenant);
  EXPECT_NE(second.refresh_token.Reveal(), first.refresh_token.Reveal());
}

TEST_F(AccountsTest, WhatIsWrongIsNotTold) {
  Register();
  LoginAsk elsewhere = Login();
  elsewhere.tenant = "another";
  const auto wrong = accounts_.LogIn(Login("wrong horse"));
  const auto nobody = accounts_.LogIn(Login("correct horse", "joe@shop.example"));
  const auto stranger = accounts_.LogIn(elsewhere);
  for (const auto* answer : {&wrong, &nobody, &stranger}) {
    ASSERT_EQ(Refused(*answer), ErrorCode::kDenied);
    EXPECT_EQ(std::get<Refusal>(*answer).error.message(), std::get<Refusal>(wrong).error.message());
  }
  EXPECT_EQ(CountAudit("login.fail"), "1") << "of the tenant's own user";
  EXPECT_EQ(
      db_.Ask({"test.nobodys", "SELECT count(*) FROM identity.audit_events WHERE tenant_id = ''"}),
      "0");
}

TEST_F(AccountsTest, AFailureOfAnUnknownAccountCostsAWriteThatLeavesNothing) {
  NoteChanges();
  ASSERT_EQ(Refused(accounts_.LogIn(Login())), ErrorCode::kDenied);
  EXPECT_EQ(Changed(), "account");
  EXPECT_EQ(db_.Ask({"test.failures",
                     "SELECT string_agg(failures::text, ' ' ORDER BY failures) "
                     "FROM identity.login_failures"}),
            "0 0 1 1")
      << "the bounds count no failures";
  EXPECT_EQ(CountAudit("login.fail"), "0");
}

TEST_F(AccountsTest, AnAccountIsThrottledAndForgiven) {
  Register();
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(Refused(accounts_.LogIn(Login("wrong horse"))), ErrorCode::kDenied) << i;
  }
  const auto answer = accounts_.LogIn(Login());
  ASSERT_EQ(Refused(answer), ErrorCode::kExhausted) << "the right password has to wait too";
  EXPECT_EQ(std::get<Refusal>(answer).retry_after, seconds(2));
  db_.clock().Advance(seconds(2));
  Granted(accounts_.LogIn(Login()));
  EXPECT_EQ(Refused(accounts_.LogIn(Login("wrong horse"))), ErrorCode::kDenied);
  Granted(accounts_.LogIn(Login()));
}

TEST_F(AccountsTest, TheAddressIsLockedBeforeTheAccount) {
  Register();
  ASSERT_EQ(Refused(accounts_.LogIn(Login("wrong horse"))), ErrorCode::kDenied);
  NoteChanges();
  Granted(accounts_.LogIn(Login()));
  EXPECT_EQ(Changed(), "address account all all address account")
      << "as an attempt is counted, so when it is forgiven";
}

TEST_F(AccountsTest, AnUnknownAccountIsThrottledAsAKnownOne) {
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(Refused(accounts_.LogIn(Login("x", "joe@shop.example"))), ErrorCode::kDenied) << i;
  }
  EXPECT_EQ(Refused(accounts_.LogIn(Login("x", "joe@shop.example"))), ErrorCode::kExhausted);
}

TEST_F(AccountsTest, AnAddressIsThrottledOverAllAccounts) {
  for (int i = 0; i < 31; ++i) {
    const std::string email = "user" + std::to_string(i) + "@shop.example";
    EXPECT_EQ(Refused(accounts_.LogIn(Login("x", email))), ErrorCode::kDenied) << i;
  }
  EXPECT_EQ(Refused(accounts_.LogIn(Login("x", "one-more@shop.example"))), ErrorCode::kExhausted);
  LoginAsk elsewhere = Login("x", "one-more@shop.example");
  elsewhere.address = "192.0.2.2";
  EXPECT_EQ(Refused(accounts_.LogIn(elsewhere)), ErrorCode::kDenied);
}

TEST_F(AccountsTest, AHashOfAnOlderCostIsMadeAnewAtLogin) {
  Register();
  Accounts dearer = Make({.memory_kib = 128, .passes = 1});
  Granted(dearer.LogIn(Login()));
  EXPECT_THAT(db_.Ask({"test.hash", "SELECT password_hash FROM identity.users"}),
              HasSubstr("m=128,"));
  Granted(dearer.LogIn(Login()));
}

TEST_F(AccountsTest, ARefreshTokenRotates) {
  const Grant first = Register();
  const auto second = accounts_.Refresh(first.refresh_token, "");
  ASSERT_TRUE(second.ok()) << second.error().message();
  EXPECT_NE(second.value().refresh_token.Reveal(), first.refresh_token.Reveal());
  const auto third = accounts_.Refresh(second.value().refresh_token, "");
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(db_.Ask({"test.plain",
                     "SELECT count(*) FROM identity.refresh_tokens WHERE "
                     "length(token_sha256) <> 32"}),
            "0");
}

TEST_F(AccountsTest, ALostAnswerIsGivenAgainFor10Seconds) {
  const Grant first = Register();
  const auto second = accounts_.Refresh(first.refresh_token, "");
  ASSERT_TRUE(second.ok());
  db_.clock().Advance(seconds(9));
  const auto again = accounts_.Refresh(first.refresh_token, "");
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(again.value().refresh_token.Reveal(), second.value().refresh_token.Reveal());
}

TEST_F(AccountsTest, AReuseEndsTheWholeFamily) {
  const Grant first = Register();
  const auto second = accounts_.Refresh(first.refresh_token, "");
  ASSERT_TRUE(second.ok());
  db_.clock().Advance(seconds(10));
  const auto reused = accounts_.Refresh(first.refresh_token, "");
  ASSERT_FALSE(reused.ok());
  EXPECT_EQ(reused.error().code(), ErrorCode::kDenied);
  const auto newest = accounts_.Refresh(second.value().refresh_token, "");
  ASSERT_FALSE(newest.ok());
  EXPECT_EQ(newest.error().code(), ErrorCode::kDenied);
  EXPECT_EQ(CountAudit("session.reuse"), "1");
}

TEST_F(AccountsTest, AReuseThatCannotBeKeptIsNoRefusal) {
  const Grant first = Register();
  const auto second = accounts_.Refresh(first.refresh_token, "");
  ASSERT_TRUE(second.ok());
  db_.clock().Advance(seconds(10));
  auto owner = db_.database().Open({});
  const Status made = owner.value()->RunScript(
      "CREATE FUNCTION identity.refuse() RETURNS trigger LANGUAGE plpgsql AS "
      "$$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END$$;"
      "CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON identity.sessions "
      "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION identity.refuse();");
  ASSERT_TRUE(made.ok()) << made.error().message();
  const auto reused = accounts_.Refresh(first.refresh_token, "");
  ASSERT_FALSE(reused.ok());
  EXPECT_EQ(reused.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(reused.error().message(), HasSubstr("another transaction was first"));
  EXPECT_EQ(CountAudit("session.reuse"), "0");
  ASSERT_TRUE(owner.value()->RunScript("DROP TRIGGER refuse ON identity.sessions").ok());
  EXPECT_EQ(accounts_.Refresh(first.refresh_token, "").error().code(), ErrorCode::kDenied);
  EXPECT_EQ(accounts_.Refresh(second.value().refresh_token, "").error().code(), ErrorCode::kDenied);
}

TEST_F(AccountsTest, ATokenWhoseSuccessorWasUsedIsReusedWithinTheGraceToo) {
  const Grant first = Register();
  const auto second = accounts_.Refresh(first.refresh_token, "");
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(accounts_.Refresh(second.value().refresh_token, "").ok());
  EXPECT_FALSE(accounts_.Refresh(first.refresh_token, "").ok());
  EXPECT_EQ(CountAudit("session.reuse"), "1");
}

TEST_F(AccountsTest, ASessionEndsAfterItsTime) {
  const Grant idle = Register();
  db_.clock().Advance(kSessionIdleMax - seconds(1));
  auto next = accounts_.Refresh(idle.refresh_token, "");
  ASSERT_TRUE(next.ok());
  db_.clock().Advance(kSessionIdleMax);
  EXPECT_FALSE(accounts_.Refresh(next.value().refresh_token, "").ok());

  Grant busy = Granted(accounts_.LogIn(Login()));
  for (int day = 0; day < 80; day += 20) {
    db_.clock().Advance(std::chrono::hours(20 * 24));
    next = accounts_.Refresh(busy.refresh_token, "");
    ASSERT_TRUE(next.ok()) << day;
    busy = next.value();
  }
  db_.clock().Advance(std::chrono::hours(10 * 24));
  EXPECT_FALSE(accounts_.Refresh(busy.refresh_token, "").ok()) << "90 days are over";
}

TEST_F(AccountsTest, LoggingOutEndsTheFamily) {
  const Grant first = Register();
  const auto second = accounts_.Refresh(first.refresh_token, "");
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(accounts_.LogOut(second.value().refresh_token).value());
  EXPECT_FALSE(accounts_.Refresh(second.value().refresh_token, "").ok());
  EXPECT_FALSE(accounts_.LogOut(Secret("rt_unknown")).value());
  EXPECT_FALSE(accounts_.LogOut(second.value().refresh_token).value()) << "it is over";
  EXPECT_FALSE(accounts_.LogOut(first.refresh_token).value());
  EXPECT_EQ(CountAudit("logout"), "1") << "what changes nothing leaves nothing";
}

TEST_F(AccountsTest, ASessionIsRefreshedSoManyTimesOnly) {
  Grant grant = Register();
  Grant before;
  for (int i = 0; i < kRefreshBound.burst; ++i) {
    auto next = accounts_.Refresh(grant.refresh_token, "");
    ASSERT_TRUE(next.ok()) << i;
    before = std::exchange(grant, std::move(next).value());
  }
  const auto refused = accounts_.Refresh(grant.refresh_token, "");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kExhausted);
  EXPECT_TRUE(accounts_.Refresh(Granted(accounts_.LogIn(Login())).refresh_token, "").ok())
      << "another session";
  db_.clock().Advance(kRefreshBound.each);
  ASSERT_TRUE(accounts_.Refresh(grant.refresh_token, "").ok()) << "the token stayed good";
  EXPECT_EQ(accounts_.Refresh(before.refresh_token, "").error().code(), ErrorCode::kDenied)
      << "a second use is one whatever the bound says";
  EXPECT_EQ(CountAudit("session.reuse"), "1");
}

TEST_F(AccountsTest, AUserOfSeveralTenantsChooses) {
  const Grant home = Register();
  const auto added =
      accounts_.CreateUser("acme", Secret("jane@shop.example"), Secret(""), Role::kViewer, "ops");
  ASSERT_TRUE(added.ok()) << added.error().message();
  EXPECT_EQ(added.value(), home.user);
  LoginAsk ask = Login();
  ask.tenant = "acme";
  const Grant away = Granted(accounts_.LogIn(ask));
  EXPECT_EQ(away.tenant, "acme");
  EXPECT_EQ(away.role, Role::kViewer);
  const auto back = accounts_.Refresh(away.refresh_token, home.tenant);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back.value().tenant, home.tenant);
  EXPECT_EQ(back.value().role, Role::kOwner);
  const auto nowhere = accounts_.Refresh(back.value().refresh_token, "nowhere");
  ASSERT_FALSE(nowhere.ok());
  EXPECT_EQ(nowhere.error().code(), ErrorCode::kDenied);
}

TEST_F(AccountsTest, APasswordForWhoHasOneIsRefused) {
  Register();
  const auto taken = accounts_.CreateUser("acme", Secret("jane@shop.example"),
                                          Secret("battery staple"), Role::kViewer, "ops");
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(taken.error().message(), ::testing::HasSubstr("leave the password out"));
  EXPECT_TRUE(accounts_.ListUsers("acme").value().empty());
  const auto nobody =
      accounts_.CreateUser("acme", Secret("joe@shop.example"), Secret(""), Role::kViewer, "ops");
  ASSERT_FALSE(nobody.ok());
  EXPECT_EQ(nobody.error().code(), ErrorCode::kNotFound);
}

TEST_F(AccountsTest, UsersAreListedWithTheirRoles) {
  const Grant owner = Register();
  db_.clock().Advance(seconds(1));
  ASSERT_TRUE(accounts_
                  .CreateUser(owner.tenant, Secret("joe@shop.example"), Secret("battery staple"),
                              Role::kEditor, "ops")
                  .ok());
  const auto again = accounts_.CreateUser(owner.tenant, Secret("joe@shop.example"), Secret(""),
                                          Role::kEditor, "ops");
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(again.error().message(), ::testing::HasSubstr("The tenant has this user already"));
  const auto users = accounts_.ListUsers(owner.tenant);
  ASSERT_TRUE(users.ok());
  ASSERT_EQ(users.value().size(), 2u);
  EXPECT_EQ(users.value()[0].role, Role::kOwner);
  EXPECT_EQ(users.value()[1].email, "joe@shop.example");
  EXPECT_EQ(users.value()[1].role, Role::kEditor);
}

TEST_F(AccountsTest, ATenantKeepsAnOwner) {
  const Grant owner = Register();
  const Status demoted = accounts_.SetRole(owner.tenant, owner.user, Role::kViewer, "ops");
  ASSERT_FALSE(demoted.ok());
  EXPECT_EQ(demoted.error().code(), ErrorCode::kConflict);
  EXPECT_EQ(accounts_.DisableUser(owner.tenant, owner.user, "ops").error().code(),
            ErrorCode::kConflict);
  const auto joe = accounts_.CreateUser(owner.tenant, Secret("joe@shop.example"),
                                        Secret("battery staple"), Role::kOwner, "ops");
  ASSERT_TRUE(joe.ok());
  EXPECT_TRUE(accounts_.SetRole(owner.tenant, owner.user, Role::kViewer, "ops").ok());
  EXPECT_EQ(accounts_.SetRole(owner.tenant, "usr_none", Role::kViewer, "ops").error().code(),
            ErrorCode::kNotFound);
}

TEST_F(AccountsTest, ADisabledUserIsOut) {
  const Grant owner = Register();
  const auto joe = accounts_.CreateUser(owner.tenant, Secret("joe@shop.example"),
                                        Secret("battery staple"), Role::kEditor, "ops");
  const Grant session = Granted(accounts_.LogIn(Login("battery staple", "joe@shop.example")));
  ASSERT_TRUE(accounts_.DisableUser(owner.tenant, joe.value(), "ops").ok());
  EXPECT_FALSE(accounts_.Refresh(session.refresh_token, "").ok());
  EXPECT_EQ(Refused(accounts_.LogIn(Login("battery staple", "joe@shop.example"))),
            ErrorCode::kDenied);
}

TEST(WaitAfterTest, TheWaitDoublesUpToItsMost) {
  EXPECT_EQ(WaitAfter(kAccountThrottle, 5), seconds(0));
  EXPECT_EQ(WaitAfter(kAccountThrottle, 6), seconds(2));
  EXPECT_EQ(WaitAfter(kAccountThrottle, 7), seconds(4));
  EXPECT_EQ(WaitAfter(kAccountThrottle, 14), seconds(512));
  EXPECT_EQ(WaitAfter(kAccountThrottle, 15), seconds(900));
  EXPECT_EQ(WaitAfter(kAccountThrottle, 1'000'000), seconds(900));
}

TEST_F(AccountsTest, WhoKnowsThePasswordLogsInSoOftenAndNoMore) {
  Register();
  for (int i = 0; i < kAccountBound.burst; ++i) {
    ASSERT_EQ(Refused(accounts_.LogIn(Login())), std::nullopt) << i;
  }
  const auto refused = accounts_.LogIn(Login());
  ASSERT_EQ(Refused(refused), ErrorCode::kExhausted);
  EXPECT_EQ(std::get<Refusal>(refused).retry_after, kAccountBound.each);
  EXPECT_EQ(CountAudit("login"), std::to_string(kAccountBound.burst)) << "no session was made";
  db_.clock().Advance(kAccountBound.each);
  EXPECT_EQ(Refused(accounts_.LogIn(Login())), std::nullopt) << "one comes back in time";
  EXPECT_EQ(Refused(accounts_.LogIn(Login())), ErrorCode::kExhausted);
}

TEST_F(AccountsTest, AnAddressLogsInSoOftenWhoeverItIs) {
  auto session = db_.pool().Take(std::chrono::milliseconds(1000));
  ASSERT_TRUE(session.ok());
  const LogTime now = db_.clock().Now();
  const auto count = [&](const char* address) {
    return CountLogin(*session.value(), kAddressBound, address, now).value();
  };
  for (int i = 0; i < kAddressBound.burst; ++i) {
    ASSERT_EQ(count("192.0.2.1"), seconds(0)) << i;
  }
  EXPECT_EQ(count("192.0.2.1"), kAddressBound.each);
  EXPECT_EQ(count("192.0.2.2"), seconds(0));
}

}  // namespace
}  // namespace alertstream::api
