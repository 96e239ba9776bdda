// Exit codes of the program, and the one switch from an ErrorCode to them. Pure; used by the
// program's main and by commands that end with more than "it worked".
#pragma once

#include <string>
#include <string_view>

#include "processor/base/result.h"

namespace alertstream::cli {

// Scripts depend on these numbers: they never change.
enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kConfiguration = 3,  // Settings or rule files are wrong.
  kNotFound = 4,
  kDenied = 5,
  kConflict = 6,
  kUnavailable = 7,
  kPartly = 8,    // Some items failed, the others were done.
  kMismatch = 9,  // An audit found something else than was recorded.
  kWarnings = 10,
  kTimeout = 124,
  kInterrupted = 130,
};

ExitCode ExitCodeOf(ErrorCode code);

// What to do about an error of this code; "" if the message says it all.
std::string_view HintFor(ErrorCode code);

// {"error":{"code":"unavailable","message":"...","hint":"...","docs":"..."}} and a line feed: what
// is printed on stdout with -o json. `docs` is the command whose help describes the matter.
std::string ErrorJson(const Error& error, std::string_view docs);

}  // namespace alertstream::cli
