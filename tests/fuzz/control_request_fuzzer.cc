// The body of a control request: whatever it holds, it is records that the log takes, or faults.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "api/control/control_document.h"
#include "api/control/control_request.h"
#include "processor/base/check.h"
#include "schemas/topics.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alertstream;
  const auto parsed = api::ParseControl(
      {reinterpret_cast<const char*>(data), size},
      {.actor = "ops", .now = FromMicros(1'795'176'000'000'000), .partitions = 3});
  const auto* items = std::get_if<api::ControlItems>(&parsed);
  if (items == nullptr) {
    ALERTSTREAM_CHECK(!std::get<http::ProblemDetails>(parsed).errors.empty());
    return 0;
  }
  for (const auto& item : *items) {
    ALERTSTREAM_CHECK(!item.records.empty());
    for (const auto& record : item.records) {
      v1::Envelope envelope;
      ALERTSTREAM_CHECK(record.partition >= 0 && record.partition < 3);
      ALERTSTREAM_CHECK(envelope.ParseFromString(record.value));
      ALERTSTREAM_CHECK(envelope.trust() == v1::TRUST_SYSTEM);
      ALERTSTREAM_CHECK(api::ControlDocument(envelope).ok());
    }
  }
  return 0;
}
