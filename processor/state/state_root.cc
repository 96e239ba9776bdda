#include "processor/state/state_root.h"

#include <array>
#include <cstring>

#include <xxhash.h>

namespace alertstream::state {
namespace {

void StoreLittleEndian64(std::uint64_t value, char* bytes) {
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(value >> (8 * i));
  }
}

std::uint64_t LoadLittleEndian64(const char* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) {
    value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

}  // namespace

void StateRoot::Add(const StateRoot& other) {
  low += other.low;
  high += other.high + (low < other.low ? 1 : 0);
}

void StateRoot::Subtract(const StateRoot& other) {
  const bool borrow = low < other.low;
  low -= other.low;
  high -= other.high + (borrow ? 1 : 0);
}

std::string StateRoot::ToBytes() const {
  std::string bytes(16, '\0');
  StoreLittleEndian64(low, bytes.data());
  StoreLittleEndian64(high, bytes.data() + 8);
  return bytes;
}

std::optional<StateRoot> StateRoot::FromBytes(std::string_view bytes) {
  if (bytes.size() != 16) {
    return std::nullopt;
  }
  return StateRoot{LoadLittleEndian64(bytes.data()), LoadLittleEndian64(bytes.data() + 8)};
}

StateRoot StateRoot::OfEntry(std::string_view key, std::string_view value) {
  // Most entries are short: one contiguous buffer beats the streaming interface.
  std::array<char, 512> small;
  const std::size_t size = 4 + key.size() + value.size();
  std::string large;
  char* bytes = small.data();
  if (size > small.size()) {
    large.resize(size);
    bytes = large.data();
  }
  for (int i = 0; i < 4; ++i) {
    bytes[i] = static_cast<char>(key.size() >> (8 * i));
  }
  std::memcpy(bytes + 4, key.data(), key.size());
  std::memcpy(bytes + 4 + key.size(), value.data(), value.size());
  const XXH128_hash_t hash = XXH3_128bits(bytes, size);
  return StateRoot{hash.low64, hash.high64};
}

}  // namespace alertstream::state
