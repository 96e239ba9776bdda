// Positions in the source of a condition, and the errors that name them. Pure. Used by the compiler
// of conditions only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "processor/base/result.h"

namespace alertstream::engine {

// A half-open range of bytes.
struct CelSpan {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

// "line 2, column 7: " and `what`. kInvalid.
// REQUIRES: `source` is UTF-8 up to `offset`.
Error CelErrorAt(std::string_view source, std::size_t offset, std::string_view what);

// kInvalid at the first byte that is not UTF-8.
Status CheckCelUtf8(std::string_view source);

}  // namespace alertstream::engine
