// The local log without fsync: CPU time a record of committing batches of three topics, and records
// a second read from the beginning. Baseline of the same run: the memory log.
#include <sys/resource.h>

#include <fmt/core.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "processor/base/check.h"
#include "processor/base/clock.h"
#include "processor/log/local/local_log.h"
#include "processor/log/memory/memory_log.h"

namespace alertstream::log {
namespace {

using namespace std::chrono_literals;

constexpr int kCommits = 150;
constexpr std::size_t kRecordsATopic = 2000;
constexpr std::size_t kValueBytes = 400;
constexpr std::int64_t kRecords = std::int64_t{kCommits} * 3 * kRecordsATopic;

// Of all threads, so that the store's background work counts.
double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double WallSeconds() { return std::chrono::duration<double>(SystemClock().SinceBoot()).count(); }

// Text that compresses about as well as real messages do.
std::vector<std::string> MakeValues() {
  std::vector<std::string> values;
  std::uint64_t state = 1;
  for (std::size_t i = 0; i < kRecordsATopic; ++i) {
    std::string value;
    while (value.size() < kValueBytes) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      value += fmt::format("{{\"field\":\"{:016x}\",\"amount\":{}}},", state, state % 1000);
    }
    value.resize(kValueBytes);
    values.push_back(std::move(value));
  }
  return values;
}

struct Measured {
  double commit_us = 0;
  double read_us = 0;
  double read_per_s = 0;
};

Measured Measure(EventLog& log) {
  const auto values = MakeValues();
  constexpr std::array<Topic, 3> kTopics = {Topic::kDecisions, Topic::kNotificationCommands,
                                            Topic::kSiteEvents};
  std::vector<NewRecord> records;
  for (const auto topic : kTopics) {
    for (const auto& value : values) {
      records.push_back({.topic = topic, .partition = 0, .key = "acme", .value = value});
    }
  }
  ALERTSTREAM_CHECK(log.ApplyTopics({.partitions = 4}, 1s).ok());
  const auto transactor = log.OpenTransactor("bench").value();
  ALERTSTREAM_CHECK(transactor->Init(1s).ok());
  Measured measured;
  auto cpu = CpuSeconds();
  for (int i = 0; i < kCommits; ++i) {
    ALERTSTREAM_CHECK(transactor->Commit(records, 1s).ok());
  }
  measured.commit_us = (CpuSeconds() - cpu) * 1e6 / kRecords;

  std::vector<ReadFrom> sources;
  for (const auto topic : kTopics) {
    sources.push_back({.source = {.topic = topic, .partition = 0}, .offset = 0});
  }
  const auto reader = log.OpenReader(sources).value();
  cpu = CpuSeconds();
  const auto wall = WallSeconds();
  std::int64_t read = 0;
  std::size_t bytes = 0;
  while (read < kRecords) {
    for (std::size_t i = 0; i < sources.size(); ++i) {
      Fetched fetched;
      const auto count = reader->Fetch(i, {.records_max = 2000, .bytes_max = 8 << 20}, &fetched);
      ALERTSTREAM_CHECK(count.ok());
      for (const auto& record : fetched.records) {
        bytes += record.value.size();
      }
      read += static_cast<std::int64_t>(count.value());
    }
  }
  ALERTSTREAM_CHECK(bytes == static_cast<std::size_t>(kRecords) * kValueBytes);
  measured.read_us = (CpuSeconds() - cpu) * 1e6 / kRecords;
  measured.read_per_s = kRecords / (WallSeconds() - wall);
  return measured;
}

void Print(const char* name, const Measured& measured) {
  fmt::print("{:<8} commit {:.3f} us CPU a record, read {:.3f} us CPU a record, {:.0f} records/s\n",
             name, measured.commit_us, measured.read_us, measured.read_per_s);
}

int Run() {
  auto directory = (std::filesystem::temp_directory_path() / "alertstream-bench-XXXXXX").string();
  ALERTSTREAM_CHECK(::mkdtemp(directory.data()) != nullptr);
  Measured local;
  {
    const auto log =
        OpenLocalLog({.directory = directory, .clock = SystemClock(), .sync = false}).value();
    local = Measure(*log);
  }
  std::filesystem::remove_all(directory);
  Measured memory;
  {
    MemoryEventLog log({.clock = SystemClock()});
    memory = Measure(log);
  }
  Print("local", local);
  Print("memory", memory);
  fmt::print("local/memory: commit {:.2f}, read {:.2f}\n", local.commit_us / memory.commit_us,
             local.read_us / memory.read_us);
  return 0;
}

}  // namespace
}  // namespace alertstream::log

int main() { return alertstream::log::Run(); }
