#include "processor/engine/events.h"

#include <algorithm>
#include <set>

#include "processor/engine/event_work.h"
#include "processor/engine/gates/dedupe.h"
#include "processor/engine/gates/expiry.h"
#include "processor/engine/gates/tenant.h"
#include "processor/engine/notifications.h"
#include "schemas/personal.h"

namespace alertstream::engine {
namespace {

void SetGate(const GateOutcome& outcome, v1::Gate gate, v1::GateResult* result) {
  result->set_gate(gate);
  result->set_verdict(outcome.passed ? v1::GATE_VERDICT_PASSED : v1::GATE_VERDICT_STOPPED);
  result->set_observed(outcome.observed);
  result->set_limit(outcome.limit);
  if (outcome.source.topic != 0) {
    auto* source = result->mutable_source();
    source->set_topic(outcome.source.topic);
    source->set_partition(outcome.source.partition);
    source->set_offset(outcome.source.offset);
  }
}

std::string_view TokenView(const RecipientToken& token) {
  return {reinterpret_cast<const char*>(token.data()), token.size()};
}

// First 16 bytes of SHA-256 over the parts of the scope and the key, each preceded by its length.
IdBytes DedupeHash(const v1::Envelope& envelope, std::string_view key) {
  Sha256 hash;
  const char trust = static_cast<char>(envelope.trust());
  hash.Update(&trust, 1);
  for (const std::string_view part :
       {std::string_view(envelope.site()), std::string_view(envelope.source()), key}) {
    const std::uint32_t size = static_cast<std::uint32_t>(part.size());
    const char length[4] = {static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                            static_cast<char>(size >> 8), static_cast<char>(size)};
    hash.Update(length, sizeof(length)).Update(part);
  }
  const Digest digest = hash.Final();
  IdBytes bytes;
  std::copy_n(digest.begin(), bytes.size(), bytes.begin());
  return bytes;
}

}  // namespace

void EventFold::FoldEvent(const RecordRef& ref, const v1::Envelope& envelope) {
  Work work;
  work.envelope = &envelope;
  work.tenant = envelope.routing_key();
  work.offset = ref.record->offset;
  work.append_time = ref.record->append_time;
  work.event_time = envelope.event_time_us() == 0 ? ref.record->append_time
                                                  : FromMicros(envelope.event_time_us());
  work.started = context_.now;
  if (context_.redrive) {
    work.retry_of = context_.redrive->action.id();
  }
  record_.Clear();
  if (!PassEventGates(ref, envelope, &work)) {
    return;
  }
  work.plan = work.rules->plan();
  if (work.plan.named) {
    // A plan that is missing has no record of its own: the tenant's names it.
    const std::int64_t offset =
        work.plan.exists ? work.plan.source.offset : work.rules->tenant().source();
    work.plan.source = SourceAt(schemas::Topic::kAccountChanges,
                                static_cast<std::uint32_t>(context_.config.partition), offset);
  }
  if (FindCandidates(&work)) {
    Decide(&work);
  }
}

bool EventFold::FindCandidates(Work* work) {
  candidates_.clear();
  const TriggerSet* triggers = nullptr;
  if (work->direct == nullptr) {
    triggers = work->rules->TriggersOf(work->envelope->type());
    if (triggers == nullptr) {
      return true;
    }
  }
  work->candidates = triggers == nullptr ? 1 : static_cast<std::uint32_t>(triggers->size());
  const LogDuration max_age = triggers == nullptr ? direct_.max_age : triggers->max_age();
  const GateOutcome expiry = ExpiryGate(work->event_time, max_age, context_.now);
  if (!expiry.passed) {
    SetGate(expiry, v1::GATE_EXPIRY, record_.add_gates());
    record_.set_verdict(v1::EVENT_VERDICT_EXPIRED);
    EmitPart(work, false);
    return false;
  }
  if (triggers == nullptr) {
    candidates_.push_back(&direct_);
  } else {
    triggers->Candidates(work->view.data, &candidates_);
  }
  return true;
}

bool EventFold::PassEventGates(const RecordRef& ref, const v1::Envelope& envelope, Work* work) {
  const auto data = schemas::Unseal(envelope.site_event().data());
  if (!data.ok()) {
    context_.AddDeadLetter(ref,
                           {v1::DEAD_LETTER_STAGE_SCHEMA, v1::DEAD_LETTER_REASON_FIELD_INVALID,
                            "data: " + data.error().message()},
                           work->tenant, envelope.type());
    return false;
  }
  if (!data.value().empty()) {
    const Status parsed = document_.Parse(data.value());
    if (!parsed.ok()) {
      context_.AddDeadLetter(ref,
                             schemas::MalformedJson(v1::DEAD_LETTER_STAGE_SCHEMA, parsed.error()),
                             work->tenant, envelope.type());
      return false;
    }
  }
  work->view =
      EventView{.id = envelope.id(),
                .type = envelope.type(),
                .source = envelope.source(),
                .time = work->event_time,
                .data = data.value().empty() ? std::nullopt
                                             : std::optional<schemas::JsonValue>(document_.root())};
  SetGate(Passed(envelope.schema_version(), schemas::kSchemaVersionMax), v1::GATE_SCHEMA,
          record_.add_gates());

  work->rules = context_.RulesOf(work->tenant);
  if (const auto fault = TenantGate(work->rules == nullptr ? nullptr : &work->rules->tenant())) {
    context_.AddDeadLetter(ref, {v1::DEAD_LETTER_STAGE_TENANT, *fault, "routing_key"}, work->tenant,
                           envelope.type());
    return false;
  }
  const auto partition = static_cast<std::uint32_t>(context_.config.partition);
  const v1::TenantState& tenant = work->rules->tenant();
  SetGate(Passed(static_cast<std::int64_t>(tenant.version()), 0,
                 SourceAt(schemas::Topic::kAccountChanges, partition, tenant.source())),
          v1::GATE_TENANT, record_.add_gates());

  const v1::SiteState* site =
      envelope.site().empty() ? nullptr : work->rules->FindSite(envelope.site(), context_.state);
  if (const auto fault = SiteGate(envelope.site(), site)) {
    context_.AddDeadLetter(ref, {v1::DEAD_LETTER_STAGE_TENANT, *fault, "site"}, work->tenant,
                           envelope.type());
    return false;
  }
  SetGate(site == nullptr
              ? Passed()
              : Passed(static_cast<std::int64_t>(site->version()), 0,
                       SourceAt(schemas::Topic::kAccountChanges, partition, site->source())),
          v1::GATE_SITE, record_.add_gates());
  if (!PassDirect(ref, envelope, work)) {
    return false;
  }

  work->id = MakeId(IdCause{.append_time = work->append_time,
                            .tenant = work->tenant,
                            .topic = static_cast<std::uint8_t>(schemas::Topic::kSiteEvents),
                            .partition = partition,
                            .offset = work->offset});
  return PassDedupe(ref, envelope, work);
}

bool EventFold::PassDedupe(const RecordRef& ref, const v1::Envelope& envelope, Work* work) {
  const std::string& key =
      envelope.idempotency().key().empty() ? envelope.id() : envelope.idempotency().key();
  if (key.empty()) {
    SetGate(Passed(), v1::GATE_DEDUPE, record_.add_gates());
    return true;
  }
  const IdBytes hash = DedupeHash(envelope, key);
  const StateKey state_key = StateKey(work->tenant, Table::kDedupe).Bytes(AsView(hash));
  const bool seen = context_.Load(state_key, &dedupe_);
  Digest own_digest;
  std::string_view body = envelope.body_sha256();
  if (body.empty()) {
    const char separator = 0;
    Sha256 digest;
    digest.Update(envelope.type()).Update(&separator, 1);
    digest.Update(envelope.site_event().data().plain());
    if (work->direct != nullptr) {
      digest.Update(&separator, 1).Update(work->direct->SerializeAsString());
    }
    own_digest = digest.Final();
    body = AsView(own_digest);
  }
  const DedupeVerdict verdict = DedupeGate(seen ? &dedupe_ : nullptr, body, context_.now);
  if (verdict == DedupeVerdict::kConflict) {
    context_.AddDeadLetter(
        ref,
        {v1::DEAD_LETTER_STAGE_DEDUPE, v1::DEAD_LETTER_REASON_IDEMPOTENCY_CONFLICT,
         "idempotency_conflict: the id was seen within 7 days with another body, in " +
             FormatId(IdKind::kEvent, dedupe_.event_id())},
        work->tenant, envelope.type());
    return false;
  }
  GateOutcome outcome = Passed();
  if (verdict == DedupeVerdict::kDuplicate) {
    outcome =
        Passed(1, 0,
               SourceAt(schemas::Topic::kSiteEvents,
                        static_cast<std::uint32_t>(context_.config.partition), dedupe_.offset()));
    outcome.passed = false;
    SetGate(outcome, v1::GATE_DEDUPE, record_.add_gates());
    record_.set_verdict(v1::EVENT_VERDICT_DUPLICATE);
    record_.set_duplicate_of(dedupe_.event_id());
    EmitPart(work, false);
    return false;
  }
  SetGate(outcome, v1::GATE_DEDUPE, record_.add_gates());
  dedupe_.Clear();
  dedupe_.set_event_id(work->id.data(), work->id.size());
  dedupe_.set_body_sha256(body.data(), body.size());
  dedupe_.set_at_us(ToMicros(context_.now));
  dedupe_.set_offset(work->offset);
  context_.Store(state_key, dedupe_);
  const std::string_view swept = state_key;
  context_.sweep.mutable_dedupe_sweep()->add_keys(swept.data(), swept.size());
  if (context_.sweep_id.empty()) {
    context_.sweep_id = std::string(AsView(work->id));
  }
  return true;
}

void EventFold::Decide(Work* work) {
  // Rules of many tenants do not stay in any cache: the candidates are fetched side by side instead
  // of one after the other.
  for (const CompiledTrigger* trigger : candidates_) {
    __builtin_prefetch(trigger);
    __builtin_prefetch(&trigger->condition);
  }
  for (const CompiledTrigger* trigger : candidates_) {
    if (trigger->condition != nullptr) {
      trigger->condition->Prefetch();
    }
  }
  for (; work->next_trigger < candidates_.size(); ++work->next_trigger) {
    if (!DecideTrigger(work, *candidates_[work->next_trigger])) {
      SaveFanOut(work);
      return;
    }
    work->next_recipient = 0;
  }
  const bool decided = work->part > 0 || record_.decisions_size() > 0;
  record_.set_verdict(decided ? v1::EVENT_VERDICT_ACCEPTED : v1::EVENT_VERDICT_NO_MATCH);
  EmitPart(work, false);
}

bool EventFold::DecideTrigger(Work* work, const CompiledTrigger& trigger) {
  const GateOutcome expiry = ExpiryGate(work->event_time, trigger.max_age, work->started);
  if (!expiry.passed) {
    return true;
  }
  GateOutcome condition = Passed();
  if (trigger.condition != nullptr) {
    const auto verdict = trigger.condition->Evaluate(EventView{.id = work->view.id,
                                                               .type = work->view.type,
                                                               .source = work->view.source,
                                                               .time = work->view.time,
                                                               .data = work->view.data});
    switch (verdict.outcome) {
      case Condition::Outcome::kDoesNotHold:
      case Condition::Outcome::kFieldAbsent:
        return true;
      case Condition::Outcome::kHolds:
        condition = Passed(verdict.cost, kConditionCostMax);
        break;
      case Condition::Outcome::kTypeError:
        condition = Failed(v1::REASON_CONDITION_ERROR, verdict.error_offset);
        break;
      case Condition::Outcome::kOverCost:
        condition = Failed(v1::REASON_CONDITION_OVER_COST, verdict.cost, kConditionCostMax);
        break;
    }
  }
  if (!condition.passed) {
    if (!context_.HasRoom()) {
      return false;
    }
    v1::Decision* decision = NextDecision(work, trigger, std::string_view());
    SetGate(expiry, v1::GATE_EXPIRY, decision->add_gates());
    SetGate(condition, v1::GATE_CONDITION, decision->add_gates());
    FinishDecision(decision, condition);
    return true;
  }
  return DecideRecipients(work, trigger, expiry, condition);
}

// The values that the trigger's field names: one for a string, several for an array of strings.
void EventFold::FindRecipients(const Work& work, const CompiledTrigger& trigger) {
  constexpr std::string_view kData = "data";
  std::string_view path = trigger.recipient_field;
  std::optional<schemas::JsonValue> value;
  if (work.view.data && path.starts_with(kData)) {
    path.remove_prefix(kData.size());
    value = path.empty() ? work.view.data : work.view.data->FindPath(path.substr(1));
  }
  recipients_.clear();
  const v1::AddressKind kind = AddressKindOf(trigger.channel);
  std::set<RecipientToken> seen;  // Of several.
  const auto add = [&](const schemas::JsonValue& each, bool several) {
    Recipient recipient;
    if (each.type() != schemas::JsonType::kString) {
      recipient.outcome = Failed(v1::REASON_RECIPIENT_ABSENT);
    } else if (auto address = NormalizeAddress(kind, each.AsString()); !address.ok()) {
      recipient.outcome = Failed(v1::REASON_RECIPIENT_INVALID);
    } else {
      recipient.address = std::move(address).value();
      recipient.token = MakeRecipientToken(context_.config.token_key, work.tenant,
                                           static_cast<std::uint8_t>(kind), recipient.address);
      if (several && !seen.insert(recipient.token).second) {
        return;
      }
    }
    recipients_.push_back(std::move(recipient));
  };
  if (value && value->type() == schemas::JsonType::kArray) {
    if (value->size() > kRecipientsMax) {
      recipients_.push_back(
          Recipient{.outcome = Failed(v1::REASON_TOO_MANY_RECIPIENTS,
                                      static_cast<std::int64_t>(value->size()), kRecipientsMax)});
      return;
    }
    for (auto each = value->first_child(); each; each = each->next_sibling()) {
      add(*each, true);
    }
  } else if (value) {
    add(*value, false);
  }
  if (recipients_.empty()) {
    recipients_.push_back(Recipient{.outcome = Failed(v1::REASON_RECIPIENT_ABSENT)});
  }
}

bool EventFold::DecideRecipients(Work* work, const CompiledTrigger& trigger,
                                 const GateOutcome& expiry, const GateOutcome& condition) {
  const bool from_event = work->direct != nullptr || !trigger.recipient_field.empty();
  if (work->direct != nullptr) {
    TakeDirectRecipient(*work);
  } else if (from_event) {
    FindRecipients(*work, trigger);
  }
  // A publishable key is in everybody's hands: without consent of the trigger and a brake it could
  // be used to send messages to strangers.
  const bool braked = trigger.cooldown > LogDuration::zero() || trigger.daily_cap > 0;
  const bool refused = from_event && work->envelope->trust() == v1::TRUST_PUBLISHABLE &&
                       !(trigger.allow_public && braked);
  const std::string& sender_id =
      trigger.sender.empty() ? work->rules->tenant().default_sender() : trigger.sender;
  const v1::SenderState* sender =
      sender_id.empty() ? nullptr : work->rules->FindSender(sender_id, context_.state);
  const std::size_t count = from_event ? recipients_.size() : trigger.recipients.size();
  for (; work->next_recipient < count; ++work->next_recipient) {
    if (!context_.HasRoom()) {
      return false;
    }
    const std::size_t i = work->next_recipient;
    PairContext pair{.trigger = trigger,
                     .event = work->view,
                     .now = context_.now,
                     .plan = work->plan,
                     .sends_this_month = 0,
                     .address = from_event ? std::string_view(recipients_[i].address)
                                           : std::string_view(trigger.recipients[i].address),
                     .token = from_event ? recipients_[i].token : trigger.recipients[i].token,
                     .recipient_outcome = from_event ? recipients_[i].outcome : Passed(),
                     .sender = sender,
                     .sender_needed = !sender_id.empty() || context_.engine_version >= 2,
                     .scratch = scratch_};
    if (refused && pair.recipient_outcome.passed) {
      pair.recipient_outcome = Suppressed(v1::REASON_PUBLIC_NOT_ALLOWED);
    }
    v1::Decision* decision = NextDecision(
        work, trigger, pair.address.empty() ? std::string_view() : TokenView(pair.token));
    SetGate(expiry, v1::GATE_EXPIRY, decision->add_gates());
    SetGate(condition, v1::GATE_CONDITION, decision->add_gates());
    DecidePair(work, trigger, &pair, decision);
  }
  return true;
}

v1::Decision* EventFold::NextDecision(Work* work, const CompiledTrigger& trigger,
                                      std::string_view token) {
  if (record_.decisions_size() == static_cast<int>(kDecisionsPerRecordMax)) {
    record_.set_verdict(v1::EVENT_VERDICT_ACCEPTED);
    EmitPart(work, true);
  }
  v1::Decision* decision = record_.add_decisions();
  decision->set_trigger_id(trigger.id);
  decision->set_trigger_version(static_cast<std::uint32_t>(trigger.version));
  decision->set_channel(trigger.channel);
  decision->set_message_class(trigger.message_class);
  // With a person known the id is made from the person, so that the order of a list is no part of
  // it.
  const IdBytes id =
      MakeId(IdCause{.append_time = work->append_time,
                     .tenant = work->tenant,
                     .topic = static_cast<std::uint8_t>(schemas::Topic::kSiteEvents),
                     .partition = static_cast<std::uint32_t>(context_.config.partition),
                     .offset = work->offset,
                     .trigger = trigger.id,
                     .recipient_token = token,
                     .channel = static_cast<std::uint8_t>(trigger.channel),
                     .n = token.empty() ? work->next_recipient : 0});
  decision->set_id(id.data(), id.size());
  return decision;
}

void EventFold::FinishDecision(v1::Decision* decision, const GateOutcome& outcome) {
  decision->set_outcome(outcome.passed ? v1::OUTCOME_SEND : outcome.outcome);
  decision->set_reason(outcome.reason);
  ++context_.effects->counts.decisions[static_cast<std::size_t>(decision->outcome())]
                                      [static_cast<std::size_t>(decision->reason())];
}

void EventFold::DecidePair(Work* work, const CompiledTrigger& trigger, PairContext* pair,
                           v1::Decision* decision) {
  decision->set_plan_version(work->plan.version);
  if (!pair->address.empty()) {
    const std::string_view token = TokenView(pair->token);
    decision->set_recipient_token(token.data(), token.size());
    context_.Load(StateKey(work->tenant, Table::kRecipient).Bytes(token), &scratch_.recipient);
    context_.Load(StateKey(work->tenant, Table::kSends)
                      .Bytes(token)
                      .Byte(static_cast<std::uint8_t>(trigger.channel))
                      .Bytes(trigger.id),
                  &scratch_.sends);
    const std::uint32_t month = MonthOf(context_.now);
    context_.Load(StateKey(work->tenant, Table::kQuota).Number32(month), &quota_);
    pair->sends_this_month = quota_.sends();
  }
  GateOutcome outcome;
  for (const GateStep& step : PairGates()) {
    outcome = step.decide(*pair);
    SetGate(outcome, step.gate, decision->add_gates());
    if (!outcome.passed) {
      break;
    }
  }
  FinishDecision(decision, outcome);
  if (outcome.passed) {
    Send(work, trigger, pair, decision);
  }
}

void EventFold::Send(Work* work, const CompiledTrigger& trigger, PairContext* pair,
                     v1::Decision* decision) {
  const std::string_view token = TokenView(pair->token);
  decision->set_notification_id(decision->id());
  decision->set_segments(scratch_.message.segments);

  RecordSend(context_.now, &scratch_.sends);
  auto* source = scratch_.sends.mutable_source();
  source->set_topic(static_cast<std::uint32_t>(schemas::Topic::kSiteEvents));
  source->set_partition(static_cast<std::uint32_t>(context_.config.partition));
  source->set_offset(work->offset);
  // An event from the future counts as just happened, here as in its gate.
  const LogTime expires_at = std::min(work->event_time, work->started) + trigger.max_age;
  FillCommand(*work, trigger, *pair, *decision, expires_at);
  FillNotification();
  if (context_.engine_version >= 2) {
    scratch_.sends.set_last_notification(decision->id());
  }
  context_.Store(StateKey(work->tenant, Table::kSends)
                     .Bytes(token)
                     .Byte(static_cast<std::uint8_t>(trigger.channel))
                     .Bytes(trigger.id),
                 scratch_.sends);
  context_.StoreFresh(StateKey(work->tenant, Table::kNotification).Bytes(decision->id()),
                      notification_);

  const std::uint32_t month = MonthOf(context_.now);
  quota_.set_sends(quota_.sends() + 1);
  context_.Store(StateKey(work->tenant, Table::kQuota).Number32(month), quota_);
  if (work->rules->usage_noted_in != context_.batch) {
    work->rules->usage_noted_in = context_.batch;
    context_.usage.emplace(std::string(work->tenant), month);
  }
  context_.effects->commands.Add(work->tenant, command_);
  FollowRetry(*work, *decision);
}

void EventFold::FillCommand(const Work& work, const CompiledTrigger& trigger,
                            const PairContext& pair, const v1::Decision& decision,
                            LogTime expires_at) {
  const std::string_view token = TokenView(pair.token);
  // Every other field is set below; clearing all would give back the memory of address and text.
  command_.clear_sender_id();
  command_.clear_provider();
  command_.clear_account();
  command_.clear_from_number();
  command_.clear_trace();
  command_.set_notification_id(decision.id());
  command_.set_kind(v1::COMMAND_KIND_SEND);
  command_.set_tenant(work.tenant.data(), work.tenant.size());
  command_.set_event_id(work.id.data(), work.id.size());
  command_.set_decision_id(decision.id());
  command_.set_trigger_id(trigger.id);
  command_.set_trigger_version(static_cast<std::uint32_t>(trigger.version));
  command_.set_recipient_token(token.data(), token.size());
  command_.set_channel(trigger.channel);
  command_.set_message_class(trigger.message_class);
  command_.mutable_to()->set_plain(pair.address.data(), pair.address.size());
  command_.mutable_body()->set_plain(scratch_.message.body);
  if (pair.sender != nullptr) {
    command_.set_sender_id(pair.sender->sender().id());
    command_.set_provider(pair.sender->sender().provider());
    command_.set_account(pair.sender->sender().account());
    command_.set_from_number(pair.sender->sender().number());
  }
  command_.set_attempt(1);
  command_.set_expires_at_us(ToMicros(expires_at));
  command_.set_segments(scratch_.message.segments);
  command_.set_decided_at_us(ToMicros(context_.now));
  if (work.envelope->has_trace()) {
    *command_.mutable_trace() = work.envelope->trace();
  }
}

// What is remembered of `command_`.
void EventFold::FillNotification() {
  if (context_.engine_version < 2) {
    notification_.Clear();
  } else {
    // Every other field is set below, as above; but for those that version 2 set too.
    if (notification_.has_body()) {
      notification_.Clear();
    }
    RememberCommand(command_, context_.engine_version, &notification_);
    notification_.set_previous(scratch_.sends.last_notification());
  }
  notification_.set_status(v1::NOTIFICATION_STATUS_COMMANDED);
  notification_.set_recipient_token(command_.recipient_token());
  notification_.set_channel(command_.channel());
  notification_.set_trigger_id(command_.trigger_id());
  notification_.set_attempt(1);
  notification_.set_expires_at_us(command_.expires_at_us());
  notification_.set_message_class(command_.message_class());
  notification_.set_event_id(command_.event_id());
}

void EventFold::EmitPart(Work* work, bool more) {
  const v1::Envelope& envelope = *work->envelope;
  record_.set_event_id(work->id.data(), work->id.size());
  record_.set_tenant(work->tenant.data(), work->tenant.size());
  auto* event = record_.mutable_event();
  event->set_topic(static_cast<std::uint32_t>(schemas::Topic::kSiteEvents));
  event->set_partition(static_cast<std::uint32_t>(context_.config.partition));
  event->set_offset(work->offset);
  record_.set_event_type(envelope.type());
  record_.set_site(envelope.site());
  record_.set_event_time_us(ToMicros(work->event_time));
  record_.set_append_time_us(ToMicros(work->append_time));
  record_.set_decided_at_us(ToMicros(context_.now));
  record_.set_candidates(work->candidates);
  record_.set_part(work->part);
  record_.set_more(more);
  record_.set_engine_version(context_.engine_version);
  record_.set_retry_of_dead_letter(work->retry_of);
  NoteRetried(*work);
  context_.effects->decisions.Add(work->tenant, record_);
  if (work->part == 0) {
    ++context_.effects->counts.events[static_cast<std::size_t>(record_.verdict())];
  }
  ++work->part;
  record_.Clear();
}

}  // namespace alertstream::engine
