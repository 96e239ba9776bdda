// The header X-Signature, by which a caller proves that it holds a key's signing secret and that
// the body is as it was sent: `t=<unix s>,v1=<hex HMAC-SHA256(secret, t "." body)>`, over the bytes
// of the body as received. Pure; used by ingest, by the guard of all other routes (api/identity)
// and by the command line.
//
// There may be several v1, one of which has to fit, so that a caller can sign with an old and a new
// secret while it changes them. `v2=<hex HMAC-SHA256(secret, t "." METHOD "." target LF body)>`
// also binds the signature to the method and to the path with its query, as sent: if it is there it
// alone counts, and where something is managed nothing else does (SignatureRules::bound_only): a v1
// of an ingested event would be good there for every route. Items of other names are versions to
// come and are passed over.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "processor/base/crypto.h"
#include "processor/base/result.h"
#include "processor/base/time.h"

namespace alertstream::api {

// A request is good for this long, and a caller's clock may be ahead by as much.
inline constexpr std::chrono::seconds kSignatureWindow{300};
inline constexpr std::size_t kSignatureHeaderBytesMax = 1024;  // Ten digests and their names.
inline constexpr std::size_t kSignaturesMax =
    4;  // Old and new secret, with room; one compare each.

struct RequestSignature {
  std::int64_t signed_at_s = 0;  // Unix time; 0 if only the body is signed.
  bool is_body_only = false;     // The older form `sha256=<hex HMAC-SHA256(secret, body)>`.
  std::size_t count = 0;         // Of the digests of v1 or sha256.
  std::array<Digest, kSignaturesMax> digests = {};
  std::size_t bound_count = 0;  // Of v2; of both kinds there is at least 1.
  std::array<Digest, kSignaturesMax> bound_digests = {};
};

// kInvalid says what is wrong with the header.
Result<RequestSignature> ParseRequestSignature(std::string_view header);

struct SignatureRules {
  LogTime now;
  // The older form has no time: whoever sees such a request can send it again for ever.
  bool allow_body_only = false;
  // SignedTarget: what a v2 has to be made of. Empty: v2 says nothing.
  std::string_view target = {};
  // Only a v2 counts: neither a v1 nor the older form, whatever the key allows. Needs a target.
  bool bound_only = false;
};

// "POST./api/v1/triggers?x=1"; `path` and `query` as sent.
std::string SignedTarget(std::string_view method, std::string_view path, std::string_view query);

// Ok if one of the keys made one of the header's signatures of `body`, in time. kInvalid (HTTP 400)
// for a header that is missing (empty) or malformed; kDenied (403) if it is too old, too far ahead,
// of a form that is not allowed, or no key fits. How long it takes does not depend on which byte
// of a signature is wrong.
Status VerifyRequestSignature(std::string_view header, std::string_view body,
                              std::span<const HmacKey> keys, const SignatureRules& rules);

// The header for a request that is sent at `signed_at_s`, unix time.
// REQUIRES: 0 <= signed_at_s < 10^11
std::string SignRequest(const HmacKey& key, std::int64_t signed_at_s, std::string_view body);
// As SignRequest, bound to a target: with v2 alone.
std::string SignBoundRequest(const HmacKey& key, std::int64_t signed_at_s, std::string_view target,
                             std::string_view body);

}  // namespace alertstream::api
