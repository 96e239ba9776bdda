// SimBroker: the log of a simulated deployment, as a Kafka cluster behaves: transactions are open
// before they are decided, decided before their markers are written, and only then readable; a
// commit request may be lost on its way there or back, or arrive late; an id has one holder; what
// was sent may reach a reader late. SimLog is the EventLog that one process holds of it: every call
// takes time and may be its last. Belongs to the world's thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "processor/log/event_log.h"
#include "tests/simulation/world.h"

namespace alertstream::simulation {

// What becomes of the next commit that gets as far as its end.
enum class CommitFault : std::uint8_t {
  kRequestLost,  // Unknown; open until an Init or its time-out.
  kAnswerLost,   // Unknown; applied.
  kRequestLate,  // Unknown; applied later, unless an Init comes first.
  kRefused,      // Unavailable; aborted.
  kSlowMarkers,  // ok; readable only later.
};

struct StoredRecord {
  LogTime append_time;
  std::string key;
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<log::Header> header_views;
};

struct StoredSlot {
  enum class State : std::uint8_t { kVisible, kOpen, kHidden };
  State state = State::kHidden;
  Micros settled_at{};                         // When it stopped to be open.
  std::shared_ptr<const StoredRecord> record;  // Null: a marker.
};

class SimBroker {
 public:
  explicit SimBroker(World& world) : world_(world) {}

  // Of what a process reads of a topic: so long after everybody else.
  void SetLag(const Process& process, log::Topic topic, Micros lag);
  void ClearFaults();
  void InjectCommitFault(const Process& process, CommitFault fault, Micros late);
  // Stores another value instead of a committed record's, as a hand in the log's files would.
  void Tamper(log::TopicPartition where, std::int64_t offset, std::string value);
  // Appends a copy of a record, headers included, as a careless tool would.
  void CopyToEnd(log::TopicPartition where, std::int64_t offset);

  const std::vector<StoredSlot>& Slots(log::TopicPartition where) const;
  std::int64_t End(log::TopicPartition where) const;
  std::int64_t StableEnd(log::TopicPartition where) const;

 private:
  friend class SimLog;
  friend class SimReader;
  friend class SimTransactor;

  struct Partition {
    std::vector<StoredSlot> slots;  // The index is the offset.
    LogTime last_time{};
    std::map<std::string, std::int64_t> open;  // Transactional id to its first offset here.
  };
  struct IdState {
    std::uint64_t epoch = 0;
    std::uint64_t transaction = 0;  // Counts.
    bool open = false;
    bool decided = false;  // To be committed; its markers are not written yet.
    std::vector<std::pair<log::TopicPartition, std::int64_t>> slots;
  };
  struct PendingFault {
    CommitFault fault;
    Micros late;
  };

  std::int64_t Add(const log::NewRecord& record, StoredSlot::State state);
  void AddOpen(const std::string& id, std::span<const log::NewRecord> records);
  void Settle(const std::string& id, bool commit);
  // The commit is decided; markers follow after `markers`.
  void Decide(const std::string& id, Micros markers);
  Micros LagOf(const Process* process, log::Topic topic) const;
  std::optional<PendingFault> TakeFault(const Process* process);

  World& world_;
  std::int32_t partitions_count_ = 0;
  std::map<log::TopicPartition, Partition> partitions_;
  std::map<std::string, IdState> ids_;
  std::map<std::pair<const Process*, log::Topic>, Micros> lags_;
  std::map<const Process*, std::deque<PendingFault>> faults_;
};

class SimLog final : public log::EventLog {
 public:
  // `process` null: outside the simulation; calls take no time.
  SimLog(World& world, SimBroker& broker, Process* process)
      : world_(world), broker_(broker), process_(process) {}

  std::string Describe() const override { return "simulated"; }
  bool ExclusiveWriter() const override { return false; }
  Result<std::vector<log::TopicInfo>> DescribeTopics(std::chrono::milliseconds timeout) override;
  Status ApplyTopics(const log::TopicPlan& plan, std::chrono::milliseconds timeout) override;
  Result<std::int32_t> Partitions(std::chrono::milliseconds timeout) override;
  Result<std::unique_ptr<log::Reader>> OpenReader(std::span<const log::ReadFrom> sources) override;
  Result<std::vector<std::int64_t>> Ends(std::span<const log::TopicPartition> partitions,
                                         log::EndKind kind,
                                         std::chrono::milliseconds timeout) override;
  Result<std::vector<log::Appended>> Append(std::span<const log::NewRecord> records,
                                            std::chrono::milliseconds timeout) override;
  Result<std::unique_ptr<log::Transactor>> OpenTransactor(const std::string& id) override;

 private:
  World& world_;
  SimBroker& broker_;
  Process* const process_;
};

}  // namespace alertstream::simulation
