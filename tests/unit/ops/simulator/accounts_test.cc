#include "ops/simulator/accounts.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::simulator {
namespace {

using ::testing::HasSubstr;

const std::string kSid = "AC00000000000000000000000000000001";
const std::string kOtherSid = "AC00000000000000000000000000000002";

Redacted<std::string> Secret(std::string text) { return Redacted<std::string>(std::move(text)); }

dispatch::ProviderAccount AccountOf(const std::string& sid) {
  dispatch::ProviderAccount account;
  account.provider = "twilio";
  account.name = "main";
  account.account_sid = sid;
  account.api_key_sid = "SK1";
  account.api_key_secret = Secret("key secret");
  account.auth_tokens = {Secret("first"), Secret("second")};
  return account;
}

Message MessageOf(const std::string& sid, std::string from, std::string callback) {
  Message message;
  message.account_sid = sid;
  message.from = std::move(from);
  message.status_callback = std::move(callback);
  return message;
}

TEST(AccountsTest, KnownAccountsSignInWithTheirSecrets) {
  struct Case {
    std::string sid;
    std::string user;
    std::string password;
    bool may;
  };
  const Case cases[] = {
      {kSid, kSid, "first", true},       {kSid, kSid, "second", true},
      {kSid, "SK1", "key secret", true}, {kSid, "SK1", "first", false},
      {kSid, kSid, "key secret", false}, {kSid, kSid, "wrong", false},
      {kSid, kSid, "", false},           {kSid, "", "", false},
      {kOtherSid, kSid, "first", false}, {kOtherSid, kOtherSid, "first", false},
  };
  Accounts accounts;
  accounts.Set({AccountOf(kSid)});
  for (const Case& c : cases) {
    const auto token = accounts.SignIn(c.sid, {.user = c.user, .password = Secret(c.password)});
    EXPECT_EQ(token.has_value(), c.may) << c.user << " " << c.password;
    if (token && c.may) {
      EXPECT_EQ(token->Reveal(), "first");
    }
  }
}

TEST(AccountsTest, WithoutAccountsAnyPasswordDoesAndSigns) {
  const Accounts accounts;
  const auto token = accounts.SignIn(kSid, {.user = kSid, .password = Secret("anything")});
  ASSERT_TRUE(token.has_value());
  EXPECT_EQ(token->Reveal(), "anything");
  EXPECT_FALSE(accounts.SignIn(kSid, {.user = kSid, .password = Secret("")}));
  EXPECT_FALSE(accounts.SignIn(kSid, {.user = kOtherSid, .password = Secret("anything")}));
}

TEST(AccountsTest, InboundGoesBelowThePublicUrlElseBesideTheCallback) {
  Accounts accounts;
  auto account = AccountOf(kSid);
  accounts.Set({account});
  const auto nowhere = accounts.RouteInbound("+15005550006", "");
  ASSERT_FALSE(nowhere.ok());
  EXPECT_EQ(nowhere.error().code(), ErrorCode::kConflict);

  accounts.Learn(MessageOf(kSid, "+15005550006",
                           "http://127.0.0.1:80/webhooks/twilio/main/status?notification_id=x"),
                 Secret("first"));
  auto route = accounts.RouteInbound("+15005550006", "");
  ASSERT_TRUE(route.ok()) << route.error().message();
  EXPECT_EQ(route.value().url, "http://127.0.0.1:80/webhooks/twilio/main/inbound");
  EXPECT_EQ(route.value().account_sid, kSid);
  EXPECT_EQ(route.value().auth_token.Reveal(), "first");

  account.public_url = "https://alerts.example.com/";
  accounts.Set({account});
  route = accounts.RouteInbound("+15005550006", "");
  ASSERT_TRUE(route.ok());
  EXPECT_EQ(route.value().url, "https://alerts.example.com/webhooks/twilio/main/inbound");
}

TEST(AccountsTest, InboundFindsTheAccountOfTheNumber) {
  Accounts accounts;
  const std::string url = "http://127.0.0.1/webhooks/twilio/main/status";
  EXPECT_EQ(accounts.RouteInbound("+1", "").error().code(), ErrorCode::kNotFound);
  accounts.Learn(MessageOf(kSid, "+15005550006", url), Secret("a"));
  EXPECT_EQ(accounts.RouteInbound("+15005550009", "").value().account_sid, kSid);  // The only one.
  accounts.Learn(MessageOf(kOtherSid, "+15005550007", url), Secret("b"));
  EXPECT_EQ(accounts.RouteInbound("+15005550007", "").value().auth_token.Reveal(), "b");
  EXPECT_EQ(accounts.RouteInbound("+15005550006", "").value().auth_token.Reveal(), "a");
  EXPECT_EQ(accounts.RouteInbound("+15005550006", kOtherSid).value().account_sid, kOtherSid);
  const auto unknown = accounts.RouteInbound("+15005550009", "");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(unknown.error().message(), HasSubstr("account_sid"));
}

}  // namespace
}  // namespace alertstream::simulator
