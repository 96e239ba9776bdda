// The processor on a real Kafka: the whole task against a plain librdkafka loop over the same
// events, the time from an event to its committed decision, resident memory over minutes at full
// speed. CPU time is that of this process: the broker's is not counted. What each stage prints is
// said in README.md.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "tests/bench/kafka_stages.h"

namespace alertstream::bench {
namespace {

struct Stage {
  std::string_view name;
  void (*run)(const KafkaSettings&);
  bool asked_for;  // Runs only if it is named: it takes minutes.
};
constexpr std::array kStages = {Stage{"throughput", MeasureThroughput, false},
                                Stage{"latency", MeasureLatency, false},
                                Stage{"memory", MeasureMemory, true}};

int Run(const KafkaSettings& settings) {
  bool found = false;
  for (const auto& stage : kStages) {
    if (settings.stage.empty() ? !stage.asked_for : settings.stage == stage.name) {
      stage.run(settings);
      found = true;
    }
  }
  if (!found) {
    Die("no stage is called " + settings.stage);
  }
  return 0;
}

int Usage() {
  fmt::print(stderr,
             "usage: alertstream_kafka_bench --broker HOST:PORT [--stage "
             "throughput|latency|memory]\n"
             "  [--tenants N] [--recipients N]         of the workload\n"
             "  [--events N] [--rounds N]              of throughput\n"
             "  [--rate N] [--warm-up N] [--seconds N] of latency\n"
             "  [--minutes N]                          of memory, which runs only if named\n"
             "  [--partitions N]                       of latency and memory\n"
             "`ops/kafka/broker start --bench` starts a broker.\n");
  return 2;
}

// False: no such option, or no such number.
bool Set(std::string_view option, const std::string& value, KafkaSettings* settings) {
  if (option == "--broker") {
    settings->broker = value;
    return true;
  }
  if (option == "--stage") {
    settings->stage = value;
    return true;
  }
  constexpr std::size_t kDigitsMax = 9;
  const bool digits = !value.empty() && value.size() <= kDigitsMax &&
                      value.find_first_not_of("0123456789") == value.npos;
  const std::uint64_t number = digits ? std::stoull(value) : 0;
  if (number == 0) {
    return false;
  }
  if (option == "--events") {
    settings->events = number;
  } else if (option == "--rounds") {
    settings->rounds = static_cast<std::uint32_t>(number);
  } else if (option == "--rate") {
    settings->rate = number;
  } else if (option == "--seconds") {
    settings->latency_run = std::chrono::seconds(number);
  } else if (option == "--warm-up") {
    settings->warm_up = std::chrono::seconds(number);
  } else if (option == "--minutes") {
    settings->memory_run = std::chrono::minutes(number);
  } else if (option == "--partitions") {
    settings->partitions = static_cast<std::int32_t>(number);
  } else if (option == "--tenants") {
    settings->size.tenants = settings->memory_size.tenants = static_cast<std::uint32_t>(number);
  } else if (option == "--recipients") {
    settings->size.recipients = settings->memory_size.recipients =
        static_cast<std::uint32_t>(number);
  } else {
    return false;
  }
  return true;
}

}  // namespace
}  // namespace alertstream::bench

int main(int argc, char** argv) {
  alertstream::bench::KafkaSettings settings;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 >= argc || !alertstream::bench::Set(argv[i], argv[i + 1], &settings)) {
      return alertstream::bench::Usage();
    }
  }
  return settings.broker.empty() ? alertstream::bench::Usage() : alertstream::bench::Run(settings);
}
