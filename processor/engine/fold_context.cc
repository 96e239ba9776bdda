#include "processor/engine/fold_context.h"

#include <algorithm>

namespace alertstream::engine {

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
  const schemas::RecordView& record = *ref.record;
  const IdBytes id = MakeId(IdCause{.append_time = record.append_time,
                                    .tenant = tenant,
                                    .topic = static_cast<std::uint8_t>(ref.topic),
                                    .partition = static_cast<std::uint32_t>(config.partition),
                                    .offset = record.offset});
  v1::RawRecord original;
  original.set_key(record.key.data(), record.key.size());
  original.set_value(record.value.data(), record.value.size());
  for (const auto& header : record.headers) {
    auto* raw = original.add_headers();
    raw->set_name(header.name.data(), header.name.size());
    raw->set_value(header.value.data(), header.value.size());
  }
  v1::DeadLetter letter;
  letter.set_id(id.data(), id.size());
  letter.set_tenant(tenant.data(), tenant.size());
  SetPosition(ref, letter.mutable_record());
  letter.set_append_time_us(ToMicros(record.append_time));
  letter.set_stage(fault.stage);
  letter.set_reason(fault.reason);
  letter.set_detail(fault.detail);
  letter.set_event_type(event_type.data(), event_type.size());
  letter.set_at_us(ToMicros(now));
  original.SerializeToString(letter.mutable_original()->mutable_plain());
  effects->dead_letters.Add(tenant.empty() ? schemas::kUnroutedKey : tenant, letter);
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

void FoldContext::Reject(v1::Fact* fact, v1::RejectReason reason, std::string detail) {
  fact->set_result(v1::FACT_RESULT_REJECTED);
  fact->set_reject_reason(reason);
  fact->set_detail(std::move(detail));
  AddFact(*fact);
}

void FoldContext::PutTimer(LogTime due, std::string_view id, const v1::TimerState& timer) {
  Store(TimerKey(due, id), timer);
  if (next_timer_not_before_ && due < *next_timer_not_before_) {
    next_timer_not_before_ = due;
  }
}

std::optional<std::string> FoldContext::NextTimer(LogTime until) {
  if (next_timer_not_before_ && until < *next_timer_not_before_) {
    return std::nullopt;
  }
  const auto first = state.FirstOrdered(TimerPrefix());
  if (!first) {
    next_timer_not_before_ = LogTime::max();
    return std::nullopt;
  }
  const std::string_view due_bytes = first->substr(TimerPrefix().size(), 8);
  std::uint64_t due = 0;
  for (const char c : due_bytes) {
    due = (due << 8) | static_cast<unsigned char>(c);
  }
  const LogTime due_at = FromMicros(static_cast<std::int64_t>(due));
  if (due_at > until) {
    next_timer_not_before_ = due_at;
    return std::nullopt;
  }
  next_timer_not_before_.reset();
  return std::string(*first);
}

}  // namespace alertstream::engine
