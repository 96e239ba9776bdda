// A record on site-events with headers: lines "name: value" up to an empty line, then the value.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "schemas/input_codec.h"
#include "tests/fuzz/codec_roundtrip.h"

namespace alertstream::schemas {
namespace {

void CheckOne(std::string_view input) {
  constexpr std::string_view kSeparator = ": ";
  std::vector<HeaderView> headers;
  while (true) {
    const std::size_t end = input.find('\n');
    const std::string_view line = input.substr(0, end);
    const std::size_t colon = line.find(kSeparator);
    if (end == std::string_view::npos || line.empty() || colon == std::string_view::npos) {
      input.remove_prefix(end != std::string_view::npos && line.empty() ? 1 : 0);
      break;
    }
    headers.push_back({line.substr(0, colon), line.substr(colon + kSeparator.size())});
    input.remove_prefix(end + 1);
  }
  v1::Envelope envelope;
  const RecordView record{0, LogTime{}, "acme", input, headers};
  if (const auto fault = DecodeInput(Topic::kSiteEvents, record, &envelope)) {
    CheckFault(*fault);
    return;
  }
  CheckRoundTrip(Topic::kSiteEvents, "acme", envelope);
}

}  // namespace
}  // namespace alertstream::schemas

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  alertstream::schemas::CheckOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
