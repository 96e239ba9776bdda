#include "tests/simulation/sim_provider.h"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "processor/base/check.h"

namespace alertstream::simulation {
namespace {

SimProvider* g_provider = nullptr;

constexpr std::size_t kNotificationIdBytes = 30;  // ntf_ and 26 characters.

}  // namespace

SimProvider::SimProvider(World& world) : world_(world), rng_(world.rng().Next()) {
  ALERTSTREAM_CHECK(g_provider == nullptr);
  g_provider = this;
}

SimProvider::~SimProvider() { g_provider = nullptr; }

SimProvider* SimProvider::Current() { return g_provider; }

SimProvider::Reaction SimProvider::Take(const dispatch::HttpCall& call) {
  using dispatch::HttpAnswer;
  using dispatch::TransportFailure;
  const Micros now = world_.now();
  const Micros soon = rng_.Time(Micros{2'000}, answer_time);
  if (now < failing_until && rng_.Chance(0.8)) {
    return {HttpAnswer{.status = rng_.Chance(0.5) ? 500 : 429}, soon};
  }
  const bool reset = now < resetting_until && rng_.Chance(0.8);
  if (reset && rng_.Chance(0.5)) {
    return {TransportFailure::kClosedAfterSent, soon};  // Before it did anything.
  }
  const std::string& body = call.request.body.Reveal();
  const std::size_t at = body.find("ntf_");
  const std::string id =
      at == std::string::npos ? std::string() : body.substr(at, kNotificationIdBytes);
  const int times = ++accepted_[id];
  if (reset) {
    return {TransportFailure::kClosedAfterSent, soon};
  }
  if (now < silent_until) {
    return {TransportFailure::kTimeoutAfterSent, call.total_timeout};
  }
  return {HttpAnswer{.status = 201,
                     .body = Redacted<std::string>(fmt::format(
                         R"({{"sid":"SM{}{}","status":"queued"}})", id.substr(4), times))},
          soon};
}

}  // namespace alertstream::simulation

namespace alertstream::dispatch {

using simulation::Micros;
using simulation::SimProvider;

// Shared with the calls under way, which may outlive the client: then nobody is told.
struct HttpClient::Impl {
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  std::shared_ptr<std::size_t> pending = std::make_shared<std::size_t>(0);
};

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpClient::~HttpClient() { Stop(); }

Result<std::unique_ptr<HttpClient>> HttpClient::Create(const HttpClientOptions& /*options*/) {
  return std::unique_ptr<HttpClient>(new HttpClient(std::make_unique<Impl>()));
}

void HttpClient::Submit(HttpCall call, Done done) {
  auto& world = SimProvider::Current()->world();
  ++*impl_->pending;
  // What was handed to the network arrives, whatever becomes of the sender.
  const Micros way = world.rng().Time(Micros{200}, Micros{15'000});
  world.At(world.now() + way, [&world, alive = impl_->alive, pending = impl_->pending,
                               call = std::move(call), done = std::move(done)] {
    const auto reaction = SimProvider::Current()->Take(call);
    world.At(world.now() + reaction.after, [alive, pending, done, outcome = reaction.outcome] {
      --*pending;
      if (*alive) {
        done(outcome);
      }
    });
  });
}

std::size_t HttpClient::pending() const { return *impl_->pending; }
void HttpClient::Stop() { *impl_->alive = false; }

}  // namespace alertstream::dispatch
