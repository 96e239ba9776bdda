#include "schemas/text.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace alertstream::schemas {
namespace {

enum CharacterBits : std::uint8_t {
  kEventTypeBit = 1,
  kEntityIdBit = 2,
  kSiteIdBit = 4,
  kLowerHexBit = 8,
};

constexpr std::array<std::uint8_t, 256> MakeTable() {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t c = 'a'; c <= 'z'; ++c) {
    table[c] = kEventTypeBit | kEntityIdBit | kSiteIdBit | (c <= 'f' ? kLowerHexBit : 0);
    table[c - 'a' + 'A'] = kEventTypeBit | kSiteIdBit;
  }
  for (std::size_t c = '0'; c <= '9'; ++c) {
    table[c] = kEventTypeBit | kEntityIdBit | kSiteIdBit | kLowerHexBit;
  }
  table['_'] = kEventTypeBit | kEntityIdBit | kSiteIdBit;
  table['-'] = kEventTypeBit | kEntityIdBit | kSiteIdBit;
  table['.'] = kEventTypeBit | kSiteIdBit;
  table[':'] = kEventTypeBit;
  table['/'] = kEventTypeBit;
  return table;
}

constexpr std::array<std::uint8_t, 256> kTable = MakeTable();

bool AllAre(std::string_view text, std::uint8_t bit) {
  std::uint8_t all = bit;
  for (const char c : text) {
    all &= kTable[static_cast<unsigned char>(c)];
  }
  return all != 0;
}

// Not 0 if one of the eight bytes is below 0x20 or 0x7f; event records have hundreds of them.
constexpr std::uint64_t ControlsIn(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kHighBits = 0x80 * kOnes;
  const std::uint64_t del = word ^ (0x7f * kOnes);
  return (((word - 0x20 * kOnes) & ~word) | ((del - kOnes) & ~del)) & kHighBits;
}

constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool IsContinuation(unsigned char c) { return (c & 0xc0) == 0x80; }

// The length of the well-formed sequence at `i`, 0 if there is none.
std::size_t SequenceAt(std::string_view bytes, std::size_t i) {
  const auto at = [bytes](std::size_t k) { return static_cast<unsigned char>(bytes[k]); };
  const unsigned char lead = at(i);
  const std::size_t left = bytes.size() - i;
  if (lead < 0x80) {
    return 1;
  }
  if (lead >= 0xc2 && lead <= 0xdf) {
    return left >= 2 && IsContinuation(at(i + 1)) ? 2 : 0;
  }
  if (lead >= 0xe0 && lead <= 0xef) {
    if (left < 3 || !IsContinuation(at(i + 1)) || !IsContinuation(at(i + 2))) {
      return 0;
    }
    const bool overlong = lead == 0xe0 && at(i + 1) < 0xa0;
    const bool surrogate = lead == 0xed && at(i + 1) >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (left < 4 || !IsContinuation(at(i + 1)) || !IsContinuation(at(i + 2)) ||
        !IsContinuation(at(i + 3))) {
      return 0;
    }
    const bool overlong = lead == 0xf0 && at(i + 1) < 0x90;
    const bool too_high = lead == 0xf4 && at(i + 1) >= 0x90;
    return overlong || too_high ? 0 : 4;
  }
  return 0;
}

}  // namespace

bool IsEventType(std::string_view text) { return !text.empty() && AllAre(text, kEventTypeBit); }

bool IsEntityId(std::string_view text) { return !text.empty() && AllAre(text, kEntityIdBit); }

bool IsSiteId(std::string_view text) { return !text.empty() && AllAre(text, kSiteIdBit); }

bool HasNoControls(std::string_view text) {
  std::size_t i = 0;
  std::uint64_t found = 0;
  for (; i + sizeof(std::uint64_t) <= text.size(); i += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, sizeof(word));
    found |= ControlsIn(word);
  }
  for (; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    found |= byte < 0x20 || byte == 0x7f ? 1 : 0;
  }
  return found == 0;
}

bool HasNoNul(std::string_view text) { return text.find('\0') == std::string_view::npos; }

bool IsUtf8(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    const std::size_t length = SequenceAt(bytes, i);
    if (length == 0) {
      return false;
    }
    i += length;
  }
  return true;
}

bool IsTraceparent(std::string_view text) {
  constexpr std::size_t kSize = 55;  // 00-<32 hex>-<16 hex>-<2 hex>
  if (text.size() != kSize || text.substr(0, 3) != "00-" || text[35] != '-' || text[52] != '-') {
    return false;
  }
  const std::string_view trace = text.substr(3, 32);
  const std::string_view parent = text.substr(36, 16);
  return AllAre(trace, kLowerHexBit) && AllAre(parent, kLowerHexBit) &&
         AllAre(text.substr(53), kLowerHexBit) &&
         trace.find_first_not_of('0') != std::string_view::npos &&
         parent.find_first_not_of('0') != std::string_view::npos;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && StartsWithIgnoringCase(a, b);
}

bool StartsWithIgnoringCase(std::string_view text, std::string_view prefix) {
  if (text.size() < prefix.size()) {
    return false;
  }
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    if (Lower(text[i]) != Lower(prefix[i])) {
      return false;
    }
  }
  return true;
}

}  // namespace alertstream::schemas
