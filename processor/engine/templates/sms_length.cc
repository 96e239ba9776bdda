#include "processor/engine/templates/sms_length.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "processor/engine/templates/utf8.h"

namespace alertstream::engine {
namespace {

// 3GPP TS 23.038, 6.2.1, in the order of the alphabet; 0x1B is the escape to the extension table.
constexpr char32_t kEscape = 0x1B;
constexpr std::u32string_view kBasic =
    U"@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1BÆæßÉ"
    U" !\"#¤%&'()*+,-./0123456789:;<=>?"
    U"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
static_assert(kBasic.size() == 128 && kBasic[kEscape] == kEscape);

// 6.2.1.1, in the order of the extension table.
constexpr std::u32string_view kExtension = U"\f^{}\\[~]|€";

constexpr std::uint32_t SearchGsm7(char32_t code_point) {
  if (code_point == kEscape) {
    return 0;
  }
  if (kBasic.find(code_point) != kBasic.npos) {
    return 1;
  }
  return kExtension.find(code_point) != kExtension.npos ? 2 : 0;
}

// SearchGsm7 of the ASCII characters, which most texts consist of.
constexpr auto kAsciiUnits = [] {
  std::array<std::uint8_t, 128> units{};
  for (char32_t c = 0; c < units.size(); ++c) {
    units[c] = static_cast<std::uint8_t>(SearchGsm7(c));
  }
  return units;
}();

// Septets that `code_point` takes, 0 if GSM-7 has no such character.
std::uint32_t Gsm7Units(char32_t code_point) {
  return code_point < kAsciiUnits.size() ? kAsciiUnits[code_point] : SearchGsm7(code_point);
}

std::uint32_t Ucs2Units(char32_t code_point) { return code_point > 0xFFFF ? 2 : 1; }

// Counts units, and the segments that a text of several needs.
class Counter {
 public:
  Counter(std::uint32_t single_max, std::uint32_t part_max)
      : single_max_(single_max), part_max_(part_max) {}

  void Add(std::uint32_t units) {
    total_ += units;
    if (part_ + units > part_max_) {
      ++parts_;
      part_ = 0;
    }
    part_ += units;
  }

  std::uint32_t total() const { return total_; }
  std::uint32_t segments() const {
    if (total_ == 0) {
      return 0;
    }
    return total_ <= single_max_ ? 1 : parts_;
  }

 private:
  std::uint32_t single_max_;
  std::uint32_t part_max_;
  std::uint32_t total_ = 0;
  std::uint32_t parts_ = 1;
  std::uint32_t part_ = 0;  // Units in the last part.
};

}  // namespace

Result<SmsLength> MeasureSms(std::string_view text) {
  Counter gsm7(kGsm7SingleUnitsMax, kGsm7PartUnitsMax);
  Counter ucs2(kUcs2SingleUnitsMax, kUcs2PartUnitsMax);
  bool is_gsm7 = true;
  while (!text.empty()) {
    const CodePoint next = FirstCodePoint(text);
    if (next.value == kMalformed) {
      return Error(ErrorCode::kInvalid, "sms: the text is not valid UTF-8");
    }
    text.remove_prefix(next.bytes);
    ucs2.Add(Ucs2Units(next.value));
    if (is_gsm7) {
      const std::uint32_t units = Gsm7Units(next.value);
      gsm7.Add(units);
      is_gsm7 = units != 0;
    }
  }
  const Counter& counter = is_gsm7 ? gsm7 : ucs2;
  return SmsLength{.encoding = is_gsm7 ? SmsEncoding::kGsm7 : SmsEncoding::kUcs2,
                   .units = counter.total(),
                   .segments = counter.segments()};
}

void AppendGsm7Table(std::string* out) {
  *out += "gsm7 basic 1\n";
  for (const char32_t code_point : kBasic) {
    *out += std::to_string(static_cast<std::uint32_t>(code_point)) + "\n";
  }
  *out += "gsm7 extension 1\n";
  for (const char32_t code_point : kExtension) {
    *out += std::to_string(static_cast<std::uint32_t>(code_point)) + "\n";
  }
}

}  // namespace alertstream::engine
