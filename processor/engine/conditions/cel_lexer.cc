#include "processor/engine/conditions/cel_lexer.h"

#include <fmt/format.h>

#include <charconv>
#include <system_error>
#include <utility>

#include "processor/engine/templates/utf8.h"

namespace alertstream::engine {
namespace {

constexpr std::size_t kNameBytesShown = 40;  // Enough to recognise it; keeps messages short.

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool IsOctalDigit(char c) { return c >= '0' && c <= '7'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

void AppendUtf8(std::uint32_t code_point, std::string* text) {
  const auto append = [text](std::uint32_t byte) { text->push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    append(code_point);
  } else if (code_point < 0x800) {
    append(0xC0 | code_point >> 6);
    append(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    append(0xE0 | code_point >> 12);
    append(0x80 | (code_point >> 6 & 0x3F));
    append(0x80 | (code_point & 0x3F));
  } else {
    append(0xF0 | code_point >> 18);
    append(0x80 | (code_point >> 12 & 0x3F));
    append(0x80 | (code_point >> 6 & 0x3F));
    append(0x80 | (code_point & 0x3F));
  }
}

// What a one-letter escape stands for; 0 if the letter makes none.
char SimpleEscape(char letter) {
  constexpr std::string_view kLetters = "abfnrtv\\?\"'`";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\?\"'`";
  static_assert(kLetters.size() == kMeanings.size());
  const std::size_t at = kLetters.find(letter);
  return at == std::string_view::npos ? '\0' : kMeanings[at];
}

struct Spelling {
  std::string_view text;
  CelTokenKind kind;
};

// Longer spellings come before those they begin with.
constexpr Spelling kOperators[] = {
    {"==", CelTokenKind::kEqual},       {"!=", CelTokenKind::kNotEqual},
    {"<=", CelTokenKind::kLessEqual},   {">=", CelTokenKind::kGreaterEqual},
    {"&&", CelTokenKind::kAnd},         {"||", CelTokenKind::kOr},
    {"<", CelTokenKind::kLess},         {">", CelTokenKind::kGreater},
    {"!", CelTokenKind::kNot},          {".", CelTokenKind::kDot},
    {",", CelTokenKind::kComma},        {":", CelTokenKind::kColon},
    {"?", CelTokenKind::kQuestion},     {"(", CelTokenKind::kLeftParen},
    {")", CelTokenKind::kRightParen},   {"[", CelTokenKind::kLeftBracket},
    {"]", CelTokenKind::kRightBracket}, {"{", CelTokenKind::kLeftBrace},
    {"}", CelTokenKind::kRightBrace},   {"-", CelTokenKind::kMinus},
    {"+", CelTokenKind::kPlus},         {"*", CelTokenKind::kStar},
    {"/", CelTokenKind::kSlash},        {"%", CelTokenKind::kPercent},
};

constexpr Spelling kKeywords[] = {
    {"true", CelTokenKind::kTrue},
    {"false", CelTokenKind::kFalse},
    {"null", CelTokenKind::kNull},
    {"in", CelTokenKind::kIn},
};

}  // namespace

std::string CelTokenName(std::string_view source, const CelToken& token) {
  if (token.kind == CelTokenKind::kEnd) {
    return "the end";
  }
  if (token.kind == CelTokenKind::kString) {
    return "a string";
  }
  if (token.kind == CelTokenKind::kInt || token.kind == CelTokenKind::kDouble) {
    return "a number";
  }
  std::string_view text = source.substr(token.span.begin, token.span.end - token.span.begin);
  return fmt::format("'{}'", text.substr(0, kNameBytesShown));
}

Result<CelToken> CelLexer::Next() {
  SkipSpaceAndComments();
  if (at_ == source_.size()) {
    return Finish(CelTokenKind::kEnd, at_);
  }
  const char c = Peek();
  if (c == '"' || c == '\'') {
    return String(/*raw=*/false);
  }
  if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) {
    return Number();
  }
  if (IsNameStart(c)) {
    return Word();
  }
  return Operator();
}

void CelLexer::SkipSpaceAndComments() {
  while (at_ < source_.size()) {
    const char c = source_[at_];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
      ++at_;
    } else if (c == '/' && Peek(1) == '/') {
      const std::size_t newline = source_.find('\n', at_);
      at_ = newline == std::string_view::npos ? source_.size() : newline;
    } else {
      return;
    }
  }
}

CelToken CelLexer::Finish(CelTokenKind kind, std::size_t begin) const {
  CelToken token;
  token.kind = kind;
  token.span = {.begin = static_cast<std::uint32_t>(begin), .end = static_cast<std::uint32_t>(at_)};
  return token;
}

Result<CelToken> CelLexer::Word() {
  const std::size_t begin = at_;
  while (IsNamePart(Peek())) {
    ++at_;
  }
  const std::string_view word = source_.substr(begin, at_ - begin);
  if (Peek() == '"' || Peek() == '\'') {
    if (word == "r" || word == "R") {
      at_ = begin;
      return String(/*raw=*/true);
    }
    if (word.size() <= 2 && word.find_first_not_of("rRbB") == std::string_view::npos) {
      return ErrorAt(begin, "bytes literals are not supported, expected a string");
    }
  }
  for (const auto& keyword : kKeywords) {
    if (word == keyword.text) {
      return Finish(keyword.kind, begin);
    }
  }
  return Finish(CelTokenKind::kIdentifier, begin);
}

Result<CelToken> CelLexer::Number() {
  const std::size_t begin = at_;
  const auto skip_digits = [this] {
    while (IsDigit(Peek())) {
      ++at_;
    }
  };
  const bool hex = Peek() == '0' && (Peek(1) == 'x' || Peek(1) == 'X') && IsHexDigit(Peek(2));
  bool fractional = false;
  if (hex) {
    at_ += 2;
    while (IsHexDigit(Peek())) {
      ++at_;
    }
  } else {
    skip_digits();
    if (Peek() == '.' && IsDigit(Peek(1))) {
      fractional = true;
      ++at_;
      skip_digits();
    }
    const std::size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
    if ((Peek() == 'e' || Peek() == 'E') && IsDigit(Peek(1 + sign))) {
      fractional = true;
      at_ += 1 + sign;
      skip_digits();
    }
  }
  if ((Peek() == 'u' || Peek() == 'U') && !fractional && !IsNamePart(Peek(1))) {
    return ErrorAt(at_, "unsigned ints are not supported, expected the number without its suffix");
  }
  if (IsNamePart(Peek())) {
    return ErrorAt(at_, fmt::format("expected the end of the number, found '{}'", Peek()));
  }
  CelToken token = Finish(fractional ? CelTokenKind::kDouble : CelTokenKind::kInt, begin);
  const char* first = source_.data() + begin + (hex ? 2 : 0);
  const char* last = source_.data() + at_;
  constexpr std::uint64_t kMagnitudeMax = std::uint64_t{1} << 63;
  const std::from_chars_result parsed =
      fractional ? std::from_chars(first, last, token.double_value)
                 : std::from_chars(first, last, token.int_magnitude, hex ? 16 : 10);
  if (parsed.ec != std::errc{} || parsed.ptr != last || token.int_magnitude > kMagnitudeMax) {
    return ErrorAt(begin, fractional ? "expected a double, found a number outside its range"
                                     : "expected an int of 64 bits, found a number outside its "
                                       "range");
  }
  return token;
}

Result<CelToken> CelLexer::String(bool raw) {
  const std::size_t begin = at_;
  at_ += raw ? 1 : 0;
  const char quote = Peek();
  const bool triple = Peek(1) == quote && Peek(2) == quote;
  const std::string closing(triple ? 3 : 1, quote);
  at_ += closing.size();
  std::string text;
  while (!source_.substr(at_).starts_with(closing)) {
    if (at_ == source_.size()) {
      return ErrorAt(begin,
                     fmt::format("expected a string that ends with {}, found the end", closing));
    }
    const char c = source_[at_];
    if (!triple && (c == '\n' || c == '\r')) {
      return ErrorAt(at_, fmt::format("expected {} before the end of the line", closing));
    }
    if (c == '\\' && !raw) {
      ALERTSTREAM_RETURN_IF_ERROR(Escape(&text));
    } else {
      text.push_back(c);
      ++at_;
    }
  }
  at_ += closing.size();
  CelToken token = Finish(CelTokenKind::kString, begin);
  token.text = std::move(text);
  return token;
}

Status CelLexer::Escape(std::string* text) {
  const char letter = Peek(1);
  if (letter == 'x' || letter == 'X') {
    return CodePointEscape(2, 2, 16, text);
  }
  if (letter == 'u') {
    return CodePointEscape(2, 4, 16, text);
  }
  if (letter == 'U') {
    return CodePointEscape(2, 8, 16, text);
  }
  if (letter >= '0' && letter <= '3') {
    return CodePointEscape(1, 3, 8, text);
  }
  const char meaning = SimpleEscape(letter);
  if (meaning == '\0') {
    return ErrorAt(at_, "expected an escape sequence of CEL, found another character after '\\'");
  }
  text->push_back(meaning);
  at_ += 2;
  return Status::Ok();
}

Status CelLexer::CodePointEscape(std::size_t prefix_bytes, std::size_t digits, int base,
                                 std::string* text) {
  for (std::size_t i = 0; i < digits; ++i) {
    const char digit = Peek(prefix_bytes + i);
    if (base == 16 ? !IsHexDigit(digit) : !IsOctalDigit(digit)) {
      return ErrorAt(at_, fmt::format("expected {} {} digits in the escape sequence", digits,
                                      base == 16 ? "hexadecimal" : "octal"));
    }
  }
  std::uint32_t code_point = 0;
  const char* first = source_.data() + at_ + prefix_bytes;
  const auto parsed = std::from_chars(first, first + digits, code_point, base);
  if (parsed.ec != std::errc{} || code_point > 0x10FFFF ||
      (code_point >= 0xD800 && code_point <= 0xDFFF)) {
    return ErrorAt(at_,
                   "expected a Unicode code point in the escape sequence, found a number that "
                   "is none");
  }
  AppendUtf8(code_point, text);
  at_ += prefix_bytes + digits;
  return Status::Ok();
}

Result<CelToken> CelLexer::Operator() {
  const std::size_t begin = at_;
  const std::string_view rest = source_.substr(at_);
  for (const auto& spelling : kOperators) {
    if (rest.starts_with(spelling.text)) {
      at_ += spelling.text.size();
      return Finish(spelling.kind, begin);
    }
  }
  if (rest.front() == '=' || rest.front() == '&' || rest.front() == '|') {
    return ErrorAt(begin, fmt::format("expected '{0}{0}', found '{0}'", rest.front()));
  }
  if (rest.front() == '`') {
    return ErrorAt(begin, "quoted names are not supported, expected [\"name\"]");
  }
  const std::uint32_t code_point = FirstCodePoint(rest).value;
  return ErrorAt(begin, code_point > 0x20 && code_point < 0x7F
                            ? fmt::format("expected an expression, found '{}'", rest.front())
                            : fmt::format("expected an expression, found U+{:04X}", code_point));
}

}  // namespace alertstream::engine
