#include <fcntl.h>
#include <pistache/endpoint.h>
#include <pistache/http.h>
#include <pistache/peer.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "api/http/connection.h"
#include "api/http/core.h"
#include "api/http/server.h"

namespace alertstream::http {
namespace {

// The key of our state among a peer's data.
constexpr const char* kConnectionData = "alertstream";
// Pistache's idle timer is kept from ever acting: it would drop a peer without telling us.
constexpr std::chrono::hours kNever{24 * 365 * 10};
// Descriptors of the process beside the two of each connection: files of the log, the program.
constexpr rlim_t kOtherDescriptors = 1024;
// Connections over the limit that are told so at a time; further ones are just closed.
constexpr std::uint64_t kToldMax = 128;
static_assert(2 * kToldMax < kOtherDescriptors);
constexpr int kBacklog = 4096;  // A burst of connections waits in the kernel.
constexpr int kThreadsMax = 256;
// How long Stop waits until Pistache has closed what was shut down; it takes microseconds.
constexpr std::chrono::milliseconds kCloseWait{2'000};

// What Pistache calls. A clone per worker, used by that thread only.
class Guard : public Pistache::Http::Handler {
 public:
  HTTP_PROTOTYPE(Guard)

  explicit Guard(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  // Never called: our onInput does not parse with Pistache.
  void onRequest(const Pistache::Http::Request& /*request*/,
                 Pistache::Http::ResponseWriter /*response*/) override {}

 private:
  void onConnection(const std::shared_ptr<Pistache::Tcp::Peer>& peer) override {
    // The idle timer looks at a parser of every peer, and only closes if it is idle.
    peer->putData(ParserData, std::make_shared<Pistache::Http::RequestParser>(1));
    peer->setIdle(true);
    ServerCounters& counters = core_->counters;
    ++counters.accepted;
    const int fd = ::fcntl(peer->fd(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
      counters.Refuse(Refusal::kConnections);
      ::shutdown(peer->fd(), SHUT_RDWR);
      return;
    }
    const std::uint64_t id = core_->NextId();
    const auto connection =
        std::make_shared<Connection>(core_, id, fd, std::string(peer->address().host()));
    peer->putData(kConnectionData, connection);
    core_->Register(id, connection);
    if (core_->draining) {
      connection->TurnAway(Refusal::kDraining, Problem(503, "The server is about to stop."));
    } else if (counters.open > core_->options.connections_max + kToldMax) {
      counters.Refuse(Refusal::kConnections);
      connection->Kill();
    } else if (counters.open > core_->options.connections_max) {
      connection->TurnAway(Refusal::kConnections, Problem(503, "Too many connections."));
    }
  }

  void onInput(const char* buffer, std::size_t size,
               const std::shared_ptr<Pistache::Tcp::Peer>& peer) override {
    if (const auto connection = Of(*peer)) {
      connection->OnInput({buffer, size});
    }
  }

  void onDisconnection(const std::shared_ptr<Pistache::Tcp::Peer>& peer) override {
    if (const auto connection = Of(*peer)) {
      connection->OnDisconnect();
    }
  }

  static std::shared_ptr<Connection> Of(const Pistache::Tcp::Peer& peer) {
    return std::static_pointer_cast<Connection>(peer.tryGetData(kConnectionData));
  }

  std::shared_ptr<Core> core_;  // Shared with the server and the connections.
};

// How many connections the process has descriptors for, after having asked for enough.
std::size_t ConnectionsPossible(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return wanted;
  }
  const rlim_t needed = 2 * wanted + kOtherDescriptors;
  if (limit.rlim_cur < needed) {
    rlimit raised = limit;
    raised.rlim_cur = std::min<rlim_t>(needed, limit.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) {
      limit = raised;
    }
  }
  if (limit.rlim_cur >= needed) {
    return wanted;
  }
  const rlim_t left = limit.rlim_cur > kOtherDescriptors ? limit.rlim_cur - kOtherDescriptors : 2;
  return std::max<std::size_t>(left / 2, 1);
}

Status CheckOptions(const ServerOptions& options) {
  if (options.threads < 1 || options.threads > kThreadsMax) {
    return Error(ErrorCode::kInvalid,
                 "http server: threads must be 1 to " + std::to_string(kThreadsMax));
  }
  if (options.connections_max == 0 || options.requests_per_connection_max == 0) {
    return Error(ErrorCode::kInvalid, "http server: a limit on connections or requests is 0");
  }
  return Status::Ok();
}

}  // namespace

std::string_view RefusalName(Refusal refusal) {
  switch (refusal) {
    case Refusal::kFraming:
      return "framing";
    case Refusal::kConnections:
      return "connections";
    case Refusal::kParked:
      return "parked";
    case Refusal::kMemory:
      return "memory";
    case Refusal::kDraining:
      return "draining";
    case Refusal::kHeadTimeout:
      return "head_timeout";
    case Refusal::kBodyTimeout:
      return "body_timeout";
    case Refusal::kAnswerTimeout:
      return "answer_timeout";
    case Refusal::kSlowReader:
      return "slow_reader";
  }
  return "";
}

struct Server::Impl {
  std::shared_ptr<Core> core;  // Shared with connections, whose responders may outlive us.
  std::unique_ptr<Pistache::Http::Endpoint> endpoint;
  std::uint16_t port = 0;
};

Server::Server(ServerOptions options, RequestHandler handler, const Clock& clock)
    : impl_(std::make_unique<Impl>()) {
  impl_->core = std::make_shared<Core>(std::move(options), std::move(handler), clock);
}

Server::~Server() { Stop(); }

Status Server::Start() {
  ALERTSTREAM_CHECK(!impl_->endpoint);
  ServerOptions& options = impl_->core->options;
  ALERTSTREAM_RETURN_IF_ERROR(CheckOptions(options));
  options.connections_max = ConnectionsPossible(options.connections_max);
  ALERTSTREAM_RETURN_IF_ERROR(impl_->core->StartAttendant());
  const bool is_ipv6 = options.address.find(':') != std::string::npos;
  const std::string host = is_ipv6 ? "[" + options.address + "]" : options.address;
  try {
    auto endpoint = std::make_unique<Pistache::Http::Endpoint>(
        Pistache::Address(host, Pistache::Port(options.port)));
    const Pistache::Flags<Pistache::Tcp::Options> flags(Pistache::Tcp::Options::ReuseAddr |
                                                        Pistache::Tcp::Options::NoDelay |
                                                        Pistache::Tcp::Options::CloseOnExec);
    endpoint->init(Pistache::Http::Endpoint::options()
                       .threads(options.threads)
                       .keepaliveTimeout(kNever)
                       .flags(flags));
    // Again, past the endpoint: its own `backlog` option changes nothing.
    endpoint->initArgs(static_cast<std::size_t>(options.threads), flags, "http", kBacklog);
    endpoint->setHandler(std::make_shared<Guard>(impl_->core));
    endpoint->serveThreaded();
    impl_->port = endpoint->getPort();
    impl_->endpoint = std::move(endpoint);
  } catch (const std::exception& e) {
    impl_->core->StopAttendant();
    return Error(ErrorCode::kUnavailable, "http server: cannot listen on " + host + ":" +
                                              std::to_string(options.port) + ": " + e.what());
  }
  return Status::Ok();
}

std::uint16_t Server::port() const { return impl_->port; }

std::size_t Server::connections_max() const { return impl_->core->options.connections_max; }

bool Server::Drain(std::chrono::milliseconds deadline) {
  Core& core = *impl_->core;
  core.draining = true;
  const auto until = core.clock.SinceBoot() + deadline;
  while (true) {
    bool active = false;
    for (const auto& connection : core.Connections()) {
      connection->Drain();
      active = active || connection->IsActive();
    }
    if (!active) {
      return true;
    }
    if (core.clock.SinceBoot() >= until) {
      return false;
    }
    core.WaitForChange(std::chrono::milliseconds(10));
  }
}

void Server::Stop() {
  if (!impl_->endpoint) {
    return;
  }
  // Pistache leaves the descriptors of its peers open when it ends: it has to close them before.
  Core& core = *impl_->core;
  core.draining = true;
  const auto until = core.clock.SinceBoot() + kCloseWait;
  while (core.counters.open > 0 && core.clock.SinceBoot() < until) {
    for (const auto& connection : core.Connections()) {
      connection->Kill();
    }
    core.WaitForChange(std::chrono::milliseconds(5));
  }
  impl_->endpoint->shutdown();
  impl_->endpoint.reset();
  core.StopAttendant();
}

ServerStats Server::stats() const {
  const ServerCounters& counters = impl_->core->counters;
  ServerStats stats;
  stats.accepted = counters.accepted;
  stats.open = counters.open;
  stats.requests = counters.requests;
  stats.parked = counters.parked;
  stats.vanished = counters.vanished;
  stats.buffered_bytes = counters.buffered_bytes;
  std::copy(counters.refused.begin(), counters.refused.end(), stats.refused.begin());
  std::copy(counters.framing.begin(), counters.framing.end(), stats.framing.begin());
  return stats;
}

}  // namespace alertstream::http
