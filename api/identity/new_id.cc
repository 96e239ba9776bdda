#include "api/identity/new_id.h"

#include <algorithm>
#include <cstdint>

#include "processor/base/base64.h"
#include "processor/base/crypto.h"
#include "processor/base/id.h"

namespace alertstream::api {
namespace {

constexpr std::size_t kTenantNameKeptMax = 40;  // Of an id's 48 characters.
constexpr std::size_t kTenantSuffixCharacters = 6;
constexpr std::string_view kSuffixAlphabet = "abcdefghjkmnpqrstvwxyz0123456789";
static_assert(kSuffixAlphabet.size() == 32);

}  // namespace

std::string NewId(std::string_view prefix, LogTime now) {
  const std::string random = RandomBytes(10);
  IdBytes bytes{};
  const auto ms = static_cast<std::uint64_t>(ToMicros(now) / 1000);
  for (std::size_t i = 0; i < 6; ++i) {
    bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  }
  std::copy(random.begin(), random.end(), bytes.begin() + 6);
  // Only the prefix tells kinds of ids apart.
  const std::string event_id = FormatId(IdKind::kEvent, bytes);
  return std::string(prefix) + event_id.substr(PrefixOf(IdKind::kEvent).size());
}

Redacted<std::string> NewSecret(std::string_view prefix) {
  return Redacted<std::string>(std::string(prefix) + ToBase64Url(RandomBytes(kSecretRandomBytes)));
}

std::string NewTenantId(std::string_view name) {
  std::string id;
  for (const char c : name.substr(0, kTenantNameKeptMax)) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    if (is_upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      id.push_back(is_upper ? static_cast<char>(c - 'A' + 'a') : c);
    } else if (!id.empty() && id.back() != '-') {
      id.push_back('-');
    }
  }
  if (id.empty()) {
    id = "tenant";
  }
  if (id.back() != '-') {
    id.push_back('-');
  }
  for (const char c : RandomBytes(kTenantSuffixCharacters)) {
    id.push_back(kSuffixAlphabet[static_cast<unsigned char>(c) % kSuffixAlphabet.size()]);
  }
  return id;
}

}  // namespace alertstream::api
