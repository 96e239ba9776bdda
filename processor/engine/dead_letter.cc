#include "processor/engine/dead_letter.h"

#include "processor/base/id.h"

namespace alertstream::engine {

void AddDeadLetter(const DeadLetterCause& cause, Effects* effects) {
  const schemas::RecordView& record = cause.record;
  const IdBytes id = MakeId(IdCause{.append_time = record.append_time,
                                    .tenant = cause.tenant,
                                    .topic = static_cast<std::uint8_t>(cause.topic),
                                    .partition = cause.partition,
                                    .offset = record.offset});
  v1::DeadLetter letter;
  letter.set_id(id.data(), id.size());
  letter.set_tenant(cause.tenant.data(), cause.tenant.size());
  letter.mutable_record()->set_topic(static_cast<std::uint32_t>(cause.topic));
  letter.mutable_record()->set_partition(cause.partition);
  letter.mutable_record()->set_offset(record.offset);
  letter.set_append_time_us(ToMicros(record.append_time));
  letter.set_stage(cause.fault.stage);
  letter.set_reason(cause.fault.reason);
  letter.set_detail(cause.fault.detail);
  letter.set_event_type(cause.event_type.data(), cause.event_type.size());
  letter.set_at_us(ToMicros(cause.now));
  letter.set_retry_of(cause.retry_of.data(), cause.retry_of.size());
  if (cause.fault.reason != v1::DEAD_LETTER_REASON_TOO_LARGE) {
    v1::RawRecord original;
    original.set_key(record.key.data(), record.key.size());
    original.set_value(record.value.data(), record.value.size());
    for (const auto& header : record.headers) {
      auto* raw = original.add_headers();
      raw->set_name(header.name.data(), header.name.size());
      raw->set_value(header.value.data(), header.value.size());
    }
    original.SerializeToString(letter.mutable_original()->mutable_plain());
  }
  effects->dead_letters.Add(cause.tenant.empty() ? schemas::kUnroutedKey : cause.tenant, letter);
}

}  // namespace alertstream::engine
