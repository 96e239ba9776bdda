// Reads a TOML file into flat entries: the one place that knows the TOML library. Pure but for
// reading the file; used by settings.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"

namespace alertstream::cli {

enum class TomlKind : std::uint8_t { kString, kInteger, kBool, kOther };

struct TomlEntry {
  std::string key;  // Dotted: kafka.topic_prefix.
  TomlKind kind;
  std::string text;  // A string's content, an integer in decimal, true or false; "" for kOther.
  std::uint32_t line;
  std::uint32_t column;
};

// kInvalid with line and column for what is no TOML.
Result<std::vector<TomlEntry>> ParseToml(std::string_view text, std::string_view file_name);

}  // namespace alertstream::cli
