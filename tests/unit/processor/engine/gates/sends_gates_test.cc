// The gates that count what was sent: cooldown, daily cap, plan quota.
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "processor/engine/gates/cooldown.h"
#include "processor/engine/gates/daily_cap.h"
#include "processor/engine/gates/plan_quota.h"

namespace alertstream::engine {
namespace {

using namespace std::chrono_literals;

constexpr LogTime kNow = FromMicros(1'795'176'000'000'000);
constexpr LogDuration kTick{1};

// SENDs so long before kNow, the last by the event at offset 7.
v1::SendState SentBefore(const std::vector<LogDuration>& ages) {
  v1::SendState sends;
  for (const auto age : ages) {
    sends.add_sent_us(ToMicros(kNow - age));
  }
  sends.mutable_source()->set_topic(1);
  sends.mutable_source()->set_offset(7);
  return sends;
}

TEST(CooldownGateTest, HoldsBackUntilTheCooldownIsOver) {
  struct Case {
    std::vector<LogDuration> ages;
    LogDuration cooldown;
    bool passed;
    std::int64_t observed;
  };
  const std::vector<Case> cases = {
      {{}, 10min, true, -1},
      {{0s}, 10min, false, 0},
      {{10min - kTick}, 10min, false, 599'999'999},
      {{10min}, 10min, true, 600'000'000},
      {{3h, 5min}, 10min, false, 300'000'000},  // The last one counts.
      {{0s}, 0s, true, 0},                      // None asked for.
  };
  for (const auto& each : cases) {
    const GateOutcome outcome = CooldownGate(SentBefore(each.ages), each.cooldown, kNow);
    EXPECT_EQ(outcome.passed, each.passed) << each.observed;
    EXPECT_EQ(outcome.observed, each.observed);
    EXPECT_EQ(outcome.limit, each.cooldown.count());
    if (!outcome.passed) {
      EXPECT_EQ(outcome.outcome, v1::OUTCOME_SUPPRESS);
      EXPECT_EQ(outcome.reason, v1::REASON_COOLDOWN);
      EXPECT_EQ(outcome.source.offset, 7);
    }
  }
}

TEST(DailyCapGateTest, CountsTheSendsOfTheLast24Hours) {
  struct Case {
    std::vector<LogDuration> ages;
    std::uint32_t cap;
    bool passed;
    std::int64_t observed;
  };
  const std::vector<Case> cases = {
      {{}, 1, true, 0},
      {{0s}, 1, false, 1},
      {{24h - kTick}, 1, false, 1},
      {{24h}, 1, true, 0},  // The same minute tomorrow is allowed.
      {{25h, 24h, 23h, 1h}, 3, true, 2},
      {{23h, 2h, 1h}, 3, false, 3},
      {{3h, 2h, 1h}, 0, true, 3},  // No cap.
  };
  for (const auto& each : cases) {
    const GateOutcome outcome = DailyCapGate(SentBefore(each.ages), each.cap, kNow);
    EXPECT_EQ(outcome.passed, each.passed) << each.ages.size() << " of " << each.cap;
    EXPECT_EQ(outcome.observed, each.observed);
    EXPECT_EQ(outcome.limit, each.cap);
    if (!outcome.passed) {
      EXPECT_EQ(outcome.outcome, v1::OUTCOME_SUPPRESS);
      EXPECT_EQ(outcome.reason, v1::REASON_DAILY_CAP);
      EXPECT_EQ(outcome.source.offset, 7);
    }
  }
}

TEST(DailyCapGateTest, RecordSendForgetsWhatCanNoLongerCount) {
  v1::SendState sends = SentBefore({25h, 24h, 23h});
  RecordSend(kNow, &sends);
  ASSERT_EQ(sends.sent_us_size(), 2);
  EXPECT_EQ(sends.sent_us(0), ToMicros(kNow - 23h));
  EXPECT_EQ(sends.sent_us(1), ToMicros(kNow));
}

TEST(DailyCapGateTest, RecordSendKeepsAsManyAsTheLargestCap) {
  v1::SendState sends;
  for (std::uint32_t i = 0; i < kDailyCapMax + 5; ++i) {
    RecordSend(kNow + LogDuration{i}, &sends);
  }
  ASSERT_EQ(sends.sent_us_size(), static_cast<int>(kDailyCapMax));
  EXPECT_EQ(sends.sent_us(0), ToMicros(kNow) + 5);
  EXPECT_FALSE(DailyCapGate(sends, kDailyCapMax, kNow + 1s).passed);
}

TEST(PlanQuotaGateTest, StopsAtThePlansLimit) {
  constexpr bool kNamed = true;
  constexpr bool kExists = true;
  struct Case {
    PlanLimit plan;
    std::int64_t sends;
    v1::Reason reason;
  };
  const std::vector<Case> cases = {
      {{}, 1'000'000, v1::REASON_UNSPECIFIED},  // A tenant without a plan.
      {{kNamed, false, 0, 0, {}}, 0, v1::REASON_PLAN_MISSING},
      {{kNamed, kExists, 3, 1, {}}, 0, v1::REASON_UNSPECIFIED},
      {{kNamed, kExists, 3, 1, {}}, 2, v1::REASON_UNSPECIFIED},
      {{kNamed, kExists, 3, 1, {}}, 3, v1::REASON_QUOTA_EXCEEDED},
      {{kNamed, kExists, 3, 1, {}}, 4, v1::REASON_QUOTA_EXCEEDED},
      {{kNamed, kExists, 0, 1, {}}, 0, v1::REASON_QUOTA_EXCEEDED},
  };
  for (const auto& each : cases) {
    const GateOutcome outcome = PlanQuotaGate(each.plan, each.sends);
    EXPECT_EQ(outcome.reason, each.reason) << each.sends;
    EXPECT_EQ(outcome.passed, each.reason == v1::REASON_UNSPECIFIED);
    EXPECT_EQ(outcome.observed, each.sends);
  }
}

TEST(PlanQuotaGateTest, AMonthIsACalendarMonthInUtc) {
  struct Case {
    std::int64_t at_us;
    std::uint32_t month;
  };
  const std::vector<Case> cases = {
      {0, 197001},
      {1'767'225'599'999'999, 202512},  // The last microsecond of 2025.
      {1'767'225'600'000'000, 202601},
      {1'772'323'199'999'999, 202602},  // 28 February 2026.
      {1'772'323'200'000'000, 202603},
      {1'835'395'200'000'000, 202802},  // 29 February 2028.
  };
  for (const auto& each : cases) {
    EXPECT_EQ(MonthOf(FromMicros(each.at_us)), each.month) << each.at_us;
  }
}

}  // namespace
}  // namespace alertstream::engine
