// The dispatcher against the provider simulator in another process: messages that were decided
// before, until every one has its result on the log, by messages a second and a CPU-second.
// Baseline of the same run: the HTTP client alone with the same requests, no log.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <variant>

#include <fmt/core.h>

#include "ops/simulator/provider_simulator.h"
#include "processor/base/clock.h"
#include "processor/dispatch/accounts.h"
#include "processor/dispatch/dispatcher.h"
#include "processor/dispatch/http_client.h"
#include "processor/dispatch/providers/twilio_sms.h"
#include "processor/log/local/local_log.h"
#include "processor/runtime/identity.h"
#include "tests/bench/arguments.h"
#include "tests/bench/deciders.h"
#include "tests/bench/server_process.h"
#include "tests/bench/workload.h"

namespace alertstream::bench {
namespace {

using namespace std::chrono_literals;

constexpr double kSendsGoal = 1500;
constexpr std::string_view kAccountSid = "AC0123456789abcdef0123456789abcdef";
constexpr std::string_view kAccount = "AC0123456789";  // As the workload's senders name it.
constexpr std::size_t kInFlight = 400;

// Lives until its process ends. Callbacks would be the simulator's work, not the dispatcher's.
std::uint16_t StartSimulator() {
  simulator::SimulatorOptions options;
  options.callbacks.delay = 24h;
  return Must(simulator::ProviderSimulator::Start(options, SystemClock())).release()->port();
}

class OneAccount final : public dispatch::ProviderAccounts {
 public:
  explicit OneAccount(const std::string& url) {
    account_->provider = "twilio";
    account_->name = kAccount;
    account_->account_sid = kAccountSid;
    account_->auth_tokens.emplace_back("bench");
    account_->base_url = url;
    account_->public_url = url;
    account_->sends_per_second = 1e6;
    account_->burst = 1'000'000;
  }
  std::shared_ptr<const dispatch::ProviderAccount> Find(std::string_view provider,
                                                        std::string_view name) const override {
    return provider == "twilio" && name == kAccount ? account_ : nullptr;
  }
  std::vector<std::shared_ptr<const dispatch::ProviderAccount>> All() const override {
    return {account_};
  }

 private:
  std::shared_ptr<dispatch::ProviderAccount> account_ =
      std::make_shared<dispatch::ProviderAccount>();
};

class Count {
 public:
  void Add() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_one();
  }
  void WaitFor(std::uint64_t wanted) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, 120s, [&] { return count_ >= wanted; })) {
      Die(fmt::format("only {} of {} messages after two minutes", count_, wanted));
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t count_ = 0;
};

struct Measured {
  double wall = 0;
  double cpu = 0;
};

void Print(std::string_view what, std::uint64_t sends, const Measured& measured) {
  const auto count = static_cast<double>(sends);
  fmt::print("{:<12} {:6.0f} messages a second, {:6.0f} a CPU-second ({:.0f} us each)\n", what,
             count / measured.wall, count / measured.cpu, measured.cpu / count * 1e6);
}

Measured MeasureClient(const std::string& url, std::uint64_t sends) {
  const auto requests =
      Must(dispatch::TwilioSmsRequests::Create({.name = std::string(kAccount),
                                                .account_sid = std::string(kAccountSid),
                                                .secret = Redacted<std::string>("bench"),
                                                .public_url = url}));
  const auto client = Must(dispatch::HttpClient::Create({.calls_max = kInFlight}));
  Count done;
  std::atomic<std::uint64_t> refused = 0;
  const Stopwatch watch;
  for (std::uint64_t i = 0; i < sends; ++i) {
    const std::string id = fmt::format("ntf_{:026}", i);
    const std::string to = fmt::format("+2547{:08}", i);
    dispatch::HttpCall call{.base_url = url};
    call.request = Must(requests.Build(
        {.notification_id = id,
         .to = Redacted<std::string_view>(to),
         .from = "+15005550006",
         .body = Redacted<std::string_view>("Your payment of KES 1500 has failed. Reply STOP.")}));
    client->Submit(std::move(call), [&](dispatch::HttpOutcome outcome) {
      const auto* const answer = std::get_if<dispatch::HttpAnswer>(&outcome);
      if (answer == nullptr || answer->status != 201) {
        ++refused;
      }
      done.Add();
    });
  }
  done.WaitFor(sends);
  const Measured measured{watch.wall(), watch.cpu()};
  if (refused > 0) {
    Die(fmt::format("{} of the plain calls were refused", refused.load()));
  }
  return measured;
}

Measured MeasureDispatcher(const std::string& url, const std::string& directory,
                           std::uint64_t sends) {
  const WorkloadSize size{.tenants = 100,
                          .recipients = static_cast<std::uint32_t>(sends / 100 + 1)};
  const auto log =
      Must(log::OpenLocalLog({.directory = directory + "/log", .clock = SystemClock()}));
  MakeTopics(*log, 4);
  {
    Deciders deciders(*log, directory);
    static_cast<void>(deciders.ApplyRules(size));
    AppendEvents(*log, size, 0, sends);
    const Decided decided = deciders.Drain();
    if (decided.sends != sends) {
      Die(fmt::format("{} messages were commanded for {} events", decided.sends, sends));
    }
  }
  const OneAccount accounts(url);
  Count done;
  std::atomic<std::uint64_t> refused = 0;
  dispatch::DispatcherOptions options;
  options.partitions = {0, 1, 2, 3};
  options.log_id = Must(runtime::CheckMarkers(*log, TokenKey(), 0, kTimeout)).log_id;
  options.token_key = TokenKey();
  options.in_flight_max = kInFlight;
  options.on_attempt = [&](const dispatch::AttemptReport& report) {
    if (report.outcome.result != v1::ATTEMPT_CLASS_ACCEPTED) {
      ++refused;
      fmt::print("             {} {}\n", dispatch::OutcomeName(report.outcome.result),
                 report.outcome.code);
    }
    done.Add();
  };
  options.on_error = [](std::int32_t partition, const Error& error) {
    Die(fmt::format("partition {}: {}", partition, error.message()));
  };
  WaitForQuiet();
  const auto dispatcher =
      Must(dispatch::Dispatcher::Create(*log, SystemClock(), accounts, std::move(options)));
  const Stopwatch watch;
  dispatcher->Start();
  done.WaitFor(sends);
  const Measured measured{watch.wall(), watch.cpu()};
  dispatcher->Stop(10s);
  if (refused > 0) {
    Die(fmt::format("{} of the messages were not accepted", refused.load()));
  }
  return measured;
}

int Run(int argc, char** argv) {
  Arguments arguments(argc, argv, "alertstream_dispatch_bench --dir=EMPTY [--messages=20000]");
  const std::string directory = arguments.Text("dir", "");
  const auto sends = static_cast<std::uint64_t>(arguments.Number("messages", 20'000, 100, 200'000));
  arguments.Done();
  if (directory.empty()) {
    Die("--dir is needed: an empty directory on the disk that is meant");
  }
  ServerProcess provider(StartSimulator);
  const std::string url = fmt::format("http://127.0.0.1:{}", provider.port());
  const Measured client = MeasureClient(url, sends);
  Print("HTTP client", sends, client);
  std::filesystem::create_directories(directory);
  const Measured dispatched = MeasureDispatcher(url, directory, sends);
  Print("dispatcher", sends, dispatched);
  const double simulator_cpu = provider.End();
  fmt::print(
      "ratio        {:.2f} of the client's CPU time, {:.2f} of its pace (goal {:.0f} a second); "
      "the "
      "simulator took {:.0f} us of CPU a message\n",
      dispatched.cpu / client.cpu, client.wall / dispatched.wall, kSendsGoal,
      simulator_cpu / static_cast<double>(2 * sends) * 1e6);
  return 0;
}

}  // namespace
}  // namespace alertstream::bench

int main(int argc, char** argv) { return alertstream::bench::Run(argc, argv); }
