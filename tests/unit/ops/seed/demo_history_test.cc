#include "ops/seed/demo_history.h"

#include <map>
#include <set>

#include <gtest/gtest.h>

#include "ops/seed/demo_rules.h"
#include "schemas/envelope.pb.h"
#include "schemas/input_codec.h"

namespace alertstream::seed {
namespace {

using schemas::Topic;

// 2026-11-20 12:00:00 UTC.
constexpr LogTime kEnd = FromMicros(1'795'176'000'000'000);

History Make(const HistoryOptions& options) {
  auto history = MakeHistory(options);
  EXPECT_TRUE(history.ok()) << history.error().message();
  return history.ok() ? std::move(history).value() : History{};
}

// 30 days; made once.
const History& Month() {
  static const History kMonth =
      Make({.rng_seed = 1, .end = kEnd, .days = 30, .events_min = 20'000});
  return kMonth;
}

template <typename Visit>
void ForEach(const History& history, const Visit& visit) {
  for (const Step& step : history.steps) {
    for (const Input& input : step.inputs) {
      v1::Envelope envelope;
      ASSERT_TRUE(envelope.ParseFromString(input.bytes));
      visit(step, input, envelope);
    }
  }
}

std::string Flat(const History& history) {
  std::string all;
  for (const Step& step : history.steps) {
    all += std::to_string(ToMicros(step.at)) + "\n";
    for (const Input& input : step.inputs) {
      all += std::to_string(static_cast<int>(input.topic)) + input.bytes;
    }
  }
  return all;
}

TEST(DemoHistoryTest, TheSameOptionsGiveTheSameBytes) {
  const HistoryOptions options{.rng_seed = 7, .end = kEnd, .days = 5, .events_min = 2000};
  EXPECT_EQ(Flat(Make(options)), Flat(Make(options)));
  HistoryOptions other = options;
  other.rng_seed = 8;
  EXPECT_NE(Flat(Make(options)), Flat(Make(other)));
}

TEST(DemoHistoryTest, AMonthHasEnoughEventsAndEndsBeforeThePresent) {
  const History& history = Month();
  EXPECT_GE(history.events, 20'000U);
  EXPECT_LT(history.events, 20'100U);
  std::size_t events = 0;
  LogTime last{};
  for (const Step& step : history.steps) {
    EXPECT_GT(step.at, last);
    EXPECT_FALSE(step.inputs.empty());
    last = step.at;
    events += step.events;
  }
  EXPECT_EQ(events, history.events);
  EXPECT_EQ(history.steps.front().at, kEnd - std::chrono::hours{24 * 30});
  EXPECT_LE(last, kEnd - kQuietEnd);
  EXPECT_GT(last, kEnd - std::chrono::hours{12});
}

TEST(DemoHistoryTest, EveryRecordIsOneThatTheFoldAccepts) {
  for (const Step& step : Month().steps) {
    for (const Input& input : step.inputs) {
      v1::Envelope envelope;
      const auto fault = schemas::DecodeInput(
          input.topic, {.offset = 1, .append_time = step.at, .key = kTenant, .value = input.bytes},
          &envelope);
      ASSERT_FALSE(fault.has_value()) << envelope.type() << ": " << fault->detail;
      ASSERT_LE(envelope.event_time_us(), ToMicros(step.at)) << envelope.id();
    }
  }
}

TEST(DemoHistoryTest, TheRulesComeFirstAndAlone) {
  const Step& first = Month().steps.front();
  EXPECT_EQ(first.events, 0U);
  std::multiset<std::string> types;
  for (const Input& input : first.inputs) {
    EXPECT_EQ(input.topic, Topic::kAccountChanges);
    v1::Envelope envelope;
    ASSERT_TRUE(envelope.ParseFromString(input.bytes));
    types.insert(envelope.type());
  }
  EXPECT_EQ(types, (std::multiset<std::string>{
                       "account.tenant", "account.plan", "account.site", "account.sender",
                       "account.trigger", "account.trigger", "account.trigger", "account.trigger",
                       "account.trigger", "account.trigger"}));
}

TEST(DemoHistoryTest, TheSenderIsTheNumberThatMessagesComeFrom) {
  const auto rules = DemoRules();
  ASSERT_TRUE(rules.ok()) << rules.error().message();
  for (const auto& change : rules.value().changes) {
    if (change.kind == "sender") {
      const auto& sender = change.envelope.account_change().sender();
      EXPECT_EQ(sender.number(), kNumber);
      EXPECT_EQ(sender.account(), kAccount);
      EXPECT_EQ(sender.provider(), kProvider);
    }
  }
}

TEST(DemoHistoryTest, TwoHundredPeopleConsentWithEvidenceAndSomeStop) {
  std::set<std::string> consented;
  std::map<std::string, int> inbound;
  int revoked = 0;
  ForEach(Month(), [&](const Step&, const Input& input, const v1::Envelope& envelope) {
    if (input.topic == Topic::kConsentChanges) {
      const auto& change = envelope.consent_change();
      revoked += change.status() == v1::CONSENT_STATUS_REVOKED ? 1 : 0;
      if (change.status() == v1::CONSENT_STATUS_GRANTED) {
        consented.insert(change.address().plain());
        EXPECT_EQ(change.evidence().kind(), "web_form");
        EXPECT_TRUE(change.evidence().written());
        EXPECT_EQ(change.evidence().disclosure_sha256().size(), 32U);
        EXPECT_EQ(change.evidence().at_us(), envelope.ingest_time_us());
      }
    } else if (input.topic == Topic::kInboundMessages) {
      ++inbound[envelope.inbound_message().body().plain()];
      EXPECT_EQ(envelope.inbound_message().to_number(), kNumber);
    }
  });
  EXPECT_EQ(consented.size(), kCustomers);
  EXPECT_EQ(revoked, 3);
  EXPECT_EQ(inbound["START"], 5);
  EXPECT_EQ(inbound["help"], 4);
  int all = 0;
  for (const auto& [text, count] : inbound) {
    all += count;
  }
  EXPECT_EQ(all - inbound["START"] - inbound["help"], 12) << "STOPs, in many spellings";
}

TEST(DemoHistoryTest, LunchTimeIsBusierThanTheNight) {
  std::map<std::int64_t, int> orders;  // By the hour of the day, UTC.
  ForEach(Month(), [&](const Step&, const Input&, const v1::Envelope& envelope) {
    if (envelope.type() == "order.placed") {
      ++orders[envelope.event_time_us() / 3'600'000'000 % 24];
    }
  });
  EXPECT_GT(orders[16], 20 * std::max(orders[6], 1));
  EXPECT_GT(orders[16], orders[20]);
}

TEST(DemoHistoryTest, SomeEventsAreToldTwiceAndSomeTooLate) {
  std::map<std::string, int> ids;
  int late = 0;
  ForEach(Month(), [&](const Step& step, const Input& input, const v1::Envelope& envelope) {
    if (input.topic == Topic::kSiteEvents) {
      ++ids[envelope.source() + envelope.id()];
      late += step.at - FromMicros(envelope.event_time_us()) > std::chrono::hours{2} ? 1 : 0;
    }
  });
  int twice = 0;
  for (const auto& [id, count] : ids) {
    EXPECT_LE(count, 2) << id;
    twice += count == 2 ? 1 : 0;
  }
  EXPECT_GT(twice, 5);
  EXPECT_GT(late, 1);
}

TEST(DemoHistoryTest, ADayAloneIsAStoryToo) {
  const History day = Make({.rng_seed = 3, .end = kEnd, .days = 1, .events_min = 666});
  EXPECT_GE(day.events, 666U);
  EXPECT_LE(day.steps.back().at, kEnd - kQuietEnd);
}

}  // namespace
}  // namespace alertstream::seed
