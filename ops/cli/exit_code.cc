#include "ops/cli/exit_code.h"

#include "ops/cli/json_object.h"

namespace alertstream::cli {

ExitCode ExitCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
    case ErrorCode::kExhausted:
      return ExitCode::kFailed;
    case ErrorCode::kDenied:
      return ExitCode::kDenied;
    case ErrorCode::kNotFound:
      return ExitCode::kNotFound;
    case ErrorCode::kConflict:
    case ErrorCode::kFenced:
      return ExitCode::kConflict;
    case ErrorCode::kUnavailable:
    case ErrorCode::kUnknown:
      return ExitCode::kUnavailable;
    case ErrorCode::kCorrupt:
      return ExitCode::kMismatch;
  }
  return ExitCode::kFailed;
}

std::string_view HintFor(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return "";
    case ErrorCode::kDenied:
      return "check the token key and who may read it: alertstream doctor";
    case ErrorCode::kNotFound:
      return "check --data-dir and --log, and see what the log holds: alertstream status";
    case ErrorCode::kConflict:
    case ErrorCode::kFenced:
      return "see who owns the log: alertstream status";
    case ErrorCode::kExhausted:
      return "try again later";
    case ErrorCode::kUnavailable:
      return "check that the log can be reached: alertstream doctor";
    case ErrorCode::kUnknown:
      return "the outcome is settled at the next start: run the command again";
    case ErrorCode::kCorrupt:
      return "stop writing to this log and compare with a backup: alertstream audit verify";
  }
  return "";
}

std::string ErrorJson(const Error& error, std::string_view docs) {
  JsonObject inner;
  inner.Text("code", ErrorCodeName(error.code()));
  inner.Text("message", error.message());
  inner.Text("hint", HintFor(error.code()));
  inner.Text("docs", docs);
  JsonObject outer;
  outer.Raw("error", inner.Take());
  return outer.Take() + "\n";
}

}  // namespace alertstream::cli
