// Character sets of ids and texts. Pure; used by the codec of inputs.
#pragma once

#include <string_view>

namespace alertstream::schemas {

// Event types: [a-zA-Z0-9._:/-]+.
bool IsEventType(std::string_view text);
// Trigger, plan and sender ids: [a-z0-9_-]+.
bool IsEntityId(std::string_view text);
// Site ids: [a-zA-Z0-9._-]+, so that a host name is one.
bool IsSiteId(std::string_view text);
// No U+0000 to U+001F and no U+007F: what an id or a name may hold.
bool HasNoControls(std::string_view text);
// No U+0000: what a text may hold. (Databases and C libraries would cut it there.)
bool HasNoNul(std::string_view text);
// Well-formed UTF-8 (Unicode 15, table 3-7): no overlong form, no surrogate.
bool IsUtf8(std::string_view bytes);
// W3C trace context, version 00: lower case, neither id all zero.
bool IsTraceparent(std::string_view text);

// ASCII only.
bool EqualsIgnoringCase(std::string_view a, std::string_view b);
bool StartsWithIgnoringCase(std::string_view text, std::string_view prefix);

}  // namespace alertstream::schemas
