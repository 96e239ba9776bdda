// Signed ingest with durable acknowledgement on the local log, by answers a second. Baseline of the
// same run: bare Pistache with forced keep-alive that answers a constant to the same requests. Each
// server is a process of its own; the load comes from this one.
#include <pistache/endpoint.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "api/auth/identity.h"
#include "api/auth/request_signature.h"
#include "api/http/routes.h"
#include "api/http/server.h"
#include "api/ingest/idempotency_follower.h"
#include "api/ingest/ingest_routes.h"
#include "api/log/answer_watch.h"
#include "api/log/log_writer.h"
#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/base/metrics.h"
#include "processor/log/local/local_log.h"
#include "processor/runtime/identity.h"
#include "processor/state/rocksdb/rocksdb_store.h"
#include "tests/bench/arguments.h"
#include "tests/bench/http_load.h"
#include "tests/bench/server_process.h"

namespace alertstream::bench {
namespace {

using namespace std::chrono_literals;

constexpr int kServerThreads = 2;
constexpr std::int32_t kPartitions = 4;
constexpr double kRatioGoal = 0.4;
constexpr std::string_view kKey = "as_sk_bench";
constexpr std::string_view kSigningSecret = "bench-signing-secret";

[[noreturn]] void Die(std::string_view what) {
  fmt::print(stderr, "alertstream_ingest_bench: {}\n", what);
  std::exit(1);
}

template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) {
    Die(result.error().message());
  }
  return std::move(result).value();
}

void Must(const Status& status) {
  if (!status.ok()) {
    Die(status.error().message());
  }
}

class OneKey final : public api::Identity {
 public:
  OneKey() {
    key_->id = "bench";
    key_->kind = api::KeyKind::kSecret;
    key_->tenant = "bench";
    key_->signing_secrets.emplace_back(kSigningSecret);
  }
  std::shared_ptr<const api::ApiKey> FindKey(std::string_view presented) const override {
    return presented == kKey ? key_ : nullptr;
  }
  api::EventRate RateOf(std::string_view) const override {
    return {.per_second = 1e9, .burst = 1'000'000'000};
  }
  bool OriginAllowed(std::string_view) const override { return false; }
  std::optional<std::string> TenantOfNumber(std::string_view, std::string_view,
                                            std::string_view) const override {
    return std::nullopt;
  }
  std::shared_ptr<const WebhookAccount> FindWebhookAccount(std::string_view,
                                                           std::string_view) const override {
    return nullptr;
  }

 private:
  std::shared_ptr<api::ApiKey> key_ = std::make_shared<api::ApiKey>();
};

class Constant : public Pistache::Http::Handler {
 public:
  HTTP_PROTOTYPE(Constant)
  void onRequest(const Pistache::Http::Request&, Pistache::Http::ResponseWriter answer) override {
    answer.headers().add<Pistache::Http::Header::Connection>(
        Pistache::Http::ConnectionControl::KeepAlive);
    answer.send(Pistache::Http::Code::Ok, "{}");
  }
};

// Both live until their process ends.
std::uint16_t StartPistache() {
  auto* const endpoint =
      new Pistache::Http::Endpoint(Pistache::Address("127.0.0.1", Pistache::Port(0)));
  endpoint->init(Pistache::Http::Endpoint::options()
                     .threads(kServerThreads)
                     .flags(Pistache::Tcp::Options::ReuseAddr));
  endpoint->setHandler(Pistache::Http::make_handler<Constant>());
  endpoint->serveThreaded();
  return endpoint->getPort();
}

struct IngestServer {
  IngestServer(const std::string& directory, bool sync)
      : log(Must(log::OpenLocalLog(
            {.directory = directory + "/log", .clock = SystemClock(), .sync = sync}))) {
    Must(log->ApplyTopics({.partitions = kPartitions}, 30s));
    const auto logged = Must(runtime::EnsureMarkers(*log, HmacKey("bench"), 30s));
    writer = std::make_unique<api::LogWriter>(*log, api::LogWriterOptions{});
    watch = Must(api::AnswerWatch::Start(*log, SystemClock(),
                                         {.log_id = logged.log_id, .partitions = kPartitions}));
    index = Must(api::IdempotencyFollower::Start(
        *log, SystemClock(),
        Must(state::OpenRocksDbStore(
            directory + "/index", [](std::string_view) { return false; },
            state::StoreMemory::Create(std::size_t{64} << 20U))),
        {.log_id = logged.log_id, .partitions = kPartitions}));
    Must(api::AddIngestRoutes(&routes, {.identity = identity,
                                        .writer = *writer,
                                        .watch = *watch,
                                        .index = *index,
                                        .partitions = kPartitions,
                                        .clock = SystemClock(),
                                        .metrics = metrics,
                                        // Nobody decides here.
                                        .options = {.lag_seconds_max = 1e9}}));
    server = std::make_unique<http::Server>(
        http::ServerOptions{.threads = kServerThreads},
        [this](http::Request request, http::Responder responder) {
          routes.Handle(std::move(request), std::move(responder));
        },
        SystemClock());
    Must(server->Start());
  }

  OneKey identity;
  Metrics metrics;
  std::unique_ptr<log::EventLog> log;
  std::unique_ptr<api::LogWriter> writer;
  std::unique_ptr<api::AnswerWatch> watch;
  std::unique_ptr<api::IdempotencyFollower> index;
  http::Routes routes;
  std::unique_ptr<http::Server> server;
};

std::vector<std::string> SignedRequests(std::size_t count, std::string_view run) {
  const HmacKey key{kSigningSecret};
  const std::int64_t now_s = ToMicros(SystemClock().Now()) / 1'000'000;
  std::vector<std::string> requests;
  requests.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string body = fmt::format(
        R"({{"event_type":"payment.failed","id":"{}-{}","data":{{"order":"A-{}","amount":{},)"
        R"("currency":"KES","phone":"+2547{:08}","attempts":[1,2,3]}}}})",
        run, i, i, i % 5000, i % 100'000'000);
    requests.push_back(fmt::format(
        "POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "X-API-Key: {}\r\nX-Signature: {}\r\nConnection: keep-alive\r\nContent-Length: "
        "{}\r\n\r\n{}",
        kKey, api::SignRequest(key, now_s, body), body.size(), body));
  }
  return requests;
}

struct Measured {
  double per_second = 0;
  double cpu_us = 0;
};

Measured Measure(std::string_view what, int status, std::size_t connections,
                 const std::function<std::uint16_t()>& start, std::size_t count) {
  ServerProcess server(start);
  const auto warm = SignedRequests(count / 10, "warm");
  static_cast<void>(RunLoad(server.port(), connections, warm));
  const LoadResult load = RunLoad(server.port(), connections, SignedRequests(count, "run"));
  const double cpu = server.End();
  for (const auto& [answer, times] : load.answers) {
    if (answer != status) {
      Die(fmt::format("{}: {} answers are {}", what, times, answer));
    }
  }
  const Measured measured{.per_second = static_cast<double>(count) / load.seconds,
                          .cpu_us = cpu * 1e6 / static_cast<double>(count + warm.size())};
  fmt::print(
      "{:<22} {:7.0f} answers a second, p50 {:.2f} ms, p99 {:.2f} ms; {:.1f} us of CPU each\n",
      what, measured.per_second, PercentileOf(load.latency_ms, 0.5),
      PercentileOf(load.latency_ms, 0.99), measured.cpu_us);
  return measured;
}

int Run(int argc, char** argv) {
  Arguments arguments(argc, argv,
                      "alertstream_ingest_bench --dir=EMPTY [--requests=100000] "
                      "[--connections=128] [--rounds=2] [--no-sync]");
  const std::string directory = arguments.Text("dir", "");
  const auto count = static_cast<std::size_t>(arguments.Number("requests", 100'000, 1000, 2e6));
  const auto connections = static_cast<std::size_t>(arguments.Number("connections", 128, 1, 4096));
  const auto rounds = static_cast<int>(arguments.Number("rounds", 2, 1, 100));
  const bool sync = !arguments.Flag("no-sync");
  arguments.Done();
  if (directory.empty()) {
    Die("--dir is needed: an empty directory on the disk that is meant");
  }
  for (int round = 0; round < rounds; ++round) {
    const Measured bare = Measure("bare Pistache", 200, connections, StartPistache, count);
    const std::string place = fmt::format("{}/{}", directory, round);
    std::filesystem::create_directories(place);
    const Measured ingest = Measure(
        sync ? "signed ingest, durable" : "signed ingest, no fsync", 202, connections,
        [&] { return (new IngestServer(place, sync))->server->port(); }, count);
    std::filesystem::remove_all(place);
    fmt::print("ratio                  {:.2f} of bare Pistache (goal {})\n",
               ingest.per_second / bare.per_second, kRatioGoal);
  }
  return 0;
}

}  // namespace
}  // namespace alertstream::bench

int main(int argc, char** argv) { return alertstream::bench::Run(argc, argv); }
