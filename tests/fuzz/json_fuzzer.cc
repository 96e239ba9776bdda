// Bytes as an event's JSON: refused, or read into a value whose text reads as the same value.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "processor/base/check.h"
#include "schemas/json.h"

namespace alertstream::schemas {
namespace {

// The values below `value` and itself, found by iteration and, members, by name.
std::size_t CountValues(JsonValue value) {
  std::size_t count = 1;
  std::size_t children = 0;
  for (auto child = value.first_child(); child; child = child->next_sibling()) {
    ++children;
    // Look-ups are linear: a few a container keep the fuzzer fast.
    if (value.type() == JsonType::kObject && children <= 8) {
      ALERTSTREAM_CHECK(value.Find(child->name())->type() == child->type());
    }
    count += CountValues(*child);
  }
  ALERTSTREAM_CHECK(children == value.size());
  return count;
}

void CheckOne(std::string_view bytes) {
  JsonDocument document;
  const Status status = document.Parse(bytes);
  if (!status.ok()) {
    ALERTSTREAM_CHECK(status.error().code() == ErrorCode::kInvalid);
    ALERTSTREAM_CHECK(status.error().message().size() < 400);
    return;
  }
  ALERTSTREAM_CHECK(CountValues(document.root()) <= kJsonNodesMax);
  std::string text;
  AppendJson(document.root(), &text);
  // Escapes may grow and doubles spread out: a text over the limit is no finding.
  if (text.size() > kJsonBytesMax) {
    return;
  }
  JsonDocument reread;
  ALERTSTREAM_CHECK(reread.Parse(text).ok());
  std::string again;
  AppendJson(reread.root(), &again);
  ALERTSTREAM_CHECK(again == text);
}

}  // namespace
}  // namespace alertstream::schemas

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  alertstream::schemas::CheckOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
