// Pace, breaker, and both together for an account.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "processor/dispatch/account_gates.h"
#include "processor/dispatch/breaker.h"
#include "processor/dispatch/token_bucket.h"

namespace alertstream::dispatch {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using ::testing::ElementsAre;

constexpr microseconds kStart = 1h;

TEST(TokenBucketTest, LetsABurstGoAndThenThePace) {
  TokenBucket bucket({.per_second = 10, .burst = 3}, kStart);
  const std::pair<microseconds, bool> tries[] = {
      {0ms, true},    {0ms, true},   {0ms, true}, {0ms, false}, {99ms, false}, {100ms, true},
      {150ms, false}, {200ms, true}, {10s, true}, {10s, true},  {10s, true},   {10s, false}};
  for (const auto& [after, expected] : tries) {
    EXPECT_EQ(bucket.TryTake(kStart + after), expected) << after.count();
  }
}

TEST(TokenBucketTest, SaysWhenItIsReady) {
  TokenBucket bucket({.per_second = 4, .burst = 1}, kStart);
  EXPECT_EQ(bucket.ReadyAt(kStart), kStart);
  ASSERT_TRUE(bucket.TryTake(kStart));
  EXPECT_EQ(bucket.ReadyAt(kStart), kStart + 250ms);
  EXPECT_EQ(bucket.ReadyAt(kStart + 100ms), kStart + 250ms);
  EXPECT_FALSE(bucket.TryTake(kStart + 249ms));
  EXPECT_TRUE(bucket.TryTake(kStart + 250ms));
}

TEST(TokenBucketTest, APauseIsNeverShortened) {
  TokenBucket bucket({.per_second = 100, .burst = 10}, kStart);
  bucket.PauseUntil(kStart + 5s);
  bucket.PauseUntil(kStart + 1s);
  EXPECT_EQ(bucket.ReadyAt(kStart + 2s), kStart + 5s);
  EXPECT_FALSE(bucket.TryTake(kStart + 4s));
  EXPECT_TRUE(bucket.TryTake(kStart + 5s));
}

TEST(TokenBucketTest, ASmallerPaceHoldsFromNowOn) {
  TokenBucket bucket({.per_second = 100, .burst = 100}, kStart);
  bucket.SetPace({.per_second = 1, .burst = 1}, kStart);
  EXPECT_TRUE(bucket.TryTake(kStart));
  EXPECT_FALSE(bucket.TryTake(kStart + 999ms));
  EXPECT_TRUE(bucket.TryTake(kStart + 1s));
}

// A time that goes back gives no tokens and takes none.
TEST(TokenBucketTest, TimeThatGoesBackChangesNothing) {
  TokenBucket bucket({.per_second = 1, .burst = 1}, kStart);
  ASSERT_TRUE(bucket.TryTake(kStart));
  EXPECT_FALSE(bucket.TryTake(kStart - 10s));
  EXPECT_TRUE(bucket.TryTake(kStart + 1s));
}

// One letter a step: + healthy, - failed, o neither, ! suspended.
HealthSignal SignalOf(char letter) {
  return letter == '+'   ? HealthSignal::kHealthy
         : letter == '-' ? HealthSignal::kFailed
         : letter == '!' ? HealthSignal::kSuspended
                         : HealthSignal::kNeutral;
}

TEST(BreakerTest, OpensByFailuresInARowOrByTheirShare) {
  struct Case {
    const char* results;
    CircuitState expected;
  };
  // Three in a row, or four of the last eight.
  const BreakerOptions options{.failures_in_row = 3, .window = 8, .failed_share = 0.5};
  const Case cases[] = {
      {"--", CircuitState::kClosed},         {"---", CircuitState::kOpen},
      {"--+--", CircuitState::kClosed},      {"--o-", CircuitState::kOpen},
      {"oooooooooo", CircuitState::kClosed}, {"-+-+-+-", CircuitState::kClosed},
      {"-+-+-+-+", CircuitState::kOpen},     {"-+-+-++++-", CircuitState::kClosed},
      {"+++!", CircuitState::kSuspended},    {"---!", CircuitState::kSuspended},
      {"!++++", CircuitState::kSuspended},
  };
  for (const Case& test : cases) {
    Breaker breaker(options);
    for (const char letter : std::string(test.results)) {
      breaker.OnResult(SignalOf(letter), false, kStart);
    }
    EXPECT_EQ(breaker.state(), test.expected) << test.results;
  }
}

TEST(BreakerTest, EveryClassSaysWhatItMeansForHealth) {
  const std::pair<OutcomeClass, HealthSignal> cases[] = {
      {v1::ATTEMPT_CLASS_ACCEPTED, HealthSignal::kHealthy},
      {v1::ATTEMPT_CLASS_RETRY, HealthSignal::kFailed},
      {v1::ATTEMPT_CLASS_THROTTLE, HealthSignal::kNeutral},
      {v1::ATTEMPT_CLASS_AMBIGUOUS, HealthSignal::kFailed},
      {v1::ATTEMPT_CLASS_PERM_ADDRESS, HealthSignal::kHealthy},
      {v1::ATTEMPT_CLASS_PERM_REQUEST, HealthSignal::kHealthy},
      {v1::ATTEMPT_CLASS_OPT_OUT, HealthSignal::kHealthy},
      {v1::ATTEMPT_CLASS_WINDOW, HealthSignal::kHealthy},
      {v1::ATTEMPT_CLASS_SUSPEND, HealthSignal::kSuspended},
  };
  for (const auto& [outcome, expected] : cases) {
    EXPECT_EQ(HealthSignalOf(outcome), expected) << OutcomeName(outcome);
  }
}

TEST(BreakerTest, HalfOpenLetsOneProbeThrough) {
  Breaker breaker({.failures_in_row = 1, .open_min = 1s});
  breaker.OnResult(HealthSignal::kFailed, false, kStart);
  EXPECT_FALSE(breaker.Allows(kStart + 999ms));
  ASSERT_TRUE(breaker.Allows(kStart + 1s));
  EXPECT_TRUE(breaker.OnStart());
  EXPECT_EQ(breaker.state(), CircuitState::kHalfOpen);
  EXPECT_FALSE(breaker.Allows(kStart + 1h));
  // Calls from before say nothing any more.
  breaker.OnResult(HealthSignal::kHealthy, false, kStart + 2s);
  breaker.OnResult(HealthSignal::kFailed, false, kStart + 2s);
  EXPECT_EQ(breaker.state(), CircuitState::kHalfOpen);
  breaker.OnResult(HealthSignal::kHealthy, true, kStart + 3s);
  EXPECT_EQ(breaker.state(), CircuitState::kClosed);
  EXPECT_FALSE(breaker.OnStart());
}

TEST(BreakerTest, APauseGrowsToItsLimitAndBeginsAnewOnceItWasClosed) {
  Breaker breaker({.failures_in_row = 1, .open_min = 1s, .open_max = 5s});
  std::vector<std::int64_t> pauses;
  microseconds now = kStart;
  breaker.OnResult(HealthSignal::kFailed, false, now);
  for (int i = 0; i < 5; ++i) {
    pauses.push_back((breaker.open_until() - now) / 1s);
    now = breaker.open_until();
    ASSERT_TRUE(breaker.OnStart());
    breaker.OnResult(HealthSignal::kFailed, true, now);
  }
  EXPECT_THAT(pauses, ElementsAre(1, 2, 4, 5, 5));
  now = breaker.open_until();
  ASSERT_TRUE(breaker.OnStart());
  breaker.OnResult(HealthSignal::kNeutral, true, now);  // A throttle: it answers.
  ASSERT_EQ(breaker.state(), CircuitState::kClosed);
  breaker.OnResult(HealthSignal::kFailed, false, now);
  EXPECT_EQ(breaker.open_until(), now + 1s);
}

TEST(BreakerTest, AProbeThatWasNotMadeMayBeMadeAgain) {
  Breaker breaker({.failures_in_row = 1, .open_min = 1s});
  breaker.OnResult(HealthSignal::kFailed, false, kStart);
  ASSERT_TRUE(breaker.OnStart());
  breaker.AbandonProbe();
  EXPECT_TRUE(breaker.Allows(kStart + 1s));
}

ProviderAccount Account(const std::string& token = "secret") {
  ProviderAccount account;
  account.provider = "twilio";
  account.name = "main";
  account.auth_tokens = {Redacted<std::string>(token)};
  account.sends_per_second = 2;
  account.burst = 2;
  return account;
}

// What an admission to this account carries.
Digest OfAccount(const std::string& token = "secret") {
  return AccountGates({}).TryStart(Account(token), kStart).credentials;
}

TEST(AccountGatesTest, SaysWhetherThePaceOrTheBreakerIsInTheWay) {
  AccountGates gates({.failures_in_row = 1, .open_min = 3s});
  EXPECT_TRUE(gates.TryStart(Account(), kStart).go);
  EXPECT_TRUE(gates.TryStart(Account(), kStart).go);
  const auto pace = gates.TryStart(Account(), kStart);
  EXPECT_FALSE(pace.go);
  EXPECT_FALSE(pace.circuit);
  EXPECT_EQ(pace.retry_at, kStart + 500ms);
  gates.OnOutcome("twilio", "main", false, OfAccount(),
                  {.result = v1::ATTEMPT_CLASS_RETRY, .code = "http_500"}, kStart);
  const auto circuit = gates.TryStart(Account(), kStart + 1s);
  EXPECT_FALSE(circuit.go);
  EXPECT_TRUE(circuit.circuit);
  EXPECT_EQ(circuit.retry_at, kStart + 3s);
  const auto all = gates.All(kStart + 1s);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].code, "http_500");
  EXPECT_EQ(all[0].probe_in, 2s);
}

TEST(AccountGatesTest, AThrottlePausesAsLongAsTheProviderSaidOrASecond) {
  const std::pair<std::optional<std::chrono::seconds>, microseconds> cases[] = {
      {std::nullopt, 1s}, {std::chrono::seconds(7), 7s}, {std::chrono::seconds(0), 0s}};
  for (const auto& [asked, pause] : cases) {
    AccountGates gates({});
    ASSERT_TRUE(gates.TryStart(Account(), kStart).go);
    gates.OnOutcome("twilio", "main", false, OfAccount(),
                    {.result = v1::ATTEMPT_CLASS_THROTTLE, .retry_after = asked}, kStart);
    if (pause > 0s) {
      EXPECT_FALSE(gates.TryStart(Account(), kStart + pause - 1us).go);
    }
    EXPECT_TRUE(gates.TryStart(Account(), kStart + pause).go);
  }
}

TEST(AccountGatesTest, ASuspensionEndsByResetOrByOtherCredentialsOnly) {
  const Outcome refused{.result = v1::ATTEMPT_CLASS_SUSPEND, .code = "20003"};
  std::vector<std::string> states;
  AccountGates gates({}, [&](std::string_view, std::string_view, CircuitState state) {
    states.emplace_back(CircuitStateName(state));
  });
  ASSERT_TRUE(gates.TryStart(Account(), kStart).go);
  gates.OnOutcome("twilio", "main", false, OfAccount(), refused, kStart);
  auto other_pace = Account();
  other_pace.sends_per_second = 50;
  const auto waiting = gates.TryStart(other_pace, kStart + 1h);
  EXPECT_FALSE(waiting.go);
  EXPECT_EQ(waiting.retry_at, microseconds::max());
  EXPECT_TRUE(gates.TryStart(Account("another"), kStart + 1h).go);
  gates.OnOutcome("twilio", "main", false, OfAccount("another"), refused, kStart + 1h);
  EXPECT_FALSE(gates.TryStart(Account("another"), kStart + 2h).go);
  EXPECT_TRUE(gates.Reset("twilio", "main"));
  EXPECT_TRUE(gates.TryStart(Account("another"), kStart + 2h).go);
  EXPECT_FALSE(gates.Reset("twilio", "nobody"));
  EXPECT_THAT(states, ElementsAre("closed", "suspended", "closed", "suspended", "closed"));
}

TEST(AccountGatesTest, ALateRefusalOfOldCredentialsSaysNothingAboutTheNewOnes) {
  const Outcome refused{.result = v1::ATTEMPT_CLASS_SUSPEND, .code = "20003"};
  AccountGates gates({.failures_in_row = 1, .open_min = 1s});
  const auto old = gates.TryStart(Account(), kStart);
  ASSERT_TRUE(gates.TryStart(Account("another"), kStart).go);
  gates.OnOutcome("twilio", "main", old.probe, old.credentials, refused, kStart);
  EXPECT_EQ(gates.All(kStart)[0].state, CircuitState::kClosed);
  // A probe that was made with them has found out nothing: the next one may.
  gates.OnOutcome("twilio", "main", false, OfAccount("another"),
                  {.result = v1::ATTEMPT_CLASS_RETRY}, kStart);
  const auto probe = gates.TryStart(Account("another"), kStart + 10s);
  ASSERT_TRUE(probe.probe);
  EXPECT_FALSE(gates.TryStart(Account("third"), kStart + 11s).go);
  gates.OnOutcome("twilio", "main", probe.probe, probe.credentials, refused, kStart + 11s);
  EXPECT_TRUE(gates.TryStart(Account("third"), kStart + 12s).probe);
}

TEST(AccountGatesTest, TellsWhatIsInTheWay) {
  AccountGates gates({.failures_in_row = 1, .open_min = 3s});
  EXPECT_EQ(gates.OutlookOf("twilio", "main", kStart).per_second, 0);
  ASSERT_TRUE(gates.TryStart(Account(), kStart).go);
  EXPECT_EQ(gates.OutlookOf("twilio", "main", kStart).per_second, 2);
  EXPECT_EQ(gates.OutlookOf("twilio", "main", kStart).paused, 0s);
  gates.OnOutcome("twilio", "main", false, OfAccount(),
                  {.result = v1::ATTEMPT_CLASS_THROTTLE, .retry_after = 60s}, kStart);
  EXPECT_EQ(gates.OutlookOf("twilio", "main", kStart + 20s).paused, 40s);
  EXPECT_FALSE(gates.OutlookOf("twilio", "main", kStart).circuit);
  gates.OnOutcome("twilio", "main", false, OfAccount(), {.result = v1::ATTEMPT_CLASS_RETRY},
                  kStart);
  EXPECT_TRUE(gates.OutlookOf("twilio", "main", kStart).circuit);
}

TEST(AccountGatesTest, AnAbandonedProbeIsGivenToTheNext) {
  AccountGates gates({.failures_in_row = 1, .open_min = 1s});
  ASSERT_TRUE(gates.TryStart(Account(), kStart).go);
  gates.OnOutcome("twilio", "main", false, OfAccount(), {.result = v1::ATTEMPT_CLASS_AMBIGUOUS},
                  kStart);
  const auto probe = gates.TryStart(Account(), kStart + 1s);
  ASSERT_TRUE(probe.go && probe.probe);
  EXPECT_FALSE(gates.TryStart(Account(), kStart + 2s).go);
  gates.Abandon("twilio", "main", probe.probe);
  EXPECT_TRUE(gates.TryStart(Account(), kStart + 2s).probe);
}

}  // namespace
}  // namespace alertstream::dispatch
