// Which log this is: a marker at offset 0 of every partition carries the log's id and an HMAC of it
// under the deployment's token key. So a topic that was deleted and made anew is noticed, and a
// wrong token key, which would give every person another token, is refused at start.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "processor/base/crypto.h"
#include "processor/base/result.h"
#include "processor/log/event_log.h"

namespace alertstream::runtime {

struct LogIdentity {
  std::string log_id;  // 16 bytes.
  std::int32_t partitions = 0;

  // "0b1c9d4e-…": for people.
  std::string ToText() const;
};

// Writes the markers that are missing; a new log gets a new id. kConflict: a partition begins with
// something that is no marker, or with the marker of another log. kDenied: another token key.
Result<LogIdentity> EnsureMarkers(log::EventLog& log, const HmacKey& token_key,
                                  std::chrono::milliseconds timeout);

// Reads and compares the markers of `partition` on all topics. kNotFound: a marker is missing (run
// `topics apply`).
Result<LogIdentity> CheckMarkers(log::EventLog& log, const HmacKey& token_key,
                                 std::int32_t partition, std::chrono::milliseconds timeout);

}  // namespace alertstream::runtime
