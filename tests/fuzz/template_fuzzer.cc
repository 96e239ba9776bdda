// Any bytes as a template, rendered for an event. The first line is the event's data (not JSON:
// none), the rest the template. Rendering must keep its limits, repeat itself, and be UTF-8 that an
// SMS can be measured of.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "processor/base/check.h"
#include "processor/engine/templates/sms_length.h"
#include "processor/engine/templates/template.h"
#include "schemas/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alertstream;  // NOLINT(google-build-using-namespace): one function.
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto newline = input.find('\n');
  const std::string_view json = input.substr(0, newline);
  const std::string_view body =
      newline == std::string_view::npos ? std::string_view() : input.substr(newline + 1);

  const auto compiled = engine::Template::Compile(body);
  if (!compiled.ok()) {
    ALERTSTREAM_CHECK(compiled.error().code() == ErrorCode::kInvalid);
    return 0;
  }
  ALERTSTREAM_CHECK(compiled.value().source() == body);
  schemas::JsonDocument document;
  engine::TemplateEvent event{
      .id = "e", .type = "t", .source = "s", .time = FromMicros(1'700'000'000'000'000), .data = {}};
  if (document.Parse(json).ok()) {
    event.data = document.root();
  }
  std::string text;
  std::string text_again = "of another";
  const Status rendered = compiled.value().Render(event, &text);
  const Status again = compiled.value().Render(event, &text_again);
  ALERTSTREAM_CHECK(rendered.ok() == again.ok());
  if (!rendered.ok()) {
    ALERTSTREAM_CHECK(rendered.error().message() == again.error().message());
    return 0;
  }
  ALERTSTREAM_CHECK(text == text_again);
  ALERTSTREAM_CHECK(text.size() <= engine::kRenderedBytesMax);
  ALERTSTREAM_CHECK(engine::MeasureSms(text).ok());
  return 0;
}
