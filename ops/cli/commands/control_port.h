// ControlPort: how a command changes something when a server owns the log: it sends documents to
// the server's control endpoint instead of appending records. A port; control_client.h is the one
// over HTTP. Belongs to one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"
#include "schemas/common.pb.h"

namespace alertstream::cli {

// The status of a document whose group, or one before it, failed. A group that got no answer may
// have been applied all the same.
inline constexpr std::string_view kUnsent = "unsent";

// What the server answered to one document.
struct ControlResult {
  std::string status;  // accepted, rejected, unchanged, pending; kUnsent
  std::string id;      // Of what was changed; "" if it has none.
  std::uint64_t version = 0;
  std::string reason;  // A word.
  std::string detail;
  v1::Position position;  // No topic: nothing was appended.
};

class ControlPort {
 public:
  virtual ~ControlPort() = default;

  enum class Wait : std::uint8_t {
    kForPositions,  // Every result that was appended is pending.
    kForVerdicts,   // As long as the server waits at most.
  };
  // `documents` are elements of `events`, in the order of the results; `tenant` is that of those
  // that name none, or "". Documents leave in groups. An error: that of the first group; kInvalid:
  // one of them is malformed, and nothing was appended. Where a later group fails, its documents
  // and all after them are kUnsent; `detail` says why and how many were answered.
  virtual Result<std::vector<ControlResult>> Send(std::string_view tenant,
                                                  const std::vector<std::string>& documents,
                                                  Wait wait) = 0;
};

}  // namespace alertstream::cli
