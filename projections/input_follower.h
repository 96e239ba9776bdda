// InputFollower: the input records that each batch of a partition consumed, of the topics of
// kInputsRead, read along with its journal. Belongs to one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/runtime/sources.h"
#include "projections/batch.h"
#include "schemas/journal.pb.h"

namespace alertstream::projections {

class InputFollower {
 public:
  // Begins at the offsets that `next` names, at 0 where it names none.
  static Result<InputFollower> Open(log::EventLog& log, std::int32_t partition,
                                    const std::map<schemas::Topic, std::int64_t>& next);

  // The records that `journal` consumed; the views live until the next call. kUnavailable: they
  // cannot be read now, call again with the same. kCorrupt: they are not there.
  Result<std::span<const InputRecords>> Take(const v1::JournalRecord& journal,
                                             std::chrono::milliseconds timeout);

 private:
  explicit InputFollower(runtime::Sources sources) : sources_(std::move(sources)) {}
  Status TakeTopic(std::size_t source, const v1::JournalInput& input,
                   std::chrono::milliseconds timeout);

  runtime::Sources sources_;  // As kInputsRead.
  std::vector<InputRecords> taken_;
};

}  // namespace alertstream::projections
