// Personal data in answers: in full for whom may see it and said why, else masked. Pure. Used by
// the routes that read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "schemas/json.h"

namespace alertstream::api {

// The bytes of a serialized Personal message; nothing if there is none, or it cannot be read.
std::optional<std::string> RevealSealed(const std::optional<std::string>& sealed);

// `value` as JSON of the same shape, with "***" for every scalar but null, and for names of members
// that look like no name.
void AppendMaskedJson(schemas::JsonValue value, std::string* out);

}  // namespace alertstream::api
