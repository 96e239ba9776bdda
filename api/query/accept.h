// In which form a list is wanted: the field Accept (RFC 9110, section 12.5.1). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "api/http/message.h"

namespace alertstream::api {

enum class ListForm : std::uint8_t {
  kJson,   // application/json: one page.
  kCsv,    // text/csv: many rows.
  kLines,  // application/x-ndjson: many rows, one JSON object a line.
};

std::string_view ContentTypeOf(ListForm form);

// The form that the client likes best, kJson if it is all the same; nothing if it takes none.
std::optional<ListForm> AcceptedForm(const http::Headers& headers);

}  // namespace alertstream::api
