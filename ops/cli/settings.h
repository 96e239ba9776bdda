// The settings of the program: one table of them, and their values resolved from flags,
// environment, file and defaults, in that order, each with where it came from. Used by the
// program's main, which builds everything else from them. Pure but for reading the files that are
// named.
//
// A setting has one name everywhere: kafka.topic_prefix is --set kafka.topic_prefix=x, environment
// ALERTSTREAM_KAFKA_TOPIC_PREFIX, and topic_prefix below [kafka] in the file. Secrets come from the
// environment (ALERTSTREAM_TOKEN_KEY), or from a file named by ALERTSTREAM_TOKEN_KEY_FILE or by
// token_key_file in the file; never from a flag, never in the file itself. A name that does not
// exist is an error, so that a mistyped setting cannot vanish.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/base/time.h"

namespace alertstream::cli {

enum class Setting : std::uint8_t {
  kDataDir,
  kLog,
  kTenant,
  kInstance,
  kPartitions,
  kTakeOver,
  kAcceptClock,
  kTimeout,
  kTokenKey,
  kMasterKey,
  kKeysFile,
  kApiUrl,
  kSecretKey,
  kSigningSecret,
  kOperatorKey,
  kWebhookSecret,
  kApiAddress,
  kApiPort,
  kApiThreads,
  kApiLagMax,
  kApiTrustedProxies,
  kDispatchCallTimeout,
  kKafkaSecurityProtocol,
  kKafkaSaslMechanism,
  kKafkaSaslUsername,
  kKafkaSaslPassword,
  kKafkaSslCaLocation,
  kKafkaSslCertificateLocation,
  kKafkaSslKeyLocation,
  kKafkaSslKeyPassword,
  kKafkaTopicPrefix,
  kKafkaReplication,
  kLocalSync,
  kPostgresUrl,
  kPostgresPassword,
  kPostgresSessionsMax,
  kMetricsAddress,
  kMetricsPort,
  kLogOutputLevel,
  kLogOutputFormat,
  kLogOutputLinesPerSecond,
  kRuntimeAssigned,
  kRuntimeCacheBytes,
  kRuntimeDrainTimeout,
  kRuntimeStandby,
  kRuntimeAutoTakeOver,
  kRuntimeSnapshotDir,
  kRuntimeSnapshotEvery,
  kRuntimeSnapshotBatches,
  kRuntimeSnapshotsKept,
};
inline constexpr std::size_t kSettingCount =
    static_cast<std::size_t>(Setting::kRuntimeSnapshotsKept) + 1;

enum class SettingType : std::uint8_t {
  kText,
  kChoice,    // One of `choices`.
  kInteger,   // `min` to `max`.
  kBytes,     // An integer with an optional KiB, MiB or GiB; `min` to `max` bytes.
  kBool,      // true or false.
  kDuration,  // processor/base/duration.h; `min` to `max` microseconds.
  kSecret,
};

struct SettingSpec {
  Setting setting;
  std::string_view key;
  SettingType type;
  std::string_view default_value;
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::string_view choices = {};  // "text|json"
  std::string_view help = {};
};

// All settings in the order of their enum.
std::span<const SettingSpec> SettingTable();

enum class SettingSource : std::uint8_t { kDefault, kFile, kEnvironment, kFlag };

// A configuration file above this is none.
inline constexpr std::size_t kSettingsFileBytesMax = std::size_t{1} << 20U;
// A private key's pass phrase or a token key; certificates are named by their location.
inline constexpr std::size_t kSecretBytesMax = 4096;
inline constexpr std::size_t kSettingTextBytesMax = 4096;  // Longest path or list of brokers.

struct SettingsInput {
  std::map<std::string, std::string> flags;        // By key, from --set and the named flags.
  std::map<std::string, std::string> environment;  // EnvironmentWithPrefix("ALERTSTREAM_")
  std::optional<std::string> config_file;          // --config; must exist. Or ALERTSTREAM_CONFIG.
  // --profile, or ALERTSTREAM_PROFILE: what stands below [profile.NAME] in the file goes before the
  // rest of the file. kInvalid if the file has none of that name.
  std::optional<std::string> profile;
  // Without one: the first of these that exists.
  std::vector<std::string> default_files = {"alertstream.toml",
                                            "/etc/alertstream/alertstream.toml"};
};

class Settings {
 public:
  // REQUIRES: the setting's type is the one asked for (kText and kChoice: Text; kInteger and
  // kBytes: Integer).
  const std::string& Text(Setting setting) const;
  std::int64_t Integer(Setting setting) const;
  bool Bool(Setting setting) const;
  LogDuration Duration(Setting setting) const;
  // The bytes of a secret (token_key: the 32 bytes it stands for); nothing if it is not set.
  const std::optional<Redacted<std::string>>& Secret(Setting setting) const;

  SettingSource source(Setting setting) const;
  // "default", "alertstream.toml:12", "ALERTSTREAM_LOG", "flag".
  const std::string& origin(Setting setting) const;
  // The same settings but for one text: what dev finds out by itself.
  Settings WithText(Setting setting, std::string value, std::string origin) const;
  // For `config show`: the value as it would be written; a secret is "(set)" or "".
  std::string Shown(Setting setting) const;
  // The configuration file that was read; "" if there was none.
  const std::string& file() const { return file_; }

 private:
  friend class SettingsResolver;
  struct Value {
    std::string text;
    std::int64_t number = 0;  // Integer, bytes, bool, microseconds.
    std::optional<Redacted<std::string>> secret;
    SettingSource source = SettingSource::kDefault;
    std::string origin = "default";
  };
  const Value& Of(Setting setting) const { return values_[static_cast<std::size_t>(setting)]; }

  std::array<Value, kSettingCount> values_;
  std::string file_;
};

// kInvalid lists every problem, one a line, with the place and what was expected; never the value
// of a secret.
Result<Settings> ResolveSettings(const SettingsInput& input);

// The name of a setting's environment variable: ALERTSTREAM_KAFKA_TOPIC_PREFIX.
std::string EnvironmentName(std::string_view key);

// Where the log lives.
struct LogTarget {
  bool kafka = false;
  std::string bootstrap;  // "host:port[,host:port]" of Kafka.
};
// "local" or "kafka://HOST:PORT[,HOST:PORT...]".
Result<LogTarget> ParseLogTarget(std::string_view text);

// The partitions that runtime.assigned names: "all", "none", or numbers and ranges such as "0-3,8".
// kInvalid for a number that is not below `partitions`, twice the same one or another text.
Result<std::vector<std::int32_t>> ParseAssigned(std::string_view text, std::int32_t partitions);

}  // namespace alertstream::cli
