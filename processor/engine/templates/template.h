// Message templates: Mustache text, compiled when a tenant stores it, rendered for one event inside
// the fold. Pure and deterministic: same source and event, same bytes, in any locale and time zone.
// A Template does not change after Compile, and threads may render it at the same time. Used by the
// template gate, and by the API to check a text before it is stored.
//
// {{name}}, {{&name}} and {{{name}}} insert a value; nothing is HTML-escaped, because SMS, WhatsApp
// and push are plain text. {{#name}}..{{/name}} repeats over an array, enters an object or any
// other value, and drops out for false, null, absent and []; {{^name}}..{{/name}} is the opposite;
// {{.}} is the current element; {{! }} is a comment. A section or comment tag alone on its line
// takes the line with it. Partials, lambdas, inheritance and other delimiters do not exist.
//
// Names begin at the event: id, type, source, time (RFC 3339, UTC) and data.member.member; inside a
// section at the innermost value that has the first part of the name. A member name is made of
// letters, digits, _ - @ and :, all ASCII.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "processor/base/result.h"
#include "processor/engine/event_view.h"
#include "schemas/limits.h"

namespace alertstream::engine {

// Ten SMS segments hold 1,530 characters, 6 kB if each takes four bytes; the rest is for tags.
using schemas::kTemplateBytesMax;
// More is a document, not a message; bounds what one compiled template keeps in memory.
inline constexpr std::size_t kTemplateTagsMax = 256;
// Bounds the recursion of the library, and how much one step can multiply.
inline constexpr std::size_t kTemplateNestingMax = 8;
// No channel takes longer text (WhatsApp 4,096 characters, two bytes each in most scripts).
inline constexpr std::size_t kRenderedBytesMax = 10'000;
static_assert(kRenderedBytesMax <= schemas::kMessageBodyBytesMax,
              "a message that was sent must be taken back for its next attempt");
// Pieces visited, bytes of literal text and members searched: some milliseconds. Any text that
// keeps kRenderedBytesMax stays far below; loops that print nothing do not.
inline constexpr std::size_t kRenderStepsMax = 65'536;

using TemplateEvent = EventView;

class Template {
 public:
  // kInvalid names line and column (in characters, from 1) and what is wrong there.
  static Result<Template> Compile(std::string_view body);

  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

  // Replaces `out`, whose contents are of no use after an error. kInvalid names the variable that
  // is absent, null, an array or an object ("template: data.amount is absent"), or the limit that
  // was reached; never a value. Integers print as such, doubles as the shortest decimal that reads
  // back the same, strings as they are.
  Status Render(const TemplateEvent& event, std::string* out) const;

  const std::string& source() const;

 private:
  struct Impl;
  explicit Template(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::engine
