// ReadRange: the committed records of one partition between two offsets, in order. For start
// procedures that look back from an end.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "processor/base/result.h"
#include "processor/log/event_log.h"

namespace alertstream::dispatch {

// Calls `each` for the records in [from, to) and returns when the log has shown that there are no
// more. kUnavailable after `timeout` without progress. An error of `each` ends it.
Status ReadRange(log::EventLog& log, log::TopicPartition partition, std::int64_t from,
                 std::int64_t to, std::chrono::milliseconds timeout,
                 const std::function<Status(const log::RecordView&)>& each);

}  // namespace alertstream::dispatch
