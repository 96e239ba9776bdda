// application/x-www-form-urlencoded, as the URL standard of the WHATWG describes it: what Twilio
// and its like take and send. Pure; used by the adapters of providers and their webhooks.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"

namespace alertstream::dispatch {

struct FormField {
  std::string name;
  std::string value;

  friend bool operator==(const FormField&, const FormField&) = default;
};

// In the order of the text; a name may occur more than once.
using Form = std::vector<FormField>;

// What Decode takes at most; sizes of names and values are those after decoding.
inline constexpr std::size_t kFormBytesMax = 1 << 20;  // What the edge takes as a body.
// An inbound message with ten pictures, geography of both sides and an extension has about 60.
inline constexpr std::size_t kFormFieldsMax = 256;
inline constexpr std::size_t kFormNameBytesMax = 128;
inline constexpr std::size_t kFormValueBytesMax = 64 << 10;  // Four of the longest message texts.

// Appends `name=value`, with an & in front if `out` is not empty. Letters, digits and * - . _ stay,
// a space becomes +, every other byte %XX with capital letters.
void AppendFormField(std::string_view name, std::string_view value, std::string* out);

std::string EncodeForm(std::span<const FormField> fields);

// Strict: every part is `name=value` with a name, % is followed by two hexadecimal digits, what
// is written plainly is printable ASCII, and names and values are UTF-8. kInvalid says which field
// broke which rule; it shows a name that looks like one, and never a value.
Result<Form> DecodeForm(std::string_view text);

}  // namespace alertstream::dispatch
