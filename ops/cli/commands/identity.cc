#include "ops/cli/commands/identity.h"

#include <optional>
#include <ostream>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "api/identity/new_id.h"
#include "api/identity/roles.h"
#include "processor/base/rfc3339.h"
#include "schemas/json.h"
#include "schemas/json_object.h"

namespace alertstream::cli {
namespace {

using schemas::JsonType;
using schemas::JsonValue;

bool IsJson(const Streams& io) {
  return io.render.format == OutputFormat::kJson || io.render.format == OutputFormat::kJsonLines;
}

std::string_view KindName(api::KeyKind kind) {
  return kind == api::KeyKind::kPublishable ? "publishable" : "secret";
}

std::string TextOf(const JsonValue& object, std::string_view name) {
  const auto value = object.Find(name);
  return value && value->type() == JsonType::kString ? std::string(value->AsString()) : "";
}

std::optional<LogTime> TimeOf(const JsonValue& object, std::string_view name) {
  const auto time = ParseRfc3339(TextOf(object, name));
  return time.ok() ? std::optional(time.value()) : std::nullopt;
}

Cell Optional(const std::optional<LogTime>& time) { return time ? Cell{*time} : Cell{Absent{}}; }
Cell Optional(const std::string& text) { return text.empty() ? Cell{Absent{}} : Cell{text}; }

std::string KeysPath(const std::string& site) { return "/api/v1/websites/" + site + "/keys"; }

Error NeedsSite() {
  return Error(ErrorCode::kInvalid,
               "--site: a server is asked for the keys of one website; keys of all websites are "
               "made on the database (--postgres)");
}

Result<api::NewKey> NewKeyOf(const Result<ApiAnswer>& answer) {
  if (!answer.ok()) {
    return answer.error();
  }
  schemas::JsonDocument document;
  if (!document.Parse(answer.value().body).ok()) {
    return Error(ErrorCode::kUnavailable, "the server's answer is no JSON");
  }
  const JsonValue key = document.root();
  return api::NewKey{.id = TextOf(key, "id"),
                     .key = Redacted<std::string>(TextOf(key, "key")),
                     .signing_secret = Redacted<std::string>(TextOf(key, "signing_secret"))};
}

std::string ListOf(const std::vector<std::string>& texts) {
  schemas::JsonList list;
  for (const std::string& text : texts) {
    list.Text(text);
  }
  return list.Take();
}

// The only time that they are seen.
ExitCode PrintNewKey(const Streams& io, const api::NewKey& key) {
  if (IsJson(io)) {
    schemas::JsonObject object;
    object.Text("id", key.id);
    if (!key.key.Reveal().empty()) {
      object.Text("key", key.key.Reveal());
    }
    if (!key.signing_secret.Reveal().empty()) {
      object.Text("signing_secret", key.signing_secret.Reveal());
    }
    io.out << object.Take() << "\n";
    return ExitCode::kOk;
  }
  io.out << fmt::format("id              {}\n", key.id);
  if (!key.key.Reveal().empty()) {
    io.out << fmt::format("key             {}\n", key.key.Reveal());
  }
  if (!key.signing_secret.Reveal().empty()) {
    io.out << fmt::format("signing secret  {}\n", key.signing_secret.Reveal());
  }
  io.out << "They are shown this once and cannot be had again.\n";
  return ExitCode::kOk;
}

}  // namespace

Result<api::NewKey> ServerKeyDesk::Create(const api::KeyAsk& ask) {
  if (ask.site.empty()) {
    return NeedsSite();
  }
  schemas::JsonObject body;
  body.Text("kind", KindName(ask.kind)).Text("mode", ask.is_test ? "test" : "live");
  if (!ask.name.empty()) {
    body.Text("name", ask.name);
  }
  if (!ask.origins.empty()) {
    body.Raw("origins", ListOf(ask.origins));
  }
  std::vector<std::string> networks;
  for (const api::Network& network : ask.networks) {
    networks.push_back(api::FormatNetwork(network));
  }
  body.Raw("networks", ListOf(networks));
  if (ask.own_rate) {
    body.Integer("events_per_second", static_cast<std::int64_t>(ask.own_rate->per_second));
    body.Integer("burst", static_cast<std::int64_t>(ask.own_rate->burst));
  }
  if (ask.expires_at) {
    body.Text("expires_at", FormatRfc3339(*ask.expires_at));
  }
  return NewKeyOf(api_.Send({.method = "POST",
                             .path = KeysPath(ask.site),
                             .body = body.Take(),
                             .auth = ApiAuth::kSigned}));
}

Result<std::vector<api::KeySummary>> ServerKeyDesk::List(const std::string& site) {
  if (site.empty()) {
    return NeedsSite();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const ApiAnswer answer,
                               api_.Send({.path = KeysPath(site), .auth = ApiAuth::kSigned}));
  schemas::JsonDocument document;
  const auto parsed = document.Parse(answer.body);
  const auto data = parsed.ok() ? document.root().Find("data") : std::nullopt;
  if (!data) {
    return Error(ErrorCode::kUnavailable, "the server's answer is no list of API keys");
  }
  std::vector<api::KeySummary> keys;
  for (auto one = data->first_child(); one; one = one->next_sibling()) {
    api::KeySummary& key = keys.emplace_back();
    key.id = TextOf(*one, "id");
    key.kind = TextOf(*one, "kind") == KindName(api::KeyKind::kPublishable)
                   ? api::KeyKind::kPublishable
                   : api::KeyKind::kSecret;
    key.site = TextOf(*one, "website");
    key.name = TextOf(*one, "name");
    key.hint = TextOf(*one, "hint");
    key.created_at = TimeOf(*one, "created_at").value_or(LogTime{});
    key.created_by = TextOf(*one, "created_by");
    key.last_used_at = TimeOf(*one, "last_used_at");
    key.expires_at = TimeOf(*one, "expires_at");
    key.revoked_at = TimeOf(*one, "revoked_at");
    key.replaced_by = TextOf(*one, "replaced_by");
  }
  return keys;
}

Result<api::NewKey> ServerKeyDesk::Rotate(const std::string& site, const std::string& key,
                                          api::Rotated what, std::chrono::seconds overlap) {
  if (site.empty()) {
    return NeedsSite();
  }
  schemas::JsonObject body;
  body.Text("what", what == api::Rotated::kKey ? "key" : "signing_secret");
  body.Integer("overlap_seconds", overlap.count());
  return NewKeyOf(api_.Send({.method = "POST",
                             .path = KeysPath(site) + "/" + key + "/rotate",
                             .body = body.Take(),
                             .auth = ApiAuth::kSigned}));
}

Status ServerKeyDesk::Revoke(const std::string& site, const std::string& key) {
  if (site.empty()) {
    return NeedsSite();
  }
  ALERTSTREAM_RETURN_IF_ERROR(api_.Send(
      {.method = "DELETE", .path = KeysPath(site) + "/" + key, .auth = ApiAuth::kSigned}));
  return Status::Ok();
}

Result<ExitCode> CreateKey(KeyDesk& desk, const Streams& io, const api::KeyAsk& ask) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const api::NewKey made, desk.Create(ask));
  return PrintNewKey(io, made);
}

Result<ExitCode> ListKeys(KeyDesk& desk, const Streams& io, const std::string& site, LogTime now) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto keys, desk.List(site));
  Table table({{.key = "id"},
               {.key = "kind"},
               {.key = "website"},
               {.key = "name"},
               {.key = "hint"},
               {.key = "status"},
               {.key = "created_at", .title = "CREATED"},
               {.key = "created_by", .wide = true},
               {.key = "last_used_at", .title = "LAST USED"},
               {.key = "expires_at", .title = "EXPIRES", .wide = true},
               {.key = "replaced_by", .wide = true}});
  for (const api::KeySummary& key : keys) {
    Cell status{std::string("active"), CellStyle::kGood};
    if (key.revoked_at) {
      status = {std::string("revoked"), CellStyle::kDim};
    } else if (key.expires_at && *key.expires_at <= now) {
      status = {std::string("expired"), CellStyle::kDim};
    }
    table.Add({{key.id},
               {std::string(KindName(key.kind))},
               Optional(key.site),
               Optional(key.name),
               {"..." + key.hint},
               status,
               {key.created_at},
               Optional(key.created_by),
               Optional(key.last_used_at),
               Optional(key.expires_at),
               Optional(key.replaced_by)});
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(io, table));
  return ExitCode::kOk;
}

Result<ExitCode> RotateKey(KeyDesk& desk, const Streams& io, const std::string& site,
                           const std::string& key, api::Rotated what,
                           std::chrono::seconds overlap) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const api::NewKey made, desk.Rotate(site, key, what, overlap));
  return PrintNewKey(io, made);
}

Result<ExitCode> RevokeKey(KeyDesk& desk, const Streams& io, const std::string& site,
                           const std::string& key) {
  ALERTSTREAM_RETURN_IF_ERROR(desk.Revoke(site, key));
  if (!IsJson(io)) {
    io.out << key << ": revoked; servers know within 5 seconds\n";
  } else {
    io.out << schemas::JsonObject().Text("id", key).Text("status", "revoked").Take() << "\n";
  }
  return ExitCode::kOk;
}

Result<ExitCode> CreateUser(api::Accounts& accounts, const Streams& io, const UserCommand& command,
                            const Redacted<std::string>& email, Redacted<std::string> password,
                            api::Role role) {
  auto made = accounts.CreateUser(command.tenant, email, password, role, command.actor);
  // Who is new needs a password; who was there keeps theirs.
  const bool is_drawn =
      password.Reveal().empty() && !made.ok() && made.error().code() == ErrorCode::kNotFound;
  if (is_drawn) {
    password = api::NewSecret("");
    made = accounts.CreateUser(command.tenant, email, password, role, command.actor);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string user, std::move(made));
  schemas::JsonObject object;
  object.Text("id", user).Text("tenant", command.tenant).Text("role", api::RoleName(role));
  if (is_drawn) {
    object.Text("password", password.Reveal());
  }
  if (IsJson(io)) {
    io.out << object.Take() << "\n";
    return ExitCode::kOk;
  }
  io.out << fmt::format("id        {}\n", user);
  if (is_drawn) {
    io.out << fmt::format("password  {}\n", password.Reveal());
  }
  return ExitCode::kOk;
}

Result<ExitCode> ListUsers(api::Accounts& accounts, const Streams& io, const std::string& tenant) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto users, accounts.ListUsers(tenant));
  Table table({{.key = "id"},
               {.key = "email"},
               {.key = "role"},
               {.key = "status"},
               {.key = "created_at", .title = "CREATED"},
               {.key = "last_login_at", .title = "LAST LOGIN"}});
  for (const api::UserSummary& user : users) {
    table.Add({{user.id},
               {user.email},
               {std::string(api::RoleName(user.role))},
               {std::string(user.is_active ? "active" : "disabled")},
               {user.created_at},
               Optional(user.last_login_at)});
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(io, table));
  return ExitCode::kOk;
}

Result<ExitCode> SetUserRole(api::Accounts& accounts, const Streams& io, const UserCommand& command,
                             const std::string& user, api::Role role) {
  ALERTSTREAM_RETURN_IF_ERROR(accounts.SetRole(command.tenant, user, role, command.actor));
  io.out << schemas::JsonObject().Text("id", user).Text("role", api::RoleName(role)).Take() << "\n";
  return ExitCode::kOk;
}

Result<ExitCode> DisableUser(api::Accounts& accounts, const Streams& io, const UserCommand& command,
                             const std::string& user) {
  ALERTSTREAM_RETURN_IF_ERROR(accounts.DisableUser(command.tenant, user, command.actor));
  io.out << schemas::JsonObject().Text("id", user).Text("status", "disabled").Take() << "\n";
  return ExitCode::kOk;
}

Result<ExitCode> ListRoles(const Streams& io) {
  std::vector<Column> columns = {{.key = "permission"}};
  for (const api::Role role : api::kRoles) {
    columns.push_back({.key = std::string(api::RoleName(role))});
  }
  Table table(std::move(columns));
  for (const api::Permission permission : api::kPermissions) {
    std::vector<Cell> row = {{std::string(api::PermissionName(permission))}};
    for (const api::Role role : api::kRoles) {
      row.emplace_back().value = api::Allows(role, permission);
    }
    table.Add(std::move(row));
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(io, table));
  return ExitCode::kOk;
}

}  // namespace alertstream::cli
