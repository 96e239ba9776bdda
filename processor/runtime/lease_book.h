// What the topic `ownership` says about one partition: who works on it, who stands by, who was told
// to take over. All times are the log's own (append times): the clocks of instances are not
// compared. Records are v1::Lease; the key tells what one is. LeaseBook is pure; whoever owns it
// locks it.
//
//   key         instance    released  epoch         meaning
//   _log        the owner   false     its own       its lease, every kLeaseEvery; 0: it is starting
//   _log        the owner   true      its own       it stopped; 0: somebody only asked for the time
//   _standby    a standby   true      0             it follows the partition
//   _take-over  who is to   true      the owner's   an order: `processor takeover`
//
// The last two say "released", so that whoever does not know the keys sees nobody's lease in them.
// An order names the epoch that it ends, so it is obeyed at most once. Leases and signs carry the
// header `process`, 16 random bytes of the process that wrote them (older programs: none), by which
// two processes with one instance name are told apart.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/time.h"
#include "schemas/envelope.pb.h"
#include "schemas/record.h"

namespace alertstream::runtime {

inline constexpr std::string_view kStandbyKey = "_standby";
inline constexpr std::string_view kTakeOverKey = "_take-over";
inline constexpr std::string_view kProcessHeader = "process";
inline constexpr std::size_t kProcessBytes = 16;

// A lease is written this often and is live for kLeaseLive, by the log's clock.
inline constexpr std::chrono::milliseconds kLeaseEvery{500};
inline constexpr std::chrono::seconds kLeaseLive{5};
// Who heard nothing of the log for so long cannot tell a dead owner from a dead broker: it counts
// anew from its next record.
inline constexpr std::chrono::seconds kBeatGapMax{2};
// Of several standbys each waits this much longer than the one before it, by name: time for that
// one to claim. With kLeaseLive, a claim and this a second one is still in time (10 s).
inline constexpr std::chrono::seconds kStandbyStagger{2};
// Somebody who starts (epoch 0) counts as an owner for so long after the last one that there was: a
// restart and its claim take seconds. Whoever starts for longer has an owner's place but does no
// work, and may fail before each claim.
inline constexpr std::chrono::seconds kStartingCounts{30};
// An order that nobody obeyed in this time was given to an instance that is not there.
inline constexpr std::chrono::seconds kTakeOverLive{60};

// The value of kProcessHeader; empty: there is none.
std::string_view ProcessOf(const schemas::RecordView& record);

class LeaseBook {
 public:
  // `process`: what our own records carry.
  LeaseBook(std::string instance, std::string process)
      : instance_(std::move(instance)), process_(std::move(process)) {}

  // A record of the partition, in the topic's order. Our own are the clock of all answers below:
  // whoever reads one has read what others appended before it.
  void Read(const schemas::RecordView& record);
  // Records may have been missed: the watch begins anew with our next record.
  void Missed() { last_beat_.reset(); }

  // The newest owner among the others, if one wrote a lease; its epoch says whether it is ours to
  // give way to.
  struct Owner {
    std::string instance;
    std::uint64_t epoch = 0;
  };
  const std::optional<Owner>& newest_other() const { return newest_other_; }
  // Another process works under our name.
  bool name_used_twice() const { return name_used_twice_; }
  void ForgetNamesake() { name_used_twice_ = false; }

  // We were told to take over from the owner of `epoch`, not long ago.
  bool Ordered(std::uint64_t epoch) const;
  // Neither the owner of `epoch` nor anybody after it wrote a lease for kLeaseLive, while we read
  // our own records all the time; and it is our turn among the standbys.
  bool Stale(std::uint64_t epoch) const;
  // Who stands by besides us, as of our last beat.
  std::vector<std::string> standbys() const;

 private:
  struct Order {
    std::uint64_t epoch = 0;
    LogTime at;
  };
  void Beat(LogTime at);
  // The log's clock went back to `at`: what was written before is not later than that.
  void Clamp(LogTime at);

  const std::string instance_;
  const std::string process_;
  bool name_used_twice_ = false;
  std::map<std::string, LogTime> standbys_;
  // Of the others: the newest sign of life, by epoch (0: of those that are starting).
  std::map<std::uint64_t, LogTime> signs_;
  std::optional<Owner> newest_other_;
  std::optional<Order> order_;
  std::optional<LogTime> last_beat_;
  LogTime since_;  // Since when our beats came without a gap.
};

// Keeps instances from taking a partition from each other again and again: who was fenced twice
// within kFencedWindow does not take over by itself for kTakeOverBackOff. By CLOCK_BOOTTIME.
inline constexpr std::chrono::seconds kFencedWindow{60};
inline constexpr std::chrono::minutes kTakeOverBackOff{5};

class TakeOverGuard {
 public:
  void Fenced(std::chrono::microseconds now);
  bool BackedOff(std::chrono::microseconds now) const { return until_ && now < *until_; }

 private:
  std::optional<std::chrono::microseconds> fenced_;
  std::optional<std::chrono::microseconds> until_;
};

}  // namespace alertstream::runtime
