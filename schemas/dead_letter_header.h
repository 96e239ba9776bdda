// The header that makes an input record the retry of a dead letter: one record holds the bytes that
// are tried again and who asked for it, so that nothing is ever half done. Pure, thread-safe. Read
// by the fold, written by whoever retries.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "schemas/envelope.pb.h"
#include "schemas/record.h"

namespace alertstream::schemas {

// Stored: its value is a DeadLetterAction of the kinds RETRY and EDIT.
inline constexpr std::string_view kDeadLetterHeader = "as-dead-letter";
// An id, a position, an actor and a reason, with room.
inline constexpr std::size_t kDeadLetterHeaderBytesMax = 1024;

// The action; nothing if there is no such header. One that is malformed, or given twice, is none:
// the record then stands for itself.
std::optional<v1::DeadLetterAction> RetryOf(std::span<const HeaderView> headers);

// The header's value. REQUIRES: RetryOf would take it.
std::string EncodeRetry(const v1::DeadLetterAction& action);

}  // namespace alertstream::schemas
