// What `doctor` asks a cluster beyond the port: which rights our user lacks, and whether
// transactions do what exactly-once needs. Found by trying, because only administrators may read
// ACLs, and several servers that speak Kafka's protocol fail in the act only. Not found out:
// whether the group's offsets may be written (Read), as trying would replace them; that they may be
// seen is. A process that is killed while it asks can leave a transaction open for 10 s. Used by
// the program's doctor; each call makes clients of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/log/kafka/kafka_log.h"

namespace alertstream::log {

enum class KafkaResource : std::uint8_t { kTopic, kGroup, kTransactionalId };

// By the names of Kafka's own tools: "Read", "Write", "Describe", "DescribeConfigs".
struct KafkaRight {
  std::string operation;
  KafkaResource resource{};
  std::string name;  // With the prefix. Of transactional ids: what ours begin with.
};

struct KafkaRightsReport {
  std::vector<KafkaRight> missing;  // In the order in which they were tried.
  std::size_t tried = 0;
  // False: without the right to our transactional ids nobody can say which topics may be written.
  bool writes_known = true;
};

// Tries what a processor does: describe and read all topics, write to them in a transaction that is
// aborted (readers never see it, but its records take offsets), use a transactional id, read the
// group's offsets; and what `topics status` does. Topics that do not exist are left out.
// kUnavailable: the cluster cannot be reached. kDenied: the user is not let in at all.
Result<KafkaRightsReport> FindMissingRights(const KafkaLogOptions& options,
                                            std::chrono::milliseconds timeout);

// Writes `aborted` in a transaction that is aborted, then commits one with `committed`, and reads
// both places: kCorrupt if a reader of committed records sees the first. Both go to one partition
// and have different values.
Status ProbeTransactions(const KafkaLogOptions& options, const NewRecord& aborted,
                         const NewRecord& committed, std::chrono::milliseconds timeout);

}  // namespace alertstream::log
