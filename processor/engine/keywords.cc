#include "processor/engine/keywords.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>

#include "processor/engine/templates/utf8.h"

namespace alertstream::engine {
namespace {

struct Word {
  std::string_view folded;
  InboundKeyword keyword;
};

// Folding drops spaces and hyphens: "stopall" is also "STOP ALL", "optout" also "OPT-OUT".
constexpr Word kWords[] = {
    {"stop", InboundKeyword::kStop},        {"stopall", InboundKeyword::kStop},
    {"unsubscribe", InboundKeyword::kStop}, {"cancel", InboundKeyword::kStop},
    {"end", InboundKeyword::kStop},         {"quit", InboundKeyword::kStop},
    {"revoke", InboundKeyword::kStop},      {"optout", InboundKeyword::kStop},
    {"remove", InboundKeyword::kStop},      {"arret", InboundKeyword::kStop},
    {"td", InboundKeyword::kStop},          {"start", InboundKeyword::kStart},
    {"unstop", InboundKeyword::kStart},     {"yes", InboundKeyword::kStartIfOptedOut},
    {"help", InboundKeyword::kHelp},        {"info", InboundKeyword::kHelp},
};

constexpr std::size_t kWordLettersMax = 11;  // "unsubscribe"
static_assert(std::all_of(std::begin(kWords), std::end(kWords), [](const Word& word) {
  return !word.folded.empty() && word.folded.size() <= kWordLettersMax;
}));

// first..last fold to letter, letter + 1, ...
struct FoldRange {
  char32_t first;
  char32_t last;
  char letter;
};

struct SkipRange {
  char32_t first;
  char32_t last;
};

constexpr FoldRange kFolds[] = {
#define KEYWORD_FOLD(first, last, letter) {first, last, letter},
#define KEYWORD_SKIP(first, last)
#include "processor/engine/keyword_fold_table.inc"
#undef KEYWORD_FOLD
#undef KEYWORD_SKIP
};

constexpr SkipRange kSkips[] = {
#define KEYWORD_FOLD(first, last, letter)
#define KEYWORD_SKIP(first, last) {first, last},
#include "processor/engine/keyword_fold_table.inc"
#undef KEYWORD_FOLD
#undef KEYWORD_SKIP
};

// The range of the sorted `table` that holds `code_point`, or nothing.
template <typename Range, std::size_t kSize>
const Range* FindRange(const Range (&table)[kSize], char32_t code_point) {
  const auto* range = std::lower_bound(
      std::begin(table), std::end(table), code_point,
      [](const Range& candidate, char32_t wanted) { return candidate.last < wanted; });
  return range != std::end(table) && range->first <= code_point ? range : nullptr;
}

constexpr char kSkipped = '\0';  // No letter here.
constexpr char kForeign = '?';   // A letter that no word contains.

char FoldAscii(char32_t code_point) {
  if (code_point >= U'A' && code_point <= U'Z') {
    return static_cast<char>(code_point - U'A' + U'a');
  }
  const bool kept =
      (code_point >= U'a' && code_point <= U'z') || (code_point >= U'0' && code_point <= U'9');
  return kept ? static_cast<char>(code_point) : kSkipped;
}

// The lower-case letter or digit that `code_point` folds to, kSkipped or kForeign.
char Fold(char32_t code_point) {
  if (code_point < 0x80) {
    return FoldAscii(code_point);
  }
  if (code_point == kMalformed) {
    return kSkipped;
  }
  if (const auto* fold = FindRange(kFolds, code_point)) {
    return static_cast<char>(fold->letter + static_cast<char>(code_point - fold->first));
  }
  return FindRange(kSkips, code_point) != nullptr ? kSkipped : kForeign;
}

}  // namespace

InboundKeyword ClassifyInbound(std::string_view body) {
  std::array<char, kWordLettersMax> letters{};
  std::size_t count = 0;
  while (!body.empty()) {
    const CodePoint next = FirstCodePoint(body);
    body.remove_prefix(next.bytes);
    const char letter = Fold(next.value);
    if (letter == kSkipped) {
      continue;
    }
    if (letter == kForeign || count == letters.size()) {
      return InboundKeyword::kNone;
    }
    letters[count++] = letter;
  }
  const std::string_view folded(letters.data(), count);
  const auto* word = std::find_if(std::begin(kWords), std::end(kWords),
                                  [folded](const Word& w) { return w.folded == folded; });
  return word == std::end(kWords) ? InboundKeyword::kNone : word->keyword;
}

void AppendKeywordTables(std::string* out) {
  *out += "keyword words 1\n";
  for (const auto& word : kWords) {
    *out += word.folded;
    *out += " " + std::to_string(static_cast<unsigned>(word.keyword)) + "\n";
  }
  *out += "keyword folds 1\n";
  for (const auto& fold : kFolds) {
    *out += std::to_string(static_cast<std::uint32_t>(fold.first)) + " " +
            std::to_string(static_cast<std::uint32_t>(fold.last)) + " " + fold.letter + "\n";
  }
  *out += "keyword skips 1\n";
  for (const auto& skip : kSkips) {
    *out += std::to_string(static_cast<std::uint32_t>(skip.first)) + " " +
            std::to_string(static_cast<std::uint32_t>(skip.last)) + "\n";
  }
}

}  // namespace alertstream::engine
