// `dlq list|stats|show|export|skip`: records that could not be decided. Library functions over the
// ports of a session. What is done about them: redrive.h.
#pragma once

#include <cstddef>
#include <string>

#include "ops/cli/commands/letter_book.h"
#include "ops/cli/commands/session.h"
#include "schemas/common.pb.h"

namespace alertstream::cli {

// The newest `rows_max` of the session's tenant (of all, if none is named); what was cut is said.
Result<ExitCode> ListDeadLetters(const Session& session, const LetterFilters& filters,
                                 std::size_t rows_max);
// How many there are, by tenant, status, stage and reason.
Result<ExitCode> CountDeadLetters(const Session& session, const LetterFilters& filters);
// All of them, one JSON object a line; as ShowDeadLetter.
Result<ExitCode> ExportDeadLetters(const Session& session, const LetterFilters& filters,
                                   bool show_original);
// One by its id or the beginning of it, its record decoded as far as it can be. `show_original`:
// also what is about people, and the record's exact bytes, in hexadecimal. Of a purged letter, and
// of its retries, nothing of the record is shown; to ask for it is kConflict.
Result<ExitCode> ShowDeadLetter(const Session& session, const std::string& id, bool show_original);

// "site-events/3/88213".
Result<v1::Position> ParsePosition(std::string_view text);
// Lets a stopped partition pass one record. Answered by the partition when it starts again.
Result<ExitCode> SkipRecord(const Session& session, const v1::Position& record,
                            const std::string& reason);

}  // namespace alertstream::cli
