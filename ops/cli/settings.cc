#include "ops/cli/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <system_error>
#include <utility>

#include "ops/cli/duration.h"
#include "ops/cli/settings_toml.h"
#include "ops/cli/suggest.h"
#include "ops/cli/token_key.h"
#include "processor/base/check.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

namespace alertstream::cli {
namespace {

constexpr std::string_view kPrefix = "ALERTSTREAM_";
constexpr std::string_view kFileSuffix = "_file";
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
    {Setting::kTokenKey, "token_key", kSecret, "", 0, 0, "",
     "32 bytes, hexadecimal or base64, under which recipients are named; generated for a local "
     "log"},
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

// Variables of this prefix that are no settings: of the tests, and of the scripts around the build.
constexpr std::array<std::string_view, 3> kForeignVariables = {
    "ALERTSTREAM_CONFIG", "ALERTSTREAM_KAFKA_LIBS", "ALERTSTREAM_REGENERATE"};
constexpr std::string_view kTestPrefix = "ALERTSTREAM_TEST_";

const SettingSpec* FindSpec(std::string_view key) {
  const auto* found = std::find_if(kTable.begin(), kTable.end(),
                                   [key](const SettingSpec& spec) { return spec.key == key; });
  return found == kTable.end() ? nullptr : found;
}

std::vector<std::string_view> Keys() {
  std::vector<std::string_view> keys;
  keys.reserve(kTable.size());
  for (const SettingSpec& spec : kTable) {
    keys.push_back(spec.key);
  }
  return keys;
}

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

// What a value of `spec` must look like, for error messages.
std::string Expected(const SettingSpec& spec) {
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

// The number that `text` stands for under `spec`; nothing if it is none or out of range. Texts and
// choices have no number but are checked too.
std::optional<std::int64_t> NumberOf(const SettingSpec& spec, std::string_view text) {
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

// A text that has a form of its own beyond its type.
Status CheckForm(Setting setting, const std::string& text) {
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
  if (setting == Setting::kDataDir && text.empty()) {
    return Error(ErrorCode::kInvalid, "expected a directory");
  }
  return Status::Ok();
}

Result<std::string> ReadWhole(const std::string& path, std::size_t bytes_max) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return Error(ErrorCode::kInvalid, fmt::format("{} does not exist", path));
  }
  if (std::filesystem::is_directory(status)) {
    return Error(ErrorCode::kInvalid, fmt::format("{} is a directory", path));
  }
  std::ifstream stream(path, std::ios::binary);
  std::string text(bytes_max + 1, '\0');
  if (!stream.is_open()) {
    return Error(ErrorCode::kInvalid, fmt::format("{} cannot be opened", path));
  }
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > bytes_max) {
    return Error(ErrorCode::kInvalid, fmt::format("{} is larger than {} bytes", path, bytes_max));
  }
  return text;
}

Result<std::string> ReadSecretFile(const std::string& path) {
  ALERTSTREAM_ASSIGN_OR_RETURN(std::string text, ReadWhole(path, kSecretBytesMax));
  if (text.ends_with('\n')) {
    text.pop_back();
    if (text.ends_with('\r')) {
      text.pop_back();
    }
  }
  if (text.empty()) {
    return Error(ErrorCode::kInvalid, fmt::format("{} is empty", path));
  }
  return text;
}

}  // namespace

// Collects values from the weakest source to the strongest, and every problem on the way.
class SettingsResolver {
 public:
  explicit SettingsResolver(const SettingsInput& input) : input_(input) {}

  Result<Settings> Resolve() {
    for (const SettingSpec& spec : kTable) {
      if (spec.type != SettingType::kSecret) {
        Set(spec, std::string(spec.default_value), SettingSource::kDefault, "default");
      }
    }
    ReadFile();
    ReadEnvironment();
    ReadFlags();
    CheckTogether();
    if (!problems_.empty()) {
      return Error(ErrorCode::kInvalid, fmt::format("{}", fmt::join(problems_, "\n")));
    }
    return std::move(settings_);
  }

 private:
  void Problem(std::string_view place, std::string_view what) {
    problems_.push_back(fmt::format("{}: {}", place, what));
  }

  Settings::Value& ValueOf(const SettingSpec& spec) {
    return settings_.values_[static_cast<std::size_t>(spec.setting)];
  }

  void Set(const SettingSpec& spec, std::string text, SettingSource source, std::string origin) {
    const auto number = NumberOf(spec, text);
    if (!number) {
      Problem(origin, fmt::format("{}: {}", spec.key, Expected(spec)));
      return;
    }
    const Status form = CheckForm(spec.setting, text);
    if (!form.ok()) {
      Problem(origin, fmt::format("{}: {}", spec.key, form.error().message()));
      return;
    }
    ValueOf(spec) = {.text = std::move(text),
                     .number = *number,
                     .secret = std::nullopt,
                     .source = source,
                     .origin = std::move(origin)};
  }

  void SetSecret(const SettingSpec& spec, std::string text, SettingSource source,
                 std::string origin) {
    Redacted<std::string> secret{std::move(text)};
    if (secret.Reveal().empty() || secret.Reveal().size() > kSecretBytesMax) {
      Problem(origin, fmt::format("{}: expected 1 to {} bytes", spec.key, kSecretBytesMax));
      return;
    }
    if (spec.setting == Setting::kTokenKey) {
      auto key = ParseTokenKey(secret.Reveal());
      if (!key.ok()) {
        Problem(origin, key.error().message());
        return;
      }
      secret = std::move(key).value();
    }
    ValueOf(spec) = {.text = {},
                     .number = 0,
                     .secret = std::move(secret),
                     .source = source,
                     .origin = std::move(origin)};
  }

  void SetSecretFromFile(const SettingSpec& spec, const std::string& path, SettingSource source,
                         const std::string& origin) {
    auto text = ReadSecretFile(path);
    if (!text.ok()) {
      Problem(origin, fmt::format("{}: {}", spec.key, text.error().message()));
      return;
    }
    SetSecret(spec, std::move(text).value(), source, origin);
  }

  void ReadFile() {
    std::optional<std::string> path = input_.config_file;
    const auto named = input_.environment.find("ALERTSTREAM_CONFIG");
    if (!path && named != input_.environment.end()) {
      path = named->second;
    }
    for (const std::string& candidate : input_.default_files) {
      std::error_code error;
      if (!path && std::filesystem::exists(candidate, error)) {
        path = candidate;
      }
    }
    if (!path) {
      return;
    }
    settings_.file_ = *path;
    const auto text = ReadWhole(*path, kSettingsFileBytesMax);
    if (!text.ok()) {
      Problem("configuration", text.error().message());
      return;
    }
    const auto entries = ParseToml(text.value(), *path);
    if (!entries.ok()) {
      problems_.push_back(entries.error().message());
      return;
    }
    for (const TomlEntry& entry : entries.value()) {
      ReadEntry(entry);
    }
  }

  void ReadEntry(const TomlEntry& entry) {
    const std::string place = fmt::format("{}:{}", settings_.file_, entry.line);
    const SettingSpec* spec = FindSpec(entry.key);
    if (spec == nullptr && entry.key.ends_with(kFileSuffix)) {
      spec = FindSpec(std::string_view(entry.key).substr(0, entry.key.size() - kFileSuffix.size()));
      spec = spec != nullptr && spec->type == SettingType::kSecret ? spec : nullptr;
      if (spec != nullptr && entry.kind == TomlKind::kString) {
        SetSecretFromFile(*spec, entry.text, SettingSource::kFile, place);
        return;
      }
    }
    if (spec == nullptr) {
      Problem(place,
              fmt::format("there is no setting '{}'{}", entry.key, DidYouMean(entry.key, Keys())));
      return;
    }
    if (spec->type == SettingType::kSecret) {
      Problem(place, fmt::format("{}: a secret does not stand in this file; put it into a file of "
                                 "its own and name that one as {}{}",
                                 spec->key, spec->key, kFileSuffix));
      return;
    }
    if (!KindFits(spec->type, entry.kind)) {
      Problem(place, fmt::format("{}: {}", spec->key, Expected(*spec)));
      return;
    }
    Set(*spec, entry.text, SettingSource::kFile, place);
  }

  static bool KindFits(SettingType type, TomlKind kind) {
    switch (type) {
      case SettingType::kInteger:
        return kind == TomlKind::kInteger;
      case SettingType::kBool:
        return kind == TomlKind::kBool;
      case SettingType::kBytes:
        return kind == TomlKind::kInteger || kind == TomlKind::kString;
      case SettingType::kText:
      case SettingType::kChoice:
      case SettingType::kDuration:
      case SettingType::kSecret:
        break;
    }
    return kind == TomlKind::kString;
  }

  void ReadEnvironment() {
    std::set<std::string> known(kForeignVariables.begin(), kForeignVariables.end());
    for (const SettingSpec& spec : kTable) {
      const std::string name = EnvironmentName(spec.key);
      const auto found = input_.environment.find(name);
      known.insert(name);
      if (spec.type != SettingType::kSecret) {
        if (found != input_.environment.end()) {
          Set(spec, found->second, SettingSource::kEnvironment, name);
        }
        continue;
      }
      const auto file = input_.environment.find(name + "_FILE");
      known.insert(name + "_FILE");
      if (found != input_.environment.end() && file != input_.environment.end()) {
        Problem(name, fmt::format("and {}_FILE are both set; expected one of them", name));
      } else if (found != input_.environment.end()) {
        SetSecret(spec, found->second, SettingSource::kEnvironment, name);
      } else if (file != input_.environment.end()) {
        SetSecretFromFile(spec, file->second, SettingSource::kEnvironment, file->first);
      }
    }
    const std::vector<std::string_view> names(known.begin(), known.end());
    for (const auto& [name, value] : input_.environment) {
      if (name.starts_with(kPrefix) && !name.starts_with(kTestPrefix) && !known.contains(name)) {
        Problem(name, "there is no such setting" + DidYouMean(name, names));
      }
    }
  }

  void ReadFlags() {
    for (const auto& [key, value] : input_.flags) {
      const SettingSpec* spec = FindSpec(key);
      if (spec == nullptr) {
        Problem("flag", fmt::format("there is no setting '{}'{}", key, DidYouMean(key, Keys())));
      } else if (spec->type == SettingType::kSecret) {
        Problem("flag", fmt::format("{}: a secret is never a flag, where every user of the machine "
                                    "can read it; set {} or {}_FILE",
                                    key, EnvironmentName(key), EnvironmentName(key)));
      } else {
        Set(*spec, value, SettingSource::kFlag, "flag");
      }
    }
  }

  // Rules over several settings, once each of them is right.
  void CheckTogether() {
    if (!problems_.empty()) {
      return;
    }
    const bool sasl = settings_.Text(Setting::kKafkaSecurityProtocol).starts_with("sasl_");
    const bool user = !settings_.Text(Setting::kKafkaSaslUsername).empty();
    const bool password = settings_.Secret(Setting::kKafkaSaslPassword).has_value();
    if (sasl && !(user && password)) {
      Problem("kafka", "security_protocol sasl_* needs sasl_username and sasl_password");
    }
    if (!sasl && (user || password)) {
      Problem("kafka",
              "sasl_username and sasl_password need security_protocol sasl_ssl or "
              "sasl_plaintext");
    }
    if (settings_.Text(Setting::kKafkaSslCertificateLocation).empty() !=
        settings_.Text(Setting::kKafkaSslKeyLocation).empty()) {
      Problem("kafka", "ssl_certificate_location and ssl_key_location need each other");
    }
    const auto assigned =
        ParseAssigned(settings_.Text(Setting::kRuntimeAssigned),
                      static_cast<std::int32_t>(settings_.Integer(Setting::kPartitions)));
    if (!assigned.ok()) {
      Problem(settings_.origin(Setting::kRuntimeAssigned), assigned.error().message());
    }
  }

  const SettingsInput& input_;
  Settings settings_;
  std::vector<std::string> problems_;
};

std::span<const SettingSpec> SettingTable() { return kTable; }

Result<Settings> ResolveSettings(const SettingsInput& input) {
  return SettingsResolver(input).Resolve();
}

const std::string& Settings::Text(Setting setting) const {
  const SettingType type = kTable[static_cast<std::size_t>(setting)].type;
  ALERTSTREAM_CHECK(type == SettingType::kText || type == SettingType::kChoice);
  return Of(setting).text;
}

std::int64_t Settings::Integer(Setting setting) const {
  const SettingType type = kTable[static_cast<std::size_t>(setting)].type;
  ALERTSTREAM_CHECK(type == SettingType::kInteger || type == SettingType::kBytes);
  return Of(setting).number;
}

bool Settings::Bool(Setting setting) const {
  ALERTSTREAM_CHECK(kTable[static_cast<std::size_t>(setting)].type == SettingType::kBool);
  return Of(setting).number != 0;
}

LogDuration Settings::Duration(Setting setting) const {
  ALERTSTREAM_CHECK(kTable[static_cast<std::size_t>(setting)].type == SettingType::kDuration);
  return LogDuration(Of(setting).number);
}

const std::optional<Redacted<std::string>>& Settings::Secret(Setting setting) const {
  ALERTSTREAM_CHECK(kTable[static_cast<std::size_t>(setting)].type == SettingType::kSecret);
  return Of(setting).secret;
}

SettingSource Settings::source(Setting setting) const { return Of(setting).source; }

const std::string& Settings::origin(Setting setting) const { return Of(setting).origin; }

std::string Settings::Shown(Setting setting) const {
  if (kTable[static_cast<std::size_t>(setting)].type == SettingType::kSecret) {
    return Of(setting).secret ? "(set)" : "";
  }
  return Of(setting).text;
}

std::string EnvironmentName(std::string_view key) {
  std::string name(kPrefix);
  for (const char c : key) {
    name.push_back(c == '.' ? '_' : (c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c));
  }
  return name;
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
