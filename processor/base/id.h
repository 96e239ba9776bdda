// Ids: 16 bytes in ULID layout (48 bits of milliseconds, 80 bits of hash), shown as a prefix and 26
// characters of Crockford's base 32: "evt_01JD3J…". Frozen: ids depend on the position of the
// record that caused them, never on the batch, so a replay or a backtest gives the same ids. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "processor/base/crypto.h"
#include "processor/base/result.h"
#include "processor/base/time.h"

namespace alertstream {

enum class IdKind : std::uint8_t {
  kEvent,         // evt_
  kNotification,  // ntf_
  kDecision,      // dec_
  kTrigger,       // trg_
  kConsent,       // con_
  kRecipient,     // rcp_
  kDeadLetter,    // dlq_
};

std::string_view PrefixOf(IdKind kind);

using IdBytes = std::array<std::uint8_t, 16>;

inline std::string_view AsView(const IdBytes& id) {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

// What an id is made from. Parts that do not apply are empty or 0.
struct IdCause {
  LogTime append_time;  // Of the causing record.
  std::string_view tenant;
  std::uint8_t topic = 0;
  std::uint32_t partition = 0;
  std::int64_t offset = 0;
  std::string_view trigger = {};
  std::string_view recipient_token = {};
  std::uint8_t channel = 0;
  std::uint32_t n = 0;
};

IdBytes MakeId(const IdCause& cause);

// `bytes` must be 16 long (a stored id); anything else is shown as "<prefix>invalid".
std::string FormatId(IdKind kind, std::string_view bytes);
inline std::string FormatId(IdKind kind, const IdBytes& id) { return FormatId(kind, AsView(id)); }

// kInvalid unless `text` is a whole id of that kind.
Result<IdBytes> ParseId(IdKind kind, std::string_view text);
// The kind that `text` begins with, if any: "dec_01J" is a (possibly partial) decision id.
std::optional<IdKind> KindOf(std::string_view text);

// A person as everything but Personal names them: the first 16 bytes of
// HMAC-SHA256(deployment token key, tenant ‖ kind ‖ normalised address). Frozen.
using RecipientToken = std::array<std::uint8_t, 16>;

// `address_kind` is the number of v1::AddressKind; lengths keep the parts apart.
RecipientToken MakeRecipientToken(const HmacKey& token_key, std::string_view tenant,
                                  std::uint8_t address_kind, std::string_view address);

}  // namespace alertstream
