// The local log between processes: a follower of a live writer, and kill -9 of the writer. The
// writer is this program started again as `--append-to DIRECTORY`: it appends numbers, and prints
// each one that was acknowledged.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/clock.h"
#include "processor/log/local/local_log.h"
#include "tests/support/local_log_fixture.h"

namespace alertstream::log {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr TopicPartition kDecisions0{.topic = Topic::kDecisions, .partition = 0};
constexpr TopicPartition kJournal1{.topic = Topic::kJournal, .partition = 1};
constexpr std::chrono::seconds kPatience{30};

// Appends "n" to two topics in a transaction, n rising from what is there, until it is killed.
int AppendForEver(const std::string& directory) {
  const auto log = OpenLocalLog({.directory = directory, .clock = SystemClock()});
  if (!log.ok() || !log.value()->ApplyTopics({.partitions = 2}, 1s).ok()) {
    return 1;
  }
  const auto transactor = log.value()->OpenTransactor("writer").value();
  const auto ends = log.value()->Ends(std::span(&kDecisions0, 1), EndKind::kStable, 1s);
  if (!ends.ok() || !transactor->Init(1s).ok()) {
    return 2;
  }
  for (auto n = ends.value()[0];; ++n) {
    const auto number = std::to_string(n);
    const auto padded = number + std::string(static_cast<std::size_t>(n % 50) * 40, '.');
    const std::vector<NewRecord> records = {
        {.topic = Topic::kDecisions, .partition = 0, .key = "k", .value = padded},
        {.topic = Topic::kJournal, .partition = 1, .key = "k", .value = number}};
    if (!transactor->Commit(records, 1s).ok()) {
      return 3;
    }
    const auto line = number + "\n";
    if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) {
      return 4;
    }
  }
}

// The writer's process and the pipe of what it prints.
class Writer {
 public:
  explicit Writer(const std::string& directory) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::string program = "/proc/self/exe";
    std::string flag = "--append-to";
    std::string argument = directory;
    std::array<char*, 4> arguments = {program.data(), flag.data(), argument.data(), nullptr};
    EXPECT_EQ(
        ::posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments.data(), environ), 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    pipe_ = ::fdopen(ends[0], "r");
  }
  ~Writer() {
    Kill();
    std::fclose(pipe_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // The next number that was acknowledged, or -1: the writer is gone.
  std::int64_t Next() {
    std::array<char, 32> line{};
    if (std::fgets(line.data(), line.size(), pipe_) == nullptr) {
      return -1;
    }
    const std::string_view text(line.data());
    std::int64_t number = -1;
    if (text.ends_with('\n')) {
      std::from_chars(text.data(), text.data() + text.size() - 1, number);
    }
    return number;
  }

  void Kill() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
      process_ = 0;
    }
  }

 private:
  pid_t process_ = 0;
  std::FILE* pipe_ = nullptr;
};

// Reads `count` records of the partition, waiting for them, and checks that record n begins with n.
void ExpectNumbers(EventLog& log, TopicPartition where, std::int64_t count) {
  const ReadFrom from{.source = where, .offset = 0};
  const auto reader = log.OpenReader(std::span(&from, 1));
  ASSERT_TRUE(reader.ok()) << reader.error().message();
  const auto deadline = SystemClock().SinceBoot() + kPatience;
  std::int64_t n = 0;
  while (n < count) {
    ASSERT_LT(SystemClock().SinceBoot(), deadline) << "only " << n << " of " << count;
    Fetched fetched;
    const auto fetched_count =
        reader.value()->Fetch(0, {.records_max = 10'000, .bytes_max = 1 << 20}, &fetched);
    ASSERT_TRUE(fetched_count.ok()) << fetched_count.error().message();
    for (const auto& record : fetched.records) {
      ASSERT_EQ(record.offset, n);
      ASSERT_EQ(record.value.substr(0, record.value.find('.')), std::to_string(n));
      ++n;
    }
    if (fetched_count.value() == 0) {
      reader.value()->Wait(200ms);
    }
  }
}

TEST(LocalLogProcessTest, AFollowerSeesWhatALiveWriterAppends) {
  const TemporaryDirectory directory;
  Writer writer(directory.path());
  ASSERT_EQ(writer.Next(), 0);
  const auto follower =
      OpenLocalLog({.directory = directory.path(), .clock = SystemClock(), .read_only = true});
  ASSERT_TRUE(follower.ok()) << follower.error().message();
  ExpectNumbers(*follower.value(), kDecisions0, 200);
  // What the writer has acknowledged before the call is within the ends.
  std::int64_t last = 0;
  while (last < 300) {
    last = writer.Next();
    ASSERT_GE(last, 0);
  }
  const std::vector<TopicPartition> both = {kDecisions0, kJournal1};
  const auto ends = follower.value()->Ends(both, EndKind::kStable, 1s);
  ASSERT_TRUE(ends.ok()) << ends.error().message();
  EXPECT_GT(ends.value()[0], last);
  EXPECT_GT(ends.value()[1], last);
  ExpectNumbers(*follower.value(), kJournal1, last);
}

TEST(LocalLogProcessTest, ADirectoryWithALiveWriterIsRefusedToAnother) {
  const TemporaryDirectory directory;
  Writer writer(directory.path());
  ASSERT_EQ(writer.Next(), 0);
  const auto second = OpenLocalLog({.directory = directory.path(), .clock = SystemClock()});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(second.error().message(), HasSubstr("owns the log directory"));
  writer.Kill();
  const auto heir = OpenLocalLog({.directory = directory.path(), .clock = SystemClock()});
  EXPECT_TRUE(heir.ok()) << heir.error().message();
}

TEST(LocalLogProcessTest, KillingTheWriterLosesNothingThatWasAcknowledged) {
  const TemporaryDirectory directory;
  std::int64_t known = 0;
  for (int round = 0; round < 8; ++round) {
    Writer writer(directory.path());
    std::int64_t last = -1;
    for (int i = 0; i < 40 + 13 * round; ++i) {
      const auto next = writer.Next();
      ASSERT_GE(next, known) << "round " << round;
      last = next;
    }
    writer.Kill();
    for (auto next = writer.Next(); next >= 0; next = writer.Next()) {
      last = next;  // Acknowledged before the kill, read after it.
    }
    const auto log = OpenLocalLog({.directory = directory.path(), .clock = SystemClock()});
    ASSERT_TRUE(log.ok()) << log.error().message();
    const std::vector<TopicPartition> both = {kDecisions0, kJournal1};
    const auto ends = log.value()->Ends(both, EndKind::kStable, 1s);
    ASSERT_TRUE(ends.ok()) << ends.error().message();
    EXPECT_GT(ends.value()[0], last);
    EXPECT_EQ(ends.value()[0], ends.value()[1]);
    ASSERT_NO_FATAL_FAILURE(ExpectNumbers(*log.value(), kDecisions0, ends.value()[0]));
    ASSERT_NO_FATAL_FAILURE(ExpectNumbers(*log.value(), kJournal1, ends.value()[1]));
    known = ends.value()[0];
  }
}

}  // namespace
}  // namespace alertstream::log

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--append-to") {
    return alertstream::log::AppendForEver(argv[2]);
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
