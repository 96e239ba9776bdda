// A template text cut into literals and tags, with everything refused that our dialect of Mustache
// (template.h) does not have. Pure. Used by template_mustache.cc alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"

namespace alertstream::engine {

struct TemplatePiece {
  enum class Kind : std::uint8_t { kText, kVariable, kSection, kInverted, kEnd };

  Kind kind;
  std::string text;               // The literal, or the name as written in the tag.
  std::vector<std::string> path;  // The name's parts; none for "." and literals.
  std::size_t section;            // kEnd: index of the piece it closes.
  // Sections: what one pass over the body costs in render steps, inner sections not entered.
  std::size_t cost;
};

// The pieces of `body` in order. Comments, and lines that hold nothing but a section or comment
// tag, leave no text behind. Sections are balanced. Errors as Template::Compile.
Result<std::vector<TemplatePiece>> CutTemplate(std::string_view body);

}  // namespace alertstream::engine
