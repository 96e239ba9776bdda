#include "ops/cli/dev.h"

#include <unistd.h>

#include <csignal>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/access_part.h"
#include "ops/cli/api_part.h"
#include "ops/cli/commands/outcomes.h"
#include "ops/cli/commands/rules.h"
#include "ops/cli/dev_directory.h"
#include "ops/cli/dev_postgres.h"
#include "ops/cli/dispatch_part.h"
#include "ops/cli/json_object.h"
#include "ops/cli/projector_part.h"
#include "ops/cli/read_side.h"
#include "ops/cli/seed_command.h"
#include "ops/cli/server_run.h"
#include "ops/cli/version.h"
#include "ops/cli/words.h"
#include "ops/seed/demo_history.h"
#include "ops/seed/demo_rules.h"
#include "ops/simulator/provider_simulator.h"

namespace alertstream::cli {
namespace {

constexpr std::string_view kDemoUser = "demo@alertstream.local";

// How long the rest of dev waits for its database; a new one is made in a second or two.
constexpr std::chrono::milliseconds kDatabaseWaitMax{10'000};

// The addresses that are known only when everything listens. Thread-safe.
class DevEndpoints {
 public:
  void Set(std::string provider_url, std::string public_url) {
    const std::scoped_lock lock(mutex_);
    provider_url_ = std::move(provider_url);
    public_url_ = std::move(public_url);
  }
  std::string provider_url() const {
    const std::scoped_lock lock(mutex_);
    return provider_url_;
  }
  std::string public_url() const {
    const std::scoped_lock lock(mutex_);
    return public_url_;
  }
  void Adjust(dispatch::ProviderAccount* account) const {
    const std::scoped_lock lock(mutex_);
    if (account->base_url == kDevProviderUrl) {
      account->base_url = provider_url_;
    }
    if (account->public_url == kDevPublicUrl) {
      account->public_url = public_url_;
    }
  }

 private:
  mutable std::mutex mutex_;
  std::string provider_url_{kDevProviderUrl};
  std::string public_url_{kDevPublicUrl};
};

// The provider simulator inside a dev; it knows the accounts of the keys file and of the tables.
class SimulatorPart : public ServerPart {
 public:
  SimulatorPart(std::unique_ptr<simulator::ProviderSimulator> simulator,
                const dispatch::ProviderAccounts& accounts)
      : simulator_(std::move(simulator)), accounts_(accounts) {}

  std::string_view name() const override { return "simulator"; }
  HealthState Health() const override {
    JsonObject object;
    object.Text("status", "ready");
    object.Text("url", simulator_->url());
    return {.ready = true, .body = object.Take()};
  }
  void Tick() override {
    std::vector<dispatch::ProviderAccount> accounts;
    for (const auto& account : accounts_.All()) {
      accounts.push_back(*account);
    }
    simulator_->SetAccounts(std::move(accounts));
  }
  bool Stop(std::chrono::milliseconds /*deadline*/) override {
    simulator_->Stop();
    return true;
  }
  std::string url() const { return simulator_->url(); }

 private:
  const std::unique_ptr<simulator::ProviderSimulator> simulator_;
  const dispatch::ProviderAccounts& accounts_;
};

bool IsJson(const Streams& io) {
  return io.render.format == OutputFormat::kJson || io.render.format == OutputFormat::kJsonLines;
}

// Asks whoever sits there, or wants the flag.
Status ConfirmReset(const std::string& data_dir, bool yes) {
  if (yes || !HoldsData(data_dir)) {
    return Status::Ok();
  }
  if (::isatty(STDIN_FILENO) == 0) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("--reset removes all that is in {}; say so with --yes", data_dir));
  }
  std::cerr << fmt::format("Remove log, state and keys in {}? [y/N] ", data_dir) << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "yes") {
    return Status::Ok();
  }
  return Error(ErrorCode::kInvalid, "nothing was removed");
}

// Whether the log has the demo's tenant.
Result<bool> HasDemoTenant(const Session& session) {
  bool found = false;
  const std::string tenant(seed::kTenant);
  ALERTSTREAM_RETURN_IF_ERROR(ForEachBatchOf(
      session, schemas::PartitionOf(tenant, session.identity.partitions), {schemas::Topic::kFacts},
      [&](std::int32_t, const runtime::ReleasedBatch& batch) -> Status {
        for (std::size_t i = 0; i < batch.outputs.size() && !found; ++i) {
          v1::Fact fact;
          const auto& value = batch.outputs[i].record.value;
          found = fact.ParseFromArray(value.data(), static_cast<int>(value.size())) &&
                  fact.has_tenant_change() && fact.tenant() == tenant;
        }
        return Status::Ok();
      }));
  return found;
}

// Tenant, plan, site and sender of the demo; its triggers come with its history.
Status EnsureDemoAccount(const Session& session) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const bool is_there, HasDemoTenant(session));
  if (is_there) {
    return Status::Ok();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(RuleSet rules, seed::DemoRules());
  std::erase_if(rules.changes, [](const RuleChange& change) { return change.kind == "trigger"; });
  ALERTSTREAM_ASSIGN_OR_RETURN(const RulesReport report, ApplyRules(session, rules));
  return report.rejected.empty()
             ? Status::Ok()
             : Status(Error(ErrorCode::kConflict, "demo rules: " + report.rejected.front()));
}

class Dev {
 public:
  Dev(Program& program, const DevArguments& arguments)
      : program_(program),
        arguments_(arguments),
        data_dir_(program.settings().Text(Setting::kDataDir)),
        began_(program.clock().SinceBoot()) {}

  Result<ExitCode> Run();

 private:
  Status Prepare();
  Status OpenDatabase();
  Result<ServerParts> StartParts(const ServerContext& context);
  void EnsureDemoUser();
  Status Ready(const Session& session);
  void PrintScreen() const;
  double Seconds() const {
    return static_cast<double>((program_.clock().SinceBoot() - began_).count()) / 1e6;
  }

  Program& program_;
  const DevArguments& arguments_;
  const std::string data_dir_;
  const std::chrono::microseconds began_;
  std::unique_ptr<DevLock> lock_;
  std::optional<seed::SeedReport> seeded_;
  std::optional<Deployment> deployment_;
  // Made by Prepare, then a part; the description is of when everything was ready.
  std::unique_ptr<DevPostgres> postgres_;
  std::string postgres_description_;
  std::optional<Settings> settings_;  // With the database's URL.
  std::unique_ptr<sql::Database> database_;
  DevEndpoints endpoints_;
  DevFile file_;
};

Status Dev::Prepare() {
  ALERTSTREAM_ASSIGN_OR_RETURN(lock_, DevLock::Take(data_dir_, program_.clock()));
  if (arguments_.reset) {
    ALERTSTREAM_RETURN_IF_ERROR(ConfirmReset(data_dir_, arguments_.yes));
    ALERTSTREAM_RETURN_IF_ERROR(EmptyDataDirectory(data_dir_));
  }
  const Settings& settings = program_.settings();
  postgres_ = DevPostgres::Start(settings, program_.clock());  // While the rest is made ready.
  if (arguments_.seed == "demo") {
    auto report =
        SeedDataDir(settings, program_.clock(), {.rng_seed = arguments_.rng_seed},
                    program_.quiet() || IsJson(program_.io()) ? nullptr : &program_.io().err);
    // A log that is there already is kept; its history is whatever it is.
    if (!report.ok() && (report.error().code() != ErrorCode::kConflict || !HasLog(data_dir_))) {
      return report.error();
    }
    if (report.ok()) {
      seeded_ = std::move(report).value();
    }
  }
  ALERTSTREAM_RETURN_IF_ERROR(EnsureDevKeys(KeysPath(settings)));
  ALERTSTREAM_RETURN_IF_ERROR(ReadDevKeys(KeysPath(settings), &file_));
  ALERTSTREAM_ASSIGN_OR_RETURN(deployment_,
                               OpenDeployment(settings, program_.clock(), LogAccess::kCreate));
  return Status::Ok();
}

Status Dev::OpenDatabase() {
  postgres_->AwaitReady(kDatabaseWaitMax);
  postgres_description_ = postgres_->Describe();
  settings_ = program_.settings().WithText(Setting::kPostgresUrl, postgres_->url(), "dev");
  ALERTSTREAM_ASSIGN_OR_RETURN(database_, OpenReadSide(*settings_, program_.clock()));
  return Status::Ok();
}

Result<ServerParts> Dev::StartParts(const ServerContext& context) {
  ALERTSTREAM_RETURN_IF_ERROR(OpenDatabase());
  const Settings& settings = *settings_;
  ALERTSTREAM_ASSIGN_OR_RETURN(auto identity,
                               IdentityPart::Open({.settings = settings,
                                                   .clock = program_.clock(),
                                                   .metrics = context.metrics,
                                                   .adjust_account =
                                                       [this](dispatch::ProviderAccount* account) {
                                                         endpoints_.Adjust(account);
                                                       },
                                                   .database = database_.get(),
                                                   .makes_master_key = true}));
  std::unique_ptr<SimulatorPart> simulator;
  if (arguments_.provider_url.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto started,
                                 simulator::ProviderSimulator::Start({}, program_.clock()));
    simulator = std::make_unique<SimulatorPart>(std::move(started), identity->accounts());
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto api, ApiPart::Start({.settings = settings,
                                                         .deployment = *deployment_,
                                                         .clock = program_.clock(),
                                                         .keys = identity->keys(),
                                                         .accounts = identity->mirror(),
                                                         .providers = identity->desk(),
                                                         .context = context,
                                                         .database = database_.get()}));
  endpoints_.Set(simulator ? simulator->url() : arguments_.provider_url, api->url());
  ALERTSTREAM_RETURN_IF_ERROR(identity->ReloadAccounts());
  if (simulator) {
    simulator->Tick();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto partitions,
                               ParseAssigned("all", deployment_->identity.partitions));
  std::unique_ptr<ProjectorPart> projector;
  if (database_ != nullptr) {
    projector = ProjectorPart::Start({.deployment = *deployment_,
                                      .clock = program_.clock(),
                                      .database = *database_,
                                      .metrics = context.metrics,
                                      .partitions = partitions});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto dispatcher,
                               DispatchPart::Start({.settings = settings,
                                                    .deployment = *deployment_,
                                                    .clock = program_.clock(),
                                                    .accounts = identity->accounts(),
                                                    .metrics = context.metrics,
                                                    .partitions = std::move(partitions)}));
  identity->desk().SetDispatcher(&dispatcher->dispatcher());
  ServerParts parts;
  parts.push_back(std::move(api));
  parts.push_back(std::move(dispatcher));
  if (projector) {
    parts.push_back(std::move(projector));
  }
  if (simulator) {
    parts.push_back(std::move(simulator));
  }
  parts.push_back(std::move(identity));
  parts.push_back(std::move(postgres_));
  return parts;
}

// The demo's owner, who logs in with what dev.json says. Without the database there is none.
void Dev::EnsureDemoUser() {
  if (database_ == nullptr) {
    return;
  }
  auto tables = IdentityTables::Open(*settings_, *database_, program_.clock());
  if (!tables.ok()) {
    return;
  }
  const Redacted<std::string> password = tables.value()->Derived("demo user");
  const auto create = [&](const Redacted<std::string>& with) {
    return tables.value()->accounts().CreateUser(file_.tenant_id,
                                                 Redacted<std::string>(std::string(kDemoUser)),
                                                 with, api::Role::kOwner, "dev");
  };
  auto made = create(Redacted<std::string>());
  if (!made.ok() && made.error().code() == ErrorCode::kNotFound) {
    made = create(password);
  }
  if (made.ok() || made.error().code() == ErrorCode::kConflict) {
    file_.user_email = kDemoUser;
    file_.user_password = password.Reveal();
  }
}

Status Dev::Ready(const Session& session) {
  ALERTSTREAM_RETURN_IF_ERROR(EnsureDemoAccount(session));
  EnsureDemoUser();
  file_.api_url = endpoints_.public_url();
  file_.provider_url = endpoints_.provider_url();
  file_.postgres_url = settings_->Text(Setting::kPostgresUrl);
  file_.log = program_.settings().Text(Setting::kLog);
  file_.pid = ::getpid();
  ALERTSTREAM_RETURN_IF_ERROR(WriteDevFile(data_dir_, file_));
  if (IsJson(program_.io())) {
    program_.io().out << DevFileJson(file_) << std::flush;
  } else {
    PrintScreen();
  }
  return Status::Ok();
}

void Dev::PrintScreen() const {
  std::ostream& out = program_.io().out;
  out << fmt::format(
      "AlertStream {} development server (not for production: simulated provider, demo keys, no "
      "TLS)\n",
      kVersion);
  out << fmt::format("  log         {}   {} partitions\n", deployment_->log->Describe(),
                     deployment_->identity.partitions);
  if (seeded_) {
    out << fmt::format(
        "  seed        demo  rng {}   {} events, {} notifications over {} days   {:.1f} s\n",
        arguments_.rng_seed, Grouped(seeded_->events), Grouped(seeded_->notifications),
        seeded_->days, seeded_->seconds);
  } else if (arguments_.seed != "none") {
    out << "  seed        none: the log was there already (--reset begins anew)\n";
  }
  out << fmt::format("  api         {0}/api/v1/ingest   metrics {0}/metrics   health {0}/health\n",
                     file_.api_url);
  out << fmt::format("  provider    {}   {}/messages\n",
                     arguments_.provider_url.empty() ? "simulator inside" : "elsewhere",
                     file_.provider_url);
  const auto shown = [](const std::string& key) { return key.substr(0, 15) + "..."; };
  out << fmt::format("  postgres    {}\n", postgres_description_);
  out << fmt::format("  keys        {} (browser)   {} (server)   {} (operator)   in {}\n",
                     shown(file_.publishable_key), shown(file_.secret_key),
                     shown(file_.operator_key), DevFilePath(data_dir_));
  const std::string next =
      arguments_.seed == "none"
          ? "alertstream triggers apply -f RULES --tenant " + file_.tenant_id
          : "alertstream fire payment.failed --to +254700000001 --set amount=49 --set currency=USD "
            "--set order=A-17 --wait";
  out << fmt::format("Ready in {:.1f} s.  Next: {}{}\nCtrl-C stops, data kept (--reset to wipe)\n",
                     Seconds(), next, program_.SameLog());
  out.flush();
}

Result<ExitCode> Dev::Run() {
  std::signal(SIGPIPE, SIG_IGN);  // A client that goes away must not end the server.
  ALERTSTREAM_RETURN_IF_ERROR(Prepare());
  std::unique_ptr<log::KafkaGroupOffsets> offsets;
  ALERTSTREAM_ASSIGN_OR_RETURN(ServeOptions options,
                               MakeServeOptions(program_, *deployment_, true, &offsets));
  const Session session = program_.MakeSession(*deployment_);
  options.start_parts = [this](const ServerContext& context) { return StartParts(context); };
  options.on_ready = [&] { return Ready(session); };
  auto result = Serve(session, std::move(options));
  RemoveDevFile(data_dir_);
  return result;
}

}  // namespace

Result<ExitCode> RunDev(Program& program, const DevArguments& arguments) {
  return Dev(program, arguments).Run();
}

}  // namespace alertstream::cli
