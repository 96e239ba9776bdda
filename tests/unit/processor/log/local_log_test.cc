// What only the local log does: damage, recovery, one owner, a full disk.
#include "processor/log/local/local_log.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/log/local/acknowledged.h"
#include "tests/support/local_log_fixture.h"

namespace alertstream::log {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

constexpr TopicPartition kEvents0{.topic = Topic::kSiteEvents, .partition = 0};

class MovableClock final : public Clock {
 public:
  LogTime Now() const override { return now; }
  std::chrono::microseconds SinceBoot() const override { return SystemClock().SinceBoot(); }
  void SleepFor(std::chrono::milliseconds duration) override { SystemClock().SleepFor(duration); }

  LogTime now = FromMicros(5'000'000);
};

class LocalLogTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name = "") const {
    return name.empty() ? directory_.path() + "/log" : directory_.path() + "/log/" + name;
  }

  Result<std::unique_ptr<EventLog>> TryOpen(bool read_only = false) {
    return OpenLocalLog(
        {.directory = Path(), .clock = clock_, .read_only = read_only, .sync = false});
  }

  std::unique_ptr<EventLog> Open() {
    auto log = TryOpen();
    EXPECT_TRUE(log.ok()) << log.error().message();
    EXPECT_TRUE(log.value()->ApplyTopics({.partitions = 2}, 1s).ok());
    return std::move(log).value();
  }

  static Result<std::vector<Appended>> Append(EventLog& log, std::string_view value) {
    const NewRecord record{
        .topic = kEvents0.topic, .partition = kEvents0.partition, .key = "k", .value = value};
    return log.Append(std::span(&record, 1), 1s);
  }

  static Result<std::vector<std::string>> Read(EventLog& log, std::size_t records_max = 100'000) {
    std::vector<std::string> values;
    const ReadFrom from{.source = kEvents0, .offset = 0};
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto reader, log.OpenReader(std::span(&from, 1)));
    while (true) {
      Fetched fetched;
      ALERTSTREAM_ASSIGN_OR_RETURN(
          const auto count,
          reader->Fetch(0, {.records_max = records_max, .bytes_max = 1 << 20}, &fetched));
      for (const auto& record : fetched.records) {
        values.emplace_back(record.value);
      }
      if (count == 0) {
        return values;
      }
    }
  }

  // The write-ahead file with the newest bytes.
  std::string NewestWal() const {
    std::string newest;
    for (const auto& entry : fs::directory_iterator(Path())) {
      if (entry.path().extension() == ".log" && entry.file_size() > 0) {
        newest = std::max(newest, entry.path().string());
      }
    }
    return newest;
  }

  static std::string Slurp(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  static void Spill(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  static std::string Noise(std::size_t bytes, unsigned seed) {
    std::mt19937 random(seed);
    std::string noise(bytes, '\0');
    std::generate(noise.begin(), noise.end(), [&] { return static_cast<char>(random()); });
    return noise;
  }

  TemporaryDirectory directory_;
  MovableClock clock_;
};

TEST_F(LocalLogTest, ASecondWriterIsRefusedAndToldWhoOwnsTheDirectory) {
  const auto log = Open();
  const auto second = TryOpen();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(second.error().message(),
              HasSubstr("another process (" + std::to_string(::getpid()) + ")"));
  EXPECT_THAT(second.error().message(), HasSubstr("--read-only"));
  EXPECT_TRUE(Append(*log, "still the owner").ok());
}

TEST_F(LocalLogTest, AppendTimesFollowTheClockButNeverBackEvenAfterARestart) {
  auto log = Open();
  EXPECT_EQ(Append(*log, "a").value()[0].append_time, FromMicros(5'000'000));
  clock_.now = FromMicros(4'000'000);
  EXPECT_EQ(Append(*log, "b").value()[0].append_time, FromMicros(5'000'000));
  log.reset();
  log = Open();
  EXPECT_EQ(Append(*log, "c").value()[0].append_time, FromMicros(5'000'000));
  clock_.now = FromMicros(6'000'001);
  EXPECT_EQ(Append(*log, "d").value()[0].append_time, FromMicros(6'000'001));
}

TEST_F(LocalLogTest, ATornTailThatWasNeverAcknowledgedIsDropped) {
  auto log = Open();
  ASSERT_TRUE(Append(*log, "a").ok());
  const auto acknowledged = Slurp(Path("acknowledged"));
  ASSERT_TRUE(Append(*log, "torn").ok());
  log.reset();
  Spill(Path("acknowledged"), acknowledged);
  const auto wal = NewestWal();
  fs::resize_file(wal, fs::file_size(wal) - 3);

  log = Open();
  EXPECT_THAT(Read(*log).value(), ElementsAre("a"));
  EXPECT_EQ(Append(*log, "b").value()[0].offset, 1);
  log.reset();
  log = Open();
  EXPECT_THAT(Read(*log).value(), ElementsAre("a", "b"));
}

TEST_F(LocalLogTest, ATornTailThatWasAcknowledgedStopsTheOpening) {
  auto log = Open();
  ASSERT_TRUE(Append(*log, "a").ok());
  ASSERT_TRUE(Append(*log, "acknowledged").ok());
  log.reset();
  const auto wal = NewestWal();
  const auto whole = Slurp(wal);
  Spill(wal, whole.substr(0, whole.size() - 3));

  for (int attempt = 0; attempt < 2; ++attempt) {  // The first changed nothing.
    const auto opened = TryOpen();
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
    EXPECT_THAT(opened.error().message(), HasSubstr("ends at commit 2, but commit 3"));
    EXPECT_THAT(opened.error().message(), HasSubstr(fs::path(wal).filename().string()));
    EXPECT_THAT(opened.error().message(), HasSubstr("remove the file `acknowledged`"));
  }

  fs::copy(Path(), directory_.path() + "/backup", fs::copy_options::recursive);
  Spill(wal, whole);
  log = Open();
  EXPECT_THAT(Read(*log).value(), ElementsAre("a", "acknowledged"));
  log.reset();

  // The remedy of the message, for who has no backup.
  fs::remove_all(Path());
  fs::copy(directory_.path() + "/backup", Path(), fs::copy_options::recursive);
  fs::remove(Path("acknowledged"));
  log = Open();
  EXPECT_THAT(Read(*log).value(), ElementsAre("a"));
}

// Whatever happens to one place of the write-ahead log, no record disappears in silence.
TEST_F(LocalLogTest, DamageInTheWriteAheadLogNeverLosesARecordInSilence) {
  std::vector<std::string> values;
  auto log = Open();
  for (unsigned i = 0; i < 24; ++i) {
    values.push_back(Noise(6000, i));
    ASSERT_TRUE(Append(*log, values.back()).ok());
  }
  log.reset();
  const auto wal = NewestWal();
  const auto whole = Slurp(wal);
  ASSERT_GT(whole.size(), 4u * 32'768);
  fs::copy(Path(), directory_.path() + "/good", fs::copy_options::recursive);

  struct Damage {
    std::size_t at;
    std::size_t bytes;
    bool zero;
  };
  std::vector<Damage> damages;
  for (std::size_t at = 11; at < whole.size(); at += 7001) {
    damages.push_back({.at = at, .bytes = 1, .zero = false});
  }
  for (const std::size_t byte : {0u, 4u, 5u, 6u}) {  // Checksum, length, type.
    damages.push_back({.at = 32'768 + byte, .bytes = 1, .zero = false});
    damages.push_back({.at = 4 * 32'768 + byte, .bytes = 1, .zero = false});
  }
  damages.push_back({.at = whole.size() - 1, .bytes = 1, .zero = false});
  damages.push_back({.at = whole.size() - 6100, .bytes = 200, .zero = false});
  for (std::size_t at = 0; at + 4096 < whole.size(); at += 28'672) {  // Pages that were lost.
    damages.push_back({.at = at, .bytes = 4096, .zero = true});
  }
  damages.push_back({.at = 32'768, .bytes = 32'768, .zero = true});

  int stopped = 0;
  for (const auto& damage : damages) {
    SCOPED_TRACE("at " + std::to_string(damage.at) + " of " + std::to_string(whole.size()));
    fs::remove_all(Path());
    fs::copy(directory_.path() + "/good", Path(), fs::copy_options::recursive);
    auto bad = whole;
    for (std::size_t i = 0; i < damage.bytes; ++i) {
      auto& byte = bad[damage.at + i];
      byte = static_cast<char>(damage.zero ? 0 : byte ^ 0x41);
    }
    Spill(wal, bad);
    const auto opened = TryOpen();
    if (!opened.ok()) {
      ++stopped;
      EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
      EXPECT_THAT(opened.error().message(), HasSubstr("restore the directory from a backup"));
      EXPECT_THAT(opened.error().message(), AnyOf(HasSubstr(".log"), HasSubstr("is missing")));
      continue;
    }
    const auto read = Read(*opened.value());
    if (read.ok()) {
      EXPECT_EQ(read.value(), values);
    } else {
      EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
    }
  }
  EXPECT_GE(stopped, static_cast<int>(damages.size()) - 2);
}

TEST_F(LocalLogTest, ALostWriteAheadFileStopsTheOpening) {
  auto log = Open();
  ASSERT_TRUE(Append(*log, "a").ok());
  log.reset();
  fs::remove(NewestWal());
  const auto opened = TryOpen();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
}

TEST_F(LocalLogTest, ALostStoreStopsTheOpening) {
  auto log = Open();
  ASSERT_TRUE(Append(*log, "a").ok());
  log.reset();
  fs::remove(Path("CURRENT"));
  const auto opened = TryOpen();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(opened.error().message(), HasSubstr("CURRENT"));
}

TEST_F(LocalLogTest, ADamagedTableNamesPartitionFileAndRemedy) {
  auto log = Open();
  for (unsigned i = 0; i < 8; ++i) {
    ASSERT_TRUE(Append(*log, Noise(40'000, i)).ok());
  }
  log.reset();
  log = Open();  // Recovery moves the records into a table.
  log.reset();
  std::string table;
  for (const auto& entry : fs::directory_iterator(Path())) {
    if (entry.path().extension() == ".sst" && entry.file_size() > 200'000) {
      table = entry.path();
    }
  }
  ASSERT_FALSE(table.empty());
  auto bytes = Slurp(table);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  Spill(table, bytes);

  log = Open();
  const auto read = Read(*log);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(read.error().message(), HasSubstr("site-events partition 0"));
  EXPECT_THAT(read.error().message(), HasSubstr(fs::path(table).filename().string()));
  EXPECT_THAT(read.error().message(), HasSubstr("restore the log's directory from a backup"));
  // Nothing before the damage is withheld.
  const ReadFrom from{.source = kEvents0, .offset = 0};
  const auto reader = log->OpenReader(std::span(&from, 1)).value();
  Fetched fetched;
  EXPECT_TRUE(reader->Fetch(0, {.records_max = 1, .bytes_max = 1}, &fetched).ok());
  EXPECT_EQ(fetched.records.size(), 1u);
}

TEST_F(LocalLogTest, AReaderBeyondTheEndIsCorrupt) {
  const auto log = Open();
  ASSERT_TRUE(Append(*log, "a").ok());
  const ReadFrom from{.source = kEvents0, .offset = 2};
  const auto reader = log->OpenReader(std::span(&from, 1)).value();
  Fetched fetched;
  const auto count = reader->Fetch(0, {.records_max = 1, .bytes_max = 1}, &fetched);
  ASSERT_FALSE(count.ok());
  EXPECT_EQ(count.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(count.error().message(), HasSubstr("ends at offset 1, before offset 2"));
}

// 30 MB: the oldest records are in tables, then in memory tables, the newest in the log's own
// cache.
TEST_F(LocalLogTest, ReadingCrossesFromTheStoreIntoTheNewestBlocks) {
  auto log = Open();
  std::vector<std::string> expected;
  const ReadFrom from{.source = kEvents0, .offset = 0};
  const auto early = log->OpenReader(std::span(&from, 1)).value();
  std::vector<std::string> seen;
  const auto fetch = [&] {
    Fetched fetched;
    const auto count = early->Fetch(0, {.records_max = 1, .bytes_max = 1 << 20}, &fetched);
    ASSERT_TRUE(count.ok()) << count.error().message();
    for (const auto& record : fetched.records) {
      seen.emplace_back(record.value.substr(0, 8));
    }
  };
  for (unsigned i = 0; i < 300; ++i) {
    const auto value = Noise(100'000, i);
    ASSERT_TRUE(Append(*log, value).ok());
    expected.push_back(value.substr(0, 8));
    if (i % 3 == 2) {
      fetch();  // Falls behind: every third.
    }
  }
  while (seen.size() < expected.size()) {
    const auto before = seen.size();
    fetch();
    ASSERT_GT(seen.size(), before);
  }
  EXPECT_EQ(seen, expected);
}

TEST_F(LocalLogTest, AFullDiskRefusesAppendsAndSaysSo) {
  { const auto log = Open(); }
  {
    const auto log = OpenLocalLog({.directory = Path(),
                                   .clock = clock_,
                                   .sync = false,
                                   .free_bytes_min = std::uint64_t{1} << 60});
    ASSERT_TRUE(log.ok()) << log.error().message();
    const auto appended = Append(*log.value(), "a");
    ASSERT_FALSE(appended.ok());
    EXPECT_EQ(appended.error().code(), ErrorCode::kUnavailable);
    EXPECT_THAT(appended.error().message(), HasSubstr("is full"));
    const auto transactor = log.value()->OpenTransactor("t").value();
    EXPECT_EQ(transactor->Init(1s).error().code(), ErrorCode::kUnavailable);
    EXPECT_THAT(Read(*log.value()).value(), IsEmpty());
  }
  EXPECT_TRUE(Append(*Open(), "b").ok());
}

// A limit on the size of files fails the write-ahead log in the middle of a record.
TEST_F(LocalLogTest, AFailedWriteIsSettledAndTheLogGoesOnByItself) {
  const auto log = Open();
  const auto transactor = log->OpenTransactor("t").value();
  ASSERT_TRUE(transactor->Init(1s).ok());
  std::vector<std::string> acknowledged;
  const ReadFrom from{.source = kEvents0, .offset = 0};
  const auto reader = log->OpenReader(std::span(&from, 1)).value();

  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 200'000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  ErrorCode failed = ErrorCode::kInvalid;
  for (unsigned i = 0; i < 100; ++i) {
    const auto value = std::to_string(i) + Noise(10'000, i);
    const auto appended = Append(*log, value);
    if (!appended.ok()) {
      failed = appended.error().code();
      break;
    }
    acknowledged.push_back(value);
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(failed, ErrorCode::kUnknown);
  ASSERT_GT(acknowledged.size(), 5u);

  ASSERT_TRUE(transactor->Init(1s).ok());
  const auto ends = log->Ends(std::span(&kEvents0, 1), EndKind::kStable, 1s);
  const auto settled = static_cast<std::size_t>(ends.value()[0]);
  EXPECT_THAT(settled, AnyOf(acknowledged.size(), acknowledged.size() + 1));
  const auto next = Append(*log, "next");
  ASSERT_TRUE(next.ok()) << next.error().message();
  EXPECT_EQ(static_cast<std::size_t>(next.value()[0].offset), settled);

  // The reader from before the failure sees everything that was acknowledged, in order.
  std::vector<std::string> values;
  while (reader->Position(0) < next.value()[0].offset + 1) {
    Fetched fetched;
    const auto count = reader->Fetch(0, {.records_max = 100, .bytes_max = 1 << 20}, &fetched);
    ASSERT_TRUE(count.ok()) << count.error().message();
    ASSERT_GT(count.value(), 0u);
    for (const auto& record : fetched.records) {
      values.emplace_back(record.value);
    }
  }
  ASSERT_EQ(values.size(), settled + 1);
  EXPECT_TRUE(std::equal(acknowledged.begin(), acknowledged.end(), values.begin()));
  EXPECT_EQ(values.back(), "next");
}

TEST_F(LocalLogTest, AFollowerInTheSameProcessReadsButRefusesToWrite) {
  const auto log = Open();
  ASSERT_TRUE(Append(*log, "a").ok());
  const auto follower = TryOpen(true);
  ASSERT_TRUE(follower.ok()) << follower.error().message();
  EXPECT_THAT(Read(*follower.value()).value(), ElementsAre("a"));
  EXPECT_EQ(Append(*follower.value(), "b").error().code(), ErrorCode::kDenied);
  EXPECT_EQ(follower.value()->OpenTransactor("t").error().code(), ErrorCode::kDenied);
  EXPECT_EQ(follower.value()->ApplyTopics({.partitions = 2}, 1s).error().code(),
            ErrorCode::kDenied);
  ASSERT_TRUE(Append(*log, "c").ok());
  EXPECT_EQ(follower.value()->Ends(std::span(&kEvents0, 1), EndKind::kStable, 1s).value()[0], 2);
  EXPECT_THAT(Read(*follower.value()).value(), ElementsAre("a", "c"));
}

TEST_F(LocalLogTest, AFollowerOfNothingIsNotFound) {
  const auto follower = TryOpen(true);
  ASSERT_FALSE(follower.ok());
  EXPECT_EQ(follower.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(follower.error().message(), HasSubstr("there is no log in"));
  EXPECT_FALSE(fs::exists(Path()));
}

TEST(AcknowledgedFileTest, KeepsTheNewestNumber) {
  const TemporaryDirectory directory;
  const auto path = directory.path() + "/acknowledged";
  for (std::uint64_t number = 1; number < 9; number += 3) {
    const auto file = AcknowledgedFile::Open(path);
    ASSERT_TRUE(file.ok()) << file.error().message();
    EXPECT_EQ(file.value()->number(), number - 1);
    for (std::uint64_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(file.value()->Store(number + i).ok());
    }
  }
}

TEST(AcknowledgedFileTest, AHalfWrittenSlotLeavesTheOtherAndTwoDamagedOnesStop) {
  const TemporaryDirectory directory;
  const auto path = directory.path() + "/acknowledged";
  {
    const auto file = AcknowledgedFile::Open(path);
    ASSERT_TRUE(file.value()->Store(7).ok());
    ASSERT_TRUE(file.value()->Store(8).ok());
  }
  const auto damage = [&](std::streamoff at) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(at);
    file.put('\x55');
  };
  damage(16);  // The slot of 8.
  EXPECT_EQ(AcknowledgedFile::Open(path).value()->number(), 7u);
  damage(0);
  const auto file = AcknowledgedFile::Open(path);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(file.error().message(), HasSubstr("acknowledged is damaged"));
}

}  // namespace
}  // namespace alertstream::log
