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

// What the server answered to one document.
struct ControlResult {
  std::string status;  // accepted, rejected, unchanged, pending
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
  // that name none, or "". kInvalid: one of them is malformed; nothing of its group was appended.
  virtual Result<std::vector<ControlResult>> Send(std::string_view tenant,
                                                  const std::vector<std::string>& documents,
                                                  Wait wait) = 0;
};

}  // namespace alertstream::cli
