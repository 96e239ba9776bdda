#include "tests/simulation/workload.h"

#include <fmt/format.h>

namespace alertstream::simulation {
namespace {

using schemas::Topic;

constexpr const char* kTenants[] = {"acme", "bolt"};

}  // namespace

Workload::Workload(World& world, runtime::StoryWriter& writer, std::uint64_t seed)
    : world_(world),
      writer_(writer),
      rng_(seed ^ 0x776f726bULL),
      restricting_(rng_.Chance(0.5) ? 0.1 : 0.35),
      duplicates_(rng_.Chance(0.5) ? 0.1 : 0.4),
      pause_max_(rng_.Chance(0.3) ? 60'000 : 250'000) {}

void Workload::Note(Topic topic, const log::Appended& appended, Input input) {
  input.at = appended.append_time;
  inputs_[{topic, appended.offset}] = std::move(input);
}

void Workload::Plan(const std::string& tenant) {
  v1::Envelope envelope;
  envelope.set_trust(v1::TRUST_SYSTEM);
  envelope.set_actor("simulation");
  auto* plan = envelope.mutable_account_change()->mutable_plan();
  plan->set_id("basic");
  plan->set_sends_per_month_max(kQuota);
  writer_.Put(Topic::kAccountChanges, envelope, tenant);
  auto* entity = envelope.mutable_account_change()->mutable_tenant();
  entity->set_status(v1::TENANT_STATUS_ACTIVE);
  entity->set_plan("basic");
  entity->set_unknown_wait_us(2'000'000);
  writer_.Put(Topic::kAccountChanges, envelope, tenant);
}

void Workload::Rule(const std::string& tenant, const std::string& text) {
  writer_.Trigger(tenant, "paid", [&](v1::Trigger* trigger) {
    trigger->set_daily_cap(kDailyCap);
    trigger->set_template_body(text);
  });
}

void Workload::Setup() {
  for (const char* tenant : kTenants) {
    writer_.Tenant(tenant);
    Plan(tenant);
    Rule(tenant, "Order of {{data.amount}}");
  }
}

void Workload::Run(Micros end) {
  while (world_.now() < end) {
    world_.Sleep(rng_.Time(Micros{500}, pause_max_));
    // People and systems act in bursts, and what belongs together comes close together.
    for (std::uint64_t n = 1 + rng_.Below(4); n > 0; --n) {
      One();
      world_.Sleep(rng_.Time(Micros{1}, rng_.Chance(0.2) ? Micros{400'000} : Micros{3'000}));
    }
  }
}

void Workload::One() {
  const std::string tenant = kTenants[rng_.Below(2)];
  const std::string phone = fmt::format("+2547123456{:02}", rng_.Below(kPhones));
  Input input{.kind = InputKind::kEvent, .tenant = tenant, .phone = phone};
  if (rng_.Chance(restricting_)) {
    const std::uint64_t what = rng_.Below(6);
    if (what == 0) {
      input.kind = InputKind::kOptOut;
      Note(Topic::kOptOuts, writer_.OptOut(tenant, phone), input);
    } else if (what == 1) {
      input.kind = InputKind::kStop;
      Note(Topic::kInboundMessages, writer_.Inbound(tenant, "STOP", phone), input);
    } else if (what == 2) {
      input.kind = InputKind::kRevoke;
      Note(Topic::kConsentChanges, writer_.Consent(tenant, v1::CONSENT_STATUS_REVOKED, phone),
           input);
    } else if (what == 3) {
      input.kind = InputKind::kGrant;
      Note(Topic::kConsentChanges, writer_.Consent(tenant, v1::CONSENT_STATUS_GRANTED, phone),
           input);
    } else {
      input.kind = InputKind::kStart;
      Note(Topic::kInboundMessages, writer_.Inbound(tenant, "START", phone), input);
    }
    return;
  }
  if (rng_.Chance(0.03)) {
    input.kind = InputKind::kPoison;
    Note(Topic::kSiteEvents, writer_.Raw(Topic::kSiteEvents, tenant, "{broken", 0), input);
    return;
  }
  if (rng_.Chance(0.03)) {
    Rule(tenant, fmt::format("Text {} of {{{{data.amount}}}}", rng_.Below(100)));
    return;
  }
  if (events_ > 0 && rng_.Chance(duplicates_)) {
    // An earlier id of this tenant, with its own body or with somebody else's.
    const auto n = rng_.Below(static_cast<std::uint64_t>(events_));
    input.id = fmt::format("o{}", n);
    for (const auto& [place, earlier] : inputs_) {
      if (earlier.kind == InputKind::kEvent && earlier.tenant == tenant && earlier.id == input.id &&
          !rng_.Chance(0.1)) {
        input.phone = earlier.phone;
        break;
      }
    }
  } else {
    input.id = fmt::format("o{}", events_++);
  }
  input.body = input.phone;
  Note(Topic::kSiteEvents, writer_.Order(tenant, input.id, input.phone), input);
}

}  // namespace alertstream::simulation
