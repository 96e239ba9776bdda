// "Did you mean": the known word nearest to one that was mistyped. Pure; used wherever people write
// names: rule files, settings, columns.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace alertstream {

// The word of `known` that `word` can be turned into with the fewest insertions, deletions,
// replacements and swaps of neighbours; "" if that takes more than a third of its letters.
std::string_view Nearest(std::string_view word, std::span<const std::string_view> known);

// "; did you mean 'when'?", or "" without a near word.
std::string DidYouMean(std::string_view word, std::span<const std::string_view> known);

}  // namespace alertstream
