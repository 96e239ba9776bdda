// A header X-Signature: refused with a reason, or digests that no key of ours made.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/auth/request_signature.h"
#include "processor/base/check.h"

namespace alertstream::api {
namespace {

void CheckOne(std::string_view header) {
  const std::vector<HmacKey> keys = {HmacKey("not in the corpus")};
  const auto parsed = ParseRequestSignature(header);
  if (!parsed.ok()) {
    ALERTSTREAM_CHECK(parsed.error().code() == ErrorCode::kInvalid);
    ALERTSTREAM_CHECK(parsed.error().message().starts_with("X-Signature: "));
    ALERTSTREAM_CHECK(parsed.error().message().size() < 200);
    const Status status = VerifyRequestSignature(header, "body", keys, {});
    ALERTSTREAM_CHECK(status.error().code() == ErrorCode::kInvalid);
    return;
  }
  const RequestSignature& signature = parsed.value();
  ALERTSTREAM_CHECK(signature.count + signature.bound_count >= 1);
  ALERTSTREAM_CHECK(signature.count <= kSignaturesMax && signature.bound_count <= kSignaturesMax);
  const LogTime signed_at{std::chrono::seconds(signature.signed_at_s)};
  const SignatureRules rules{.now = signed_at, .allow_body_only = true};
  // Where nothing is bound to a target a v2 alone is none.
  ALERTSTREAM_CHECK(VerifyRequestSignature(header, "body", keys, rules).error().code() ==
                    (signature.count == 0 ? ErrorCode::kInvalid : ErrorCode::kDenied));
  SignatureRules bound = rules;
  bound.target = "POST./api/v1/triggers";
  ALERTSTREAM_CHECK(VerifyRequestSignature(header, "body", keys, bound).error().code() ==
                    ErrorCode::kDenied);
  bound.bound_only = true;
  ALERTSTREAM_CHECK(VerifyRequestSignature(header, "body", keys, bound).error().code() ==
                    ErrorCode::kDenied);
  if (!signature.is_body_only) {
    // The same header with a signature that fits, in a place of its own.
    const std::string right = SignRequest(keys.front(), signature.signed_at_s, "body");
    ALERTSTREAM_CHECK(VerifyRequestSignature(right, "body", keys, rules).ok());
    const std::string both = std::string(header) + "," + right.substr(right.find("v1="));
    const bool has_room =
        signature.count < kSignaturesMax && both.size() <= kSignatureHeaderBytesMax;
    ALERTSTREAM_CHECK(VerifyRequestSignature(both, "body", keys, rules).ok() == has_room);
  }
}

}  // namespace
}  // namespace alertstream::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  alertstream::api::CheckOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
