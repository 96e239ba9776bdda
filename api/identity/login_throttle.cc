#include "api/identity/login_throttle.h"

#include <algorithm>
#include <string>

#include "processor/base/crypto.h"

namespace alertstream::api {
namespace {

using std::chrono::seconds;

// Takes the row's lock, so that attempts of one subject are counted one after the other.
constexpr sql::Statement kFind = {
    "identity.throttle_find",
    "SELECT failures, last_at, blocked_until FROM identity.login_failures "
    "WHERE subject_sha256 = $1::bytea FOR UPDATE"};
constexpr sql::Statement kPut = {
    "identity.throttle_put",
    "INSERT INTO identity.login_failures AS f (subject_sha256, failures, last_at, blocked_until) "
    "VALUES ($1::bytea, $2::int, $3::timestamptz, $4::timestamptz) "
    "ON CONFLICT (subject_sha256) DO UPDATE SET failures = EXCLUDED.failures, "
    "last_at = EXCLUDED.last_at, blocked_until = EXCLUDED.blocked_until"};
constexpr sql::Statement kForget = {
    "identity.throttle_forget",
    "DELETE FROM identity.login_failures WHERE subject_sha256 = $1::bytea"};
constexpr sql::Statement kGiveBack = {
    "identity.throttle_give_back",
    "UPDATE identity.login_failures SET failures = greatest(failures - 1, 0), blocked_until = NULL "
    "WHERE subject_sha256 = $1::bytea"};
constexpr sql::Statement kRewrite = {
    "identity.throttle_rewrite",
    "UPDATE identity.login_failures SET failures = failures WHERE subject_sha256 = $1::bytea"};

sql::Params SubjectOf(std::string_view kind, std::string_view subject) {
  sql::Params params;
  params.Bytes(AsView(Sha256().Update(kind).Update("\n").Update(subject).Final()));
  return params;
}

}  // namespace

seconds WaitAfter(const ThrottleRule& rule, int attempts) {
  if (attempts <= rule.free_attempts) {
    return seconds(0);
  }
  seconds wait = rule.base;
  for (int i = rule.free_attempts + 1; i < attempts && wait < rule.max; ++i) {
    wait *= 2;
  }
  return std::min(wait, rule.max);
}

Result<seconds> CountAttempt(sql::Session& session, const ThrottleRule& rule,
                             std::string_view subject, LogTime now) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               session.Run(kFind, SubjectOf(rule.kind, subject)));
  std::int64_t attempts = 1;
  if (rows.size() > 0) {
    if (!rows.IsNull(0, 2) && rows.Time(0, 2) > now) {
      return std::chrono::ceil<seconds>(rows.Time(0, 2) - now);
    }
    if (rows.Time(0, 1) + rule.forgotten_after > now) {
      attempts = rows.Integer(0, 0) + 1;
    }
  }
  constexpr std::int64_t kAttemptsMax = 1'000'000;  // Of a column of 32 bits.
  attempts = std::min(attempts, kAttemptsMax);
  const seconds wait = WaitAfter(rule, static_cast<int>(attempts));
  sql::Params params = SubjectOf(rule.kind, subject);
  params.Integer(attempts).Time(now);
  if (wait > seconds(0)) {
    params.Time(now + wait);
  } else {
    params.Null();
  }
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kPut, params));
  return seconds(0);
}

// `blocked_until` is when all of the burst is there again: the nearer it is, the more is left.
Result<seconds> CountLogin(sql::Session& session, const LoginBound& bound, std::string_view subject,
                           LogTime now) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               session.Run(kFind, SubjectOf(bound.kind, subject)));
  LogTime whole_at = now;
  if (rows.size() > 0 && !rows.IsNull(0, 2)) {
    whole_at = std::max(whole_at, rows.Time(0, 2));
  }
  whole_at += bound.each;
  const LogTime latest = now + bound.each * bound.burst;
  if (whole_at > latest) {
    return std::chrono::ceil<seconds>(whole_at - latest);
  }
  ALERTSTREAM_RETURN_IF_ERROR(
      session.Run(kPut, SubjectOf(bound.kind, subject).Integer(0).Time(now).Time(whole_at)));
  return seconds(0);
}

Status ForgiveAccount(sql::Session& session, std::string_view subject) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kForget, SubjectOf(kAccountThrottle.kind, subject)));
  return Status::Ok();
}

Status ForgiveAddress(sql::Session& session, std::string_view subject) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kGiveBack, SubjectOf(kAddressThrottle.kind, subject)));
  return Status::Ok();
}

Status RewriteAccount(sql::Session& session, std::string_view subject) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kRewrite, SubjectOf(kAccountThrottle.kind, subject)));
  return Status::Ok();
}

}  // namespace alertstream::api
