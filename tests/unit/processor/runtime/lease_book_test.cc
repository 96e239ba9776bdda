// Who works on a partition, as the topic `ownership` tells it.
#include "processor/runtime/lease_book.h"

#include <span>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schemas/topics.h"

namespace alertstream::runtime {
namespace {

using ::testing::ElementsAre;
using namespace std::chrono_literals;

// A partition's `ownership`, told from the side of instance "me", process "us".
class Topic {
 public:
  struct Written {
    std::string_view key = schemas::kLogKey;
    std::string instance = "owner";
    std::uint64_t epoch = 0;
    bool released = false;
    std::string process = "other";
  };
  void Write(LogDuration at, const Written& written) {
    v1::Lease lease;
    lease.set_instance(written.instance);
    lease.set_owner_epoch(written.epoch);
    lease.set_released(written.released);
    const std::string bytes = lease.SerializeAsString();
    schemas::RecordView record;
    record.offset = next_++;
    record.append_time = LogTime{} + at;
    record.key = written.key;
    record.value = bytes;
    const schemas::HeaderView header{kProcessHeader, written.process};
    record.headers = std::span(&header, written.process.empty() ? 0 : 1);
    book.Read(record);
  }
  void Lease(LogDuration at, std::uint64_t epoch) { Write(at, {.epoch = epoch}); }
  void Standby(LogDuration at, const std::string& instance) {
    Write(at, {.key = kStandbyKey, .instance = instance, .released = true});
  }
  void Order(LogDuration at, const std::string& instance, std::uint64_t epoch) {
    Write(at, {.key = kTakeOverKey, .instance = instance, .epoch = epoch, .released = true});
  }
  // Our own signs, twice a second.
  void Beats(LogDuration from, LogDuration to) {
    for (LogDuration at = from; at <= to; at += 500ms) {
      Write(at, {.key = kStandbyKey, .instance = "me", .released = true, .process = "us"});
    }
  }

  LeaseBook book{"me", "us"};

 private:
  std::int64_t next_ = 1;  // 0 is the marker.
};

TEST(LeaseBook, AnOwnerThatWritesNothingForTheLifeOfALeaseIsStale) {
  Topic topic;
  topic.Beats(0s, 10s);
  topic.Lease(10s, 3);
  topic.Beats(10s + 500ms, 15s);
  EXPECT_FALSE(topic.book.Stale(3));
  topic.Beats(15s + 500ms, 15s + 500ms);
  EXPECT_TRUE(topic.book.Stale(3));
}

TEST(LeaseBook, NothingIsStaleBeforeWeWatchedForAsLong) {
  Topic topic;
  EXPECT_FALSE(topic.book.Stale(3));
  topic.Beats(100s, 105s);
  EXPECT_FALSE(topic.book.Stale(3));
  topic.Beats(105s + 500ms, 105s + 500ms);
  EXPECT_TRUE(topic.book.Stale(3));
}

TEST(LeaseBook, AGapInOurOwnSignsBeginsTheWatchAnew) {
  Topic topic;
  topic.Beats(0s, 10s);
  topic.Lease(10s, 3);
  // The log was away for everybody.
  topic.Beats(30s, 34s);
  EXPECT_FALSE(topic.book.Stale(3));
  topic.Beats(34s + 500ms, 36s);
  EXPECT_TRUE(topic.book.Stale(3));
}

// What a reader that was stuck or opened anew did not see may have been leases.
TEST(LeaseBook, WhatMayHaveBeenMissedBeginsTheWatchAnew) {
  Topic topic;
  topic.Lease(0s, 3);
  topic.Beats(0s, 5s);
  topic.book.Missed();
  EXPECT_FALSE(topic.book.Stale(3));
  topic.Beats(5s + 500ms, 10s + 500ms);
  EXPECT_FALSE(topic.book.Stale(3));
  topic.Beats(11s, 11s);
  EXPECT_TRUE(topic.book.Stale(3));
}

TEST(LeaseBook, TimeStandsStillUntilOurOwnRecordsAreRead) {
  Topic topic;
  topic.Beats(0s, 10s);
  topic.Lease(10s, 3);
  topic.Beats(10s + 500ms, 15s);
  // Somebody's record, however late, does not make the owner's lease old.
  topic.Standby(16s, "z");
  topic.Write(16s, {.instance = "doctor", .released = true});
  EXPECT_FALSE(topic.book.Stale(3));
  // What came before our own record was read before it.
  topic.Lease(16s, 3);
  topic.Beats(16s + 100ms, 16s + 100ms);
  EXPECT_FALSE(topic.book.Stale(3));
}

TEST(LeaseBook, AClockThatGoesBackBeginsTheWatchAnewByItsNewTime) {
  Topic topic;
  topic.Beats(1000s, 1010s);
  topic.Lease(1010s, 3);
  topic.Standby(1010s, "a");
  topic.Order(1010s, "me", 7);
  // The broker that leads now is 16 minutes behind.
  topic.Beats(50s, 55s);
  EXPECT_THAT(topic.book.standbys(), ElementsAre());
  EXPECT_FALSE(topic.book.Stale(3));
  topic.Beats(55s + 500ms, 55s + 500ms);
  EXPECT_TRUE(topic.book.Stale(3));
  EXPECT_TRUE(topic.book.Ordered(7));
  topic.Beats(56s, 110s);
  EXPECT_FALSE(topic.book.Ordered(7)) << "a minute later";
}

TEST(LeaseBook, WhoStartsAgainAndAgainHoldsThePartitionForHalfAMinuteOnly) {
  Topic topic;
  topic.Lease(0s, 3);
  LogDuration at = 500ms;
  for (; at <= 30s; at += 500ms) {
    topic.Beats(at, at);
    topic.Lease(at, 0);
  }
  EXPECT_FALSE(topic.book.Stale(3));
  for (; at <= 35s; at += 500ms) {
    topic.Beats(at, at);
    topic.Lease(at, 0);
    EXPECT_FALSE(topic.book.Stale(3)) << at.count();
  }
  topic.Beats(at, at + 500ms);
  EXPECT_TRUE(topic.book.Stale(3));
  // One that claimed is an owner.
  topic.Lease(at + 500ms, 4);
  EXPECT_FALSE(topic.book.Stale(3));
}

TEST(LeaseBook, AnotherProcessOfOurNameIsAnotherInstance) {
  Topic topic;
  topic.Beats(0s, 10s);
  topic.Write(10s, {.instance = "me", .epoch = 3, .released = true});
  topic.Write(10s, {.instance = "me", .released = true});
  EXPECT_FALSE(topic.book.name_used_twice()) << "it has ended, or asked for the time";
  topic.Write(10s, {.instance = "me", .epoch = 3, .process = ""});
  EXPECT_FALSE(topic.book.name_used_twice()) << "an older program does not say who it is";
  topic.Write(10s, {.instance = "me", .epoch = 4});
  EXPECT_TRUE(topic.book.name_used_twice());
  EXPECT_EQ(topic.book.newest_other()->epoch, 4U);
  topic.Beats(10s + 500ms, 15s);
  EXPECT_FALSE(topic.book.Stale(4)) << "its lease counts";
  topic.book.ForgetNamesake();
  EXPECT_FALSE(topic.book.name_used_twice());
  topic.Standby(15s, "me");
  EXPECT_TRUE(topic.book.name_used_twice());
}

TEST(LeaseBook, OfOwnersTheNewestCountsAndSoDoesWhoIsStarting) {
  Topic topic;
  topic.Beats(0s, 10s);
  topic.Lease(9s, 3);
  // A process that slept writes on with the epoch that it had.
  topic.Lease(14s, 2);
  topic.Beats(10s + 500ms, 15s);
  EXPECT_EQ(topic.book.newest_other()->epoch, 3U);
  EXPECT_TRUE(topic.book.Stale(3));
  // The question for the log's time is no sign of an owner; a lease without an epoch is one.
  topic.Write(15s, {.instance = "doctor", .released = true});
  EXPECT_TRUE(topic.book.Stale(3));
  topic.Lease(15s, 0);
  EXPECT_FALSE(topic.book.Stale(3));
}

TEST(LeaseBook, AReleasedLeaseLeavesTimeForARestart) {
  Topic topic;
  topic.Beats(0s, 10s);
  topic.Write(10s, {.epoch = 3, .released = true});
  topic.Beats(10s + 500ms, 14s);
  EXPECT_FALSE(topic.book.Stale(3));
  topic.Beats(14s + 500ms, 16s);
  EXPECT_TRUE(topic.book.Stale(3));
}

TEST(LeaseBook, StandbysTakeTurnsByName) {
  Topic topic;
  topic.Lease(0s, 3);
  for (LogDuration at = 500ms; at <= 7s; at += 500ms) {
    topic.Standby(at, "a");
    topic.Standby(at, "z");
    topic.Beats(at, at);
  }
  EXPECT_THAT(topic.book.standbys(), ElementsAre("a", "z"));
  EXPECT_FALSE(topic.book.Stale(3)) << "a's turn";
  topic.Beats(7s + 500ms, 8s);
  EXPECT_TRUE(topic.book.Stale(3)) << "a did not come";
  // Who owns is no standby any more.
  topic.Write(8s, {.instance = "a", .epoch = 4});
  EXPECT_THAT(topic.book.standbys(), ElementsAre("z"));
  EXPECT_FALSE(topic.book.Stale(3));
}

TEST(LeaseBook, AnOrderIsForOneInstanceOneEpochAndOneMinute) {
  Topic topic;
  topic.Beats(0s, 1s);
  topic.Order(1s, "somebody", 3);
  EXPECT_FALSE(topic.book.Ordered(3));
  topic.Order(2s, "me", 3);
  EXPECT_TRUE(topic.book.Ordered(3));
  EXPECT_FALSE(topic.book.Ordered(4)) << "it was obeyed, or somebody else claimed";
  topic.Beats(62s, 62s);
  EXPECT_FALSE(topic.book.Ordered(3));
  EXPECT_FALSE(topic.book.newest_other()) << "an order is nobody's lease";
}

TEST(TakeOverGuard, BacksOffWhenItWasFencedTwiceInAMinute) {
  TakeOverGuard guard;
  guard.Fenced(0s);
  EXPECT_FALSE(guard.BackedOff(1s));
  guard.Fenced(61s);
  EXPECT_FALSE(guard.BackedOff(62s));
  guard.Fenced(100s);
  EXPECT_TRUE(guard.BackedOff(101s));
  EXPECT_TRUE(guard.BackedOff(100s + kTakeOverBackOff - 1s));
  EXPECT_FALSE(guard.BackedOff(100s + kTakeOverBackOff));
}

}  // namespace
}  // namespace alertstream::runtime
