// CursorBook: places in lists as text that clients hand back and cannot make: base64url of a
// version, the time, the id, and an HMAC over these, the tenant and the list. Pure, thread-safe.
// Used by every list.
//
// Stored by clients, so the form of version 1 never changes:
//   1 (1 byte), microseconds since 1970 (8 bytes, big-endian), id, first 8 bytes of HMAC-SHA256
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "processor/base/crypto.h"
#include "projections/read_model/page.h"

namespace alertstream::api {

inline constexpr std::size_t kCursorBytesMax = 512;  // As text; ids of ours take about 30.

// Whose list it is: a cursor means nothing in another one.
struct CursorScope {
  std::string_view tenant;
  std::string_view list;  // Its path.
};

class CursorBook {
 public:
  // `deployment_key`: the same in every process that serves the lists; the book's own is made of
  // it.
  explicit CursorBook(const HmacKey& deployment_key);

  std::string Write(const CursorScope& scope, const read_model::PageKey& key) const;
  // Nothing unless Write of the same scope made it.
  std::optional<read_model::PageKey> Read(const CursorScope& scope, std::string_view cursor) const;

 private:
  std::string Seal(const CursorScope& scope, std::string_view place) const;

  HmacKey key_;
};

}  // namespace alertstream::api
