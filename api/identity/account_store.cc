#include "api/identity/account_store.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include <fmt/format.h>

#include "api/identity/audit_log.h"
#include "api/identity/new_id.h"
#include "api/identity/transaction.h"
#include "schemas/json.h"
#include "schemas/json_object.h"
#include "schemas/limits.h"

namespace alertstream::api {
namespace {

constexpr std::string_view kTwilio = "twilio";
constexpr std::size_t kPhoneDigitsMin = 7;
constexpr std::size_t kPhoneDigitsMax = 15;  // E.164.

#define ALERTSTREAM_ACCOUNT_COLUMNS                                                              \
  "account_id, coalesce(tenant_id, ''), provider, account, account_sid, api_key_sid, base_url, " \
  "public_url, sends_per_second, burst, previous_until, created_at, created_by, changed_at "

constexpr sql::Statement kInsert = {
    "identity.account_insert",
    "INSERT INTO identity.provider_accounts (account_id, tenant_id, provider, account, "
    "account_sid, api_key_sid, base_url, public_url, sends_per_second, burst, created_at, "
    "created_by, changed_at, credentials_sealed) VALUES ($1, nullif($2, ''), $3, $4, $5, $6, $7, "
    "$8, $9::double precision, $10::int, $11::timestamptz, $12, $11::timestamptz, $13::bytea) "
    "RETURNING " ALERTSTREAM_ACCOUNT_COLUMNS};
// Of the tenant ('': the deployment) and of all.
constexpr sql::Statement kCount = {
    "identity.accounts_count",
    "SELECT count(*) FILTER (WHERE tenant_id IS NOT DISTINCT FROM nullif($1, '')), count(*) "
    "FROM identity.provider_accounts"};
constexpr sql::Statement kList = {
    "identity.accounts_list", "SELECT " ALERTSTREAM_ACCOUNT_COLUMNS
                              "FROM identity.provider_accounts WHERE $2::bool OR tenant_id = $1 "
                              "ORDER BY provider, account"};
constexpr sql::Statement kFind = {
    "identity.account_find",
    "SELECT " ALERTSTREAM_ACCOUNT_COLUMNS
    ", credentials_sealed FROM identity.provider_accounts "
    "WHERE (account_id = $1 OR ($3::bool AND account = $1)) AND ($3::bool OR tenant_id = $2) "
    "FOR UPDATE"};
constexpr sql::Statement kRotate = {
    "identity.account_rotate",
    "UPDATE identity.provider_accounts SET api_key_sid = $2, credentials_sealed = $3::bytea, "
    "previous_until = $4::timestamptz, changed_at = $5::timestamptz WHERE account_id = $1 "
    "RETURNING " ALERTSTREAM_ACCOUNT_COLUMNS};
constexpr sql::Statement kRemove = {"identity.account_remove",
                                    "DELETE FROM identity.provider_accounts WHERE account_id = $1"};
constexpr sql::Statement kClaimsOf = {
    "identity.account_claims",
    "SELECT count(*) FROM identity.number_claims WHERE provider = $1 AND account = $2"};
// Waits for whoever removes the account at the same time.
constexpr sql::Statement kOwnerOf = {
    "identity.account_owner",
    "SELECT coalesce(tenant_id, '') FROM identity.provider_accounts "
    "WHERE provider = $1 AND account = $2 FOR SHARE"};

#undef ALERTSTREAM_ACCOUNT_COLUMNS

#define ALERTSTREAM_NUMBER_COLUMNS \
  "number_id, tenant_id, provider, account, number, claimed_at, claimed_by "

constexpr sql::Statement kClaim = {
    "identity.number_claim",
    "INSERT INTO identity.number_claims (number_id, tenant_id, provider, account, number, "
    "claimed_at, claimed_by) VALUES ($1, $2, $3, $4, $5, $6::timestamptz, $7) "
    "RETURNING " ALERTSTREAM_NUMBER_COLUMNS};
constexpr sql::Statement kFindClaim = {
    "identity.number_find", "SELECT " ALERTSTREAM_NUMBER_COLUMNS
                            "FROM identity.number_claims WHERE tenant_id = $1 AND provider = $2 "
                            "AND account = $3 AND number = $4"};
constexpr sql::Statement kCountClaims = {
    "identity.numbers_count",
    "SELECT count(*) FILTER (WHERE tenant_id = $1), count(*) FROM identity.number_claims"};
constexpr sql::Statement kListClaims = {
    "identity.numbers_list", "SELECT " ALERTSTREAM_NUMBER_COLUMNS
                             "FROM identity.number_claims WHERE $2::bool OR tenant_id = $1 "
                             "ORDER BY tenant_id, provider, account, number"};
constexpr sql::Statement kRelease = {
    "identity.number_release",
    "DELETE FROM identity.number_claims WHERE number_id = $1 AND ($3::bool OR tenant_id = $2) "
    "RETURNING tenant_id"};

#undef ALERTSTREAM_NUMBER_COLUMNS

Error NoAccount() { return {ErrorCode::kNotFound, "There is no such provider account."}; }

bool SeesAll(const AccountOwner& owner) { return owner.is_operator && owner.tenant.empty(); }

AccountSummary SummaryAt(const sql::Rows& rows, std::size_t row) {
  AccountSummary account{
      .id = std::string(rows.Text(row, 0)),
      .tenant = std::string(rows.Text(row, 1)),
      .provider = std::string(rows.Text(row, 2)),
      .name = std::string(rows.Text(row, 3)),
      .account_sid = std::string(rows.Text(row, 4)),
      .api_key_sid = std::string(rows.Text(row, 5)),
      .base_url = std::string(rows.Text(row, 6)),
      .public_url = std::string(rows.Text(row, 7)),
      .sends_per_second = std::strtod(std::string(rows.Text(row, 8)).c_str(), nullptr),
      .burst = static_cast<std::uint32_t>(rows.Integer(row, 9)),
      .created_at = rows.Time(row, 11),
      .created_by = std::string(rows.Text(row, 12)),
      .changed_at = rows.Time(row, 13)};
  if (!rows.IsNull(row, 10)) {
    account.previous_until = rows.Time(row, 10);
  }
  return account;
}

NumberClaim ClaimAt(const sql::Rows& rows, std::size_t row) {
  return {.id = std::string(rows.Text(row, 0)),
          .tenant = std::string(rows.Text(row, 1)),
          .provider = std::string(rows.Text(row, 2)),
          .account = std::string(rows.Text(row, 3)),
          .number = std::string(rows.Text(row, 4)),
          .claimed_at = rows.Time(row, 5),
          .claimed_by = std::string(rows.Text(row, 6))};
}

Status CheckSecret(std::string_view name, const Redacted<std::string>& secret) {
  const std::string& text = secret.Reveal();
  const bool is_printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (text.size() < kCredentialBytesMin || text.size() > kCredentialBytesMax || !is_printable) {
    return Error(ErrorCode::kInvalid, fmt::format("{}: expected {} to {} characters without spaces",
                                                  name, kCredentialBytesMin, kCredentialBytesMax));
  }
  return Status::Ok();
}

Status CheckApiKey(const std::string& sid, const Redacted<std::string>& secret) {
  if (sid.empty() != secret.Reveal().empty()) {
    return Error(ErrorCode::kInvalid, "api_key_sid: goes together with api_key_secret");
  }
  if (sid.empty()) {
    return Status::Ok();
  }
  if (!dispatch::IsAccountWord(sid)) {
    return Error(ErrorCode::kInvalid, "api_key_sid: expected the provider's id of the key, SK...");
  }
  return CheckSecret("api_key_secret", secret);
}

Status CheckAccount(const AccountAsk& ask) {
  const auto invalid = [](const char* what) { return Error(ErrorCode::kInvalid, what); };
  if (ask.provider != kTwilio) {
    return invalid("provider: expected twilio");
  }
  if (!dispatch::IsAccountWord(ask.name)) {
    return invalid("name: expected letters, digits, _ and -, at most 64: part of webhooks' URLs");
  }
  if (!dispatch::IsAccountWord(ask.account_sid)) {
    return invalid("account_sid: expected the provider's id of the account, AC...");
  }
  if (!dispatch::IsServerUrl(ask.base_url, dispatch::UrlPath::kAllowed)) {
    return invalid("base_url: expected such as https://api.twilio.com");
  }
  if (!dispatch::IsServerUrl(ask.public_url, dispatch::UrlPath::kAllowed)) {
    return invalid(
        "public_url: expected such as https://alerts.example, where the provider reaches us");
  }
  if (!std::isfinite(ask.sends_per_second) || ask.sends_per_second <= 0 ||
      ask.sends_per_second > dispatch::kSendsPerSecondMax) {
    return invalid("sends_per_second: expected a number above 0, at most 1000000");
  }
  if (ask.burst < 1 || ask.burst > dispatch::kSendsBurstMax) {
    return invalid("burst: expected a whole number, 1 to 1000000");
  }
  ALERTSTREAM_RETURN_IF_ERROR(CheckSecret("auth_token", ask.auth_token));
  return CheckApiKey(ask.api_key_sid, ask.api_key_secret);
}

Status CheckNumber(const NumberAsk& ask) {
  if (ask.provider != kTwilio) {
    return Error(ErrorCode::kInvalid, "provider: expected twilio");
  }
  if (!dispatch::IsAccountWord(ask.account)) {
    return Error(ErrorCode::kInvalid, "account: expected the name of a provider account");
  }
  const std::string& number = ask.number;
  const Error wrong(ErrorCode::kInvalid,
                    "number: expected a telephone number, + and 7 to 15 digits, or a sender id or "
                    "messaging service of the account");
  if (number.starts_with('+')) {
    const bool is_digits =
        std::all_of(number.begin() + 1, number.end(), [](char c) { return c >= '0' && c <= '9'; });
    const std::size_t digits = number.size() - 1;
    return is_digits && digits >= kPhoneDigitsMin && digits <= kPhoneDigitsMax ? Status::Ok()
                                                                               : Status(wrong);
  }
  const bool is_printable =
      std::all_of(number.begin(), number.end(), [](char c) { return c >= ' ' && c <= '~'; });
  // Digits alone would be a number that lacks its +, under which nothing arrives; short codes have
  // at most 6.
  const bool is_number = number.size() > 6 && std::all_of(number.begin(), number.end(), [](char c) {
                           return c >= '0' && c <= '9';
                         });
  if (number.empty() || number.size() > schemas::kPhoneTextBytesMax || !is_printable || is_number ||
      number.front() == ' ' || number.back() == ' ') {
    return wrong;
  }
  return Status::Ok();
}

Status Audit(sql::Session& session, const AccountOwner& owner, const std::string& tenant,
             std::string_view action, const std::string& subject, LogTime now,
             std::string detail = "{}") {
  return InsertAudit(session,
                     {.tenant = tenant.empty() ? std::string(kDeploymentTenant) : tenant,
                      .actor = owner.actor,
                      .action = std::string(action),
                      .subject = subject,
                      .detail_json = std::move(detail)},
                     now);
}

std::string NameDetail(std::string_view provider, std::string_view name) {
  return schemas::JsonObject().Text("provider", provider).Text("name", name).Take();
}

struct Found {
  AccountSummary account;
  std::string sealed;
};

Result<Found> FindAccount(sql::Session& session, const AccountOwner& owner,
                          const std::string& account) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      session.Run(kFind,
                  sql::Params().Text(account).Text(owner.tenant).Boolean(owner.is_operator)));
  if (rows.size() == 0) {
    return NoAccount();
  }
  return Found{.account = SummaryAt(rows, 0), .sealed = rows.Bytes(0, 14)};
}

// kNotFound: the owner may not claim numbers of it, or there is none.
Status MayClaim(sql::Session& session, const AccountOwner& owner, const NumberAsk& ask,
                const ConfiguredAccounts& configured) {
  if (configured.has_account(ask.provider, ask.account)) {
    return owner.is_operator ? Status::Ok() : Status(NoAccount());
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      session.Run(kOwnerOf, sql::Params().Text(ask.provider).Text(ask.account)));
  if (rows.size() == 0) {
    return NoAccount();
  }
  const std::string_view of = rows.Text(0, 0);
  const bool may = of.empty() ? owner.is_operator : of == owner.tenant;
  return may ? Status::Ok() : Status(NoAccount());
}

Error IsTaken() {
  return {ErrorCode::kConflict, "The number is claimed already; its holder has to release it."};
}

// The claim that the tenant has already, else kConflict.
Result<NumberClaim> HeldClaim(sql::Pool& pool, const AccountOwner& owner, const NumberAsk& ask) {
  auto lease = pool.Take(kSessionWaitMax);
  if (!lease.ok()) {
    return lease.error();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      lease.value()->Run(
          kFindClaim,
          sql::Params().Text(owner.tenant).Text(ask.provider).Text(ask.account).Text(ask.number)));
  return rows.size() == 0 ? Result<NumberClaim>(IsTaken()) : ClaimAt(rows, 0);
}

}  // namespace

std::string CredentialsContext(std::string_view account_id) {
  return "provider_accounts/" + std::string(account_id);
}

Redacted<std::string> WriteCredentials(const AccountCredentials& credentials) {
  schemas::JsonList tokens;
  for (const Redacted<std::string>& token : credentials.auth_tokens) {
    tokens.Text(token.Reveal());
  }
  schemas::JsonObject object;
  object.Raw("auth_tokens", tokens.Take());
  object.Text("api_key_secret", credentials.api_key_secret.Reveal());
  return Redacted<std::string>(object.Take());
}

Result<AccountCredentials> ReadCredentials(const Redacted<std::string>& text) {
  using schemas::JsonType;
  const Error corrupt(ErrorCode::kCorrupt,
                      "identity.provider_accounts: credentials_sealed holds no credentials");
  schemas::JsonDocument document;
  if (!document.Parse(text.Reveal()).ok() || document.root().type() != JsonType::kObject) {
    return corrupt;
  }
  const auto tokens = document.root().Find("auth_tokens");
  const auto secret = document.root().Find("api_key_secret");
  if (!tokens || tokens->type() != JsonType::kArray || !secret ||
      secret->type() != JsonType::kString) {
    return corrupt;
  }
  AccountCredentials credentials;
  credentials.api_key_secret = Redacted<std::string>(std::string(secret->AsString()));
  for (auto token = tokens->first_child(); token; token = token->next_sibling()) {
    if (token->type() != JsonType::kString) {
      return corrupt;
    }
    credentials.auth_tokens.emplace_back(std::string(token->AsString()));
  }
  if (credentials.auth_tokens.empty()) {
    return corrupt;
  }
  return credentials;
}

Result<AccountSummary> AccountStore::Add(const AccountOwner& owner, const AccountAsk& ask) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckAccount(ask));
  const Error taken(ErrorCode::kConflict, "Another account of the provider has this name.");
  if (deps_.configured.has_account(ask.provider, ask.name)) {
    return Error(
        ErrorCode::kConflict,
        "Another account of the provider has this name: the file of keys has it, and comes "
        "first.");
  }
  const LogTime now = deps_.clock.Now();
  const std::string id = NewId("pa_", now);
  const std::string sealed = deps_.sealer.Seal(
      WriteCredentials({.auth_tokens = {ask.auth_token}, .api_key_secret = ask.api_key_secret}),
      CredentialsContext(id));
  auto made = InTransaction(deps_.pool, [&](sql::Session& session) -> Result<AccountSummary> {
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows count,
                                 session.Run(kCount, sql::Params().Text(owner.tenant)));
    const bool is_full = !owner.tenant.empty() &&
                         count.Integer(0, 0) >= static_cast<std::int64_t>(kAccountsOfTenantMax);
    if (is_full || count.Integer(0, 1) >= static_cast<std::int64_t>(kAccountsMax)) {
      return Error(ErrorCode::kExhausted,
                   is_full ? "The tenant has as many provider accounts as it may have."
                           : "The deployment has as many provider accounts as it may have.");
    }
    sql::Params params;
    params.Text(id).Text(owner.tenant).Text(ask.provider).Text(ask.name).Text(ask.account_sid);
    params.Text(ask.api_key_sid).Text(ask.base_url).Text(ask.public_url);
    params.Text(std::to_string(ask.sends_per_second)).Integer(ask.burst);
    params.Time(now).Text(owner.actor).Bytes(sealed);
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session.Run(kInsert, params));
    ALERTSTREAM_RETURN_IF_ERROR(Audit(session, owner, owner.tenant, "provider_account.add", id, now,
                                      NameDetail(ask.provider, ask.name)));
    return SummaryAt(rows, 0);
  });
  return !made.ok() && made.error().code() == ErrorCode::kConflict ? Result<AccountSummary>(taken)
                                                                   : made;
}

Result<std::vector<AccountSummary>> AccountStore::List(const AccountOwner& owner) {
  auto lease = deps_.pool.Take(kSessionWaitMax);
  if (!lease.ok()) {
    return lease.error();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      lease.value()->Run(kList, sql::Params().Text(owner.tenant).Boolean(SeesAll(owner))));
  std::vector<AccountSummary> accounts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    accounts.push_back(SummaryAt(rows, i));
  }
  return accounts;
}

Result<AccountSummary> AccountStore::Rotate(const AccountOwner& owner, const std::string& account,
                                            const CredentialsAsk& ask) {
  const bool has_token = !ask.auth_token.Reveal().empty();
  if (!has_token && ask.api_key_sid.empty()) {
    return Error(ErrorCode::kInvalid, "auth_token: nothing new was given");
  }
  if (has_token) {
    ALERTSTREAM_RETURN_IF_ERROR(CheckSecret("auth_token", ask.auth_token));
  }
  ALERTSTREAM_RETURN_IF_ERROR(CheckApiKey(ask.api_key_sid, ask.api_key_secret));
  const LogTime now = deps_.clock.Now();
  return InTransaction(deps_.pool, [&](sql::Session& session) -> Result<AccountSummary> {
    ALERTSTREAM_ASSIGN_OR_RETURN(const Found found, FindAccount(session, owner, account));
    const std::string context = CredentialsContext(found.account.id);
    ALERTSTREAM_ASSIGN_OR_RETURN(const Redacted<std::string> text,
                                 deps_.sealer.Open(found.sealed, context));
    ALERTSTREAM_ASSIGN_OR_RETURN(AccountCredentials credentials, ReadCredentials(text));
    auto previous_until = found.account.previous_until;
    if (has_token) {
      credentials.auth_tokens = {ask.auth_token, credentials.auth_tokens.front()};
      previous_until = now + ask.overlap;
    }
    if (!ask.api_key_sid.empty()) {
      credentials.api_key_secret = ask.api_key_secret;
    }
    sql::Params params;
    params.Text(found.account.id)
        .Text(ask.api_key_sid.empty() ? found.account.api_key_sid : ask.api_key_sid)
        .Bytes(deps_.sealer.Seal(WriteCredentials(credentials), context));
    if (previous_until) {
      params.Time(*previous_until);
    } else {
      params.Null();
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session.Run(kRotate, params.Time(now)));
    ALERTSTREAM_RETURN_IF_ERROR(Audit(session, owner, found.account.tenant,
                                      "provider_account.rotate", found.account.id, now));
    return SummaryAt(rows, 0);
  });
}

Status AccountStore::Remove(const AccountOwner& owner, const std::string& account) {
  const LogTime now = deps_.clock.Now();
  return InTransaction(deps_.pool, [&](sql::Session& session) -> Status {
    ALERTSTREAM_ASSIGN_OR_RETURN(const Found found, FindAccount(session, owner, account));
    const AccountSummary& known = found.account;
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const sql::Rows claims,
        session.Run(kClaimsOf, sql::Params().Text(known.provider).Text(known.name)));
    if (claims.Integer(0, 0) > 0) {
      return Error(ErrorCode::kConflict,
                   "Numbers of the account are claimed; release them before it is removed.");
    }
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(kRemove, sql::Params().Text(known.id)));
    return Audit(session, owner, known.tenant, "provider_account.remove", known.id, now,
                 NameDetail(known.provider, known.name));
  });
}

Result<NumberClaim> AccountStore::Claim(const AccountOwner& owner, const NumberAsk& ask) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckNumber(ask));
  if (owner.tenant.empty()) {
    return Error(ErrorCode::kInvalid, "tenant: a number is one tenant's");
  }
  const LogTime now = deps_.clock.Now();
  auto claimed = InTransaction(deps_.pool, [&](sql::Session& session) -> Result<NumberClaim> {
    ALERTSTREAM_RETURN_IF_ERROR(MayClaim(session, owner, ask, deps_.configured));
    if (deps_.configured.has_number(ask.provider, ask.number)) {
      return IsTaken();
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows count,
                                 session.Run(kCountClaims, sql::Params().Text(owner.tenant)));
    if (!owner.is_operator &&
        count.Integer(0, 0) >= static_cast<std::int64_t>(kNumbersSelfServedMax)) {
      return Error(ErrorCode::kExhausted,
                   "The tenant has claimed as many numbers as it may claim itself (100); the "
                   "operator can claim more for it.");
    }
    if (count.Integer(0, 0) >= static_cast<std::int64_t>(kNumbersOfTenantMax) ||
        count.Integer(0, 1) >= static_cast<std::int64_t>(kNumbersMax)) {
      return Error(ErrorCode::kExhausted, "There are as many claimed numbers as there may be.");
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                                 session.Run(kClaim, sql::Params()
                                                         .Text(NewId("num_", now))
                                                         .Text(owner.tenant)
                                                         .Text(ask.provider)
                                                         .Text(ask.account)
                                                         .Text(ask.number)
                                                         .Time(now)
                                                         .Text(owner.actor)));
    NumberClaim claim = ClaimAt(rows, 0);
    ALERTSTREAM_RETURN_IF_ERROR(Audit(session, owner, owner.tenant, "number.claim", claim.id, now,
                                      NameDetail(ask.provider, ask.account)));
    return claim;
  });
  if (!claimed.ok() && claimed.error().code() == ErrorCode::kConflict) {
    return HeldClaim(deps_.pool, owner, ask);
  }
  return claimed;
}

Result<std::vector<NumberClaim>> AccountStore::ListNumbers(const AccountOwner& owner) {
  auto lease = deps_.pool.Take(kSessionWaitMax);
  if (!lease.ok()) {
    return lease.error();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      lease.value()->Run(kListClaims, sql::Params().Text(owner.tenant).Boolean(SeesAll(owner))));
  std::vector<NumberClaim> claims;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    claims.push_back(ClaimAt(rows, i));
  }
  return claims;
}

Status AccountStore::Release(const AccountOwner& owner, const std::string& number_id) {
  const LogTime now = deps_.clock.Now();
  return InTransaction(deps_.pool, [&](sql::Session& session) -> Status {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const sql::Rows rows,
        session.Run(kRelease,
                    sql::Params().Text(number_id).Text(owner.tenant).Boolean(owner.is_operator)));
    if (rows.size() == 0) {
      return Error(ErrorCode::kNotFound, "There is no such claim.");
    }
    return Audit(session, owner, std::string(rows.Text(0, 0)), "number.release", number_id, now);
  });
}

}  // namespace alertstream::api
