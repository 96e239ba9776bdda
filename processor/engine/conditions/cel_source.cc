#include "processor/engine/conditions/cel_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "processor/engine/templates/utf8.h"

namespace alertstream::engine {

Error CelErrorAt(std::string_view source, std::size_t offset, std::string_view what) {
  const std::string_view before = source.substr(0, offset);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0: the first line.
  const std::string_view line = before.substr(line_start);
  const auto columns = std::count_if(line.begin(), line.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
  });
  return {ErrorCode::kInvalid, fmt::format("line {}, column {}: {}", lines + 1, columns + 1, what)};
}

Status CheckCelUtf8(std::string_view source) {
  for (std::size_t at = 0; at < source.size();) {
    const CodePoint code_point = FirstCodePoint(source.substr(at));
    if (code_point.value == kMalformed) {
      return CelErrorAt(source, at, "expected UTF-8 text, found a byte that is none");
    }
    at += code_point.bytes;
  }
  return Status::Ok();
}

}  // namespace alertstream::engine
