#include "processor/engine/fold_context.h"

#include <algorithm>

#include "processor/engine/dead_letter.h"

namespace alertstream::engine {
namespace {

// What one pair can add at most: its command, and the decision record that its decision closes. A
// timer of a notification adds less.
constexpr std::size_t kRecordsPerPairMax = 2;
// Since version 4, besides: the facts of the notification and of the dead letter that it was a
// retry of.
constexpr std::size_t kRecordsOfRetryMax = 2;
// A command: address, text, ids; a decision record with kDecisionsPerRecordMax decisions.
constexpr std::size_t kBytesPerPairMax = kRenderedBytesMax + (32 << 10);

}  // namespace

TenantRules* FoldContext::RulesOf(std::string_view tenant) {
  if (const auto found = rules_.find(tenant); found != rules_.end()) {
    return found->second.get();
  }
  auto rules = TenantRules::Load(tenant, config.token_key, compiler, state);
  if (rules == nullptr) {
    return nullptr;
  }
  return rules_.emplace(std::string(tenant), std::move(rules)).first->second.get();
}

void FoldContext::ForgetRules(std::string_view tenant) {
  if (const auto found = rules_.find(tenant); found != rules_.end()) {
    rules_.erase(found);
  }
}

void FoldContext::EvictRules() {
  // A cache of the state, so dropping all of it changes no decision.
  if (rules_.size() > kTenantRulesCachedMax) {
    rules_.clear();
  }
}

bool FoldContext::Load(std::string_view key, google::protobuf::MessageLite* message) {
  const auto bytes = state.Get(key);
  if (!bytes) {
    message->Clear();
    return false;
  }
  ALERTSTREAM_CHECK(message->ParseFromArray(bytes->data(), static_cast<int>(bytes->size())));
  return true;
}

void FoldContext::Store(std::string_view key, const google::protobuf::MessageLite& message) {
  buffer_.resize(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(buffer_.data()));
  state.Put(key, buffer_);
}

void FoldContext::StoreFresh(std::string_view key, const google::protobuf::MessageLite& message) {
  buffer_.resize(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(buffer_.data()));
  state.PutFresh(key, buffer_);
}

void FoldContext::SetPosition(const RecordRef& ref, v1::Position* position) const {
  position->set_topic(static_cast<std::uint32_t>(ref.topic));
  position->set_partition(static_cast<std::uint32_t>(config.partition));
  position->set_offset(ref.record->offset);
}

void FoldContext::AddDeadLetter(const RecordRef& ref, const schemas::DecodeFault& fault,
                                std::string_view tenant, std::string_view event_type) {
  schemas::RecordView record = *ref.record;
  if (redrive && engine_version >= 5) {
    record.append_time = redrive->first_appended;  // However often it dies.
  }
  engine::AddDeadLetter({.topic = ref.topic,
                         .partition = static_cast<std::uint32_t>(config.partition),
                         .record = record,
                         .fault = fault,
                         .tenant = tenant,
                         .event_type = event_type,
                         .now = now,
                         .retry_of = redrive ? redrive->action.id() : std::string_view()},
                        effects);
}

v1::Fact FoldContext::MakeFact(const RecordRef& ref, const v1::Envelope& envelope) const {
  v1::Fact fact;
  fact.set_tenant(envelope.routing_key());
  SetPosition(ref, fact.mutable_cause());
  fact.set_at_us(ToMicros(now));
  fact.set_result(v1::FACT_RESULT_ACCEPTED);
  fact.set_actor(envelope.actor());
  if (envelope.has_account_change()) {
    fact.set_reason(envelope.account_change().reason());
  }
  return fact;
}

v1::Fact FoldContext::MakeFact(std::string_view tenant) const {
  v1::Fact fact;
  fact.set_tenant(tenant.data(), tenant.size());
  fact.set_at_us(ToMicros(now));
  fact.set_result(v1::FACT_RESULT_ACCEPTED);
  return fact;
}

void FoldContext::Reject(v1::Fact* fact, v1::RejectReason reason, std::string detail) {
  fact->set_result(v1::FACT_RESULT_REJECTED);
  fact->set_reject_reason(reason);
  fact->set_detail(std::move(detail));
  AddFact(*fact);
}

bool FoldContext::HasRoom() const {
  const std::size_t records_max =
      kRecordsPerPairMax + (engine_version >= 4 ? kRecordsOfRetryMax : 0);
  return effects->records() + records_max < kEffectsRecordsMax &&
         effects->bytes() + kBytesPerPairMax < kEffectsBytesMax;
}

void FoldContext::PutTimer(LogTime due, std::string_view id, const v1::TimerState& timer) {
  Store(TimerKey(due, id), timer);
  timers_from_ = std::min(timers_from_, due);
}

std::optional<std::string> FoldContext::NextTimer(LogTime until) {
  if (until < timers_from_) {
    return std::nullopt;
  }
  // Not from the first key there could be: what was fired lies there as erased keys, in numbers.
  const auto first = state.FirstOrdered(TimerKey(timers_from_, ""));
  if (!first) {
    timers_from_ = LogTime::max();
    return std::nullopt;
  }
  const std::string_view due_bytes = first->substr(TimerPrefix().size(), 8);
  std::uint64_t due = 0;
  for (const char c : due_bytes) {
    due = (due << 8) | static_cast<unsigned char>(c);
  }
  timers_from_ = FromMicros(static_cast<std::int64_t>(due));
  return timers_from_ > until ? std::nullopt : std::optional(std::string(*first));
}

}  // namespace alertstream::engine
