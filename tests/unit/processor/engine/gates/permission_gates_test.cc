// The gates of permission: consent and opt-out.
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "processor/engine/gates/consent.h"
#include "processor/engine/gates/opt_out.h"

namespace alertstream::engine {
namespace {

constexpr auto kInformational = v1::MESSAGE_CLASS_INFORMATIONAL;
constexpr auto kMarketing = v1::MESSAGE_CLASS_MARKETING;
constexpr auto kTransactional = v1::MESSAGE_CLASS_TRANSACTIONAL;

struct Act {
  v1::Channel channel;
  v1::MessageClass message_class;
  v1::ConsentStatus status;
  std::int64_t at_us;
  bool written = false;
};

// The act at index i lies at offset i.
v1::RecipientState After(const std::vector<Act>& acts) {
  v1::RecipientState recipient;
  for (const auto& act : acts) {
    auto* consent = recipient.add_consents();
    consent->set_channel(act.channel);
    consent->set_message_class(act.message_class);
    consent->set_status(act.status);
    consent->set_at_us(act.at_us);
    consent->set_written(act.written);
    consent->mutable_source()->set_topic(2);
    consent->mutable_source()->set_offset(recipient.consents_size() - 1);
  }
  return recipient;
}

constexpr Act Granted(v1::MessageClass message_class, std::int64_t at_us, bool written = false,
                      v1::Channel channel = v1::CHANNEL_SMS) {
  return {channel, message_class, v1::CONSENT_STATUS_GRANTED, at_us, written};
}

constexpr Act Revoked(v1::MessageClass message_class, std::int64_t at_us,
                      v1::Channel channel = v1::CHANNEL_SMS) {
  return {channel, message_class, v1::CONSENT_STATUS_REVOKED, at_us};
}

TEST(ConsentGateTest, WhatAMessageNeedsDependsOnItsClass) {
  constexpr auto kAll = v1::CHANNEL_ALL;
  struct Case {
    std::string name;
    v1::MessageClass message_class;
    std::vector<Act> acts;
    v1::Reason reason;
    std::int64_t source;  // -1: no record decided.
  };
  const std::vector<Case> cases = {
      {"transactional needs no consent", kTransactional, {}, v1::REASON_UNSPECIFIED, -1},
      {"transactional, revoked",
       kTransactional,
       {Revoked(kTransactional, 1)},
       v1::REASON_CONSENT_REVOKED,
       0},
      {"transactional, another class revoked",
       kTransactional,
       {Revoked(kMarketing, 1)},
       v1::REASON_UNSPECIFIED,
       -1},
      {"informational, nothing", kInformational, {}, v1::REASON_CONSENT_MISSING, -1},
      {"informational, another class granted",
       kInformational,
       {Granted(kMarketing, 1, true)},
       v1::REASON_CONSENT_MISSING,
       -1},
      {"informational, another channel granted",
       kInformational,
       {Granted(kInformational, 1, true, v1::CHANNEL_EMAIL)},
       v1::REASON_CONSENT_MISSING,
       -1},
      {"informational, granted",
       kInformational,
       {Granted(kInformational, 1)},
       v1::REASON_UNSPECIFIED,
       0},
      {"informational, granted for all",
       kInformational,
       {Granted(kInformational, 1, false, kAll)},
       v1::REASON_UNSPECIFIED,
       0},
      {"informational, revoked",
       kInformational,
       {Revoked(kInformational, 1)},
       v1::REASON_CONSENT_REVOKED,
       0},
      {"marketing, granted without writing",
       kMarketing,
       {Granted(kMarketing, 1)},
       v1::REASON_CONSENT_NOT_WRITTEN,
       0},
      {"marketing, granted in writing",
       kMarketing,
       {Granted(kMarketing, 1, true)},
       v1::REASON_UNSPECIFIED,
       0},
      {"marketing, nothing", kMarketing, {}, v1::REASON_CONSENT_MISSING, -1},
      {"the later of two acts counts: revoked for all",
       kMarketing,
       {Granted(kMarketing, 1, true), Revoked(kMarketing, 2, kAll)},
       v1::REASON_CONSENT_REVOKED,
       1},
      {"the later of two acts counts: granted",
       kMarketing,
       {Granted(kMarketing, 3, true), Revoked(kMarketing, 2, kAll)},
       v1::REASON_UNSPECIFIED,
       0},
      {"at the same time the revocation counts",
       kMarketing,
       {Granted(kMarketing, 2, true), Revoked(kMarketing, 2, kAll)},
       v1::REASON_CONSENT_REVOKED,
       1},
      {"at the same time the revocation counts, whichever comes first",
       kMarketing,
       {Revoked(kMarketing, 2), Granted(kMarketing, 2, true, kAll)},
       v1::REASON_CONSENT_REVOKED,
       0},
  };
  for (const auto& each : cases) {
    const GateOutcome outcome = ConsentGate(After(each.acts), v1::CHANNEL_SMS, each.message_class);
    EXPECT_EQ(outcome.reason, each.reason) << each.name;
    EXPECT_EQ(outcome.passed, each.reason == v1::REASON_UNSPECIFIED) << each.name;
    EXPECT_EQ(outcome.source.topic, each.source < 0 ? 0U : 2U) << each.name;
    EXPECT_EQ(outcome.source.offset, each.source < 0 ? 0 : each.source) << each.name;
  }
}

TEST(OptOutGateTest, AnActiveOptOutOfTheChannelOrOfAllStops) {
  struct Case {
    std::string name;
    v1::Channel channel;
    v1::OptOutStatus status;
    bool passed;
  };
  const std::vector<Case> cases = {
      {"the channel", v1::CHANNEL_SMS, v1::OPT_OUT_STATUS_ACTIVE, false},
      {"all channels", v1::CHANNEL_ALL, v1::OPT_OUT_STATUS_ACTIVE, false},
      {"another channel", v1::CHANNEL_VOICE, v1::OPT_OUT_STATUS_ACTIVE, true},
      {"removed", v1::CHANNEL_SMS, v1::OPT_OUT_STATUS_REMOVED, true},
      {"removed of all", v1::CHANNEL_ALL, v1::OPT_OUT_STATUS_REMOVED, true},
  };
  EXPECT_TRUE(OptOutGate({}, v1::CHANNEL_SMS).passed);
  for (const auto& each : cases) {
    v1::RecipientState recipient;
    auto* opt_out = recipient.add_opt_outs();
    opt_out->set_channel(each.channel);
    opt_out->set_status(each.status);
    opt_out->set_by(v1::OPT_OUT_BY_OPERATOR);
    opt_out->mutable_source()->set_topic(3);
    opt_out->mutable_source()->set_offset(5);
    const GateOutcome outcome = OptOutGate(recipient, v1::CHANNEL_SMS);
    EXPECT_EQ(outcome.passed, each.passed) << each.name;
    if (!each.passed) {
      EXPECT_EQ(outcome.reason, v1::REASON_OPTED_OUT) << each.name;
      EXPECT_EQ(outcome.observed, v1::OPT_OUT_BY_OPERATOR) << each.name;
      EXPECT_EQ(outcome.source.offset, 5) << each.name;
    }
  }
}

}  // namespace
}  // namespace alertstream::engine
