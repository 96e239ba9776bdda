#include "ops/cli/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <utility>

#include "ops/cli/settings_table.h"
#include "ops/cli/settings_toml.h"
#include "ops/cli/token_key.h"
#include "processor/base/check.h"
#include "processor/base/suggest.h"

namespace alertstream::cli {
namespace {

constexpr std::string_view kPrefix = "ALERTSTREAM_";
constexpr std::string_view kFileSuffix = "_file";
constexpr std::string_view kProfilePrefix = "profile.";
// Variables of this prefix that are no settings: of the tests, and of the scripts around the build.
constexpr std::array<std::string_view, 4> kForeignVariables = {
    "ALERTSTREAM_CONFIG", "ALERTSTREAM_KAFKA_LIBS", "ALERTSTREAM_PROFILE",
    "ALERTSTREAM_REGENERATE"};
constexpr std::string_view kTestPrefix = "ALERTSTREAM_TEST_";

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
    for (const SettingSpec& spec : SettingTable()) {
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
    const auto number = SettingNumber(spec, text);
    if (!number) {
      Problem(origin, fmt::format("{}: {}", spec.key, ExpectedOf(spec)));
      return;
    }
    const Status form = CheckSettingForm(spec.setting, text);
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
    const std::string profile = ProfileAsked();
    if (!path) {
      if (!profile.empty()) {
        Problem("profile", fmt::format("{} needs a configuration file", profile));
      }
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
    ReadEntries(entries.value(), profile);
  }

  std::string ProfileAsked() const {
    const auto named = input_.environment.find("ALERTSTREAM_PROFILE");
    return input_.profile.value_or(named != input_.environment.end() ? named->second : "");
  }

  // What all profiles share, then the chosen one. The keys of the others are looked at too.
  void ReadEntries(const std::vector<TomlEntry>& entries, const std::string& profile) {
    std::vector<TomlEntry> chosen;
    std::set<std::string> names;
    for (const TomlEntry& entry : entries) {
      if (!entry.key.starts_with(kProfilePrefix)) {
        ReadEntry(entry);
        continue;
      }
      const std::string rest = entry.key.substr(kProfilePrefix.size());
      const std::size_t dot = rest.find('.');
      TomlEntry inner = entry;
      inner.key = dot == std::string::npos ? entry.key : rest.substr(dot + 1);
      names.insert(rest.substr(0, dot));
      if (rest.substr(0, dot) == profile) {
        chosen.push_back(inner);
      } else {
        static_cast<void>(SpecOfEntry(inner));
      }
    }
    for (const TomlEntry& entry : chosen) {
      ReadEntry(entry);
    }
    if (!profile.empty() && chosen.empty()) {
      Problem(settings_.file_,
              fmt::format(
                  "there is no [profile.{}]; it has {}", profile,
                  names.empty() ? std::string("none") : fmt::format("{}", fmt::join(names, ", "))));
    }
  }

  std::string PlaceOf(const TomlEntry& entry) const {
    return fmt::format("{}:{}", settings_.file_, entry.line);
  }

  // The setting that an entry gives, itself or as the file of a secret; reports one that is none.
  const SettingSpec* SpecOfEntry(const TomlEntry& entry) {
    const SettingSpec* spec = FindSetting(entry.key);
    if (spec == nullptr && entry.key.ends_with(kFileSuffix)) {
      spec =
          FindSetting(std::string_view(entry.key).substr(0, entry.key.size() - kFileSuffix.size()));
      spec = spec != nullptr && spec->type == SettingType::kSecret ? spec : nullptr;
    }
    if (spec == nullptr) {
      Problem(PlaceOf(entry), fmt::format("there is no setting '{}'{}", entry.key,
                                          DidYouMean(entry.key, SettingKeys())));
    }
    return spec;
  }

  void ReadEntry(const TomlEntry& entry) {
    const std::string place = PlaceOf(entry);
    const SettingSpec* spec = SpecOfEntry(entry);
    if (spec == nullptr) {
      return;
    }
    if (spec->type == SettingType::kSecret && entry.key.ends_with(kFileSuffix) &&
        entry.kind == TomlKind::kString) {
      SetSecretFromFile(*spec, entry.text, SettingSource::kFile, place);
      return;
    }
    if (spec->type == SettingType::kSecret) {
      Problem(place, fmt::format("{}: a secret does not stand in this file; put it into a file of "
                                 "its own and name that one as {}{}",
                                 spec->key, spec->key, kFileSuffix));
      return;
    }
    if (!KindFits(spec->type, entry.kind)) {
      Problem(place, fmt::format("{}: {}", spec->key, ExpectedOf(*spec)));
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
    for (const SettingSpec& spec : SettingTable()) {
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
      const SettingSpec* spec = FindSetting(key);
      if (spec == nullptr) {
        Problem("flag",
                fmt::format("there is no setting '{}'{}", key, DidYouMean(key, SettingKeys())));
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

Result<Settings> ResolveSettings(const SettingsInput& input) {
  return SettingsResolver(input).Resolve();
}

const std::string& Settings::Text(Setting setting) const {
  const SettingType type = SpecOf(setting).type;
  ALERTSTREAM_CHECK(type == SettingType::kText || type == SettingType::kChoice);
  return Of(setting).text;
}

std::int64_t Settings::Integer(Setting setting) const {
  const SettingType type = SpecOf(setting).type;
  ALERTSTREAM_CHECK(type == SettingType::kInteger || type == SettingType::kBytes);
  return Of(setting).number;
}

bool Settings::Bool(Setting setting) const {
  ALERTSTREAM_CHECK(SpecOf(setting).type == SettingType::kBool);
  return Of(setting).number != 0;
}

LogDuration Settings::Duration(Setting setting) const {
  ALERTSTREAM_CHECK(SpecOf(setting).type == SettingType::kDuration);
  return LogDuration(Of(setting).number);
}

const std::optional<Redacted<std::string>>& Settings::Secret(Setting setting) const {
  ALERTSTREAM_CHECK(SpecOf(setting).type == SettingType::kSecret);
  return Of(setting).secret;
}

SettingSource Settings::source(Setting setting) const { return Of(setting).source; }

const std::string& Settings::origin(Setting setting) const { return Of(setting).origin; }

Settings Settings::WithText(Setting setting, std::string value, std::string origin) const {
  Settings changed = *this;
  Value& held = changed.values_[static_cast<std::size_t>(setting)];
  held.text = std::move(value);
  held.origin = std::move(origin);
  return changed;
}

std::string Settings::Shown(Setting setting) const {
  if (SpecOf(setting).type == SettingType::kSecret) {
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

}  // namespace alertstream::cli
