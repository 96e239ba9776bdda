// The catalogue's topics on a Kafka cluster: describes, creates and mends them, counts partitions.
// Thread-safe. Private to processor/log/kafka.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/log/kafka/client.h"

namespace alertstream::log {

// Name and value of every setting that a topic must have.
std::vector<std::pair<std::string, std::string>> KafkaTopicSettings(const schemas::TopicSpec& spec,
                                                                    std::int32_t replication);

// A client for questions, which reads nothing: it only has the catalogue's topic objects. Answers
// about the ends of partitions are those of its isolation level, "read_uncommitted" or
// "read_committed". A consumer, since a producer's questions about a topic may create it.
Result<std::shared_ptr<KafkaHandle>> MakeKafkaAsker(std::shared_ptr<const KafkaContext> context,
                                                    const char* isolation);

class KafkaTopics {
 public:
  // `client` is one of MakeKafkaAsker.
  explicit KafkaTopics(std::shared_ptr<KafkaHandle> client) : client_(std::move(client)) {}

  Result<std::vector<TopicInfo>> Describe(std::chrono::milliseconds timeout);
  Status Apply(const TopicPlan& plan, std::chrono::milliseconds timeout);
  Result<std::int32_t> Partitions(std::chrono::milliseconds timeout);
  // The same, asked once only: counts never change.
  Result<std::int32_t> KnownPartitions(std::chrono::milliseconds timeout);

 private:
  // Existence, partitions and replication only.
  Result<std::vector<TopicInfo>> List(const Deadline& deadline);
  Result<std::vector<TopicInfo>> ListAsApplied(const Deadline& deadline);
  Status Create(const std::vector<TopicInfo>& topics, const TopicPlan& plan,
                const Deadline& deadline);
  Status Mend(const std::vector<TopicInfo>& topics, const Deadline& deadline);
  // Waits until the cluster shows what was created and changed.
  Status AwaitSpread(const Deadline& deadline);

  const std::shared_ptr<KafkaHandle> client_;
  std::atomic<std::int32_t> partitions_ = 0;
  // Every topic is there since Apply: a broker that does not list one has not heard of it yet.
  std::atomic<bool> applied_ = false;
};

}  // namespace alertstream::log
