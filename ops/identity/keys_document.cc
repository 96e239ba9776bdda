#include "ops/identity/keys_document.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>

#include "schemas/limits.h"
#include "schemas/topics.h"

namespace alertstream::identity {
namespace {

constexpr std::size_t kKeyBytesMin = 20;  // The prefix and 14 characters that nobody guesses.
constexpr std::size_t kIdBytesMax = 64;   // Stands in logs and as the actor of changes.
constexpr double kPerSecondMax = dispatch::kSendsPerSecondMax;
constexpr std::uint32_t kBurstMax = dispatch::kSendsBurstMax;
constexpr std::size_t kScopesMax = 3;  // There are no more.
constexpr std::string_view kTwilio = "twilio";

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

bool IsWord(std::string_view text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max &&
         std::all_of(text.begin(), text.end(), IsPlain);
}

struct Context {
  std::string_view file_name;
  const SecretReader& read_secret;
  const AccountAdjuster& adjust_account;
  std::vector<std::string> problems;

  void Problem(std::uint32_t line, std::string_view what) {
    problems.push_back(fmt::format("{}:{}: {}", file_name, line, what));
  }
};

// One table of the document: its members by type, each asked for once.
class Entry {
 public:
  Entry(Context& context, const toml::table& table, std::string_view kind)
      : context_(context), table_(table), kind_(kind) {}

  std::uint32_t line() const { return table_.source().begin.line; }

  void Refuse(std::string_view name, std::string_view expected) {
    const toml::node* node = table_.get(name);
    context_.Problem(node == nullptr ? line() : node->source().begin.line,
                     fmt::format("{}.{}: {}", kind_, name, expected));
  }

  void Allow(std::initializer_list<std::string_view> names) {
    for (const auto& [name, node] : table_) {
      if (std::find(names.begin(), names.end(), name.str()) == names.end()) {
        context_.Problem(node.source().begin.line,
                         fmt::format("{}: a name that is not known; expected one of {}", kind_,
                                     fmt::join(names, ", ")));
      }
    }
  }

  bool Has(std::string_view name) const { return table_.contains(name); }

  // "" if it is absent or no string; the latter is a problem.
  std::string Text(std::string_view name) {
    const toml::node* node = table_.get(name);
    if (node == nullptr) {
      return {};
    }
    const auto* text = node->as_string();
    if (text == nullptr) {
      Refuse(name, "expected a text");
      return {};
    }
    return text->get();
  }

  std::vector<std::string> Texts(std::string_view name, std::size_t count_max) {
    const toml::node* node = table_.get(name);
    std::vector<std::string> texts;
    if (node == nullptr) {
      return texts;
    }
    const toml::array* array = node->as_array();
    if (array == nullptr || array->size() > count_max) {
      Refuse(name, fmt::format("expected a list of at most {} texts", count_max));
      return texts;
    }
    for (const toml::node& element : *array) {
      const auto* text = element.as_string();
      if (text == nullptr) {
        Refuse(name, "expected a list of texts");
        return {};
      }
      texts.push_back(text->get());
    }
    return texts;
  }

  bool Bool(std::string_view name, bool otherwise) {
    const toml::node* node = table_.get(name);
    if (node == nullptr) {
      return otherwise;
    }
    if (const auto* flag = node->as_boolean()) {
      return flag->get();
    }
    Refuse(name, "expected true or false");
    return otherwise;
  }

  double Rate(std::string_view name, double otherwise) {
    const toml::node* node = table_.get(name);
    if (node == nullptr) {
      return otherwise;
    }
    const auto rate = node->value<double>();
    if (!node->is_number() || !rate || !std::isfinite(*rate) || *rate <= 0 ||
        *rate > kPerSecondMax) {
      Refuse(name, "expected a number above 0, at most 1000000");
      return otherwise;
    }
    return *rate;
  }

  std::uint32_t Burst(std::uint32_t otherwise) {
    const toml::node* node = table_.get("burst");
    if (node == nullptr) {
      return otherwise;
    }
    const auto* burst = node->as_integer();
    if (burst == nullptr || burst->get() < 1 || burst->get() > kBurstMax) {
      Refuse("burst", fmt::format("expected a whole number, 1 to {}", kBurstMax));
      return otherwise;
    }
    return static_cast<std::uint32_t>(burst->get());
  }

  // The secrets written here as `name`, or in the files that `name_files` names.
  std::vector<Redacted<std::string>> Secrets(std::string_view name, std::vector<std::string> given,
                                             std::string_view name_files,
                                             const std::vector<std::string>& files,
                                             KeysContent* content) {
    if (!given.empty() && !files.empty()) {
      Refuse(name_files, fmt::format("either this or {}, not both", name));
    }
    for (const std::string& file : files) {
      content->secret_files.push_back(file);
      const auto secret = context_.read_secret(file);
      if (!secret.ok()) {
        Refuse(name_files, secret.error().message());
        continue;
      }
      given.push_back(secret.value().Reveal());
    }
    std::vector<Redacted<std::string>> secrets;
    for (std::string& secret : given) {
      if (secret.size() < kKeySecretBytesMin || secret.size() > kKeySecretBytesMax) {
        Refuse(files.empty() ? name : name_files,
               fmt::format("expected secrets of {} to {} bytes", kKeySecretBytesMin,
                           kKeySecretBytesMax));
        return {};
      }
      secrets.emplace_back(std::move(secret));
    }
    return secrets;
  }

 private:
  Context& context_;
  const toml::table& table_;
  std::string_view kind_;
};

std::string TenantOf(Entry& entry, bool is_required) {
  std::string tenant = entry.Text("tenant");
  if ((is_required || entry.Has("tenant")) && !schemas::IsTenantId(tenant)) {
    entry.Refuse("tenant", "expected a tenant id: a to z, 0 to 9, _ and -");
  }
  return tenant;
}

// Without a burst: the events of two seconds, as in the default.
api::EventRate EventRateOf(Entry& entry) {
  api::EventRate rate;
  rate.per_second = entry.Rate("events_per_second", rate.per_second);
  const double burst = std::clamp(std::ceil(2 * rate.per_second), 1.0, double{kBurstMax});
  rate.burst = entry.Burst(static_cast<std::uint32_t>(burst));
  return rate;
}

void AddTenant(Entry& entry, KeysContent* content) {
  entry.Allow({"id", "events_per_second", "burst"});
  const std::string id = entry.Text("id");
  if (!schemas::IsTenantId(id)) {
    entry.Refuse("id", "expected a tenant id: a to z, 0 to 9, _ and -");
    return;
  }
  if (!content->rates.emplace(id, EventRateOf(entry)).second) {
    entry.Refuse("id", "the tenant stands here twice");
  }
}

std::optional<api::KeyKind> KindOf(std::string_view text) {
  if (text == "publishable") {
    return api::KeyKind::kPublishable;
  }
  if (text == "secret") {
    return api::KeyKind::kSecret;
  }
  return text == "operator" ? std::optional(api::KeyKind::kOperator) : std::nullopt;
}

std::string_view PrefixOf(api::KeyKind kind) {
  switch (kind) {
    case api::KeyKind::kPublishable:
      return api::kPublishablePrefix;
    case api::KeyKind::kSecret:
      return api::kSecretPrefix;
    case api::KeyKind::kOperator:
      return api::kOperatorPrefix;
  }
  return {};
}

void AddOrigins(Entry& entry, api::ApiKey* key, KeysContent* content) {
  key->origins = entry.Texts("origins", kOriginsPerKeyMax);
  if (!key->origins.empty() && key->kind != api::KeyKind::kPublishable) {
    entry.Refuse("origins", "only for publishable keys");
    return;
  }
  for (const std::string& origin : key->origins) {
    const bool is_lower =
        std::none_of(origin.begin(), origin.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (origin != "*" && (!dispatch::IsServerUrl(origin, dispatch::UrlPath::kNone) || !is_lower)) {
      entry.Refuse("origins",
                   "expected \"*\" or such as \"https://shop.example\", as browsers "
                   "write it: lower case, no path");
      return;
    }
    content->origins.insert(origin);
  }
}

void AddSigningSecrets(Entry& entry, api::ApiKey* key, KeysContent* content) {
  auto texts = entry.Texts("signing_secrets", kSecretsPerKeyMax);
  const bool is_secret = key->kind == api::KeyKind::kSecret;
  if (is_secret && texts.empty()) {
    entry.Refuse("signing_secrets", "a secret key needs at least one");
  } else if (!is_secret && entry.Has("signing_secrets")) {
    entry.Refuse("signing_secrets", "only for secret keys");
  }
  for (const auto& secret : entry.Secrets("signing_secrets", std::move(texts), "", {}, content)) {
    key->signing_secrets.emplace_back(secret.Reveal());
  }
}

void AddScopes(Entry& entry, api::ApiKey* key) {
  if (!entry.Has("scopes")) {
    return;
  }
  const auto names = entry.Texts("scopes", kScopesMax);
  api::KeyScopes scopes{.ingest = false, .read = false, .manage = false};
  for (const std::string& name : names) {
    bool* const scope = name == "ingest"   ? &scopes.ingest
                        : name == "read"   ? &scopes.read
                        : name == "manage" ? &scopes.manage
                                           : nullptr;
    if (scope == nullptr) {
      return entry.Refuse("scopes", "expected some of ingest, read and manage");
    }
    *scope = true;
  }
  if (names.empty() || key->kind != api::KeyKind::kSecret) {
    return entry.Refuse("scopes", "at least one, and only for secret keys");
  }
  key->scopes = scopes;
}

void AddKey(Entry& entry, std::set<std::string>* ids, KeysContent* content) {
  entry.Allow({"id", "kind", "key", "tenant", "site", "origins", "signing_secrets",
               "allow_body_only", "events_per_second", "burst", "scopes"});
  api::ApiKey key;
  const auto kind = KindOf(entry.Text("kind"));
  if (!kind) {
    entry.Refuse("kind", "expected publishable, secret or operator");
    return;
  }
  key.kind = *kind;
  key.id = entry.Text("id");
  if (!IsWord(key.id, kIdBytesMax)) {
    entry.Refuse("id", "expected letters, digits, _ and -, at most 64");
  } else if (!ids->insert(key.id).second) {
    entry.Refuse("id", "another key has this id");
  }
  const bool is_operator = key.kind == api::KeyKind::kOperator;
  key.tenant = TenantOf(entry, !is_operator);
  if (is_operator && entry.Has("tenant")) {
    entry.Refuse("tenant", "an operator key is for all tenants");
  }
  key.site = entry.Text("site");
  if (entry.Has("site") && (is_operator || !IsWord(key.site, schemas::kSiteIdBytesMax))) {
    entry.Refuse("site", "expected a site of the tenant: letters, digits, _ and -, at most 64");
  }
  AddOrigins(entry, &key, content);
  AddSigningSecrets(entry, &key, content);
  AddScopes(entry, &key);
  key.allow_body_only = entry.Bool("allow_body_only", key.allow_body_only);
  if (entry.Has("events_per_second") || entry.Has("burst")) {
    key.own_rate = EventRateOf(entry);
  }
  const std::string text = entry.Text("key");
  if (text.size() < kKeyBytesMin || !IsWord(text, api::kApiKeyBytesMax) ||
      !text.starts_with(PrefixOf(key.kind))) {
    entry.Refuse("key", fmt::format("expected {} and letters, digits, _ and -; {} to {} bytes",
                                    PrefixOf(key.kind), kKeyBytesMin, api::kApiKeyBytesMax));
    return;
  }
  auto shared = std::make_shared<const api::ApiKey>(std::move(key));
  if (!content->keys.emplace(Sha256::Of(text), std::move(shared)).second) {
    entry.Refuse("key", "another entry has this key");
  }
}

void AddCredentials(Entry& entry, dispatch::ProviderAccount* account, KeysContent* content) {
  auto tokens = entry.Texts("auth_tokens", kSecretsPerKeyMax);
  const auto files = entry.Texts("auth_token_files", kSecretsPerKeyMax);
  if (tokens.empty() && files.empty()) {
    entry.Refuse("auth_tokens", "expected at least one: webhooks are signed with it");
  }
  account->auth_tokens =
      entry.Secrets("auth_tokens", std::move(tokens), "auth_token_files", files, content);
  account->api_key_sid = entry.Text("api_key_sid");
  const auto as_list = [](std::string text) {
    return text.empty() ? std::vector<std::string>() : std::vector<std::string>{std::move(text)};
  };
  const auto secrets =
      entry.Secrets("api_key_secret", as_list(entry.Text("api_key_secret")), "api_key_secret_file",
                    as_list(entry.Text("api_key_secret_file")), content);
  if (!secrets.empty()) {
    account->api_key_secret = secrets.front();
  }
  const bool has_secret = entry.Has("api_key_secret") || entry.Has("api_key_secret_file");
  if (entry.Has("api_key_sid") != has_secret) {
    entry.Refuse("api_key_sid", "goes together with api_key_secret or api_key_secret_file");
  }
}

void AddAccount(Entry& entry, const AccountAdjuster& adjust_account, KeysContent* content) {
  entry.Allow({"provider", "name", "account_sid", "auth_tokens", "auth_token_files", "api_key_sid",
               "api_key_secret", "api_key_secret_file", "base_url", "public_url",
               "sends_per_second", "burst"});
  dispatch::ProviderAccount account;
  account.provider = entry.Text("provider");
  if (account.provider != kTwilio) {
    entry.Refuse("provider", "expected twilio");
  }
  account.name = entry.Text("name");
  if (!dispatch::IsAccountWord(account.name)) {
    entry.Refuse("name", "expected letters, digits, _ and -, at most 64: part of webhooks' URLs");
  }
  account.account_sid = entry.Text("account_sid");
  if (!dispatch::IsAccountWord(account.account_sid)) {
    entry.Refuse("account_sid", "expected the provider's id of the account, AC...");
  }
  AddCredentials(entry, &account, content);
  account.base_url =
      entry.Has("base_url") ? entry.Text("base_url") : std::string(dispatch::kTwilioUrl);
  if (!dispatch::IsServerUrl(account.base_url, dispatch::UrlPath::kAllowed)) {
    entry.Refuse("base_url", "expected such as https://api.twilio.com");
  }
  account.public_url = entry.Text("public_url");
  if (!dispatch::IsServerUrl(account.public_url, dispatch::UrlPath::kAllowed)) {
    entry.Refuse("public_url",
                 "expected such as https://alerts.example, where the provider reaches us");
  }
  account.sends_per_second = entry.Rate("sends_per_second", account.sends_per_second);
  account.burst = entry.Burst(account.burst);
  if (adjust_account) {
    adjust_account(&account);
  }
  auto webhook = std::make_shared<api::Identity::WebhookAccount>();
  webhook->account_sid = account.account_sid;
  webhook->public_url = account.public_url;
  webhook->auth_tokens = account.auth_tokens;
  const std::pair key(account.provider, account.name);
  content->webhook_accounts.emplace(key, std::move(webhook));
  if (!content->accounts
           .emplace(key, std::make_shared<const dispatch::ProviderAccount>(std::move(account)))
           .second) {
    entry.Refuse("name", "another account of the provider has this name");
  }
}

void AddNumber(Entry& entry, KeysContent* content) {
  entry.Allow({"provider", "account", "number", "tenant"});
  const std::string provider = entry.Text("provider");
  const std::string account = entry.Text("account");
  const std::string number = entry.Text("number");
  if (!content->accounts.contains({provider, account})) {
    entry.Refuse("account", "there is no [[account]] of this provider and name");
  }
  const bool is_printable =
      std::all_of(number.begin(), number.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (number.empty() || number.size() > schemas::kPhoneTextBytesMax || !is_printable) {
    entry.Refuse("number", "expected a number, +254..., or a sender id of the account");
  }
  std::string tenant = TenantOf(entry, true);
  content->known_numbers.emplace(provider, number);
  if (!content->numbers.emplace(NumberKey(provider, account, number), std::move(tenant)).second) {
    entry.Refuse("number", "the number of this account stands here twice");
  }
}

using AddEntry = std::function<void(Entry& entry)>;

void ForEach(Context& context, const toml::table& root, std::string_view kind,
             const AddEntry& add) {
  const toml::node* node = root.get(kind);
  if (node == nullptr) {
    return;
  }
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    context.Problem(node->source().begin.line, fmt::format("expected [[{}]]", kind));
    return;
  }
  for (const toml::node& element : *array) {
    const toml::table* table = element.as_table();
    if (table == nullptr) {
      context.Problem(element.source().begin.line, fmt::format("expected [[{}]]", kind));
      continue;
    }
    Entry entry(context, *table, kind);
    add(entry);
  }
}

Error AllOf(std::vector<std::string> problems) {
  const std::size_t count = problems.size();
  if (count > kKeysProblemsShownMax) {
    problems.resize(kKeysProblemsShownMax);
    problems.push_back(fmt::format("and {} more", count - kKeysProblemsShownMax));
  }
  return {ErrorCode::kInvalid, fmt::format("{}", fmt::join(problems, "\n"))};
}

Result<KeysContent> ContentOf(const toml::table& root, Context& context) {
  for (const auto& [name, node] : root) {
    if (name != "tenant" && name != "key" && name != "account" && name != "number") {
      context.Problem(node.source().begin.line,
                      "a name that is not known; expected [[tenant]], [[key]], [[account]] or "
                      "[[number]]");
    }
  }
  KeysContent content;
  std::set<std::string> ids;
  ForEach(context, root, "tenant", [&](Entry& entry) { AddTenant(entry, &content); });
  ForEach(context, root, "key", [&](Entry& entry) { AddKey(entry, &ids, &content); });
  ForEach(context, root, "account",
          [&](Entry& entry) { AddAccount(entry, context.adjust_account, &content); });
  ForEach(context, root, "number", [&](Entry& entry) { AddNumber(entry, &content); });
  if (!context.problems.empty()) {
    return AllOf(std::move(context.problems));
  }
  return content;
}

Result<toml::table> ParseToml(std::string_view text, std::string_view file_name) {
  try {
    return toml::table(toml::parse(text));
  } catch (const toml::parse_error& error) {
    // The library's description may quote what it met: a secret.
    const auto& where = error.source().begin;
    return Error(ErrorCode::kInvalid,
                 fmt::format("{}:{}:{}: not valid TOML here", file_name, where.line, where.column));
  } catch (const std::exception&) {
    return Error(ErrorCode::kInvalid, fmt::format("{}: cannot be read as TOML", file_name));
  }
}

}  // namespace

std::string NumberKey(std::string_view provider, std::string_view account,
                      std::string_view number) {
  return fmt::format("{}\n{}\n{}", provider, account, number);
}

Result<KeysContent> ParseKeys(std::string_view text, std::string_view file_name,
                              const SecretReader& read_secret,
                              const AccountAdjuster& adjust_account) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const toml::table root, ParseToml(text, file_name));
  Context context{.file_name = file_name,
                  .read_secret = read_secret,
                  .adjust_account = adjust_account,
                  .problems = {}};
  return ContentOf(root, context);
}

Result<std::map<std::string, KeyTexts, std::less<>>> ReadKeyTexts(std::string_view text,
                                                                  std::string_view file_name) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const toml::table root, ParseToml(text, file_name));
  std::map<std::string, KeyTexts, std::less<>> keys;
  const toml::array* array = root["key"].as_array();
  for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
    const toml::table* table = array->get(i)->as_table();
    if (table == nullptr) {
      continue;
    }
    const auto& entry = *table;
    keys[entry["id"].value_or(std::string())] = {
        .key = Redacted(entry["key"].value_or(std::string())),
        .signing_secret = Redacted(entry["signing_secrets"][0].value_or(std::string()))};
  }
  return keys;
}

}  // namespace alertstream::identity
