// The engine version in force on a partition, as the end of its journal says. Used by AnswerWatch
// before it has seen a batch.
#pragma once

#include <chrono>
#include <cstdint>

#include "processor/base/result.h"
#include "processor/log/event_log.h"

namespace alertstream::api {

// That of the newest journal record; 0: there is none. Reads a few records, more only if there are
// none but markers at the end.
Result<std::uint32_t> ReadEngineVersion(log::EventLog& log, std::int32_t partition,
                                        std::chrono::milliseconds timeout);

}  // namespace alertstream::api
