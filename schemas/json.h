// The JSON profile of event data (frozen): one decoder, used at the edge and in the fold.
//
// RFC 8259 with these rules: UTF-8 only; duplicate members, U+0000 in a string, lone surrogates,
// depth over kJsonDepthMax and bytes after the value are refused; an integral literal within int64
// is an int, every other number a double (one whose magnitude overflows a double is refused).
// Members keep their order. Pure; a JsonDocument belongs to one thread, is reusable, and allocates
// nothing once its buffers have grown to the size of the records it sees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"

namespace alertstream::schemas {

// The verdict on a record is stored in history, so none of these may ever change. A container at
// the root has depth 1. The bytes are twice what the largest record, a dead letter of 2 MiB, can
// hold; the values (a container counts as one) bound what a record of brackets alone costs in
// memory.
inline constexpr std::size_t kJsonDepthMax = 32;
inline constexpr std::size_t kJsonBytesMax = 4 << 20;
inline constexpr std::size_t kJsonNodesMax = 200'000;

enum class JsonType : std::uint8_t { kNull, kBool, kInt, kDouble, kString, kArray, kObject };

class JsonDocument;

// A value inside a JsonDocument: two words, copied freely, valid until the document's next Parse.
class JsonValue {
 public:
  JsonType type() const;

  // REQUIRES: the matching type.
  bool AsBool() const;
  std::int64_t AsInt() const;
  double AsDouble() const;
  std::string_view AsString() const;

  // Elements of an array, members of an object; 0 for everything else.
  std::size_t size() const;
  // The value of member `name`; nothing if there is none or this is no object.
  std::optional<JsonValue> Find(std::string_view name) const;
  // The value at a dotted path below this one ("data.customer.phone"); member names only, so a
  // member whose own name holds a dot is out of reach.
  std::optional<JsonValue> FindPath(std::string_view dotted_path) const;

  // Iteration in document order: `for (auto c = v.first_child(); c; c = c->next_sibling())`.
  std::optional<JsonValue> first_child() const;
  std::optional<JsonValue> next_sibling() const;
  // The member name of a value that is a member of an object, else "".
  std::string_view name() const;

 private:
  friend class JsonDocument;
  JsonValue(const JsonDocument* document, std::uint32_t node) : document_(document), node_(node) {}
  const JsonDocument* document_;
  std::uint32_t node_;
};

class JsonDocument {
 public:
  JsonDocument();
  ~JsonDocument();
  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;

  // Replaces what the document held. `bytes` is copied and may not lie in this document. kInvalid
  // names the rule that was broken and the byte offset; a member is named by JSON pointer (RFC
  // 6901) where one is known. The message holds member names at most, never a value. A fault of
  // single bytes (UTF-8, control characters, an unclosed string) is named before any other.
  Status Parse(std::string_view bytes);

  // REQUIRES: the last Parse returned ok.
  JsonValue root() const;

 private:
  friend class JsonValue;
  struct Node;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// `value` as compact JSON: members in document order, doubles in their shortest round-trip form,
// strings with the escapes RFC 8259 requires and no others. A double keeps a fraction or an
// exponent, so that it is read back as a double: Parse of the result gives the same text again.
void AppendJson(JsonValue value, std::string* out);

// `text`, which is UTF-8, as a quoted JSON string.
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace alertstream::schemas
