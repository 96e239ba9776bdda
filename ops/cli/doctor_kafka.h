// The part of `doctor` that only a Kafka cluster needs: rights and transactions, tried by the
// adapter. Used by the program's doctor; belongs to one thread.
#pragma once

#include <vector>

#include "ops/cli/commands/status.h"
#include "ops/cli/settings.h"
#include "processor/log/kafka/kafka_log.h"
#include "processor/log/kafka/rights.h"

namespace alertstream::cli {

// Which rights our user lacks, and the commands that grant them. An error: the cluster cannot be
// asked at all.
Result<DoctorCheck> CheckRights(const log::KafkaLogOptions& options,
                                std::chrono::milliseconds timeout);
// The text of the check above; pure.
DoctorCheck DescribeRights(const log::KafkaLogOptions& options,
                           const log::KafkaRightsReport& report);
// One transaction aborted, one committed, and what a reader sees of them.
DoctorCheck CheckTransactions(const log::KafkaLogOptions& options, Clock& clock,
                              std::chrono::milliseconds timeout);

}  // namespace alertstream::cli
