// A form: refused with a reason, or fields within their limits that are the same once more when
// they are written and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "processor/base/check.h"
#include "processor/dispatch/providers/form.h"
#include "schemas/text.h"

namespace alertstream::dispatch {
namespace {

void CheckOne(std::string_view text) {
  const auto form = DecodeForm(text);
  if (!form.ok()) {
    ALERTSTREAM_CHECK(form.error().code() == ErrorCode::kInvalid);
    ALERTSTREAM_CHECK(form.error().message().starts_with("form"));
    ALERTSTREAM_CHECK(form.error().message().size() < 200);
    return;
  }
  ALERTSTREAM_CHECK(form.value().size() <= kFormFieldsMax);
  for (const FormField& field : form.value()) {
    ALERTSTREAM_CHECK(!field.name.empty() && field.name.size() <= kFormNameBytesMax);
    ALERTSTREAM_CHECK(field.value.size() <= kFormValueBytesMax);
    ALERTSTREAM_CHECK(schemas::IsUtf8(field.name) && schemas::IsUtf8(field.value));
  }
  const std::string encoded = EncodeForm(form.value());
  if (encoded.size() <= kFormBytesMax) {
    const auto again = DecodeForm(encoded);
    ALERTSTREAM_CHECK(again.ok() && again.value() == form.value());
  }
}

}  // namespace
}  // namespace alertstream::dispatch

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  alertstream::dispatch::CheckOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
