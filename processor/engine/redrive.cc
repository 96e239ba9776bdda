#include "processor/engine/redrive.h"

#include <string>
#include <utility>

#include "schemas/dead_letter_header.h"

namespace alertstream::engine {
namespace {

constexpr std::size_t kIdTimeBytes = 6;

// 48 bits of milliseconds (processor/base/id.h). REQUIRES: an id of 16 bytes.
LogTime TimeOfId(std::string_view id) {
  std::int64_t millis = 0;
  for (std::size_t i = 0; i < kIdTimeBytes; ++i) {
    millis = (millis << 8) | static_cast<unsigned char>(id[i]);
  }
  return LogTime(std::chrono::milliseconds(millis));
}

// Whether the action's id is that of a dead letter of `tenant` at the action's position.
bool IsLetterOf(const FoldContext& context, const v1::DeadLetterAction& action,
                std::string_view tenant) {
  const v1::Position& record = action.record();
  if (record.partition() != static_cast<std::uint32_t>(context.config.partition)) {
    return false;
  }
  const IdBytes id = MakeId(IdCause{.append_time = TimeOfId(action.id()),
                                    .tenant = tenant,
                                    .topic = static_cast<std::uint8_t>(record.topic()),
                                    .partition = record.partition(),
                                    .offset = record.offset()});
  return AsView(id) == action.id();
}

StateKey KeyOf(const Redrive& redrive) {
  return StateKey(redrive.tenant, Table::kDeadLetter).Bytes(redrive.action.id());
}

v1::Fact MakeRedriveFact(const FoldContext& context, const RecordRef& ref, const Redrive& redrive) {
  v1::Fact fact = context.MakeFact(redrive.tenant);
  context.SetPosition(ref, fact.mutable_cause());
  fact.set_actor(redrive.action.actor());
  fact.set_reason(redrive.action.reason());
  v1::DeadLetterFact* subject = fact.mutable_dead_letter();
  subject->set_id(redrive.action.id());
  subject->set_action(redrive.action.kind());
  const v1::DeadLetterState& state = redrive.state;
  subject->set_status(state.status() == v1::DEAD_LETTER_STATUS_UNSPECIFIED
                          ? v1::DEAD_LETTER_STATUS_OPEN
                          : state.status());
  subject->set_died_as(state.died_as());
  subject->set_retries(state.retries());
  subject->set_forced(redrive.action.forced());
  *subject->mutable_record() = redrive.action.record();
  return fact;
}

struct Refusal {
  v1::RejectReason reason;
  std::string_view detail;
};

// A purged letter's bytes are gone for those who look at it: nothing brings them back.
constexpr Refusal kPurged = {v1::REJECT_REASON_ACTED_ON_BEFORE,
                             "the dead letter was purged; that is its end"};
constexpr Refusal kDropped = {v1::REJECT_REASON_ACTED_ON_BEFORE,
                              "the dead letter was dropped; forced, it is tried all the same"};
constexpr Refusal kRetried = {
    v1::REJECT_REASON_RETRIED_BEFORE,
    "the dead letter was retried before; forced, it is tried once more. If it died again, retry "
    "what it died as"};
constexpr Refusal kSettled = {v1::REJECT_REASON_ACTED_ON_BEFORE,
                              "the dead letter is dropped or resolved already"};

std::optional<Refusal> RefusalOfRetry(v1::DeadLetterStatus status, bool forced) {
  switch (status) {
    case v1::DEAD_LETTER_STATUS_PURGED:
      return kPurged;
    case v1::DEAD_LETTER_STATUS_DROPPED:
      return forced ? std::nullopt : std::optional(kDropped);
    case v1::DEAD_LETTER_STATUS_RETRIED:
    case v1::DEAD_LETTER_STATUS_RESOLVED:
    case v1::DEAD_LETTER_STATUS_FAILED_AGAIN:
      return forced ? std::nullopt : std::optional(kRetried);
    case v1::DEAD_LETTER_STATUS_UNSPECIFIED:
    case v1::DEAD_LETTER_STATUS_OPEN:
    case v1::DeadLetterStatus_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::DeadLetterStatus_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return std::nullopt;
}

std::optional<Refusal> RefusalOfChange(const v1::DeadLetterAction& action,
                                       v1::DeadLetterStatus status) {
  if (status == v1::DEAD_LETTER_STATUS_PURGED) {
    return kPurged;
  }
  const bool is_settled =
      status == v1::DEAD_LETTER_STATUS_DROPPED || status == v1::DEAD_LETTER_STATUS_RESOLVED;
  if (is_settled && action.kind() == v1::DEAD_LETTER_ACTION_KIND_DROP && !action.forced()) {
    return kSettled;
  }
  return std::nullopt;
}

// Why nothing can be done about the letter whatever its state; nothing if something can.
std::optional<Refusal> RefusalOfAge(const FoldContext& context,
                                    const v1::DeadLetterAction& action) {
  if (TimeOfId(action.id()) + kDeadLetterWindow <= context.now) {
    return Refusal{v1::REJECT_REASON_TOO_OLD,
                   "the dead letter's record is older than 90 days; send it anew"};
  }
  return std::nullopt;
}

// The letter's own tenant, `_unrouted` if it has none: a record that could not be read has none,
// whatever its key. "": it is no letter of this key's.
std::string TenantOf(const FoldContext& context, const v1::DeadLetterAction& action,
                     std::string_view key) {
  const bool is_name = schemas::IsTenantId(key) || key == schemas::kUnroutedKey;
  if (is_name && IsLetterOf(context, action, key)) {
    return std::string(key);
  }
  return std::string(IsLetterOf(context, action, "") ? schemas::kUnroutedKey : "");
}

constexpr Refusal kUnknown = {v1::REJECT_REASON_UNKNOWN_DEAD_LETTER,
                              "the id is not that of a dead letter of this record"};

// Its state, which did not exist before this batch.
void ForgetLater(FoldContext& context, const Redrive& redrive) {
  const StateKey key = KeyOf(redrive);
  const std::string_view bytes = key;
  context.dead_letter_sweep.mutable_dead_letter_sweep()->add_keys(bytes.data(), bytes.size());
  if (context.dead_letter_sweep_id.empty()) {
    context.dead_letter_sweep_id = redrive.action.id();
  }
}

void Remember(FoldContext& context, const RecordRef& ref, Redrive& redrive) {
  if (redrive.state.status() == v1::DEAD_LETTER_STATUS_UNSPECIFIED) {
    ForgetLater(context, redrive);
  }
  context.SetPosition(ref, redrive.state.mutable_source());
  redrive.state.set_at_us(ToMicros(context.now));
}

void Reject(FoldContext& context, const RecordRef& ref, const Redrive& redrive,
            const Refusal& refusal) {
  v1::Fact fact = MakeRedriveFact(context, ref, redrive);
  context.Reject(&fact, refusal.reason, std::string(refusal.detail));
}

}  // namespace

bool AdmitRedrive(FoldContext& context, const RecordRef& ref) {
  auto action = schemas::RetryOf(ref.record->headers);
  if (!action) {
    return true;
  }
  const std::string_view key = ref.record->key;
  const bool is_tenant = schemas::IsTenantId(key);
  if (is_tenant &&
      schemas::PartitionOf(key, context.config.partitions) != context.config.partition) {
    return true;  // It is moved to its own partition, with its header.
  }
  Redrive redrive{.action = std::move(*action)};
  redrive.first_appended = TimeOfId(redrive.action.id());
  redrive.tenant = TenantOf(context, redrive.action, key);
  if (redrive.tenant.empty() ||
      redrive.action.record().topic() != static_cast<std::uint32_t>(ref.topic)) {
    redrive.tenant = std::string(is_tenant ? key : schemas::kUnroutedKey);
    Reject(context, ref, redrive, kUnknown);
    return false;
  }
  context.Load(KeyOf(redrive), &redrive.state);
  auto refusal = RefusalOfAge(context, redrive.action);
  if (!refusal) {
    refusal = RefusalOfRetry(redrive.state.status(), redrive.action.forced());
  }
  if (refusal) {
    Reject(context, ref, redrive, *refusal);
    return false;
  }
  Remember(context, ref, redrive);
  redrive.state.set_status(v1::DEAD_LETTER_STATUS_RETRIED);
  redrive.state.set_retries(redrive.state.retries() + 1);
  redrive.state.clear_died_as();
  // Before it is decided: another retry of it in the same batch is a second one.
  context.Store(KeyOf(redrive), redrive.state);
  context.redrive = std::move(redrive);
  return true;
}

void SettleRedrive(FoldContext& context, const RecordRef& ref, bool died) {
  Redrive redrive = std::move(*context.redrive);
  context.redrive.reset();
  redrive.state.set_status(died ? v1::DEAD_LETTER_STATUS_FAILED_AGAIN
                                : v1::DEAD_LETTER_STATUS_RESOLVED);
  if (died) {
    const auto& letters = context.effects->dead_letters;
    v1::DeadLetter last;
    const std::string_view bytes = letters.value(letters.count() - 1);
    ALERTSTREAM_CHECK(last.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    redrive.state.set_died_as(last.id());
  }
  context.Store(KeyOf(redrive), redrive.state);
  context.AddFact(MakeRedriveFact(context, ref, redrive));
}

void KeepFanOut(FoldContext& context, std::string_view id, const v1::FanOut& fan_out) {
  Redrive redrive{.action = {}, .tenant = fan_out.key()};
  redrive.action.set_id(id.data(), id.size());
  context.Load(KeyOf(redrive), &redrive.state);
  if (redrive.state.status() == v1::DEAD_LETTER_STATUS_UNSPECIFIED) {
    ForgetLater(context, redrive);
  }
  redrive.state.set_status(v1::DEAD_LETTER_STATUS_OPEN);
  *redrive.state.mutable_fan_out() = fan_out;
  context.Store(KeyOf(redrive), redrive.state);
}

bool ResumeFanOut(FoldContext& context) {
  if (!context.redrive || !context.redrive->state.has_fan_out() ||
      context.redrive->action.kind() != v1::DEAD_LETTER_ACTION_KIND_RETRY) {
    return false;
  }
  const std::string& id = context.redrive->action.id();
  v1::TimerState timer;
  timer.mutable_fan_out()->Swap(context.redrive->state.mutable_fan_out());
  context.redrive->state.clear_fan_out();
  timer.mutable_fan_out()->set_retry_of_dead_letter(id);
  context.PutTimer(context.now, id, timer);
  return true;
}

void FoldDeadLetterAction(FoldContext& context, const RecordRef& ref,
                          const v1::Envelope& envelope) {
  Redrive redrive{.action = envelope.account_change().dead_letter_action()};
  redrive.action.set_actor(envelope.actor());
  redrive.action.set_reason(envelope.account_change().reason());
  const std::string_view key = ref.record->key;
  // Receipts and messages of nobody are named so in their letters. A letter of no tenant is the
  // operator's, whatever tenant's key its record had.
  const bool is_operators = key == schemas::kLogKey;
  const std::string_view own = is_operators ? schemas::kUnroutedKey : key;
  redrive.tenant = std::string(own);
  if (TenantOf(context, redrive.action, own) != own) {
    return Reject(context, ref, redrive, kUnknown);
  }
  context.Load(KeyOf(redrive), &redrive.state);
  auto refusal = RefusalOfAge(context, redrive.action);
  if (!refusal) {
    refusal = RefusalOfChange(redrive.action, redrive.state.status());
  }
  if (refusal) {
    return Reject(context, ref, redrive, *refusal);
  }
  Remember(context, ref, redrive);
  redrive.state.set_status(redrive.action.kind() == v1::DEAD_LETTER_ACTION_KIND_PURGE
                               ? v1::DEAD_LETTER_STATUS_PURGED
                               : v1::DEAD_LETTER_STATUS_DROPPED);
  context.Store(KeyOf(redrive), redrive.state);
  context.AddFact(MakeRedriveFact(context, ref, redrive));
}

void SweepDeadLetters(FoldContext& context, const v1::DeadLetterSweep& sweep) {
  for (const std::string& key : sweep.keys()) {
    context.state.Erase(key);
  }
}

void StartDeadLetterSweep(FoldContext& context) {
  if (context.dead_letter_sweep.dead_letter_sweep().keys_size() > 0) {
    context.PutTimer(context.now + kDeadLetterKept, context.dead_letter_sweep_id,
                     context.dead_letter_sweep);
  }
  context.dead_letter_sweep.Clear();
  context.dead_letter_sweep_id.clear();
}

}  // namespace alertstream::engine
