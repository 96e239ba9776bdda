// The conformance suite of the log port: what every adapter of EventLog must do. The cases are in
// log_conformance.cc; an executable lists that file among its sources and instantiates
// LogConformance with a factory of its fixture:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, LogConformance, ::testing::Values(LogFixtureParam{"memory",
//   F}));
//
// No case assumes empty topics: each reads from the ends seen when it began.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "processor/log/event_log.h"

namespace alertstream::log {

// A transaction that has written its records and waits for its end.
class OpenTransaction {
 public:
  virtual ~OpenTransaction() = default;
  virtual Status Commit() = 0;
  virtual Status Abort() = 0;
};

enum class UnknownCommit {
  kApplied,
  kNotApplied,
};

// One log under test; made anew for each case. Optional abilities return "no", and the cases that
// need them are skipped with that reason.
class LogFixture {
 public:
  virtual ~LogFixture() = default;

  // Opens the log. The suite destroys what an earlier call returned before it calls again, so this
  // is also the restart of a process.
  virtual Result<std::unique_ptr<EventLog>> Open() = 0;

  // The partition count that the topics have or get. At least 2.
  virtual std::int32_t Partitions() const { return 4; }

  // True if the log has no topics until the suite applies them.
  virtual bool StartsWithoutTopics() const { return true; }

  // A transactional id that no other case, and no other run on the same log, uses.
  virtual std::string TransactionalId(const std::string& name) { return name; }

  // Writes `records` in a transaction that stays open. Null: the adapter has no such state.
  virtual std::unique_ptr<OpenTransaction> Begin(EventLog& log, const std::string& id,
                                                 std::span<const NewRecord> records) {
    static_cast<void>(log);
    static_cast<void>(id);
    static_cast<void>(records);
    return nullptr;
  }

  // Lets the next Commit of `id` end in kUnknown. False: cannot be provoked.
  virtual bool InjectUnknownCommit(EventLog& log, const std::string& id, UnknownCommit what) {
    static_cast<void>(log);
    static_cast<void>(id);
    static_cast<void>(what);
    return false;
  }
};

struct LogFixtureParam {
  std::string name;
  std::function<std::unique_ptr<LogFixture>()> make;

  friend void PrintTo(const LogFixtureParam& param, std::ostream* out) { *out << param.name; }
};

// A record copied out of the log.
struct ReadBack {
  std::int64_t offset;
  LogTime append_time;
  std::string key;
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers;

  friend bool operator==(const ReadBack&, const ReadBack&) = default;
};

// No call of a healthy log takes as long.
inline constexpr std::chrono::milliseconds kLogTimeout{30'000};
inline constexpr FetchLimits kWideFetch{.records_max = 100'000, .bytes_max = 64 << 20};

class LogConformance : public ::testing::TestWithParam<LogFixtureParam> {
 protected:
  void SetUp() override;

  EventLog& log() { return *log_; }
  // Destroys the open log and opens it again.
  void Reopen();
  std::unique_ptr<Transactor> InitTransactor(const std::string& id);

  // What is in the partition from the start of the case (or `from`) to its end; to its stable end
  // while `transaction_open_`.
  std::vector<ReadBack> Read(TopicPartition source, const FetchLimits& limits = kWideFetch);
  std::vector<ReadBack> ReadFromOffset(TopicPartition source, std::int64_t from,
                                       const FetchLimits& limits = kWideFetch);
  std::vector<std::string> Values(TopicPartition source);
  std::int64_t End(TopicPartition source, EndKind kind);
  // The end once every transaction is over: a broker may answer a commit before its markers are
  // written, so the stable end can lag a little.
  std::int64_t SettledEnd(TopicPartition source);
  std::int64_t StartOf(TopicPartition source) const { return starts_.at(source); }

  std::unique_ptr<LogFixture> fixture_;
  std::unique_ptr<EventLog> log_;
  std::map<TopicPartition, std::int64_t> starts_;
  bool transaction_open_ = false;
};

}  // namespace alertstream::log
