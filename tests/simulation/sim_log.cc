#include "tests/simulation/sim_log.h"

#include <algorithm>

#include "processor/base/check.h"
#include "processor/log/record_limits.h"

namespace alertstream::simulation {
namespace {

using log::TopicPartition;

// A request to a broker in the same data centre.
constexpr Micros kCallMin{150};
constexpr Micros kCallMax{2'500};
// Between the answer to a commit and its markers.
constexpr Micros kMarkersMax{4'000};
// A broker aborts what was left open for so long.
constexpr Micros kTransactionTimeout{10'000'000};
// A waiting reader learns of a new record so often.
constexpr Micros kPollMin{500};
constexpr Micros kPollMax{8'000};

Error Away() { return {ErrorCode::kUnavailable, "simulation: the log cannot be reached"}; }

Error FencedError(const std::string& id) {
  return {ErrorCode::kFenced, "another holder has taken over transactional id " + id};
}

}  // namespace

void SimBroker::SetLag(const Process& process, log::Topic topic, Micros lag) {
  lags_[{&process, topic}] = lag;
}

void SimBroker::ClearFaults() {
  lags_.clear();
  faults_.clear();
}

void SimBroker::InjectCommitFault(const Process& process, CommitFault fault, Micros late) {
  faults_[&process].push_back({fault, late});
}

void SimBroker::Tamper(TopicPartition where, std::int64_t offset, std::string value) {
  auto& slot = partitions_.at(where).slots.at(static_cast<std::size_t>(offset));
  auto changed = std::make_shared<StoredRecord>();
  changed->append_time = slot.record->append_time;
  changed->key = slot.record->key;
  changed->value = std::move(value);
  changed->headers = slot.record->headers;
  for (const auto& [name, bytes] : changed->headers) {
    changed->header_views.push_back({name, bytes});
  }
  slot.record = std::move(changed);
}

void SimBroker::CopyToEnd(TopicPartition where, std::int64_t offset) {
  auto& partition = partitions_.at(where);
  StoredSlot copy = partition.slots.at(static_cast<std::size_t>(offset));
  copy.settled_at = world_.now();
  partition.slots.push_back(std::move(copy));
}

const std::vector<StoredSlot>& SimBroker::Slots(TopicPartition where) const {
  return partitions_.at(where).slots;
}

std::int64_t SimBroker::End(TopicPartition where) const {
  return static_cast<std::int64_t>(partitions_.at(where).slots.size());
}

std::int64_t SimBroker::StableEnd(TopicPartition where) const {
  std::int64_t end = End(where);
  for (const auto& [id, first] : partitions_.at(where).open) {
    end = std::min(end, first);
  }
  return end;
}

std::int64_t SimBroker::Add(const log::NewRecord& record, StoredSlot::State state) {
  auto& partition = partitions_.at({record.topic, record.partition});
  partition.last_time = std::max(partition.last_time, world_.wall());
  auto stored = std::make_shared<StoredRecord>();
  stored->append_time = partition.last_time;
  stored->key = record.key;
  stored->value = record.value;
  for (const auto& header : record.headers) {
    stored->headers.emplace_back(header.name, header.value);
  }
  for (const auto& [name, bytes] : stored->headers) {
    stored->header_views.push_back({name, bytes});
  }
  partition.slots.push_back({state, world_.now(), std::move(stored)});
  return static_cast<std::int64_t>(partition.slots.size()) - 1;
}

void SimBroker::AddOpen(const std::string& id, std::span<const log::NewRecord> records) {
  IdState& state = ids_[id];
  state.open = true;
  const std::uint64_t transaction = ++state.transaction;
  for (const auto& record : records) {
    const TopicPartition where{record.topic, record.partition};
    const std::int64_t offset = Add(record, StoredSlot::State::kOpen);
    partitions_.at(where).open.try_emplace(id, offset);
    state.slots.emplace_back(where, offset);
  }
  world_.At(world_.now() + kTransactionTimeout, [this, id, transaction] {
    IdState& late = ids_[id];
    if (late.open && !late.decided && late.transaction == transaction) {
      Settle(id, false);
      ++late.epoch;
    }
  });
}

void SimBroker::Settle(const std::string& id, bool commit) {
  IdState& state = ids_[id];
  if (!state.open) {
    return;
  }
  for (const auto& [where, offset] : state.slots) {
    auto& slot = partitions_.at(where).slots[static_cast<std::size_t>(offset)];
    slot.state = commit ? StoredSlot::State::kVisible : StoredSlot::State::kHidden;
    slot.settled_at = world_.now();
  }
  for (const auto& [where, offset] : state.slots) {
    auto& partition = partitions_.at(where);
    if (partition.open.erase(id) > 0) {
      partition.slots.push_back({StoredSlot::State::kHidden, world_.now(), nullptr});
    }
  }
  state.open = false;
  state.decided = false;
  state.slots.clear();
}

void SimBroker::Decide(const std::string& id, Micros markers) {
  ids_[id].decided = true;
  world_.At(world_.now() + markers, [this, id] { Settle(id, true); });
}

Micros SimBroker::LagOf(const Process* process, log::Topic topic) const {
  const auto found = lags_.find({process, topic});
  return found == lags_.end() ? Micros{} : found->second;
}

std::optional<SimBroker::PendingFault> SimBroker::TakeFault(const Process* process) {
  const auto found = faults_.find(process);
  if (found == faults_.end() || found->second.empty()) {
    return std::nullopt;
  }
  const PendingFault fault = found->second.front();
  found->second.pop_front();
  return fault;
}

class SimReader final : public log::Reader {
 public:
  SimReader(World& world, SimBroker& broker, Process* process,
            std::span<const log::ReadFrom> sources)
      : world_(world),
        broker_(broker),
        process_(process),
        positions_(sources.begin(), sources.end()) {}

  Result<std::size_t> Fetch(std::size_t index, const log::FetchLimits& limits,
                            log::Fetched* out) override {
    log::ReadFrom& at = positions_.at(index);
    if (!world_.Step() || (process_ != nullptr && world_.now() < process_->log_away_until)) {
      return Away();
    }
    const auto& slots = broker_.Slots(at.source);
    if (at.offset > static_cast<std::int64_t>(slots.size())) {
      return Error(ErrorCode::kCorrupt, "simulation: the partition ends before the offset");
    }
    const std::int64_t end = Limit(at);
    std::size_t count = 0;
    std::size_t bytes = 0;
    for (; at.offset < end; ++at.offset) {
      const StoredSlot& slot = slots[static_cast<std::size_t>(at.offset)];
      if (slot.state != StoredSlot::State::kVisible) {
        continue;
      }
      bytes += slot.record->key.size() + slot.record->value.size();
      if (count == limits.records_max || (count > 0 && bytes > limits.bytes_max)) {
        break;
      }
      out->records.push_back({.offset = at.offset,
                              .append_time = slot.record->append_time,
                              .key = slot.record->key,
                              .value = slot.record->value,
                              .headers = slot.record->header_views});
      out->owners.push_back(slot.record);
      ++count;
    }
    return count;
  }

  std::int64_t Position(std::size_t index) const override { return positions_.at(index).offset; }

  void Wait(std::chrono::milliseconds timeout) override {
    if (process_ == nullptr) {
      return;
    }
    const Micros deadline = world_.now() + timeout;
    while (!woken_ && world_.Step() && world_.now() < deadline && !AnythingAtHand()) {
      world_.Sleep(std::min(world_.rng().Time(kPollMin, kPollMax), deadline - world_.now()));
    }
    woken_ = false;
  }
  void Wake() override { woken_ = true; }

 private:
  // Behind the last record that this process can see by now.
  std::int64_t Limit(const log::ReadFrom& at) const {
    const Micros lag = broker_.LagOf(process_, at.source.topic);
    std::int64_t end = broker_.StableEnd(at.source);
    if (lag > Micros{}) {
      const auto& slots = broker_.Slots(at.source);
      std::int64_t seen = std::min(at.offset, end);
      while (seen < end && slots[static_cast<std::size_t>(seen)].settled_at + lag <= world_.now()) {
        ++seen;
      }
      end = seen;
    }
    return end;
  }
  bool AnythingAtHand() const {
    if (process_ != nullptr && world_.now() < process_->log_away_until) {
      return false;
    }
    return std::any_of(positions_.begin(), positions_.end(),
                       [&](const log::ReadFrom& at) { return Limit(at) > at.offset; });
  }

  World& world_;
  SimBroker& broker_;
  Process* const process_;
  std::vector<log::ReadFrom> positions_;
  bool woken_ = false;
};

class SimTransactor final : public log::Transactor {
 public:
  SimTransactor(World& world, SimBroker& broker, Process* process, std::string id)
      : world_(world), broker_(broker), process_(process), id_(std::move(id)) {}

  Status Init(std::chrono::milliseconds timeout) override {
    epoch_.reset();
    if (!Reach()) {
      return Away();
    }
    if (!AwaitMarkers(timeout)) {
      return Error(ErrorCode::kUnavailable, "simulation: a transaction is being completed");
    }
    broker_.Settle(id_, false);
    const std::uint64_t epoch = ++broker_.ids_[id_].epoch;
    if (!Reach()) {
      return Away();  // Done, but nobody was told.
    }
    epoch_ = epoch;
    return Status::Ok();
  }

  Status Commit(std::span<const log::NewRecord> records,
                std::chrono::milliseconds timeout) override {
    if (!epoch_) {
      return Error(ErrorCode::kFenced, "transactional id " + id_ + " needs Init before a commit");
    }
    const std::uint64_t epoch = *epoch_;
    epoch_.reset();
    Status committed = Run(epoch, records, timeout);
    if (committed.ok() || committed.error().code() == ErrorCode::kInvalid) {
      epoch_ = epoch;
    }
    return committed;
  }

 private:
  // One way of a request. False: the process is cut off, or dead.
  bool Reach() {
    return world_.Delay(kCallMin, kCallMax) &&
           (process_ == nullptr || world_.now() >= process_->log_away_until);
  }
  bool AwaitMarkers(std::chrono::milliseconds timeout) {
    const Micros deadline = world_.now() + timeout;
    while (broker_.ids_[id_].decided) {
      if (world_.now() >= deadline || !world_.Step()) {
        return false;
      }
      world_.Sleep(kCallMax);
    }
    return true;
  }
  Error Unknown() const {
    return {ErrorCode::kUnknown, "simulation: the outcome of a commit of " + id_ + " is not known"};
  }

  Status Run(std::uint64_t epoch, std::span<const log::NewRecord> records,
             std::chrono::milliseconds timeout) {
    ALERTSTREAM_RETURN_IF_ERROR(log::CheckRecords(records, broker_.partitions_count_));
    if (!Reach() || !AwaitMarkers(timeout)) {
      return Away();
    }
    if (broker_.ids_[id_].epoch != epoch) {
      return FencedError(id_);
    }
    broker_.AddOpen(id_, records);
    const std::uint64_t transaction = broker_.ids_[id_].transaction;
    if (!Reach()) {
      return Unknown();
    }
    if (broker_.ids_[id_].epoch != epoch) {
      return FencedError(id_);
    }
    const auto fault = broker_.TakeFault(process_);
    const Micros markers = world_.rng().Time(Micros{0}, kMarkersMax);
    if (!fault) {
      broker_.Decide(id_, markers);
      return Reach() ? Status::Ok() : Status(Unknown());
    }
    switch (fault->fault) {
      case CommitFault::kRequestLost:
        break;
      case CommitFault::kAnswerLost:
        broker_.Decide(id_, markers);
        break;
      case CommitFault::kRequestLate:
        world_.At(world_.now() + fault->late,
                  [broker = &broker_, id = id_, epoch, transaction, markers] {
                    const auto& state = broker->ids_[id];
                    if (state.open && !state.decided && state.epoch == epoch &&
                        state.transaction == transaction) {
                      broker->Decide(id, markers);
                    }
                  });
        break;
      case CommitFault::kRefused:
        broker_.Settle(id_, false);
        return Error(ErrorCode::kUnavailable, "simulation: a commit of " + id_ + " was refused");
      case CommitFault::kSlowMarkers:
        broker_.Decide(id_, fault->late);
        return Reach() ? Status::Ok() : Status(Unknown());
    }
    return Unknown();
  }

  World& world_;
  SimBroker& broker_;
  Process* const process_;
  const std::string id_;
  std::optional<std::uint64_t> epoch_;  // Empty: Init is needed.
};

namespace {

bool IsAway(const World& world, const Process* process) {
  return process != nullptr && world.now() < process->log_away_until;
}

}  // namespace

Result<std::vector<log::TopicInfo>> SimLog::DescribeTopics(std::chrono::milliseconds /*timeout*/) {
  std::vector<log::TopicInfo> infos;
  for (const auto& spec : schemas::kTopics) {
    infos.push_back({.topic = spec.topic,
                     .exists = broker_.partitions_count_ > 0,
                     .partitions = broker_.partitions_count_,
                     .replication = 1,
                     .wrong_settings = {}});
  }
  return infos;
}

Status SimLog::ApplyTopics(const log::TopicPlan& plan, std::chrono::milliseconds /*timeout*/) {
  broker_.partitions_count_ = plan.partitions;
  for (const auto& spec : schemas::kTopics) {
    for (std::int32_t i = 0; i < plan.partitions; ++i) {
      broker_.partitions_[{spec.topic, i}];
    }
  }
  return Status::Ok();
}

Result<std::int32_t> SimLog::Partitions(std::chrono::milliseconds /*timeout*/) {
  if (process_ != nullptr && (!world_.Delay(kCallMin, kCallMax) || IsAway(world_, process_))) {
    return Away();
  }
  return broker_.partitions_count_;
}

Result<std::unique_ptr<log::Reader>> SimLog::OpenReader(std::span<const log::ReadFrom> sources) {
  return std::unique_ptr<log::Reader>(
      std::make_unique<SimReader>(world_, broker_, process_, sources));
}

Result<std::vector<std::int64_t>> SimLog::Ends(std::span<const TopicPartition> partitions,
                                               log::EndKind kind,
                                               std::chrono::milliseconds /*timeout*/) {
  if (process_ != nullptr && (!world_.Delay(kCallMin, kCallMax) || IsAway(world_, process_))) {
    return Away();
  }
  std::vector<std::int64_t> ends;
  for (const auto& partition : partitions) {
    ends.push_back(kind == log::EndKind::kStable ? broker_.StableEnd(partition)
                                                 : broker_.End(partition));
  }
  if (process_ != nullptr && !world_.Delay(kCallMin, kCallMax)) {
    return Away();
  }
  return ends;
}

Result<std::vector<log::Appended>> SimLog::Append(std::span<const log::NewRecord> records,
                                                  std::chrono::milliseconds /*timeout*/) {
  ALERTSTREAM_RETURN_IF_ERROR(log::CheckRecords(records, broker_.partitions_count_));
  if (process_ != nullptr && (!world_.Delay(kCallMin, kCallMax) || IsAway(world_, process_))) {
    return Away();
  }
  std::vector<log::Appended> appended;
  for (const auto& record : records) {
    const std::int64_t offset = broker_.Add(record, StoredSlot::State::kVisible);
    appended.push_back(
        {offset, broker_.Slots({record.topic, record.partition})[static_cast<std::size_t>(offset)]
                     .record->append_time});
  }
  if (process_ != nullptr && !world_.Delay(kCallMin, kCallMax)) {
    return Away();
  }
  return appended;
}

Result<std::unique_ptr<log::Transactor>> SimLog::OpenTransactor(const std::string& id) {
  return std::unique_ptr<log::Transactor>(
      std::make_unique<SimTransactor>(world_, broker_, process_, id));
}

}  // namespace alertstream::simulation
