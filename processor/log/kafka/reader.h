// Reads partitions of a Kafka cluster, committed records only. A consumer of its own, with one
// queue a source, so that a source that is not fetched holds up no other. Never joins a group.
// Private to processor/log/kafka.
#pragma once

#include <memory>
#include <span>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/log/kafka/client.h"

namespace alertstream::log {

Result<std::unique_ptr<Reader>> OpenKafkaReader(std::shared_ptr<const KafkaContext> context,
                                                std::span<const ReadFrom> sources);

}  // namespace alertstream::log
