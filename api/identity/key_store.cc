#include "api/identity/key_store.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "api/identity/audit_log.h"
#include "api/identity/new_id.h"
#include "api/identity/transaction.h"
#include "processor/base/crypto.h"
#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

using Texts = std::vector<std::optional<std::string>>;

constexpr std::size_t kHintCharacters = 4;
constexpr std::string_view kSigningSecretPrefix = "as_ss_";

constexpr sql::Statement kCount = {"identity.keys_count",
                                   "SELECT count(*) FROM identity.api_keys WHERE tenant_id = $1"};
constexpr sql::Statement kCountLive = {
    "identity.keys_count_live",
    "SELECT count(*) FILTER (WHERE revoked_at IS NULL AND coalesce(expires_at > $2::timestamptz, "
    "true)), count(*) FROM identity.api_keys WHERE tenant_id = $1"};
constexpr sql::Statement kReplacedBy = {
    "identity.key_replaced_by",
    "SELECT key_id FROM identity.api_keys WHERE tenant_id = $1 AND replaced_by = $2 "
    "AND revoked_at IS NULL AND coalesce(expires_at > $3::timestamptz, true) LIMIT 1"};
constexpr sql::Statement kInsert = {
    "identity.key_insert",
    "INSERT INTO identity.api_keys (tenant_id, key_id, site_id, kind, mode, name, key_sha256, "
    "hint, "
    "origins, networks, events_per_second, burst, created_at, created_by, expires_at, changed_at, "
    "scopes) "
    "VALUES ($1, $2, nullif($3, ''), $4, $5, $6, $7::bytea, $8, $9::text[], $10::text[], "
    "$11::double precision, $12::int, $13::timestamptz, $14, $15::timestamptz, now(), "
    "nullif($16::text[], '{}'))"};
constexpr sql::Statement kInsertSecret = {
    "identity.secret_insert",
    "INSERT INTO identity.signing_secrets (tenant_id, key_id, number, secret_sealed, created_at) "
    "SELECT $1, $2, coalesce(max(number), 0) + 1, $3::bytea, $4::timestamptz "
    "FROM identity.signing_secrets WHERE tenant_id = $1 AND key_id = $2"};
constexpr sql::Statement kList = {
    "identity.keys_list",
    "SELECT k.key_id, k.kind, coalesce(k.site_id, ''), k.name, k.hint, "
    "array_to_string(k.origins, E'\\n'), array_to_string(k.networks, E'\\n'), "
    "k.events_per_second, k.burst, k.created_at, k.created_by, u.last_used_at, k.expires_at, "
    "k.revoked_at, coalesce(k.replaced_by, ''), (SELECT count(*) FROM identity.signing_secrets s "
    "WHERE s.tenant_id = k.tenant_id AND s.key_id = k.key_id "
    "AND (s.expires_at IS NULL OR s.expires_at > $3::timestamptz)), "
    "coalesce(array_to_string(k.scopes, ' '), '') "
    "FROM identity.api_keys k LEFT JOIN identity.api_key_uses u USING (tenant_id, key_id) "
    "WHERE k.tenant_id = $1 AND ($2 = '' OR k.site_id = $2) "
    "ORDER BY k.created_at DESC, k.key_id DESC"};
constexpr sql::Statement kFind = {
    "identity.key_find",
    "SELECT kind, coalesce(site_id, ''), name, array_to_string(origins, E'\\n'), "
    "array_to_string(networks, E'\\n'), events_per_second, burst, expires_at, "
    "revoked_at IS NOT NULL OR coalesce(expires_at <= $4::timestamptz, false), "
    "coalesce(replaced_by, ''), mode = 'test', coalesce(array_to_string(scopes, ' '), '') "
    "FROM identity.api_keys WHERE tenant_id = $1 AND key_id = $2 AND ($3 = '' OR site_id = $3) "
    "FOR UPDATE"};
constexpr sql::Statement kReplace = {
    "identity.key_replace",
    "UPDATE identity.api_keys SET replaced_by = $3, "
    "expires_at = least(coalesce(expires_at, $4::timestamptz), $4::timestamptz) "
    "WHERE tenant_id = $1 AND key_id = $2"};
constexpr sql::Statement kEndSecrets = {
    "identity.secrets_end",
    "UPDATE identity.signing_secrets SET expires_at = CASE WHEN expires_at IS NULL "
    "THEN $3::timestamptz ELSE least(expires_at, $4::timestamptz) END "
    "WHERE tenant_id = $1 AND key_id = $2"};
constexpr sql::Statement kTouch = {
    "identity.key_touch",
    "UPDATE identity.api_keys SET changed_at = now() WHERE tenant_id = $1 AND key_id = $2"};
constexpr sql::Statement kRevoke = {
    "identity.key_revoke",
    "UPDATE identity.api_keys SET revoked_at = $4::timestamptz "
    "WHERE tenant_id = $1 AND key_id = $2 AND ($3 = '' OR site_id = $3) AND revoked_at IS NULL"};
constexpr sql::Statement kRevokeAll = {
    "identity.keys_revoke",
    "UPDATE identity.api_keys SET revoked_at = $3::timestamptz "
    "WHERE tenant_id = $1 AND site_id = $2 AND revoked_at IS NULL RETURNING key_id"};

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string_view KindName(KeyKind kind) {
  return kind == KeyKind::kPublishable ? "publishable" : "secret";
}

Texts Optionals(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

Status InsertKey(sql::Session& session, const std::string& tenant, const std::string& id,
                 const Redacted<std::string>& key, const KeyAsk& ask, const std::string& actor,
                 LogTime now) {
  Texts networks;
  for (const Network& network : ask.networks) {
    networks.emplace_back(FormatNetwork(network));
  }
  const std::string& text = key.Reveal();
  const Digest digest = Sha256::Of(text);
  sql::Params params;
  params.Text(tenant)
      .Text(id)
      .Text(ask.site)
      .Text(KindName(ask.kind))
      .Text(ask.is_test ? "test" : "live")
      .Text(ask.name);
  params.Bytes(AsView(digest)).Text(text.substr(text.size() - kHintCharacters));
  params.Texts(Optionals(ask.origins)).Texts(networks);
  if (ask.own_rate) {
    params.Text(std::to_string(ask.own_rate->per_second)).Integer(ask.own_rate->burst);
  } else {
    params.Null().Null();
  }
  params.Time(now).Text(actor);
  if (ask.expires_at) {
    params.Time(*ask.expires_at);
  } else {
    params.Null();
  }
  params.Texts(Optionals(ask.scopes));
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsert, params));
  return Status::Ok();
}

Status InsertSecret(sql::Session& session, const Sealer& sealer, const std::string& tenant,
                    const std::string& id, const Redacted<std::string>& secret, LogTime now) {
  const std::string sealed = sealer.Seal(secret, SigningSecretContext(tenant, id));
  ALERTSTREAM_RETURN_IF_ERROR(
      session.Run(kInsertSecret, sql::Params().Text(tenant).Text(id).Bytes(sealed).Time(now)));
  return Status::Ok();
}

Result<NewKey> InsertWhole(sql::Session& session, const Sealer& sealer, const std::string& tenant,
                           const KeyAsk& ask, const std::string& actor, LogTime now) {
  const std::string prefix =
      std::string(ask.kind == KeyKind::kPublishable ? kPublishablePrefix : kSecretPrefix) +
      (ask.is_test ? "test_" : "live_");
  NewKey made{.id = NewId("key_", now), .key = NewSecret(prefix)};
  ALERTSTREAM_RETURN_IF_ERROR(InsertKey(session, tenant, made.id, made.key, ask, actor, now));
  if (ask.kind == KeyKind::kSecret) {
    made.signing_secret = NewSecret(kSigningSecretPrefix);
    ALERTSTREAM_RETURN_IF_ERROR(
        InsertSecret(session, sealer, tenant, made.id, made.signing_secret, now));
  }
  return made;
}

Status Audit(sql::Session& session, const std::string& tenant, const std::string& actor,
             std::string_view action, const std::string& key, LogTime now,
             std::string detail = "{}") {
  return InsertAudit(session,
                     {.tenant = tenant,
                      .actor = actor,
                      .action = std::string(action),
                      .subject = key,
                      .detail_json = std::move(detail)},
                     now);
}

std::optional<EventRate> RateAt(const sql::Rows& rows, std::size_t row, std::size_t column) {
  if (rows.IsNull(row, column) || rows.IsNull(row, column + 1)) {
    return std::nullopt;
  }
  return EventRate{.per_second = std::strtod(std::string(rows.Text(row, column)).c_str(), nullptr),
                   .burst = static_cast<std::uint32_t>(rows.Integer(row, column + 1))};
}

std::optional<LogTime> TimeAt(const sql::Rows& rows, std::size_t row, std::size_t column) {
  return rows.IsNull(row, column) ? std::nullopt : std::optional(rows.Time(row, column));
}

KeyKind KindOf(std::string_view name) {
  return name == KindName(KeyKind::kPublishable) ? KeyKind::kPublishable : KeyKind::kSecret;
}

Status CheckBounds(const KeyAsk& ask, const KeyRights* bounds) {
  const KeyRights rights = {.scopes = ScopesOf(ask.scopes, ask.kind),
                            .networks = ask.networks,
                            .expires_at = ask.expires_at};
  return bounds == nullptr || IsWithin(rights, *bounds)
             ? Status::Ok()
             : Status(Error(ErrorCode::kDenied, "The API key has more than the one that asks."));
}

// The key that is rotated, as what would make another one like it.
struct Rotating {
  KeyAsk ask;
  bool is_live = false;
  bool is_replaced = false;
};

Result<Rotating> FindForRotation(sql::Session& session, const std::string& tenant,
                                 const std::string& site, const std::string& key, LogTime now) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      session.Run(kFind, sql::Params().Text(tenant).Text(key).Text(site).Time(now)));
  if (rows.size() == 0) {
    return Error(ErrorCode::kNotFound, "There is no such API key.");
  }
  Rotating found{.is_live = !rows.Boolean(0, 8), .is_replaced = !rows.Text(0, 9).empty()};
  found.ask = {.kind = KindOf(rows.Text(0, 0)),
               .site = std::string(rows.Text(0, 1)),
               .name = std::string(rows.Text(0, 2)),
               .is_test = rows.Boolean(0, 10),
               .origins = SplitLines(rows.Text(0, 3)),
               .own_rate = RateAt(rows, 0, 5),
               .expires_at = TimeAt(rows, 0, 7),
               .scopes = SplitWords(rows.Text(0, 11))};
  for (const std::string& text : SplitLines(rows.Text(0, 4))) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const Network network, ParseNetwork(text));
    found.ask.networks.push_back(network);
  }
  if (!found.is_live) {
    return Error(ErrorCode::kNotFound, "The API key is revoked or has expired.");
  }
  return found;
}

// Ok if the key may have a successor: there is room for one, and of the key's chain no other lives.
Status MayBeReplaced(sql::Session& session, const std::string& tenant, const std::string& key,
                     LogTime now) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows count,
                               session.Run(kCountLive, sql::Params().Text(tenant).Time(now)));
  if (count.Integer(0, 0) >= static_cast<std::int64_t>(kKeysOfTenantMax)) {
    return Error(ErrorCode::kExhausted,
                 "The tenant has as many live API keys as it may have; revoke one first.");
  }
  if (count.Integer(0, 1) >= static_cast<std::int64_t>(kKeysEverOfTenantMax)) {
    return Error(ErrorCode::kExhausted, "The tenant had as many API keys as it may have.");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows before,
      session.Run(kReplacedBy, sql::Params().Text(tenant).Text(key).Time(now)));
  if (before.size() > 0) {
    return Error(ErrorCode::kConflict, "The API key that this one replaced still lives: revoke " +
                                           std::string(before.Text(0, 0)) +
                                           " first, or wait until it ends.");
  }
  return Status::Ok();
}

}  // namespace

std::string SigningSecretContext(std::string_view tenant, std::string_view key_id) {
  return "signing_secrets/" + std::string(tenant) + "/" + std::string(key_id);
}

KeyScopes ScopesOf(const std::vector<std::string>& names, KeyKind kind) {
  if (kind != KeyKind::kSecret) {
    return {.read = false, .manage = false};
  }
  const auto has = [&](std::string_view name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  };
  return {
      .ingest = has(kScopeNames[0]), .read = has(kScopeNames[1]), .manage = has(kScopeNames[2])};
}

bool IsWithin(const KeyRights& rights, const KeyRights& bounds) {
  const auto implies = [](bool given, bool held) { return !given || held; };
  if (!implies(rights.scopes.ingest, bounds.scopes.ingest) ||
      !implies(rights.scopes.read, bounds.scopes.read) ||
      !implies(rights.scopes.manage, bounds.scopes.manage)) {
    return false;
  }
  if (bounds.expires_at && (!rights.expires_at || *rights.expires_at > *bounds.expires_at)) {
    return false;
  }
  return bounds.networks.empty() ||
         (!rights.networks.empty() &&
          std::all_of(rights.networks.begin(), rights.networks.end(),
                      [&](const Network& one) { return Covers(bounds.networks, one); }));
}

std::vector<std::string> ScopeNames(const KeyScopes& scopes) {
  std::vector<std::string> names;
  const std::array<bool, 3> are_set = {scopes.ingest, scopes.read, scopes.manage};
  for (std::size_t i = 0; i < are_set.size(); ++i) {
    if (are_set[i]) {
      names.emplace_back(kScopeNames[i]);
    }
  }
  return names;
}

std::vector<std::string> SplitWords(std::string_view words) { return Split(words, ' '); }

std::vector<std::string> SplitLines(std::string_view lines) { return Split(lines, '\n'); }

Result<NewKey> KeyStore::Create(const std::string& tenant, const KeyAsk& ask,
                                const std::string& actor, const KeyRights* bounds) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckBounds(ask, bounds));
  const LogTime now = clock_.Now();
  return InTransaction(pool_, [&](sql::Session& session) -> Result<NewKey> {
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows count,
                                 session.Run(kCount, sql::Params().Text(tenant)));
    if (count.Integer(0, 0) >= static_cast<std::int64_t>(kKeysOfTenantMax)) {
      return Error(ErrorCode::kExhausted, "The tenant has as many API keys as it may have.");
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(NewKey made,
                                 InsertWhole(session, sealer_, tenant, ask, actor, now));
    ALERTSTREAM_RETURN_IF_ERROR(Audit(session, tenant, actor, "key.create", made.id, now));
    return made;
  });
}

Result<std::vector<KeySummary>> KeyStore::List(const std::string& tenant, const std::string& site) {
  auto lease = pool_.Take(kSessionWaitMax);
  if (!lease.ok()) {
    return lease.error();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      lease.value()->Run(kList, sql::Params().Text(tenant).Text(site).Time(clock_.Now())));
  std::vector<KeySummary> keys;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    KeySummary& key = keys.emplace_back();
    key.id = rows.Text(i, 0);
    key.kind = KindOf(rows.Text(i, 1));
    key.site = rows.Text(i, 2);
    key.name = rows.Text(i, 3);
    key.hint = rows.Text(i, 4);
    key.origins = SplitLines(rows.Text(i, 5));
    key.networks = SplitLines(rows.Text(i, 6));
    key.own_rate = RateAt(rows, i, 7);
    key.created_at = rows.Time(i, 9);
    key.created_by = rows.Text(i, 10);
    key.last_used_at = TimeAt(rows, i, 11);
    key.expires_at = TimeAt(rows, i, 12);
    key.revoked_at = TimeAt(rows, i, 13);
    key.replaced_by = rows.Text(i, 14);
    key.live_secrets = rows.Integer(i, 15);
    key.scopes = ScopesOf(SplitWords(rows.Text(i, 16)), key.kind);
  }
  return keys;
}

Result<NewKey> KeyStore::Rotate(const std::string& tenant, const std::string& site,
                                const std::string& key, Rotated what, std::chrono::seconds overlap,
                                const std::string& actor, const KeyRights* bounds) {
  const LogTime now = clock_.Now();
  return InTransaction(pool_, [&](sql::Session& session) -> Result<NewKey> {
    ALERTSTREAM_ASSIGN_OR_RETURN(const Rotating found,
                                 FindForRotation(session, tenant, site, key, now));
    ALERTSTREAM_RETURN_IF_ERROR(CheckBounds(found.ask, bounds));
    if (what == Rotated::kSigningSecret) {
      if (found.ask.kind != KeyKind::kSecret) {
        return Error(ErrorCode::kInvalid, "A publishable key has no signing secret.");
      }
      NewKey made{.id = key, .signing_secret = NewSecret(kSigningSecretPrefix)};
      ALERTSTREAM_RETURN_IF_ERROR(session.Run(
          kEndSecrets, sql::Params().Text(tenant).Text(key).Time(now + overlap).Time(now)));
      ALERTSTREAM_RETURN_IF_ERROR(
          InsertSecret(session, sealer_, tenant, key, made.signing_secret, now));
      ALERTSTREAM_RETURN_IF_ERROR(session.Run(kTouch, sql::Params().Text(tenant).Text(key)));
      ALERTSTREAM_RETURN_IF_ERROR(Audit(session, tenant, actor, "key.rotate_secret", key, now));
      return made;
    }
    if (found.is_replaced) {
      return Error(ErrorCode::kConflict, "The API key was rotated already; rotate its successor.");
    }
    ALERTSTREAM_RETURN_IF_ERROR(MayBeReplaced(session, tenant, key, now));
    ALERTSTREAM_ASSIGN_OR_RETURN(NewKey made,
                                 InsertWhole(session, sealer_, tenant, found.ask, actor, now));
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(
        kReplace, sql::Params().Text(tenant).Text(key).Text(made.id).Time(now + overlap)));
    ALERTSTREAM_RETURN_IF_ERROR(Audit(session, tenant, actor, "key.rotate", key, now,
                                      schemas::JsonObject().Text("replaced_by", made.id).Take()));
    return made;
  });
}

Status KeyStore::Revoke(const std::string& tenant, const std::string& site, const std::string& key,
                        const std::string& actor) {
  const LogTime now = clock_.Now();
  return InTransaction(pool_, [&](sql::Session& session) -> Status {
    const auto params = [&] { return sql::Params().Text(tenant).Text(key).Text(site).Time(now); };
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows revoked, session.Run(kRevoke, params()));
    if (revoked.affected() == 0) {
      ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows found, session.Run(kFind, params()));
      return found.size() > 0 ? Status::Ok()
                              : Error(ErrorCode::kNotFound, "There is no such API key.");
    }
    return Audit(session, tenant, actor, "key.revoke", key, now);
  });
}

Status KeyStore::RevokeAll(const std::string& tenant, const std::string& site,
                           const std::string& actor) {
  const LogTime now = clock_.Now();
  return InTransaction(pool_, [&](sql::Session& session) -> Status {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const sql::Rows rows,
        session.Run(kRevokeAll, sql::Params().Text(tenant).Text(site).Time(now)));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ALERTSTREAM_RETURN_IF_ERROR(
          Audit(session, tenant, actor, "key.revoke", std::string(rows.Text(i, 0)), now));
    }
    return Status::Ok();
  });
}

}  // namespace alertstream::api
