// How commands show what is stored: enums as words, ids, places in the log, and people without
// their numbers. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "processor/base/id.h"
#include "processor/base/result.h"
#include "schemas/common.pb.h"
#include "schemas/decision_text.h"
#include "schemas/enum_words.h"
#include "schemas/output.pb.h"

namespace alertstream::cli {

using schemas::EnumOfWord;
using schemas::EnumWord;
using schemas::ParseWord;
using schemas::PositionText;
using schemas::UnknownWord;
using schemas::Word;

// The first characters of an id, enough to tell it from others of the same millisecond.
std::string ShortId(IdKind kind, std::string_view bytes);

// "+254 700 *** 001". What is too short to hide a part of it is hidden whole.
std::string MaskPhone(std::string_view e164);
// A telephone number as above, "a***@example.com", or "***".
std::string MaskAddress(std::string_view address);

// The first `characters` of UTF-8 text, with "…" if there is more.
std::string Clip(std::string_view text, std::size_t characters);

// "started, attempt 2: retry, 30001, again at 2026-11-22T09:00:01Z"; ", no change" if the
// notification stays what it was.
std::string DeliveryText(const v1::NotificationFact& fact);

// "1,234,567".
std::string Grouped(std::uint64_t number);

}  // namespace alertstream::cli
