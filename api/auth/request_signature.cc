#include "api/auth/request_signature.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "processor/base/check.h"
#include "processor/base/text.h"

namespace alertstream::api {
namespace {

constexpr std::size_t kTimeDigitsMax = 11;  // Until the year 5138.
constexpr std::int64_t kTimeMax = 100'000'000'000;

Error Invalid(std::string_view what) {
  return Error(ErrorCode::kInvalid, fmt::format("X-Signature: {}", what));
}

Error Denied(std::string_view what) {
  return Error(ErrorCode::kDenied, fmt::format("X-Signature: {}", what));
}

// The number as it was signed, so only the one way to write it.
std::optional<std::int64_t> ParseTime(std::string_view text) {
  const bool is_number =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (text.empty() || text.size() > kTimeDigitsMax || !is_number ||
      (text.size() > 1 && text.front() == '0')) {
    return std::nullopt;
  }
  std::int64_t seconds = 0;
  for (const char c : text) {
    seconds = seconds * 10 + (c - '0');
  }
  return seconds;
}

std::optional<Digest> ParseDigest(std::string_view hex) {
  Digest digest{};
  const std::string bytes = FromHex(hex);
  if (bytes.size() != digest.size()) {
    return std::nullopt;
  }
  std::memcpy(digest.data(), bytes.data(), digest.size());
  return digest;
}

// Reads the items of a header, one after the other.
class HeaderReader {
 public:
  Status Take(std::string_view item);
  Result<RequestSignature> Finish() const;

 private:
  static Status TakeDigest(std::string_view name, std::string_view hex, std::size_t* count,
                           std::array<Digest, kSignaturesMax>* digests);

  RequestSignature signature_;
  bool has_time_ = false;
};

Status HeaderReader::TakeDigest(std::string_view name, std::string_view hex, std::size_t* count,
                                std::array<Digest, kSignaturesMax>* digests) {
  if (*count == kSignaturesMax) {
    return Invalid(fmt::format("more than {} signatures", kSignaturesMax));
  }
  const auto digest = ParseDigest(hex);
  if (!digest) {
    return Invalid(fmt::format("{}: expected 64 hexadecimal digits", name));
  }
  (*digests)[(*count)++] = *digest;
  return Status::Ok();
}

Status HeaderReader::Take(std::string_view item) {
  const std::size_t equals = item.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return Invalid("expected items of the form name=value, separated by commas");
  }
  const std::string_view name = item.substr(0, equals);
  const std::string_view value = item.substr(equals + 1);
  if (name == "t") {
    const auto seconds = ParseTime(value);
    if (has_time_ || !seconds) {
      return Invalid(has_time_ ? "t: given twice" : "t: expected a unix time in seconds");
    }
    has_time_ = true;
    signature_.signed_at_s = *seconds;
  } else if (name == "v1") {
    return TakeDigest(name, value, &signature_.count, &signature_.digests);
  } else if (name == "v2") {
    return TakeDigest(name, value, &signature_.bound_count, &signature_.bound_digests);
  } else if (name == "sha256") {
    signature_.is_body_only = true;
    return TakeDigest(name, value, &signature_.count, &signature_.digests);
  }
  return Status::Ok();
}

Result<RequestSignature> HeaderReader::Finish() const {
  if (signature_.is_body_only) {
    // Beside a timed signature it could be taken for one.
    return has_time_ || signature_.count != 1 || signature_.bound_count != 0
               ? Result<RequestSignature>(Invalid("sha256: has to stand alone"))
               : Result<RequestSignature>(signature_);
  }
  if (!has_time_) {
    return Invalid("t: missing; expected t=<unix seconds>,v1=<hex>");
  }
  if (signature_.count + signature_.bound_count == 0) {
    return Invalid("v1: missing; expected t=<unix seconds>,v1=<hex>");
  }
  return signature_;
}

Digest SignTimed(const HmacKey& key, std::int64_t signed_at_s, std::string_view body) {
  auto mac = key.Begin();
  mac.Update(std::to_string(signed_at_s)).Update(".").Update(body);
  return mac.Final();
}

Digest SignBound(const HmacKey& key, std::int64_t signed_at_s, std::string_view target,
                 std::string_view body) {
  auto mac = key.Begin();
  // No target has a line feed, so that no two pairs of target and body are signed alike.
  mac.Update(std::to_string(signed_at_s)).Update(".").Update(target).Update("\n").Update(body);
  return mac.Final();
}

// What is compared with the digests given, of which there are `count`.
struct Expected {
  Digest digest;
  std::span<const Digest> given;
};

Expected ExpectedOf(const HmacKey& key, const RequestSignature& signature, std::string_view body,
                    const SignatureRules& rules) {
  if (rules.bound_only || (!rules.target.empty() && signature.bound_count > 0)) {
    return {SignBound(key, signature.signed_at_s, rules.target, body),
            std::span(signature.bound_digests).first(signature.bound_count)};
  }
  return {signature.is_body_only ? key.Sign(body) : SignTimed(key, signature.signed_at_s, body),
          std::span(signature.digests).first(signature.count)};
}

}  // namespace

Result<RequestSignature> ParseRequestSignature(std::string_view header) {
  if (header.empty()) {
    return Invalid("missing");
  }
  if (header.size() > kSignatureHeaderBytesMax) {
    return Invalid(fmt::format("longer than {} bytes", kSignatureHeaderBytesMax));
  }
  HeaderReader reader;
  for (std::size_t begin = 0; begin <= header.size();) {
    const std::size_t end = std::min(header.find(',', begin), header.size());
    ALERTSTREAM_RETURN_IF_ERROR(reader.Take(Trimmed(header.substr(begin, end - begin))));
    begin = end + 1;
  }
  return reader.Finish();
}

Status VerifyRequestSignature(std::string_view header, std::string_view body,
                              std::span<const HmacKey> keys, const SignatureRules& rules) {
  ALERTSTREAM_CHECK(!rules.bound_only || !rules.target.empty());
  const auto parsed = ParseRequestSignature(header);
  if (!parsed.ok()) {
    return parsed.error();
  }
  const RequestSignature& signature = parsed.value();
  if (rules.bound_only && signature.bound_count == 0) {
    return Denied("v2: missing; a signature without method and path is not taken here");
  }
  if (signature.is_body_only) {
    if (!rules.allow_body_only) {
      return Denied("sha256: a signature without a time is not allowed here; send t and v1");
    }
  } else {
    const LogTime signed_at{std::chrono::seconds(signature.signed_at_s)};
    if (signed_at < rules.now - kSignatureWindow || signed_at > rules.now + kSignatureWindow) {
      return Denied(fmt::format("t: more than {} s {} the server's clock", kSignatureWindow.count(),
                                signed_at < rules.now ? "behind" : "ahead of"));
    }
  }
  if (rules.target.empty() && signature.count == 0) {
    return Invalid("v1: missing; a v2 alone is not taken here");
  }
  bool fits = false;
  for (const HmacKey& key : keys) {
    const Expected expected = ExpectedOf(key, signature, body, rules);
    for (const Digest& given : expected.given) {
      const bool equal = ConstantTimeEqual(AsView(expected.digest), AsView(given));
      fits = fits || equal;
    }
  }
  if (!fits) {
    return Denied("not made of this body with the key's signing secret");
  }
  return Status::Ok();
}

std::string SignedTarget(std::string_view method, std::string_view path, std::string_view query) {
  return fmt::format("{}.{}{}{}", method, path, query.empty() ? "" : "?", query);
}

std::string SignRequest(const HmacKey& key, std::int64_t signed_at_s, std::string_view body) {
  ALERTSTREAM_CHECK(signed_at_s >= 0 && signed_at_s < kTimeMax);
  return fmt::format("t={},v1={}", signed_at_s, ToHex(AsView(SignTimed(key, signed_at_s, body))));
}

std::string SignBoundRequest(const HmacKey& key, std::int64_t signed_at_s, std::string_view target,
                             std::string_view body) {
  ALERTSTREAM_CHECK(signed_at_s >= 0 && signed_at_s < kTimeMax);
  return fmt::format("t={},v2={}", signed_at_s,
                     ToHex(AsView(SignBound(key, signed_at_s, target, body))));
}

}  // namespace alertstream::api
