// The gates of the event itself: tenant, site, dedupe, expiry.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "processor/engine/gates/dedupe.h"
#include "processor/engine/gates/expiry.h"
#include "processor/engine/gates/tenant.h"

namespace alertstream::engine {
namespace {

using namespace std::chrono_literals;

constexpr LogTime kNow = FromMicros(1'795'176'000'000'000);
constexpr LogDuration kTick{1};

TEST(TenantGateTest, OnlyAnActiveTenantPasses) {
  EXPECT_EQ(TenantGate(nullptr), v1::DEAD_LETTER_REASON_UNKNOWN_TENANT);
  struct Case {
    v1::TenantStatus status;
    std::optional<v1::DeadLetterReason> fault;
  };
  const std::vector<Case> cases = {
      {v1::TENANT_STATUS_ACTIVE, std::nullopt},
      {v1::TENANT_STATUS_SUSPENDED, v1::DEAD_LETTER_REASON_TENANT_NOT_ACTIVE},
      {v1::TENANT_STATUS_CLOSED, v1::DEAD_LETTER_REASON_TENANT_NOT_ACTIVE},
      {v1::TENANT_STATUS_UNSPECIFIED, v1::DEAD_LETTER_REASON_TENANT_NOT_ACTIVE},
  };
  for (const auto& each : cases) {
    v1::TenantState tenant;
    tenant.mutable_tenant()->set_status(each.status);
    EXPECT_EQ(TenantGate(&tenant), each.fault) << each.status;
  }
}

TEST(SiteGateTest, ANamedSiteMustExistAndBeActive) {
  v1::SiteState active;
  active.mutable_site()->set_status(v1::SITE_STATUS_ACTIVE);
  v1::SiteState disabled;
  disabled.mutable_site()->set_status(v1::SITE_STATUS_DISABLED);
  EXPECT_EQ(SiteGate("", nullptr), std::nullopt);
  EXPECT_EQ(SiteGate("shop", nullptr), v1::DEAD_LETTER_REASON_UNKNOWN_SITE);
  EXPECT_EQ(SiteGate("shop", &disabled), v1::DEAD_LETTER_REASON_SITE_NOT_ACTIVE);
  EXPECT_EQ(SiteGate("shop", &active), std::nullopt);
}

TEST(DedupeGateTest, AKeyIsRememberedForSevenDays) {
  struct Case {
    LogDuration age;
    std::string body;
    DedupeVerdict verdict;
  };
  const std::vector<Case> cases = {
      {0s, "same", DedupeVerdict::kDuplicate},
      {0s, "other", DedupeVerdict::kConflict},
      {168h - kTick, "same", DedupeVerdict::kDuplicate},
      {168h - kTick, "other", DedupeVerdict::kConflict},
      {168h, "same", DedupeVerdict::kFirst},
      {168h, "other", DedupeVerdict::kFirst},
      {1000h, "same", DedupeVerdict::kFirst},
  };
  EXPECT_EQ(DedupeGate(nullptr, "same", kNow), DedupeVerdict::kFirst);
  for (const auto& each : cases) {
    v1::DedupeState seen;
    seen.set_body_sha256("same");
    seen.set_at_us(ToMicros(kNow - each.age));
    EXPECT_EQ(DedupeGate(&seen, each.body, kNow), each.verdict) << each.age.count() << each.body;
  }
}

TEST(ExpiryGateTest, AnEventPassesUpToItsMaximumAge) {
  struct Case {
    LogDuration age;
    bool passed;
    std::int64_t observed;
  };
  const std::vector<Case> cases = {
      {-5s, true, 0},  // From the future: it has just happened.
      {0s, true, 0},
      {10s, true, 10'000'000},
      {10s + kTick, false, 10'000'001},
      {1000h, false, 3'600'000'000'000},
  };
  for (const auto& each : cases) {
    const GateOutcome outcome = ExpiryGate(kNow - each.age, 10s, kNow);
    EXPECT_EQ(outcome.passed, each.passed) << each.age.count();
    EXPECT_EQ(outcome.observed, each.observed);
    EXPECT_EQ(outcome.limit, 10'000'000);
  }
}

}  // namespace
}  // namespace alertstream::engine
