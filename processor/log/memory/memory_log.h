// MemoryEventLog: the log in memory, for tests and the simulator, with faults to order. It behaves
// like a broker rather than like an array: a transaction takes an extra offset in each partition it
// touched, aborted records take offsets too, and a transaction may stay open. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "processor/base/clock.h"
#include "processor/log/event_log.h"

namespace alertstream::log {

struct MemoryLogOptions {
  Clock& clock;  // Append times: microseconds, never back within a partition.
  // A transaction ends with a marker that takes an offset in each partition it touched.
  bool markers = true;
  // Reader::Wait with nothing at hand sleeps on the clock instead of blocking: for one thread that
  // runs everything on simulated time.
  bool wait_on_clock = false;
};

// What happens to one Commit.
enum class CommitFault : std::uint8_t {
  kUnknownApplied,       // kUnknown, and it is visible at once.
  kUnknownNotApplied,    // kUnknown, and it was aborted.
  kUnknownAppliedLater,  // kUnknown; open until the next Init of that id completes it.
  kUnknownAbortedLater,  // kUnknown; open until the next Init of that id aborts it.
  kUnavailable,          // Nothing is applied.
};

class MemoryLogCore;

class MemoryEventLog final : public EventLog {
 public:
  explicit MemoryEventLog(const MemoryLogOptions& options);
  ~MemoryEventLog() override;

  // Another handle on the same records, faults and ids: a second process, or one that started
  // again.
  std::unique_ptr<MemoryEventLog> Share() const;

  // The next Commit of `id` that would have been applied ends so. Faults of one id queue up.
  void InjectCommitFault(const std::string& id, CommitFault fault);
  // While on: Append, Commit, Init fail with kUnavailable; nothing is applied.
  void FailWrites(bool on);
  // While on: Ends that names the topic, or Fetch of it, fails with kUnavailable.
  void FailEnds(Topic topic, bool on);
  void FailReads(Topic topic, bool on);
  // Stores the record at `place`, at or after the partition's end; the offsets before it are taken
  // by nothing. For a log that is loaded from elsewhere.
  void Place(const NewRecord& record, const Appended& place);
  // The partition loses everything from `end` on: readers beyond it see kCorrupt.
  void Truncate(TopicPartition partition, std::int64_t end);
  // The stored record is damaged: Fetch stops before it with kCorrupt.
  void Corrupt(TopicPartition partition, std::int64_t offset);

  // A transaction that has written `records` and stays open until one of these, or until Init of
  // its id aborts it. kFenced after that.
  class Open {
   public:
    Open(std::shared_ptr<MemoryLogCore> core, std::string id, std::uint64_t epoch);
    Status Commit();
    Status Abort();

   private:
    std::shared_ptr<MemoryLogCore> core_;
    std::string id_;
    std::uint64_t epoch_;
  };
  Result<Open> Begin(const std::string& id, std::span<const NewRecord> records);

  std::string Describe() const override { return "memory"; }
  bool ExclusiveWriter() const override { return false; }
  Result<std::vector<TopicInfo>> DescribeTopics(std::chrono::milliseconds timeout) override;
  Status ApplyTopics(const TopicPlan& plan, std::chrono::milliseconds timeout) override;
  Result<std::int32_t> Partitions(std::chrono::milliseconds timeout) override;
  Result<std::unique_ptr<Reader>> OpenReader(std::span<const ReadFrom> sources) override;
  Result<std::vector<std::int64_t>> Ends(std::span<const TopicPartition> partitions, EndKind kind,
                                         std::chrono::milliseconds timeout) override;
  Result<std::vector<Appended>> Append(std::span<const NewRecord> records,
                                       std::chrono::milliseconds timeout) override;
  Result<std::unique_ptr<Transactor>> OpenTransactor(const std::string& transactional_id) override;

 private:
  explicit MemoryEventLog(std::shared_ptr<MemoryLogCore> core);

  // Shared with the other handles, readers and transactors on the same records.
  std::shared_ptr<MemoryLogCore> core_;
};

}  // namespace alertstream::log
