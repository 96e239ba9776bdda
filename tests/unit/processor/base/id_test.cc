#include "processor/base/id.h"

#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream {
namespace {

using ::testing::HasSubstr;

constexpr IdKind kKinds[] = {IdKind::kEvent,     IdKind::kNotification, IdKind::kDecision,
                             IdKind::kTrigger,   IdKind::kConsent,      IdKind::kRecipient,
                             IdKind::kDeadLetter};

IdCause Cause() {
  return {.append_time = FromMicros(1'795'176'000'123'456),
          .tenant = "acme",
          .topic = 1,
          .partition = 2,
          .offset = 3,
          .trigger = "paid",
          .recipient_token = "0123456789abcdef",
          .channel = 1,
          .n = 0};
}

// Frozen: other systems store these.
TEST(Id, IsMadeFromItsCauseAlone) {
  EXPECT_EQ(FormatId(IdKind::kDecision, MakeId(Cause())), "dec_01M7WD7TKVPRS8Z8C9S0EPVWVR");
  EXPECT_EQ(FormatId(IdKind::kEvent, MakeId({.append_time = FromMicros(0), .tenant = "a"})),
            "evt_0000000000E3ATKH9X47GP3PR9");
}

TEST(Id, BeginsWithTheMillisecondsOfTheAppendTime) {
  const IdBytes id = MakeId(Cause());
  std::uint64_t ms = 0;
  for (std::size_t i = 0; i < 6; ++i) {
    ms = (ms << 8) | id[i];
  }
  EXPECT_EQ(ms, 1'795'176'000'123U);
}

TEST(Id, EveryPartOfTheCauseMakesAnother) {
  std::set<IdBytes> ids = {MakeId(Cause())};
  const auto add = [&](auto change) {
    IdCause cause = Cause();
    change(cause);
    EXPECT_TRUE(ids.insert(MakeId(cause)).second) << ids.size();
  };
  add([](IdCause& c) { c.append_time += std::chrono::milliseconds(1); });
  add([](IdCause& c) { c.tenant = "acm"; });
  add([](IdCause& c) { c.topic = 2; });
  add([](IdCause& c) { c.partition = 3; });
  add([](IdCause& c) { c.offset = 4; });
  add([](IdCause& c) { c.trigger = "paie"; });
  add([](IdCause& c) { c.recipient_token = "0123456789abcdeg"; });
  add([](IdCause& c) { c.recipient_token = ""; });
  add([](IdCause& c) { c.channel = 2; });
  add([](IdCause& c) { c.n = 1; });
  // The same letters with another boundary.
  add([](IdCause& c) {
    c.tenant = "acmep";
    c.trigger = "aid";
  });
  add([](IdCause& c) {
    c.trigger = "paid0";
    c.recipient_token = "123456789abcdef";
  });
}

TEST(Id, GoesThroughItsText) {
  const IdBytes id = MakeId(Cause());
  IdBytes zeros{};
  IdBytes ones;
  ones.fill(0xff);
  for (const IdKind kind : kKinds) {
    for (const IdBytes& bytes : {id, zeros, ones}) {
      const std::string text = FormatId(kind, bytes);
      EXPECT_EQ(text.size(), 30U);
      EXPECT_TRUE(text.starts_with(PrefixOf(kind)));
      const auto parsed = ParseId(kind, text);
      ASSERT_TRUE(parsed.ok()) << text;
      EXPECT_EQ(parsed.value(), bytes);
      EXPECT_EQ(KindOf(text), kind);
      EXPECT_EQ(KindOf(text.substr(0, 7)), kind);
    }
  }
}

TEST(Id, TextsOrderAsTimesDo) {
  IdCause later = Cause();
  later.append_time += std::chrono::milliseconds(1);
  EXPECT_LT(FormatId(IdKind::kEvent, MakeId(Cause())), FormatId(IdKind::kEvent, MakeId(later)));
}

TEST(Id, MalformedTextsAreInvalid) {
  const std::string good = FormatId(IdKind::kEvent, MakeId(Cause()));
  std::string strange = good;
  strange[10] = 'U';                                 // Not in the alphabet.
  std::string too_large = "evt_8" + good.substr(5);  // More than 128 bits.
  for (const std::string& text :
       {std::string(), std::string("evt_"), good.substr(0, 29), good + "0", "dec_" + good.substr(4),
        strange, too_large, " " + good}) {
    const auto parsed = ParseId(IdKind::kEvent, text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(parsed.error().message(), HasSubstr("id"));
  }
  EXPECT_EQ(KindOf("xyz_01J"), std::nullopt);
  EXPECT_EQ(KindOf(""), std::nullopt);
}

TEST(Id, StoredBytesOfAnotherLengthAreShownAsInvalid) {
  EXPECT_EQ(FormatId(IdKind::kEvent, std::string_view("short")), "evt_invalid");
}

TEST(RecipientToken, EveryPartMakesAnother) {
  const HmacKey key("token key");
  std::set<RecipientToken> tokens;
  EXPECT_TRUE(tokens.insert(MakeRecipientToken(key, "acme", 1, "+254712345678")).second);
  EXPECT_TRUE(tokens.insert(MakeRecipientToken(HmacKey("k"), "acme", 1, "+254712345678")).second);
  EXPECT_TRUE(tokens.insert(MakeRecipientToken(key, "acm", 1, "+254712345678")).second);
  EXPECT_TRUE(tokens.insert(MakeRecipientToken(key, "acme", 2, "+254712345678")).second);
  EXPECT_TRUE(tokens.insert(MakeRecipientToken(key, "acme", 1, "+254712345679")).second);
  EXPECT_TRUE(tokens.insert(MakeRecipientToken(key, "acme+", 1, "254712345678")).second);
  // Frozen.
  const auto token = MakeRecipientToken(key, "acme", 1, "+254712345678");
  EXPECT_EQ(ToHex({reinterpret_cast<const char*>(token.data()), token.size()}),
            "0f36855a85fcb9d89719a8c23e14377f");
}

}  // namespace
}  // namespace alertstream
