#include "ops/cli/api_part.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "api/control/control_routes.h"
#include "api/docs/docs_routes.h"
#include "api/ingest/ingest_routes.h"
#include "api/query/query_routes.h"
#include "api/resources/resource_routes.h"
#include "api/webhooks/webhook_routes.h"
#include "ops/cli/json_object.h"
#include "processor/base/log.h"

namespace alertstream::cli {
namespace {

constexpr std::string_view kIndexStore = "idempotency";

// Metrics and health on the API's port too: there need not be another one.
Status AddHealthRoutes(http::Routes* routes, const HealthSources& sources) {
  for (const std::string_view path : {"/health", "/health/live", "/health/ready", "/metrics"}) {
    ALERTSTREAM_RETURN_IF_ERROR(
        routes->Add("GET", path, [sources](const http::Request& request, const http::RouteParams&) {
          HttpAnswer answer = AnswerHealthRequest(sources, "GET", request.path);
          http::Response response{.status = answer.status, .body = std::move(answer.body)};
          response.headers.Add("Content-Type", answer.content_type);
          return response;
        }));
  }
  return Status::Ok();
}

// The address to reach a listener at that listens on all of them.
std::string HostOf(const std::string& address) {
  if (address == "0.0.0.0") {
    return "127.0.0.1";
  }
  if (address == "::") {
    return "[::1]";
  }
  return address.find(':') == std::string::npos ? address : fmt::format("[{}]", address);
}

void CountUp(Counter& counter, std::uint64_t now, std::uint64_t before) {
  if (now > before) {
    counter.Add(static_cast<double>(now - before));
  }
}

}  // namespace

Result<std::unique_ptr<ApiPart>> ApiPart::Start(const ApiPartDeps& deps) {
  std::unique_ptr<ApiPart> part(new ApiPart(deps));
  const Settings& settings = deps.settings;
  log::EventLog& log = *deps.deployment.log;
  const runtime::LogIdentity& identity = deps.deployment.identity;
  part->writer_ = std::make_unique<api::LogWriter>(
      log, api::LogWriterOptions{.partitions = identity.partitions});
  ALERTSTREAM_ASSIGN_OR_RETURN(
      part->watch_,
      api::AnswerWatch::Start(log, deps.clock,
                              {.log_id = identity.log_id, .partitions = identity.partitions}));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto store, OpenSideStore(settings, log, std::string(kIndexStore)));
  ALERTSTREAM_ASSIGN_OR_RETURN(part->index_,
                               api::IdempotencyFollower::Start(
                                   log, deps.clock, std::move(store),
                                   {.log_id = identity.log_id, .partitions = identity.partitions}));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      part->entities_,
      api::EntityBook::Start(log, {.log_id = identity.log_id, .partitions = identity.partitions}));
  ALERTSTREAM_RETURN_IF_ERROR(part->StartReadSide());
  ALERTSTREAM_RETURN_IF_ERROR(part->AddRoutes());
  http::ServerOptions options;
  options.address = settings.Text(Setting::kApiAddress);
  options.port = static_cast<std::uint16_t>(settings.Integer(Setting::kApiPort));
  options.threads = static_cast<int>(settings.Integer(Setting::kApiThreads));
  part->server_ = std::make_unique<http::Server>(
      options,
      [routes = &part->routes_, access = part->access_.get()](http::Request request,
                                                              http::Responder responder) {
        request.peer = access->ClientOf(request);
        routes->Handle(std::move(request), std::move(responder));
      },
      deps.clock);
  ALERTSTREAM_RETURN_IF_ERROR(part->server_->Start());
  for (std::size_t i = 0; i < http::kRefusalCount; ++i) {
    deps.context.metrics.CounterOf(MetricId::kHttpRefusals,
                                   {http::RefusalName(static_cast<http::Refusal>(i))});
  }
  Log(LogLevel::kInfo, "api_listens",
      {{"address", options.address}, {"port", static_cast<int>(part->port())}});
  return part;
}

ApiPart::~ApiPart() {
  if (server_ != nullptr) {
    End(std::chrono::milliseconds(0));
  } else if (access_ != nullptr) {
    access_->Stop();  // Its threads use what ends before it.
  }
}

Status ApiPart::AddRoutes() {
  const std::int32_t partitions = deps_.deployment.identity.partitions;
  Metrics& metrics = deps_.context.metrics;
  ALERTSTREAM_RETURN_IF_ERROR(AddHealthRoutes(&routes_, deps_.context.sources));
  ALERTSTREAM_RETURN_IF_ERROR(api::AddDocsRoutes(&routes_, {}));
  const auto lag_max = deps_.settings.Duration(Setting::kApiLagMax);
  ALERTSTREAM_RETURN_IF_ERROR(api::AddIngestRoutes(
      &routes_, {.identity = access_->identity(),
                 .writer = *writer_,
                 .watch = *watch_,
                 .index = *index_,
                 .partitions = partitions,
                 .clock = deps_.clock,
                 .metrics = metrics,
                 .options = {.lag_seconds_max = static_cast<double>(lag_max.count()) / 1e6}}));
  ALERTSTREAM_RETURN_IF_ERROR(api::AddWebhookRoutes(&routes_, {.identity = access_->identity(),
                                                               .writer = *writer_,
                                                               .partitions = partitions,
                                                               .clock = deps_.clock,
                                                               .metrics = metrics}));
  ALERTSTREAM_RETURN_IF_ERROR(api::AddControlRoutes(&routes_, {.identity = access_->identity(),
                                                               .writer = *writer_,
                                                               .watch = *watch_,
                                                               .entities = *entities_,
                                                               .partitions = partitions,
                                                               .clock = deps_.clock}));
  ALERTSTREAM_RETURN_IF_ERROR(AddReadSideRoutes());
  ALERTSTREAM_RETURN_IF_ERROR(
      api::AddProviderRoutes(&routes_, {.identity = access_->identity(), .desk = deps_.providers}));
  // A fault of ours that hurts nobody who calls; the contract test looks for it.
  for (const std::string& fault : api::DescriptionFaults(routes_.names(), api::OpenApiJson())) {
    Log(LogLevel::kWarning, "api_description", {{"fault", fault}});
  }
  return Status::Ok();
}

Status ApiPart::StartReadSide() {
  ALERTSTREAM_ASSIGN_OR_RETURN(access_, AccessPart::Start({.settings = deps_.settings,
                                                           .clock = deps_.clock,
                                                           .keys = deps_.keys,
                                                           .database = deps_.database,
                                                           .accounts = deps_.accounts,
                                                           .configured = ConfiguredIn(deps_.keys),
                                                           .metrics = deps_.context.metrics}));
  if (deps_.database == nullptr) {
    return Status::Ok();
  }
  IdentityTables& identity = *access_->tables();
  read_model_ = std::make_unique<ReadModelPart>(ReadModelDeps{.settings = deps_.settings,
                                                              .database = *deps_.database,
                                                              .clock = deps_.clock,
                                                              .audit = identity.audit()});
  request_keys_ = std::make_unique<api::RequestKeys>(identity.pool(), deps_.clock);
  opening_ = std::make_unique<api::TenantOpening>(
      api::TenantOpeningDeps{.writer = *writer_,
                             .watch = *watch_,
                             .projected = read_model_->at().wait,
                             .clock = deps_.clock,
                             .partitions = deps_.deployment.identity.partitions});
  return Status::Ok();
}

// Also without a database: then they say which setting is missing.
Status ApiPart::AddReadSideRoutes() {
  const api::ReadDeps read = {.guard = access_->guard(),
                              .clock = deps_.clock,
                              .database = read_model_ == nullptr ? nullptr : &read_model_->at()};
  ALERTSTREAM_RETURN_IF_ERROR(api::AddQueryRoutes(
      &routes_, {.read = read, .cursors = cursors_, .log = *deps_.deployment.log}));
  const api::ResourceDeps resources = {.read = read,
                                       .keys = request_keys_.get(),
                                       .writer = *writer_,
                                       .watch = *watch_,
                                       .cursors = cursors_,
                                       .token_key = deps_.deployment.token_key,
                                       .partitions = deps_.deployment.identity.partitions};
  ALERTSTREAM_RETURN_IF_ERROR(api::AddResourceRoutes(&routes_, resources));
  return access_->AddRoutes(&routes_, resources, opening_.get());
}

std::string ApiPart::url() const {
  return fmt::format("http://{}:{}", HostOf(deps_.settings.Text(Setting::kApiAddress)), port());
}

HealthState ApiPart::Health() const {
  std::string problem = watch_->Problem();
  if (problem.empty()) {
    problem = index_->Problem();
  }
  if (problem.empty()) {
    problem = entities_->Problem();
  }
  HealthState health{.ready = problem.empty() && index_->Ready() && entities_->Ready(), .body = {}};
  JsonObject object;
  object.Text("status", health.ready ? "ready" : "not_ready");
  if (!problem.empty()) {
    object.Text("error", problem);
  }
  object.Integer("port", port());
  object.Number("lag_seconds", watch_->LagSeconds());
  health.body = object.Take();
  return health;
}

void ApiPart::Tick() {
  const http::ServerStats stats = server_->stats();
  Metrics& metrics = deps_.context.metrics;
  CountUp(metrics.CounterOf(MetricId::kHttpRequests), stats.requests, counted_.requests);
  for (std::size_t i = 0; i < http::kRefusalCount; ++i) {
    CountUp(metrics.CounterOf(MetricId::kHttpRefusals,
                              {http::RefusalName(static_cast<http::Refusal>(i))}),
            stats.refused[i], counted_.refused[i]);
  }
  metrics.GaugeOf(MetricId::kHttpConnections).Set(static_cast<double>(stats.open));
  metrics.GaugeOf(MetricId::kHttpParked).Set(static_cast<double>(stats.parked));
  counted_ = stats;
}

bool ApiPart::End(std::chrono::milliseconds deadline) {
  const auto started = deps_.clock.SinceBoot();
  const bool drained = server_->Drain(deadline);
  // What was taken is appended if time is left; whoever still waits is told that it will not be
  // known here.
  const auto used =
      std::chrono::duration_cast<std::chrono::milliseconds>(deps_.clock.SinceBoot() - started);
  writer_->Stop(std::max(deadline - used, std::chrono::milliseconds(0)));
  watch_->Stop();
  access_->Stop();
  if (read_model_ != nullptr) {
    read_model_->Stop();
  }
  index_->Stop();
  entities_->Stop();
  server_->Stop();
  return drained;
}

}  // namespace alertstream::cli
