#include "projections/text.h"

#include <gtest/gtest.h>

namespace alertstream::projections {
namespace {

using namespace std::string_view_literals;

TEST(TextTest, WhatADatabaseCannotHoldIsReplacedVisibly) {
  struct Case {
    std::string_view text;
    std::string_view stored;
  };
  for (const Case& c : {Case{"plain", "plain"},
                        {"", ""},
                        {"caf\xC3\xA9", "caf\xC3\xA9"},
                        {"a\0b"sv,
                         "a\xE2\x90\x80"
                         "b"},
                        {"\0"sv, "\xE2\x90\x80"},
                        {"bad\xFF!", "bad\xEF\xBF\xBD!"},
                        {"cut\xC3", "cut\xEF\xBF\xBD"}}) {
    EXPECT_EQ(Storable(c.text), c.stored);
  }
  EXPECT_EQ(StorableOrNull(""), std::nullopt);
  EXPECT_EQ(StorableOrNull("a"), "a");
}

TEST(TextTest, AddressesAreMaskedSoThatThreeDigitsAtLeastStayHidden) {
  struct Case {
    std::string_view address;
    std::string_view masked;
  };
  for (const Case& c : {Case{"+254700000001", "+254700***001"},
                        {"+14155550123", "+14155***123"},
                        {"+1234567", "+1***567"},
                        {"+123456", "+***456"},
                        {"+12345", "***"},
                        {"ann@example.com", "a***@example.com"},
                        {"\xC3\xA9milie@example.com", "\xC3\xA9***@example.com"},
                        {"@example.com", "***"},
                        {"some-push-token", "***"},
                        {"", "***"}}) {
    EXPECT_EQ(MaskedAddress(c.address), c.masked);
  }
}

TEST(TextTest, AbsentValuesAreNull) {
  EXPECT_EQ(IdOrNull(IdKind::kEvent, ""), std::nullopt);
  EXPECT_EQ(IdOrNull(IdKind::kEvent, std::string(16, '\0')), "evt_00000000000000000000000000");
  EXPECT_EQ(TimeOrNull(0), std::nullopt);
  EXPECT_EQ(TimeOrNull(5), FromMicros(5));
  EXPECT_EQ(WordOrNull(v1::REASON_UNSPECIFIED), std::nullopt);
  EXPECT_EQ(WordOrNull(v1::REASON_OPTED_OUT), "opted_out");
  EXPECT_EQ(WordOf(static_cast<v1::Reason>(999)), "unknown");
  EXPECT_EQ(TopicWord(3), "opt-outs");
  EXPECT_EQ(TopicWord(99), "99");
}

TEST(TextTest, AnIdBeginsWithItsTime) {
  const IdBytes id = MakeId({.append_time = FromMicros(1'795'176'000'123'456), .tenant = "acme"});
  EXPECT_EQ(TimeOfId(AsView(id)), FromMicros(1'795'176'000'123'000));
}

TEST(TextTest, GatesAreWrittenShortly) {
  google::protobuf::RepeatedPtrField<v1::GateResult> gates;
  EXPECT_EQ(GatesJson(gates), "[]");
  auto* passed = gates.Add();
  passed->set_gate(v1::GATE_CONDITION);
  passed->set_verdict(v1::GATE_VERDICT_PASSED);
  auto* stopped = gates.Add();
  stopped->set_gate(v1::GATE_OPT_OUT);
  stopped->set_verdict(v1::GATE_VERDICT_STOPPED);
  stopped->set_observed(1);
  stopped->mutable_source()->set_topic(3);
  stopped->mutable_source()->set_partition(2);
  stopped->mutable_source()->set_offset(9);
  EXPECT_EQ(GatesJson(gates), R"([{"gate":"condition","verdict":"passed"},)"
                              R"({"gate":"opt_out","verdict":"stopped","observed":1,"limit":0,)"
                              R"("source":{"topic":"opt-outs","partition":2,"offset":9}}])");
}

}  // namespace
}  // namespace alertstream::projections
