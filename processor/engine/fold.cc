#include "processor/engine/fold.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <tuple>
#include <utility>
#include <vector>

#include <google/protobuf/arena.h>

#include "processor/engine/events.h"
#include "processor/engine/fold_context.h"
#include "processor/engine/notifications.h"
#include "processor/engine/redrive.h"
#include "schemas/input_codec.h"

namespace alertstream::engine {
namespace {

using schemas::RecordView;
using schemas::Topic;

constexpr std::size_t IndexOf(Topic topic) {
  for (std::size_t i = 0; i < schemas::kInputTopics.size(); ++i) {
    if (schemas::kInputTopics[i] == topic) {
      return i;
    }
  }
  return schemas::kInputTopics.size();
}

constexpr std::size_t kAccountChanges = IndexOf(Topic::kAccountChanges);
constexpr std::size_t kSiteEvents = IndexOf(Topic::kSiteEvents);
constexpr Topic kPermissionFacts[] = {Topic::kOptOuts, Topic::kConsentChanges,
                                      Topic::kInboundMessages};

constexpr std::size_t kKeyAndHeaderBytesMax = 1 << 18;  // As in the limits of topics.h.

std::size_t KeyAndHeaderBytes(const RecordView& record) {
  std::size_t bytes = record.key.size();
  for (const auto& header : record.headers) {
    bytes += header.name.size() + header.value.size();
  }
  return bytes;
}

// What no record caused has no offset: a negative one, which tells the dead letters of different
// notifications apart.
std::int64_t OffsetOfNone(std::string_view notification_id) {
  constexpr std::size_t kHashBytes = 7;  // Of the id's end.
  std::int64_t hash = 0;
  for (const char c : notification_id.substr(notification_id.size() - kHashBytes)) {
    hash = (hash << 8) | static_cast<unsigned char>(c);
  }
  return -1 - hash;
}

// A permission fact, decoded before it is folded, because its place in the order depends on what it
// says.
struct DecodedFact {
  RecordRef ref;
  std::size_t index;
  v1::Envelope envelope;
  // What it says was said then: of a retry, since version 5, when it was appended first. An old
  // START must not lift the STOP that came after it.
  LogTime said{};
  bool restricting = false;
  std::optional<Redrive> redrive;  // From where it was decoded to where it is folded.

  auto Order() const { return std::tuple(said, !restricting, ref.topic, ref.record->offset); }
};

}  // namespace

struct Fold::Impl {
  Impl(const FoldConfig& config_in, state::StateMap& state_in)
      : config(config_in), context(config, state_in), events(context) {}

  // Decides what happens to a record before it is decoded. True: it is to be folded.
  bool Route(const RecordRef& ref, std::size_t index);
  // Routes and decodes; false if the record is done with (re-routed, or dead-lettered).
  bool Open(const RecordRef& ref, std::size_t index, v1::Envelope* envelope);
  // The tenant of a record that nothing else is known of.
  std::string_view TenantOf(const RecordRef& ref) const;
  template <typename Body>
  void Guarded(const RecordRef& ref, Body body);
  void FoldEach(const FoldBatch& batch, Topic topic,
                void (*fold)(FoldContext&, const RecordRef&, const v1::Envelope&));
  void FoldPermissionFacts(const FoldBatch& batch);
  void FoldTimers(const FoldBatch& batch);
  void FireTimer(std::string_view key, const v1::TimerState& timer);
  void DropDelivery(const v1::DeliveryTimer& timer);
  void FoldSiteEvents(const FoldBatch& batch);
  void Sweep(std::string_view key, const v1::DedupeSweep& sweep);
  void Finish();
  // Empty; the one before it is gone.
  v1::Envelope* NewEnvelope() {
    arena.Reset();
    return google::protobuf::Arena::CreateMessage<v1::Envelope>(&arena);
  }

  FoldConfig config;
  FoldContext context;
  EventFold events;
  Probe probe;
  // The envelope of the record at hand: its messages lie side by side and go together. An ordinary
  // one needs no more than the first block.
  alignas(std::max_align_t) std::array<char, 4096> arena_block{};
  google::protobuf::Arena arena{arena_block.data(), arena_block.size()};
  v1::DedupeState swept;
};

bool Fold::Impl::Route(const RecordRef& ref, std::size_t index) {
  const std::string_view key = ref.record->key;
  if (key == schemas::kLogKey) {
    // The marker at the beginning of every partition is checked by the runner.
    return ref.topic == Topic::kAccountChanges || ref.record->offset != 0;
  }
  if (key == schemas::kUnroutedKey) {
    return true;
  }
  if (!schemas::IsTenantId(key)) {
    context.AddDeadLetter(ref,
                          {v1::DEAD_LETTER_STAGE_ROUTING, v1::DEAD_LETTER_REASON_INVALID_KEY,
                           "key: expected a tenant id, [a-z0-9_-]{1,48}, first a letter or digit"},
                          "", "");
    return false;
  }
  const std::int32_t home = schemas::PartitionOf(key, config.partitions);
  if (home != config.partition) {
    context.effects->reroutes.push_back(Reroute{ref.topic, index, home});
    return false;
  }
  return true;
}

bool Fold::Impl::Open(const RecordRef& ref, std::size_t index, v1::Envelope* opened) {
  // A foreign producer's compression can bring more than the topic's own limit lets pass.
  if (ref.record->value.size() > static_cast<std::size_t>(schemas::kInputRecordBytesMax) ||
      KeyAndHeaderBytes(*ref.record) > kKeyAndHeaderBytesMax) {
    context.AddDeadLetter(
        ref,
        {v1::DEAD_LETTER_STAGE_DECODE, v1::DEAD_LETTER_REASON_TOO_LARGE,
         "value, key or headers: over the limit of a record; the bytes lie at the "
         "record's position"},
        TenantOf(ref), "");
    return false;
  }
  if ((context.engine_version >= 4 && !AdmitRedrive(context, ref)) || !Route(ref, index)) {
    return false;
  }
  const auto fault = schemas::DecodeInput(ref.topic, *ref.record, opened, context.engine_version);
  if (!fault) {
    if (context.redrive && opened->has_site_event() && opened->event_time_us() == 0) {
      opened->set_event_time_us(ToMicros(context.redrive->first_appended));
    }
    return !ResumeFanOut(context);
  }
  const bool tenant = schemas::IsTenantId(ref.record->key);
  context.AddDeadLetter(ref, *fault, tenant ? ref.record->key : std::string_view(), "");
  return false;
}

// Before version 4 such a record's dead letter had no tenant. Since version 5 it has none in a
// partition that is not its tenant's, whose letters are acted on in its own.
std::string_view Fold::Impl::TenantOf(const RecordRef& ref) const {
  const std::string_view key = ref.record->key;
  if (context.engine_version < 4 || !schemas::IsTenantId(key) ||
      (context.engine_version >= 5 &&
       schemas::PartitionOf(key, config.partitions) != config.partition)) {
    return {};
  }
  return key;
}

// A record that makes the engine throw leaves nothing but a dead letter.
template <typename Body>
void Fold::Impl::Guarded(const RecordRef& ref, Body body) {
  context.state.BeginRecord();
  const Effects::Savepoint before = context.effects->Save();
  const int swept_before = context.sweep.dedupe_sweep().keys_size();
  context.redrive.reset();
  try {
    if (probe) {
      probe(ref.topic, ref.record->offset);
    }
    body();
  } catch (const std::exception&) {
    context.state.RollbackRecord();
    context.effects->Restore(before);
    auto* keys = context.sweep.mutable_dedupe_sweep()->mutable_keys();
    keys->DeleteSubrange(swept_before, keys->size() - swept_before);
    // What the record changed in memory only is a cache of the state.
    if (schemas::IsTenantId(ref.record->key)) {
      context.ForgetRules(ref.record->key);
    }
    // The exception's own text may hold data of the record.
    context.AddDeadLetter(ref,
                          {v1::DEAD_LETTER_STAGE_FOLD, v1::DEAD_LETTER_REASON_ENGINE_EXCEPTION,
                           "the engine failed on this record; please report it"},
                          TenantOf(ref), "");
  }
  if (context.redrive) {
    SettleRedrive(context, ref, context.effects->dead_letters.count() > before.dead_letters);
  }
}

void Fold::Impl::FoldEach(const FoldBatch& batch, Topic topic,
                          void (*fold)(FoldContext&, const RecordRef&, const v1::Envelope&)) {
  const std::size_t slot = IndexOf(topic);
  const auto records = batch.inputs[slot];
  for (std::size_t i = 0; i < records.size(); ++i) {
    const RecordRef ref{topic, &records[i]};
    v1::Envelope* envelope = NewEnvelope();
    Guarded(ref, [&] {
      if (Open(ref, i, envelope)) {
        fold(context, ref, *envelope);
      }
    });
  }
  context.effects->consumed[slot] = records.size();
}

void Fold::Impl::FoldPermissionFacts(const FoldBatch& batch) {
  std::vector<DecodedFact> facts;
  for (const Topic topic : kPermissionFacts) {
    const std::size_t slot = IndexOf(topic);
    const auto records = batch.inputs[slot];
    for (std::size_t i = 0; i < records.size(); ++i) {
      const RecordRef ref{topic, &records[i]};
      DecodedFact fact{.ref = ref, .index = i};
      Guarded(ref, [&] {
        if (Open(ref, i, &fact.envelope)) {
          fact.restricting = IsRestricting(fact.envelope);
          fact.said = context.redrive && context.engine_version >= 5
                          ? context.redrive->first_appended
                          : ref.record->append_time;
          fact.redrive = std::exchange(context.redrive, std::nullopt);
          facts.push_back(std::move(fact));
        }
      });
    }
    context.effects->consumed[slot] = records.size();
  }
  std::sort(facts.begin(), facts.end(),
            [](const DecodedFact& a, const DecodedFact& b) { return a.Order() < b.Order(); });
  for (DecodedFact& fact : facts) {
    RecordView record = *fact.ref.record;
    record.append_time = fact.said;
    const RecordRef ref{fact.ref.topic, &record};
    Guarded(ref, [&] {
      context.redrive = std::move(fact.redrive);
      if (ref.topic == Topic::kOptOuts) {
        FoldOptOutChange(context, ref, fact.envelope);
      } else if (ref.topic == Topic::kConsentChanges) {
        FoldConsentChange(context, ref, fact.envelope);
      } else {
        FoldInboundMessage(context, ref, fact.envelope);
      }
    });
  }
}

void Fold::Impl::FoldTimers(const FoldBatch& batch) {
  v1::TimerState timer;
  std::uint32_t heavy = 0;
  while (context.effects->timers_fired < batch.timers_max && heavy < kHeavyTimersPerBatchMax &&
         context.HasRoom()) {
    const auto key = context.NextTimer(batch.now);
    if (!key) {
      return;
    }
    ALERTSTREAM_CHECK(context.Load(*key, &timer));
    heavy += timer.has_delivery() ? 0 : 1;
    ++context.effects->timers_fired;
    FireTimer(*key, timer);
  }
}

// As a record: a timer that makes the engine throw leaves nothing but a dead letter.
void Fold::Impl::FireTimer(std::string_view key, const v1::TimerState& timer) {
  context.state.BeginRecord();
  const Effects::Savepoint before = context.effects->Save();
  try {
    switch (timer.timer_case()) {
      case v1::TimerState::kDedupeSweep:
        Sweep(key, timer.dedupe_sweep());
        break;
      case v1::TimerState::kFanOut:
        events.ContinueFanOut(key, timer.fan_out());
        break;
      case v1::TimerState::kDelivery:
        FireDeliveryTimer(context, key, timer.delivery());
        break;
      case v1::TimerState::kDeadLetterSweep:
        SweepDeadLetters(context, timer.dead_letter_sweep());
        context.state.Erase(key);
        break;
      case v1::TimerState::TIMER_NOT_SET:
        context.state.Erase(key);
        break;
    }
  } catch (const std::exception&) {
    context.state.RollbackRecord();
    context.effects->Restore(before);
    context.state.Erase(key);
    if (timer.has_delivery()) {
      DropDelivery(timer.delivery());
      return;
    }
    const v1::FanOut& fan_out = timer.fan_out();
    const RecordView event{.offset = fan_out.event().offset(),
                           .append_time = FromMicros(fan_out.append_time_us()),
                           .key = fan_out.key(),
                           .value = fan_out.envelope(),
                           .headers = {}};
    context.AddDeadLetter(
        RecordRef{Topic::kSiteEvents, &event},
        {v1::DEAD_LETTER_STAGE_FOLD, v1::DEAD_LETTER_REASON_ENGINE_EXCEPTION,
         "the engine failed on a later part of this event's fan-out; please report it"},
        fan_out.key(), "");
    if (context.engine_version >= 5) {
      v1::DeadLetter letter;
      const auto& letters = context.effects->dead_letters;
      const std::string_view bytes = letters.value(letters.count() - 1);
      ALERTSTREAM_CHECK(letter.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
      KeepFanOut(context, letter.id(), fan_out);
    }
  }
}

// A notification whose timer made the engine throw; it gets no further attempt.
void Fold::Impl::DropDelivery(const v1::DeliveryTimer& timer) {
  FailDelivery(context, timer);
  const RecordView none{
      .offset = context.engine_version >= 5 ? OffsetOfNone(timer.notification_id()) : -1,
      .append_time = context.now,
      .key = timer.tenant(),
      .value = {},
      .headers = {}};
  context.AddDeadLetter(
      RecordRef{Topic::kDeliveryAttempts, &none},
      {v1::DEAD_LETTER_STAGE_FOLD, v1::DEAD_LETTER_REASON_ENGINE_EXCEPTION,
       "the engine failed on a timer of " +
           FormatId(IdKind::kNotification, timer.notification_id()) + "; please report it"},
      timer.tenant(), "");
}

void Fold::Impl::Sweep(std::string_view key, const v1::DedupeSweep& sweep) {
  for (const std::string& dedupe_key : sweep.keys()) {
    // An id that was used again after its 7 days belongs to a later sweep.
    if (context.Load(dedupe_key, &swept) &&
        context.now - FromMicros(swept.at_us()) >= kDedupeWindow) {
      context.state.Erase(dedupe_key);
    }
  }
  context.state.Erase(key);
}

void Fold::Impl::FoldSiteEvents(const FoldBatch& batch) {
  const auto records = batch.inputs[kSiteEvents];
  std::size_t i = 0;
  for (; i < records.size() && context.HasRoom(); ++i) {
    const RecordRef ref{Topic::kSiteEvents, &records[i]};
    v1::Envelope* envelope = NewEnvelope();
    Guarded(ref, [&] {
      if (Open(ref, i, envelope)) {
        events.FoldEvent(ref, *envelope);
      }
    });
  }
  context.effects->consumed[kSiteEvents] = i;
}

void Fold::Impl::Finish() {
  context.state.BeginRecord();
  if (context.sweep.dedupe_sweep().keys_size() > 0) {
    context.PutTimer(context.now + kDedupeWindow, context.sweep_id, context.sweep);
  }
  context.sweep.Clear();
  context.sweep_id.clear();
  StartDeadLetterSweep(context);
  v1::QuotaState quota;
  for (const auto& [tenant, month] : context.usage) {
    context.Load(StateKey(tenant, Table::kQuota).Number32(month), &quota);
    v1::Fact fact;
    fact.set_tenant(tenant);
    fact.set_at_us(ToMicros(context.now));
    fact.set_result(v1::FACT_RESULT_ACCEPTED);
    auto* usage = fact.mutable_usage();
    usage->set_month(month);
    usage->set_sends(quota.sends());
    const TenantRules* rules = context.RulesOf(tenant);
    usage->set_sends_max(
        rules != nullptr && rules->plan().exists ? rules->plan().sends_per_month_max : -1);
    context.effects->facts.Add(tenant, fact);
  }
  context.usage.clear();
}

Fold::Fold(const FoldConfig& config, state::StateMap& state)
    : impl_(std::make_unique<Impl>(config, state)) {}

Fold::~Fold() = default;

void Fold::set_probe(Probe probe) { impl_->probe = std::move(probe); }

void Fold::Run(const FoldBatch& batch, Effects* effects) {
  effects->Clear();
  FoldContext& context = impl_->context;
  context.effects = effects;
  context.now = batch.now;
  context.engine_version = batch.engine_version;
  ++context.batch;
  context.cancel_steps = 0;
  context.EvictRules();
  impl_->FoldEach(batch, Topic::kAccountChanges, FoldAccountChange);
  impl_->FoldPermissionFacts(batch);
  impl_->FoldEach(batch, Topic::kDeliveryAttempts, FoldAttempt);
  impl_->FoldEach(batch, Topic::kDeliveryReceipts, FoldReceipt);
  impl_->FoldTimers(batch);
  impl_->FoldSiteEvents(batch);
  impl_->Finish();
  effects->more = context.NextTimer(batch.now).has_value();
  static_assert(kAccountChanges == 0 && kSiteEvents == schemas::kInputTopicCount - 1);
}

bool Fold::TimerDue(LogTime now) { return impl_->context.NextTimer(now).has_value(); }

}  // namespace alertstream::engine
