#include "processor/log/memory/memory_log.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "processor/base/check.h"
#include "processor/log/record_limits.h"
#include "schemas/topics.h"

namespace alertstream::log {
namespace {

struct StoredRecord {
  LogTime append_time;
  std::string key;
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<Header> header_views;
};

enum class SlotState : std::uint8_t {
  kVisible,
  kOpen,    // In a transaction that is not over.
  kHidden,  // Aborted, or a marker.
};

// One offset of a partition.
struct Slot {
  SlotState state = SlotState::kHidden;
  bool corrupt = false;
  // Null for a marker. Shared with the Fetched that hold it.
  std::shared_ptr<const StoredRecord> record;
};

struct Partition {
  std::vector<Slot> slots;  // The index is the offset.
  LogTime last_time{};
  // Open transactions: id to its first offset here.
  std::map<std::string, std::int64_t> open;

  std::int64_t End() const { return static_cast<std::int64_t>(slots.size()); }
  std::int64_t StableEnd() const {
    auto end = End();
    for (const auto& [id, first] : open) {
      end = std::min(end, first);
    }
    return end;
  }
};

struct IdState {
  std::uint64_t epoch = 0;
  std::deque<CommitFault> faults;
  bool open = false;
  bool commit_on_init = false;
  std::vector<std::pair<TopicPartition, std::int64_t>> open_slots;
};

std::string Name(TopicPartition partition) {
  return std::string(schemas::NameOf(partition.topic)) + " partition " +
         std::to_string(partition.partition);
}

Error FencedError(const std::string& id) {
  return {ErrorCode::kFenced, "another holder has taken over transactional id " + id};
}

Error FaultError() { return {ErrorCode::kUnavailable, "memory log: writes are failing (fault)"}; }

std::shared_ptr<const StoredRecord> Store(const NewRecord& record, LogTime append_time) {
  auto stored = std::make_shared<StoredRecord>();
  stored->append_time = append_time;
  stored->key = record.key;
  stored->value = record.value;
  for (const auto& header : record.headers) {
    stored->headers.emplace_back(header.name, header.value);
  }
  for (const auto& [name, value] : stored->headers) {
    stored->header_views.push_back({.name = name, .value = value});
  }
  return stored;
}

}  // namespace

// All state, behind one mutex.
class MemoryLogCore {
 public:
  explicit MemoryLogCore(const MemoryLogOptions& options) : options_(options) {}

  const MemoryLogOptions& options() const { return options_; }

  Result<std::vector<TopicInfo>> DescribeTopics();
  Status ApplyTopics(const TopicPlan& plan);
  Result<std::int32_t> Partitions();
  Result<std::vector<std::int64_t>> Ends(std::span<const TopicPartition> partitions, EndKind kind);
  Status CheckSources(std::span<const ReadFrom> sources);

  Result<std::vector<Appended>> Append(std::span<const NewRecord> records);
  Result<std::uint64_t> Init(const std::string& id);
  Status Commit(const std::string& id, std::uint64_t epoch, std::span<const NewRecord> records);
  Result<std::uint64_t> Begin(const std::string& id, std::span<const NewRecord> records);
  Status EndOpen(const std::string& id, std::uint64_t epoch, bool commit);

  Result<std::size_t> Fetch(TopicPartition source, std::int64_t* position,
                            const FetchLimits& limits, Fetched* out);
  void Wait(std::span<const ReadFrom> positions, std::chrono::milliseconds timeout, bool* woken);
  void Wake(bool* woken);

  void InjectCommitFault(const std::string& id, CommitFault fault);
  void FailWrites(bool on);
  void FailEnds(Topic topic, bool on);
  void FailReads(Topic topic, bool on);
  void Place(const NewRecord& record, const Appended& place);
  void Truncate(TopicPartition partition, std::int64_t end);
  void Corrupt(TopicPartition partition, std::int64_t offset);

 private:
  // The functions below need mutex_.
  Status CheckPartitions(std::span<const TopicPartition> partitions) const;
  Status CheckWritable(std::span<const NewRecord> records) const;
  Appended Add(const NewRecord& record, SlotState state);
  void AddOpen(const std::string& id, std::span<const NewRecord> records);
  void Settle(const std::string& id, bool commit);
  bool AnythingFor(std::span<const ReadFrom> positions) const;

  const MemoryLogOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::int32_t partition_count_ = 0;  // 0: no topics yet.
  std::map<TopicPartition, Partition> partitions_;
  std::map<std::string, IdState> ids_;
  bool fail_writes_ = false;
  std::set<Topic> fail_ends_;
  std::set<Topic> fail_reads_;
};

Result<std::vector<TopicInfo>> MemoryLogCore::DescribeTopics() {
  const std::lock_guard lock(mutex_);
  std::vector<TopicInfo> infos;
  infos.reserve(schemas::kTopicCount);
  for (const auto& spec : schemas::kTopics) {
    const bool exists = partition_count_ > 0;
    infos.push_back({.topic = spec.topic,
                     .exists = exists,
                     .partitions = partition_count_,
                     .replication = exists ? 1 : 0,
                     .wrong_settings = {}});
  }
  return infos;
}

Status MemoryLogCore::ApplyTopics(const TopicPlan& plan) {
  const std::lock_guard lock(mutex_);
  if (plan.partitions < 1 || plan.partitions > kPartitionsMax) {
    return Error(ErrorCode::kInvalid, "partitions must be 1 to " + std::to_string(kPartitionsMax));
  }
  if (partition_count_ == 0) {
    partition_count_ = plan.partitions;
    for (const auto& spec : schemas::kTopics) {
      for (std::int32_t i = 0; i < plan.partitions; ++i) {
        partitions_[{.topic = spec.topic, .partition = i}];
      }
    }
  }
  if (partition_count_ != plan.partitions) {
    return Error(ErrorCode::kConflict, "the topics have " + std::to_string(partition_count_) +
                                           " partitions, which can never change; " +
                                           std::to_string(plan.partitions) + " were asked for");
  }
  return Status::Ok();
}

Result<std::int32_t> MemoryLogCore::Partitions() {
  const std::lock_guard lock(mutex_);
  ALERTSTREAM_RETURN_IF_ERROR(CheckPartitions({}));
  return partition_count_;
}

Status MemoryLogCore::CheckPartitions(std::span<const TopicPartition> partitions) const {
  if (partition_count_ == 0) {
    return Error(ErrorCode::kNotFound, "the log has no topics yet; run `topics apply`");
  }
  for (const auto& partition : partitions) {
    if (!partitions_.contains(partition)) {
      return Error(ErrorCode::kInvalid, Name(partition) + " does not exist");
    }
  }
  return Status::Ok();
}

Status MemoryLogCore::CheckWritable(std::span<const NewRecord> records) const {
  ALERTSTREAM_RETURN_IF_ERROR(CheckPartitions({}));
  ALERTSTREAM_RETURN_IF_ERROR(CheckRecords(records, partition_count_));
  if (fail_writes_) {
    return FaultError();
  }
  return Status::Ok();
}

Status MemoryLogCore::CheckSources(std::span<const ReadFrom> sources) {
  const std::lock_guard lock(mutex_);
  for (const auto& from : sources) {
    ALERTSTREAM_RETURN_IF_ERROR(CheckPartitions(std::span(&from.source, 1)));
    if (from.offset < 0) {
      return Error(ErrorCode::kInvalid, Name(from.source) + ": an offset is negative");
    }
  }
  return Status::Ok();
}

Result<std::vector<std::int64_t>> MemoryLogCore::Ends(std::span<const TopicPartition> partitions,
                                                      EndKind kind) {
  const std::lock_guard lock(mutex_);
  ALERTSTREAM_RETURN_IF_ERROR(CheckPartitions(partitions));
  std::vector<std::int64_t> ends;
  for (const auto& partition : partitions) {
    if (fail_ends_.contains(partition.topic)) {
      return Error(ErrorCode::kUnavailable,
                   "memory log: the end of " + Name(partition) + " cannot be read (fault)");
    }
    const auto& state = partitions_.at(partition);
    ends.push_back(kind == EndKind::kStable ? state.StableEnd() : state.End());
  }
  return ends;
}

Appended MemoryLogCore::Add(const NewRecord& record, SlotState state) {
  auto& partition = partitions_.at({.topic = record.topic, .partition = record.partition});
  partition.last_time = std::max(partition.last_time, options_.clock.Now());
  const Appended appended{.offset = partition.End(), .append_time = partition.last_time};
  partition.slots.push_back({.state = state, .record = Store(record, partition.last_time)});
  return appended;
}

Result<std::vector<Appended>> MemoryLogCore::Append(std::span<const NewRecord> records) {
  const std::lock_guard lock(mutex_);
  ALERTSTREAM_RETURN_IF_ERROR(CheckWritable(records));
  std::vector<Appended> appended;
  for (const auto& record : records) {
    appended.push_back(Add(record, SlotState::kVisible));
  }
  changed_.notify_all();
  return appended;
}

// Writes the records as a transaction that is not over.
void MemoryLogCore::AddOpen(const std::string& id, std::span<const NewRecord> records) {
  auto& state = ids_[id];
  state.open = true;
  state.commit_on_init = false;
  for (const auto& record : records) {
    const TopicPartition where{.topic = record.topic, .partition = record.partition};
    const auto offset = Add(record, SlotState::kOpen).offset;
    partitions_.at(where).open.try_emplace(id, offset);
    state.open_slots.emplace_back(where, offset);
  }
}

// Ends the open transaction of `id`, if there is one.
void MemoryLogCore::Settle(const std::string& id, bool commit) {
  auto& state = ids_[id];
  if (!state.open) {
    return;
  }
  for (const auto& [where, offset] : state.open_slots) {
    auto& slots = partitions_.at(where).slots;
    if (offset < static_cast<std::int64_t>(slots.size())) {
      slots[static_cast<std::size_t>(offset)].state =
          commit ? SlotState::kVisible : SlotState::kHidden;
    }
  }
  for (const auto& [where, offset] : state.open_slots) {
    auto& partition = partitions_.at(where);
    if (partition.open.erase(id) > 0 && options_.markers) {
      partition.slots.push_back({.state = SlotState::kHidden, .record = nullptr});
    }
  }
  state.open = false;
  state.open_slots.clear();
  changed_.notify_all();
}

Result<std::uint64_t> MemoryLogCore::Init(const std::string& id) {
  const std::lock_guard lock(mutex_);
  ALERTSTREAM_RETURN_IF_ERROR(CheckWritable({}));
  Settle(id, ids_[id].commit_on_init);
  return ++ids_[id].epoch;
}

Status MemoryLogCore::Commit(const std::string& id, std::uint64_t epoch,
                             std::span<const NewRecord> records) {
  const std::lock_guard lock(mutex_);
  if (epoch != ids_[id].epoch) {
    return FencedError(id);
  }
  ALERTSTREAM_RETURN_IF_ERROR(CheckWritable(records));
  auto& faults = ids_[id].faults;
  if (faults.empty()) {
    AddOpen(id, records);
    Settle(id, true);
    return Status::Ok();
  }
  const auto fault = faults.front();
  faults.pop_front();
  if (fault == CommitFault::kUnavailable) {
    return FaultError();
  }
  AddOpen(id, records);
  if (fault == CommitFault::kUnknownApplied || fault == CommitFault::kUnknownNotApplied) {
    Settle(id, fault == CommitFault::kUnknownApplied);
  }
  ids_[id].commit_on_init = fault == CommitFault::kUnknownAppliedLater;
  return Error(ErrorCode::kUnknown, "the outcome of a commit of " + id + " is not known (fault)");
}

Result<std::uint64_t> MemoryLogCore::Begin(const std::string& id,
                                           std::span<const NewRecord> records) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto epoch, Init(id));
  const std::lock_guard lock(mutex_);
  ALERTSTREAM_RETURN_IF_ERROR(CheckWritable(records));
  AddOpen(id, records);
  return epoch;
}

Status MemoryLogCore::EndOpen(const std::string& id, std::uint64_t epoch, bool commit) {
  const std::lock_guard lock(mutex_);
  if (epoch != ids_[id].epoch) {
    return FencedError(id);
  }
  Settle(id, commit);
  return Status::Ok();
}

Result<std::size_t> MemoryLogCore::Fetch(TopicPartition source, std::int64_t* position,
                                         const FetchLimits& limits, Fetched* out) {
  const std::lock_guard lock(mutex_);
  if (fail_reads_.contains(source.topic)) {
    return Error(ErrorCode::kUnavailable,
                 "memory log: " + Name(source) + " cannot be read (fault)");
  }
  const auto& partition = partitions_.at(source);
  if (*position > partition.End()) {
    return Error(ErrorCode::kCorrupt, Name(source) + " ends at " + std::to_string(partition.End()) +
                                          ", before offset " + std::to_string(*position));
  }
  const auto end = partition.StableEnd();
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (; *position < end; ++*position) {
    const auto& slot = partition.slots[static_cast<std::size_t>(*position)];
    if (slot.state != SlotState::kVisible) {
      continue;
    }
    const auto& record = *slot.record;
    bytes += record.key.size() + record.value.size();
    if (count == limits.records_max || (count > 0 && bytes > limits.bytes_max)) {
      break;
    }
    if (slot.corrupt && count > 0) {
      break;
    }
    if (slot.corrupt) {
      return Error(ErrorCode::kCorrupt, Name(source) + ": the record at offset " +
                                            std::to_string(*position) + " is damaged");
    }
    out->records.push_back({.offset = *position,
                            .append_time = record.append_time,
                            .key = record.key,
                            .value = record.value,
                            .headers = record.header_views});
    out->owners.push_back(slot.record);
    ++count;
  }
  return count;
}

bool MemoryLogCore::AnythingFor(std::span<const ReadFrom> positions) const {
  return std::any_of(positions.begin(), positions.end(), [&](const ReadFrom& from) {
    const auto& partition = partitions_.at(from.source);
    return !fail_reads_.contains(from.source.topic) &&
           (partition.StableEnd() > from.offset || partition.End() < from.offset);
  });
}

void MemoryLogCore::Wait(std::span<const ReadFrom> positions, std::chrono::milliseconds timeout,
                         bool* woken) {
  std::unique_lock lock(mutex_);
  if (options_.wait_on_clock) {
    if (!*woken && !AnythingFor(positions)) {
      lock.unlock();
      options_.clock.SleepFor(timeout);
      lock.lock();
    }
  } else {
    changed_.wait_for(lock, timeout, [&] { return *woken || AnythingFor(positions); });
  }
  *woken = false;
}

void MemoryLogCore::Wake(bool* woken) {
  const std::lock_guard lock(mutex_);
  *woken = true;
  changed_.notify_all();
}

void MemoryLogCore::InjectCommitFault(const std::string& id, CommitFault fault) {
  const std::lock_guard lock(mutex_);
  ids_[id].faults.push_back(fault);
}

void MemoryLogCore::FailWrites(bool on) {
  const std::lock_guard lock(mutex_);
  fail_writes_ = on;
}

void MemoryLogCore::FailEnds(Topic topic, bool on) {
  const std::lock_guard lock(mutex_);
  if (on) {
    fail_ends_.insert(topic);
  } else {
    fail_ends_.erase(topic);
  }
}

void MemoryLogCore::FailReads(Topic topic, bool on) {
  const std::lock_guard lock(mutex_);
  if (on) {
    fail_reads_.insert(topic);
  } else {
    fail_reads_.erase(topic);
  }
  changed_.notify_all();
}

void MemoryLogCore::Place(const NewRecord& record, const Appended& place) {
  const std::lock_guard lock(mutex_);
  auto& partition = partitions_.at({.topic = record.topic, .partition = record.partition});
  ALERTSTREAM_CHECK(place.offset >= partition.End());
  partition.slots.resize(static_cast<std::size_t>(place.offset));
  partition.last_time = std::max(partition.last_time, place.append_time);
  partition.slots.push_back(
      {.state = SlotState::kVisible, .record = Store(record, place.append_time)});
  changed_.notify_all();
}

void MemoryLogCore::Truncate(TopicPartition partition, std::int64_t end) {
  const std::lock_guard lock(mutex_);
  auto& state = partitions_.at(partition);
  ALERTSTREAM_CHECK(end >= 0 && end <= state.End());
  state.slots.resize(static_cast<std::size_t>(end));
  std::erase_if(state.open, [&](const auto& open) { return open.second >= end; });
  changed_.notify_all();
}

void MemoryLogCore::Corrupt(TopicPartition partition, std::int64_t offset) {
  const std::lock_guard lock(mutex_);
  partitions_.at(partition).slots.at(static_cast<std::size_t>(offset)).corrupt = true;
}

namespace {

class MemoryReader final : public Reader {
 public:
  MemoryReader(std::shared_ptr<MemoryLogCore> core, std::span<const ReadFrom> sources)
      : core_(std::move(core)), positions_(sources.begin(), sources.end()) {}

  Result<std::size_t> Fetch(std::size_t index, const FetchLimits& limits, Fetched* out) override {
    auto& at = positions_.at(index);
    return core_->Fetch(at.source, &at.offset, limits, out);
  }
  std::int64_t Position(std::size_t index) const override { return positions_.at(index).offset; }
  void Wait(std::chrono::milliseconds timeout) override {
    core_->Wait(positions_, timeout, &woken_);
  }
  void Wake() override { core_->Wake(&woken_); }

 private:
  std::shared_ptr<MemoryLogCore> core_;
  std::vector<ReadFrom> positions_;
  bool woken_ = false;  // Guarded by the core's mutex.
};

class MemoryTransactor final : public Transactor {
 public:
  MemoryTransactor(std::shared_ptr<MemoryLogCore> core, std::string id)
      : core_(std::move(core)), id_(std::move(id)) {}

  Status Init(std::chrono::milliseconds /*timeout*/) override {
    epoch_.reset();
    ALERTSTREAM_ASSIGN_OR_RETURN(epoch_, core_->Init(id_));
    return Status::Ok();
  }

  Status Commit(std::span<const NewRecord> records, std::chrono::milliseconds /*t*/) override {
    if (!epoch_.has_value()) {
      return Error(ErrorCode::kFenced, "transactional id " + id_ + " needs Init before a commit");
    }
    auto status = core_->Commit(id_, *epoch_, records);
    if (!status.ok() && status.error().code() != ErrorCode::kInvalid) {
      epoch_.reset();
    }
    return status;
  }

 private:
  std::shared_ptr<MemoryLogCore> core_;
  const std::string id_;
  std::optional<std::uint64_t> epoch_;  // Empty: Init is needed.
};

}  // namespace

MemoryEventLog::MemoryEventLog(const MemoryLogOptions& options)
    : MemoryEventLog(std::make_shared<MemoryLogCore>(options)) {}
MemoryEventLog::MemoryEventLog(std::shared_ptr<MemoryLogCore> core) : core_(std::move(core)) {}
MemoryEventLog::~MemoryEventLog() = default;

std::unique_ptr<MemoryEventLog> MemoryEventLog::Share() const {
  return std::unique_ptr<MemoryEventLog>(new MemoryEventLog(core_));
}

void MemoryEventLog::InjectCommitFault(const std::string& id, CommitFault fault) {
  core_->InjectCommitFault(id, fault);
}
void MemoryEventLog::FailWrites(bool on) { core_->FailWrites(on); }
void MemoryEventLog::FailEnds(Topic topic, bool on) { core_->FailEnds(topic, on); }
void MemoryEventLog::FailReads(Topic topic, bool on) { core_->FailReads(topic, on); }
void MemoryEventLog::Place(const NewRecord& record, const Appended& place) {
  core_->Place(record, place);
}
void MemoryEventLog::Truncate(TopicPartition partition, std::int64_t end) {
  core_->Truncate(partition, end);
}
void MemoryEventLog::Corrupt(TopicPartition partition, std::int64_t offset) {
  core_->Corrupt(partition, offset);
}

MemoryEventLog::Open::Open(std::shared_ptr<MemoryLogCore> core, std::string id, std::uint64_t epoch)
    : core_(std::move(core)), id_(std::move(id)), epoch_(epoch) {}
Status MemoryEventLog::Open::Commit() { return core_->EndOpen(id_, epoch_, true); }
Status MemoryEventLog::Open::Abort() { return core_->EndOpen(id_, epoch_, false); }

Result<MemoryEventLog::Open> MemoryEventLog::Begin(const std::string& id,
                                                   std::span<const NewRecord> records) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto epoch, core_->Begin(id, records));
  return Open(core_, id, epoch);
}

Result<std::vector<TopicInfo>> MemoryEventLog::DescribeTopics(std::chrono::milliseconds /*t*/) {
  return core_->DescribeTopics();
}

Status MemoryEventLog::ApplyTopics(const TopicPlan& plan, std::chrono::milliseconds /*t*/) {
  return core_->ApplyTopics(plan);
}

Result<std::int32_t> MemoryEventLog::Partitions(std::chrono::milliseconds /*t*/) {
  return core_->Partitions();
}

Result<std::unique_ptr<Reader>> MemoryEventLog::OpenReader(std::span<const ReadFrom> sources) {
  ALERTSTREAM_RETURN_IF_ERROR(core_->CheckSources(sources));
  return std::unique_ptr<Reader>(std::make_unique<MemoryReader>(core_, sources));
}

Result<std::vector<std::int64_t>> MemoryEventLog::Ends(std::span<const TopicPartition> partitions,
                                                       EndKind kind,
                                                       std::chrono::milliseconds /*timeout*/) {
  return core_->Ends(partitions, kind);
}

Result<std::vector<Appended>> MemoryEventLog::Append(std::span<const NewRecord> records,
                                                     std::chrono::milliseconds /*timeout*/) {
  return core_->Append(records);
}

Result<std::unique_ptr<Transactor>> MemoryEventLog::OpenTransactor(
    const std::string& transactional_id) {
  if (transactional_id.empty()) {
    return Error(ErrorCode::kInvalid, "a transactional id must not be empty");
  }
  return std::unique_ptr<Transactor>(std::make_unique<MemoryTransactor>(core_, transactional_id));
}

}  // namespace alertstream::log
