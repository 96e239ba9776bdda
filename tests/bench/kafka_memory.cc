#include <cstdio>
#include <vector>

#include <fmt/format.h>

#include "tests/bench/deciders.h"
#include "tests/bench/kafka_stages.h"

namespace alertstream::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kPrintEvery = 30s;
// Caches and buffers fill up first; the slope is that of the time after.
constexpr auto kFilling = 2min;
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

}  // namespace

void MeasureMemory(const KafkaSettings& settings) {
  KafkaScratch scratch(settings.broker, settings.partitions);
  LiveProcessor processor(scratch, settings.partitions, settings.memory_size);
  const Stopwatch watch;
  std::vector<Sample> samples;
  std::uint64_t appended = 0;
  std::chrono::duration<double> next = kPrintEvery;
  const std::chrono::duration<double> run = settings.memory_run;
  fmt::print("memory     {} MiB before the first event\n", RssBytes() >> 20);
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
      fmt::print("           {:4.0f} s: {:.0f} MiB resident, {} events decided, {} sent\n",
                 watch.wall(), mib, processor.decided(), processor.sends());
      std::fflush(stdout);
      if (next > kFilling) {
        samples.push_back({.minutes = watch.wall() / 60, .mib = mib});
      }
      next += kPrintEvery;
    }
  }
  fmt::print(
      "           {:.0f} events a second; after the first {} minutes the resident memory changes "
      "by "
      "{:+.2f} MiB a minute (goal: flat), at most {} MiB\n",
      static_cast<double>(processor.decided()) / watch.wall(), kFilling.count(),
      MibAMinute(samples), RssPeakBytes() >> 20);
}

}  // namespace alertstream::bench
