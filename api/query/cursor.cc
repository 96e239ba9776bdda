#include "api/query/cursor.h"

#include <cstdint>

#include "processor/base/base64.h"

namespace alertstream::api {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kTimeBytes = 8;
constexpr std::size_t kHeadBytes = 1 + kTimeBytes;
constexpr std::size_t kMacBytes = 8;  // A guess is right once in 10^19 requests.

}  // namespace

CursorBook::CursorBook(const HmacKey& deployment_key)
    : key_(AsView(deployment_key.Sign("alertstream list cursors, version 1"))) {}

std::string CursorBook::Seal(const CursorScope& scope, std::string_view place) const {
  // Neither a tenant nor a path holds U+0000, so the parts cannot be moved.
  constexpr std::string_view kEnd("\0", 1);
  HmacKey::Mac mac = key_.Begin();
  mac.Update(scope.tenant).Update(kEnd).Update(scope.list).Update(kEnd).Update(place);
  const Digest digest = mac.Final();
  return std::string(AsView(digest).substr(0, kMacBytes));
}

std::string CursorBook::Write(const CursorScope& scope, const read_model::PageKey& key) const {
  std::string bytes(1, kVersion);
  const auto micros = static_cast<std::uint64_t>(ToMicros(key.time));
  for (std::size_t i = 0; i < kTimeBytes; ++i) {
    bytes.push_back(static_cast<char>((micros >> (8 * (kTimeBytes - 1 - i))) & 0xFFU));
  }
  bytes += key.id;
  bytes += Seal(scope, bytes);
  return ToBase64Url(bytes);
}

std::optional<read_model::PageKey> CursorBook::Read(const CursorScope& scope,
                                                    std::string_view cursor) const {
  if (cursor.size() > kCursorBytesMax) {
    return std::nullopt;
  }
  const auto bytes = FromBase64Url(cursor);
  if (!bytes || bytes->size() <= kHeadBytes + kMacBytes || bytes->front() != kVersion) {
    return std::nullopt;
  }
  const std::string_view place = std::string_view(*bytes).substr(0, bytes->size() - kMacBytes);
  const std::string_view mac = std::string_view(*bytes).substr(place.size());
  if (!ConstantTimeEqual(mac, Seal(scope, place))) {
    return std::nullopt;
  }
  std::uint64_t micros = 0;
  for (const char byte : place.substr(1, kTimeBytes)) {
    micros = (micros << 8U) | static_cast<unsigned char>(byte);
  }
  return read_model::PageKey{.time = FromMicros(static_cast<std::int64_t>(micros)),
                             .id = std::string(place.substr(kHeadBytes))};
}

}  // namespace alertstream::api
