#include "api/http/request_id.h"

#include <algorithm>
#include <array>

#include "processor/base/crypto.h"

namespace alertstream::http {
namespace {

constexpr unsigned kProcessBits = 42;  // What the counter leaves of the 74 free bits.

}  // namespace

bool IsRequestId(std::string_view text) {
  return !text.empty() && text.size() <= kRequestIdBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

RequestIds::RequestIds(const Clock& clock) : clock_(clock) {
  for (const char c : RandomBytes(sizeof(process_))) {
    process_ = process_ << 8U | static_cast<unsigned char>(c);
  }
  process_ &= (std::uint64_t{1} << kProcessBits) - 1;
}

std::string RequestIds::Next() {
  const auto milliseconds = static_cast<std::uint64_t>(ToMicros(clock_.Now()) / 1000);
  const std::uint64_t count = counter_.fetch_add(1, std::memory_order_relaxed);
  // 48 bits of time, 4 of version, 12 of the counter; 2 of variant, 20 of the counter, 42 others.
  const std::uint64_t high = milliseconds << 16U | 0x7000U | count >> 20U;
  const std::uint64_t low = std::uint64_t{2} << 62U | (count & 0xFFFFFU) << kProcessBits | process_;
  constexpr std::string_view kHex = "0123456789abcdef";
  constexpr std::array<std::size_t, 4> kDashes = {8, 13, 18, 23};
  std::string text(36, '-');
  std::size_t at = 0;
  for (const std::uint64_t half : {high, low}) {
    for (unsigned shift = 64; shift > 0; shift -= 4) {
      if (std::find(kDashes.begin(), kDashes.end(), at) != kDashes.end()) {
        ++at;
      }
      text[at++] = kHex[half >> (shift - 4) & 15U];
    }
  }
  return text;
}

}  // namespace alertstream::http
