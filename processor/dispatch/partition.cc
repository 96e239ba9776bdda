#include "processor/dispatch/partition.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "processor/base/check.h"

namespace alertstream::dispatch {
namespace {

using schemas::Topic;

constexpr std::size_t kBatchesPerStepMax = 64;
constexpr std::size_t kCheckpointsMax = 64;
constexpr std::chrono::milliseconds kIdleWait{200};
constexpr std::chrono::milliseconds kNoTimeLeft{1};  // A timeout has to be above 0.
constexpr std::chrono::milliseconds kUnreadableWait{50};
// Rivals that begin together meet at their first transactions. An owner that was idle for longer
// was replaced.
constexpr std::chrono::minutes kStartRaceMax{10};

}  // namespace

PartitionDispatch::PartitionDispatch(log::EventLog& log, Clock& clock,
                                     const ProviderAccounts& accounts, HttpClient& http,
                                     AccountGates& gates, CallBudget& budget,
                                     PartitionDispatchOptions options)
    : log_(log),
      clock_(clock),
      accounts_(accounts),
      http_(http),
      gates_(gates),
      budget_(budget),
      options_(std::move(options)) {
  status_.partition = options_.partition;
  status_.phase = "starting";
}

Status PartitionDispatch::Run() {
  const Status taken = TakeOver();
  Status ended = taken;
  while (ended.ok() && !finishing_) {
    ended = Step();
  }
  if (ended.ok()) {
    TakeFinished();
    ended = CommitGroup();
  }
  DropGroup();
  const std::lock_guard lock(mutex_);
  reader_.reset();
  return ended;
}

// Starts that are not known to be committed are not made.
void PartitionDispatch::DropGroup() {
  for (const Starting& starting : group_.starting) {
    gates_.Abandon(starting.account->provider, starting.account->name, starting.admission.probe);
    budget_.Give();
  }
  group_ = {};
}

// Everything but the calls in flight begins anew: it is read from the log.
Status PartitionDispatch::TakeOver() {
  SetPhase("recovering", "");
  taken_at_ = clock_.SinceBoot();
  committed_ = false;
  room_.Clear();
  checkpoints_.clear();
  open_seqs_.clear();
  recovered_.clear();
  ALERTSTREAM_ASSIGN_OR_RETURN(
      attempts_, AttemptLog::Open(log_, {.log_id = options_.log_id,
                                         .partition = options_.partition,
                                         .commit_timeout = LogTimeout(),
                                         .cancelled = [this] {
                                           return finishing_ &&
                                                  (!HasUnwritten() || LogTimeout() <= kNoTimeLeft);
                                         }}));
  ALERTSTREAM_ASSIGN_OR_RETURN(Recovered recovered, attempts_->Take());
  ReclaimFlights(recovered);
  if (finishing_) {
    return Status::Ok();  // Nothing is to be read, only results to be written.
  }
  const Checkpoint from = recovered.checkpoint.value_or(Checkpoint{});
  runtime::OutputReaderOptions reading{.log_id = options_.log_id,
                                       .partition = options_.partition,
                                       .topics = {Topic::kNotificationCommands}};
  if (recovered.checkpoint) {
    reading.resume =
        runtime::ResumePoint{.seq = from.seq,
                             .journal_offset = from.journal_offset,
                             .topics = {{Topic::kNotificationCommands, from.commands_offset}}};
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto covered,
      FindCovered(log_, options_.partition, from.journal_offset, options_.log_timeout));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      permissions_, PermissionView::Open(log_, options_.partition, options_.token_key, covered,
                                         options_.log_timeout));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto reader, runtime::OutputReader::Open(log_, reading));
  recovered_ = std::move(recovered.attempts);
  noted_seq_ = from.seq;
  taken_attempts_offset_ = from.attempts_offset;
  taken_at_ = clock_.SinceBoot();
  const std::lock_guard lock(mutex_);
  reader_ = std::move(reader);
  return Status::Ok();
}

// Our own calls are still coming back.
void PartitionDispatch::ReclaimFlights(const Recovered& recovered) {
  for (auto flight = flights_.begin(); flight != flights_.end();) {
    const auto known = recovered.attempts.find(flight->first);
    if (known != recovered.attempts.end() && known->second.final) {
      flight = flights_.erase(flight);  // Another owner has written it off meanwhile.
      continue;
    }
    flight->second.seq = 0;
    open_seqs_.insert(0);
    ++flight;
  }
}

// An attempt that another owner started and left without a result: nobody knows what became of it.
void PartitionDispatch::WriteOff(const AttemptTarget& target,
                                 const v1::NotificationCommand* command) {
  group_.records.push_back(
      ResultRecord(target, {.result = v1::ATTEMPT_CLASS_AMBIGUOUS, .code = "owner_lost"},
                   clock_.Now(), command));
}

// The journal has been read past everything that was started: what is left has no command there.
void PartitionDispatch::WriteOffRest() {
  for (const auto& [key, known] : recovered_) {
    if (!known.final && !flights_.contains(key)) {
      WriteOff(known.target, nullptr);
    }
  }
  recovered_.clear();
}

Status PartitionDispatch::Commit(const std::vector<v1::Envelope>& records) {
  Status committed = attempts_->Commit(records);
  committed_ = committed_ || committed.ok();
  return committed;
}

bool PartitionDispatch::LostTheStart() const {
  return !committed_ && clock_.SinceBoot() - taken_at_ < kStartRaceMax;
}

// As configured, but not beyond the time for finishing.
std::chrono::milliseconds PartitionDispatch::LogTimeout() const {
  if (!finishing_) {
    return options_.log_timeout;
  }
  const auto left = std::chrono::microseconds(finish_by_us_) - SystemClock().SinceBoot();
  return std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(left), kNoTimeLeft,
                    options_.log_timeout);
}

Status PartitionDispatch::Step() {
  SetPhase(draining_ ? "draining" : (trouble_.empty() ? "running" : "waiting_for_log"), trouble_);
  trouble_.clear();
  ALERTSTREAM_RETURN_IF_ERROR(NoteCheckpoint());
  ALERTSTREAM_RETURN_IF_ERROR(ReadJournal(more_ ? std::chrono::milliseconds(0) : WaitTime()));
  more_ = false;
  // After the journal, so that nothing is taken for uncovered that is not.
  ALERTSTREAM_RETURN_IF_ERROR(ReadPermissions());
  TakeFinished();
  MakeRoom();
  retry_at_ = std::chrono::microseconds::max();
  // What the log takes back further on is not started, if all of it can be kept.
  if (!draining_ && permitted_ && (reader_->AtOpeningEnd() || !MayReadOn())) {
    Choose();
  }
  // After the starts, so that what could start is not given back.
  Sweep();
  ALERTSTREAM_RETURN_IF_ERROR(CommitGroup());
  Publish();
  return Status::Ok();
}

// What cannot be read now is asked for again; the partition is not ready meanwhile.
Status PartitionDispatch::Tolerate(const Status& read) {
  if (read.ok() || read.error().code() != ErrorCode::kUnavailable) {
    return read;
  }
  trouble_ = read.error().message();
  return Status::Ok();
}

// Nothing starts while somebody's opt-out cannot be seen.
Status PartitionDispatch::ReadPermissions() {
  const Status read = permissions_->Read();
  permitted_ = read.ok() && permissions_->Complete();
  if (!permitted_) {
    forbidden_at_ = clock_.SinceBoot();
  }
  return Tolerate(read);
}

bool PartitionDispatch::MayReadOn() const {
  // When the view is full only the journal can empty it.
  return !draining_ && (room_.waiting() < options_.waiting_max || permissions_->full());
}

std::chrono::milliseconds PartitionDispatch::WaitTime() const {
  const auto until = retry_at_ - clock_.SinceBoot();
  return std::clamp(std::chrono::ceil<std::chrono::milliseconds>(until),
                    std::chrono::milliseconds(1), kIdleWait);
}

Status PartitionDispatch::ReadJournal(std::chrono::milliseconds timeout) {
  if (!MayReadOn()) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return woken_; });
    woken_ = false;
    return Status::Ok();
  }
  for (std::size_t i = 0; i < kBatchesPerStepMax && MayReadOn(); ++i) {
    auto batch = reader_->Next(i == 0 ? timeout : std::chrono::milliseconds(0));
    if (!batch.ok()) {
      ALERTSTREAM_RETURN_IF_ERROR(Tolerate(batch.error()));
      clock_.SleepFor(kUnreadableWait);
      return Status::Ok();
    }
    if (!batch.value()) {
      if (reader_->AtOpeningEnd()) {
        WriteOffRest();
      }
      return Status::Ok();
    }
    Apply(*batch.value());
    ALERTSTREAM_RETURN_IF_ERROR(applied_);
  }
  more_ = true;
  return Status::Ok();
}

// Commands first: a batch that passed an opt-out also takes back what it forbids.
void PartitionDispatch::Apply(const runtime::ReleasedBatch& batch) {
  std::uint32_t index = 0;
  for (const runtime::ReleasedRecord& output : batch.outputs) {
    applied_ = ApplyCommand(output.record, {batch.journal.seq(), index++});
    if (!applied_.ok()) {
      return;
    }
  }
  std::vector<std::string> released;
  permissions_->Cover(batch.journal, &released);
  for (const std::string& token : released) {
    room_.Release(token);
  }
}

Status PartitionDispatch::ApplyCommand(const log::RecordView& record, Place place) {
  auto command = std::make_unique<v1::NotificationCommand>();
  if (!command->ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) {
    return Error(ErrorCode::kCorrupt,
                 fmt::format("notification-commands partition {} offset {}: no command",
                             options_.partition, record.offset));
  }
  if (command->kind() == v1::COMMAND_KIND_CANCEL) {
    for (const Waiting& taken : command->notification_id().empty()
                                    ? room_.TakePerson(*command)
                                    : room_.TakeNotification(command->notification_id())) {
      Close(taken,
            NotCalledRecord(TargetOf(*taken.command), v1::ATTEMPT_PHASE_CANCELLED, clock_.Now()));
    }
    return Status::Ok();
  }
  if (command->kind() != v1::COMMAND_KIND_SEND &&
      command->kind() != v1::COMMAND_KIND_CONFIRMATION) {
    return Status::Ok();  // Of a later version, for a later dispatcher.
  }
  const AttemptKey key = KeyOf(*command);
  if (flights_.contains(key)) {
    recovered_.erase(key);
    return Status::Ok();
  }
  if (const auto known = recovered_.find(key); known != recovered_.end()) {
    if (!known->second.final) {
      WriteOff(known->second.target, command.get());
    }
    recovered_.erase(known);
    return Status::Ok();
  }
  if (room_.Add({place, std::move(command), clock_.SinceBoot()})) {
    open_seqs_.insert(place.seq);
  }
  return Status::Ok();
}

void PartitionDispatch::CloseSeq(std::uint64_t seq) {
  const auto open = open_seqs_.find(seq);
  ALERTSTREAM_CHECK(open != open_seqs_.end());
  open_seqs_.erase(open);
}

void PartitionDispatch::TakeFinished() {
  std::vector<Finished> finished;
  {
    const std::lock_guard lock(mutex_);
    finished.swap(inbox_);
    woken_ = false;
  }
  for (Finished& each : finished) {
    const auto flight = flights_.find(each.key);
    if (flight != flights_.end()) {
      flight->second.finished = std::move(each);
    }
  }
  for (auto& [key, flight] : flights_) {
    if (flight.finished) {
      group_.records.push_back(ResultRecord(flight.target, flight.finished->outcome,
                                            flight.finished->at, flight.command.get()));
      group_.landed.push_back(key);
    }
  }
}

Status PartitionDispatch::CommitGroup() {
  const LogTime now = clock_.Now();
  for (const Starting& starting : group_.starting) {
    group_.records.push_back(StartedRecord(TargetOf(*starting.waiting.command), now));
  }
  if (group_.records.empty()) {
    return Status::Ok();
  }
  for (const AttemptKey& key : group_.landed) {
    CloseSeq(flights_.at(key).seq);
  }
  if (const auto done = DoneCheckpoint()) {
    SetCheckpoint(*done, &group_.records.back());
  }
  ALERTSTREAM_RETURN_IF_ERROR(Commit(group_.records));
  for (const AttemptKey& key : group_.landed) {
    // The takeover may have seen its start only; its command may still have to be read again.
    if (const auto known = recovered_.find(key); known != recovered_.end()) {
      known->second.final = true;
    }
    flights_.erase(key);
  }
  {
    const std::lock_guard lock(mutex_);
    in_flight_ += group_.starting.size();
  }
  Group group = std::move(group_);
  group_ = {};
  for (Starting& starting : group.starting) {
    Call(std::move(starting));
  }
  return Status::Ok();
}

// The start is committed: from here on the attempt counts as made.
void PartitionDispatch::Call(Starting starting) {
  AttemptTarget target = TargetOf(*starting.waiting.command);
  const AttemptKey key = target.key;
  const v1::Channel channel = target.channel;
  flights_[key] = Flight{std::move(target), std::move(starting.waiting.command),
                         starting.waiting.place.seq, std::nullopt};
  HttpCall call{.base_url = starting.account->base_url,
                .request = std::move(starting.request),
                .connect_timeout = options_.connect_timeout,
                .total_timeout = options_.total_timeout};
  http_.Submit(std::move(call), [this, key, channel, account = std::move(starting.account),
                                 admission = starting.admission,
                                 begun = clock_.SinceBoot()](const HttpOutcome& outcome) {
    const auto now = clock_.SinceBoot();
    const LogTime at = clock_.Now();
    Outcome judged = SmsSender::Judge(outcome, at);
    gates_.OnOutcome(account->provider, account->name, admission.probe, admission.credentials,
                     judged, now);
    budget_.Give();
    if (options_.on_attempt) {
      options_.on_attempt({.partition = options_.partition,
                           .channel = channel,
                           .provider = account->provider,
                           .account = account->name,
                           .outcome = judged,
                           .called = true,
                           .call = now - begun});
    }
    Land({key, std::move(judged), at, now - begun});
  });
}

void PartitionDispatch::Land(const Finished& finished) {
  const std::lock_guard lock(mutex_);
  const bool first = inbox_.empty();
  inbox_.push_back(finished);
  --in_flight_;
  if (first) {
    woken_ = true;
    changed_.notify_all();
    if (reader_ != nullptr) {
      reader_->Wake();
    }
  }
}

// Before anything further is read: what is read later has its attempts behind these offsets. That
// does not hold for commands that an earlier owner has read: until they have been passed, attempts
// are to be read from where this owner began.
Status PartitionDispatch::NoteCheckpoint() {
  const auto now = clock_.SinceBoot();
  const runtime::ResumePoint point = reader_->resume_point();
  if (point.seq <= noted_seq_ || now - noted_at_ < options_.checkpoint_every ||
      checkpoints_.size() >= kCheckpointsMax) {
    return Status::Ok();
  }
  noted_at_ = now;
  std::int64_t attempts_offset = taken_attempts_offset_;
  if (reader_->AtOpeningEnd()) {
    const auto end = attempts_->End();
    if (!end.ok()) {
      return Status::Ok();  // The next one will do.
    }
    attempts_offset = end.value();
  }
  noted_seq_ = point.seq;
  checkpoints_.push_back({.seq = point.seq,
                          .journal_offset = point.journal_offset,
                          .commands_offset = point.topics.at(Topic::kNotificationCommands),
                          .attempts_offset = attempts_offset});
  return Status::Ok();
}

// The newest checkpoint below which everything is final; those up to it are done with.
std::optional<Checkpoint> PartitionDispatch::DoneCheckpoint() {
  std::optional<Checkpoint> done;
  while (!checkpoints_.empty() &&
         (open_seqs_.empty() || checkpoints_.front().seq < *open_seqs_.begin())) {
    done = checkpoints_.front();
    checkpoints_.pop_front();
  }
  return done;
}

void PartitionDispatch::Publish() {
  const auto oldest = room_.OldestDecided();
  const auto age = oldest ? std::max(LogDuration{0}, clock_.Now() - *oldest) : LogDuration{0};
  DispatchStatus now;
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    changed = status_.waiting != room_.waiting() || status_.held != room_.held() ||
              status_.in_flight != in_flight_;
    status_.waiting = room_.waiting();
    status_.held = room_.held();
    status_.in_flight = in_flight_;
    status_.seq = reader_->tail().seq;
    status_.lag_seconds = std::chrono::duration<double>(age).count();
    now = status_;
  }
  if (changed && options_.on_status) {
    options_.on_status(now);
  }
}

void PartitionDispatch::Drain() {
  draining_ = true;
  SetPhase("draining", "");
  Wake();
}

void PartitionDispatch::Finish(std::chrono::microseconds by) {
  draining_ = true;
  finish_by_us_ = by.count();
  finishing_ = true;
  Wake();
}

void PartitionDispatch::Wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
  if (reader_ != nullptr) {
    reader_->Wake();
  }
}

std::size_t PartitionDispatch::in_flight() const {
  const std::lock_guard lock(mutex_);
  return in_flight_;
}

DispatchStatus PartitionDispatch::status() const {
  const std::lock_guard lock(mutex_);
  DispatchStatus status = status_;
  status.in_flight = in_flight_;
  return status;
}

void PartitionDispatch::SetPhase(const std::string& phase, const std::string& error) {
  const std::lock_guard lock(mutex_);
  status_.phase = phase;
  status_.error = error;
}

}  // namespace alertstream::dispatch
