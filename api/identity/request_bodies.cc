#include "api/identity/request_bodies.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/control/json_tree.h"
#include "api/control/rule_fields.h"
#include "api/control/rule_tree.h"
#include "processor/base/rfc3339.h"
#include "schemas/json.h"
#include "schemas/limits.h"
#include "schemas/text.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;
using schemas::JsonType;

constexpr std::size_t kOriginBytesMax = 256;
constexpr std::size_t kOriginsMax = 64;  // Shops of one tenant; as in the file of keys.
constexpr std::size_t kNetworkBytesMax = 64;
constexpr std::size_t kTimeBytesMax = 40;
constexpr std::size_t kScopeBytesMax = 16;
constexpr std::int64_t kRateMax = 1'000'000;  // More than one server takes.

// A body that is read as a rule document is. Belongs to one call.
class Body {
 public:
  // What is wrong with the text or its form; then nothing else is called.
  std::optional<ProblemDetails> Open(std::string_view text) {
    if (const Status parsed = document_.Parse(text); !parsed.ok()) {
      return ProblemDetails{.status = 400,
                            .code = "malformed_request",
                            .detail = "The body is no JSON as we take it.",
                            .errors = {{.detail = parsed.error().message(), .pointer = "#"}}};
    }
    if (document_.root().type() != JsonType::kObject) {
      return Invalid({{.detail = "expected an object", .pointer = "#"}});
    }
    tree_.root = AddJson(document_.root(), &tree_);
    fields_.emplace(tree_, tree_.root, "", &problems_);
    return std::nullopt;
  }

  FieldReader& fields() { return *fields_; }

  // A list of texts; empty if it is absent.
  std::vector<std::string> Texts(std::string_view name, std::size_t count_max,
                                 std::size_t bytes_max);

  // `value`, unless something was wrong.
  template <typename T>
  Parsed<T> Finish(T value) {
    fields_->Finish();
    if (found_.empty()) {
      return value;
    }
    std::vector<http::ProblemError> errors;
    for (const RuleProblem& problem : found_) {
      errors.push_back({.detail = problem.message,
                        .pointer = "#" + FieldPointer(document_.root(), problem.field)});
    }
    return Invalid(std::move(errors));
  }

 private:
  static ProblemDetails Invalid(std::vector<http::ProblemError> errors) {
    return {.status = 422,
            .code = "validation_failed",
            .detail = "Nothing was changed: the body is not valid.",
            .errors = std::move(errors)};
  }

  schemas::JsonDocument document_;
  RuleTree tree_;
  std::vector<RuleProblem> found_;
  ProblemList problems_{"", &found_};
  std::optional<FieldReader> fields_;
};

std::vector<std::string> Body::Texts(std::string_view name, std::size_t count_max,
                                     std::size_t bytes_max) {
  std::vector<std::string> texts;
  const auto node = fields_->Node(name, Need::kOptional);
  if (!node) {
    return texts;
  }
  const RuleNode& list = tree_.nodes[*node];
  if (list.kind != RuleNodeKind::kSequence || list.children.size() > count_max) {
    fields_->Problem(name, "expected a list of at most " + std::to_string(count_max) + " texts");
    return texts;
  }
  for (std::size_t i = 0; i < list.children.size(); ++i) {
    const std::string place = std::string(name) + "[" + std::to_string(i) + "]";
    auto text = fields_->TextOf(list.children[i], place, bytes_max);
    if (text) {
      texts.push_back(*std::move(text));
    }
  }
  return texts;
}

// What `read(body)` makes of the text's members, unless something is wrong with them.
template <typename Read>
Parsed<std::invoke_result_t<Read, Body&>> ParseBody(std::string_view text, Read read) {
  Body body;
  if (auto problem = body.Open(text)) {
    return *std::move(problem);
  }
  return body.Finish(read(body));
}

Redacted<std::string> EmailOf(FieldReader& fields) {
  constexpr std::string_view kName = "email";
  const std::string text = fields.Text(kName, Need::kRequired, schemas::kEmailBytesMax);
  auto email = NormalEmail(text);
  if (!email && !text.empty()) {
    fields.Problem(kName, "expected an e-mail address");
  }
  return Redacted<std::string>(std::move(email).value_or(""));
}

// A name that people read; without control characters.
std::string NameOf(FieldReader& fields, std::string_view name, std::size_t bytes_max) {
  std::string text = fields.Text(name, Need::kOptional, bytes_max);
  if (!schemas::HasNoControls(text)) {
    fields.Problem(name, "expected a text without control characters");
  }
  return text;
}

std::string TenantOf(FieldReader& fields) {
  constexpr std::string_view kName = "tenant";
  std::string text = fields.Text(kName, Need::kOptional, schemas::kTenantIdBytesMax);
  if (!text.empty() && !schemas::IsEntityId(text)) {
    fields.Problem(kName, "expected the id of a tenant");
  }
  return text;
}

Redacted<std::string> RefreshTokenOf(FieldReader& fields) {
  constexpr std::string_view kName = "refresh_token";
  std::string text = fields.Text(kName, Need::kRequired, kRefreshTokenBytesMax);
  if (!text.empty() && !text.starts_with(kRefreshPrefix)) {
    fields.Problem(kName, "expected a refresh token");
  }
  return Redacted<std::string>(std::move(text));
}

// The host of an http or https URL, without its port; "" if there is none.
std::string_view HostOf(std::string_view url) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (url.starts_with(scheme)) {
      url.remove_prefix(scheme.size());
      return url.substr(0, url.find_first_of(":/?#"));
    }
  }
  return "";
}

bool IsOrigin(std::string_view text) {
  const std::string_view host = HostOf(text);
  const std::size_t after = text.find("://") + 3 + host.size();
  return text == "*" ||
         (!host.empty() && text.find_first_of("/?# \t", after) == std::string_view::npos &&
          schemas::HasNoControls(text));
}

void ReadOrigins(Body& body, KeyAsk* ask) {
  constexpr std::string_view kName = "origins";
  ask->origins = body.Texts(kName, kOriginsMax, kOriginBytesMax);
  if (!std::all_of(ask->origins.begin(), ask->origins.end(),
                   [](const std::string& origin) { return IsOrigin(origin); })) {
    body.fields().Problem(kName, "expected origins such as https://shop.example");
  }
  if (ask->kind == KeyKind::kSecret && !ask->origins.empty()) {
    body.fields().Problem(kName, "belongs to publishable keys only");
  }
}

void ReadNetworks(Body& body, KeyAsk* ask) {
  constexpr std::string_view kName = "networks";
  for (const std::string& text : body.Texts(kName, kNetworksPerKeyMax, kNetworkBytesMax)) {
    const auto network = ParseNetwork(text);
    if (network.ok()) {
      ask->networks.push_back(network.value());
    } else {
      body.fields().Problem(kName, network.error().message());
    }
  }
}

void ReadRate(FieldReader& fields, KeyAsk* ask) {
  const auto per_second =
      fields.Integer("events_per_second", Need::kOptional, {.min = 1, .max = kRateMax});
  const auto burst = fields.Integer("burst", Need::kOptional, {.min = 1, .max = kRateMax});
  if (per_second) {
    ask->own_rate = EventRate{
        .per_second = static_cast<double>(*per_second),
        .burst = static_cast<std::uint32_t>(burst.value_or(std::min(*per_second * 2, kRateMax)))};
  } else if (burst) {
    fields.Problem("burst", "belongs to events_per_second");
  }
}

void ReadScopes(Body& body, KeyAsk* ask) {
  constexpr std::string_view kName = "scopes";
  ask->scopes = body.Texts(kName, kScopeNames.size(), kScopeBytesMax);
  const std::set<std::string> known(kScopeNames.begin(), kScopeNames.end());
  const std::set<std::string> given(ask->scopes.begin(), ask->scopes.end());
  if (given.size() != ask->scopes.size() ||
      !std::includes(known.begin(), known.end(), given.begin(), given.end())) {
    body.fields().Problem(kName, "expected some of ingest, read and manage, each once");
  } else if (body.fields().Has(kName) && given.empty()) {
    body.fields().Problem(kName, "expected at least one; without the field it has all");
  }
  if (ask->kind == KeyKind::kPublishable && !given.empty() &&
      given != std::set<std::string>{"ingest"}) {
    body.fields().Problem(kName, "a publishable key is public and may ingest only");
  }
}

// A secret, or an id of the provider: what is wrong with it, the store says.
Redacted<std::string> CredentialOf(FieldReader& fields, std::string_view name, Need need) {
  return Redacted<std::string>(fields.Text(name, need, kCredentialBytesMax));
}

std::string ProviderOf(FieldReader& fields) {
  constexpr std::array<std::string_view, 1> kProviders = {"twilio"};
  return std::string(
      kProviders[fields.Choice("provider", Need::kOptional, kProviders).value_or(0)]);
}

void ReadExpiry(FieldReader& fields, LogTime now, KeyAsk* ask) {
  constexpr std::string_view kName = "expires_at";
  const std::string text = fields.Text(kName, Need::kOptional, kTimeBytesMax);
  if (text.empty()) {
    return;
  }
  const auto time = ParseRfc3339(text);
  if (!time.ok() || time.value() <= now) {
    fields.Problem(kName, "expected a time to come, such as 2030-01-31T00:00:00Z");
    return;
  }
  ask->expires_at = time.value();
}

}  // namespace

std::optional<std::string> NormalEmail(std::string_view text) {
  const std::size_t at = text.find('@');
  if (text.size() > schemas::kEmailBytesMax || at == 0 || at == std::string_view::npos ||
      at + 1 >= text.size() || text.find('@', at + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  std::string email;
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == ',' || c == ';' || c == '<' || c == '>' || c == '"') {
      return std::nullopt;
    }
    email.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return email;
}

Parsed<RegisterAsk> ParseRegister(std::string_view text) {
  return ParseBody(text, [](Body& body) {
    FieldReader& fields = body.fields();
    RegisterAsk ask{.email = EmailOf(fields)};
    std::string password = fields.Text("password", Need::kRequired, kPasswordBytesMax);
    if (!password.empty() && password.size() < kPasswordCharactersMin) {
      fields.Problem("password",
                     "expected at least " + std::to_string(kPasswordCharactersMin) + " characters");
    }
    ask.password = Redacted<std::string>(std::move(password));
    ask.tenant_name = NameOf(fields, "tenant_name", kTenantNameBytesMax);
    ask.device = NameOf(fields, "device", kDeviceBytesMax);
    return ask;
  });
}

Parsed<LoginAsk> ParseLogin(std::string_view text) {
  return ParseBody(text, [](Body& body) {
    FieldReader& fields = body.fields();
    LoginAsk ask{.email = EmailOf(fields)};
    ask.password =
        Redacted<std::string>(fields.Text("password", Need::kRequired, kPasswordBytesMax));
    ask.tenant = TenantOf(fields);
    ask.device = NameOf(fields, "device", kDeviceBytesMax);
    return ask;
  });
}

Parsed<RefreshAsk> ParseRefresh(std::string_view text) {
  return ParseBody(text, [](Body& body) {
    RefreshAsk ask{.token = RefreshTokenOf(body.fields())};
    ask.tenant = TenantOf(body.fields());
    return ask;
  });
}

Parsed<RefreshAsk> ParseLogout(std::string_view text) {
  return ParseBody(text,
                   [](Body& body) { return RefreshAsk{.token = RefreshTokenOf(body.fields())}; });
}

Parsed<WebsiteAsk> ParseWebsite(std::string_view text) {
  return ParseBody(text, [](Body& body) {
    FieldReader& fields = body.fields();
    WebsiteAsk ask{.url = fields.Text("url", Need::kRequired, kWebsiteUrlBytesMax)};
    const std::string_view host = HostOf(ask.url);
    if (!ask.url.empty() && (host.empty() || !schemas::HasNoControls(ask.url))) {
      fields.Problem("url", "expected a URL such as https://shop.example");
    }
    ask.name = NameOf(fields, "name", kWebsiteNameBytesMax);
    ask.id = fields.Text("id", Need::kOptional, schemas::kSiteIdBytesMax);
    const bool is_given = !ask.id.empty();
    if (!is_given) {
      ask.id = host.substr(0, schemas::kSiteIdBytesMax);
    }
    if (!ask.id.empty() && !schemas::IsSiteId(ask.id)) {
      fields.Problem(is_given ? "id" : "url", "expected letters, digits, dots and hyphens");
    }
    if (ask.name.empty()) {
      ask.name = ask.id;
    }
    return ask;
  });
}

Parsed<KeyAsk> ParseKey(std::string_view text, LogTime now) {
  return ParseBody(text, [now](Body& body) {
    constexpr std::array<std::string_view, 2> kKinds = {"secret", "publishable"};
    constexpr std::array<std::string_view, 2> kModes = {"live", "test"};
    FieldReader& fields = body.fields();
    KeyAsk ask;
    ask.kind = fields.Choice("kind", Need::kRequired, kKinds).value_or(0) == 0
                   ? KeyKind::kSecret
                   : KeyKind::kPublishable;
    ask.name = NameOf(fields, "name", kKeyNameBytesMax);
    ask.is_test = fields.Choice("mode", Need::kOptional, kModes).value_or(0) == 1;
    ReadOrigins(body, &ask);
    ReadNetworks(body, &ask);
    ReadRate(fields, &ask);
    ReadExpiry(fields, now, &ask);
    ReadScopes(body, &ask);
    return ask;
  });
}

Parsed<RotateAsk> ParseRotate(std::string_view text) {
  if (text.empty()) {
    // Else a signature of any request without a body could be sent here.
    return ProblemDetails{.status = 400,
                          .code = "malformed_request",
                          .detail = "Nothing was changed: there is no body.",
                          .errors = {{.detail = "expected an object: {} to rotate the key as by "
                                                "default",
                                      .pointer = "#"}}};
  }
  return ParseBody(text, [](Body& body) {
    constexpr std::array<std::string_view, 2> kWhats = {"key", "signing_secret"};
    FieldReader& fields = body.fields();
    RotateAsk ask;
    ask.what = fields.Choice("what", Need::kOptional, kWhats).value_or(0) == 0
                   ? Rotated::kKey
                   : Rotated::kSigningSecret;
    const auto seconds =
        fields.Integer("overlap_seconds", Need::kOptional,
                       {.min = 0, .max = std::chrono::seconds(kRotationOverlapMax).count()});
    if (seconds) {
      ask.overlap = std::chrono::seconds(*seconds);
    }
    return ask;
  });
}

Parsed<AccountAsk> ParseAccount(std::string_view text) {
  return ParseBody(text, [](Body& body) {
    FieldReader& fields = body.fields();
    AccountAsk ask{.provider = ProviderOf(fields)};
    ask.name = fields.Text("name", Need::kRequired, dispatch::kAccountNameBytesMax);
    ask.account_sid = fields.Text("account_sid", Need::kRequired, dispatch::kAccountNameBytesMax);
    ask.auth_token = CredentialOf(fields, "auth_token", Need::kRequired);
    ask.api_key_sid = fields.Text("api_key_sid", Need::kOptional, dispatch::kAccountNameBytesMax);
    ask.api_key_secret = CredentialOf(fields, "api_key_secret", Need::kOptional);
    ask.public_url = fields.Text("public_url", Need::kRequired, dispatch::kAccountUrlBytesMax);
    const auto pace =
        fields.Integer("sends_per_second", Need::kOptional,
                       {.min = 1, .max = static_cast<std::int64_t>(dispatch::kSendsPerSecondMax)});
    const auto burst =
        fields.Integer("burst", Need::kOptional, {.min = 1, .max = dispatch::kSendsBurstMax});
    ask.sends_per_second =
        static_cast<double>(pace.value_or(static_cast<std::int64_t>(ask.sends_per_second)));
    ask.burst = static_cast<std::uint32_t>(burst.value_or(ask.burst));
    return ask;
  });
}

Parsed<CredentialsAsk> ParseCredentials(std::string_view text) {
  return ParseBody(text, [](Body& body) {
    FieldReader& fields = body.fields();
    CredentialsAsk ask{.auth_token = CredentialOf(fields, "auth_token", Need::kOptional)};
    ask.api_key_sid = fields.Text("api_key_sid", Need::kOptional, dispatch::kAccountNameBytesMax);
    ask.api_key_secret = CredentialOf(fields, "api_key_secret", Need::kOptional);
    const auto seconds =
        fields.Integer("overlap_seconds", Need::kOptional,
                       {.min = 0, .max = std::chrono::seconds(kTokenOverlapMax).count()});
    if (seconds) {
      ask.overlap = std::chrono::seconds(*seconds);
    }
    return ask;
  });
}

Parsed<NumberAsk> ParseNumber(std::string_view text) {
  return ParseBody(text, [](Body& body) {
    FieldReader& fields = body.fields();
    NumberAsk ask{.provider = ProviderOf(fields)};
    ask.account = fields.Text("account", Need::kRequired, dispatch::kAccountNameBytesMax);
    ask.number = fields.Text("number", Need::kRequired, schemas::kPhoneTextBytesMax);
    return ask;
  });
}

}  // namespace alertstream::api
