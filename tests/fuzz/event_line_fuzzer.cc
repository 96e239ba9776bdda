// A line of an event file: refused with a reason, or an event that the fold accepts.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "schemas/event_line.h"
#include "tests/fuzz/codec_roundtrip.h"

namespace alertstream::schemas {
namespace {

void CheckOne(std::string_view text) {
  const auto line = DecodeEventLine(text, "acme");
  if (!line.ok()) {
    ALERTSTREAM_CHECK(line.error().code() == ErrorCode::kInvalid);
    ALERTSTREAM_CHECK(!line.error().message().empty());
    return;
  }
  CheckRoundTrip(Topic::kSiteEvents, line.value().key, line.value().envelope);
}

}  // namespace
}  // namespace alertstream::schemas

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  alertstream::schemas::CheckOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
