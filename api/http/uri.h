// The parts of a request target: percent escapes, path segments and query parameters (RFC 3986).
// Pure. Used by the router and by handlers that read a query.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace alertstream::http {

inline constexpr std::size_t kQueryParametersMax = 64;  // No route of ours knows half as many.

// `text` without its percent escapes; nothing if one is malformed or stands for a control
// character, which has no place in a name.
std::optional<std::string> PercentDecoded(std::string_view text);

using QueryParameters = std::vector<std::pair<std::string, std::string>>;

// The name=value pairs of a query, decoded ('+' is a space), in their order. Nothing if an escape
// is malformed or there are more than kQueryParametersMax.
std::optional<QueryParameters> ParseQuery(std::string_view query);

}  // namespace alertstream::http
