// Appends outside transactions: one idempotent producer for all threads of a log. Thread-safe.
// Private to processor/log/kafka.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/log/kafka/client.h"
#include "processor/log/kafka/topics.h"

namespace alertstream::log {

class KafkaAppender {
 public:
  KafkaAppender(std::shared_ptr<const KafkaContext> context, std::shared_ptr<KafkaTopics> topics)
      : context_(std::move(context)), topics_(std::move(topics)) {}

  Result<std::vector<Appended>> Append(std::span<const NewRecord> records,
                                       std::chrono::milliseconds timeout);

 private:
  // The producer, made when it is first needed and again after an error that it cannot survive.
  Result<std::shared_ptr<KafkaHandle>> Producer();

  const std::shared_ptr<const KafkaContext> context_;
  const std::shared_ptr<KafkaTopics> topics_;
  std::mutex mutex_;
  std::shared_ptr<KafkaHandle> producer_;  // Guarded by mutex_; shared with the calls under way.
};

}  // namespace alertstream::log
