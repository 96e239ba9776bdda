// kill -9 under load, on a durable log: however often and whenever the processor dies, every event
// is decided exactly once, the journal verifies, and the state is that of a fresh replay.
//
// The processor is this program started again as `--decide`, which appends events and decides them
// until it is killed, or until SIGTERM: then it decides what is left and ends.
// usage: alertstream_kill_test [--rounds N] [--seed N]
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/clock.h"
#include "processor/engine/state_keys.h"
#include "processor/log/kafka/kafka_log.h"
#include "processor/log/local/local_log.h"
#include "processor/runtime/processor.h"
#include "processor/state/rocksdb/rocksdb_store.h"
#include "schemas/state.pb.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/kafka_log_fixture.h"
#include "tests/support/local_log_fixture.h"
#include "tests/support/log_dump.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using schemas::Topic;
using namespace std::chrono_literals;

constexpr std::int32_t kPartitions = 2;
constexpr std::size_t kWriters = 2;
constexpr std::chrono::seconds kPatience{60};
constexpr std::string_view kTenants[] = {"acme", "globex"};  // One of each partition.

struct Arguments {
  int rounds = 10;
  std::uint32_t seed = 1;
};
Arguments g_arguments;

// Which log: a directory, or a broker with a prefix of topics.
struct Place {
  std::string bootstrap;  // Empty: local.
  std::string prefix;
  std::string directory;  // Of the state, and of the local log.

  Result<std::unique_ptr<log::EventLog>> Open() const {
    if (bootstrap.empty()) {
      return log::OpenLocalLog({.directory = directory + "/log", .clock = SystemClock()});
    }
    log::KafkaLogOptions options;
    options.bootstrap = bootstrap;
    options.topic_prefix = prefix;
    return log::OpenKafkaLog(options);
  }
  std::string StateOf(std::int32_t partition) const {
    return fmt::format("{}/state-{}", directory, partition);
  }
};

std::atomic<bool> g_finish{false};

// Events for both tenants, each with an id of its own; now and then somebody opts out.
void AppendEvents(StoryWriter& writer, std::size_t thread) {
  const std::string own = fmt::format("{}-{}-{}", getpid(), ToMicros(SystemClock().Now()), thread);
  for (int n = 0; !g_finish; ++n) {
    const std::string phone =
        fmt::format("+2547120{:05}", (n * 7 + static_cast<int>(thread)) % 500);
    for (const auto tenant : kTenants) {
      writer.Order(tenant, fmt::format("{}-{}", own, n), phone);
    }
    if (n % 50 == 25) {
      writer.OptOut(kTenants[thread % 2], phone);
    }
  }
}

int Decide(const Place& place) {
  std::signal(SIGTERM, [](int) { g_finish = true; });
  const auto log = place.Open();
  if (!log.ok()) {
    std::fprintf(stderr, "%s\n", log.error().message().c_str());
    return 1;
  }
  StoryWriter writer(*log.value(), kPartitions);
  if (::testing::Test::HasFailure()) {
    return 2;
  }
  const auto memory = state::StoreMemory::Create(32 << 20);
  ProcessorOptions options;
  options.partitions = {0, 1};
  options.token_key = StoryKey();
  options.task.instance = "victim";
  // As `serve` keeps it beside the state: its own leases are no rival's.
  options.process = "of this state   ";
  options.open_store = [&](std::int32_t partition) {
    return state::OpenRocksDbStore(place.StateOf(partition), engine::IsHistoryKey, memory);
  };
  options.crash_marker_path = [&](std::int32_t partition) {
    return place.StateOf(partition) + ".crash";
  };
  Processor processor(*log.value(), SystemClock(), std::move(options));
  processor.Start();
  std::vector<std::thread> writers;
  for (std::size_t i = 0; i < kWriters; ++i) {
    writers.emplace_back([&, i] { AppendEvents(writer, i); });
  }
  for (auto& each : writers) {
    each.join();
  }
  const Status drained = processor.WaitUntilDrained(kPatience);
  processor.Stop();
  if (!drained.ok()) {
    std::fprintf(stderr, "%s\n", drained.error().message().c_str());
    return 3;
  }
  return 0;
}

pid_t Spawn(const Place& place) {
  std::vector<std::string> arguments = {"/proc/self/exe", "--decide", place.directory,
                                        place.bootstrap, place.prefix};
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (auto& argument : arguments) {
    pointers.push_back(argument.data());
  }
  pointers.push_back(nullptr);
  pid_t child = 0;
  EXPECT_EQ(posix_spawn(&child, pointers[0], nullptr, nullptr, pointers.data(), environ), 0);
  return child;
}

// Every event that the log holds, and what was decided about it.
void CheckPartition(log::EventLog& log, const Place& place, const std::string& log_id,
                    std::int32_t partition) {
  SCOPED_TRACE(fmt::format("partition {}", partition));
  const auto dump = log::ReadDump(log, kPatience);
  ASSERT_TRUE(dump.ok()) << dump.error().message();
  std::set<std::int64_t> events;
  for (const auto& record : dump.value().records) {
    if (record.where == log::TopicPartition{Topic::kSiteEvents, partition} && record.offset > 0) {
      events.insert(record.offset);
    }
  }
  const auto outputs = ReadOutputs(log, log_id, partition);
  ASSERT_TRUE(outputs.ok()) << outputs.error().message();
  std::map<std::int64_t, int> decided;
  std::set<std::string> sends;
  for (const auto& record : outputs.value().decisions) {
    ++decided[record.event().offset()];
    ASSERT_EQ(record.verdict(), v1::EVENT_VERDICT_ACCEPTED);
    ASSERT_EQ(record.decisions_size(), 1);
    const v1::Decision& decision = record.decisions(0);
    if (decision.outcome() == v1::OUTCOME_SEND) {
      EXPECT_TRUE(sends.insert(decision.notification_id()).second);
    } else {
      EXPECT_EQ(decision.reason(), v1::REASON_OPTED_OUT);
    }
  }
  EXPECT_EQ(decided.size(), events.size());
  for (const auto& [offset, count] : decided) {
    EXPECT_TRUE(events.contains(offset));
    EXPECT_EQ(count, 1) << "site-events offset " << offset;
  }
  std::set<std::string> commanded;
  for (const auto& command : outputs.value().commands) {
    if (command.kind() == v1::COMMAND_KIND_CANCEL) {
      EXPECT_TRUE(commanded.contains(command.notification_id()));
      continue;
    }
    EXPECT_TRUE(commanded.insert(command.notification_id()).second);
  }
  EXPECT_EQ(commanded, sends);
  for (const auto& letter : outputs.value().dead_letters) {
    ADD_FAILURE() << "a dead letter: " << letter.ShortDebugString();
  }

  const AuditReport audit = Audit(log, log_id, {.partition = partition, .partitions = kPartitions});
  ASSERT_TRUE(audit.status.ok()) << audit.status.error().message();
  const auto store = state::OpenRocksDbStore(place.StateOf(partition), engine::IsHistoryKey,
                                             state::StoreMemory::Create(8 << 20));
  ASSERT_TRUE(store.ok()) << store.error().message();
  v1::StoreMeta meta;
  const auto bytes = store.value()->Meta();
  ASSERT_TRUE(bytes.ok() && bytes.value().has_value());
  ASSERT_TRUE(meta.ParseFromString(*bytes.value()));
  EXPECT_EQ(meta.seq(), audit.tail.seq);
  EXPECT_EQ(ToHex(meta.state_root()), audit.root_hex);
  std::printf("partition %d: %zu events, %zu commands, %llu journal records, %llu owners\n",
              partition, events.size(), commanded.size(),
              static_cast<unsigned long long>(audit.tail.seq),
              static_cast<unsigned long long>(audit.tail.owner_epoch));
  EXPECT_GT(events.size(), 0U);
  EXPECT_GT(audit.tail.owner_epoch, 2U) << "it never got as far as owning the partition";
}

void KillAndCheck(const Place& place) {
  std::string log_id;
  {
    const auto log = place.Open();
    ASSERT_TRUE(log.ok()) << log.error().message();
    StoryWriter writer(*log.value(), kPartitions);
    log_id = writer.identity().log_id;
    for (const auto tenant : kTenants) {
      writer.Shop(tenant);
    }
  }
  std::printf("seed %u\n", g_arguments.seed);
  std::mt19937 random(g_arguments.seed);
  std::uniform_int_distribution<int> life_ms(100, 1'300);
  for (int round = 0; round < g_arguments.rounds; ++round) {
    const pid_t child = Spawn(place);
    SystemClock().SleepFor(std::chrono::milliseconds(life_ms(random)));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself with " << WEXITSTATUS(status);
  }
  const pid_t last = Spawn(place);
  SystemClock().SleepFor(1'500ms);
  kill(last, SIGTERM);
  int status = 0;
  ASSERT_EQ(waitpid(last, &status, 0), last);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;

  const auto log = place.Open();
  ASSERT_TRUE(log.ok()) << log.error().message();
  for (std::int32_t p = 0; p < kPartitions; ++p) {
    CheckPartition(*log.value(), place, log_id, p);
  }
}

TEST(Kill, OnTheLocalLogEveryEventIsDecidedOnce) {
  const log::TemporaryDirectory directory;
  KillAndCheck({.directory = directory.path()});
}

TEST(Kill, OnKafkaEveryEventIsDecidedOnce) {
  const std::string bootstrap = log::KafkaOfEnvironment(log::kKafkaVariable);
  if (bootstrap.empty()) {
    GTEST_SKIP() << log::kKafkaVariable << " names no broker";
  }
  const log::TemporaryDirectory directory;
  const auto options = log::FreshKafkaOptions(bootstrap);
  KillAndCheck(
      {.bootstrap = bootstrap, .prefix = options.topic_prefix, .directory = directory.path()});
  EXPECT_TRUE(log::DeleteKafkaTopics(options).ok());
}

int Number(std::string_view text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace
}  // namespace alertstream::runtime

int main(int argc, char** argv) {
  using alertstream::runtime::g_arguments;
  ::testing::InitGoogleTest(&argc, argv);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 4 && arguments[0] == "--decide") {
    return alertstream::runtime::Decide(
        {.bootstrap = arguments[2], .prefix = arguments[3], .directory = arguments[1]});
  }
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
    if (arguments[i] == "--rounds") {
      g_arguments.rounds = alertstream::runtime::Number(arguments[i + 1]);
    } else if (arguments[i] == "--seed") {
      g_arguments.seed = static_cast<std::uint32_t>(alertstream::runtime::Number(arguments[i + 1]));
    }
  }
  return RUN_ALL_TESTS();
}
