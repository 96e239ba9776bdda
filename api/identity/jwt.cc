#include "api/identity/jwt.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "processor/base/base64.h"
#include "schemas/json.h"

namespace alertstream::api {
namespace {

using schemas::JsonDocument;
using schemas::JsonType;
using schemas::JsonValue;

// Claims are ids and names.
constexpr std::size_t kClaimBytesMax = 256;

Error Denied(std::string_view why) {
  return Error(ErrorCode::kDenied, "The token is not valid: " + std::string(why));
}

// Adds `,"name":"text"`; nothing for an empty text.
void AppendText(std::string_view name, std::string_view text, std::string* out) {
  if (!text.empty()) {
    *out += out->size() > 1 ? ",\"" : "\"";
    *out += name;
    *out += "\":";
    schemas::AppendJsonString(text, out);
  }
}

void AppendTime(std::string_view name, std::int64_t seconds, std::string* out) {
  *out += ",\"" + std::string(name) + "\":" + std::to_string(seconds);
}

// The bytes of a part as the object that it has to be.
Status ParsePart(std::string_view part, JsonDocument* document) {
  const auto bytes = FromBase64Url(part);
  if (!bytes || !document->Parse(*bytes).ok() || document->root().type() != JsonType::kObject) {
    return Denied("a part is not an object in base64url");
  }
  return Status::Ok();
}

// The text of member `name`, "" if there is none; nothing if it is no such text.
std::optional<std::string> TextOf(JsonValue object, std::string_view name) {
  const auto value = object.Find(name);
  if (!value) {
    return "";
  }
  if (value->type() != JsonType::kString || value->AsString().size() > kClaimBytesMax) {
    return std::nullopt;
  }
  return std::string(value->AsString());
}

std::optional<std::int64_t> SecondsOf(JsonValue object, std::string_view name) {
  const auto value = object.Find(name);
  if (!value || value->type() != JsonType::kInt) {
    return std::nullopt;
  }
  return value->AsInt();
}

Result<const JwtKey*> KeyOf(JsonValue header, std::span<const JwtKey> keys, std::string_view type) {
  if (TextOf(header, "alg") != "HS256") {
    return Denied("alg");
  }
  if (TextOf(header, "typ") != type) {
    return Denied("typ");
  }
  if (header.Find("crit")) {
    return Denied("crit");
  }
  const auto id = TextOf(header, "kid");
  const auto found = std::find_if(keys.begin(), keys.end(),
                                  [&](const JwtKey& key) { return id && key.id == *id; });
  if (found == keys.end()) {
    return Denied("kid");
  }
  return &*found;
}

bool IsFor(JsonValue claims, std::string_view audience) {
  const auto value = claims.Find("aud");
  if (!value) {
    return false;
  }
  if (value->type() == JsonType::kString) {
    return value->AsString() == audience;
  }
  if (value->type() != JsonType::kArray) {
    return false;
  }
  bool found = false;
  for (auto one = value->first_child(); one; one = one->next_sibling()) {
    if (one->type() != JsonType::kString) {
      return false;
    }
    found = found || one->AsString() == audience;
  }
  return found;
}

Status CheckTimes(JsonValue claims, LogTime now, JwtClaims* read) {
  const std::int64_t now_s = ToMicros(now) / 1'000'000;
  const std::int64_t latest = now_s + kJwtSkewMax.count();
  const auto expires = SecondsOf(claims, "exp");
  if (!expires || now_s >= *expires) {
    return Denied("exp");
  }
  read->expires_at_s = *expires;
  for (const std::string_view name : {"iat", "nbf"}) {
    if (!claims.Find(name)) {
      continue;
    }
    const auto from = SecondsOf(claims, name);
    if (!from || *from > latest) {
      return Denied(name);
    }
    if (name == "iat") {
      read->issued_at_s = *from;
    }
  }
  return Status::Ok();
}

Result<JwtClaims> ReadClaims(JsonValue claims, const JwtRules& rules) {
  JwtClaims read;
  if (!IsFor(claims, rules.audience)) {
    return Denied("aud");
  }
  read.audience = rules.audience;
  const std::array<std::pair<std::string_view, std::string*>, 6> texts = {{
      {"iss", &read.issuer},
      {"sub", &read.subject},
      {"tenant", &read.tenant},
      {"scope", &read.scope},
      {"sid", &read.session},
      {"jti", &read.id},
  }};
  for (const auto& [name, to] : texts) {
    auto text = TextOf(claims, name);
    if (!text) {
      return Denied(name);
    }
    *to = *std::move(text);
  }
  if (read.issuer != rules.issuer) {
    return Denied("iss");
  }
  if (read.subject.empty()) {
    return Denied("sub");
  }
  ALERTSTREAM_RETURN_IF_ERROR(CheckTimes(claims, rules.now, &read));
  return read;
}

}  // namespace

std::string JwtSignature(const HmacKey& key, std::string_view signing_input) {
  return ToBase64Url(AsView(key.Sign(signing_input)));
}

std::string IssueJwt(const JwtClaims& claims, std::string_view type, const JwtKey& key) {
  std::string header = "{";
  AppendText("alg", "HS256", &header);
  AppendText("typ", type, &header);
  AppendText("kid", key.id, &header);
  header += "}";
  std::string body = "{";
  AppendText("iss", claims.issuer, &body);
  AppendText("aud", claims.audience, &body);
  AppendText("sub", claims.subject, &body);
  AppendText("tenant", claims.tenant, &body);
  AppendText("scope", claims.scope, &body);
  AppendText("sid", claims.session, &body);
  AppendText("jti", claims.id, &body);
  AppendTime("iat", claims.issued_at_s, &body);
  AppendTime("exp", claims.expires_at_s, &body);
  body += "}";
  const std::string input = ToBase64Url(header) + "." + ToBase64Url(body);
  return input + "." + JwtSignature(key.key, input);
}

Result<JwtClaims> VerifyJwt(std::string_view token, std::span<const JwtKey> keys,
                            const JwtRules& rules) {
  const std::size_t first = token.find('.');
  const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (token.size() > kJwtBytesMax || second == std::string_view::npos ||
      token.find('.', second + 1) != std::string_view::npos) {
    return Denied("expected three parts");
  }
  JsonDocument header;
  ALERTSTREAM_RETURN_IF_ERROR(ParsePart(token.substr(0, first), &header));
  ALERTSTREAM_ASSIGN_OR_RETURN(const JwtKey* const key, KeyOf(header.root(), keys, rules.type));
  const std::string expected = JwtSignature(key->key, token.substr(0, second));
  if (!ConstantTimeEqual(expected, token.substr(second + 1))) {
    return Denied("signature");
  }
  JsonDocument claims;
  ALERTSTREAM_RETURN_IF_ERROR(ParsePart(token.substr(first + 1, second - first - 1), &claims));
  return ReadClaims(claims.root(), rules);
}

}  // namespace alertstream::api
