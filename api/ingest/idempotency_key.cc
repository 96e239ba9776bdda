#include <algorithm>
#include <array>

#include "api/ingest/idempotency_index.h"

namespace alertstream::api {
namespace {

void UpdateWithLength(std::string_view part, Sha256* hash) {
  const auto size = static_cast<std::uint32_t>(part.size());
  const std::array<std::uint8_t, 4> length = {
      static_cast<std::uint8_t>(size >> 24U), static_cast<std::uint8_t>(size >> 16U),
      static_cast<std::uint8_t>(size >> 8U), static_cast<std::uint8_t>(size)};
  hash->Update(length.data(), length.size()).Update(part);
}

}  // namespace

std::optional<IdempotencyKey> IdempotencyKeyOf(const v1::Envelope& envelope) {
  const std::string& key =
      envelope.idempotency().key().empty() ? envelope.id() : envelope.idempotency().key();
  if (key.empty()) {
    return std::nullopt;
  }
  return IdempotencyKey{.tenant = envelope.tenant(),
                        .trust = envelope.trust(),
                        .site = envelope.site(),
                        .source = envelope.source(),
                        .key = key};
}

IdempotencyHash HashOf(const IdempotencyKey& key) {
  Sha256 hash;
  UpdateWithLength(key.tenant, &hash);
  const auto trust = static_cast<std::uint8_t>(key.trust);
  hash.Update(&trust, sizeof(trust));
  UpdateWithLength(key.site, &hash);
  UpdateWithLength(key.source, &hash);
  UpdateWithLength(key.key, &hash);
  const Digest digest = hash.Final();
  IdempotencyHash bytes;
  std::copy_n(digest.begin(), bytes.size(), bytes.begin());
  return bytes;
}

Digest BodyDigest(std::string_view type, std::string_view data) {
  const std::uint8_t separator = 0;
  return Sha256().Update(type).Update(&separator, sizeof(separator)).Update(data).Final();
}

}  // namespace alertstream::api
