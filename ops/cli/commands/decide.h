// `decide` and `events import`: appends events, waits until they are decided, and prints what was
// decided about each. Library functions over the ports of a session.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>

#include "ops/cli/commands/session.h"

namespace alertstream::cli {

// Events that may be appended and not yet decided: bounds the memory of a run over a large file.
inline constexpr std::size_t kUndecidedMax = 20'000;
// Rows of the tables for people; everything is in the totals and in -o jsonl.
inline constexpr std::size_t kDecideRowsMax = 500;
// Bad lines that are described one by one; all are counted.
inline constexpr std::size_t kBadLinesShownMax = 100;

struct DecideOptions {
  std::istream& events;
  std::string file;             // The name of `events` in messages.
  std::string tenant = {};      // Of events that name none.
  bool print_decisions = true;  // False: totals alone (`events import`).
  std::size_t rows_max = kDecideRowsMax;
};

// kPartly if a line or an event was refused; the others are decided. Prints the decisions in the
// order of the lines: tables and totals as text, one object {"events","totals"} as json, one object
// a decision record as jsonl (DecisionRecordJson; a refused event has "dead_letter").
Result<ExitCode> Decide(const Session& session, const DecideOptions& options);

}  // namespace alertstream::cli
