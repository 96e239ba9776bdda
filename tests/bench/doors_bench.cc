// From the POST of an event to the provider's receipt of the message, through a running
// `alertstream dev --seed demo`: every event sends one message to a person of its own. Open loop: a
// stall delays every event behind it. Baseline of the same run: the answer to the POST, which comes
// when the event is on disk.
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "api/auth/request_signature.h"
#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/base/rfc3339.h"
#include "schemas/json.h"
#include "tests/bench/arguments.h"
#include "tests/bench/http_load.h"
#include "tests/bench/workload.h"

namespace alertstream::bench {
namespace {

constexpr double kP50Goal = 25;
constexpr double kP99Goal = 100;
constexpr std::size_t kConnections = 64;
constexpr std::size_t kEventsMax = 10'000;  // What one answer of the simulator's can list.
constexpr std::size_t kWarmUpSeconds = 2;   // Not counted.

struct Dev {
  std::uint16_t api_port = 0;
  std::uint16_t provider_port = 0;
  std::string secret_key;
  std::string signing_secret;
};

std::uint16_t PortOf(std::string_view url) {
  return static_cast<std::uint16_t>(std::stoi(std::string(url.substr(url.rfind(':') + 1))));
}

Dev ReadDev(const std::string& directory) {
  std::ifstream file(directory + "/dev.json");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  schemas::JsonDocument json;
  Must(json.Parse(text));
  const auto member = [&](std::string_view name) {
    const auto value = json.root().Find(name);
    return value ? std::string(value->AsString()) : std::string();
  };
  return {.api_port = PortOf(member("api_url")),
          .provider_port = PortOf(member("provider_url")),
          .secret_key = member("secret_key"),
          .signing_secret = member("signing_secret")};
}

// Nobody of the demo's own people, and others in every run.
std::vector<std::string> Phones(std::size_t count) {
  const std::int64_t base = ToMicros(SystemClock().Now()) / 1'000'000 * 1000;
  std::vector<std::string> phones;
  for (std::size_t i = 0; i < count; ++i) {
    phones.push_back(
        fmt::format("+2547{:08}", (base + static_cast<std::int64_t>(i)) % 100'000'000));
  }
  return phones;
}

std::vector<std::string> Requests(const Dev& dev, const std::vector<std::string>& phones) {
  const HmacKey key(dev.signing_secret);
  const std::int64_t now_s = ToMicros(SystemClock().Now()) / 1'000'000;
  std::vector<std::string> requests;
  for (const std::string& phone : phones) {
    const std::string body = fmt::format(
        R"({{"event_type":"payment.failed","id":"bench-{0}-{1}","data":{{"order":"B-1",)"
        R"("amount":49,)"
        R"("currency":"USD","phone":"{1}"}}}})",
        now_s, phone);
    requests.push_back(fmt::format(
        "POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "X-API-Key: {}\r\nX-Signature: {}\r\nContent-Length: {}\r\n\r\n{}",
        dev.secret_key, api::SignRequest(key, now_s, body), body.size(), body));
  }
  return requests;
}

// When the provider had the message to each number.
std::map<std::string, LogTime> Received(const Dev& dev, std::size_t count) {
  std::map<std::string, LogTime> received;
  schemas::JsonDocument json;
  Must(json.Parse(Fetch(dev.provider_port, fmt::format("/messages?limit={}", count))));
  const auto messages = json.root().Find("messages");
  for (auto each = messages->first_child(); each; each = each->next_sibling()) {
    received.emplace(std::string(each->Find("to")->AsString()),
                     Must(ParseRfc3339(each->Find("received_at")->AsString())));
  }
  return received;
}

int Run(int argc, char** argv) {
  Arguments arguments(
      argc, argv,
      "alertstream_doors_bench --data-dir=DIR [--rate=500] [--seconds=16], beside a "
      "running alertstream dev --seed demo --data-dir DIR");
  const std::string directory = arguments.Text("data-dir", ".alertstream");
  const double rate = arguments.Number("rate", 500, 1, 5000);
  const auto seconds = static_cast<std::size_t>(arguments.Number("seconds", 16, 3, 60));
  arguments.Done();
  const Dev dev = ReadDev(directory);
  const auto count = static_cast<std::size_t>(rate * static_cast<double>(seconds));
  if (count > kEventsMax) {
    Die(fmt::format("{} events are more than {}", count, kEventsMax));
  }
  const auto phones = Phones(count);
  const auto requests = Requests(dev, phones);
  std::vector<LogTime> due;
  const LoadResult load = RunPaced(dev.api_port, kConnections, rate, requests, &due);
  for (const auto& [status, times] : load.answers) {
    if (status != 202) {
      Die(fmt::format("{} answers are {}: {}", times, status, load.last_body));
    }
  }
  std::map<std::string, LogTime> received;
  std::size_t arrived = 0;
  for (int i = 0; i < 50 && arrived < count; ++i) {
    SystemClock().SleepFor(std::chrono::milliseconds(100));
    received = Received(dev, count);
    arrived = 0;
    for (const std::string& phone : phones) {
      arrived += received.contains(phone) ? 1 : 0;
    }
  }
  const auto skipped = static_cast<std::size_t>(rate) * kWarmUpSeconds;
  std::vector<float> sms_ms;
  for (std::size_t i = skipped; i < count; ++i) {
    const auto at = received.find(phones[i]);
    if (at != received.end()) {
      sms_ms.push_back(static_cast<float>(ToMicros(at->second) - ToMicros(due[i])) / 1000);
    }
  }
  fmt::print("{} events at {:.0f} a second, {} messages received\n", count, rate, arrived);
  const double ack_p50 = PercentileOf(load.latency_ms, 0.5);
  fmt::print("POST answered   p50 {:6.1f} ms, p99 {:6.1f} ms\n", ack_p50,
             PercentileOf(load.latency_ms, 0.99));
  const double sms_p50 = PercentileOf(sms_ms, 0.5);
  fmt::print("SMS received    p50 {:6.1f} ms, p99 {:6.1f} ms (goals {:.0f} and {:.0f} ms)\n",
             sms_p50, PercentileOf(sms_ms, 0.99), kP50Goal, kP99Goal);
  fmt::print("ratio           {:.2f} times the POST's p50\n", sms_p50 / ack_p50);
  return arrived == count ? 0 : 1;
}

}  // namespace
}  // namespace alertstream::bench

int main(int argc, char** argv) { return alertstream::bench::Run(argc, argv); }
