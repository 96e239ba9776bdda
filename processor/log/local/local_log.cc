#include "processor/log/local/local_log.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <utility>

#include "processor/base/check.h"
#include "processor/log/local/acknowledged.h"
#include "processor/log/local/block.h"
#include "processor/log/local/store.h"
#include "processor/log/record_limits.h"
#include "schemas/topics.h"

namespace alertstream::log {
namespace {

namespace fs = std::filesystem;

// Requests that wait while a write is under way share the next one, and its fsync, up to this size.
constexpr std::size_t kGroupBytesMax = std::size_t{8} << 20;
// The newest blocks stay in memory, so that readers which keep up never touch the store.
constexpr std::size_t kTailBytesMax = std::size_t{8} << 20;
constexpr std::chrono::milliseconds kFollowerPoll{20};

std::string NameOfPartition(TopicPartition where) {
  return std::string(schemas::NameOf(where.topic)) + " partition " +
         std::to_string(where.partition);
}

// Where record i of an append went: a block, and its place in there.
struct Place {
  std::size_t block;
  std::uint32_t index;
};

struct NewBlock {
  TopicPartition where;
  BlockBuilder builder;
  BlockKey key{};         // Known once written.
  LogTime append_time{};  // The same.
};

enum class RequestKind : std::uint8_t {
  kAppend,  // Also a commit: then `id` is set.
  kInit,
  kTopics,
};

// One call that waits for the log to be written. Lives on the caller's stack.
struct Request {
  RequestKind kind = RequestKind::kAppend;
  std::vector<NewBlock> blocks;
  std::size_t bytes = 0;
  std::uint64_t records = 0;
  std::string id;
  std::uint64_t epoch = 0;      // kAppend: the holder's; kInit: the new one, when done.
  std::int32_t partitions = 0;  // kTopics.
  Status status;
  bool done = false;
};

struct TailBlock {
  BlockKey key;
  BlockHead head;
  // Shared with the readers that are inside it.
  std::shared_ptr<const std::string> bytes;
};

struct PartitionState {
  PartitionEnd end;
  std::deque<TailBlock> tail;  // Contiguous up to the end.
};

}  // namespace

// One source of a reader: owned by it, its iterator also by the core (see DropIterators).
struct LocalSource {
  TopicPartition where;
  std::int64_t position;
  // Shared with the Fetched that hold its records.
  std::shared_ptr<BlockCursor> block;
  std::unique_ptr<BlockIterator> iterator;  // At the block read last.
};

// The open directory. Lock order: store_mutex_ before state_mutex_.
class LocalCore {
 public:
  static Result<std::shared_ptr<LocalCore>> Open(const LocalLogOptions& options);

  const LocalLogOptions& options() const { return options_; }

  Result<std::int32_t> Partitions();
  Result<std::vector<std::int64_t>> Ends(std::span<const TopicPartition> partitions);
  Status CheckSources(std::span<const ReadFrom> sources);
  Status CheckNew(std::span<const NewRecord> records);
  // Waits until `request` has been carried out or refused.
  void Submit(Request* request);

  void AddReader(std::vector<LocalSource>* sources);
  void RemoveReader(std::vector<LocalSource>* sources);
  // Gives `source` a block that holds its position. False: it is at the end.
  Result<bool> NextBlock(LocalSource* source);
  void Wait(std::span<const LocalSource> sources, std::chrono::milliseconds timeout, bool* woken);
  void Wake(bool* woken);

 private:
  explicit LocalCore(const LocalLogOptions& options) : options_(options) {}

  // The writer's side: only by the thread for which writing_ was set, or before there are others.
  Status OpenStore();
  std::vector<Request*> TakeGroup();
  void Write(std::span<Request* const> group);
  Status Prepare(std::size_t bytes);
  Status WriteAppends(std::span<Request* const> group);
  Status WriteInit(Request* request);
  Status WriteTopics(Request* request);
  Status WriteBatch(StoreBatch* batch, const CommitMark& commit);
  void Publish(std::span<Request* const> group);

  void SetState(const StoreState& state);
  Result<std::shared_ptr<BlockCursor>> ReadStore(LocalSource* source);
  bool AnythingFor(std::span<const LocalSource> sources) const;
  Status FollowWriter(std::span<const TopicPartition> partitions);
  Status NoTopics() const;

  const LocalLogOptions options_;
  std::unique_ptr<DirectoryLock> lock_;  // Null in a follower, like the next.
  std::unique_ptr<AcknowledgedFile> acknowledged_;

  // Shared: using the store or an iterator. Exclusive: replacing it, or a follower's catching up.
  std::shared_mutex store_mutex_;
  std::unique_ptr<LocalStore> store_;  // Null after an attempt to open it again has failed.
  std::mutex readers_mutex_;
  std::set<std::vector<LocalSource>*> readers_;  // Guarded by readers_mutex_.

  std::mutex queue_mutex_;
  std::condition_variable written_;
  std::deque<Request*> queue_;  // Guarded by queue_mutex_, like the next.
  bool writing_ = false;

  // The writer's alone.
  CommitMark commit_;
  std::map<std::string, std::uint64_t> epochs_;
  bool reopen_ = false;  // A write failed: what is stored is not known.

  mutable std::mutex state_mutex_;
  std::condition_variable changed_;
  // Guarded by state_mutex_.
  std::int32_t partitions_ = 0;
  std::vector<PartitionState> states_;
  std::deque<std::size_t> tail_order_;  // The partitions of the tail blocks, oldest first.
  std::size_t tail_bytes_ = 0;
};

Result<std::shared_ptr<LocalCore>> LocalCore::Open(const LocalLogOptions& options) {
  std::shared_ptr<LocalCore> core(new LocalCore(options));
  if (options.read_only) {
    ALERTSTREAM_ASSIGN_OR_RETURN(core->store_, LocalStore::OpenFollower(options.directory));
    ALERTSTREAM_RETURN_IF_ERROR(core->FollowWriter({}));
    return core;
  }
  std::error_code error;
  if (fs::create_directories(options.directory, error)) {
    // What people are told and whether they want it is nobody else's business.
    fs::permissions(options.directory, fs::perms::owner_all, error);
  }
  if (error) {
    return Error(ErrorCode::kUnavailable,
                 "the directory " + options.directory + " cannot be created: " + error.message());
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(core->lock_, DirectoryLock::Take(options.directory));
  ALERTSTREAM_ASSIGN_OR_RETURN(core->acknowledged_,
                               AcknowledgedFile::Open(options.directory + "/acknowledged"));
  ALERTSTREAM_RETURN_IF_ERROR(core->OpenStore());
  return core;
}

// Opens the store, also again after a failed write: recovery then decides what that write has left.
Status LocalCore::OpenStore() {
  const std::unique_lock lock(store_mutex_);
  {
    const std::lock_guard readers_lock(readers_mutex_);
    for (auto* sources : readers_) {
      for (auto& source : *sources) {
        source.iterator.reset();
      }
    }
  }
  store_.reset();
  ALERTSTREAM_ASSIGN_OR_RETURN(auto store,
                               LocalStore::OpenWriter(options_.directory, acknowledged_->number()));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto state, store->Load());
  store_ = std::move(store);
  commit_ = state.commit;
  epochs_ = state.epochs;
  SetState(state);
  reopen_ = false;
  return Status::Ok();
}

void LocalCore::SetState(const StoreState& state) {
  const std::lock_guard lock(state_mutex_);
  partitions_ = state.partitions;
  states_.clear();
  for (const auto& end : state.ends) {
    states_.push_back({.end = end, .tail = {}});
  }
  tail_order_.clear();
  tail_bytes_ = 0;
  changed_.notify_all();
}

Status LocalCore::NoTopics() const {
  return Error(ErrorCode::kNotFound,
               "the log in " + options_.directory + " has no topics yet; run `topics apply`");
}

Result<std::int32_t> LocalCore::Partitions() {
  if (options_.read_only) {
    ALERTSTREAM_RETURN_IF_ERROR(FollowWriter({}));
  }
  const std::lock_guard lock(state_mutex_);
  if (partitions_ == 0) {
    return NoTopics().error();
  }
  return partitions_;
}

Status LocalCore::CheckSources(std::span<const ReadFrom> sources) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto partitions, Partitions());
  std::vector<TopicPartition> wanted;
  for (const auto& from : sources) {
    if (from.source.partition < 0 || from.source.partition >= partitions || from.offset < 0) {
      return Error(ErrorCode::kInvalid, NameOfPartition(from.source) + ", offset " +
                                            std::to_string(from.offset) + ", does not exist");
    }
    wanted.push_back(from.source);
  }
  return options_.read_only ? FollowWriter(wanted) : Status::Ok();
}

Status LocalCore::CheckNew(std::span<const NewRecord> records) {
  if (options_.read_only) {
    return Error(ErrorCode::kDenied, "the log in " + options_.directory + " is open read-only");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto partitions, Partitions());
  return CheckRecords(records, partitions);
}

Result<std::vector<std::int64_t>> LocalCore::Ends(std::span<const TopicPartition> partitions) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto count, Partitions());
  for (const auto& where : partitions) {
    if (where.partition < 0 || where.partition >= count) {
      return Error(ErrorCode::kInvalid, NameOfPartition(where) + " does not exist");
    }
  }
  if (options_.read_only) {
    ALERTSTREAM_RETURN_IF_ERROR(FollowWriter(partitions));
  }
  const std::lock_guard lock(state_mutex_);
  std::vector<std::int64_t> ends;
  for (const auto& where : partitions) {
    ends.push_back(states_[IndexOf(where, partitions_)].end.end);
  }
  return ends;
}

// A follower takes in what the writer has written, and looks where `partitions` end now.
Status LocalCore::FollowWriter(std::span<const TopicPartition> partitions) {
  const std::unique_lock store_lock(store_mutex_);
  ALERTSTREAM_RETURN_IF_ERROR(store_->CatchUp());
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto count, store_->LoadPartitions());
  std::vector<PartitionEnd> ends;
  for (const auto& where : partitions) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto end, store_->LoadEnd(where));
    ends.push_back(end);
  }
  const std::lock_guard lock(state_mutex_);
  if (partitions_ == 0 && count > 0) {
    partitions_ = count;
    states_.resize(static_cast<std::size_t>(count) * schemas::kTopicCount);
  }
  for (std::size_t i = 0; i < ends.size(); ++i) {
    states_[IndexOf(partitions[i], partitions_)].end = ends[i];
  }
  return Status::Ok();
}

void LocalCore::Submit(Request* request) {
  std::unique_lock lock(queue_mutex_);
  queue_.push_back(request);
  written_.wait(lock, [&] { return request->done || (!writing_ && queue_.front() == request); });
  if (request->done) {
    return;
  }
  // The first in the queue writes for all that are there.
  writing_ = true;
  const auto group = TakeGroup();
  lock.unlock();
  Write(group);
  lock.lock();
  for (auto* one : group) {
    one->done = true;
  }
  writing_ = false;
  written_.notify_all();
}

// Appends and commits share a write; everything else is written alone.
std::vector<Request*> LocalCore::TakeGroup() {
  std::vector<Request*> group;
  std::size_t bytes = 0;
  while (!queue_.empty()) {
    auto* next = queue_.front();
    if (!group.empty() &&
        (next->kind != RequestKind::kAppend || bytes + next->bytes > kGroupBytesMax)) {
      break;
    }
    group.push_back(next);
    queue_.pop_front();
    bytes += next->bytes;
    if (next->kind != RequestKind::kAppend) {
      break;
    }
  }
  return group;
}

void LocalCore::Write(std::span<Request* const> group) {
  std::size_t bytes = 0;
  for (const auto* request : group) {
    bytes += request->bytes;
  }
  auto status = Prepare(bytes);
  if (status.ok()) {
    switch (group[0]->kind) {
      case RequestKind::kAppend:
        status = WriteAppends(group);
        break;
      case RequestKind::kInit:
        status = WriteInit(group[0]);
        break;
      case RequestKind::kTopics:
        status = WriteTopics(group[0]);
        break;
    }
  }
  if (!status.ok()) {
    for (auto* request : group) {
      if (request->status.ok()) {
        request->status = status;
      }
    }
  }
}

// Before a write: whatever fails here has stored nothing.
Status LocalCore::Prepare(std::size_t bytes) {
  struct statvfs disk {};
  if (::statvfs(options_.directory.c_str(), &disk) == 0) {
    const auto free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    const auto needed = options_.free_bytes_min + 2 * bytes;
    if (free_bytes < needed) {
      return Error(ErrorCode::kUnavailable,
                   "the disk of " + options_.directory +
                       " is full: " + std::to_string(free_bytes >> 20) + " MiB are free, " +
                       std::to_string((needed >> 20) + 1) +
                       " MiB are needed; make room, and the log goes on by itself");
    }
  }
  if (!reopen_) {
    return Status::Ok();
  }
  auto status = OpenStore();
  if (!status.ok() && status.error().code() != ErrorCode::kCorrupt) {
    return Error(ErrorCode::kUnavailable, status.error().message());
  }
  return status;
}

Status LocalCore::WriteAppends(std::span<Request* const> group) {
  const auto now = options_.clock.Now();
  std::map<TopicPartition, PartitionEnd> ends;
  CommitMark commit = commit_;
  std::size_t bytes = 0;
  for (auto* request : group) {
    bytes += request->bytes;
  }
  StoreBatch batch(bytes + 1024);
  std::vector<Request*> accepted;
  for (auto* request : group) {
    if (!request->id.empty() && epochs_[request->id] != request->epoch) {
      request->status = Error(ErrorCode::kFenced,
                              "another holder has taken over transactional id " + request->id);
      continue;
    }
    accepted.push_back(request);
    ++commit.number;
    commit.records += request->records;
    for (auto& block : request->blocks) {
      const auto found = ends.find(block.where);
      PartitionEnd end;
      if (found != ends.end()) {
        end = found->second;
      } else {
        const std::lock_guard lock(state_mutex_);
        end = states_[IndexOf(block.where, partitions_)].end;
      }
      block.key = {.where = block.where, .first = end.end};
      block.append_time = std::max(end.last_time, now);
      block.builder.Seal(block.key, block.append_time);
      batch.PutBlock(block.key, PackBlock(block.key, block.builder.bytes()));
      ends[block.where] = {.end = end.end + block.builder.records(),
                           .last_time = block.append_time};
    }
  }
  if (commit.records == commit_.records) {
    return Status::Ok();  // Nothing but empty or fenced ones.
  }
  ALERTSTREAM_RETURN_IF_ERROR(WriteBatch(&batch, commit));
  Publish(accepted);
  return Status::Ok();
}

Status LocalCore::WriteInit(Request* request) {
  const auto epoch = epochs_[request->id] + 1;
  StoreBatch batch(256);
  batch.PutEpoch(request->id, epoch);
  ALERTSTREAM_RETURN_IF_ERROR(
      WriteBatch(&batch, {.number = commit_.number + 1, .records = commit_.records}));
  epochs_[request->id] = epoch;
  request->epoch = epoch;
  return Status::Ok();
}

Status LocalCore::WriteTopics(Request* request) {
  {
    const std::lock_guard lock(state_mutex_);
    if (partitions_ == request->partitions) {
      return Status::Ok();
    }
    if (partitions_ != 0) {
      return Error(ErrorCode::kConflict,
                   "the topics in " + options_.directory + " have " + std::to_string(partitions_) +
                       " partitions, which can never change; " +
                       std::to_string(request->partitions) + " were asked for");
    }
  }
  StoreBatch batch(256);
  batch.PutPartitions(request->partitions);
  ALERTSTREAM_RETURN_IF_ERROR(
      WriteBatch(&batch, {.number = commit_.number + 1, .records = commit_.records}));
  const std::lock_guard lock(state_mutex_);
  partitions_ = request->partitions;
  states_.resize(static_cast<std::size_t>(partitions_) * schemas::kTopicCount);
  return Status::Ok();
}

Status LocalCore::WriteBatch(StoreBatch* batch, const CommitMark& commit) {
  batch->PutCommit(commit);
  auto status = store_->Write(batch, options_.sync);
  if (status.ok()) {
    status = acknowledged_->Store(commit.number);
  }
  if (!status.ok()) {
    reopen_ = true;
    return Error(
        ErrorCode::kUnknown,
        status.error().message() + "; whether it took place is settled before the next write");
  }
  commit_ = commit;
  return Status::Ok();
}

// What has been written becomes visible.
void LocalCore::Publish(std::span<Request* const> group) {
  const std::lock_guard lock(state_mutex_);
  for (auto* request : group) {
    for (auto& block : request->blocks) {
      const auto index = IndexOf(block.where, partitions_);
      auto& state = states_[index];
      const BlockHead head{.append_time = block.append_time,
                           .records = block.builder.records(),
                           .headers = block.builder.headers()};
      state.end = {.end = block.key.first + head.records, .last_time = head.append_time};
      auto bytes = std::make_shared<const std::string>(block.builder.Take());
      tail_bytes_ += bytes->capacity();
      state.tail.push_back({.key = block.key, .head = head, .bytes = std::move(bytes)});
      tail_order_.push_back(index);
    }
  }
  while (tail_bytes_ > kTailBytesMax) {
    auto& tail = states_[tail_order_.front()].tail;
    tail_bytes_ -= tail.front().bytes->capacity();
    tail.pop_front();
    tail_order_.pop_front();
  }
  changed_.notify_all();
}

void LocalCore::AddReader(std::vector<LocalSource>* sources) {
  const std::lock_guard lock(readers_mutex_);
  readers_.insert(sources);
}

void LocalCore::RemoveReader(std::vector<LocalSource>* sources) {
  const std::shared_lock store_lock(store_mutex_);
  for (auto& source : *sources) {
    source.iterator.reset();
  }
  const std::lock_guard lock(readers_mutex_);
  readers_.erase(sources);
}

Result<bool> LocalCore::NextBlock(LocalSource* source) {
  const std::shared_lock store_lock(store_mutex_);
  {
    const std::lock_guard lock(state_mutex_);
    const auto& state = states_[IndexOf(source->where, partitions_)];
    if (source->position > state.end.end) {
      return Error(ErrorCode::kCorrupt, NameOfPartition(source->where) + " ends at offset " +
                                            std::to_string(state.end.end) + ", before offset " +
                                            std::to_string(source->position) + ": the log in " +
                                            options_.directory + " was cut off or replaced");
    }
    if (source->position == state.end.end) {
      source->iterator.reset();
      return false;
    }
    const auto after = std::upper_bound(
        state.tail.begin(), state.tail.end(), source->position,
        [](std::int64_t offset, const TailBlock& block) { return offset < block.key.first; });
    if (after != state.tail.begin()) {
      const auto& block = *std::prev(after);
      source->iterator.reset();  // It would only hold old memory.
      source->block = std::make_shared<BlockCursor>(block.key, block.head, block.bytes);
    }
  }
  if (source->block == nullptr) {
    if (store_ == nullptr) {
      return Error(ErrorCode::kUnavailable,
                   "the log in " + options_.directory + " is closed after a failed write");
    }
    auto read = ReadStore(source);
    if (!read.ok()) {
      source->iterator.reset();
      return read.error();
    }
    source->block = std::move(read).value();
  }
  while (source->block->next_offset() < source->position) {
    ALERTSTREAM_RETURN_IF_ERROR(source->block->PeekBytes());
    source->block->Take();
  }
  return true;
}

// The stored block that holds the source's position.
Result<std::shared_ptr<BlockCursor>> LocalCore::ReadStore(LocalSource* source) {
  if (source->iterator != nullptr) {
    source->iterator->Next();
    ALERTSTREAM_RETURN_IF_ERROR(source->iterator->status());
  }
  if (source->iterator == nullptr || !source->iterator->Valid()) {
    // There is more than the iterator has seen.
    source->iterator = store_->Iterate(source->where);
    source->iterator->SeekTo(source->position);
    ALERTSTREAM_RETURN_IF_ERROR(source->iterator->status());
  }
  const auto missing = [&] {
    return Error(ErrorCode::kCorrupt, NameOfPartition(source->where) + ": the record at offset " +
                                          std::to_string(source->position) +
                                          " is missing from the log in " + options_.directory +
                                          "; restore the directory from a backup");
  };
  if (!source->iterator->Valid()) {
    return missing();
  }
  const auto key = source->iterator->Key();
  if (!key.has_value() || key->first > source->position) {
    return missing();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto head, CheckBlock(*key, source->iterator->Value()));
  if (key->first + head.records <= source->position) {
    return missing();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto bytes, UnpackBlock(*key, source->iterator->Value()));
  return std::make_shared<BlockCursor>(*key, head,
                                       std::make_shared<const std::string>(std::move(bytes)));
}

bool LocalCore::AnythingFor(std::span<const LocalSource> sources) const {
  return std::any_of(sources.begin(), sources.end(), [&](const LocalSource& source) {
    return states_[IndexOf(source.where, partitions_)].end.end != source.position;
  });
}

void LocalCore::Wait(std::span<const LocalSource> sources, std::chrono::milliseconds timeout,
                     bool* woken) {
  const auto ready = [&] { return *woken || AnythingFor(sources); };
  if (!options_.read_only) {
    std::unique_lock lock(state_mutex_);
    changed_.wait_for(lock, timeout, ready);
    *woken = false;
    return;
  }
  std::vector<TopicPartition> partitions;
  for (const auto& source : sources) {
    partitions.push_back(source.where);
  }
  const auto deadline = options_.clock.SinceBoot() + timeout;
  while (true) {
    // If the writer cannot be followed now, the next round may.
    static_cast<void>(FollowWriter(partitions));
    const auto left = deadline - options_.clock.SinceBoot();
    std::unique_lock lock(state_mutex_);
    const auto poll = std::min<std::chrono::microseconds>(kFollowerPoll, left);
    if (left <= std::chrono::microseconds::zero() || changed_.wait_for(lock, poll, ready)) {
      *woken = false;
      return;
    }
  }
}

void LocalCore::Wake(bool* woken) {
  const std::lock_guard lock(state_mutex_);
  *woken = true;
  changed_.notify_all();
}

namespace {

class LocalReader final : public Reader {
 public:
  LocalReader(std::shared_ptr<LocalCore> core, std::span<const ReadFrom> sources)
      : core_(std::move(core)) {
    for (const auto& from : sources) {
      sources_.push_back(
          {.where = from.source, .position = from.offset, .block = nullptr, .iterator = nullptr});
    }
    core_->AddReader(&sources_);
  }
  ~LocalReader() override { core_->RemoveReader(&sources_); }

  Result<std::size_t> Fetch(std::size_t index, const FetchLimits& limits, Fetched* out) override;
  std::int64_t Position(std::size_t index) const override { return sources_.at(index).position; }
  void Wait(std::chrono::milliseconds timeout) override { core_->Wait(sources_, timeout, &woken_); }
  void Wake() override { core_->Wake(&woken_); }

 private:
  // Shared with the log and its other readers and transactors: the directory closes after the last.
  std::shared_ptr<LocalCore> core_;
  std::vector<LocalSource> sources_;
  bool woken_ = false;  // Guarded by the core's state_mutex_.
};

Result<std::size_t> LocalReader::Fetch(std::size_t index, const FetchLimits& limits, Fetched* out) {
  auto& source = sources_.at(index);
  std::size_t count = 0;
  std::size_t bytes = 0;
  const BlockCursor* owned = nullptr;
  while (count < limits.records_max) {
    if (source.block == nullptr) {
      const auto more = core_->NextBlock(&source);
      if (!more.ok() && count == 0) {
        return more.error();
      }
      if (!more.ok() || !more.value()) {
        break;  // An error shows again at the next call.
      }
    }
    const auto next_bytes = source.block->PeekBytes();
    if (!next_bytes.ok() && count == 0) {
      return next_bytes.error();
    }
    if (!next_bytes.ok() || (count > 0 && bytes + next_bytes.value() > limits.bytes_max)) {
      break;
    }
    bytes += next_bytes.value();
    if (source.block.get() != owned) {
      owned = source.block.get();
      out->owners.push_back(source.block);
    }
    out->records.push_back(source.block->Take());
    ++count;
    source.position = source.block->next_offset();
    if (source.block->Done()) {
      source.block.reset();
    }
  }
  return count;
}

// Sorts records into blocks, one or more a partition, in the order of first use.
void BuildBlocks(std::span<const NewRecord> records, Request* request, std::vector<Place>* places) {
  std::map<TopicPartition, std::size_t> open;
  std::optional<TopicPartition> last;
  std::size_t at = 0;
  for (const auto& record : records) {
    const TopicPartition where{.topic = record.topic, .partition = record.partition};
    if (where != last) {
      const auto [found, added] = open.try_emplace(where, request->blocks.size());
      if (added) {
        request->blocks.push_back({.where = where, .builder = {}});
      }
      at = found->second;
      last = where;
    }
    if (request->blocks[at].builder.Full()) {
      at = request->blocks.size();
      open[where] = at;
      request->blocks.push_back({.where = where, .builder = {}});
    }
    auto& builder = request->blocks[at].builder;
    if (places != nullptr) {
      places->push_back({.block = at, .index = builder.records()});
    }
    builder.Add(record);
  }
  request->records = records.size();
  for (const auto& block : request->blocks) {
    request->bytes += block.builder.bytes().size();
  }
}

class LocalTransactor final : public Transactor {
 public:
  LocalTransactor(std::shared_ptr<LocalCore> core, std::string id)
      : core_(std::move(core)), id_(std::move(id)) {}

  Status Init(std::chrono::milliseconds /*timeout*/) override {
    epoch_.reset();
    Request request{.kind = RequestKind::kInit, .id = id_};
    core_->Submit(&request);
    if (!request.status.ok()) {
      // Taking over twice is the same as once, so there is nothing unknown about it.
      const auto code = request.status.error().code();
      return Error(code == ErrorCode::kUnknown ? ErrorCode::kUnavailable : code,
                   request.status.error().message());
    }
    epoch_ = request.epoch;
    return Status::Ok();
  }

  Status Commit(std::span<const NewRecord> records, std::chrono::milliseconds /*t*/) override {
    if (!epoch_.has_value()) {
      return Error(ErrorCode::kFenced, "transactional id " + id_ + " needs Init before a commit");
    }
    ALERTSTREAM_RETURN_IF_ERROR(core_->CheckNew(records));
    Request request{.kind = RequestKind::kAppend, .id = id_, .epoch = *epoch_};
    BuildBlocks(records, &request, nullptr);
    core_->Submit(&request);
    if (!request.status.ok()) {
      epoch_.reset();
    }
    return request.status;
  }

 private:
  // Shared: see LocalReader.
  std::shared_ptr<LocalCore> core_;
  const std::string id_;
  std::optional<std::uint64_t> epoch_;  // Empty: Init is needed.
};

class LocalLog final : public EventLog {
 public:
  explicit LocalLog(std::shared_ptr<LocalCore> core) : core_(std::move(core)) {}

  std::string Describe() const override { return "local:" + core_->options().directory; }
  bool ExclusiveWriter() const override { return true; }

  Result<std::vector<TopicInfo>> DescribeTopics(std::chrono::milliseconds timeout) override {
    const auto partitions = Partitions(timeout);
    if (!partitions.ok() && partitions.error().code() != ErrorCode::kNotFound) {
      return partitions.error();
    }
    std::vector<TopicInfo> infos;
    infos.reserve(schemas::kTopicCount);
    for (const auto& spec : schemas::kTopics) {
      infos.push_back({.topic = spec.topic,
                       .exists = partitions.ok(),
                       .partitions = partitions.ok() ? partitions.value() : 0,
                       .replication = partitions.ok() ? 1 : 0,
                       .wrong_settings = {}});
    }
    return infos;
  }

  Status ApplyTopics(const TopicPlan& plan, std::chrono::milliseconds /*timeout*/) override {
    if (core_->options().read_only) {
      return Error(ErrorCode::kDenied,
                   "the log in " + core_->options().directory + " is open read-only");
    }
    if (plan.partitions < 1 || plan.partitions > kPartitionsMax) {
      return Error(ErrorCode::kInvalid,
                   "partitions must be 1 to " + std::to_string(kPartitionsMax));
    }
    Request request{.kind = RequestKind::kTopics, .partitions = plan.partitions};
    core_->Submit(&request);
    return request.status;
  }

  Result<std::int32_t> Partitions(std::chrono::milliseconds /*timeout*/) override {
    return core_->Partitions();
  }

  Result<std::unique_ptr<Reader>> OpenReader(std::span<const ReadFrom> sources) override {
    ALERTSTREAM_RETURN_IF_ERROR(core_->CheckSources(sources));
    return std::unique_ptr<Reader>(std::make_unique<LocalReader>(core_, sources));
  }

  Result<std::vector<std::int64_t>> Ends(std::span<const TopicPartition> partitions,
                                         EndKind /*kind*/,
                                         std::chrono::milliseconds /*timeout*/) override {
    return core_->Ends(partitions);
  }

  Result<std::vector<Appended>> Append(std::span<const NewRecord> records,
                                       std::chrono::milliseconds /*timeout*/) override {
    ALERTSTREAM_RETURN_IF_ERROR(core_->CheckNew(records));
    Request request{.kind = RequestKind::kAppend};
    std::vector<Place> places;
    BuildBlocks(records, &request, &places);
    core_->Submit(&request);
    ALERTSTREAM_RETURN_IF_ERROR(request.status);
    std::vector<Appended> appended;
    appended.reserve(places.size());
    for (const auto& place : places) {
      const auto& block = request.blocks[place.block];
      appended.push_back(
          {.offset = block.key.first + place.index, .append_time = block.append_time});
    }
    return appended;
  }

  Result<std::unique_ptr<Transactor>> OpenTransactor(const std::string& id) override {
    if (core_->options().read_only) {
      return Error(ErrorCode::kDenied,
                   "the log in " + core_->options().directory + " is open read-only");
    }
    if (id.empty()) {
      return Error(ErrorCode::kInvalid, "a transactional id must not be empty");
    }
    return std::unique_ptr<Transactor>(std::make_unique<LocalTransactor>(core_, id));
  }

 private:
  // Shared: see LocalReader.
  std::shared_ptr<LocalCore> core_;
};

}  // namespace

Result<std::unique_ptr<EventLog>> OpenLocalLog(const LocalLogOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto core, LocalCore::Open(options));
  return std::unique_ptr<EventLog>(std::make_unique<LocalLog>(std::move(core)));
}

}  // namespace alertstream::log
