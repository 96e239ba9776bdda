// `dlq retry|edit|drop|purge`: what operators do about dead letters, one by one or by a query; and
// retries of notifications that never arrived. Library functions over the ports of a session. What
// is run again goes on where it was ended: what was acted on before is left out.
#pragma once

#include <cstdint>
#include <string>

#include "ops/cli/commands/letter_book.h"
#include "ops/cli/commands/session.h"

namespace alertstream::cli {

struct RedriveOptions {
  LetterFilters filters;
  bool all = false;  // Without any filter.
  bool forced = false;
  bool dry_run = false;
  bool include_expired = false;
  LogDuration max_age = std::chrono::hours{24};  // Events that happened before are left out.
  std::int64_t rate = 0;                         // At most so many a second; 0: no limit.
  std::string reason;
};

// In the order in which they died, for each key. What ended the process is left out unless forced,
// and what has no record. kInvalid: neither a filter nor `all`. kConflict: the engine version in
// force is below 5; nothing is appended.
Result<ExitCode> RetryDeadLetters(const Session& session, const RedriveOptions& options);
// DROP or PURGE.
Result<ExitCode> ChangeDeadLetters(const Session& session, v1::DeadLetterActionKind kind,
                                   const RedriveOptions& options);

struct EditOptions {
  std::string id;
  // What is changed: the whole value, or members of the decoded event. "": not.
  std::string value;
  std::string data;  // JSON
  std::string site;
  std::string type;
  bool forced = false;
  std::string reason;
};
// Appends a changed copy. kInvalid: the copy would die as well.
Result<ExitCode> EditDeadLetter(const Session& session, const EditOptions& options);

// A notification by its whole id, ntf_…: its text is sent again to the same person, through all
// gates.
Result<ExitCode> RetryNotification(const Session& session, const std::string& id, bool forced,
                                   const std::string& reason);

}  // namespace alertstream::cli
