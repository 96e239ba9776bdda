// Any bytes as what a telephone sends: the number it comes from and the text of the message.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "processor/base/check.h"
#include "processor/engine/keywords.h"
#include "processor/engine/phone.h"
#include "processor/engine/templates/sms_length.h"

namespace {

using namespace alertstream;  // NOLINT(google-build-using-namespace): a test of this file's length.

void CheckPhone(std::string_view text) {
  const auto number = engine::NormalizePhone(text);
  if (!number.ok()) {
    ALERTSTREAM_CHECK(number.error().code() == ErrorCode::kInvalid);
    return;
  }
  const std::string& e164 = number.value();
  ALERTSTREAM_CHECK(e164.size() >= 2 && e164.size() <= 1 + engine::kPhoneDigitsMax);
  ALERTSTREAM_CHECK(e164.find_first_not_of("0123456789", 1) == std::string::npos);
  ALERTSTREAM_CHECK(engine::FindPhoneCountry(e164).has_value());
  const auto again = engine::NormalizePhone(e164);
  ALERTSTREAM_CHECK(again.ok() && again.value() == e164);
}

void CheckKeyword(std::string_view text) {
  const auto keyword = engine::ClassifyInbound(text);
  std::string decorated = " '" + std::string(text) + "' !";
  ALERTSTREAM_CHECK(engine::ClassifyInbound(decorated) == keyword);
  std::transform(decorated.begin(), decorated.end(), decorated.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  ALERTSTREAM_CHECK(engine::ClassifyInbound(decorated) == keyword);
}

void CheckLength(std::string_view text) {
  const auto length = engine::MeasureSms(text);
  if (length.ok()) {
    ALERTSTREAM_CHECK(length.value().units <= 2 * text.size());
    ALERTSTREAM_CHECK(length.value().segments <= length.value().units);
    ALERTSTREAM_CHECK((length.value().segments == 0) == text.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  CheckPhone(text);
  CheckKeyword(text);
  CheckLength(text);
  return 0;
}
