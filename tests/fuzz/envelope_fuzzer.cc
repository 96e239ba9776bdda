// A record on an input topic: the first byte chooses topic and key, the rest is the value.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <google/protobuf/arena.h>

#include "schemas/input_codec.h"
#include "tests/fuzz/codec_roundtrip.h"

namespace alertstream::schemas {
namespace {

void CheckOne(std::uint8_t choice, std::string_view value) {
  constexpr std::array<std::string_view, 4> kKeys = {"acme", kLogKey, kUnroutedKey, "Acme"};
  const Topic topic = kInputTopics[choice % kInputTopics.size()];
  const std::string_view key = kKeys[(choice / kInputTopics.size()) % kKeys.size()];
  google::protobuf::Arena arena;
  auto* envelope = google::protobuf::Arena::CreateMessage<v1::Envelope>(&arena);
  if (const auto fault = DecodeInput(topic, RecordView{0, LogTime{}, key, value, {}}, envelope)) {
    CheckFault(*fault);
    return;
  }
  CheckRoundTrip(topic, key, *envelope);
}

}  // namespace
}  // namespace alertstream::schemas

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) {
    alertstream::schemas::CheckOne(data[0], {reinterpret_cast<const char*>(data + 1), size - 1});
  }
  return 0;
}
