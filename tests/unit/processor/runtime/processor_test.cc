// Whole processors, on real threads and the machine's clock, over one memory log.
#include "processor/runtime/processor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schemas/envelope.pb.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using schemas::Topic;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using namespace std::chrono_literals;

constexpr std::chrono::seconds kPatience{20};
constexpr std::int32_t kPartitions = 2;

// What a partition's store holds over several openings; reads fail when they are told to.
class FlakyDisk {
 public:
  std::unique_ptr<state::StateStore> Open() { return std::make_unique<Store>(*this); }

  std::atomic<int> failing_reads{0};

 private:
  class Store final : public state::StateStore {
   public:
    explicit Store(FlakyDisk& disk) : disk_(disk) {}
    Result<bool> Get(std::string_view key, std::string* value) override {
      if (disk_.failing_reads > 0) {
        --disk_.failing_reads;
        return Error(ErrorCode::kUnavailable, "the disk does not answer");
      }
      return disk_.store_.Get(key, value);
    }
    Status Scan(std::string_view from, std::string_view to, const Visit& visit) override {
      return disk_.store_.Scan(from, to, visit);
    }
    Status Apply(std::span<const state::StateWrite> writes, std::string_view meta) override {
      return disk_.store_.Apply(writes, meta);
    }
    std::uint64_t KeysEstimate() override { return disk_.store_.KeysEstimate(); }
    Result<std::optional<std::string>> Meta() override { return disk_.store_.Meta(); }
    Status Clear() override { return disk_.store_.Clear(); }

   private:
    FlakyDisk& disk_;
  };
  state::MemoryStore store_;
};

class ProcessorTest : public ::testing::Test {
 protected:
  std::unique_ptr<Processor> Make(const std::string& instance, bool take_over = false) {
    ProcessorOptions options = OptionsOf(instance);
    options.take_over = take_over;
    options.on_batch = [this](std::int32_t, const BatchReport& report) {
      const std::lock_guard lock(mutex_);
      inputs_ += report.inputs;
    };
    return std::make_unique<Processor>(log_, SystemClock(), std::move(options));
  }

  // One that follows both partitions.
  std::unique_ptr<Processor> MakeStandby(const std::string& instance, bool auto_take_over) {
    ProcessorOptions options = OptionsOf(instance);
    options.standby = {0, 1};
    options.auto_take_over = auto_take_over;
    options.on_take_over = [this](std::int32_t, TakeOverCause cause) {
      const std::lock_guard lock(mutex_);
      causes_.push_back(cause);
    };
    return std::make_unique<Processor>(log_, SystemClock(), std::move(options));
  }

  ProcessorOptions OptionsOf(const std::string& instance) {
    ProcessorOptions options;
    options.partitions = {0, 1};
    options.token_key = token_key_;
    options.task.instance = instance;
    options.open_store = [](std::int32_t) -> Result<std::unique_ptr<state::StateStore>> {
      return std::unique_ptr<state::StateStore>(std::make_unique<state::MemoryStore>());
    };
    return options;
  }

  // One that follows both partitions, with a store that fails when it is told to and is asked for
  // everything.
  std::unique_ptr<Processor> MakeFlaky(const std::string& instance) {
    ProcessorOptions options = OptionsOf(instance);
    options.standby = {0, 1};
    options.cache_bytes = 2;
    options.open_store = [this](std::int32_t partition) {
      return Result<std::unique_ptr<state::StateStore>>(
          disks_[static_cast<std::size_t>(partition)].Open());
    };
    return std::make_unique<Processor>(log_, SystemClock(), std::move(options));
  }

  // What `processor takeover` writes.
  void Order(const std::string& instance, std::int32_t partition, std::uint64_t epoch) {
    v1::Lease order;
    order.set_partition(static_cast<std::uint32_t>(partition));
    order.set_instance(instance);
    order.set_owner_epoch(epoch);
    order.set_released(true);
    const std::string bytes = order.SerializeAsString();
    const log::NewRecord record{Topic::kOwnership, partition, kTakeOverKey, bytes};
    ASSERT_TRUE(log_.Append(std::span(&record, 1), 5s).ok());
  }

  bool WaitForPhase(const Processor& processor, const std::string& phase) {
    const auto deadline = SystemClock().SinceBoot() + kPatience;
    while (SystemClock().SinceBoot() < deadline) {
      const auto all = processor.Status();
      if (std::all_of(all.begin(), all.end(),
                      [&](const PartitionStatus& status) { return status.phase == phase; })) {
        return true;
      }
      SystemClock().SleepFor(5ms);
    }
    return false;
  }

  // Waits until a partition says so.
  bool WaitForError(const Processor& processor, const std::string& text) {
    const auto deadline = SystemClock().SinceBoot() + kPatience;
    while (SystemClock().SinceBoot() < deadline) {
      for (const auto& status : processor.Status()) {
        if (status.error.find(text) != std::string::npos) {
          return true;
        }
      }
      SystemClock().SleepFor(5ms);
    }
    return false;
  }

  std::size_t DecisionsOf(std::int32_t partition) {
    const auto outputs = ReadOutputs(log_, writer_.identity().log_id, partition);
    EXPECT_TRUE(outputs.ok()) << outputs.error().message();
    return outputs.ok() ? outputs.value().decisions.size() : 0;
  }

  log::MemoryEventLog log_{{.clock = SystemClock()}};
  StoryWriter writer_{log_, kPartitions};
  HmacKey token_key_ = StoryKey();
  std::mutex mutex_;
  std::size_t inputs_ = 0;
  std::vector<TakeOverCause> causes_;
  std::array<FlakyDisk, kPartitions> disks_;
};

// Two tenants, one of each partition.
constexpr std::string_view kTenants[] = {"acme", "globex"};

TEST_F(ProcessorTest, DecidesEveryPartitionAndIsDrained) {
  ASSERT_NE(writer_.HomeOf(kTenants[0]), writer_.HomeOf(kTenants[1]));
  for (const auto tenant : kTenants) {
    writer_.Shop(tenant);
    writer_.Order(tenant, "o1");
  }
  const auto processor = Make("one");
  processor->Start();
  const auto drained = processor->WaitUntilDrained(kPatience);
  ASSERT_TRUE(drained.ok()) << drained.error().message();
  EXPECT_TRUE(processor->Ready());
  for (std::int32_t p = 0; p < kPartitions; ++p) {
    EXPECT_EQ(DecisionsOf(p), 1U);
    const PartitionStatus status = processor->Status()[static_cast<std::size_t>(p)];
    EXPECT_EQ(status.phase, "owner");
    EXPECT_EQ(status.error, "");
    EXPECT_EQ(status.owner_epoch, 1U);
    EXPECT_TRUE(status.idle);
    EXPECT_EQ(status.held_seconds, 0.0);
  }
  writer_.Order("acme", "o2");
  ASSERT_TRUE(processor->WaitUntilDrained(kPatience).ok());
  EXPECT_EQ(DecisionsOf(writer_.HomeOf("acme")), 2U);
  processor->Stop();
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(inputs_, 2 * schemas::kInputTopicCount + 2 * 4 + 3);  // Markers, rules, events.
}

TEST_F(ProcessorTest, ALiveLeaseOfAnotherInstanceRefusesAStartUnlessItTakesOver) {
  const auto first = Make("one");
  first->Start();
  ASSERT_TRUE(first->WaitUntilDrained(kPatience).ok());
  SystemClock().SleepFor(kLeaseEvery + 100ms);  // A lease is written twice a second.
  const auto second = Make("two");
  second->Start();
  EXPECT_TRUE(WaitForError(*second, "owned by instance 'one'"));
  EXPECT_FALSE(second->Ready());
  EXPECT_TRUE(first->Ready());
  second->Stop();

  const auto third = Make("three", true);
  third->Start();
  ASSERT_TRUE(third->WaitUntilDrained(kPatience).ok());
  for (const auto tenant : kTenants) {
    writer_.Shop(tenant);
  }
  EXPECT_TRUE(WaitForError(*first, "another"));
  ASSERT_TRUE(third->WaitUntilDrained(kPatience).ok());
  first->Stop();
  third->Stop();
}

TEST_F(ProcessorTest, AReleasedLeaseDoesNotHoldUpTheNextInstance) {
  auto first = Make("one");
  first->Start();
  ASSERT_TRUE(first->WaitUntilDrained(kPatience).ok());
  SystemClock().SleepFor(kLeaseEvery + 100ms);
  first->Stop();
  const auto second = Make("two");
  second->Start();
  EXPECT_TRUE(second->WaitUntilDrained(4s).ok());
}

TEST_F(ProcessorTest, AStandbyFollowsAndTakesOverWhenItIsTold) {
  for (const auto tenant : kTenants) {
    writer_.Shop(tenant);
    writer_.Order(tenant, "o1");
  }
  const auto first = Make("one");
  first->Start();
  ASSERT_TRUE(first->WaitUntilDrained(kPatience).ok());
  const auto standby = MakeStandby("two", false);
  standby->Start();
  ASSERT_TRUE(WaitForPhase(*standby, "standby"));
  EXPECT_TRUE(standby->Ready());
  for (const auto tenant : kTenants) {
    writer_.Order(tenant, "o2");
  }
  ASSERT_TRUE(first->WaitUntilDrained(kPatience).ok());
  SystemClock().SleepFor(300ms);
  for (std::int32_t p = 0; p < kPartitions; ++p) {
    const auto followed = standby->Status()[static_cast<std::size_t>(p)];
    EXPECT_EQ(followed.seq, first->Status()[static_cast<std::size_t>(p)].seq);
    EXPECT_GE(followed.followed_batches, 2U);
    EXPECT_EQ(followed.mismatches, 0U);
    EXPECT_EQ(followed.lag_seconds, 0.0);
  }
  // An order that names another epoch, or another instance, is not for it.
  Order("two", 0, 7);
  Order("three", 0, 1);
  SystemClock().SleepFor(1s);
  EXPECT_EQ(standby->Status()[0].phase, "standby");

  Order("two", 0, 1);
  Order("two", 1, 1);
  ASSERT_TRUE(WaitForPhase(*standby, "owner"));
  // The first notices although nothing is decided, and does not take it back.
  EXPECT_TRUE(WaitForError(*first, "'two'"));
  for (const auto tenant : kTenants) {
    writer_.Order(tenant, "o3");
  }
  ASSERT_TRUE(standby->WaitUntilDrained(kPatience).ok());
  for (std::int32_t p = 0; p < kPartitions; ++p) {
    EXPECT_EQ(DecisionsOf(p), 3U);
    EXPECT_EQ(standby->Status()[static_cast<std::size_t>(p)].owner_epoch, 2U);
  }
  first->Stop();
  standby->Stop();
  EXPECT_THAT(causes_, ::testing::ElementsAre(TakeOverCause::kOrder, TakeOverCause::kOrder));
}

TEST_F(ProcessorTest, AnAutomaticStandbyTakesOverWhenTheLeaseIsStaleAndNotBefore) {
  writer_.Shop("acme");
  auto first = Make("one");
  first->Start();
  ASSERT_TRUE(first->WaitUntilDrained(kPatience).ok());
  const auto standby = MakeStandby("two", true);
  standby->Start();
  ASSERT_TRUE(WaitForPhase(*standby, "standby"));
  SystemClock().SleepFor(kLeaseLive + 1s);
  ASSERT_EQ(standby->Status()[0].phase, "standby") << "its owner lives";
  const auto stopped_at = SystemClock().SinceBoot();
  first->Stop();
  ASSERT_TRUE(WaitForPhase(*standby, "owner"));
  const auto took = SystemClock().SinceBoot() - stopped_at;
  EXPECT_GT(took, 4s);
  EXPECT_LT(took, 10s);
  writer_.Order("acme", "o1");
  ASSERT_TRUE(standby->WaitUntilDrained(kPatience).ok());
  EXPECT_EQ(DecisionsOf(writer_.HomeOf("acme")), 1U);

  // One that is fenced follows again.
  const auto third = Make("three", true);
  third->Start();
  ASSERT_TRUE(third->WaitUntilDrained(kPatience).ok());
  ASSERT_TRUE(WaitForPhase(*standby, "standby"));
  standby->Stop();
  third->Stop();
  EXPECT_EQ(causes_.front(), TakeOverCause::kStaleLease);
}

TEST_F(ProcessorTest, AStandbyThatCannotReadOwnershipTakesNothingFromALiveOwner) {
  const auto first = Make("one");
  first->Start();
  ASSERT_TRUE(first->WaitUntilDrained(kPatience).ok());
  const auto standby = MakeStandby("two", true);
  standby->Start();
  ASSERT_TRUE(WaitForPhase(*standby, "standby"));
  SystemClock().SleepFor(1s);
  // Its own signs are written as before.
  log_.FailReads(Topic::kOwnership, true);
  SystemClock().SleepFor(kLeaseLive + 2s);
  EXPECT_EQ(standby->Status()[0].phase, "standby");
  log_.FailReads(Topic::kOwnership, false);
  SystemClock().SleepFor(1s);
  EXPECT_EQ(standby->Status()[0].phase, "standby");
  EXPECT_TRUE(first->Ready());
  EXPECT_THAT(causes_, SizeIs(0));
}

TEST_F(ProcessorTest, AStandbyWhoseStoreFailsStartsOverAndLosesNothing) {
  const auto home = static_cast<std::size_t>(writer_.HomeOf("acme"));
  writer_.Shop("acme");
  writer_.Order("acme", "o1");
  const auto first = Make("one");
  first->Start();
  ASSERT_TRUE(first->WaitUntilDrained(kPatience).ok());
  const auto standby = MakeFlaky("two");
  standby->Start();
  ASSERT_TRUE(WaitForPhase(*standby, "standby"));
  SystemClock().SleepFor(1500ms);  // What was followed is written out, and forgotten.
  disks_[home].failing_reads = 1;
  writer_.Order("acme", "o2");
  EXPECT_TRUE(WaitForError(*standby, "does not answer"));
  EXPECT_FALSE(standby->Ready());
  writer_.Order("acme", "o3");
  ASSERT_TRUE(WaitForPhase(*standby, "standby")) << "after kRestartAfter";
  ASSERT_TRUE(first->WaitUntilDrained(kPatience).ok());
  SystemClock().SleepFor(500ms);
  EXPECT_EQ(standby->Status()[home].seq, first->Status()[home].seq);
  EXPECT_EQ(standby->Status()[home].mismatches, 0U);
}

TEST_F(ProcessorTest, AStandbyThatOwnsGoesOnOwningAfterAnError) {
  const auto home = static_cast<std::size_t>(writer_.HomeOf("acme"));
  writer_.Shop("acme");
  {
    const auto first = Make("one");
    first->Start();
    ASSERT_TRUE(first->WaitUntilDrained(kPatience).ok());
  }
  const auto standby = MakeFlaky("two");
  standby->Start();
  ASSERT_TRUE(WaitForPhase(*standby, "standby"));
  Order("two", 0, 1);
  Order("two", 1, 1);
  ASSERT_TRUE(WaitForPhase(*standby, "owner"));
  writer_.Order("acme", "o1");
  ASSERT_TRUE(standby->WaitUntilDrained(kPatience).ok());
  SystemClock().SleepFor(1500ms);
  disks_[home].failing_reads = 1;
  writer_.Order("acme", "o2");
  EXPECT_TRUE(WaitForError(*standby, "does not answer"));
  ASSERT_TRUE(WaitForPhase(*standby, "owner")) << "nobody else owns it";
  EXPECT_EQ(standby->Status()[home].owner_epoch, 3U);
  ASSERT_TRUE(standby->WaitUntilDrained(kPatience).ok());
  EXPECT_EQ(DecisionsOf(writer_.HomeOf("acme")), 2U);
}

TEST_F(ProcessorTest, ASlowStartDoesNotTakeBackWhatAnotherOwnsMeanwhile) {
  std::atomic<bool> slow{true};
  ProcessorOptions options = OptionsOf("one");
  options.open_store = [&](std::int32_t) -> Result<std::unique_ptr<state::StateStore>> {
    while (slow) {
      SystemClock().SleepFor(10ms);
    }
    return std::unique_ptr<state::StateStore>(std::make_unique<state::MemoryStore>());
  };
  Processor first(log_, SystemClock(), std::move(options));
  first.Start();
  SystemClock().SleepFor(500ms);  // Nobody else had a lease.
  const auto second = Make("two", true);
  second->Start();
  ASSERT_TRUE(second->WaitUntilDrained(kPatience).ok());
  SystemClock().SleepFor(kLeaseEvery + 100ms);
  slow = false;
  EXPECT_TRUE(WaitForError(first, "owned by instance 'two'"));
  SystemClock().SleepFor(500ms);
  EXPECT_TRUE(second->Ready());
  EXPECT_EQ(second->Status()[0].owner_epoch, 1U);
}

TEST_F(ProcessorTest, ASecondProcessOfOneNameIsRefusedAndTheFirstGoesOn) {
  const auto first = Make("one");
  first->Start();
  ASSERT_TRUE(first->WaitUntilDrained(kPatience).ok());
  SystemClock().SleepFor(kLeaseEvery + 100ms);
  const auto second = Make("one");
  second->Start();
  EXPECT_TRUE(WaitForError(*second, "instance name used twice"));
  const auto standby = MakeStandby("one", true);
  standby->Start();
  EXPECT_TRUE(WaitForError(*standby, "instance name used twice"));
  EXPECT_TRUE(first->Ready());
  EXPECT_EQ(first->Status()[0].owner_epoch, 1U);
  first->Stop();
  // Now the name is free.
  EXPECT_TRUE(WaitForPhase(*second, "owner"));
}

// After a crash: what the process before wrote of itself is no reason to wait.
TEST_F(ProcessorTest, LeasesOfTheSameStateDirectoryAreOnesOwn) {
  ProcessorOptions options = OptionsOf("one");
  options.process = "0123456789abcdef";
  Processor first(log_, SystemClock(), options);
  first.Start();
  ASSERT_TRUE(first.WaitUntilDrained(kPatience).ok());
  SystemClock().SleepFor(kLeaseEvery + 100ms);
  Processor second(log_, SystemClock(), options);
  second.Start();
  EXPECT_TRUE(WaitForPhase(second, "owner"));
}

TEST_F(ProcessorTest, AWrongTokenKeyEndsTheWaitWithItsReason) {
  token_key_ = HmacKey("another key");
  const auto processor = Make("one");
  processor->Start();
  const auto drained = processor->WaitUntilDrained(kPatience);
  ASSERT_FALSE(drained.ok());
  EXPECT_THAT(drained.error().message(), HasSubstr("token_key"));
  EXPECT_FALSE(processor->Ready());
}

TEST_F(ProcessorTest, AMissingHorizonIsHeldAndShown) {
  writer_.Shop("acme");
  const auto processor = Make("one");
  processor->Start();
  ASSERT_TRUE(processor->WaitUntilDrained(kPatience).ok());
  log_.FailEnds(Topic::kOptOuts, true);
  SystemClock().SleepFor(kHorizonAgeMax + 50ms);
  writer_.Order("acme", "o1");
  EXPECT_TRUE(WaitForError(*processor, "site events wait"));
  EXPECT_FALSE(processor->Ready());
  log_.FailEnds(Topic::kOptOuts, false);
  ASSERT_TRUE(processor->WaitUntilDrained(kPatience).ok());
  EXPECT_EQ(DecisionsOf(writer_.HomeOf("acme")), 1U);
}

TEST_F(ProcessorTest, GoesOnByItselfWhenTheLogIsBackAndStopsSoonWhileItIsAway) {
  writer_.Shop("acme");
  const auto processor = Make("one");
  processor->Start();
  ASSERT_TRUE(processor->WaitUntilDrained(kPatience).ok());
  writer_.Order("acme", "o1");
  writer_.Order("acme", "o2");
  log_.FailWrites(true);
  SystemClock().SleepFor(20ms);
  log_.FailWrites(false);
  ASSERT_TRUE(processor->WaitUntilDrained(kPatience).ok());
  EXPECT_EQ(DecisionsOf(writer_.HomeOf("acme")), 2U);

  writer_.Order("acme", "o3");
  log_.FailWrites(true);
  SystemClock().SleepFor(300ms);
  const auto begun = SystemClock().SinceBoot();
  processor->Stop();
  EXPECT_LT(SystemClock().SinceBoot() - begun, 5s);
  log_.FailWrites(false);
  const auto next = Make("one");
  next->Start();
  ASSERT_TRUE(next->WaitUntilDrained(kPatience).ok());
  EXPECT_EQ(DecisionsOf(writer_.HomeOf("acme")), 3U);
}

TEST_F(ProcessorTest, AStoreThatCannotBeOpenedIsShown) {
  ProcessorOptions options;
  options.partitions = {0};
  options.token_key = token_key_;
  options.open_store = [](std::int32_t) -> Result<std::unique_ptr<state::StateStore>> {
    return Error(ErrorCode::kCorrupt, "state store: damaged");
  };
  Processor processor(log_, SystemClock(), std::move(options));
  processor.Start();
  EXPECT_TRUE(WaitForError(processor, "state store: damaged"));
  EXPECT_FALSE(processor.WaitUntilDrained(kPatience).ok());
}

}  // namespace
}  // namespace alertstream::runtime
