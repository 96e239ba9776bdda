#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <gmock/gmock.h>

#include "processor/base/clock.h"
#include "processor/log/kafka/client.h"
#include "processor/log/kafka/transactor.h"
#include "tests/conformance/log_conformance.h"
#include "tests/support/kafka_admin.h"
#include "tests/support/kafka_log_fixture.h"

namespace alertstream::log {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace std::chrono_literals;

constexpr TopicPartition kEvents0{.topic = Topic::kSiteEvents, .partition = 0};
constexpr TopicPartition kDecisions0{.topic = Topic::kDecisions, .partition = 0};

std::vector<LogFixtureParam> PlainParams() {
  const auto bootstrap = KafkaOfEnvironment(kKafkaVariable);
  if (bootstrap.empty()) {
    return {};
  }
  return {{.name = "kafka",
           .make = [bootstrap] { return MakeKafkaLogFixture(FreshKafkaOptions(bootstrap)); }}};
}

std::vector<LogFixtureParam> SecureParams() {
  const auto client_env = KafkaOfEnvironment(kSecureKafkaVariable);
  if (client_env.empty()) {
    return {};
  }
  return {{.name = "secure_kafka", .make = [client_env]() -> std::unique_ptr<LogFixture> {
             auto kafka = FreshSecureKafkaOptions(client_env);
             if (!kafka.ok()) {
               ADD_FAILURE() << kafka.error().message();
               return MakeKafkaLogFixture({});
             }
             return MakeKafkaLogFixture(kafka.value().processor);
           }}};
}

INSTANTIATE_TEST_SUITE_P(Kafka, LogConformance, ::testing::ValuesIn(PlainParams()));
INSTANTIATE_TEST_SUITE_P(SecureKafka, LogConformance, ::testing::ValuesIn(SecureParams()));

template <typename T>
void ExpectError(const T& outcome, ErrorCode code, const std::string& part) {
  ASSERT_FALSE(outcome.ok());
  EXPECT_STREQ(ErrorCodeName(outcome.error().code()), ErrorCodeName(code))
      << outcome.error().message();
  EXPECT_THAT(outcome.error().message(), HasSubstr(part));
}

NewRecord Record(TopicPartition where, std::string_view value, std::string_view key = "acme") {
  return {.topic = where.topic, .partition = where.partition, .key = key, .value = value};
}

// A log with topics on the plain broker.
class KafkaLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto bootstrap = KafkaOfEnvironment(kKafkaVariable);
    if (bootstrap.empty()) {
      GTEST_SKIP() << kKafkaVariable << " names no broker; ops/test starts one";
    }
    options_ = FreshKafkaOptions(bootstrap);
    Open();
    const auto applied = log_->ApplyTopics({.partitions = 4, .replication = 1}, kLogTimeout);
    ASSERT_TRUE(applied.ok()) << applied.error().message();
  }

  void TearDown() override {
    log_.reset();
    if (!options_.bootstrap.empty()) {
      EXPECT_TRUE(DeleteKafkaTopics(options_).ok());
    }
  }

  void Open() {
    auto log = OpenKafkaLog(options_);
    ASSERT_TRUE(log.ok()) << log.error().message();
    log_ = std::move(log).value();
  }

  std::vector<std::int64_t> EventEnds(EndKind kind) {
    std::array<TopicPartition, 4> partitions{};
    for (std::int32_t i = 0; i < 4; ++i) {
      partitions[static_cast<std::size_t>(i)] = {.topic = Topic::kSiteEvents, .partition = i};
    }
    auto ends = log_->Ends(partitions, kind, kLogTimeout);
    EXPECT_TRUE(ends.ok()) << ends.error().message();
    return ends.ok() ? ends.value() : std::vector<std::int64_t>(4, -1);
  }

  // Keys of all committed site events of a partition.
  std::vector<std::string> EventKeys(std::int32_t partition) {
    const ReadFrom from{.source = {.topic = Topic::kSiteEvents, .partition = partition},
                        .offset = 0};
    const auto end = EventEnds(EndKind::kStable)[static_cast<std::size_t>(partition)];
    auto reader = log_->OpenReader(std::span(&from, 1));
    EXPECT_TRUE(reader.ok());
    std::vector<std::string> keys;
    const Deadline deadline(kLogTimeout);
    while (reader.value()->Position(0) < end && !deadline.Passed()) {
      Fetched fetched;
      EXPECT_TRUE(reader.value()->Fetch(0, kWideFetch, &fetched).ok());
      for (const auto& record : fetched.records) {
        keys.emplace_back(record.key);
      }
      reader.value()->Wait(20ms);
    }
    EXPECT_EQ(reader.value()->Position(0), end);
    return keys;
  }

  // Error of a reader that begins at `offset`.
  Result<std::size_t> FetchError(TopicPartition source, std::int64_t offset) {
    const ReadFrom from{.source = source, .offset = offset};
    auto reader = log_->OpenReader(std::span(&from, 1));
    EXPECT_TRUE(reader.ok());
    const Deadline deadline(kLogTimeout);
    for (;;) {
      reader.value()->Wait(100ms);
      Fetched fetched;
      auto count = reader.value()->Fetch(0, kWideFetch, &fetched);
      if (!count.ok() || deadline.Passed()) {
        return count;
      }
    }
  }

  KafkaLogOptions options_;
  std::unique_ptr<EventLog> log_;
};

TEST(KafkaLogOptionsTest, OnlySettingsThatSayHowToConnectAreTaken) {
  struct Case {
    std::string setting;
    std::string value;
    std::string part;
  };
  const std::vector<Case> cases = {
      {"enable.idempotence", "false", "enable.idempotence is not allowed"},
      {"sasl.kerberos.kinit.cmd", "true", "sasl.kerberos.kinit.cmd is not allowed"},
      {"security.protocol", "hunter2", "security.protocol has a value that is not accepted"},
  };
  for (const auto& [setting, value, part] : cases) {
    KafkaLogOptions options;
    options.bootstrap = "127.0.0.1:1";
    options.settings[setting] = value;
    const auto log = OpenKafkaLog(options);
    ExpectError(log, ErrorCode::kInvalid, part);
    EXPECT_THAT(log.error().message(), Not(HasSubstr(value)));
  }
}

TEST(KafkaLogOptionsTest, ABrokerAndAnOrdinaryPrefixAreNeeded) {
  ExpectError(OpenKafkaLog({}), ErrorCode::kInvalid, "kafka.bootstrap");
  KafkaLogOptions options;
  options.bootstrap = "127.0.0.1:1";
  options.topic_prefix = "a/b";
  ExpectError(OpenKafkaLog(options), ErrorCode::kInvalid, "topic_prefix");
}

TEST(KafkaLogOptionsTest, ABrokerThatDoesNotAnswerIsUnavailableInTime) {
  KafkaLogOptions options;
  options.bootstrap = "127.0.0.1:1";
  auto log = OpenKafkaLog(options);
  ASSERT_TRUE(log.ok()) << log.error().message();
  const auto began = SystemClock().SinceBoot();
  ExpectError(log.value()->Partitions(300ms), ErrorCode::kUnavailable, "127.0.0.1:1");
  const NewRecord record = Record(kEvents0, "x");
  ExpectError(log.value()->Append(std::span(&record, 1), 300ms), ErrorCode::kUnavailable,
              "Connection refused");
  ExpectError(log.value()->Ends(std::span(&kEvents0, 1), EndKind::kStable, 300ms),
              ErrorCode::kUnavailable, "ends of partitions");
  auto transactor = log.value()->OpenTransactor("a");
  ASSERT_TRUE(transactor.ok());
  ExpectError(transactor.value()->Init(300ms), ErrorCode::kUnavailable, "127.0.0.1:1");
  EXPECT_LT(SystemClock().SinceBoot() - began, 10s);
}

TEST_F(KafkaLogTest, AForeignPartitionerPutsKeysElsewhereAndOursAgreesWithTheJavaClients) {
  const std::vector<std::string> keys = {"acme", "globex", "initech", "umbrella", "hooli", "wonka"};
  for (const std::string partitioner : {"consistent_random", "murmur2_random"}) {
    const auto starts = EventEnds(EndKind::kUncommitted);
    std::string command = "kcat -P -K : -b ";
    command.append(options_.bootstrap).append(" -t ").append(options_.topic_prefix);
    command.append("site-events -X topic.partitioner=").append(partitioner);
    FILE* pipe = popen(command.c_str(), "w");
    ASSERT_NE(pipe, nullptr);
    for (const auto& key : keys) {
      std::fprintf(pipe, "%s:{}\n", key.c_str());
    }
    ASSERT_EQ(pclose(pipe), 0);

    std::size_t misplaced = 0;
    std::set<std::string> seen;
    for (std::int32_t partition = 0; partition < 4; ++partition) {
      const auto all = EventKeys(partition);
      const auto before = static_cast<std::size_t>(starts[static_cast<std::size_t>(partition)]);
      for (std::size_t i = before; i < all.size(); ++i) {
        seen.insert(all[i]);
        misplaced += schemas::PartitionOf(all[i], 4) == partition ? 0 : 1;
      }
    }
    EXPECT_EQ(seen.size(), keys.size());
    EXPECT_EQ(misplaced == 0, partitioner == "murmur2_random") << misplaced;
  }
}

TEST_F(KafkaLogTest, APositionThatIsGoneIsCorrupt) {
  const std::vector<NewRecord> records(5, Record(kEvents0, "x"));
  ASSERT_TRUE(log_->Append(records, kLogTimeout).ok());
  const auto deleted = DeleteKafkaRecords(options_, kEvents0, 3);
  ASSERT_TRUE(deleted.ok()) << deleted.error().message();
  ExpectError(FetchError(kEvents0, 1), ErrorCode::kCorrupt, "site-events@0, offset 1:");
  ExpectError(FetchError(kEvents0, 99), ErrorCode::kCorrupt, "site-events@0, offset 99:");
}

TEST_F(KafkaLogTest, WrongSettingsAreNamedAndMendedAndOthersKept) {
  const auto changed = SetKafkaTopicSetting(options_, Topic::kJournal, "retention.ms", "604800000");
  ASSERT_TRUE(changed.ok()) << changed.error().message();
  const auto wrong_of = [&](Topic topic) {
    auto topics = log_->DescribeTopics(kLogTimeout);
    EXPECT_TRUE(topics.ok()) << topics.error().message();
    return topics.value()[static_cast<std::size_t>(topic) - 1].wrong_settings;
  };
  EXPECT_THAT(wrong_of(Topic::kJournal), Contains("retention.ms is 604800000, expected -1"));
  EXPECT_THAT(wrong_of(Topic::kJournal),
              Contains("message.timestamp.type is CreateTime, expected LogAppendTime"));
  EXPECT_THAT(wrong_of(Topic::kDecisions), IsEmpty());
  const auto applied = log_->ApplyTopics({.partitions = 4, .replication = 1}, kLogTimeout);
  ASSERT_TRUE(applied.ok()) << applied.error().message();
  EXPECT_THAT(wrong_of(Topic::kJournal), IsEmpty());
}

TEST_F(KafkaLogTest, SettingsOfOthersSurviveMending) {
  ASSERT_TRUE(SetKafkaTopicSetting(options_, Topic::kFacts, "segment.ms", "86400000").ok());
  ASSERT_TRUE(log_->ApplyTopics({.partitions = 4, .replication = 1}, kLogTimeout).ok());
  const auto all = DescribeKafkaTopic(options_, Topic::kFacts);
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(all.value().at("segment.ms"), "86400000");
  EXPECT_EQ(all.value().at("message.timestamp.type"), "LogAppendTime");
}

TEST_F(KafkaLogTest, AMissingTopicIsNamed) {
  ASSERT_TRUE(DeleteKafkaTopics(options_).ok());
  Open();
  const Deadline deadline(kLogTimeout);
  // Deleting takes effect a little after it was answered.
  while (log_->Partitions(kLogTimeout).ok() && !deadline.Passed()) {
    SystemClock().SleepFor(20ms);
  }
  ExpectError(log_->Partitions(kLogTimeout), ErrorCode::kNotFound, "site-events does not exist");
  auto transactor = log_->OpenTransactor("id");
  ASSERT_TRUE(transactor.ok());
  ExpectError(transactor.value()->Init(kLogTimeout), ErrorCode::kNotFound, "topics apply");
}

// Runs in a process of its own: leaves a transaction open and waits to be killed.
[[noreturn]] void HoldTransaction(const KafkaLogOptions& options, int ready) {
  auto transactor = MakeKafkaTransactor(options, "owner");
  const NewRecord record = Record(kDecisions0, "of the dead");
  const bool open = transactor.ok() && transactor.value()->Init(kLogTimeout).ok() &&
                    transactor.value()->Write(std::span(&record, 1), Deadline(kLogTimeout)).ok();
  const char byte = open ? 'y' : 'n';
  static_cast<void>(!write(ready, &byte, 1));
  for (;;) {
    pause();
  }
}

TEST_F(KafkaLogTest, AKilledProcessLeavesNothingBehind) {
  log_.reset();  // No thread of the library may run while the process forks.
  std::array<int, 2> ready{};
  ASSERT_EQ(pipe(ready.data()), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    HoldTransaction(options_, ready[1]);
  }
  close(ready[1]);
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  EXPECT_EQ(byte, 'y');
  ASSERT_EQ(kill(child, SIGKILL), 0);
  waitpid(child, nullptr, 0);

  Open();
  const auto end = [&](EndKind kind) {
    return log_->Ends(std::span(&kDecisions0, 1), kind, kLogTimeout).value()[0];
  };
  EXPECT_EQ(end(EndKind::kUncommitted), 1);
  EXPECT_EQ(end(EndKind::kStable), 0);
  auto heir = log_->OpenTransactor("owner");
  ASSERT_TRUE(heir.ok());
  const auto init = heir.value()->Init(kLogTimeout);
  ASSERT_TRUE(init.ok()) << init.error().message();
  EXPECT_EQ(end(EndKind::kStable), end(EndKind::kUncommitted));
  const ReadFrom from{.source = kDecisions0, .offset = 0};
  auto reader = log_->OpenReader(std::span(&from, 1));
  ASSERT_TRUE(reader.ok());
  const Deadline deadline(kLogTimeout);
  Fetched fetched;
  while (reader.value()->Position(0) < end(EndKind::kStable) && !deadline.Passed()) {
    reader.value()->Wait(20ms);
    ASSERT_TRUE(reader.value()->Fetch(0, kWideFetch, &fetched).ok());
  }
  EXPECT_THAT(fetched.records, IsEmpty());
  EXPECT_EQ(reader.value()->Position(0), end(EndKind::kStable));
}

// A broker of this test alone, which it may stop.
class OwnBroker {
 public:
  OwnBroker() {
    std::array<char, 40> name{"/tmp/alertstream-broker-XXXXXX"};
    directory_ = mkdtemp(name.data());
    running_ = Run("start --port 0") == 0;
  }
  ~OwnBroker() {
    Signal(SIGCONT);
    Run("stop --kill");
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  OwnBroker(const OwnBroker&) = delete;
  OwnBroker& operator=(const OwnBroker&) = delete;

  bool running() const { return running_; }
  std::string Bootstrap() const {
    return ReadEnvFile(directory_ + "/client.env").value().at("KAFKA_BOOTSTRAP");
  }
  // With SIGSTOP it returns when every thread stands still: until then one may still answer.
  void Signal(int signal) {
    pid_t pid = 0;
    std::ifstream(directory_ + "/pid") >> pid;
    if (pid <= 0) {
      return;
    }
    kill(pid, signal);
    while (signal == SIGSTOP && !StandsStill(pid)) {
      SystemClock().SleepFor(1ms);
    }
  }

 private:
  // Also of a process that is gone.
  static bool StandsStill(pid_t pid) {
    std::error_code error;
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    for (std::filesystem::directory_iterator task(tasks, error), end; !error && task != end;
         task.increment(error)) {
      std::string stat;
      std::getline(std::ifstream(task->path() / "stat"), stat);
      const std::size_t name_end = stat.rfind(')');  // pid (name) state
      if (name_end + 2 < stat.size() && std::strchr("RSD", stat[name_end + 2]) != nullptr) {
        return false;
      }
    }
    return true;
  }

  int Run(const std::string& command) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): glibc's is.
    return std::system((ALERTSTREAM_SOURCE_DIR "/ops/kafka/broker " + command + " --dir " +
                        directory_ + " >/dev/null")
                           .c_str());
  }

  std::string directory_;
  bool running_ = false;
};

TEST(KafkaBrokerTest, ACommitWithoutAnswerIsUnknownUntilInitSettlesIt) {
  if (KafkaOfEnvironment(kKafkaVariable).empty()) {
    GTEST_SKIP() << kKafkaVariable << " is not set: this machine is not to run brokers";
  }
  OwnBroker broker;
  ASSERT_TRUE(broker.running());
  const auto options = FreshKafkaOptions(broker.Bootstrap());
  auto opened = OpenKafkaLog(options);
  ASSERT_TRUE(opened.ok());
  auto& log = *opened.value();
  ASSERT_TRUE(log.ApplyTopics({.partitions = 2, .replication = 1}, kLogTimeout).ok());
  auto transactor = MakeKafkaTransactor(options, "owner");
  ASSERT_TRUE(transactor.ok());
  ASSERT_TRUE(transactor.value()->Init(kLogTimeout).ok());
  const NewRecord record = Record(kDecisions0, "maybe");
  const auto written = transactor.value()->Write(std::span(&record, 1), Deadline(kLogTimeout));
  ASSERT_TRUE(written.ok()) << written.error().message();

  broker.Signal(SIGSTOP);
  ExpectError(transactor.value()->Finish(Deadline(500ms)), ErrorCode::kUnknown, "owner");
  ExpectError(transactor.value()->Commit(std::span(&record, 1), 100ms), ErrorCode::kUnavailable,
              "needs Init");
  ExpectError(transactor.value()->Init(300ms), ErrorCode::kUnavailable, "");
  broker.Signal(SIGCONT);

  const auto init = transactor.value()->Init(kLogTimeout);
  ASSERT_TRUE(init.ok()) << init.error().message();
  const auto ends = [&](EndKind kind) {
    return log.Ends(std::span(&kDecisions0, 1), kind, kLogTimeout).value()[0];
  };
  EXPECT_EQ(ends(EndKind::kStable), ends(EndKind::kUncommitted));
  const auto next = transactor.value()->Commit(std::span(&record, 1), kLogTimeout);
  EXPECT_TRUE(next.ok()) << next.error().message();

  // The library says ok in the end, but only after a second: nobody knows how often it asked.
  const NewRecord late = Record(kDecisions0, "late");
  ASSERT_TRUE(transactor.value()->Write(std::span(&late, 1), Deadline(kLogTimeout)).ok());
  const auto before = ends(EndKind::kUncommitted);
  broker.Signal(SIGSTOP);
  std::thread waker([&] {
    SystemClock().SleepFor(1500ms);
    broker.Signal(SIGCONT);
  });
  ExpectError(transactor.value()->Finish(Deadline(kLogTimeout)), ErrorCode::kUnknown, "slow");
  waker.join();
  ASSERT_TRUE(transactor.value()->Init(kLogTimeout).ok());
  // The commit's marker is all that came behind the record.
  EXPECT_EQ(ends(EndKind::kStable), before + 1);
}

TEST(KafkaBrokerTest, ReadersAndWritersGoOnWhenTheBrokerIsBack) {
  if (KafkaOfEnvironment(kKafkaVariable).empty()) {
    GTEST_SKIP() << kKafkaVariable << " is not set: this machine is not to run brokers";
  }
  OwnBroker broker;
  ASSERT_TRUE(broker.running());
  auto opened = OpenKafkaLog(FreshKafkaOptions(broker.Bootstrap()));
  ASSERT_TRUE(opened.ok());
  auto& log = *opened.value();
  ASSERT_TRUE(log.ApplyTopics({.partitions = 2, .replication = 1}, kLogTimeout).ok());
  const ReadFrom from{.source = kEvents0, .offset = 0};
  auto reader = log.OpenReader(std::span(&from, 1));
  ASSERT_TRUE(reader.ok());
  const NewRecord record = Record(kEvents0, "x");
  ASSERT_TRUE(log.Append(std::span(&record, 1), kLogTimeout).ok());
  broker.Signal(SIGSTOP);
  ExpectError(log.Append(std::span(&record, 1), 300ms), ErrorCode::kUnknown, "appending");
  ExpectError(log.Ends(std::span(&kEvents0, 1), EndKind::kStable, 300ms), ErrorCode::kUnavailable,
              "ends");
  broker.Signal(SIGCONT);
  const auto again = log.Append(std::span(&record, 1), kLogTimeout);
  ASSERT_TRUE(again.ok()) << again.error().message();
  const Deadline deadline(kLogTimeout);
  while (reader.value()->Position(0) <= again.value()[0].offset && !deadline.Passed()) {
    Fetched fetched;
    ASSERT_TRUE(reader.value()->Fetch(0, kWideFetch, &fetched).ok());
    reader.value()->Wait(50ms);
  }
  EXPECT_GT(reader.value()->Position(0), again.value()[0].offset);
}

TEST(SecureKafkaLogTest, WrongPasswordsAndMissingRightsAreDenied) {
  const auto client_env = KafkaOfEnvironment(kSecureKafkaVariable);
  if (client_env.empty()) {
    GTEST_SKIP() << kSecureKafkaVariable << " names no broker; ops/test starts one";
  }
  auto kafka = FreshSecureKafkaOptions(client_env);
  ASSERT_TRUE(kafka.ok()) << kafka.error().message();
  auto options = kafka.value().processor;
  options.settings["sasl.password"] = "not-the-password";
  auto stranger = OpenKafkaLog(options);
  ASSERT_TRUE(stranger.ok());
  const auto denied = stranger.value()->Partitions(3000ms);
  ExpectError(denied, ErrorCode::kDenied, "uthentication");
  EXPECT_THAT(denied.error().message(), Not(HasSubstr("not-the-password")));

  options = kafka.value().processor;
  options.topic_prefix = "no-rights-here-";
  auto without_rights = OpenKafkaLog(options);
  ASSERT_TRUE(without_rights.ok());
  ExpectError(without_rights.value()->ApplyTopics({.partitions = 2, .replication = 1}, kLogTimeout),
              ErrorCode::kDenied, "uthorization");
}

}  // namespace
}  // namespace alertstream::log
