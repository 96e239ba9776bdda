#include "processor/engine/gates/recipient.h"

#include <algorithm>

#include "processor/engine/phone.h"
#include "schemas/limits.h"

namespace alertstream::engine {
namespace {

Result<std::string> NormalizeEmail(std::string_view raw) {
  while (!raw.empty() && raw.front() == ' ') {
    raw.remove_prefix(1);
  }
  while (!raw.empty() && raw.back() == ' ') {
    raw.remove_suffix(1);
  }
  const auto at = raw.find('@');
  if (at == std::string_view::npos || at == 0 || raw.find('@', at + 1) != std::string_view::npos) {
    return Error(ErrorCode::kInvalid, "e-mail address: expected one @ between name and domain");
  }
  if (raw.size() > schemas::kEmailBytesMax) {
    return Error(ErrorCode::kInvalid, "e-mail address: longer than 254 bytes");
  }
  const bool printable =
      std::all_of(raw.begin(), raw.end(), [](char c) { return c > ' ' && c < 0x7f; });
  const auto domain = raw.substr(at + 1);
  if (!printable || domain.find('.') == std::string_view::npos || domain.front() == '.' ||
      domain.back() == '.') {
    return Error(ErrorCode::kInvalid, "e-mail address: expected ASCII and a domain with a dot");
  }
  std::string normal(raw);
  for (std::size_t i = at + 1; i < normal.size(); ++i) {
    if (normal[i] >= 'A' && normal[i] <= 'Z') {
      normal[i] = static_cast<char>(normal[i] - 'A' + 'a');
    }
  }
  return normal;
}

}  // namespace

v1::AddressKind AddressKindOf(v1::Channel channel) {
  if (channel == v1::CHANNEL_EMAIL) {
    return v1::ADDRESS_KIND_EMAIL;
  }
  if (channel == v1::CHANNEL_PUSH) {
    return v1::ADDRESS_KIND_PUSH_TOKEN;
  }
  return v1::ADDRESS_KIND_PHONE;
}

Result<std::string> NormalizeAddress(v1::AddressKind kind, std::string_view raw) {
  if (kind == v1::ADDRESS_KIND_EMAIL) {
    return NormalizeEmail(raw);
  }
  if (kind == v1::ADDRESS_KIND_PUSH_TOKEN) {
    if (raw.empty() || raw.size() > schemas::kPushTokenBytesMax) {
      return Error(ErrorCode::kInvalid, "push token: expected 1 to 4096 bytes");
    }
    return std::string(raw);
  }
  return NormalizePhone(raw);
}

}  // namespace alertstream::engine
