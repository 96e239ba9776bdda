// The gates of the message itself: recipient and template.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "processor/engine/gates/recipient.h"
#include "processor/engine/gates/template.h"
#include "schemas/json.h"

namespace alertstream::engine {
namespace {

TEST(RecipientGateTest, EveryChannelHasAKindOfAddress) {
  EXPECT_EQ(AddressKindOf(v1::CHANNEL_SMS), v1::ADDRESS_KIND_PHONE);
  EXPECT_EQ(AddressKindOf(v1::CHANNEL_WHATSAPP), v1::ADDRESS_KIND_PHONE);
  EXPECT_EQ(AddressKindOf(v1::CHANNEL_VOICE), v1::ADDRESS_KIND_PHONE);
  EXPECT_EQ(AddressKindOf(v1::CHANNEL_EMAIL), v1::ADDRESS_KIND_EMAIL);
  EXPECT_EQ(AddressKindOf(v1::CHANNEL_PUSH), v1::ADDRESS_KIND_PUSH_TOKEN);
}

TEST(RecipientGateTest, AddressesHaveOneNormalForm) {
  struct Case {
    v1::AddressKind kind;
    std::string raw;
    std::string normal;
  };
  const std::vector<Case> cases = {
      {v1::ADDRESS_KIND_PHONE, "+254 700-000 001", "+254700000001"},
      {v1::ADDRESS_KIND_PHONE, "00254700000001", "+254700000001"},
      {v1::ADDRESS_KIND_EMAIL, " Ann@Example.ORG ", "Ann@example.org"},
      {v1::ADDRESS_KIND_PUSH_TOKEN, "aB:c-", "aB:c-"},
      {v1::ADDRESS_KIND_PUSH_TOKEN, std::string(4096, 'x'), std::string(4096, 'x')},
  };
  for (const auto& each : cases) {
    const auto normal = NormalizeAddress(each.kind, each.raw);
    ASSERT_TRUE(normal.ok()) << each.raw;
    EXPECT_EQ(normal.value(), each.normal);
  }
}

TEST(RecipientGateTest, WhatIsNoAddressIsRefusedWithoutQuotingIt) {
  struct Case {
    v1::AddressKind kind;
    std::string raw;
    std::string message;
  };
  const std::vector<Case> cases = {
      {v1::ADDRESS_KIND_PHONE, "0700000001", "+"},
      {v1::ADDRESS_KIND_PHONE, "", ""},
      {v1::ADDRESS_KIND_EMAIL, "annexample.org", "expected one @"},
      {v1::ADDRESS_KIND_EMAIL, "@example.org", "expected one @"},
      {v1::ADDRESS_KIND_EMAIL, "ann@b@example.org", "expected one @"},
      {v1::ADDRESS_KIND_EMAIL, "ann@example", "a domain with a dot"},
      {v1::ADDRESS_KIND_EMAIL, "ann@.example.org", "a domain with a dot"},
      {v1::ADDRESS_KIND_EMAIL, "ann@example.org.", "a domain with a dot"},
      {v1::ADDRESS_KIND_EMAIL, "ann lee@example.org", "ASCII"},
      {v1::ADDRESS_KIND_EMAIL, std::string(250, 'a') + "@example.org", "longer than 254"},
      {v1::ADDRESS_KIND_PUSH_TOKEN, "", "1 to 4096"},
      {v1::ADDRESS_KIND_PUSH_TOKEN, std::string(4097, 'x'), "1 to 4096"},
  };
  for (const auto& each : cases) {
    const auto normal = NormalizeAddress(each.kind, each.raw);
    ASSERT_FALSE(normal.ok()) << each.raw;
    EXPECT_EQ(normal.error().code(), ErrorCode::kInvalid);
    EXPECT_NE(normal.error().message().find(each.message), std::string::npos)
        << normal.error().message();
    if (!each.raw.empty()) {
      EXPECT_EQ(normal.error().message().find(each.raw), std::string::npos);
    }
  }
}

TEST(TemplateGateTest, TheTextIsRenderedAndMeasured) {
  struct Case {
    std::string name;
    v1::Channel channel;
    std::string body;
    std::string data;
    v1::Reason reason;
    std::string text;
    std::uint32_t segments;
  };
  const std::vector<Case> cases = {
      {"one segment", v1::CHANNEL_SMS, "Hi {{data.name}}", R"({"name":"Ann"})",
       v1::REASON_UNSPECIFIED, "Hi Ann", 1},
      {"160 characters are one segment", v1::CHANNEL_SMS, std::string(160, 'x'), "{}",
       v1::REASON_UNSPECIFIED, std::string(160, 'x'), 1},
      {"161 are two", v1::CHANNEL_SMS, std::string(161, 'x'), "{}", v1::REASON_UNSPECIFIED,
       std::string(161, 'x'), 2},
      {"ten segments", v1::CHANNEL_SMS, std::string(1530, 'x'), "{}", v1::REASON_UNSPECIFIED,
       std::string(1530, 'x'), 10},
      {"eleven segments", v1::CHANNEL_SMS, std::string(1531, 'x'), "{}",
       v1::REASON_TEMPLATE_TOO_LONG, "", 0},
      {"eleven segments of WhatsApp do not exist", v1::CHANNEL_WHATSAPP, std::string(1531, 'x'),
       "{}", v1::REASON_UNSPECIFIED, std::string(1531, 'x'), 0},
      {"an absent variable", v1::CHANNEL_SMS, "Hi {{data.name}}", "{}", v1::REASON_TEMPLATE_FAILED,
       "", 0},
      {"a variable that is an object", v1::CHANNEL_SMS, "Hi {{data.name}}", R"({"name":{}})",
       v1::REASON_TEMPLATE_FAILED, "", 0},
  };
  for (const auto& each : cases) {
    const auto body = Template::Compile(each.body);
    ASSERT_TRUE(body.ok()) << each.name;
    schemas::JsonDocument document;
    ASSERT_TRUE(document.Parse(each.data).ok());
    RenderedMessage message;
    const GateOutcome outcome =
        TemplateGate(body.value(), EventView{.data = document.root()}, each.channel, &message);
    EXPECT_EQ(outcome.reason, each.reason) << each.name;
    EXPECT_EQ(outcome.passed, each.reason == v1::REASON_UNSPECIFIED) << each.name;
    if (outcome.passed) {
      EXPECT_EQ(message.body, each.text) << each.name;
      EXPECT_EQ(message.segments, each.segments) << each.name;
    } else {
      EXPECT_EQ(outcome.outcome, v1::OUTCOME_FAIL) << each.name;
    }
  }
}

}  // namespace
}  // namespace alertstream::engine
