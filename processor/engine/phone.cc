#include "processor/engine/phone.h"

#include <algorithm>
#include <iterator>

namespace alertstream::engine {
namespace {

struct CodeRow {
  std::uint16_t code;
  std::uint16_t length_bits;  // Bit n: a national number of n digits exists.
  std::string_view region;
};

constexpr CodeRow kCodes[] = {
#include "processor/engine/phone_table.inc"
};

static_assert(std::is_sorted(std::begin(kCodes), std::end(kCodes),
                             [](const CodeRow& a, const CodeRow& b) { return a.code < b.code; }));

constexpr std::size_t kCodeDigitsMax = 3;
constexpr std::string_view kNoBreakSpace = "\xC2\xA0";

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }

constexpr bool IsSeparator(char c) {
  return c == ' ' || c == '-' || c == '.' || c == '(' || c == ')' || c == '/';
}

// How many bytes of separator `text` begins with: 0, 1, or 2 for a no-break space.
std::size_t SeparatorBytes(std::string_view text) {
  if (text.starts_with(kNoBreakSpace)) {
    return kNoBreakSpace.size();
  }
  return !text.empty() && IsSeparator(text.front()) ? 1 : 0;
}

Error Invalid(std::string reason) {
  return Error(ErrorCode::kInvalid, "telephone number: " + std::move(reason));
}

// Row of the calling code that `digits` begins with. Calling codes are prefix-free.
const CodeRow* FindCode(std::string_view digits) {
  std::uint16_t code = 0;
  for (std::size_t i = 0; i < std::min(digits.size(), kCodeDigitsMax); ++i) {
    code = static_cast<std::uint16_t>(code * 10 + (digits[i] - '0'));
    const auto* row = std::lower_bound(
        std::begin(kCodes), std::end(kCodes), code,
        [](const CodeRow& candidate, std::uint16_t wanted) { return candidate.code < wanted; });
    if (row != std::end(kCodes) && row->code == code) {
      return row;
    }
  }
  return nullptr;
}

// "9", "7 to 10", "7, 8 or 10".
std::string LengthsText(std::uint16_t bits) {
  std::string text;
  for (unsigned first = 1; first <= kPhoneDigitsMax; ++first) {
    if ((bits >> first & 1U) == 0) {
      continue;
    }
    unsigned last = first;
    while (last < kPhoneDigitsMax && (bits >> (last + 1) & 1U) != 0) {
      ++last;
    }
    if (last == first + 1) {
      last = first;  // "9 or 10" reads better than "9 to 10".
    }
    if (!text.empty()) {
      text += bits >> (last + 1) == 0 ? " or " : ", ";
    }
    text += std::to_string(first);
    if (last != first) {
      text += " to " + std::to_string(last);
    }
    first = last;
  }
  return text;
}

// The digits after + or 00, or what `raw` breaks.
Result<std::string> InternationalDigits(std::string_view raw) {
  if (raw.size() > kPhoneTextBytesMax) {
    return Invalid("longer than " + std::to_string(kPhoneTextBytesMax) + " bytes");
  }
  std::string_view rest = raw;
  while (const std::size_t bytes = SeparatorBytes(rest)) {
    rest.remove_prefix(bytes);
  }
  if (rest.empty()) {
    return Invalid("empty");
  }
  if (rest.starts_with('+')) {
    rest.remove_prefix(1);
  } else if (rest.starts_with("00")) {
    rest.remove_prefix(2);
  } else if (IsDigit(rest.front())) {
    return Invalid("no country code: numbers must begin with + or 00");
  }
  std::string digits;
  std::size_t opened_at = std::string::npos;  // Digits before the last "(".
  while (!rest.empty()) {
    if (IsDigit(rest.front())) {
      digits += rest.front();
      rest.remove_prefix(1);
      continue;
    }
    const std::size_t bytes = SeparatorBytes(rest);
    if (bytes == 0) {
      return Invalid("contains a character that is none of digits, space, -, ., (, ), /");
    }
    if (rest.front() == '(') {
      opened_at = digits.size();
    }
    if (rest.front() == ')' && opened_at < digits.size() && digits.substr(opened_at) == "0") {
      return Invalid("contains a national (0): write the number without it");
    }
    rest.remove_prefix(bytes);
  }
  return digits;
}

}  // namespace

Result<std::string> NormalizePhone(std::string_view raw) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string digits, InternationalDigits(raw));
  if (digits.size() > kPhoneDigitsMax) {
    return Invalid("more than " + std::to_string(kPhoneDigitsMax) + " digits");
  }
  const CodeRow* row = FindCode(digits);
  if (row == nullptr) {
    return Invalid("begins with no known country code");
  }
  const std::string code = std::to_string(row->code);
  const std::size_t national = digits.size() - code.size();
  if ((row->length_bits >> national & 1U) == 0) {
    return Invalid("country code +" + code + " expects " + LengthsText(row->length_bits) +
                   " digits, found " + std::to_string(national));
  }
  return "+" + digits;
}

std::optional<PhoneCountry> FindPhoneCountry(std::string_view e164) {
  if (!e164.starts_with('+')) {
    return std::nullopt;
  }
  e164.remove_prefix(1);
  const std::string_view head = e164.substr(0, kCodeDigitsMax);
  if (!std::all_of(head.begin(), head.end(), IsDigit)) {
    return std::nullopt;
  }
  const CodeRow* row = FindCode(head);
  if (row == nullptr) {
    return std::nullopt;
  }
  return PhoneCountry{.code = row->code, .region = row->region};
}

std::string_view PhoneRegion(std::string_view e164) {
  const auto country = FindPhoneCountry(e164);
  return country ? country->region : std::string_view();
}

void AppendPhoneTable(std::string* out) {
  *out += "phone 1\n";
  for (const auto& row : kCodes) {
    *out += std::to_string(row.code) + " " + std::to_string(row.length_bits) + " ";
    *out += row.region;
    *out += "\n";
  }
}

}  // namespace alertstream::engine
