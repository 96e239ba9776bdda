#include "schemas/enum_words.h"

#include <gtest/gtest.h>

#include "schemas/decision.pb.h"
#include "schemas/envelope.pb.h"
#include "schemas/output.pb.h"

namespace alertstream::schemas {
namespace {

TEST(EnumWordsTest, EnumsLoseTheNameOfTheirType) {
  EXPECT_EQ(Word(v1::OUTCOME_SEND), "send");
  EXPECT_EQ(Word(v1::REASON_CONSENT_MISSING), "consent_missing");
  EXPECT_EQ(Word(v1::GATE_OPT_OUT), "opt_out");
  EXPECT_EQ(Word(v1::OPT_OUT_BY_RECIPIENT), "recipient");
  EXPECT_EQ(Word(v1::DEAD_LETTER_REASON_MALFORMED_JSON), "malformed_json");
  EXPECT_EQ(EnumWord(v1::Outcome_descriptor(), 77), "77");
}

TEST(EnumWordsTest, WordsAreReadBack) {
  const auto channel = ParseWord<v1::Channel>("--channel", "whatsapp");
  ASSERT_TRUE(channel.ok());
  EXPECT_EQ(channel.value(), v1::CHANNEL_WHATSAPP);
  for (const char* wrong : {"", "SMS", "unspecified", "fax"}) {
    const auto refused = ParseWord<v1::Channel>("--channel", wrong);
    ASSERT_FALSE(refused.ok()) << wrong;
    EXPECT_EQ(refused.error().code(), ErrorCode::kInvalid);
    EXPECT_NE(refused.error().message().find("--channel: expected one of sms, whatsapp"),
              std::string::npos)
        << refused.error().message();
  }
}

}  // namespace
}  // namespace alertstream::schemas
