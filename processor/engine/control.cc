// Account changes: tenants, sites, plans, senders, triggers, and the partition's own switches.
// Here, and nowhere else, their validity is decided; every change answers with a fact.
#include <algorithm>

#include <fmt/format.h>

#include "processor/engine/fold_context.h"
#include "processor/engine/gates/recipient.h"
#include "processor/engine/redrive.h"
#include "schemas/personal.h"

namespace alertstream::engine {
namespace {

struct Change {
  FoldContext& context;
  const RecordRef& ref;
  const v1::Envelope& envelope;
  const v1::AccountChange& change;
  v1::Fact fact;
};

// The entity's new version, or nothing if the change was rejected or changes nothing (the fact is
// then already added). `same`: what is asked for is what is in force.
bool NextVersion(Change& c, std::uint64_t present, bool same, std::uint64_t* next) {
  c.fact.set_version(present);
  if (c.change.expected_version() != 0 && c.change.expected_version() != present) {
    c.context.Reject(&c.fact, v1::REJECT_REASON_VERSION_MISMATCH,
                     fmt::format("expected version {}, the present one is {}",
                                 c.change.expected_version(), present));
    return false;
  }
  if (same) {
    c.context.AddFact(c.fact);
    return false;
  }
  *next = present + 1;
  c.fact.set_version(*next);
  return true;
}

bool Same(const google::protobuf::MessageLite& a, const google::protobuf::MessageLite& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

// Sites, plans and senders: one key, no further rules.
template <typename StateMessage, typename Message>
void FoldEntity(Change& c, Table table, const Message& wanted,
                Message* (StateMessage::*mutable_of)(),
                const Message& (StateMessage::*of)() const) {
  const StateKey key = StateKey(c.envelope.routing_key(), table).Bytes(wanted.id());
  StateMessage stored;
  const bool exists = c.context.Load(key, &stored);
  std::uint64_t version = 0;
  if (!NextVersion(c, stored.version(), exists && Same((stored.*of)(), wanted), &version)) {
    return;
  }
  stored.set_version(version);
  *(stored.*mutable_of)() = wanted;
  stored.set_source(c.ref.record->offset);
  c.context.Store(key, stored);
  c.context.ForgetRules(c.envelope.routing_key());
  c.context.AddFact(c.fact);
}

void FoldTenant(Change& c, const v1::Tenant& wanted) {
  *c.fact.mutable_tenant_change()->mutable_tenant() = wanted;
  const StateKey key(c.envelope.routing_key(), Table::kTenant);
  v1::TenantState stored;
  const bool exists = c.context.Load(key, &stored);
  std::uint64_t version = 0;
  if (!NextVersion(c, stored.version(), exists && Same(stored.tenant(), wanted), &version)) {
    return;
  }
  stored.set_version(version);
  *stored.mutable_tenant() = wanted;
  stored.set_source(c.ref.record->offset);
  c.context.Store(key, stored);
  c.context.ForgetRules(c.envelope.routing_key());
  c.context.AddFact(c.fact);
}

// Null if the tenant does not exist; the fact is then already added.
bool LoadTenant(Change& c, v1::TenantState* tenant) {
  if (c.context.Load(StateKey(c.envelope.routing_key(), Table::kTenant), tenant)) {
    return true;
  }
  c.context.Reject(&c.fact, v1::REJECT_REASON_UNKNOWN_TENANT,
                   "the tenant does not exist; apply its tenant record first");
  return false;
}

void FoldSender(Change& c, const v1::Sender& wanted) {
  *c.fact.mutable_sender()->mutable_sender() = wanted;
  v1::TenantState tenant;
  if (!LoadTenant(c, &tenant)) {
    return;
  }
  const bool was_default = tenant.default_sender() == wanted.id();
  FoldEntity<v1::SenderState>(c, Table::kSender, wanted, &v1::SenderState::mutable_sender,
                              &v1::SenderState::sender);
  if (c.fact.result() == v1::FACT_RESULT_ACCEPTED && was_default != wanted.is_default()) {
    tenant.set_default_sender(wanted.is_default() ? wanted.id() : "");
    c.context.Store(StateKey(c.envelope.routing_key(), Table::kTenant), tenant);
    c.context.ForgetRules(c.envelope.routing_key());
  }
}

// Why the trigger cannot be accepted, if it cannot. Its fields were checked one by one before it
// got here (schemas/envelope_check.h).
std::optional<std::pair<v1::RejectReason, std::string>> Problem(const v1::Trigger& trigger,
                                                                RuleCompiler& compiler) {
  using Result = std::pair<v1::RejectReason, std::string>;
  if (const auto condition = compiler.CompileCondition(trigger.when()); !condition.ok()) {
    return Result{v1::REJECT_REASON_INVALID_CONDITION, "when: " + condition.error().message()};
  }
  if (const auto body = compiler.CompileTemplate(trigger.template_body()); !body.ok()) {
    return Result{v1::REJECT_REASON_INVALID_TEMPLATE, "template: " + body.error().message()};
  }
  const std::string& field = trigger.recipients().field();
  if (!field.empty() && field != "data" && !field.starts_with("data.")) {
    return Result{v1::REJECT_REASON_INVALID_FIELD,
                  "recipients.field: expected a path that begins with data"};
  }
  const auto& list = trigger.recipients().list().addresses();
  for (int i = 0; i < list.size(); ++i) {
    const auto raw = schemas::Unseal(list.Get(i));
    const auto address = raw.ok() ? NormalizeAddress(AddressKindOf(trigger.channel()), raw.value())
                                  : alertstream::Result<std::string>(raw.error());
    if (!address.ok()) {
      return Result{v1::REJECT_REASON_INVALID_FIELD,
                    fmt::format("recipients.list[{}]: {}", i, address.error().message())};
    }
  }
  return std::nullopt;
}

void FoldTrigger(Change& c, const v1::Trigger& wanted) {
  *c.fact.mutable_trigger()->mutable_trigger() = wanted;
  v1::TenantState tenant;
  if (!LoadTenant(c, &tenant)) {
    return;
  }
  const std::string& key = c.envelope.routing_key();
  v1::TriggerState stored;
  const bool exists = c.context.Load(StateKey(key, Table::kTrigger).Bytes(wanted.id()), &stored);
  c.fact.set_version(stored.version());
  if (stored.trigger().deleted() && !wanted.deleted()) {
    c.context.Reject(&c.fact, v1::REJECT_REASON_INVALID_FIELD,
                     "id: this trigger was deleted for good; use another id");
    return;
  }
  if (const auto problem = Problem(wanted, c.context.compiler)) {
    c.context.Reject(&c.fact, problem->first, problem->second);
    return;
  }
  if (!exists && tenant.trigger_ids_size() >= static_cast<int>(kTriggersPerTenantMax)) {
    c.context.Reject(&c.fact, v1::REJECT_REASON_LIMIT,
                     fmt::format("a tenant has at most {} triggers", kTriggersPerTenantMax));
    return;
  }
  std::uint64_t version = 0;
  if (!NextVersion(c, stored.version(), exists && Same(stored.trigger(), wanted), &version)) {
    return;
  }
  stored.set_version(version);
  *stored.mutable_trigger() = wanted;
  stored.set_source(c.ref.record->offset);
  c.context.Store(StateKey(key, Table::kTrigger).Bytes(wanted.id()), stored);
  c.context.Store(
      StateKey(key, Table::kTriggerVersion).Bytes(wanted.id()).Byte(0).Number64(version), stored);
  if (!exists) {
    auto* ids = tenant.mutable_trigger_ids();
    *ids->Add() = wanted.id();
    std::sort(ids->begin(), ids->end());
    c.context.Store(StateKey(key, Table::kTenant), tenant);
  }
  c.context.ForgetRules(key);
  c.context.AddFact(c.fact);
}

void FoldEngineActivate(Change& c, const v1::EngineActivate& wanted) {
  c.fact.mutable_engine()->set_engine_version(wanted.engine_version());
  // The runner raises the version in force by a BARRIER record once this batch is committed;
  // whether this program supports it is not part of history, so only the order is judged here.
  v1::EngineState engine;
  c.context.Load(StateKey(schemas::kLogKey, Table::kEngine), &engine);
  const std::uint32_t highest = std::max(c.context.engine_version, engine.engine_version());
  if (wanted.engine_version() <= highest) {
    c.context.Reject(
        &c.fact, v1::REJECT_REASON_ENGINE_VERSION,
        fmt::format("version {} is in force or asked for; a version is never lowered", highest));
    return;
  }
  engine.set_engine_version(wanted.engine_version());
  engine.set_source(c.ref.record->offset);
  c.context.Store(StateKey(schemas::kLogKey, Table::kEngine), engine);
  c.context.AddFact(c.fact);
}

template <typename Message>
bool NeedsTenant(Change& c, Message* subject, const typename std::decay_t<Message>& wanted) {
  *subject = wanted;
  v1::TenantState tenant;
  return LoadTenant(c, &tenant);
}

}  // namespace

void FoldAccountChange(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope) {
  const v1::AccountChange& change = envelope.account_change();
  Change c{context, ref, envelope, change, context.MakeFact(ref, envelope)};
  switch (change.change_case()) {
    case v1::AccountChange::kTenant:
      return FoldTenant(c, change.tenant());
    case v1::AccountChange::kSite:
      if (NeedsTenant(c, c.fact.mutable_site()->mutable_site(), change.site())) {
        FoldEntity<v1::SiteState>(c, Table::kSite, change.site(), &v1::SiteState::mutable_site,
                                  &v1::SiteState::site);
      }
      return;
    case v1::AccountChange::kPlan:
      if (NeedsTenant(c, c.fact.mutable_plan()->mutable_plan(), change.plan())) {
        FoldEntity<v1::PlanState>(c, Table::kPlan, change.plan(), &v1::PlanState::mutable_plan,
                                  &v1::PlanState::plan);
      }
      return;
    case v1::AccountChange::kSender:
      return FoldSender(c, change.sender());
    case v1::AccountChange::kTrigger:
      return FoldTrigger(c, change.trigger());
    case v1::AccountChange::kEngineActivate:
      return FoldEngineActivate(c, change.engine_activate());
    case v1::AccountChange::kDeadLetterAction:
      return FoldDeadLetterAction(context, ref, envelope);
    case v1::AccountChange::kSkipRequested:  // Read ahead by a stopped task; no state of its own.
    case v1::AccountChange::kLogMarker:
    case v1::AccountChange::CHANGE_NOT_SET:
      return;
  }
}

}  // namespace alertstream::engine
