#include "ops/cli/wiring.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/settings_table.h"
#include "ops/cli/token_key.h"
#include "ops/seed/seeding_mark.h"
#include "processor/base/crypto.h"
#include "processor/base/log.h"
#include "processor/engine/state_keys.h"
#include "processor/log/local/local_log.h"
#include "processor/log/local/store.h"
#include "processor/runtime/lease_book.h"
#include "processor/state/directory/snapshot_directory.h"
#include "processor/state/rocksdb/rocksdb_store.h"
#include "processor/state/rocksdb/state_reader.h"

namespace alertstream::cli {
namespace {

// Block cache and memtables of all partitions' stores.
constexpr std::size_t kStoreMemoryBytes = std::size_t{32} << 20U;
constexpr std::size_t kSideStoreMemoryBytes = std::size_t{16} << 20U;

bool IsNoHistory(std::string_view /*key*/) { return false; }

bool Creates(LogAccess access) {
  return access == LogAccess::kCreate || access == LogAccess::kSeed;
}

std::filesystem::path DataDir(const Settings& settings) {
  return std::filesystem::path(settings.Text(Setting::kDataDir));
}

Result<LogTarget> TargetOf(const Settings& settings) {
  return ParseLogTarget(settings.Text(Setting::kLog));
}

// On Kafka several instances may share a machine and its data directory; each has its own state.
std::filesystem::path StateDirectory(const Settings& settings, const log::EventLog& log) {
  if (log.ExclusiveWriter()) {
    return DataDir(settings) / "state";
  }
  std::string name = settings.Text(Setting::kInstance);
  for (char& c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
    c = plain ? c : '_';
  }
  return DataDir(settings) / "state-kafka" / name;
}

// The same for snapshots, which must not lie where a state directory is deleted. Those of a log
// that was made anew are not looked at.
std::filesystem::path SnapshotDirectory(const Settings& settings, const log::EventLog& log,
                                        const runtime::LogIdentity& identity) {
  const std::string& given = settings.Text(Setting::kRuntimeSnapshotDir);
  std::filesystem::path directory =
      given.empty() ? DataDir(settings) / "snapshots" : std::filesystem::path(given);
  if (!log.ExclusiveWriter()) {
    directory /= StateDirectory(settings, log).filename();
  }
  return directory / identity.ToText();
}

// What runtime.standby names is followed: "all" are those that are assigned, others come to them.
Status AddStandby(const Settings& settings, const Deployment& deployment,
                  const std::string& instance, runtime::ProcessorOptions* options) {
  const std::string& text = settings.Text(Setting::kRuntimeStandby);
  options->auto_take_over = settings.Bool(Setting::kRuntimeAutoTakeOver);
  if (text == "none") {
    return !options->auto_take_over
               ? Status::Ok()
               : Status(Error(ErrorCode::kInvalid,
                              "--auto (runtime.auto_take_over): it goes with --standby"));
  }
  if (deployment.log->ExclusiveWriter()) {
    return Error(ErrorCode::kInvalid,
                 "--standby (runtime.standby): a local log has one process, which holds its "
                 "directory's lock: nobody can follow it or take over while it lives. Start "
                 "another process when it is gone, or put the log on Kafka");
  }
  if (instance == SpecOf(Setting::kInstance).default_value) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("--standby (runtime.standby): '{}' is every instance's name unless "
                             "another is given, and two of one name cannot be told apart; give "
                             "this one its own with --instance NAME",
                             instance));
  }
  options->standby = options->partitions;
  if (text != "all") {
    ALERTSTREAM_ASSIGN_OR_RETURN(options->standby,
                                 ParseAssigned(text, deployment.identity.partitions));
    options->partitions.insert(options->partitions.end(), options->standby.begin(),
                               options->standby.end());
    std::sort(options->partitions.begin(), options->partitions.end());
    options->partitions.erase(std::unique(options->partitions.begin(), options->partitions.end()),
                              options->partitions.end());
  }
  return Status::Ok();
}

std::string MarkerIn(const std::filesystem::path& state, std::int32_t partition) {
  return (state / fmt::format("{}.crash", partition)).string();
}

// The bytes that tell whoever works on this state from others of its name: made once, as text. What
// cannot be kept is made anew at each start, which then waits a little for a rival of its name.
std::string ProcessOf(const std::filesystem::path& state) {
  const std::filesystem::path path = state / "process";
  std::string text;
  std::ifstream(path) >> text;
  std::string bytes = FromHex(text);
  if (bytes.size() == runtime::kProcessBytes) {
    return bytes;
  }
  bytes = RandomBytes(runtime::kProcessBytes);
  const std::filesystem::path draft = state / "process.new";
  const bool written =
      static_cast<bool>(std::ofstream(draft, std::ios::trunc) << ToHex(bytes) << std::endl);
  std::error_code error;
  if (written) {
    std::filesystem::rename(draft, path, error);
  }
  return bytes;
}

Status MakeDirectory(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return Error(ErrorCode::kUnavailable,
                 fmt::format("{} cannot be made: {}", directory.string(), error.message()));
  }
  return Status::Ok();
}

}  // namespace

std::chrono::milliseconds AskTimeout(const Settings& settings) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      settings.Duration(Setting::kTimeout));
}

log::KafkaLogOptions KafkaOptions(const Settings& settings, const LogTarget& target) {
  log::KafkaLogOptions options;
  options.bootstrap = target.bootstrap;
  const std::string& protocol = settings.Text(Setting::kKafkaSecurityProtocol);
  options.settings["security.protocol"] = protocol;
  const auto text = [&](const char* name, Setting setting) {
    if (!settings.Text(setting).empty()) {
      options.settings[name] = settings.Text(setting);
    }
  };
  const auto secret = [&](const char* name, Setting setting) {
    if (settings.Secret(setting)) {
      options.settings[name] = settings.Secret(setting)->Reveal();
    }
  };
  if (protocol.starts_with("sasl_")) {
    text("sasl.mechanism", Setting::kKafkaSaslMechanism);
    text("sasl.username", Setting::kKafkaSaslUsername);
    secret("sasl.password", Setting::kKafkaSaslPassword);
  }
  text("ssl.ca.location", Setting::kKafkaSslCaLocation);
  text("ssl.certificate.location", Setting::kKafkaSslCertificateLocation);
  text("ssl.key.location", Setting::kKafkaSslKeyLocation);
  secret("ssl.key.password", Setting::kKafkaSslKeyPassword);
  options.instance = "alertstream-" + settings.Text(Setting::kInstance);
  options.topic_prefix = settings.Text(Setting::kKafkaTopicPrefix);
  options.on_log = [](int, std::string_view line) {
    Log(LogLevel::kWarning, "kafka_client", {{"line", line}});
  };
  return options;
}

Result<std::unique_ptr<log::EventLog>> OpenLog(const Settings& settings, Clock& clock,
                                               LogAccess access) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const LogTarget target, TargetOf(settings));
  if (target.kafka) {
    return log::OpenKafkaLog(KafkaOptions(settings, target));
  }
  const auto directory = DataDir(settings) / "log";
  std::error_code error;
  if (access != LogAccess::kSeed) {
    ALERTSTREAM_RETURN_IF_ERROR(seed::CheckNotSeeding(settings.Text(Setting::kDataDir)));
  }
  if (!Creates(access) && !std::filesystem::exists(directory, error)) {
    return Error(ErrorCode::kNotFound, fmt::format("there is no log in {}", directory.string()));
  }
  if (Creates(access)) {
    ALERTSTREAM_RETURN_IF_ERROR(MakeDirectory(DataDir(settings)));
  }
  return log::OpenLocalLog(
      {.directory = directory.string(),
       .clock = clock,
       .read_only = access == LogAccess::kRead,
       .sync = access != LogAccess::kSeed && settings.Bool(Setting::kLocalSync)});
}

Status WhileNobodyOwnsLog(const std::string& directory, const std::function<Status()>& work) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto lock, log::DirectoryLock::Take(directory));
  return work();
}

Result<HmacKey> OpenTokenKey(const Settings& settings, LogAccess access) {
  const auto& given = settings.Secret(Setting::kTokenKey);
  if (given) {
    return HmacKey(given->Reveal());
  }
  const auto file = DataDir(settings) / "token.key";
  std::error_code error;
  if (!Creates(access) && !std::filesystem::exists(file, error)) {
    return Error(
        ErrorCode::kNotFound,
        fmt::format("there is no token key: {} does not exist and ALERTSTREAM_TOKEN_KEY_FILE "
                    "is not set",
                    file.string()));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto key,
                               LoadOrCreateTokenKey(settings.Text(Setting::kDataDir)));
  return HmacKey(key.Reveal());
}

Result<Deployment> OpenDeployment(const Settings& settings, Clock& clock, LogAccess access) {
  const auto timeout = AskTimeout(settings);
  Deployment deployment;
  ALERTSTREAM_ASSIGN_OR_RETURN(deployment.log, OpenLog(settings, clock, access));
  log::EventLog& log = *deployment.log;
  bool fresh = false;
  if (Creates(access)) {
    const auto partitions = log.Partitions(timeout);
    if (!partitions.ok() && partitions.error().code() != ErrorCode::kNotFound) {
      return partitions.error();
    }
    fresh = !partitions.ok();
  }
  // The key of a log that is there already must not be replaced by a new one.
  ALERTSTREAM_ASSIGN_OR_RETURN(
      deployment.token_key, OpenTokenKey(settings, fresh ? LogAccess::kCreate : LogAccess::kRead));
  if (fresh) {
    ALERTSTREAM_RETURN_IF_ERROR(log.ApplyTopics(
        {.partitions = static_cast<std::int32_t>(settings.Integer(Setting::kPartitions)),
         .replication = static_cast<std::int16_t>(settings.Integer(Setting::kKafkaReplication))},
        timeout));
  }
  if (Creates(access)) {
    ALERTSTREAM_ASSIGN_OR_RETURN(deployment.identity,
                                 runtime::EnsureMarkers(log, deployment.token_key, timeout));
    return deployment;
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(deployment.identity,
                               runtime::CheckMarkers(log, deployment.token_key, 0, timeout));
  return deployment;
}

Result<runtime::ProcessorOptions> MakeProcessorOptions(const Settings& settings,
                                                       const Deployment& deployment,
                                                       const Ownership& ownership) {
  runtime::ProcessorOptions options;
  ALERTSTREAM_ASSIGN_OR_RETURN(options.partitions,
                               ParseAssigned(ownership.assigned, deployment.identity.partitions));
  ALERTSTREAM_RETURN_IF_ERROR(AddStandby(settings, deployment, ownership.instance, &options));
  if (options.partitions.size() > runtime::kPartitionsPerProcessMax) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("runtime.assigned: {} partitions are more than one process should "
                             "have; give it at most {}",
                             options.partitions.size(), runtime::kPartitionsPerProcessMax));
  }
  const auto directory = StateDirectory(settings, *deployment.log);
  ALERTSTREAM_RETURN_IF_ERROR(MakeDirectory(directory));
  options.token_key = deployment.token_key;
  options.task.instance = ownership.instance;
  options.process = ProcessOf(directory);
  options.task.accept_clock = settings.Bool(Setting::kAcceptClock);
  options.take_over = settings.Bool(Setting::kTakeOver);
  options.cache_bytes = static_cast<std::size_t>(settings.Integer(Setting::kRuntimeCacheBytes));
  options.open_store =
      [directory, memory = state::StoreMemory::Create(kStoreMemoryBytes)](std::int32_t partition) {
        return state::OpenRocksDbStore((directory / std::to_string(partition)).string(),
                                       engine::IsHistoryKey, memory);
      };
  options.crash_marker_path = [directory](std::int32_t partition) {
    return MarkerIn(directory, partition);
  };
  options.snapshots = {
      .store = state::OpenSnapshotDirectory(
          {.directory = SnapshotsPath(settings, *deployment.log, deployment.identity),
           .state_directory = directory.string()}),
      .every = settings.Duration(Setting::kRuntimeSnapshotEvery),
      .batches = static_cast<std::uint64_t>(settings.Integer(Setting::kRuntimeSnapshotBatches)),
      .kept = static_cast<std::size_t>(settings.Integer(Setting::kRuntimeSnapshotsKept))};
  return options;
}

Result<std::unique_ptr<state::StateStore>> OpenSideStore(const Settings& settings,
                                                         const log::EventLog& log,
                                                         const std::string& name) {
  const auto directory = StateDirectory(settings, log);
  ALERTSTREAM_RETURN_IF_ERROR(MakeDirectory(directory));
  return state::OpenRocksDbStore((directory / name).string(), IsNoHistory,
                                 state::StoreMemory::Create(kSideStoreMemoryBytes));
}

std::string KeysPath(const Settings& settings) {
  const std::string& given = settings.Text(Setting::kKeysFile);
  return given.empty() ? (DataDir(settings) / "keys.toml").string() : given;
}

Result<std::unique_ptr<identity::KeysFile>> OpenKeys(const Settings& settings, Metrics& metrics,
                                                     identity::AccountAdjuster adjust_account) {
  for (const std::string_view result : {"ok", "failed"}) {
    metrics.CounterOf(MetricId::kKeysReloads, {result});
  }
  auto keys = identity::KeysFile::Open(
      {.path = KeysPath(settings),
       .on_reload =
           [&metrics](const Status& status) {
             metrics.CounterOf(MetricId::kKeysReloads, {status.ok() ? "ok" : "failed"}).Add();
             if (status.ok()) {
               Log(LogLevel::kInfo, "keys_reloaded", {});
             } else {
               Log(LogLevel::kError, "keys_not_reloaded", {{"error", status.error().message()}});
             }
           },
       .adjust_account = std::move(adjust_account)});
  if (!keys.ok() && keys.error().code() == ErrorCode::kNotFound) {
    return Error(ErrorCode::kNotFound,
                 fmt::format("there are no API keys and no provider accounts: {} does not exist; "
                             "what it holds: ops/identity/README.md",
                             KeysPath(settings)));
  }
  return keys;
}

api::ConfiguredAccounts ConfiguredIn(const identity::KeysFile& keys) {
  return {
      .has_account = [&keys](
                         std::string_view provider,
                         std::string_view name) { return keys.Find(provider, name) != nullptr; },
      .has_number = [&keys](std::string_view provider,
                            std::string_view number) { return keys.HasNumber(provider, number); }};
}

std::string ProgressPath(const Settings& settings, const log::EventLog& log,
                         std::int32_t partition) {
  return (StateDirectory(settings, log) / fmt::format("{}.progress", partition)).string();
}

std::string CrashMarkerPath(const Settings& settings, const log::EventLog& log,
                            std::int32_t partition) {
  return MarkerIn(StateDirectory(settings, log), partition);
}

Result<std::unique_ptr<state::StateStore>> OpenStateDirectory(const std::string& directory) {
  return state::OpenStateReader(directory, engine::IsHistoryKey);
}

std::string SnapshotsPath(const Settings& settings, const log::EventLog& log,
                          const runtime::LogIdentity& identity) {
  return SnapshotDirectory(settings, log, identity).string();
}

Result<std::unique_ptr<state::StateStore>> OpenStateFor(const std::string& directory,
                                                        std::int32_t partition) {
  ALERTSTREAM_RETURN_IF_ERROR(MakeDirectory(directory));
  return state::OpenRocksDbStore(
      (std::filesystem::path(directory) / std::to_string(partition)).string(), engine::IsHistoryKey,
      state::StoreMemory::Create(kStoreMemoryBytes));
}

struct ScratchStores::Memory {
  std::shared_ptr<state::StoreMemory> shared = state::StoreMemory::Create(kStoreMemoryBytes);
};

ScratchStores::ScratchStores(std::string directory)
    : directory_(std::move(directory)), memory_(std::make_unique<Memory>()) {}

ScratchStores::~ScratchStores() {
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

Result<std::unique_ptr<ScratchStores>> ScratchStores::Create() {
  std::error_code error;
  const auto parent = std::filesystem::temp_directory_path(error);
  std::string path = (parent / "alertstream-audit-XXXXXX").string();
  if (error || ::mkdtemp(path.data()) == nullptr) {
    return Error(ErrorCode::kUnavailable,
                 fmt::format("no directory can be made in {}; set TMPDIR", parent.string()));
  }
  return std::unique_ptr<ScratchStores>(new ScratchStores(std::move(path)));
}

Result<std::unique_ptr<state::StateStore>> ScratchStores::Open(std::int32_t partition) {
  return state::OpenRocksDbStore(
      (std::filesystem::path(directory_) / std::to_string(partition)).string(),
      engine::IsHistoryKey, memory_->shared);
}

}  // namespace alertstream::cli
