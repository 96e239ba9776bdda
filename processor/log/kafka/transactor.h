// A transactional id on a Kafka cluster. One producer from Init until the first failure: whatever
// goes wrong, the next Init makes a new one, so that a request which is still under way can never
// end a later transaction (Kafka does not tell the transactions of one epoch apart).
// Private to processor/log/kafka and its tests.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/log/kafka/client.h"
#include "processor/log/kafka/topics.h"

namespace alertstream::log {

class KafkaTransactor final : public Transactor {
 public:
  KafkaTransactor(std::shared_ptr<const KafkaContext> context, std::shared_ptr<KafkaTopics> topics,
                  std::string id);

  // kNotFound: a topic of the catalogue is missing. kDenied: an ACL is missing.
  Status Init(std::chrono::milliseconds timeout) override;
  Status Commit(std::span<const NewRecord> records, std::chrono::milliseconds timeout) override;

  // The two halves of Commit. Write leaves the transaction open, everything delivered; any error
  // but kInvalid has ended it. Finish commits it.
  Status Write(std::span<const NewRecord> records, const Deadline& deadline);
  Status Finish(const Deadline& deadline);
  // Ends an open transaction; nothing of it will be seen. Init is needed afterwards.
  Status Abort(const Deadline& deadline);

 private:
  Status Deliver(std::span<const NewRecord> records, const Deadline& deadline);
  // The error of a step before the commit was asked for: nothing was applied.
  Error NotApplied(std::string_view what, rd_kafka_resp_err_t code, std::string_view reason = {});
  Error Unknown(std::string_view what);

  const std::shared_ptr<const KafkaContext> context_;
  const std::shared_ptr<KafkaTopics> topics_;
  const std::string id_;  // With the prefix.
  std::int32_t partitions_ = 0;
  std::shared_ptr<KafkaHandle> producer_;
  // Of the open transaction; written while the producer is polled.
  std::size_t failed_ = 0;
  rd_kafka_resp_err_t first_failure_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string first_failed_topic_;
};

// A transactor without a log around it: what a test needs to hold a transaction open.
Result<std::unique_ptr<KafkaTransactor>> MakeKafkaTransactor(const KafkaLogOptions& options,
                                                             const std::string& id);

}  // namespace alertstream::log
