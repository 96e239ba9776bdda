// The lexer of CEL: source text to tokens, one at a time. Pure. Used by the parser only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "processor/base/result.h"
#include "processor/engine/conditions/cel_source.h"

namespace alertstream::engine {

enum class CelTokenKind : std::uint8_t {
  kEnd,
  kIdentifier,
  kInt,
  kDouble,
  kString,
  kTrue,
  kFalse,
  kNull,
  kIn,
  kDot,
  kComma,
  kColon,
  kQuestion,
  kLeftParen,
  kRightParen,
  kLeftBracket,
  kRightBracket,
  kLeftBrace,
  kRightBrace,
  kNot,
  kMinus,
  kPlus,
  kStar,
  kSlash,
  kPercent,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kAnd,
  kOr,
};

struct CelToken {
  CelTokenKind kind = CelTokenKind::kEnd;
  CelSpan span;
  std::string text;                 // The decoded string.
  std::uint64_t int_magnitude = 0;  // At most 2^63: a minus before it is the parser's.
  double double_value = 0;
};

// "string", "identifier 'foo'", "'&&'", "the end": what error messages call a token. Identifiers
// are cut at 40 bytes.
std::string CelTokenName(std::string_view source, const CelToken& token);

class CelLexer {
 public:
  // REQUIRES: `source` is UTF-8 of at most 4 GiB and outlives the lexer.
  explicit CelLexer(std::string_view source) : source_(source) {}

  // kEnd for ever after the last token. kInvalid: characters that start no token, malformed numbers
  // and strings, and what CEL has but this subset does not (unsigned ints, bytes).
  Result<CelToken> Next();

 private:
  char Peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }
  void SkipSpaceAndComments();
  CelToken Finish(CelTokenKind kind, std::size_t begin) const;
  Error ErrorAt(std::size_t offset, std::string_view what) const {
    return CelErrorAt(source_, offset, what);
  }
  Result<CelToken> Word();
  Result<CelToken> Number();
  Result<CelToken> String(bool raw);
  Result<CelToken> Operator();
  // Appends what the escape at the backslash stands for and steps over it.
  Status Escape(std::string* text);
  Status CodePointEscape(std::size_t prefix_bytes, std::size_t digits, int base, std::string* text);

  std::string_view source_;
  std::size_t at_ = 0;
};

}  // namespace alertstream::engine
