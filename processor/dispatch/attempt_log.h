// AttemptLog: the records of attempts that one partition's dispatcher writes, through a fenced pair
// of transactional ids, and what a new owner learns from them. Belongs to one thread.
//
// The ids A and B are used in turn, because the next transaction on one id waits for the markers of
// the one before. The first transaction after Take is always on A: of two rivals that each hold one
// id only the holder of A begins, so at most one of them ever calls a provider. It takes B back
// when it needs it, so that one of them goes on.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "processor/dispatch/outcome.h"
#include "processor/dispatch/waiting_room.h"
#include "processor/log/event_log.h"
#include "processor/runtime/output_reader.h"
#include "schemas/envelope.pb.h"

namespace alertstream::dispatch {

// What records of one attempt have in common.
struct AttemptTarget {
  AttemptKey key;
  std::string tenant;
  std::string provider;
  std::string account;
  v1::Channel channel = v1::CHANNEL_UNSPECIFIED;
  std::optional<v1::TraceContext> trace;
};
AttemptTarget TargetOf(const v1::NotificationCommand& command);

v1::Envelope StartedRecord(const AttemptTarget& target, LogTime now);
// `command`: what was sent, which goes with a result that another attempt may follow; null:
// unknown.
v1::Envelope ResultRecord(const AttemptTarget& target, const Outcome& outcome, LogTime at,
                          const v1::NotificationCommand* command);
// What `command` sent, into a result that another attempt may follow; not if the fold would not
// take it, which is of what nobody can send.
void AddContent(const v1::NotificationCommand& command, v1::DeliveryAttempt* result);
// CANCELLED or EXPIRED.
v1::Envelope NotCalledRecord(const AttemptTarget& target, v1::AttemptPhase phase, LogTime now);

// A place from which a new owner may begin: every command up to `seq` has a final result, and the
// records of all later ones lie behind these offsets.
struct Checkpoint {
  std::uint64_t seq = 0;
  std::int64_t journal_offset = 0;
  std::int64_t commands_offset = 0;
  std::int64_t attempts_offset = 0;
};
void SetCheckpoint(const Checkpoint& checkpoint, v1::Envelope* envelope);

// An attempt as the records tell it.
struct KnownAttempt {
  bool final = false;    // A result, cancelled, or expired.
  AttemptTarget target;  // Of one that is not final.
};

struct Recovered {
  std::optional<Checkpoint> checkpoint;  // Nothing: begin at the beginning.
  std::map<AttemptKey, KnownAttempt> attempts;
};

struct AttemptLogOptions {
  std::string log_id;
  std::int32_t partition = 0;
  std::chrono::milliseconds commit_timeout{8'000};
  std::chrono::milliseconds take_timeout{30'000};
  // Ends Take when it returns true. May be empty. Thread-safe.
  std::function<bool()> cancelled;
};

class AttemptLog {
 public:
  static Result<std::unique_ptr<AttemptLog>> Open(log::EventLog& log,
                                                  const AttemptLogOptions& options);

  // Fences every earlier holder, waits until what it had under way is decided, and reads what it
  // left behind.
  Result<Recovered> Take();

  // Appends the records in one transaction. Any error: nothing may be started until Take.
  Status Commit(const std::vector<v1::Envelope>& records);

  // The end of the attempts now: what is appended later lies at or behind it.
  Result<std::int64_t> End();

 private:
  AttemptLog(log::EventLog& log, AttemptLogOptions options)
      : log_(log), options_(std::move(options)) {}
  bool Over(std::chrono::microseconds deadline) const;
  Status Fence();
  Status TakeSecondBack(const std::vector<log::NewRecord>& records);
  Result<std::int64_t> StableEnd();
  Result<std::optional<Checkpoint>> NewestCheckpoint(std::int64_t end);

  log::EventLog& log_;
  const AttemptLogOptions options_;
  std::array<std::unique_ptr<log::Transactor>, 2> transactors_;
  std::size_t next_ = 0;
};

}  // namespace alertstream::dispatch
