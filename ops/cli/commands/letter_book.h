// The dead letters of the log with what was done about them: read from dead-letters and facts
// through the journal, chosen by filters. Library functions over the ports of a session; used by
// the dlq commands.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ops/cli/commands/session.h"
#include "schemas/output.pb.h"

namespace alertstream::cli {

struct Letter {
  v1::DeadLetter letter;  // Without its original, of which there may be many megabytes.
  v1::DeadLetterFact state;
  bool has_original = false;
  // It was purged, or one that it is a retry of, or a retry of it: its bytes are shown to nobody.
  bool is_forgotten = false;
  // Of the batch that left it. A letter may come again, with the same id: then it is open again.
  std::uint64_t seq = 0;

  v1::DeadLetterStatus status() const;
};

struct LetterFilters {
  std::optional<v1::DeadLetterStage> stage;
  std::optional<v1::DeadLetterReason> reason;
  std::optional<v1::DeadLetterStatus> status;
  std::optional<v1::MessageClass> message_class;  // Of what the record says, if it can be read.
  std::string type;                               // Event type.
  std::optional<LogDuration> older_than;          // By the time at which it died.
  std::optional<LogDuration> newer_than;
  std::vector<std::string> ids;  // Whole ids, dlq_…; none: any.

  bool empty() const;
};

struct LetterBook {
  // In the order of the log: partition by partition, as they died.
  std::vector<Letter> letters;
  // The lowest that is in force on a partition that has dead letters; 0: on none.
  std::uint32_t engine_version = 0;
};

// Of the session's tenant (of all, if none is named).
Result<LetterBook> ReadLetters(const Session& session, const LetterFilters& filters);

// Calls `visit` for the letters of `book` with their originals, in the same order; it returns false
// to stop. A letter without bytes has none, nor one that is forgotten.
using VisitOriginal =
    std::function<Result<bool>(const Letter& letter, const v1::RawRecord* original)>;
Status ForEachOriginal(const Session& session, const LetterBook& book, const VisitOriginal& visit);

// Decodes what can be decoded: the envelope of the record, as the fold would see it.
std::optional<v1::Envelope> EnvelopeOf(const v1::DeadLetter& letter, const v1::RawRecord& original);

// One by the beginning of its id, or `last`. kNotFound, kInvalid: none, or more than one.
struct LetterWhole {
  Letter letter;
  std::optional<v1::RawRecord> original;
  std::uint32_t engine_version = 0;  // As LetterBook.
};
Result<LetterWhole> FindLetter(const Session& session, const std::string& id);

}  // namespace alertstream::cli
