#include <charconv>
#include <optional>
#include <utility>

#include <argon2.h>

#include "processor/base/base64.h"
#include "processor/base/crypto.h"
#include "processor/base/password_hash.h"

namespace alertstream {
namespace {

constexpr std::size_t kSaltBytesMin = 8;
constexpr std::size_t kSaltBytesMax = 64;
constexpr std::size_t kHashBytes = 32;
constexpr std::string_view kPrefix = "$argon2id$v=19$";

struct Parts {
  PasswordCost cost;
  std::string salt;
  std::string hash;
};

bool IsBounded(const PasswordCost& cost) {
  return cost.lanes >= 1 && cost.lanes <= kPasswordLanesMax && cost.passes >= 1 &&
         cost.passes <= kPasswordPassesMax && cost.memory_kib >= 8 * cost.lanes &&
         cost.memory_kib <= kPasswordMemoryKibMax;
}

std::string Unpadded(std::string_view bytes) {
  std::string text = ToBase64(bytes);
  while (text.ends_with('=')) {
    text.pop_back();
  }
  return text;
}

std::optional<std::string> FromUnpadded(std::string_view text) {
  std::string padded(text);
  padded.append((4 - padded.size() % 4) % 4, '=');
  return text.find('=') == std::string_view::npos ? FromBase64(padded) : std::nullopt;
}

// Takes `name` and the number behind it from the front of `text`.
bool TakeNumber(std::string_view name, std::string_view* text, std::uint32_t* number) {
  if (!text->starts_with(name)) {
    return false;
  }
  text->remove_prefix(name.size());
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc()) {
    return false;
  }
  text->remove_prefix(static_cast<std::size_t>(end - text->data()));
  return true;
}

std::optional<Parts> ParsePhc(std::string_view phc) {
  Parts parts;
  if (!phc.starts_with(kPrefix)) {
    return std::nullopt;
  }
  phc.remove_prefix(kPrefix.size());
  if (!TakeNumber("m=", &phc, &parts.cost.memory_kib) ||
      !TakeNumber(",t=", &phc, &parts.cost.passes) || !TakeNumber(",p=", &phc, &parts.cost.lanes) ||
      !phc.starts_with('$')) {
    return std::nullopt;
  }
  phc.remove_prefix(1);
  const std::size_t dollar = phc.find('$');
  if (dollar == std::string_view::npos) {
    return std::nullopt;
  }
  auto salt = FromUnpadded(phc.substr(0, dollar));
  auto hash = FromUnpadded(phc.substr(dollar + 1));
  if (!salt || !hash || hash->size() != kHashBytes || salt->size() < kSaltBytesMin ||
      salt->size() > kSaltBytesMax || !IsBounded(parts.cost)) {
    return std::nullopt;
  }
  parts.salt = *std::move(salt);
  parts.hash = *std::move(hash);
  return parts;
}

Result<std::string> RawHash(const Redacted<std::string>& password, std::string_view salt,
                            const PasswordCost& cost) {
  std::string hash(kHashBytes, '\0');
  const int error = argon2id_hash_raw(cost.passes, cost.memory_kib, cost.lanes,
                                      password.Reveal().data(), password.Reveal().size(),
                                      salt.data(), salt.size(), hash.data(), hash.size());
  if (error != ARGON2_OK) {
    return Error(ErrorCode::kUnavailable,
                 std::string("The password cannot be hashed: ") + argon2_error_message(error));
  }
  return hash;
}

}  // namespace

Result<std::string> HashPassword(const Redacted<std::string>& password, std::string_view salt,
                                 const PasswordCost& cost) {
  if (password.Reveal().size() > kPasswordBytesMax || salt.size() < kSaltBytesMin ||
      salt.size() > kSaltBytesMax || !IsBounded(cost)) {
    return Error(ErrorCode::kInvalid, "The password, its salt or the cost is beyond the limits.");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string hash, RawHash(password, salt, cost));
  return std::string(kPrefix) + "m=" + std::to_string(cost.memory_kib) +
         ",t=" + std::to_string(cost.passes) + ",p=" + std::to_string(cost.lanes) + "$" +
         Unpadded(salt) + "$" + Unpadded(hash);
}

Result<PasswordVerdict> VerifyPassword(const Redacted<std::string>& password, std::string_view phc,
                                       const PasswordCost& cost) {
  const auto parts = ParsePhc(phc);
  if (!parts) {
    return Error(ErrorCode::kCorrupt, "The stored password hash is not one of Argon2id.");
  }
  if (password.Reveal().size() > kPasswordBytesMax) {
    return Error(ErrorCode::kInvalid, "The password is too long.");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string hash, RawHash(password, parts->salt, parts->cost));
  return PasswordVerdict{.matches = ConstantTimeEqual(hash, parts->hash),
                         .is_outdated = parts->cost != cost};
}

}  // namespace alertstream
