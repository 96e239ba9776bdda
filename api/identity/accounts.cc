#include "api/identity/accounts.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "api/identity/audit_log.h"
#include "api/identity/login_throttle.h"
#include "api/identity/new_id.h"
#include "api/identity/transaction.h"
#include "processor/base/check.h"
#include "processor/base/crypto.h"
#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

using std::chrono::seconds;

// What a tenant may send before anybody has given it a plan: enough to try everything out.
constexpr std::string_view kDefaultPlan = "free";
constexpr std::int64_t kDefaultPlanSends = 1'000;

constexpr sql::Statement kInsertTenant = {
    "identity.tenant_insert",
    "INSERT INTO identity.tenants (tenant_id, name, created_at) VALUES ($1, $2, $3::timestamptz) "
    "ON CONFLICT (tenant_id) DO NOTHING"};
constexpr sql::Statement kInsertUser = {
    "identity.user_insert",
    "INSERT INTO identity.users (user_id, email, password_hash, status, created_at, updated_at) "
    "VALUES ($1, $2, $3, 'active', $4::timestamptz, $4::timestamptz)"};
constexpr sql::Statement kInsertMember = {
    "identity.member_insert",
    "INSERT INTO identity.memberships (tenant_id, user_id, role, created_at, changed_at) "
    "VALUES ($1, $2, $3, $4::timestamptz, $4::timestamptz)"};
constexpr sql::Statement kInsertOutbox = {
    "identity.outbox_insert",
    "INSERT INTO identity.outbox (tenant_id, actor, request, created_at) "
    "VALUES ($1, $2, $3::jsonb, $4::timestamptz) RETURNING id"};
// The membership in the tenant asked for, else in the first that there was.
constexpr sql::Statement kFindPerson = {
    "identity.person_find",
    "SELECT u.user_id, u.password_hash, u.status = 'active', m.tenant_id, m.role, m.version "
    "FROM identity.users u LEFT JOIN identity.memberships m ON m.user_id = u.user_id "
    "AND ($2 = '' OR m.tenant_id = $2) "
    "WHERE u.email = $1 ORDER BY m.created_at, m.tenant_id LIMIT 1"};
constexpr sql::Statement kFinishLogin = {
    "identity.login_finish",
    "UPDATE identity.users SET last_login_at = $2::timestamptz, "
    "password_hash = CASE WHEN $3 = '' THEN password_hash ELSE $3 END WHERE user_id = $1"};
constexpr sql::Statement kInsertSession = {
    "identity.session_insert",
    "INSERT INTO identity.sessions (session_id, tenant_id, user_id, device, created_at, "
    "expires_at, idle_expires_at) VALUES ($1, $2, $3, $4, $5::timestamptz, $6::timestamptz, "
    "$7::timestamptz)"};
constexpr sql::Statement kInsertRefresh = {
    "identity.refresh_insert",
    "INSERT INTO identity.refresh_tokens (token_sha256, session_id, created_at) "
    "VALUES ($1::bytea, $2, $3::timestamptz)"};
// Locks the family, so that its tokens are used one after the other.
constexpr sql::Statement kFindRefresh = {
    "identity.refresh_find",
    "SELECT s.session_id, s.user_id, s.tenant_id, s.expires_at, s.idle_expires_at, "
    "s.revoked_at IS NOT NULL, t.used_at, t.successor_sealed, u.status = 'active' "
    "FROM identity.refresh_tokens t JOIN identity.sessions s USING (session_id) "
    "JOIN identity.users u USING (user_id) "
    "WHERE t.token_sha256 = $1::bytea FOR UPDATE OF s, t"};
constexpr sql::Statement kFindMember = {
    "identity.member_find",
    "SELECT role, version FROM identity.memberships WHERE tenant_id = $1 AND user_id = $2"};
constexpr sql::Statement kUseRefresh = {
    "identity.refresh_use",
    "UPDATE identity.refresh_tokens SET used_at = $2::timestamptz, successor_sealed = $3::bytea "
    "WHERE token_sha256 = $1::bytea"};
constexpr sql::Statement kForgetSuccessors = {
    "identity.refresh_forget",
    "UPDATE identity.refresh_tokens SET successor_sealed = NULL WHERE session_id = $1 "
    "AND successor_sealed IS NOT NULL"};
constexpr sql::Statement kRefreshUsed = {
    "identity.refresh_used",
    "SELECT used_at IS NOT NULL FROM identity.refresh_tokens WHERE token_sha256 = $1::bytea"};
constexpr sql::Statement kTouchSession = {
    "identity.session_touch",
    "UPDATE identity.sessions SET tenant_id = $2, idle_expires_at = $3::timestamptz "
    "WHERE session_id = $1"};
constexpr sql::Statement kRevokeSession = {
    "identity.session_revoke",
    "UPDATE identity.sessions SET revoked_at = $2::timestamptz, revoked_reason = $3 "
    "WHERE session_id = $1 AND revoked_at IS NULL"};
constexpr sql::Statement kFindUser = {"identity.user_find",
                                      "SELECT user_id FROM identity.users WHERE email = $1"};
constexpr sql::Statement kListUsers = {
    "identity.users_list",
    "SELECT u.user_id, u.email, m.role, u.status = 'active', u.created_at, u.last_login_at "
    "FROM identity.memberships m JOIN identity.users u USING (user_id) WHERE m.tenant_id = $1 "
    "ORDER BY m.created_at, u.user_id LIMIT $2::int"};
// Locks all of the tenant's owners, so that two cannot go at the same time.
constexpr sql::Statement kOwners = {
    "identity.owners",
    "SELECT m.user_id FROM identity.memberships m JOIN identity.users u USING (user_id) "
    "WHERE m.tenant_id = $1 AND m.role = 'owner' AND u.status = 'active' "
    "ORDER BY m.user_id FOR UPDATE OF m"};
constexpr sql::Statement kSetRole = {
    "identity.member_set_role",
    "UPDATE identity.memberships SET role = $3, version = version + 1 "
    "WHERE tenant_id = $1 AND user_id = $2"};
constexpr sql::Statement kDisableUser = {
    "identity.user_disable",
    "UPDATE identity.users SET status = 'disabled', updated_at = $2::timestamptz "
    "WHERE user_id = $1"};
constexpr sql::Statement kEndMemberships = {
    "identity.members_touch",
    "UPDATE identity.memberships SET version = version + 1 WHERE user_id = $1"};
constexpr sql::Statement kRevokeSessionsOf = {
    "identity.sessions_revoke",
    "UPDATE identity.sessions SET revoked_at = $2::timestamptz, revoked_reason = 'user_disabled' "
    "WHERE user_id = $1 AND revoked_at IS NULL"};

Error NotValid() { return Error(ErrorCode::kDenied, "The refresh token is not valid."); }

std::string_view HashOf(const Redacted<std::string>& token, Digest* digest) {
  *digest = Sha256::Of(token.Reveal());
  return AsView(*digest);
}

sql::Params TokenParam(const Redacted<std::string>& token) {
  Digest digest;
  sql::Params params;
  params.Bytes(HashOf(token, &digest));
  return params;
}

std::string SuccessorContext(const std::string& session) { return "refresh_tokens/" + session; }

// {"tenant":"...","events":[...]}: what the control endpoint would be asked.
std::string TenantRequest(const std::string& tenant) {
  schemas::JsonObject plan;
  plan.Text("kind", "plan").Text("id", kDefaultPlan);
  plan.Integer("sends_per_month_max", kDefaultPlanSends);
  schemas::JsonObject record;
  record.Text("kind", "tenant").Text("id", tenant).Text("status", "active");
  record.Text("plan", kDefaultPlan);
  schemas::JsonList events;
  events.Raw(record.Take()).Raw(plan.Take());
  schemas::JsonObject request;
  request.Text("tenant", tenant).Raw("events", events.Take());
  return request.Take();
}

Result<std::int64_t> InsertNewTenant(sql::Session& session, const std::string& tenant,
                                     const std::string& name, const std::string& user,
                                     const std::string& request, LogTime now) {
  ALERTSTREAM_RETURN_IF_ERROR(
      session.Run(kInsertTenant, sql::Params().Text(tenant).Text(name).Time(now)));
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(
      kInsertMember, sql::Params().Text(tenant).Text(user).Text(RoleName(Role::kOwner)).Time(now)));
  ALERTSTREAM_RETURN_IF_ERROR(InsertAudit(
      session, {.tenant = tenant, .actor = user, .action = "tenant.register", .subject = tenant},
      now));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      session.Run(kInsertOutbox, sql::Params().Text(tenant).Text(user).Text(request).Time(now)));
  return rows.Integer(0, 0);
}

std::string RoleDetail(Role role) {
  return schemas::JsonObject().Text("role", RoleName(role)).Take();
}

// kConflict if `user` is the tenant's only owner.
Status CheckOwnerStays(sql::Session& session, const std::string& tenant, const std::string& user) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows owners,
                               session.Run(kOwners, sql::Params().Text(tenant)));
  if (owners.size() == 1 && owners.Text(0, 0) == user) {
    return Error(ErrorCode::kConflict, "The tenant would be left without an owner.");
  }
  return Status::Ok();
}

}  // namespace

// A user within one of its tenants.
struct Accounts::Person {
  std::string user;
  std::string hash;
  bool is_active = false;
  std::string tenant;  // Empty: of none, or not of the one that was asked for.
  Role role = Role::kViewer;
  std::int64_t version = 0;
};

Accounts::Accounts(const AccountsDeps& deps) : deps_(deps) {
  auto hash = HashPassword(NewSecret(""), RandomBytes(kPasswordSaltBytes), deps.cost);
  ALERTSTREAM_CHECK(hash.ok());
  nobody_hash_ = std::move(hash).value();
}

Status EnsureTenant(sql::Session& session, const std::string& tenant, LogTime now) {
  ALERTSTREAM_RETURN_IF_ERROR(
      session.Run(kInsertTenant, sql::Params().Text(tenant).Text(tenant).Time(now)));
  return Status::Ok();
}

std::variant<Registered, Refusal> Accounts::Register(const RegisterAsk& ask) {
  const LogTime now = deps_.clock.Now();
  auto wait = InTransaction(deps_.pool, [&](sql::Session& session) {
    return CountAttempt(session, kRegisterThrottle, ask.address, now);
  });
  if (!wait.ok()) {
    return Refusal{.error = wait.error()};
  }
  if (wait.value() > seconds(0)) {
    return Refusal{.error = Error(ErrorCode::kExhausted, "Too many accounts from this address."),
                   .retry_after = wait.value()};
  }
  const auto hash = HashPassword(ask.password, RandomBytes(kPasswordSaltBytes), deps_.cost);
  if (!hash.ok()) {
    return Refusal{.error = hash.error()};
  }
  Person person{.user = NewId("usr_", now),
                .is_active = true,
                .tenant = NewTenantId(ask.tenant_name),
                .role = Role::kOwner,
                .version = 1};
  Registered registered{.request = TenantRequest(person.tenant)};
  auto grant = InTransaction(deps_.pool, [&](sql::Session& session) -> Result<Grant> {
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(
        kInsertUser,
        sql::Params().Text(person.user).Text(ask.email.Reveal()).Text(hash.value()).Time(now)));
    ALERTSTREAM_ASSIGN_OR_RETURN(
        registered.outbox_id, InsertNewTenant(session, person.tenant, ask.tenant_name, person.user,
                                              registered.request, now));
    return StartSession(session, person, ask.device, now);
  });
  if (!grant.ok()) {
    if (grant.error().code() == ErrorCode::kConflict) {
      return Refusal{
          .error = Error(ErrorCode::kConflict, "There is an account with this e-mail address.")};
    }
    return Refusal{.error = grant.error()};
  }
  registered.grant = std::move(grant).value();
  return registered;
}

Result<seconds> Accounts::Throttle(const LoginAsk& ask, LogTime now) {
  return InTransaction(deps_.pool, [&](sql::Session& session) -> Result<seconds> {
    ALERTSTREAM_ASSIGN_OR_RETURN(const seconds of_address,
                                 CountAttempt(session, kAddressThrottle, ask.address, now));
    if (of_address > seconds(0)) {
      return of_address;
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const seconds of_account,
                                 CountAttempt(session, kAccountThrottle, ask.email.Reveal(), now));
    if (of_account > seconds(0)) {
      return of_account;
    }
    // After the others: what they refuse does not count here.
    ALERTSTREAM_ASSIGN_OR_RETURN(const seconds of_all,
                                 CountLogin(session, kAddressBound, ask.address, now));
    if (of_all > seconds(0)) {
      return of_all;
    }
    return CountLogin(session, kAccountBound, ask.email.Reveal(), now);
  });
}

Result<Accounts::Person> Accounts::FindPerson(sql::Session& session, const std::string& email,
                                              const std::string& tenant) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               session.Run(kFindPerson, sql::Params().Text(email).Text(tenant)));
  Person person;
  if (rows.size() == 0) {
    return person;
  }
  person.user = rows.Text(0, 0);
  person.hash = rows.Text(0, 1);
  person.is_active = rows.Boolean(0, 2);
  if (!rows.IsNull(0, 3)) {
    const auto role = ParseRole(rows.Text(0, 4));
    if (!role) {
      return Error(ErrorCode::kCorrupt, "identity.memberships: a role that there is not");
    }
    person.tenant = rows.Text(0, 3);
    person.role = *role;
    person.version = rows.Integer(0, 5);
  }
  return person;
}

std::variant<Grant, Refusal> Accounts::LogIn(const LoginAsk& ask) {
  const LogTime now = deps_.clock.Now();
  const auto wait = Throttle(ask, now);
  if (!wait.ok()) {
    return Refusal{.error = wait.error()};
  }
  if (wait.value() > seconds(0)) {
    return Refusal{.error = Error(ErrorCode::kExhausted, "Too many attempts to log in."),
                   .retry_after = wait.value()};
  }
  auto person = InTransaction(deps_.pool, [&](sql::Session& session) {
    return FindPerson(session, ask.email.Reveal(), ask.tenant);
  });
  if (!person.ok()) {
    return Refusal{.error = person.error()};
  }
  const std::string& hash = person.value().hash;
  const auto verdict = VerifyPassword(ask.password, hash.empty() ? nobody_hash_ : hash, deps_.cost);
  if (!verdict.ok() && verdict.error().code() != ErrorCode::kInvalid) {
    return Refusal{.error = verdict.error()};
  }
  const bool is_let_in = verdict.ok() && verdict.value().matches && !hash.empty() &&
                         person.value().is_active && !person.value().tenant.empty();
  std::string new_hash;
  if (is_let_in && verdict.value().is_outdated) {
    auto made = HashPassword(ask.password, RandomBytes(kPasswordSaltBytes), deps_.cost);
    new_hash = made.ok() ? std::move(made).value() : "";
  }
  std::optional<Grant> granted;
  const Status done = InTransaction(deps_.pool, [&](sql::Session& session) -> Status {
    if (!is_let_in) {
      return NoteFailure(session, ask, person.value(), now);
    }
    ALERTSTREAM_RETURN_IF_ERROR(FinishLogin(session, ask, person.value(), new_hash, now));
    ALERTSTREAM_ASSIGN_OR_RETURN(granted, StartSession(session, person.value(), ask.device, now));
    return Status::Ok();
  });
  if (!done.ok()) {
    return Refusal{.error = done.error()};
  }
  if (!granted) {
    return Refusal{.error = Error(ErrorCode::kDenied,
                                  "The e-mail address or the password is "
                                  "wrong.")};
  }
  return *std::move(granted);
}

Status Accounts::NoteFailure(sql::Session& session, const LoginAsk& ask, const Person& person,
                             LogTime now) {
  if (person.tenant.empty()) {
    // An event of no tenant could be listed by nobody, and anybody could add as many as they like.
    return RewriteAccount(session, ask.email.Reveal());
  }
  return InsertAudit(session,
                     {.tenant = person.tenant,
                      .actor = person.user,
                      .action = "login.fail",
                      .subject = person.user},
                     now);
}

Status Accounts::FinishLogin(sql::Session& session, const LoginAsk& ask, const Person& person,
                             const std::string& new_hash, LogTime now) {
  // Locks the rows in the order of Throttle, else two logins at once could wait for each other.
  ALERTSTREAM_RETURN_IF_ERROR(ForgiveAddress(session, ask.address));
  ALERTSTREAM_RETURN_IF_ERROR(ForgiveAccount(session, ask.email.Reveal()));
  ALERTSTREAM_RETURN_IF_ERROR(
      session.Run(kFinishLogin, sql::Params().Text(person.user).Time(now).Text(new_hash)));
  return InsertAudit(
      session,
      {.tenant = person.tenant, .actor = person.user, .action = "login", .subject = person.user},
      now);
}

Result<Grant> Accounts::StartSession(sql::Session& session, const Person& person,
                                     const std::string& device, LogTime now) {
  const std::string id = NewId("ses_", now);
  Grant grant{.user = person.user,
              .tenant = person.tenant,
              .role = person.role,
              .access_expires_at = now + kAccessTokenLife,
              .refresh_token = NewSecret(kRefreshPrefix),
              .refresh_expires_at = now + kSessionIdleMax};
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsertSession, sql::Params()
                                                              .Text(id)
                                                              .Text(person.tenant)
                                                              .Text(person.user)
                                                              .Text(device)
                                                              .Time(now)
                                                              .Time(now + kSessionLifeMax)
                                                              .Time(grant.refresh_expires_at)));
  ALERTSTREAM_RETURN_IF_ERROR(
      session.Run(kInsertRefresh, TokenParam(grant.refresh_token).Text(id).Time(now)));
  grant.access_token =
      Redacted<std::string>(deps_.tokens.Issue({.user = person.user,
                                                .tenant = person.tenant,
                                                .role = person.role,
                                                .membership_version = person.version,
                                                .session = id},
                                               now));
  return grant;
}

Result<Grant> Accounts::Refresh(const Redacted<std::string>& refresh_token,
                                const std::string& tenant) {
  const LogTime now = deps_.clock.Now();
  // That a token was used twice has to be kept although the answer is a refusal.
  std::optional<Error> refusal;
  auto grant = InTransaction(deps_.pool, [&](sql::Session& session) -> Result<Grant> {
    auto continued = Continue(session, refresh_token, tenant, now);
    if (!continued.ok() && continued.error().code() == ErrorCode::kDenied) {
      refusal = continued.error();
      return Grant{};
    }
    return continued;
  });
  if (refusal && grant.ok()) {
    return *refusal;
  }
  if (refusal) {
    return Error(ErrorCode::kUnavailable, grant.error().message());
  }
  return grant;
}

Result<Grant> Accounts::Continue(sql::Session& session, const Redacted<std::string>& refresh_token,
                                 const std::string& tenant, LogTime now) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               session.Run(kFindRefresh, TokenParam(refresh_token)));
  if (rows.size() == 0 || rows.Boolean(0, 5) || now >= rows.Time(0, 3) || now >= rows.Time(0, 4) ||
      !rows.Boolean(0, 8)) {
    return NotValid();
  }
  const std::string id(rows.Text(0, 0));
  const std::string user(rows.Text(0, 1));
  const std::string of_tenant = tenant.empty() ? std::string(rows.Text(0, 2)) : tenant;
  const std::string context = SuccessorContext(id);
  Redacted<std::string> successor = NewSecret(kRefreshPrefix);
  const bool is_used = !rows.IsNull(0, 6);
  if (is_used) {
    bool is_lost_answer = !rows.IsNull(0, 7) && now < rows.Time(0, 6) + kRefreshGrace;
    if (is_lost_answer) {
      ALERTSTREAM_ASSIGN_OR_RETURN(successor, deps_.sealer.Open(rows.Bytes(0, 7), context));
      ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows used,
                                   session.Run(kRefreshUsed, TokenParam(successor)));
      is_lost_answer = used.size() == 1 && !used.Boolean(0, 0);
    }
    if (!is_lost_answer) {
      ALERTSTREAM_RETURN_IF_ERROR(
          session.Run(kRevokeSession, sql::Params().Text(id).Time(now).Text("reuse")));
      ALERTSTREAM_RETURN_IF_ERROR(InsertAudit(session,
                                              {.tenant = std::string(rows.Text(0, 2)),
                                               .actor = user,
                                               .action = "session.reuse",
                                               .subject = id},
                                              now));
      return NotValid();
    }
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows member,
                               session.Run(kFindMember, sql::Params().Text(of_tenant).Text(user)));
  const auto role = member.size() == 0 ? std::nullopt : ParseRole(member.Text(0, 0));
  if (!role) {
    return NotValid();
  }
  // After the check of a second use, which counts whatever the bound says.
  ALERTSTREAM_ASSIGN_OR_RETURN(const seconds wait, CountLogin(session, kRefreshBound, id, now));
  if (wait > seconds(0)) {
    return Error(ErrorCode::kExhausted, "The session was refreshed too often.");
  }
  const LogTime idle_until = std::min<LogTime>(now + kSessionIdleMax, rows.Time(0, 3));
  if (!is_used) {
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(kForgetSuccessors, sql::Params().Text(id)));
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(
        kUseRefresh,
        TokenParam(refresh_token).Time(now).Bytes(deps_.sealer.Seal(successor, context))));
    ALERTSTREAM_RETURN_IF_ERROR(
        session.Run(kInsertRefresh, TokenParam(successor).Text(id).Time(now)));
  }
  ALERTSTREAM_RETURN_IF_ERROR(
      session.Run(kTouchSession, sql::Params().Text(id).Text(of_tenant).Time(idle_until)));
  Grant grant{.user = user,
              .tenant = of_tenant,
              .role = *role,
              .access_expires_at = now + kAccessTokenLife,
              .refresh_token = std::move(successor),
              .refresh_expires_at = idle_until};
  grant.access_token =
      Redacted<std::string>(deps_.tokens.Issue({.user = user,
                                                .tenant = of_tenant,
                                                .role = *role,
                                                .membership_version = member.Integer(0, 1),
                                                .session = id},
                                               now));
  return grant;
}

Result<bool> Accounts::LogOut(const Redacted<std::string>& refresh_token) {
  const LogTime now = deps_.clock.Now();
  return InTransaction(deps_.pool, [&](sql::Session& session) -> Result<bool> {
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                                 session.Run(kFindRefresh, TokenParam(refresh_token)));
    if (rows.size() == 0) {
      return false;
    }
    const std::string id(rows.Text(0, 0));
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const sql::Rows revoked,
        session.Run(kRevokeSession, sql::Params().Text(id).Time(now).Text("logout")));
    if (revoked.affected() == 0) {
      return false;
    }
    ALERTSTREAM_RETURN_IF_ERROR(InsertAudit(session,
                                            {.tenant = std::string(rows.Text(0, 2)),
                                             .actor = std::string(rows.Text(0, 1)),
                                             .action = "logout",
                                             .subject = id},
                                            now));
    return true;
  });
}

Result<std::string> Accounts::CreateUser(const std::string& tenant,
                                         const Redacted<std::string>& email,
                                         const Redacted<std::string>& password, Role role,
                                         const std::string& actor) {
  const LogTime now = deps_.clock.Now();
  const bool is_new = !password.Reveal().empty();
  std::string hash;
  if (is_new) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        hash, HashPassword(password, RandomBytes(kPasswordSaltBytes), deps_.cost));
  }
  return InTransaction(deps_.pool, [&](sql::Session& session) -> Result<std::string> {
    ALERTSTREAM_RETURN_IF_ERROR(EnsureTenant(session, tenant, now));
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows found,
                                 session.Run(kFindUser, sql::Params().Text(email.Reveal())));
    if (is_new && found.size() > 0) {
      return Error(ErrorCode::kConflict,
                   "There is a user with this e-mail address, who keeps their password; leave the "
                   "password out to add them to the tenant.");
    }
    if (!is_new && found.size() == 0) {
      return Error(ErrorCode::kNotFound, "There is no user with this e-mail address.");
    }
    const std::string user = found.size() > 0 ? std::string(found.Text(0, 0)) : NewId("usr_", now);
    if (found.size() == 0) {
      ALERTSTREAM_RETURN_IF_ERROR(session.Run(
          kInsertUser, sql::Params().Text(user).Text(email.Reveal()).Text(hash).Time(now)));
    }
    const auto inserted = session.Run(
        kInsertMember, sql::Params().Text(tenant).Text(user).Text(RoleName(role)).Time(now));
    if (!inserted.ok()) {
      return inserted.error().code() == ErrorCode::kConflict
                 ? Error(ErrorCode::kConflict, "The tenant has this user already: " + user)
                 : inserted.error();
    }
    ALERTSTREAM_RETURN_IF_ERROR(InsertAudit(session,
                                            {.tenant = tenant,
                                             .actor = actor,
                                             .action = "user.create",
                                             .subject = user,
                                             .detail_json = RoleDetail(role)},
                                            now));
    return user;
  });
}

Result<std::vector<UserSummary>> Accounts::ListUsers(const std::string& tenant) {
  auto lease = deps_.pool.Take(kSessionWaitMax);
  if (!lease.ok()) {
    return lease.error();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      lease.value()->Run(kListUsers, sql::Params().Text(tenant).Integer(
                                         static_cast<std::int64_t>(kUsersListedMax))));
  std::vector<UserSummary> users;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    UserSummary& user = users.emplace_back();
    user.id = rows.Text(i, 0);
    user.email = rows.Text(i, 1);
    user.role = ParseRole(rows.Text(i, 2)).value_or(Role::kViewer);
    user.is_active = rows.Boolean(i, 3);
    user.created_at = rows.Time(i, 4);
    if (!rows.IsNull(i, 5)) {
      user.last_login_at = rows.Time(i, 5);
    }
  }
  return users;
}

Status Accounts::SetRole(const std::string& tenant, const std::string& user, Role role,
                         const std::string& actor) {
  return InTransaction(deps_.pool, [&](sql::Session& session) -> Status {
    if (role != Role::kOwner) {
      ALERTSTREAM_RETURN_IF_ERROR(CheckOwnerStays(session, tenant, user));
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const sql::Rows rows,
        session.Run(kSetRole, sql::Params().Text(tenant).Text(user).Text(RoleName(role))));
    if (rows.affected() == 0) {
      return Error(ErrorCode::kNotFound, "The tenant has no such user.");
    }
    return InsertAudit(session,
                       {.tenant = tenant,
                        .actor = actor,
                        .action = "user.set_role",
                        .subject = user,
                        .detail_json = RoleDetail(role)},
                       deps_.clock.Now());
  });
}

Status Accounts::DisableUser(const std::string& tenant, const std::string& user,
                             const std::string& actor) {
  const LogTime now = deps_.clock.Now();
  return InTransaction(deps_.pool, [&](sql::Session& session) -> Status {
    ALERTSTREAM_RETURN_IF_ERROR(CheckOwnerStays(session, tenant, user));
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows member,
                                 session.Run(kFindMember, sql::Params().Text(tenant).Text(user)));
    if (member.size() == 0) {
      return Error(ErrorCode::kNotFound, "The tenant has no such user.");
    }
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(kDisableUser, sql::Params().Text(user).Time(now)));
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(kEndMemberships, sql::Params().Text(user)));
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(kRevokeSessionsOf, sql::Params().Text(user).Time(now)));
    return InsertAudit(
        session, {.tenant = tenant, .actor = actor, .action = "user.disable", .subject = user},
        now);
  });
}

}  // namespace alertstream::api
