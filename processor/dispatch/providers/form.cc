#include "processor/dispatch/providers/form.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "processor/base/text.h"
#include "schemas/text.h"

namespace alertstream::dispatch {
namespace {

constexpr bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool StaysPlain(char c) {
  return IsLetter(c) || IsDigit(c) || c == '*' || c == '-' || c == '.' || c == '_';
}

void AppendEncoded(std::string_view text, std::string* out) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : text) {
    if (StaysPlain(c)) {
      out->push_back(c);
    } else if (c == ' ') {
      out->push_back('+');
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out->append({'%', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
}

// A part of `name=value`, or what is wrong with it.
struct Part {
  std::string text;
  const char* fault = nullptr;
};

Part DecodePart(std::string_view encoded) {
  Part part;
  part.text.reserve(encoded.size());
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    const char c = encoded[i];
    if (c == '+') {
      part.text.push_back(' ');
    } else if (c == '%') {
      const int high = i + 2 < encoded.size() ? HexValue(encoded[i + 1]) : -1;
      const int low = i + 2 < encoded.size() ? HexValue(encoded[i + 2]) : -1;
      if (high < 0 || low < 0) {
        part.fault = "has a % without two hexadecimal digits";
        return part;
      }
      part.text.push_back(static_cast<char>(static_cast<std::uint8_t>(high * 16 + low)));
      i += 2;
    } else if (c > ' ' && c <= '~') {
      part.text.push_back(c);
    } else {
      part.fault = "has a byte that has to be written as %XX";
      return part;
    }
  }
  if (!schemas::IsUtf8(part.text)) {
    part.fault = "is no UTF-8";
  }
  return part;
}

// A body that was cut wrongly has addresses and texts where names should be.
bool LooksLikeAName(std::string_view name) {
  constexpr std::size_t kShownMax = 40;
  return !name.empty() && name.size() <= kShownMax && IsLetter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return IsLetter(c) || IsDigit(c) || c == '_' || c == '.'; });
}

Error Fault(std::size_t index, std::string_view name, std::string_view what) {
  const std::string shown = LooksLikeAName(name) ? fmt::format(" ({})", name) : "";
  return Error(ErrorCode::kInvalid, fmt::format("form field {}{}: {}", index + 1, shown, what));
}

Result<FormField> DecodeField(std::string_view encoded, std::size_t index) {
  const std::size_t equals = encoded.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return Fault(index, "", equals == 0 ? "has no name" : "is not of the form name=value");
  }
  Part name = DecodePart(encoded.substr(0, equals));
  if (name.fault != nullptr) {
    return Fault(index, "", fmt::format("the name {}", name.fault));
  }
  if (name.text.size() > kFormNameBytesMax) {
    return Fault(index, "", fmt::format("the name is longer than {} bytes", kFormNameBytesMax));
  }
  Part value = DecodePart(encoded.substr(equals + 1));
  if (value.fault != nullptr) {
    return Fault(index, name.text, fmt::format("the value {}", value.fault));
  }
  if (value.text.size() > kFormValueBytesMax) {
    return Fault(index, name.text,
                 fmt::format("the value is longer than {} bytes", kFormValueBytesMax));
  }
  return FormField{std::move(name.text), std::move(value.text)};
}

}  // namespace

void AppendFormField(std::string_view name, std::string_view value, std::string* out) {
  if (!out->empty()) {
    out->push_back('&');
  }
  AppendEncoded(name, out);
  out->push_back('=');
  AppendEncoded(value, out);
}

std::string EncodeForm(std::span<const FormField> fields) {
  std::string text;
  for (const FormField& field : fields) {
    AppendFormField(field.name, field.value, &text);
  }
  return text;
}

Result<Form> DecodeForm(std::string_view text) {
  if (text.size() > kFormBytesMax) {
    return Error(ErrorCode::kInvalid, fmt::format("form: longer than {} bytes", kFormBytesMax));
  }
  Form fields;
  if (text.empty()) {
    return fields;
  }
  for (std::size_t begin = 0; begin <= text.size();) {
    if (fields.size() == kFormFieldsMax) {
      return Error(ErrorCode::kInvalid, fmt::format("form: more than {} fields", kFormFieldsMax));
    }
    const std::size_t end = std::min(text.find('&', begin), text.size());
    auto field = DecodeField(text.substr(begin, end - begin), fields.size());
    if (!field.ok()) {
      return field.error();
    }
    fields.push_back(std::move(field).value());
    begin = end + 1;
  }
  return fields;
}

}  // namespace alertstream::dispatch
