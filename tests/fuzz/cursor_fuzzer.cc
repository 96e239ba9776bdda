// A cursor: bytes that were not written by the book are no place; what it reads it would write.
// The first byte says whether the rest is a cursor, or an id to write one of.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/query/cursor.h"
#include "processor/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alertstream;
  static const api::CursorBook book{HmacKey("fuzz")};
  constexpr api::CursorScope kScope{.tenant = "acme", .list = "/api/v1/events"};
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.size() < 2) {
    return 0;
  }
  const bool is_cursor = input.front() % 2 == 0;
  input.remove_prefix(1);
  if (is_cursor) {
    if (const auto key = book.Read(kScope, input)) {
      ALERTSTREAM_CHECK(book.Write(kScope, *key) == input);
    }
    return 0;
  }
  constexpr std::size_t kIdBytesMax = 128;  // Longer ones than any id of ours.
  const read_model::PageKey key{FromMicros(static_cast<std::int64_t>(size) * 1'000'003),
                                std::string(input.substr(0, kIdBytesMax))};
  const std::string cursor = book.Write(kScope, key);
  ALERTSTREAM_CHECK(book.Read(kScope, cursor) == key);
  ALERTSTREAM_CHECK(!book.Read({.tenant = "acme2", .list = kScope.list}, cursor).has_value());
  return 0;
}
