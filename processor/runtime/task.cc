#include "processor/runtime/task.h"

#include <algorithm>

#include <fmt/format.h>

#include "processor/base/safeguards.h"
#include "processor/engine/state_keys.h"
#include "processor/runtime/replayer.h"
#include "schemas/envelope.pb.h"
#include "schemas/state.pb.h"

namespace alertstream::runtime {
namespace {

constexpr std::size_t kA = 0;
constexpr std::size_t kB = 1;

// What is kept at hand of each input beyond the batch: the next batch, while this one commits.
constexpr std::size_t kAheadRecordsMax = engine::kBatchRecordsMax;
constexpr std::size_t kAheadBytesMax = engine::kBatchInputBytesMax;
// Every topic may take this much of a batch whatever the others bring.
constexpr std::size_t kShareRecords = engine::kBatchRecordsMax / schemas::kInputTopicCount;
constexpr std::size_t kShareBytes = engine::kBatchInputBytesMax / schemas::kInputTopicCount;

// A quiet partition writes its state out after this, so that a restart has little to fold again.
constexpr std::chrono::seconds kFlushEvery{1};
// An end that is not known in time leaves an older hint; a stop is not to wait for it.
constexpr std::chrono::milliseconds kHintTimeout{1'000};
// One question of a loop that asks again; in between it is seen that the task is to stop.
constexpr std::chrono::milliseconds kAskTimeout{2'000};
constexpr std::chrono::milliseconds kRetryPause{100};
constexpr std::chrono::seconds kTailVisibleWithin{2};
constexpr std::chrono::seconds kLookAheadEvery{1};

// Two rivals that hold one id each must not both be able to claim. Without the safeguard either id
// will do.
std::size_t ClaimId(const std::string& instance) {
  return Holds(Safeguard::kClaimOnA) || instance.ends_with('1') ? kA : kB;
}

std::size_t IndexOf(schemas::Topic topic) {
  for (std::size_t i = 0; i < schemas::kInputTopics.size(); ++i) {
    if (schemas::kInputTopics[i] == topic) {
      return i;
    }
  }
  return schemas::kInputTopics.size();
}

constexpr std::size_t kAccountChanges = 0;
constexpr std::size_t kSiteEvents = schemas::kInputTopicCount - 1;

// How many of `records`, from the front, fit; one record always does.
std::size_t Fit(std::span<const log::RecordView> records, std::size_t records_max,
                std::size_t bytes_max) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < records.size() && count < records_max) {
    bytes += records[count].value.size() + records[count].key.size();
    if (count > 0 && bytes > bytes_max) {
      break;
    }
    ++count;
  }
  return count;
}

std::size_t BytesOf(std::span<const log::RecordView> records) {
  std::size_t bytes = 0;
  for (const auto& record : records) {
    bytes += record.value.size() + record.key.size();
  }
  return bytes;
}

}  // namespace

PartitionTask::PartitionTask(log::EventLog& log, PartitionState& state, PermissionHorizon& horizon,
                             Clock& clock, TaskOptions options)
    : log_(log),
      state_(state),
      horizon_(horizon),
      clock_(clock),
      options_(std::move(options)),
      time_(clock) {}

PartitionTask::~PartitionTask() { state_.fold().set_probe(nullptr); }

Result<std::unique_ptr<PartitionTask>> PartitionTask::Start(log::EventLog& log,
                                                            PartitionState& state,
                                                            PermissionHorizon& horizon,
                                                            Clock& clock,
                                                            const TaskOptions& options) {
  auto task =
      std::unique_ptr<PartitionTask>(new PartitionTask(log, state, horizon, clock, options));
  if (!options.crash_marker_path.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        task->marker_, CrashMarker::Open(options.crash_marker_path, state.config().log_id));
    task->one_by_one_ = task->marker_->suspect().has_value();
  }
  state.fold().set_probe([raw = task.get()](schemas::Topic topic, std::int64_t offset) {
    if (raw->marker_ != nullptr) {
      raw->marker_->At(topic, offset);
    }
    if (raw->options_.probe) {
      raw->options_.probe(topic, offset);
    }
  });
  // Most of the history is folded again before the present owner, if any, is fenced.
  ALERTSTREAM_RETURN_IF_ERROR(task->CatchUpWithPatience());
  ALERTSTREAM_RETURN_IF_ERROR(task->OpenTransactors());
  if (options.before_fence) {
    ALERTSTREAM_RETURN_IF_ERROR(options.before_fence());
  }
  ALERTSTREAM_RETURN_IF_ERROR(task->Fence());
  if (Holds(Safeguard::kTailAfterFences)) {
    ALERTSTREAM_RETURN_IF_ERROR(task->CatchUp());
  }
  if (state.tail().seq > 0 && !options.accept_clock) {
    ALERTSTREAM_RETURN_IF_ERROR(task->time_.CheckStart(state.tail().now));
  }
  ALERTSTREAM_RETURN_IF_ERROR(task->Claim());
  ALERTSTREAM_RETURN_IF_ERROR(task->OpenSources());
  ALERTSTREAM_RETURN_IF_ERROR(task->RaiseEngineVersion());
  task->flushed_at_ = clock.SinceBoot();
  return task;
}

Status PartitionTask::CatchUp(bool near_hint) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto replayer,
                               Replayer::Open(log_, state_,
                                              {.engine_version_max = options_.engine_version_max,
                                               .near_hint = near_hint,
                                               .cancelled = options_.cancelled}));
  return replayer->CatchUp(options_.on_catch_up);
}

// A commit is acknowledged before its markers are written, so a state that was just left may look
// as if it were ahead of the journal. One that is for longer belongs to another history, or the
// hint is wrong: then the whole journal is looked through, once.
Status PartitionTask::CatchUpWithPatience() {
  const auto deadline = clock_.SinceBoot() + kTailVisibleWithin;
  for (;;) {
    const bool patient = clock_.SinceBoot() < deadline;
    Status caught = CatchUp(patient);
    if (!patient || caught.ok() || caught.error().code() != ErrorCode::kConflict || Cancelled()) {
      return caught;
    }
    clock_.SleepFor(kRetryPause);
  }
}

Status PartitionTask::OpenTransactors() {
  const std::string base = fmt::format(
      "alertstream-{}-{}", ToHex(state_.config().log_id).substr(0, 12), state_.partition());
  ALERTSTREAM_ASSIGN_OR_RETURN(transactors_[kA], log_.OpenTransactor(base + "-a"));
  ALERTSTREAM_ASSIGN_OR_RETURN(transactors_[kB], log_.OpenTransactor(base + "-b"));
  return Status::Ok();
}

// init A, then init B, then wait until no transaction is open on the journal: from here on nothing
// but what we write can be added to the tail under these ids.
Status PartitionTask::Fence() {
  const auto deadline = clock_.SinceBoot() + options_.claim_timeout;
  for (const std::size_t id : {kA, kB}) {
    for (;;) {
      Status fenced = transactors_[id]->Init(options_.commit_timeout);
      if (fenced.ok()) {
        break;
      }
      if (fenced.error().code() != ErrorCode::kUnavailable || clock_.SinceBoot() >= deadline ||
          Cancelled()) {
        return fenced;
      }
      clock_.SleepFor(kRetryPause);
    }
  }
  const log::TopicPartition journal{schemas::Topic::kJournal,
                                    static_cast<std::int32_t>(state_.partition())};
  for (;;) {
    const auto timeout = std::min(options_.commit_timeout, kAskTimeout);
    const auto stable = log_.Ends(std::span(&journal, 1), log::EndKind::kStable, timeout);
    const auto end = stable.ok()
                         ? log_.Ends(std::span(&journal, 1), log::EndKind::kUncommitted, timeout)
                         : stable;
    if (stable.ok() && end.ok() && stable.value()[0] == end.value()[0]) {
      return Status::Ok();
    }
    if (clock_.SinceBoot() >= deadline || Cancelled()) {
      return Error(ErrorCode::kUnavailable,
                   fmt::format("partition {}: the journal has an open transaction, or its end "
                               "cannot be read",
                               state_.partition()));
    }
    clock_.SleepFor(std::chrono::milliseconds(5));
  }
}

std::uint32_t PartitionTask::EngineVersion() const {
  return state_.tail().seq == 0 ? engine::kEngineVersion : state_.tail().engine_version;
}

Status PartitionTask::Claim() {
  owner_ = Owner{state_.tail().owner_epoch + 1, RandomBytes(journal::kNonceBytes)};
  const LogTime last = state_.tail().now;
  LogTime now = last;
  if (pending_) {
    // A batch that is to be redone keeps its time, so the claim before it must not be later.
    now = std::max(last, pending_->now);
  } else {
    ALERTSTREAM_ASSIGN_OR_RETURN(now, time_.Next(last));
  }
  v1::JournalRecord record;
  StampRecord(state_, owner_, now, EngineVersion(), &record);
  record.set_kind(v1::JOURNAL_KIND_CLAIM);
  record.set_instance(options_.instance);
  record.set_accepted_clock(options_.accept_clock && state_.tail().seq > 0 &&
                            !time_.CheckStart(last).ok());
  // The state before a batch whose outcome was unknown: it is not part of history yet.
  record.set_state_root((pending_ ? pending_->root_before : state_.map().root()).ToBytes());
  const std::size_t id = ClaimId(options_.instance);
  ALERTSTREAM_RETURN_IF_ERROR(CommitRecord(record, id));
  next_id_ = 1 - id;
  return Status::Ok();
}

journal::Tail PartitionTask::TailAfter(const v1::JournalRecord& record,
                                       std::string_view bytes) const {
  auto tail = journal::Continue(state_.tail(), record, bytes, state_.tail().offset,
                                state_.config().log_id, state_.partition());
  ALERTSTREAM_CHECK(tail.ok());
  return std::move(tail).value();
}

// A record without inputs and outputs of its own: CLAIM, BARRIER.
Status PartitionTask::CommitRecord(const v1::JournalRecord& record, std::size_t id) {
  const std::string bytes = journal::EncodeJournal(record);
  const log::NewRecord appended{schemas::Topic::kJournal,
                                static_cast<std::int32_t>(state_.partition()), schemas::kLogKey,
                                bytes};
  const Status committed =
      transactors_[id]->Commit(std::span(&appended, 1), options_.commit_timeout);
  if (!committed.ok()) {
    return committed;
  }
  state_.Accept(record, TailAfter(record, bytes));
  return Status::Ok();
}

Status PartitionTask::OpenSources() {
  std::vector<log::ReadFrom> from;
  for (std::size_t i = 0; i < schemas::kInputTopics.size(); ++i) {
    from.push_back({{schemas::kInputTopics[i], static_cast<std::int32_t>(state_.partition())},
                    state_.positions()[i]});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(sources_, Sources::Open(log_, std::move(from)));
  return Status::Ok();
}

Status PartitionTask::FillSources() {
  for (std::size_t i = 0; i < sources_->size(); ++i) {
    ALERTSTREAM_RETURN_IF_ERROR(sources_->Fill(i, kAheadRecordsMax, kAheadBytesMax));
  }
  return Status::Ok();
}

// Each topic gets its share; what is left goes to whoever has more, in canonical order.
InputSpans PartitionTask::Choose() {
  InputSpans chosen;
  std::size_t records = 0;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const auto at_hand = sources_->AtHand(i);
    chosen[i] = at_hand.first(Fit(at_hand, one_by_one_ ? 1 : kShareRecords, kShareBytes));
    records += chosen[i].size();
    bytes += BytesOf(chosen[i]);
  }
  if (one_by_one_) {
    // The first record in canonical order, alone.
    bool taken = false;
    for (auto& span : chosen) {
      span = taken ? span.first(0) : span;
      taken = taken || !span.empty();
    }
    return chosen;
  }
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const auto at_hand = sources_->AtHand(i);
    const auto rest = at_hand.subspan(chosen[i].size());
    if (rest.empty() || records >= engine::kBatchRecordsMax ||
        bytes >= engine::kBatchInputBytesMax) {
      continue;
    }
    const std::size_t more =
        Fit(rest, engine::kBatchRecordsMax - records, engine::kBatchInputBytesMax - bytes);
    const std::size_t more_bytes = BytesOf(rest.first(more));
    if (bytes + more_bytes > engine::kBatchInputBytesMax) {
      continue;  // One large record that would not fit.
    }
    records += more;
    bytes += more_bytes;
    chosen[i] = at_hand.first(chosen[i].size() + more);
  }
  return chosen;
}

// True if nothing that was appended to a permission topic before the horizon was asked is missing
// from what was folded before, or is folded first in this batch.
bool PartitionTask::BehindHorizon(const InputSpans& chosen) {
  const auto horizon = horizon_.Get(static_cast<std::int32_t>(state_.partition()));
  horizon_known_ = horizon.has_value();
  if (!Holds(Safeguard::kPermissionFirst)) {
    return true;
  }
  if (!horizon) {
    return false;
  }
  for (std::size_t i = 0; i < kPermissionTopics; ++i) {
    const auto left = sources_->AtHand(i).subspan(chosen[i].size());
    const std::int64_t passed = left.empty() ? sources_->reader().Position(i) : left.front().offset;
    if (horizon->ends[i] > passed) {
      return false;
    }
  }
  return true;
}

Result<std::optional<BatchReport>> PartitionTask::RunOnce() {
  if (unresolved_) {
    ALERTSTREAM_RETURN_IF_ERROR(ResolvePending());
    if (!pending_) {
      // The batch was committed after all: it may have asked for another version.
      ALERTSTREAM_RETURN_IF_ERROR(RaiseEngineVersion());
    }
  }
  if (!pending_) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const bool folded, FoldNext());
    if (!folded) {
      if (clock_.SinceBoot() - flushed_at_ > kFlushEvery && !state_.flushed()) {
        ALERTSTREAM_RETURN_IF_ERROR(Flush());
      }
      return std::optional<BatchReport>();
    }
  }
  BatchReport report;
  ALERTSTREAM_RETURN_IF_ERROR(CommitPending(&report));
  ALERTSTREAM_RETURN_IF_ERROR(RaiseEngineVersion());
  if (clock_.SinceBoot() - flushed_at_ > kFlushEvery) {
    ALERTSTREAM_RETURN_IF_ERROR(Flush());
  } else if (const Status flushed = state_.FlushIfLarge(); !flushed.ok()) {
    broken_ = true;
    return flushed.error();
  } else if (state_.flushed()) {
    flushed_at_ = clock_.SinceBoot();
  }
  return std::optional<BatchReport>(report);
}

Result<bool> PartitionTask::FoldNext() {
  ALERTSTREAM_RETURN_IF_ERROR(FillSources());
  if (one_by_one_) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const bool skipped, PassSuspect());
    if (skipped || stopped_) {
      return skipped;
    }
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const LogTime now, time_.Next(state_.tail().now));
  InputSpans chosen = Choose();
  const bool behind = BehindHorizon(chosen);
  const bool waiting = !chosen[kSiteEvents].empty() || state_.fold().TimerDue(now);
  if (!behind) {
    chosen[kSiteEvents] = chosen[kSiteEvents].first(0);
  }
  std::size_t records = 0;
  for (const auto& span : chosen) {
    records += span.size();
  }
  const bool timers = behind && state_.fold().TimerDue(now);
  idle_ = records == 0 && !timers && !waiting;
  if (records == 0 && !timers) {
    return false;
  }
  pending_.emplace();
  pending_->root_before = state_.map().root();
  pending_->now = now;
  pending_->held = waiting && !behind;
  engine::FoldBatch batch;
  batch.now = now;
  batch.engine_version = EngineVersion();
  batch.inputs = chosen;
  // While a crash is remembered a timer must not die in the name of a record.
  batch.timers_max = behind && !(one_by_one_ && records > 0) ? engine::kTimersPerBatchMax : 0;
  if (marker_ != nullptr) {
    marker_->Enter();
  }
  const auto begun = clock_.SinceBoot();
  state_.fold().Run(batch, &effects_);
  pending_->fold = clock_.SinceBoot() - begun;
  if (marker_ != nullptr) {
    marker_->Leave();
  }
  if (!state_.map().status().ok()) {
    broken_ = true;
    return state_.map().status().error();
  }
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    pending_->consumed[i] = chosen[i].first(effects_.consumed[i]);
    if (!pending_->consumed[i].empty()) {
      pending_->lag = std::max(pending_->lag, now - pending_->consumed[i].front().append_time);
    }
  }
  StampRecord(state_, owner_, now, batch.engine_version, &pending_->record);
  pending_->record.set_kind(v1::JOURNAL_KIND_BATCH);
  DescribeBatch(state_.positions(), pending_->consumed, effects_, state_.map().SealBatch(),
                &pending_->record);
  return true;
}

// Looks at the next record in canonical order while a crash is remembered. True: it is skipped in
// the pending batch.
Result<bool> PartitionTask::PassSuspect() {
  const auto suspect = marker_->suspect();
  const std::size_t input = suspect ? IndexOf(suspect->topic) : schemas::kInputTopicCount;
  if (!suspect || input >= schemas::kInputTopicCount ||
      state_.positions()[input] > suspect->offset) {
    marker_->Clear();
    one_by_one_ = false;
    return false;
  }
  const auto at_hand = sources_->AtHand(input);
  const bool is_next = !at_hand.empty() && at_hand.front().offset == suspect->offset;
  // The first crash may have been another record's doing: it gets a second chance, alone.
  if (!is_next || suspect->crashes < 2) {
    return false;
  }
  v1::JournalSkip skip;
  skip.mutable_record()->set_topic(static_cast<std::uint32_t>(suspect->topic));
  skip.mutable_record()->set_partition(state_.partition());
  skip.mutable_record()->set_offset(suspect->offset);
  if (suspect->topic == schemas::Topic::kSiteEvents) {
    skip.set_automatic(true);
  } else {
    if (stopped_ && clock_.SinceBoot() < look_ahead_at_) {
      return false;
    }
    look_ahead_at_ = clock_.SinceBoot() + kLookAheadEvery;
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto request, FindSkipRequest(*suspect));
    if (!request) {
      stopped_ = fmt::format(
          "{} partition {} offset {} crashed the process {} times; look at it with `topic dump`, "
          "then `dlq skip {}/{}/{} --reason TEXT`",
          schemas::NameOf(suspect->topic), state_.partition(), suspect->offset, suspect->crashes,
          schemas::NameOf(suspect->topic), state_.partition(), suspect->offset);
      return false;
    }
    skip = *request;
    stopped_.reset();
  }
  ALERTSTREAM_RETURN_IF_ERROR(FoldSkip(input, skip));
  return true;
}

Status PartitionTask::FoldSkip(std::size_t input, const v1::JournalSkip& skip) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const LogTime now, time_.Next(state_.tail().now));
  pending_.emplace();
  pending_->root_before = state_.map().root();
  pending_->now = now;
  pending_->consumed[input] = sources_->AtHand(input).first(1);
  FoldSkippedRecord(state_, schemas::kInputTopics[input], pending_->consumed[input].front(), skip,
                    now, &effects_);
  StampRecord(state_, owner_, now, EngineVersion(), &pending_->record);
  pending_->record.set_kind(v1::JOURNAL_KIND_SKIP);
  *pending_->record.mutable_skip() = skip;
  DescribeBatch(state_.positions(), pending_->consumed, effects_, state_.map().SealBatch(),
                &pending_->record);
  return Status::Ok();
}

// Fetches what the only source of `sources` has; kUnavailable if it has nothing until the deadline.
Status PartitionTask::FillBefore(std::chrono::microseconds deadline, Sources& sources) {
  ALERTSTREAM_RETURN_IF_ERROR(sources.Fill(0, kAheadRecordsMax, kAheadBytesMax));
  if (!sources.AtHand(0).empty()) {
    return Status::Ok();
  }
  if (clock_.SinceBoot() >= deadline || Cancelled()) {
    return Error(ErrorCode::kUnavailable,
                 fmt::format("partition {}: the log does not return records that it holds",
                             state_.partition()));
  }
  sources.Pause(std::chrono::milliseconds(10));
  return Status::Ok();
}

// A stopped task reads ahead on account-changes, for skip_requested of its record only.
Result<std::optional<v1::JournalSkip>> PartitionTask::FindSkipRequest(
    const CrashMarker::Suspect& suspect) {
  const auto partition = static_cast<std::int32_t>(state_.partition());
  const log::TopicPartition account{schemas::Topic::kAccountChanges, partition};
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto ends,
      log_.Ends(std::span(&account, 1), log::EndKind::kStable, options_.commit_timeout));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto ahead, Sources::Open(log_, {{account, state_.positions()[kAccountChanges]}}));
  const auto deadline = clock_.SinceBoot() + options_.commit_timeout;
  while (ahead.Passed(0) < ends[0]) {
    ALERTSTREAM_RETURN_IF_ERROR(FillBefore(deadline, ahead));
    for (const auto& record : ahead.AtHand(0)) {
      v1::Envelope envelope;
      if (!envelope.ParseFromArray(record.value.data(), static_cast<int>(record.value.size())) ||
          !envelope.account_change().has_skip_requested()) {
        continue;
      }
      const v1::Position& wanted = envelope.account_change().skip_requested().record();
      if (wanted.topic() != static_cast<std::uint32_t>(suspect.topic) ||
          wanted.partition() != state_.partition() || wanted.offset() != suspect.offset) {
        continue;
      }
      v1::JournalSkip skip;
      *skip.mutable_record() = wanted;
      skip.mutable_request()->set_topic(static_cast<std::uint32_t>(account.topic));
      skip.mutable_request()->set_partition(state_.partition());
      skip.mutable_request()->set_offset(record.offset);
      skip.set_actor(envelope.actor());
      skip.set_reason(envelope.account_change().reason());
      return std::optional<v1::JournalSkip>(skip);
    }
    ahead.Consume(0, ahead.AtHand(0).size());
  }
  return std::optional<v1::JournalSkip>();
}

Status PartitionTask::CommitPending(BatchReport* report) {
  transaction_.Build(state_, pending_->consumed, effects_, pending_->record);
  if (!Holds(Safeguard::kApplyAfterCommit)) {
    ALERTSTREAM_RETURN_IF_ERROR(state_.Flush());
  }
  const auto begun = clock_.SinceBoot();
  const Status committed =
      transactors_[next_id_]->Commit(transaction_.records(), options_.commit_timeout);
  report->commit = clock_.SinceBoot() - begun;
  if (!committed.ok()) {
    // Applied or not: the journal says. Only who was fenced knows that it was not.
    unresolved_ = true;
    return committed;
  }
  next_id_ = 1 - next_id_;
  report->seq = pending_->record.seq();
  report->effects = &effects_;
  report->outputs = effects_.records() - effects_.reroutes.size();
  report->reroutes = effects_.reroutes.size();
  report->held = pending_->held;
  report->lag = pending_->lag;
  report->fold = pending_->fold;
  for (const auto& span : pending_->consumed) {
    report->inputs += span.size();
  }
  FinishPending(TailAfter(pending_->record, transaction_.journal_bytes()));
  return Status::Ok();
}

void PartitionTask::FinishPending(journal::Tail tail) {
  state_.Accept(pending_->record, std::move(tail));
  for (std::size_t i = 0; i < pending_->consumed.size(); ++i) {
    sources_->Consume(i, pending_->consumed[i].size());
  }
  pending_.reset();
}

// After an unknown outcome: fence both ids, read what was added to the tail, claim anew. The tail
// is our batch: apply it. The tail is where it was: redo the same batch, stamped anew. Anything
// else: another owner; the task is over.
Status PartitionTask::ResolvePending() {
  ALERTSTREAM_RETURN_IF_ERROR(Fence());
  const log::TopicPartition journal{schemas::Topic::kJournal,
                                    static_cast<std::int32_t>(state_.partition())};
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto ends,
      log_.Ends(std::span(&journal, 1), log::EndKind::kStable, options_.commit_timeout));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto tail,
      Sources::Open(log_, {{journal, std::max<std::int64_t>(0, state_.journal_hint())}}));
  const auto deadline = clock_.SinceBoot() + options_.commit_timeout;
  while (tail.Passed(0) < ends[0]) {
    ALERTSTREAM_RETURN_IF_ERROR(FillBefore(deadline, tail));
    for (const auto& record : tail.AtHand(0)) {
      ALERTSTREAM_RETURN_IF_ERROR(ResolveRecord(record));
    }
    tail.Consume(0, tail.AtHand(0).size());
  }
  ALERTSTREAM_RETURN_IF_ERROR(Claim());
  unresolved_ = false;
  if (pending_) {
    // Stamped anew: the next seq, the new epoch; inputs, time and effects are the same.
    pending_->record.set_seq(state_.tail().seq + 1);
    pending_->record.set_prev_hash(std::string(AsView(state_.tail().hash)));
    pending_->record.set_owner_epoch(owner_.epoch);
    pending_->record.set_owner_nonce(owner_.nonce);
  }
  return Status::Ok();
}

// One record that the journal holds beyond the tail that we know.
Status PartitionTask::ResolveRecord(const log::RecordView& record) {
  v1::JournalRecord decoded;
  if (record.offset == 0 ||
      !decoded.ParseFromArray(record.value.data(), static_cast<int>(record.value.size())) ||
      decoded.seq() <= state_.tail().seq) {
    return Status::Ok();
  }
  if (pending_ && record.value == transaction_.journal_bytes()) {
    FinishPending(TailAfter(pending_->record, record.value));
    return Status::Ok();
  }
  const bool bare =
      decoded.kind() == v1::JOURNAL_KIND_CLAIM || decoded.kind() == v1::JOURNAL_KIND_BARRIER;
  if (bare && decoded.owner_nonce() == owner_.nonce && decoded.seq() == state_.tail().seq + 1) {
    state_.Accept(decoded, TailAfter(decoded, record.value));
    return Status::Ok();
  }
  return Error(ErrorCode::kFenced,
               fmt::format("partition {}: another owner wrote seq {} of the journal",
                           state_.partition(), decoded.seq()));
}

// `engine activate` is a record of account-changes; the BARRIER that puts it in force follows the
// batch in which it was folded.
Status PartitionTask::RaiseEngineVersion() {
  const auto bytes = state_.map().Get(engine::StateKey(schemas::kLogKey, engine::Table::kEngine));
  if (!bytes) {
    return Status::Ok();
  }
  v1::EngineState wanted;
  ALERTSTREAM_CHECK(wanted.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())));
  if (wanted.engine_version() <= EngineVersion()) {
    return Status::Ok();
  }
  if (wanted.engine_version() > options_.engine_version_max) {
    return Error(
        ErrorCode::kInvalid,
        fmt::format("partition {}: engine version {} was activated, this program knows "
                    "versions up to {}: start a newer program",
                    state_.partition(), wanted.engine_version(), options_.engine_version_max));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const LogTime now, time_.Next(state_.tail().now));
  v1::JournalRecord record;
  StampRecord(state_, owner_, now, wanted.engine_version(), &record);
  record.set_kind(v1::JOURNAL_KIND_BARRIER);
  record.set_state_root(state_.map().root().ToBytes());
  Status committed = CommitRecord(record, next_id_);
  if (!committed.ok()) {
    unresolved_ = true;
    return committed;
  }
  next_id_ = 1 - next_id_;
  return Status::Ok();
}

std::array<std::int64_t, schemas::kInputTopicCount> PartitionTask::passed() const {
  std::array<std::int64_t, schemas::kInputTopicCount> offsets{};
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    offsets[i] = sources_->Passed(i);
  }
  return offsets;
}

Status PartitionTask::Flush() {
  if (pending_) {
    return Status::Ok();  // The map holds a batch that may not be history.
  }
  // Where a restart may begin to read the journal: nothing of ours is further back than this.
  const log::TopicPartition journal{schemas::Topic::kJournal,
                                    static_cast<std::int32_t>(state_.partition())};
  const auto ends = log_.Ends(std::span(&journal, 1), log::EndKind::kStable, kHintTimeout);
  if (ends.ok()) {
    constexpr std::int64_t kRecordAndMarkers = 4;
    state_.set_journal_hint(std::max<std::int64_t>(0, ends.value()[0] - kRecordAndMarkers));
  }
  flushed_at_ = clock_.SinceBoot();
  Status flushed = state_.Flush();
  broken_ = broken_ || !flushed.ok();
  return flushed;
}

}  // namespace alertstream::runtime
