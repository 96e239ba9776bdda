// EventLog: the port behind which the log lives. Adapters: kafka/ (librdkafka), local/ (RocksDB,
// one machine), memory/ (tests, simulator). All pass one conformance suite (tests/conformance).
//
// A log is a set of topics, each with the same number of partitions; a partition is a sequence of
// records with ascending offsets (with gaps: transaction markers and aborted records take offsets).
// EventLog and its methods are thread-safe; a Reader or a Transactor belongs to one thread at a
// time, except where a method says otherwise.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "schemas/record.h"
#include "schemas/topics.h"

namespace alertstream::log {

using schemas::Topic;

using Header = schemas::HeaderView;
// The views of a RecordView live as long as the Fetched that holds it.
using schemas::RecordView;

// Records returned by a reader, ascending by offset, and whatever keeps their bytes alive.
struct Fetched {
  std::vector<RecordView> records;
  // Shared: slices of one fetched block may live in several Fetched at once.
  std::vector<std::shared_ptr<const void>> owners;
};

// A record to append; the views must live until the call returns.
struct NewRecord {
  Topic topic{};
  std::int32_t partition = 0;
  std::string_view key;
  std::string_view value;
  std::span<const Header> headers = {};
};

struct Appended {
  std::int64_t offset = 0;
  LogTime append_time{};
};

struct TopicPartition {
  Topic topic{};
  std::int32_t partition = 0;

  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

struct FetchLimits {
  std::size_t records_max = 0;
  std::size_t bytes_max = 0;  // Of keys and values; one record is returned even if it is larger.
};

// Reads a fixed set of partitions, committed records only. What is at hand was prefetched, so Fetch
// does not wait for the log.
class Reader {
 public:
  virtual ~Reader() = default;

  // Moves what is at hand of source `index` into `out` (appended), within `limits`; returns how
  // many records. Never blocks. kCorrupt: the partition no longer holds the position (truncated,
  // deleted and recreated) or its bytes are damaged. kUnavailable: the log cannot be read now; call
  // again.
  virtual Result<std::size_t> Fetch(std::size_t index, const FetchLimits& limits, Fetched* out) = 0;

  // Every offset of source `index` below this one has been returned by Fetch or will never be
  // returned (markers, aborted records). Moves past trailing markers when the end is known.
  virtual std::int64_t Position(std::size_t index) const = 0;

  // Blocks until some source has something to fetch, `timeout` passes, or Wake is called.
  virtual void Wait(std::chrono::milliseconds timeout) = 0;
  // Ends a Wait that is under way, or the next one. Thread-safe.
  virtual void Wake() = 0;
};

struct ReadFrom {
  TopicPartition source;
  std::int64_t offset = 0;  // The first offset to return; 0 is the beginning.
};

// A transactional id of the log. At most one live holder: Init fences every earlier one.
class Transactor {
 public:
  virtual ~Transactor() = default;

  // Takes over the id: an open transaction of an earlier holder is aborted (or completed, if its
  // commit was already accepted), its later calls fail with kFenced. Needed before the first Commit
  // and after a Commit that failed with anything but kInvalid. kUnavailable: try again.
  virtual Status Init(std::chrono::milliseconds timeout) = 0;

  // Appends `records` in order, atomically over topics and partitions, and waits for the outcome.
  // ok: committed. kInvalid: a record is too large; nothing was applied. kFenced: another holder
  // took over; nothing was applied. kUnavailable: nothing was or will be applied. kUnknown: it may
  // have been applied, or may be later, until Init has returned ok on the same id.
  virtual Status Commit(std::span<const NewRecord> records, std::chrono::milliseconds timeout) = 0;
};

struct TopicInfo {
  Topic topic{};
  bool exists = false;
  std::int32_t partitions = 0;
  std::int32_t replication = 0;
  // Settings that matter and differ from what is stored: "retention.ms is 604800000, expected -1".
  std::vector<std::string> wrong_settings;
};

struct TopicPlan {
  std::int32_t partitions = 4;
  std::int16_t replication = 1;
};

enum class EndKind : std::uint8_t {
  kUncommitted,  // The next offset that will be written, open transactions included.
  kStable,       // The first offset of an open transaction, else the same.
};

class EventLog {
 public:
  virtual ~EventLog() = default;

  // "local:/path", "kafka://host:port", "memory": for messages.
  virtual std::string Describe() const = 0;

  // True if only this process can write to the log (a lock on the directory), so that ownership
  // needs no leases.
  virtual bool ExclusiveWriter() const = 0;

  // All topics of the catalogue in its order, existing or not.
  virtual Result<std::vector<TopicInfo>> DescribeTopics(std::chrono::milliseconds timeout) = 0;
  // Creates the missing topics of the catalogue and mends the settings of the others. The partition
  // count of an existing topic is never changed: kConflict if it differs.
  virtual Status ApplyTopics(const TopicPlan& plan, std::chrono::milliseconds timeout) = 0;
  // The common number of partitions. kNotFound: a topic of the catalogue is missing.
  virtual Result<std::int32_t> Partitions(std::chrono::milliseconds timeout) = 0;

  virtual Result<std::unique_ptr<Reader>> OpenReader(std::span<const ReadFrom> sources) = 0;

  // The ends of all `partitions`, taken after the call began.
  virtual Result<std::vector<std::int64_t>> Ends(std::span<const TopicPartition> partitions,
                                                 EndKind kind,
                                                 std::chrono::milliseconds timeout) = 0;

  // Appends outside any transaction, durable when it returns ok. Not atomic over partitions.
  // kInvalid: a record exceeds its topic's limit; nothing was appended. kUnavailable / kUnknown:
  // some records may have been appended.
  virtual Result<std::vector<Appended>> Append(std::span<const NewRecord> records,
                                               std::chrono::milliseconds timeout) = 0;

  virtual Result<std::unique_ptr<Transactor>> OpenTransactor(
      const std::string& transactional_id) = 0;
};

}  // namespace alertstream::log
