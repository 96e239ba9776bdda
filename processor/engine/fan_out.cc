// Fan-outs that do not fit into one batch: kept as a timer, and gone on with in the next.
#include <memory>
#include <utility>

#include "processor/engine/event_work.h"

namespace alertstream::engine {
void EventFold::SaveFanOut(Work* work) {
  if (record_.decisions_size() > 0) {
    record_.set_verdict(v1::EVENT_VERDICT_ACCEPTED);
    EmitPart(work, true);
  }
  v1::TimerState timer;
  v1::FanOut* fan_out = timer.mutable_fan_out();
  auto* event = fan_out->mutable_event();
  event->set_topic(static_cast<std::uint32_t>(schemas::Topic::kSiteEvents));
  event->set_partition(static_cast<std::uint32_t>(context_.config.partition));
  event->set_offset(work->offset);
  fan_out->set_append_time_us(ToMicros(work->append_time));
  fan_out->set_key(work->tenant.data(), work->tenant.size());
  work->envelope->SerializeToString(fan_out->mutable_envelope());
  for (const CompiledTrigger* trigger : candidates_) {
    fan_out->add_trigger_ids(trigger->id);
    fan_out->add_trigger_versions(trigger->version);
  }
  if (work->direct != nullptr && !direct_.id.empty()) {
    fan_out->add_trigger_ids("");  // No trigger's id: a direct notification ends with it.
  }
  fan_out->set_next_trigger(work->next_trigger);
  fan_out->set_next_recipient(work->next_recipient);
  fan_out->set_next_part(work->part);
  fan_out->set_candidates(work->candidates);
  fan_out->set_plan_named(work->plan.named);
  fan_out->set_plan_exists(work->plan.exists);
  fan_out->set_plan_sends_max(work->plan.sends_per_month_max);
  fan_out->set_plan_version(work->plan.version);
  fan_out->set_plan_source(work->plan.source.offset);
  fan_out->set_started_us(ToMicros(work->started));
  fan_out->set_retry_of_dead_letter(work->retry_of);
  // Due at once: the next batch goes on with it before it begins with new events.
  context_.PutTimer(work->started, AsView(work->id), timer);
}

void EventFold::ContinueFanOut(std::string_view key, const v1::FanOut& fan_out) {
  context_.state.Erase(key);
  v1::Envelope envelope;
  ALERTSTREAM_CHECK(envelope.ParseFromString(fan_out.envelope()));
  const auto partition = static_cast<std::uint32_t>(context_.config.partition);
  Work work;
  work.envelope = &envelope;
  work.tenant = fan_out.key();
  work.offset = fan_out.event().offset();
  work.append_time = FromMicros(fan_out.append_time_us());
  work.event_time =
      envelope.event_time_us() == 0 ? work.append_time : FromMicros(envelope.event_time_us());
  work.id = MakeId(IdCause{.append_time = work.append_time,
                           .tenant = work.tenant,
                           .topic = static_cast<std::uint8_t>(schemas::Topic::kSiteEvents),
                           .partition = partition,
                           .offset = work.offset});
  work.rules = context_.RulesOf(work.tenant);
  ALERTSTREAM_CHECK(work.rules != nullptr);  // A tenant is never removed.
  work.plan = PlanLimit{
      .named = fan_out.plan_named(),
      .exists = fan_out.plan_exists(),
      .sends_per_month_max = fan_out.plan_sends_max(),
      .version = fan_out.plan_version(),
      .source = SourceAt(schemas::Topic::kAccountChanges, partition, fan_out.plan_source())};
  work.view = EventView{.id = envelope.id(),
                        .type = envelope.type(),
                        .source = envelope.source(),
                        .time = work.event_time,
                        .data = std::nullopt};
  const std::string& data = envelope.site_event().data().plain();
  if (!data.empty()) {
    ALERTSTREAM_CHECK(document_.Parse(data).ok());
    work.view.data = document_.root();
  }
  work.started = FromMicros(fan_out.started_us());
  work.retry_of = fan_out.retry_of_dead_letter();
  work.candidates = fan_out.candidates();
  work.next_trigger = fan_out.next_trigger();
  work.next_recipient = fan_out.next_recipient();
  work.part = fan_out.next_part();
  candidates_.clear();
  for (int i = 0; i < fan_out.trigger_ids_size(); ++i) {
    if (fan_out.trigger_ids(i).empty()) {
      work.direct = &envelope.site_event().direct();
      break;
    }
    const CompiledTrigger* present = work.rules->FindTrigger(fan_out.trigger_ids(i));
    if (present != nullptr && present->version == fan_out.trigger_versions(i)) {
      candidates_.push_back(present);
      continue;
    }
    v1::TriggerState pinned;
    ALERTSTREAM_CHECK(context_.Load(StateKey(work.tenant, Table::kTriggerVersion)
                                        .Bytes(fan_out.trigger_ids(i))
                                        .Byte(0)
                                        .Number64(fan_out.trigger_versions(i)),
                                    &pinned));
    auto compiled =
        CompileTrigger(work.tenant, pinned, context_.config.token_key, context_.compiler);
    ALERTSTREAM_CHECK(compiled.ok());
    candidates_.push_back(compiled.value().get());
    work.pinned.push_back(std::move(compiled).value());
  }
  if (work.direct != nullptr) {
    const CompiledTrigger* pinned = candidates_.empty() ? nullptr : candidates_[0];
    ALERTSTREAM_CHECK(IsRetry(work.direct) ? MakeRetry(*work.direct, work.tenant, pinned)
                                           : MakeDirect(*work.direct, pinned));
    candidates_.assign(1, &direct_);
  }
  record_.Clear();
  Decide(&work);
}

}  // namespace alertstream::engine
