#include "ops/cli/program.h"

#include <unistd.h>

#include <ostream>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/commands/status.h"
#include "ops/cli/control_client.h"
#include "ops/cli/no_log.h"
#include "processor/base/config_env.h"

namespace alertstream::cli {

std::string Program::actor() const {
  std::string actor = arguments_.actor;
  if (actor.empty()) {
    actor = Environment("USER").value_or("");
  }
  return actor.empty() ? "cli" : actor;
}

Session Program::MakeSession(const Deployment& deployment) {
  return Session{.log = *deployment.log,
                 .identity = deployment.identity,
                 .token_key = deployment.token_key,
                 .clock = clock(),
                 .io = io_,
                 .tenant = settings_.Text(Setting::kTenant),
                 .actor = actor(),
                 .processor = nullptr,
                 .ask_timeout = AskTimeout(settings_),
                 .interrupted = &interrupted_};
}

Result<ExitCode> Program::Read(const Body& body) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const Deployment deployment,
                               OpenDeployment(settings_, clock(), LogAccess::kRead));
  return body(MakeSession(deployment));
}

Result<ExitCode> Program::WriteThrough(ApiTarget server, const Body& body) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto api, ApiClient::Create(std::move(server), clock()));
  // Beside the server, if its log can be read from here at all.
  auto opened = OpenDeployment(settings_, clock(), LogAccess::kRead);
  const bool has_log = opened.ok();
  Deployment nothing;
  nothing.log = std::make_unique<NoLog>();
  nothing.identity.partitions = 1;  // Of changes that are sent it does not matter where they lie.
  const Deployment deployment = has_log ? std::move(opened).value() : std::move(nothing);
  Session session = MakeSession(deployment);
  ControlClient control(std::move(api), session.actor);
  session.control = &control;
  session.has_log = has_log;
  return body(session);
}

Result<ExitCode> Program::Append(const Body& body) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto server, FindControl(settings_));
  if (server) {
    return WriteThrough(std::move(*server), body);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const Deployment deployment,
                               OpenDeployment(settings_, clock(), LogAccess::kWrite));
  return body(MakeSession(deployment));
}

Result<ExitCode> Program::Write(LogAccess access, bool may_decide, const Body& body) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto server, FindControl(settings_));
  if (server) {
    return WriteThrough(std::move(*server), body);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const Deployment deployment,
                               OpenDeployment(settings_, clock(), access));
  Session session = MakeSession(deployment);
  bool decides = deployment.log->ExclusiveWriter();
  if (!decides && may_decide) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto leases, ReadLiveLeases(session));
    decides = leases.empty();
    if (!decides) {
      io_.err << "a server owns the log and decides\n";
    }
  }
  if (!decides) {
    return body(session);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto options,
      MakeProcessorOptions(settings_, deployment,
                           {.instance = fmt::format("cli-{}", ::getpid()), .assigned = "all"}));
  runtime::Processor processor(*deployment.log, clock(), std::move(options));
  session.processor = &processor;
  processor.Start();
  auto result = body(session);
  processor.Stop();
  return result;
}

Result<ExitCode> Program::Call(const std::function<Result<ExitCode>(ApiClient& api)>& body) {
  ALERTSTREAM_ASSIGN_OR_RETURN(ApiTarget target, FindApi(settings_));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto api, ApiClient::Create(std::move(target), clock()));
  return body(*api);
}

ExitCode Program::Refuse(const Error& error, ExitCode exit, std::string_view docs) const {
  if (io_.render.format == OutputFormat::kJson || io_.render.format == OutputFormat::kJsonLines) {
    io_.out << ErrorJson(error, docs);
  }
  io_.err << "alertstream: " << error.message() << "\n";
  return exit;
}

std::string Program::SameLog() const {
  std::string flags;
  if (settings_.source(Setting::kDataDir) == SettingSource::kFlag) {
    flags += " --data-dir " + settings_.Text(Setting::kDataDir);
  }
  if (settings_.source(Setting::kLog) == SettingSource::kFlag) {
    flags += " --log " + settings_.Text(Setting::kLog);
  }
  for (const std::string& pair : arguments_.set) {
    flags += " --set " + pair;
  }
  if (!arguments_.config.empty()) {
    flags += " --config " + arguments_.config;
  }
  if (!arguments_.profile.empty()) {
    flags += " --profile " + arguments_.profile;
  }
  return flags;
}

}  // namespace alertstream::cli
