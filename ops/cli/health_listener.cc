#include "ops/cli/health_listener.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "processor/base/log.h"

namespace alertstream::cli {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kPlain = "text/plain; charset=utf-8";
// What the library says while it starts is two lines; clients can make it say more for ever.
constexpr std::size_t kMessagesBytesMax = 512;

HttpAnswer Answer(int status, std::string_view content_type, std::string body) {
  return {.status = status, .content_type = std::string(content_type), .body = std::move(body)};
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    default:
      return "Service Unavailable";
  }
}

bool IsAddress(const std::string& text, bool* v6) {
  std::array<unsigned char, sizeof(in6_addr)> buffer{};
  *v6 = inet_pton(AF_INET6, text.c_str(), buffer.data()) == 1;
  return *v6 || inet_pton(AF_INET, text.c_str(), buffer.data()) == 1;
}

}  // namespace

HttpAnswer AnswerHealthRequest(const HealthSources& sources, std::string_view method,
                               std::string_view path) {
  const bool known =
      path == "/metrics" || path == "/health" || path == "/health/live" || path == "/health/ready";
  if (!known) {
    return Answer(404, kPlain, "not found; try /metrics or /health\n");
  }
  if (method != "GET" && method != "HEAD") {
    return Answer(405, kPlain, "only GET and HEAD\n");
  }
  if (path == "/metrics") {
    return Answer(200, kMetricsContentType, sources.metrics_text());
  }
  if (path == "/health/live") {
    return Answer(200, kJson, R"({"status":"live"})");
  }
  HealthState state = sources.health();
  return Answer(state.ready ? 200 : 503, kJson, std::move(state.body));
}

struct HealthListener::Impl {
  struct StopContext {
    void operator()(mg_context* running) const { mg_stop(running); }
  };

  static int OnMessage(const mg_connection* connection, const char* message) {
    auto* impl = static_cast<Impl*>(mg_get_user_data(mg_get_context(connection)));
    if (impl != nullptr) {
      const std::scoped_lock lock(impl->mutex);
      if (impl->messages.size() < kMessagesBytesMax) {
        impl->messages.append(impl->messages.empty() ? "" : "; ").append(message);
      }
    }
    return 1;  // Handled: the library writes no file of its own.
  }

  static int OnRequest(mg_connection* connection, void* data) {
    const auto* impl = static_cast<const Impl*>(data);
    const mg_request_info* request = mg_get_request_info(connection);
    const std::string_view method = request->request_method;
    const std::string_view path =
        request->local_uri != nullptr ? std::string_view(request->local_uri) : std::string_view();
    const HttpAnswer answer = AnswerHealthRequest(impl->sources, method, path);
    std::string bytes = fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{}Connection: close\r\n\r\n",
        answer.status, ReasonPhrase(answer.status), answer.content_type, answer.body.size(),
        answer.status == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (method != "HEAD") {
      bytes += answer.body;
    }
    mg_write(connection, bytes.data(), bytes.size());
    return answer.status;
  }

  HealthSources sources;
  std::mutex mutex;
  std::string messages;  // Guarded by mutex. Why the start failed; later ones have no reader.
  std::uint16_t port = 0;
  // Last, so that its threads end before what they use goes.
  std::unique_ptr<mg_context, StopContext> context;
};

HealthListener::HealthListener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HealthListener::~HealthListener() = default;

std::uint16_t HealthListener::port() const { return impl_->port; }

Result<std::unique_ptr<HealthListener>> HealthListener::Start(const HealthListenerOptions& options,
                                                              HealthSources sources) {
  bool v6 = false;
  if (!IsAddress(options.address, &v6)) {
    return Error(ErrorCode::kInvalid,
                 "metrics.address: expected an IPv4 or IPv6 address such as 127.0.0.1 or ::1");
  }
  const std::string listen = v6 ? fmt::format("[{}]:{}", options.address, options.port)
                                : fmt::format("{}:{}", options.address, options.port);
  const std::string timeout = std::to_string(options.timeout.count());
  const std::string threads = std::to_string(kHealthThreadsMax);
  const std::string waiting = std::to_string(kHealthWaitingMax);
  const std::string request = std::to_string(kHealthRequestBytesMax);
  const std::array settings = {"listening_ports",
                               listen.c_str(),
                               "request_timeout_ms",
                               timeout.c_str(),
                               "num_threads",
                               threads.c_str(),
                               "connection_queue",
                               waiting.c_str(),
                               "max_request_size",
                               request.c_str(),
                               "enable_keep_alive",
                               "no",
                               static_cast<const char*>(nullptr)};

  auto impl = std::make_unique<Impl>();
  impl->sources = std::move(sources);
  mg_callbacks callbacks{};
  callbacks.log_message = &Impl::OnMessage;
  // The settings array is only read, although its type does not say so.
  impl->context.reset(mg_start(&callbacks, impl.get(), const_cast<const char**>(settings.data())));
  if (impl->context == nullptr) {
    const std::scoped_lock lock(impl->mutex);
    return Error(ErrorCode::kUnavailable,
                 fmt::format("metrics.address, metrics.port: cannot listen on {} ({})", listen,
                             impl->messages.empty() ? "no reason given" : impl->messages));
  }
  mg_set_request_handler(impl->context.get(), "**", &Impl::OnRequest, impl.get());
  std::array<mg_server_port, 1> ports{};
  if (mg_get_server_ports(impl->context.get(), 1, ports.data()) == 1) {
    impl->port = static_cast<std::uint16_t>(ports[0].port);
  }
  Log(LogLevel::kInfo, "health_listening", {{"address", options.address}, {"port", impl->port}});
  return std::unique_ptr<HealthListener>(new HealthListener(std::move(impl)));
}

}  // namespace alertstream::cli
