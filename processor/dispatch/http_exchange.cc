#include "processor/dispatch/http_exchange.h"

#include "schemas/text.h"

namespace alertstream::dispatch {

std::optional<std::string_view> FindHeader(std::span<const HttpHeader> headers,
                                           std::string_view name) {
  for (const HttpHeader& header : headers) {
    if (schemas::EqualsIgnoringCase(header.name, name)) {
      return header.value;
    }
  }
  return std::nullopt;
}

}  // namespace alertstream::dispatch
