#include "ops/cli/server_run.h"

#include <csignal>
#include <span>
#include <utility>

#include "api/identity/transaction.h"
#include "ops/cli/api_part.h"
#include "ops/cli/dispatch_part.h"
#include "ops/cli/json_object.h"
#include "ops/cli/projector_part.h"
#include "ops/cli/read_side.h"
#include "processor/base/log.h"
#include "processor/log/kafka/group_offsets.h"

namespace alertstream::cli {
namespace {

// What a clean end waits for the courtesy to lag tools.
constexpr std::chrono::milliseconds kLastOffsetsMax{1000};

// The parts besides the processor, in the order in which they are stopped.
Result<ServerParts> StartParts(Program& program, const Deployment& deployment,
                               const ServerTargets& targets, const ServerContext& context,
                               sql::Database* database) {
  const Settings& settings = program.settings();
  ServerParts parts;
  if (targets.projector && database != nullptr) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        auto partitions,
        ParseAssigned(settings.Text(Setting::kRuntimeAssigned), deployment.identity.partitions));
    parts.push_back(ProjectorPart::Start({.deployment = deployment,
                                          .clock = program.clock(),
                                          .database = *database,
                                          .metrics = context.metrics,
                                          .partitions = std::move(partitions),
                                          .decides_readiness = !targets.api}));
  }
  if (!targets.api && !targets.dispatcher) {
    return parts;
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto identity,
                               IdentityPart::Open({.settings = settings,
                                                   .clock = program.clock(),
                                                   .metrics = context.metrics,
                                                   .database = database,
                                                   .makes_master_key = targets.api}));
  // Behind what it uses: where the dispatcher cannot start, the API that serves already ends first.
  if (targets.api) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto api, ApiPart::Start({.settings = settings,
                                                           .deployment = deployment,
                                                           .clock = program.clock(),
                                                           .keys = identity->keys(),
                                                           .accounts = identity->mirror(),
                                                           .providers = identity->desk(),
                                                           .context = context,
                                                           .database = database}));
    parts.push_back(std::move(api));
  }
  if (targets.dispatcher) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        auto partitions,
        ParseAssigned(settings.Text(Setting::kRuntimeAssigned), deployment.identity.partitions));
    ALERTSTREAM_ASSIGN_OR_RETURN(auto dispatcher,
                                 DispatchPart::Start({.settings = settings,
                                                      .deployment = deployment,
                                                      .clock = program.clock(),
                                                      .accounts = identity->accounts(),
                                                      .metrics = context.metrics,
                                                      .partitions = std::move(partitions)}));
    identity->desk().SetDispatcher(&dispatcher->dispatcher());
    parts.push_back(std::move(dispatcher));
  }
  parts.push_back(std::move(identity));
  return parts;
}

}  // namespace

Result<ServerTargets> ParseServerTarget(std::string_view text) {
  const bool all = text == "all";
  const ServerTargets targets{.processor = all || text == "processor",
                              .api = all || text == "api",
                              .dispatcher = all || text == "dispatcher",
                              .projector = all || text == "projector"};
  if (!targets.processor && !targets.api && !targets.dispatcher && !targets.projector) {
    return Error(ErrorCode::kInvalid, "expected processor, api, dispatcher, projector or all");
  }
  return targets;
}

Result<std::unique_ptr<IdentityPart>> IdentityPart::Open(const IdentityPartDeps& deps) {
  std::unique_ptr<IdentityPart> part(new IdentityPart());
  ALERTSTREAM_ASSIGN_OR_RETURN(part->keys_,
                               OpenKeys(deps.settings, deps.metrics, deps.adjust_account));
  part->accounts_ = part->keys_.get();
  ALERTSTREAM_RETURN_IF_ERROR(part->OpenAccounts(deps));
  ALERTSTREAM_ASSIGN_OR_RETURN(part->desk_, ServerDesk::Create(*part->accounts_, deps.clock));
  return part;
}

Status IdentityPart::OpenAccounts(const IdentityPartDeps& deps) {
  if (deps.database == nullptr) {
    return Status::Ok();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      tables_, deps.makes_master_key
                   ? IdentityTables::Open(deps.settings, *deps.database, deps.clock)
                   : IdentityTables::OpenExisting(deps.settings, *deps.database, deps.clock));
  mirror_ = std::make_unique<api::AccountMirror>(
      *deps.database, tables_->sealer(), deps.clock,
      api::AccountMirrorOptions{
          .adjust = deps.adjust_account,
          .configured = ConfiguredIn(*keys_),
          .on_change =
              [](const Status& status) {
                if (status.ok()) {
                  Log(LogLevel::kInfo, "accounts_ready", {});
                } else {
                  Log(LogLevel::kWarning, "accounts_stale", {{"error", status.error().message()}});
                }
              },
          .on_unserved =
              [](const std::string& id, const Error& error) {
                Log(LogLevel::kError, "account_unserved", {{"id", id}, {"error", error.message()}});
              }});
  joined_ = std::make_unique<api::JoinedAccounts>(*keys_, *mirror_);
  accounts_ = joined_.get();
  return Status::Ok();
}

Status IdentityPart::ReloadAccounts() {
  ALERTSTREAM_RETURN_IF_ERROR(keys_->Reload());
  if (mirror_ != nullptr) {
    auto session = tables_->pool().Take(api::kSessionWaitMax);
    // Away: the mirror loads all when it is back.
    if (session.ok()) {
      const Status loaded = mirror_->Reload(*session.value());
      static_cast<void>(loaded);
    }
  }
  return Status::Ok();
}

HealthState IdentityPart::Health() const {
  JsonObject object;
  object.Text("status", "ready");
  object.Integer("accounts", static_cast<std::int64_t>(accounts_->All().size()));
  return {.ready = true, .body = object.Take()};
}

bool IdentityPart::Stop(std::chrono::milliseconds /*deadline*/) {
  desk_->Stop();
  if (mirror_ != nullptr) {
    mirror_->Stop();
  }
  return true;
}

Result<ServeOptions> MakeServeOptions(Program& program, const Deployment& deployment,
                                      bool with_processor,
                                      std::unique_ptr<log::KafkaGroupOffsets>* offsets) {
  const Settings& settings = program.settings();
  ServeOptions options;
  options.drain_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
      settings.Duration(Setting::kRuntimeDrainTimeout));
  if (!with_processor) {
    return options;
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      options.processor,
      MakeProcessorOptions(settings, deployment,
                           {.instance = settings.Text(Setting::kInstance),
                            .assigned = settings.Text(Setting::kRuntimeAssigned)}));
  options.progress_path = [&settings, &deployment](std::int32_t partition) {
    return ProgressPath(settings, *deployment.log, partition);
  };
  if (program.local()) {
    return options;
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const LogTarget target,
                               ParseLogTarget(settings.Text(Setting::kLog)));
  ALERTSTREAM_ASSIGN_OR_RETURN(*offsets,
                               log::KafkaGroupOffsets::Open(KafkaOptions(settings, target)));
  options.note_positions = [group = offsets->get()](std::span<const log::ReadFrom> positions,
                                                    bool last) {
    if (!last) {
      return group->Note(positions);
    }
    // An answer that is missing would keep the last positions from being noted.
    static_cast<void>(group->Finish(kLastOffsetsMax));
    const Status noted = group->Note(positions);
    return noted.ok() ? group->Finish(kLastOffsetsMax) : noted;
  };
  return options;
}

Result<ExitCode> RunServe(Program& program, std::string_view target) {
  std::signal(SIGPIPE, SIG_IGN);  // A client that goes away must not end the server.
  const Settings& settings = program.settings();
  ALERTSTREAM_ASSIGN_OR_RETURN(const ServerTargets targets, ParseServerTarget(target));
  if (program.local() && !targets.processor) {
    return Error(ErrorCode::kInvalid,
                 "--target: a local log belongs to one process; use --target=all, or a log on "
                 "Kafka");
  }
  if (target != "processor" && settings.Text(Setting::kRuntimeStandby) != "none") {
    return Error(ErrorCode::kInvalid,
                 "--standby (runtime.standby): it goes with --target=processor; the other parts "
                 "need nobody to stand by, start more of them");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const Deployment deployment,
      OpenDeployment(settings, program.clock(),
                     program.local() ? LogAccess::kCreate : LogAccess::kWrite));
  std::unique_ptr<log::KafkaGroupOffsets> offsets;
  ALERTSTREAM_ASSIGN_OR_RETURN(ServeOptions options,
                               MakeServeOptions(program, deployment, targets.processor, &offsets));
  options.health = {.address = settings.Text(Setting::kMetricsAddress),
                    .port = static_cast<std::uint16_t>(settings.Integer(Setting::kMetricsPort))};
  // Connects when it is used: a database that is away does not keep the server from starting.
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto database, OpenReadSide(settings, program.clock()));
  if (database == nullptr && target == "projector") {
    return Error(ErrorCode::kInvalid,
                 "--target=projector: it needs a database; name one with --postgres or "
                 "ALERTSTREAM_POSTGRES_URL");
  }
  options.start_parts = [&](const ServerContext& context) {
    return StartParts(program, deployment, targets, context, database.get());
  };
  return Serve(program.MakeSession(deployment), std::move(options));
}

}  // namespace alertstream::cli
