// StateRoot: a digest of a whole state that is cheap to keep up to date: the sum mod 2^128 of a
// hash of every live entry. Stored in every journal record. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace alertstream::state {

// A number mod 2^128, as stored in journal records: 16 bytes, little endian.
struct StateRoot {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  void Add(const StateRoot& other);
  void Subtract(const StateRoot& other);
  std::string ToBytes() const;
  // Nothing unless `bytes` is 16 long.
  static std::optional<StateRoot> FromBytes(std::string_view bytes);
  // XXH3-128 of the key's length (4 bytes, little endian), the key and the value.
  static StateRoot OfEntry(std::string_view key, std::string_view value);

  friend bool operator==(const StateRoot&, const StateRoot&) = default;
};

}  // namespace alertstream::state
