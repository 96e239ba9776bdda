// Two processors, each a process of its own, over a real Kafka: the one that stands by takes over
// when the owner is killed, asleep or told to go, and every event is decided once.
//
// A processor is this program started again as `--stand-by`.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/clock.h"
#include "processor/engine/state_keys.h"
#include "processor/log/kafka/kafka_log.h"
#include "processor/runtime/processor.h"
#include "processor/state/directory/snapshot_directory.h"
#include "processor/state/rocksdb/rocksdb_store.h"
#include "schemas/envelope.pb.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/kafka_log_fixture.h"
#include "tests/support/local_log_fixture.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using schemas::Topic;
using namespace std::chrono_literals;

constexpr std::int32_t kPartition = 0;
constexpr std::string_view kTenant = "acme";
constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::seconds kTakenOverWithin{10};

std::atomic<bool> g_finish{false};

struct Child {
  std::string instance;
  bool by_itself = false;  // --auto.
};

int StandBy(const std::string& directory, const log::KafkaLogOptions& kafka, const Child& child) {
  std::signal(SIGTERM, [](int) { g_finish = true; });
  const auto log = log::OpenKafkaLog(kafka);
  if (!log.ok()) {
    std::fprintf(stderr, "%s\n", log.error().message().c_str());
    return 1;
  }
  const auto memory = state::StoreMemory::Create(32 << 20);
  const std::string states = fmt::format("{}/{}", directory, child.instance);
  ProcessorOptions options;
  options.partitions = {kPartition};
  options.standby = {kPartition};
  options.auto_take_over = child.by_itself;
  options.token_key = StoryKey();
  options.task.instance = child.instance;
  options.open_store = [&](std::int32_t partition) {
    return state::OpenRocksDbStore(fmt::format("{}/{}", states, partition), engine::IsHistoryKey,
                                   memory);
  };
  options.snapshots = {.store = state::OpenSnapshotDirectory(
                           {.directory = states + "/snapshots", .state_directory = states}),
                       .every = 1s};
  options.on_phase = [&](std::int32_t, const std::string& phase, const std::string& error) {
    std::printf("  %s is %s %s\n", child.instance.c_str(), phase.c_str(), error.c_str());
    std::fflush(stdout);
  };
  Processor processor(*log.value(), SystemClock(), std::move(options));
  processor.Start();
  while (!g_finish) {
    SystemClock().SleepFor(20ms);
  }
  processor.Stop();
  return 0;
}

class TakeOverTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string bootstrap = log::KafkaOfEnvironment(log::kKafkaVariable);
    if (bootstrap.empty()) {
      GTEST_SKIP() << log::kKafkaVariable << " names no broker";
    }
    kafka_ = log::FreshKafkaOptions(bootstrap);
    auto opened = log::OpenKafkaLog(kafka_);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    log_ = std::move(opened).value();
    writer_ = std::make_unique<StoryWriter>(*log_, 1);
    writer_->Shop(kTenant);
  }
  void TearDown() override {
    StopFeed();
    for (const auto& [name, child] : children_) {
      kill(child, SIGCONT);
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    if (log_ != nullptr) {
      log_.reset();
      EXPECT_TRUE(log::DeleteKafkaTopics(kafka_).ok());
    }
  }

  void Spawn(const Child& child) {
    for (const char* below : {"", "/snapshots"}) {
      std::filesystem::create_directories(
          fmt::format("{}/{}{}", directory_.path(), child.instance, below));
    }
    std::vector<std::string> arguments = {"/proc/self/exe",
                                          "--stand-by",
                                          directory_.path(),
                                          kafka_.bootstrap,
                                          kafka_.topic_prefix,
                                          child.instance,
                                          child.by_itself ? "auto" : ""};
    std::vector<char*> pointers;
    for (auto& argument : arguments) {
      pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);
    pid_t pid = 0;
    ASSERT_EQ(posix_spawn(&pid, pointers[0], nullptr, nullptr, pointers.data(), environ), 0);
    children_[child.instance] = pid;
  }

  void Feed() {
    feed_ = std::thread([this] {
      while (!stop_feed_) {
        writer_->Order(kTenant, fmt::format("e{}", events_++), "+254712345678");
        SystemClock().SleepFor(5ms);
      }
    });
  }
  void StopFeed() {
    stop_feed_ = true;
    if (feed_.joinable()) {
      feed_.join();
    }
  }

  // The last claim of the journal: by whom, in which epoch.
  LeaseBook::Owner LastClaim() {
    const auto outputs = ReadOutputs(*log_, writer_->identity().log_id, kPartition);
    EXPECT_TRUE(outputs.ok()) << outputs.error().message();
    LeaseBook::Owner owner;
    for (const auto& record : outputs.value().journal) {
      if (record.kind() == v1::JOURNAL_KIND_CLAIM) {
        owner = {record.instance(), record.owner_epoch()};
      }
    }
    return owner;
  }
  // How many seconds until `instance` had claimed.
  double WaitForClaim(const std::string& instance, std::chrono::seconds within) {
    const auto began = SystemClock().SinceBoot();
    while (LastClaim().instance != instance) {
      if (SystemClock().SinceBoot() - began > within) {
        ADD_FAILURE() << instance << " did not take over; the owner is " << LastClaim().instance;
        break;
      }
      SystemClock().SleepFor(100ms);
    }
    return static_cast<double>((SystemClock().SinceBoot() - began).count()) / 1e6;
  }

  // What `instance` writes to `ownership` from now on, until there is a record with `key`.
  bool WaitForSign(const std::string& instance, std::string_view key) {
    const log::TopicPartition where{Topic::kOwnership, kPartition};
    const auto ends = log_->Ends(std::span(&where, 1), log::EndKind::kStable, kStoryTimeout);
    EXPECT_TRUE(ends.ok());
    auto source = Sources::Open(*log_, {{where, ends.value()[0]}});
    EXPECT_TRUE(source.ok());
    const auto until = SystemClock().SinceBoot() + kPatience;
    while (SystemClock().SinceBoot() < until) {
      EXPECT_TRUE(source.value().Fill(0, 1024, 1 << 20).ok());
      for (const auto& record : source.value().AtHand(0)) {
        v1::Lease lease;
        if (lease.ParseFromArray(record.value.data(), static_cast<int>(record.value.size())) &&
            lease.instance() == instance && record.key == key) {
          return true;
        }
      }
      source.value().Consume(0, source.value().AtHand(0).size());
      source.value().Pause(20ms);
    }
    return false;
  }

  // What `processor takeover` appends.
  void Order(const std::string& instance) {
    v1::Lease order;
    order.set_instance(instance);
    order.set_owner_epoch(LastClaim().epoch);
    order.set_released(true);
    const std::string bytes = order.SerializeAsString();
    const log::NewRecord record{Topic::kOwnership, kPartition, kTakeOverKey, bytes};
    ASSERT_TRUE(log_->Append(std::span(&record, 1), kStoryTimeout).ok());
  }

  // Everything that was appended is decided, once; an audit agrees.
  void ExpectDecidedOnce() {
    StopFeed();
    const auto expected = static_cast<std::size_t>(events_);
    const auto until = SystemClock().SinceBoot() + kPatience;
    Outputs outputs;
    do {
      SystemClock().SleepFor(200ms);
      auto read = ReadOutputs(*log_, writer_->identity().log_id, kPartition);
      ASSERT_TRUE(read.ok()) << read.error().message();
      outputs = std::move(read).value();
    } while (outputs.DecisionsByEvent().size() < expected && SystemClock().SinceBoot() < until);
    const auto decided = outputs.DecisionsByEvent();
    EXPECT_EQ(decided.size(), expected);
    for (const auto& [offset, count] : decided) {
      EXPECT_EQ(count, 1) << "site-events offset " << offset;
    }
    const AuditReport audit = Audit(*log_, writer_->identity().log_id);
    EXPECT_TRUE(audit.status.ok()) << audit.status.error().message();
  }

  const log::TemporaryDirectory directory_;
  log::KafkaLogOptions kafka_;
  std::unique_ptr<log::EventLog> log_;
  std::unique_ptr<StoryWriter> writer_;
  std::map<std::string, pid_t> children_;
  std::thread feed_;
  std::atomic<bool> stop_feed_{false};
  std::atomic<int> events_{0};
};

TEST_F(TakeOverTest, AnOwnerThatIsKilledIsReplacedWithinTenSeconds) {
  Spawn({.instance = "one", .by_itself = true});
  WaitForClaim("one", 30s);
  Spawn({.instance = "two", .by_itself = true});
  ASSERT_TRUE(WaitForSign("two", kStandbyKey));
  Feed();
  SystemClock().SleepFor(kLeaseLive + 1s);
  EXPECT_EQ(LastClaim().instance, "one") << "its owner lives, also under load";
  kill(children_["one"], SIGKILL);
  waitpid(children_["one"], nullptr, 0);
  children_.erase("one");
  const double took = WaitForClaim("two", kTakenOverWithin);
  std::printf("taken over %.1f s after kill -9\n", took);
  SystemClock().SleepFor(1s);
  ExpectDecidedOnce();
  EXPECT_EQ(LastClaim().epoch, 2U);
}

TEST_F(TakeOverTest, AnOwnerThatSleptWakesUpFencedAndStandsBy) {
  Spawn({.instance = "one", .by_itself = true});
  WaitForClaim("one", 30s);
  Spawn({.instance = "two", .by_itself = true});
  ASSERT_TRUE(WaitForSign("two", kStandbyKey));
  Feed();
  SystemClock().SleepFor(500ms);
  kill(children_["one"], SIGSTOP);
  const double took = WaitForClaim("two", kTakenOverWithin);
  std::printf("taken over %.1f s after SIGSTOP\n", took);
  SystemClock().SleepFor(500ms);
  kill(children_["one"], SIGCONT);
  const auto woke = SystemClock().SinceBoot();
  EXPECT_TRUE(WaitForSign("one", kStandbyKey));
  std::printf("it stands by %.1f s after SIGCONT\n",
              static_cast<double>((SystemClock().SinceBoot() - woke).count()) / 1e6);
  SystemClock().SleepFor(kLeaseLive + 1s);
  EXPECT_EQ(LastClaim().instance, "two");
  EXPECT_EQ(LastClaim().epoch, 2U) << "nobody takes it back";
  ExpectDecidedOnce();
}

TEST_F(TakeOverTest, APartitionMovesBackAndForthByOrderUnderLoad) {
  Spawn({.instance = "one"});
  Spawn({.instance = "two"});
  ASSERT_TRUE(WaitForSign("one", kStandbyKey));
  ASSERT_TRUE(WaitForSign("two", kStandbyKey));
  Feed();
  double longest = 0;
  for (const char* instance : {"one", "two", "one", "two"}) {
    ASSERT_TRUE(WaitForSign(instance, kStandbyKey));
    Order(instance);
    longest = std::max(longest, WaitForClaim(instance, kTakenOverWithin));
    SystemClock().SleepFor(300ms);
  }
  std::printf("an order was obeyed within %.1f s\n", longest);
  ExpectDecidedOnce();
  EXPECT_EQ(LastClaim().epoch, 4U);
  for (const auto& [name, child] : children_) {
    kill(child, SIGTERM);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << name << " " << status;
  }
  children_.clear();
}

}  // namespace
}  // namespace alertstream::runtime

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 6 && arguments[0] == "--stand-by") {
    alertstream::log::KafkaLogOptions kafka;
    kafka.bootstrap = arguments[2];
    kafka.topic_prefix = arguments[3];
    return alertstream::runtime::StandBy(
        arguments[1], kafka, {.instance = arguments[4], .by_itself = arguments[5] == "auto"});
  }
  return RUN_ALL_TESTS();
}
