#include "processor/dispatch/attempt_log.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/base/id.h"
#include "processor/base/log.h"
#include "processor/base/safeguards.h"
#include "processor/dispatch/read_range.h"
#include "schemas/input_codec.h"
#include "schemas/limits.h"
#include "schemas/personal.h"

namespace alertstream::dispatch {
namespace {

using schemas::Topic;

// How far back the newest checkpoint is looked for first; then eight times as far. One is written
// about every second.
constexpr std::int64_t kLookBack = 8192;
constexpr std::chrono::milliseconds kRetryPause{100};
// Of the two transactional ids.
constexpr std::size_t kFirst = 0;
constexpr std::size_t kSecond = 1;

std::string_view PhaseName(v1::AttemptPhase phase) {
  if (phase == v1::ATTEMPT_PHASE_STARTED) {
    return "started";
  }
  if (phase == v1::ATTEMPT_PHASE_RESULT) {
    return "result";
  }
  return phase == v1::ATTEMPT_PHASE_CANCELLED ? "cancelled" : "expired";
}

v1::Envelope RecordOf(const AttemptTarget& target, v1::AttemptPhase phase, LogTime at) {
  v1::Envelope envelope;
  const std::string id = FormatId(IdKind::kNotification, target.key.first);
  envelope.set_id(fmt::format("{}:{}:{}", id, target.key.second, PhaseName(phase)));
  envelope.set_tenant(target.tenant);
  envelope.set_routing_key(target.tenant);
  envelope.set_type("delivery.attempt");
  envelope.set_schema_version(1);
  envelope.set_event_time_us(ToMicros(at));
  envelope.set_source("dispatcher");
  envelope.set_trust(v1::TRUST_SYSTEM);
  if (target.trace) {
    *envelope.mutable_trace() = *target.trace;
  }
  v1::DeliveryAttempt& attempt = *envelope.mutable_delivery_attempt();
  attempt.set_notification_id(id);
  attempt.set_attempt(target.key.second);
  attempt.set_phase(phase);
  attempt.set_provider(target.provider);
  attempt.set_account(target.account);
  attempt.set_at_us(ToMicros(at));
  return envelope;
}

// Nothing: not a record of ours.
std::optional<v1::Envelope> Decoded(const log::RecordView& record) {
  v1::Envelope envelope;
  if (record.offset == 0 ||
      !envelope.ParseFromArray(record.value.data(), static_cast<int>(record.value.size())) ||
      !envelope.has_delivery_attempt()) {
    return std::nullopt;
  }
  return envelope;
}

// The fold may command another attempt after such a result.
bool MayBeFollowed(v1::AttemptClass result) {
  switch (result) {
    case v1::ATTEMPT_CLASS_RETRY:
    case v1::ATTEMPT_CLASS_THROTTLE:
    case v1::ATTEMPT_CLASS_SUSPEND:
    case v1::ATTEMPT_CLASS_WINDOW:
    case v1::ATTEMPT_CLASS_AMBIGUOUS:
      return true;
    case v1::ATTEMPT_CLASS_ACCEPTED:
    case v1::ATTEMPT_CLASS_PERM_ADDRESS:
    case v1::ATTEMPT_CLASS_PERM_REQUEST:
    case v1::ATTEMPT_CLASS_OPT_OUT:
    case v1::ATTEMPT_CLASS_UNSPECIFIED:
    case v1::AttemptClass_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::AttemptClass_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return false;
}

// The record has to pass the fold's checks (schemas/envelope_check.h); a message without a text is
// sent by nobody, and not again either.
bool MayBeSentAgain(const v1::NotificationCommand& command) {
  const auto to = schemas::Unseal(command.to());
  const auto body = schemas::Unseal(command.body());
  return to.ok() && !to.value().empty() && body.ok() && !body.value().empty() &&
         body.value().size() <= schemas::kMessageBodyBytesMax &&
         body.value().find('\0') == std::string_view::npos;
}

}  // namespace

AttemptTarget TargetOf(const v1::NotificationCommand& command) {
  AttemptTarget target{.key = KeyOf(command),
                       .tenant = command.tenant(),
                       .provider = command.provider(),
                       .account = command.account(),
                       .channel = command.channel()};
  if (command.has_trace()) {
    target.trace = command.trace();
  }
  return target;
}

v1::Envelope StartedRecord(const AttemptTarget& target, LogTime now) {
  return RecordOf(target, v1::ATTEMPT_PHASE_STARTED, now);
}

void AddContent(const v1::NotificationCommand& command, v1::DeliveryAttempt* result) {
  if (!MayBeFollowed(result->result()) || !MayBeSentAgain(command)) {
    return;
  }
  v1::AttemptContent& content = *result->mutable_content();
  *content.mutable_to() = command.to();
  *content.mutable_body() = command.body();
  content.set_sender_id(command.sender_id());
  content.set_from_number(command.from_number());
  content.set_segments(command.segments());
  content.set_trigger_version(command.trigger_version());
}

v1::Envelope ResultRecord(const AttemptTarget& target, const Outcome& outcome, LogTime at,
                          const v1::NotificationCommand* command) {
  v1::Envelope envelope = RecordOf(target, v1::ATTEMPT_PHASE_RESULT, at);
  v1::DeliveryAttempt& attempt = *envelope.mutable_delivery_attempt();
  attempt.set_result(outcome.result);
  attempt.set_error_code(outcome.code);
  attempt.set_provider_message_id(outcome.provider_message_id);
  if (outcome.retry_after) {
    attempt.set_retry_after_us(std::chrono::microseconds(*outcome.retry_after).count());
  }
  if (command != nullptr) {
    AddContent(*command, &attempt);
  }
  return envelope;
}

v1::Envelope NotCalledRecord(const AttemptTarget& target, v1::AttemptPhase phase, LogTime now) {
  return RecordOf(target, phase, now);
}

void SetCheckpoint(const Checkpoint& checkpoint, v1::Envelope* envelope) {
  v1::DeliveryAttempt& attempt = *envelope->mutable_delivery_attempt();
  attempt.set_done_to(checkpoint.seq);
  attempt.set_done_journal_offset(checkpoint.journal_offset);
  attempt.set_done_commands_offset(checkpoint.commands_offset);
  attempt.set_done_attempts_offset(checkpoint.attempts_offset);
}

Result<std::unique_ptr<AttemptLog>> AttemptLog::Open(log::EventLog& log,
                                                     const AttemptLogOptions& options) {
  auto attempts = std::unique_ptr<AttemptLog>(new AttemptLog(log, options));
  std::string base = fmt::format("alertstream-dispatch-{}-{}", ToHex(options.log_id).substr(0, 12),
                                 options.partition);
  if (!Holds(Safeguard::kDispatcherFence)) {
    // Ids of its own, which nobody before it has held.
    static int opened = 0;
    base.append(fmt::format("-{}", ++opened));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(attempts->transactors_[0], log.OpenTransactor(base + "-a"));
  ALERTSTREAM_ASSIGN_OR_RETURN(attempts->transactors_[1], log.OpenTransactor(base + "-b"));
  return attempts;
}

bool AttemptLog::Over(std::chrono::microseconds deadline) const {
  return SystemClock().SinceBoot() >= deadline || (options_.cancelled && options_.cancelled());
}

Status AttemptLog::Fence() {
  const auto deadline = SystemClock().SinceBoot() + options_.take_timeout;
  for (auto& transactor : transactors_) {
    for (;;) {
      Status fenced = transactor->Init(options_.commit_timeout);
      if (fenced.ok()) {
        break;
      }
      if (fenced.error().code() != ErrorCode::kUnavailable || Over(deadline)) {
        return fenced;
      }
      SystemClock().SleepFor(kRetryPause);
    }
  }
  next_ = kFirst;
  return Status::Ok();
}

// The end, once no transaction before it is open.
Result<std::int64_t> AttemptLog::StableEnd() {
  const log::TopicPartition topic{Topic::kDeliveryAttempts, options_.partition};
  const auto deadline = SystemClock().SinceBoot() + options_.take_timeout;
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto ends,
      log_.Ends(std::span(&topic, 1), log::EndKind::kUncommitted, options_.commit_timeout));
  for (;;) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const auto stable,
        log_.Ends(std::span(&topic, 1), log::EndKind::kStable, options_.commit_timeout));
    if (stable[0] >= ends[0]) {
      return ends[0];
    }
    if (Over(deadline)) {
      return Error(ErrorCode::kUnavailable,
                   fmt::format("partition {}: delivery-attempts has an open transaction",
                               options_.partition));
    }
    SystemClock().SleepFor(std::chrono::milliseconds(5));
  }
}

Result<std::int64_t> AttemptLog::End() {
  const log::TopicPartition topic{Topic::kDeliveryAttempts, options_.partition};
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto ends,
      log_.Ends(std::span(&topic, 1), log::EndKind::kStable, options_.commit_timeout));
  return ends[0];
}

Result<std::optional<Checkpoint>> AttemptLog::NewestCheckpoint(std::int64_t end) {
  std::optional<Checkpoint> newest;
  for (std::int64_t distance = kLookBack;; distance *= 8) {
    const std::int64_t from = std::max<std::int64_t>(0, end - distance);
    ALERTSTREAM_RETURN_IF_ERROR(
        ReadRange(log_, {Topic::kDeliveryAttempts, options_.partition}, from, end,
                  options_.take_timeout, [&](const log::RecordView& record) {
                    const auto envelope = Decoded(record);
                    if (envelope && envelope->delivery_attempt().done_to() > 0) {
                      const v1::DeliveryAttempt& attempt = envelope->delivery_attempt();
                      newest = Checkpoint{.seq = attempt.done_to(),
                                          .journal_offset = attempt.done_journal_offset(),
                                          .commands_offset = attempt.done_commands_offset(),
                                          .attempts_offset = attempt.done_attempts_offset()};
                    }
                    return Status::Ok();
                  }));
    if (newest || from == 0) {
      return newest;
    }
  }
}

Result<Recovered> AttemptLog::Take() {
  ALERTSTREAM_RETURN_IF_ERROR(Fence());
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::int64_t end, StableEnd());
  Recovered recovered;
  ALERTSTREAM_ASSIGN_OR_RETURN(recovered.checkpoint, NewestCheckpoint(end));
  const std::int64_t from = recovered.checkpoint ? recovered.checkpoint->attempts_offset : 0;
  ALERTSTREAM_RETURN_IF_ERROR(
      ReadRange(log_, {Topic::kDeliveryAttempts, options_.partition}, from, end,
                options_.take_timeout, [&](const log::RecordView& record) {
                  const auto envelope = Decoded(record);
                  const auto id = envelope ? ParseId(IdKind::kNotification,
                                                     envelope->delivery_attempt().notification_id())
                                           : Error(ErrorCode::kInvalid, "");
                  if (!id.ok()) {
                    return Status::Ok();
                  }
                  const v1::DeliveryAttempt& attempt = envelope->delivery_attempt();
                  const AttemptKey key(std::string(AsView(id.value())), attempt.attempt());
                  KnownAttempt& known = recovered.attempts[key];
                  known.final = known.final || attempt.phase() != v1::ATTEMPT_PHASE_STARTED;
                  if (!known.final) {
                    known.target = {.key = key,
                                    .tenant = envelope->routing_key(),
                                    .provider = attempt.provider(),
                                    .account = attempt.account()};
                  }
                  return Status::Ok();
                }));
  return recovered;
}

Status AttemptLog::Commit(const std::vector<v1::Envelope>& records) {
  std::vector<std::string> values;
  values.reserve(records.size());
  std::vector<log::NewRecord> appended;
  for (const v1::Envelope& record : records) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto bytes, schemas::EncodeEnvelope(record));
    values.push_back(std::move(bytes));
    appended.push_back(
        {Topic::kDeliveryAttempts, options_.partition, record.routing_key(), values.back()});
  }
  const std::size_t used = std::exchange(next_, 1 - next_);
  Status committed = transactors_[used]->Commit(appended, options_.commit_timeout);
  if (used == kSecond && !committed.ok() && committed.error().code() == ErrorCode::kFenced) {
    return TakeSecondBack(appended);
  }
  return committed;
}

// Somebody has taken B. If A is still ours, it is a rival that began together with this owner and
// took no more: it will get no further than to its first transaction, on A. Who has taken both is
// the new owner, and A says so.
Status AttemptLog::TakeSecondBack(const std::vector<log::NewRecord>& records) {
  ALERTSTREAM_RETURN_IF_ERROR(transactors_[kFirst]->Commit(records, options_.commit_timeout));
  // The next transaction is on A, as after Take: who takes both now is told apart from a rival once
  // more. If this fails, B is as it was, and the one after the next comes here again.
  next_ = kFirst;
  const Status taken = transactors_[kSecond]->Init(options_.commit_timeout);
  if (!taken.ok()) {
    Log(LogLevel::kWarning, "dispatch_rival_stays",
        {{"partition", options_.partition}, {"error", taken.error().message()}});
  }
  return Status::Ok();
}

}  // namespace alertstream::dispatch
