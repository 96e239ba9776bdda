#include "ops/cli/settings_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>
#include <system_error>
#include <utility>

#include "processor/base/duration.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

namespace alertstream::cli {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20U;
constexpr std::int64_t kSecondUs = 1'000'000;

constexpr SettingType kText = SettingType::kText;
constexpr SettingType kChoice = SettingType::kChoice;
constexpr SettingType kInteger = SettingType::kInteger;
constexpr SettingType kBytes = SettingType::kBytes;
constexpr SettingType kBool = SettingType::kBool;
constexpr SettingType kDuration = SettingType::kDuration;
constexpr SettingType kSecret = SettingType::kSecret;

constexpr std::array<SettingSpec, kSettingCount> kTable = {{
    {Setting::kDataDir, "data_dir", kText, ".alertstream", 0, 0, "",
     "directory of the local log, of state and of generated keys"},
    {Setting::kLog, "log", kText, "local", 0, 0, "",
     "where records live: local, or kafka://HOST:PORT[,HOST:PORT]"},
    {Setting::kTenant, "tenant", kText, "", 0, 0, "",
     "tenant of events, rules and commands that name none"},
    {Setting::kInstance, "instance", kText, "main", 0, 0, "",
     "name of this instance in leases; unique among those that share a log"},
    // schemas::kPartitionsMax; fixed when the topics are created.
    {Setting::kPartitions, "partitions", kInteger, "4", 1, schemas::kPartitionsMax, "",
     "partitions of every topic when a log is created; never changed afterwards"},
    {Setting::kTakeOver, "take_over", kBool, "false", 0, 0, "",
     "start although another instance holds a live lease"},
    {Setting::kAcceptClock, "accept_clock", kBool, "false", 0, 0, "",
     "start although the clock jumped by more than 7 days"},
    {Setting::kTimeout, "timeout", kDuration, "15s", kSecondUs / 10, 3600 * kSecondUs, "",
     "how long a command waits for one answer of the log"},
    {Setting::kTokenKey, "token_key", kSecret, "", 0, 0, "",
     "32 bytes, hexadecimal or base64, under which recipients are named; generated for a local "
     "log"},
    {Setting::kMasterKey, "master_key", kSecret, "", 0, 0, "",
     "keys that seal users' and API keys' secrets, one a line, the first in force; default "
     "data_dir/master.key, made when it is missing"},
    {Setting::kKeysFile, "keys_file", kText, "", 0, 0, "",
     "API keys and provider accounts (TOML, mode 0600); empty: keys.toml in data_dir"},
    {Setting::kApiUrl, "api_url", kText, "", 0, 0, "",
     "server that client commands talk to, http://HOST:PORT; empty: the dev of data_dir"},
    {Setting::kSecretKey, "secret_key", kSecret, "", 0, 0, "",
     "API key that client commands send events with, as_sk_..."},
    {Setting::kSigningSecret, "signing_secret", kSecret, "", 0, 0, "",
     "what client commands sign events with"},
    {Setting::kOperatorKey, "operator_key", kSecret, "", 0, 0, "",
     "API key of client commands that change or ask the deployment, as_op_..."},
    {Setting::kWebhookSecret, "webhook_secret", kSecret, "", 0, 0, "",
     "what `webhook sign` and `webhook verify` work with: signing secret or auth token"},
    {Setting::kApiAddress, "api.address", kText, "127.0.0.1", 0, 0, "", "address of the API"},
    {Setting::kApiPort, "api.port", kInteger, "8080", 0, 65535, "",
     "port of the API; 0: a free one"},
    {Setting::kApiThreads, "api.threads", kInteger, "2", 1, 64, "", "threads that serve requests"},
    // Beyond, a client that waits for its decision would have given up.
    {Setting::kApiLagMax, "api.lag_max", kDuration, "30s", kSecondUs, 3600 * kSecondUs, "",
     "events are refused with 503 while decisions are this far behind"},
    {Setting::kApiTrustedProxies, "api.trusted_proxies", kText, "", 0, 0, "",
     "networks of proxies in front of the API, such as 10.0.0.0/8,127.0.0.1: their X-Forwarded-For "
     "is believed"},
    {Setting::kDispatchCallTimeout, "dispatch.call_timeout", kDuration, "15s", kSecondUs / 10,
     120 * kSecondUs, "",
     "how long a provider may take to answer; then nobody knows whether it sent the message"},
    {Setting::kKafkaSecurityProtocol, "kafka.security_protocol", kChoice, "plaintext", 0, 0,
     "plaintext|ssl|sasl_plaintext|sasl_ssl", "how brokers are reached"},
    {Setting::kKafkaSaslMechanism, "kafka.sasl_mechanism", kChoice, "SCRAM-SHA-512", 0, 0,
     "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512", "how the user is proved; with sasl_* protocols"},
    {Setting::kKafkaSaslUsername, "kafka.sasl_username", kText, "", 0, 0, "",
     "user name; with sasl_* protocols"},
    {Setting::kKafkaSaslPassword, "kafka.sasl_password", kSecret, "", 0, 0, "",
     "password; with sasl_* protocols"},
    {Setting::kKafkaSslCaLocation, "kafka.ssl_ca_location", kText, "", 0, 0, "",
     "file of the authorities that sign the brokers' certificates; empty: the system's"},
    {Setting::kKafkaSslCertificateLocation, "kafka.ssl_certificate_location", kText, "", 0, 0, "",
     "file of our certificate, if brokers ask for one"},
    {Setting::kKafkaSslKeyLocation, "kafka.ssl_key_location", kText, "", 0, 0, "",
     "file of our certificate's private key"},
    {Setting::kKafkaSslKeyPassword, "kafka.ssl_key_password", kSecret, "", 0, 0, "",
     "pass phrase of the private key"},
    {Setting::kKafkaTopicPrefix, "kafka.topic_prefix", kText, "", 0, 0, "",
     "put before every topic and transactional id: several logs on one cluster"},
    {Setting::kKafkaReplication, "kafka.replication", kInteger, "1", 1, 9, "",
     "replicas of every topic that `topics apply` creates; 3 in production"},
    {Setting::kLocalSync, "local.sync", kBool, "true", 0, 0, "",
     "fsync the local log at every commit; false loses the last commits when the machine stops"},
    {Setting::kPostgresUrl, "postgres.url", kText, "", 0, 0, "",
     "database of the read side, postgres://USER@HOST:PORT/NAME without a password; empty: the dev "
     "of data_dir, or none"},
    {Setting::kPostgresPassword, "postgres.password", kSecret, "", 0, 0, "",
     "password of the database's user"},
    // PostgreSQL has 100 by default; the projector and identity have some of their own.
    {Setting::kPostgresSessionsMax, "postgres.sessions_max", kInteger, "8", 1, 1000, "",
     "sessions that requests share; as many can be answered at once"},
    {Setting::kMetricsAddress, "metrics.address", kText, "127.0.0.1", 0, 0, "",
     "address of /metrics and /health"},
    {Setting::kMetricsPort, "metrics.port", kInteger, "9464", 0, 65535, "",
     "port of /metrics and /health; 0: a free one"},
    {Setting::kLogOutputLevel, "log_output.level", kChoice, "info", 0, 0,
     "debug|info|warning|error", "the least level that is logged"},
    {Setting::kLogOutputFormat, "log_output.format", kChoice, "text", 0, 0, "text|json",
     "form of a log line on stderr"},
    {Setting::kLogOutputLinesPerSecond, "log_output.lines_per_second", kInteger, "20", 0, 100'000,
     "", "lines a second of one event name; 0: no limit"},
    {Setting::kRuntimeAssigned, "runtime.assigned", kText, "all", 0, 0, "",
     "partitions of this instance: all, none, or such as 0-3,8"},
    // The write-back maps of all partitions together.
    {Setting::kRuntimeCacheBytes, "runtime.cache_bytes", kBytes, "128MiB", kMiB, 65'536 * kMiB, "",
     "memory for hot state of all partitions together"},
    {Setting::kRuntimeDrainTimeout, "runtime.drain_timeout", kDuration, "10s", kSecondUs,
     600 * kSecondUs, "", "how long SIGTERM waits for batches under way"},
    {Setting::kRuntimeStandby, "runtime.standby", kText, "none", 0, 0, "",
     "partitions that this instance follows and can take over (Kafka): none, all of "
     "runtime.assigned, or others such as 4-7"},
    {Setting::kRuntimeAutoTakeOver, "runtime.auto_take_over", kBool, "false", 0, 0, "",
     "take a followed partition over when its owner wrote no lease for 5 s of the log's time"},
    {Setting::kRuntimeSnapshotDir, "runtime.snapshot_dir", kText, "", 0, 0, "",
     "directory of snapshots of state; empty: snapshots in data_dir. On another file system a "
     "snapshot is a copy, and deciding waits for it"},
    {Setting::kRuntimeSnapshotEvery, "runtime.snapshot_every", kDuration, "10m", kSecondUs,
     std::int64_t{7} * 86'400 * kSecondUs, "",
     "a working partition's state is kept as a snapshot this often"},
    {Setting::kRuntimeSnapshotBatches, "runtime.snapshot_batches", kInteger, "50000", 1,
     1'000'000'000, "", "and after so many batches, if they come sooner"},
    // state::kSnapshotsKeptMax
    {Setting::kRuntimeSnapshotsKept, "runtime.snapshots_kept", kInteger, "3", 0, 100, "",
     "snapshots a partition; 0: none are made"},
}};

constexpr bool IsInOrder() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].setting) != i) {
      return false;
    }
  }
  return true;
}
static_assert(IsInOrder(), "the table is indexed by Setting");

std::vector<std::string_view> Choices(std::string_view joined) {
  std::vector<std::string_view> choices;
  for (;;) {
    const std::size_t bar = joined.find('|');
    choices.push_back(joined.substr(0, bar));
    if (bar == std::string_view::npos) {
      return choices;
    }
    joined.remove_prefix(bar + 1);
  }
}

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

std::optional<std::int64_t> ParseBytes(std::string_view text) {
  unsigned shift = 0;
  for (const auto& [suffix, bits] :
       {std::pair<std::string_view, unsigned>{"KiB", 10}, {"MiB", 20}, {"GiB", 30}}) {
    if (text.ends_with(suffix)) {
      text.remove_suffix(suffix.size());
      shift = bits;
    }
  }
  const auto number = ParseInteger(text);
  if (!number || *number < 0 || *number > std::numeric_limits<std::int64_t>::max() >> shift) {
    return std::nullopt;
  }
  return *number << shift;
}

}  // namespace

std::span<const SettingSpec> SettingTable() { return kTable; }

const SettingSpec* FindSetting(std::string_view key) {
  const auto* found = std::find_if(kTable.begin(), kTable.end(),
                                   [key](const SettingSpec& spec) { return spec.key == key; });
  return found == kTable.end() ? nullptr : found;
}

const SettingSpec& SpecOf(Setting setting) { return kTable[static_cast<std::size_t>(setting)]; }

std::vector<std::string_view> SettingKeys() {
  std::vector<std::string_view> keys;
  keys.reserve(kTable.size());
  for (const SettingSpec& spec : kTable) {
    keys.push_back(spec.key);
  }
  return keys;
}

std::string ExpectedOf(const SettingSpec& spec) {
  switch (spec.type) {
    case SettingType::kText:
    case SettingType::kSecret:
      return "expected a text";
    case SettingType::kChoice:
      return fmt::format("expected one of {}", fmt::join(Choices(spec.choices), ", "));
    case SettingType::kInteger:
      return fmt::format("expected a whole number, {} to {}", spec.min, spec.max);
    case SettingType::kBytes:
      return fmt::format("expected bytes, such as 64MiB, {} to {}", spec.min, spec.max);
    case SettingType::kBool:
      return "expected true or false";
    case SettingType::kDuration:
      return fmt::format("expected a duration, {} to {}", FormatDuration(LogDuration(spec.min)),
                         FormatDuration(LogDuration(spec.max)));
  }
  return {};
}

std::optional<std::int64_t> SettingNumber(const SettingSpec& spec, std::string_view text) {
  std::optional<std::int64_t> number;
  switch (spec.type) {
    case SettingType::kText:
    case SettingType::kSecret:
      return text.size() <= kSettingTextBytesMax && text.find('\0') == std::string_view::npos
                 ? std::optional<std::int64_t>(0)
                 : std::nullopt;
    case SettingType::kChoice: {
      const auto choices = Choices(spec.choices);
      return std::find(choices.begin(), choices.end(), text) != choices.end()
                 ? std::optional<std::int64_t>(0)
                 : std::nullopt;
    }
    case SettingType::kBool:
      if (text == "true" || text == "false") {
        return text == "true" ? 1 : 0;
      }
      return std::nullopt;
    case SettingType::kInteger:
      number = ParseInteger(text);
      break;
    case SettingType::kBytes:
      number = ParseBytes(text);
      break;
    case SettingType::kDuration: {
      const auto duration = ParseDuration(text);
      number = duration.ok() ? std::optional(duration.value().count()) : std::nullopt;
      break;
    }
  }
  return number && *number >= spec.min && *number <= spec.max ? number : std::nullopt;
}

Status CheckSettingForm(Setting setting, const std::string& text) {
  if (setting == Setting::kLog) {
    const auto target = ParseLogTarget(text);
    return target.ok() ? Status::Ok() : Status(target.error());
  }
  if (setting == Setting::kTenant && !text.empty() && !schemas::IsTenantId(text)) {
    return Error(ErrorCode::kInvalid,
                 "expected a tenant id: a to z, 0 to 9, _ and -, at most 48, first a letter or "
                 "digit");
  }
  if (setting == Setting::kInstance && (text.empty() || text.size() > schemas::kActorBytesMax)) {
    return Error(ErrorCode::kInvalid, "expected a name of 1 to 128 bytes");
  }
  if (setting == Setting::kApiUrl && !text.empty() && !text.starts_with("http://") &&
      !text.starts_with("https://")) {
    return Error(ErrorCode::kInvalid, "expected http://HOST:PORT or https://HOST");
  }
  if (setting == Setting::kDataDir && text.empty()) {
    return Error(ErrorCode::kInvalid, "expected a directory");
  }
  return Status::Ok();
}

Result<LogTarget> ParseLogTarget(std::string_view text) {
  constexpr std::string_view kScheme = "kafka://";
  const Error wrong(ErrorCode::kInvalid, "expected local or kafka://HOST:PORT[,HOST:PORT]");
  if (text == "local") {
    return LogTarget{};
  }
  if (!text.starts_with(kScheme)) {
    return wrong;
  }
  const std::string_view brokers = text.substr(kScheme.size());
  for (std::string_view rest = brokers;;) {
    const std::string_view broker = rest.substr(0, rest.find(','));
    const std::size_t colon = broker.rfind(':');
    const auto port =
        colon == std::string_view::npos ? std::nullopt : ParseInteger(broker.substr(colon + 1));
    const bool host_ok =
        colon != std::string_view::npos && colon > 0 &&
        broker.substr(0, colon).find_first_of("/@ \t\"'") == std::string_view::npos;
    if (!host_ok || !port || *port < 1 || *port > 65535) {
      return wrong;
    }
    if (broker.size() == rest.size()) {
      return LogTarget{.kafka = true, .bootstrap = std::string(brokers)};
    }
    rest.remove_prefix(broker.size() + 1);
  }
}

Result<std::vector<std::int32_t>> ParseAssigned(std::string_view text, std::int32_t partitions) {
  const Error wrong(
      ErrorCode::kInvalid,
      fmt::format("runtime.assigned: expected all, none, or numbers and ranges from 0 to {}, each "
                  "once, such as 0-3,8",
                  partitions - 1));
  std::set<std::int32_t> chosen;
  if (text == "all") {
    for (std::int32_t i = 0; i < partitions; ++i) {
      chosen.insert(i);
    }
  } else if (text != "none") {
    for (std::string_view rest = text;;) {
      const std::string_view part = rest.substr(0, rest.find(','));
      const std::size_t dash = part.find('-');
      const auto first = ParseInteger(part.substr(0, dash));
      const auto last =
          dash == std::string_view::npos ? first : ParseInteger(part.substr(dash + 1));
      if (!first || !last || *first < 0 || *last < *first || *last >= partitions) {
        return wrong;
      }
      for (std::int64_t i = *first; i <= *last; ++i) {
        if (!chosen.insert(static_cast<std::int32_t>(i)).second) {
          return wrong;
        }
      }
      if (part.size() == rest.size()) {
        break;
      }
      rest.remove_prefix(part.size() + 1);
    }
  }
  return std::vector<std::int32_t>(chosen.begin(), chosen.end());
}

}  // namespace alertstream::cli
