#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "tests/bench/deciders.h"
#include "tests/bench/kafka_stages.h"

namespace alertstream::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::int32_t kPartitions = 4;
constexpr auto kPrintEvery = 30s;
// Caches and buffers fill up first; the slope is that of the time after.
constexpr auto kFilling = 2min;
// Two minutes of them: a line through fewer says nothing.
constexpr std::size_t kSamplesMin = 4;
constexpr std::uint64_t kAppendEvents = 2000;
// Enough that the tasks never wait for an event.
constexpr std::uint64_t kAheadEventsMax = 20'000;

struct Sample {
  double minutes = 0;
  double mib = 0;
};

// Least squares.
double MibAMinute(const std::vector<Sample>& samples) {
  const auto count = static_cast<double>(samples.size());
  double x = 0;
  double y = 0;
  for (const auto& sample : samples) {
    x += sample.minutes / count;
    y += sample.mib / count;
  }
  double xy = 0;
  double xx = 0;
  for (const auto& sample : samples) {
    xy += (sample.minutes - x) * (sample.mib - y);
    xx += (sample.minutes - x) * (sample.minutes - x);
  }
  return xx > 0 ? xy / xx : 0;
}

// Of the partitions' states. Files come and go meanwhile: what is gone is not counted.
std::uintmax_t StateBytes(const std::string& directory) {
  namespace fs = std::filesystem;
  std::uintmax_t bytes = 0;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(directory, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code gone;
    const auto size = at->is_regular_file(gone) ? at->file_size(gone) : 0;
    bytes += gone ? 0 : size;
  }
  return bytes;
}

}  // namespace

void MeasureMemory(const KafkaSettings& settings) {
  const std::int32_t partitions = settings.partitions > 0 ? settings.partitions : kPartitions;
  KafkaScratch scratch(settings.broker, partitions);
  LiveProcessor processor(scratch, partitions, settings.memory_size);
  const Stopwatch watch;
  std::vector<Sample> samples;
  std::uint64_t appended = 0;
  std::chrono::duration<double> next = kPrintEvery;
  const std::chrono::duration<double> run = settings.memory_run;
  fmt::print("memory     {} MiB resident before the first event, {} partition(s), {} recipients\n",
             RssBytes() >> 20, partitions,
             std::uint64_t{settings.memory_size.tenants} * settings.memory_size.recipients);
  while (watch.wall() < run.count()) {
    if (appended - processor.decided() < kAheadEventsMax) {
      AppendEvents(scratch.log(), settings.memory_size, appended, kAppendEvents);
      appended += kAppendEvents;
    } else {
      SystemClock().SleepFor(2ms);
    }
    if (watch.wall() >= next.count()) {
      processor.Check();
      const double mib = static_cast<double>(RssBytes()) / (1 << 20);
      fmt::print(
          "           {:4.0f} s: {:.0f} MiB resident, {} MiB of state on disk, {} events "
          "decided, {} sent\n",
          watch.wall(), mib, StateBytes(scratch.directory()) >> 20, processor.decided(),
          processor.sends());
      std::fflush(stdout);
      if (next > kFilling) {
        samples.push_back({.minutes = watch.wall() / 60, .mib = mib});
      }
      next += kPrintEvery;
    }
  }
  const double rate = static_cast<double>(processor.decided()) / watch.wall();
  if (samples.size() < kSamplesMin) {
    fmt::print("           {:.0f} events a second; too short for a slope; at most {} MiB\n", rate,
               RssPeakBytes() >> 20);
    return;
  }
  const double slope = MibAMinute(samples);
  fmt::print(
      "           {:.0f} events a second; after the first {} minutes {:+.2f} MiB a minute, {:+.1f} "
      "bytes an event (goal: flat); at most {} MiB\n",
      rate, kFilling.count(), slope, slope * (1 << 20) / (60 * rate), RssPeakBytes() >> 20);
}

}  // namespace alertstream::bench
