// Reply keywords: whether an inbound message as a whole says STOP, START or HELP. Pure; the words
// and the folding are pinned tables. Used by the fold for every inbound message, before anything
// else may read it.
//
// The message is folded first: case, accents, full-width and other compatibility forms become plain
// letters; spaces, punctuation, symbols, emoji, invisible characters and malformed bytes go. What
// is left must be one of the words: "S.T.O.P", "stop!", "Opt-Out" and "stop all" match; "please
// stop" and "stopp" do not (free text is another detector's work).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace alertstream::engine {

enum class InboundKeyword : std::uint8_t {
  kNone,
  kStop,   // Revokes consent (47 CFR 64.1200(a)(10) per-se words and those carriers honour).
  kStart,  // Opts in again.
  kStartIfOptedOut,  // "YES": as kStart, but only from somebody who is opted out; else an answer.
  kHelp,             // Must be answered whatever the state of the subscription.
};

// The keyword that `body` is. `body` may be any bytes.
InboundKeyword ClassifyInbound(std::string_view body);

// Words and folding tables in a fixed textual form, for TablesHash (tables.h).
void AppendKeywordTables(std::string* out);

}  // namespace alertstream::engine
