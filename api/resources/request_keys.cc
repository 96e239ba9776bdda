#include "api/resources/request_keys.h"

#include <utility>

#include "processor/base/crypto.h"
#include "schemas/json.h"
#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

constexpr std::chrono::milliseconds kSessionWait{2'000};
constexpr std::size_t kClaimBytes = 16;

// What has expired goes with whoever comes next, so that nothing has to tidy up.
constexpr sql::Statement kForgetExpired = {
    "request_keys.forget_expired",
    "DELETE FROM identity.request_keys WHERE (tenant_id, route, key_sha256) IN"
    " (SELECT tenant_id, route, key_sha256 FROM identity.request_keys"
    " WHERE expires_at <= $1::timestamptz LIMIT 20 FOR UPDATE SKIP LOCKED)"};
constexpr sql::Statement kClaim = {
    "request_keys.claim",
    "INSERT INTO identity.request_keys AS kept"
    " (tenant_id, route, key_sha256, fingerprint, claim, claimed_at, expires_at)"
    " VALUES ($1, $2, $3::bytea, $4::bytea, $5::bytea, $6::timestamptz, $7::timestamptz)"
    " ON CONFLICT (tenant_id, route, key_sha256) DO UPDATE SET fingerprint = EXCLUDED.fingerprint,"
    " claim = EXCLUDED.claim, claimed_at = EXCLUDED.claimed_at, expires_at = EXCLUDED.expires_at,"
    " status = NULL, headers = NULL, body = NULL"
    " WHERE kept.expires_at <= EXCLUDED.claimed_at OR (kept.status IS NULL"
    " AND kept.claimed_at <= $8::timestamptz AND kept.fingerprint = EXCLUDED.fingerprint)"};
constexpr sql::Statement kFind = {
    "request_keys.find",
    "SELECT fingerprint, status, headers, body FROM identity.request_keys"
    " WHERE tenant_id = $1 AND route = $2 AND key_sha256 = $3::bytea"};
constexpr sql::Statement kFinish = {
    "request_keys.finish",
    "UPDATE identity.request_keys SET status = $5::int, headers = $6::jsonb, body = $7"
    " WHERE tenant_id = $1 AND route = $2 AND key_sha256 = $3::bytea AND claim = $4::bytea"};
constexpr sql::Statement kRelease = {
    "request_keys.release",
    "DELETE FROM identity.request_keys"
    " WHERE tenant_id = $1 AND route = $2 AND key_sha256 = $3::bytea AND claim = $4::bytea"};

std::string Hash(std::string_view text) {
  const Digest digest = Sha256::Of(text);
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// No part can be taken for another: neither a route nor a tenant's id holds a line break.
std::string FingerprintOf(const KeyedRequest& request) {
  return Hash(request.route + "\n" + request.tenant + "\n" + request.body);
}

sql::Params NameOf(const RequestClaim& claim) {
  sql::Params params;
  params.Text(claim.tenant).Text(claim.route).Bytes(claim.key_sha256);
  return params;
}

std::string HeadersJson(const http::Headers& headers) {
  schemas::JsonObject object;
  for (const http::HeaderField& field : headers.fields()) {
    object.Text(field.name, field.value);
  }
  return object.Take();
}

http::Response KeptAnswer(const sql::Rows& rows) {
  http::Response response{.status = static_cast<int>(rows.Integer(0, 1))};
  schemas::JsonDocument headers;
  if (headers.Parse(rows.Text(0, 2)).ok()) {
    for (auto field = headers.root().first_child(); field; field = field->next_sibling()) {
      if (field->type() == schemas::JsonType::kString) {
        response.headers.Add(field->name(), field->AsString());
      }
    }
  }
  response.headers.Add("Idempotent-Replayed", "true");
  response.body = std::string(rows.Text(0, 3));
  return response;
}

}  // namespace

Result<RequestKeys::Outcome> RequestKeys::Claim(const KeyedRequest& request) {
  const LogTime now = clock_.Now();
  RequestClaim claim{.tenant = request.tenant,
                     .route = request.route,
                     .key_sha256 = Hash(request.key),
                     .claim = RandomBytes(kClaimBytes)};
  const std::string fingerprint = FingerprintOf(request);
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto session, pool_.Take(kSessionWait));
  ALERTSTREAM_RETURN_IF_ERROR(session->Run(kForgetExpired, sql::Params().Time(now)));
  sql::Params params = NameOf(claim);
  params.Bytes(fingerprint).Bytes(claim.claim);
  params.Time(now).Time(now + kRequestKeyLife).Time(now - kRequestClaimMax);
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows claimed, session->Run(kClaim, params));
  if (claimed.affected() == 1) {
    return Outcome(std::move(claim));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows kept, session->Run(kFind, NameOf(claim)));
  if (kept.size() == 0) {
    return Outcome(KeyRefusal::kInProgress);  // It was given back in between.
  }
  if (kept.Bytes(0, 0) != fingerprint) {
    return Outcome(KeyRefusal::kReused);
  }
  return kept.IsNull(0, 1) ? Outcome(KeyRefusal::kInProgress) : Outcome(KeptAnswer(kept));
}

Status RequestKeys::Finish(const RequestClaim& claim, const http::Response& response) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto session, pool_.Take(kSessionWait));
  sql::Params params = NameOf(claim);
  params.Bytes(claim.claim);
  if (response.status == 429 || response.status >= 500) {
    ALERTSTREAM_RETURN_IF_ERROR(session->Run(kRelease, params));
    return Status::Ok();
  }
  params.Integer(response.status).Text(HeadersJson(response.headers)).Text(response.body);
  ALERTSTREAM_RETURN_IF_ERROR(session->Run(kFinish, params));
  return Status::Ok();
}

}  // namespace alertstream::api
