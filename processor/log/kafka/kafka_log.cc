#include "processor/log/kafka/kafka_log.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "processor/base/clock.h"
#include "processor/log/kafka/appender.h"
#include "processor/log/kafka/client.h"
#include "processor/log/kafka/reader.h"
#include "processor/log/kafka/topics.h"
#include "processor/log/kafka/transactor.h"

namespace alertstream::log {
namespace {

// A partition whose leader has just moved answers again soon.
constexpr std::chrono::milliseconds kLeaderPause{20};

// A topic that this client takes for missing may have been created since it looked.
constexpr int kRefreshesMax = 10;

// All ends in one round of requests, one a broker, all under way at once. Each client has one
// isolation level for good, which the brokers apply to this question as they do to reading.
Result<std::vector<std::int64_t>> AskEnds(KafkaHandle& client,
                                          std::span<const TopicPartition> partitions,
                                          const Deadline& deadline) {
  const auto& context = client.context();
  int refreshes = 0;
  for (;;) {
    const KafkaPartitionList list(
        rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (const auto& [topic, partition] : partitions) {
      rd_kafka_topic_partition_list_add(list.get(), context.NameOf(topic).c_str(), partition)
          ->offset = RD_KAFKA_OFFSET_END;
    }
    auto code =
        rd_kafka_offsets_for_times(client.get(), list.get(), std::max(deadline.RemainingMs(), 1));
    std::string what = "asking for the ends of partitions";
    std::vector<std::int64_t> ends;
    const std::span answers(list->elems, static_cast<std::size_t>(list->cnt));
    for (std::size_t i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < answers.size(); ++i) {
      code = answers[i].err;
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR && answers[i].offset < 0) {
        code = RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE;
      }
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        what = "asking for the end of " + PositionName(context, partitions[i]);
      }
      ends.push_back(answers[i].offset);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      return ends;
    }
    const bool missing = CodeOf(code) == ErrorCode::kNotFound && refreshes++ < kRefreshesMax;
    if (!(missing || CodeOf(code) == ErrorCode::kUnavailable) || deadline.Passed()) {
      return client.Fail(what, code);
    }
    if (missing) {
      client.RefreshTopics(deadline);
    }
    SystemClock().SleepFor(
        std::min(kLeaderPause, std::chrono::milliseconds{deadline.RemainingMs()}));
  }
}

class KafkaLog final : public EventLog {
 public:
  KafkaLog(std::shared_ptr<const KafkaContext> context, std::shared_ptr<KafkaHandle> uncommitted,
           std::shared_ptr<KafkaHandle> committed)
      : context_(std::move(context)),
        uncommitted_(std::move(uncommitted)),
        committed_(std::move(committed)),
        topics_(std::make_shared<KafkaTopics>(uncommitted_)),
        appender_(context_, topics_) {}

  std::string Describe() const override {
    const auto& prefix = context_->options.topic_prefix;
    return "kafka://" + context_->options.bootstrap + (prefix.empty() ? "" : "/" + prefix + "*");
  }

  bool ExclusiveWriter() const override { return false; }

  Result<std::vector<TopicInfo>> DescribeTopics(std::chrono::milliseconds timeout) override {
    return topics_->Describe(timeout);
  }

  Status ApplyTopics(const TopicPlan& plan, std::chrono::milliseconds timeout) override {
    return topics_->Apply(plan, timeout);
  }

  Result<std::int32_t> Partitions(std::chrono::milliseconds timeout) override {
    return topics_->Partitions(timeout);
  }

  Result<std::unique_ptr<Reader>> OpenReader(std::span<const ReadFrom> sources) override {
    return OpenKafkaReader(context_, sources);
  }

  Result<std::vector<std::int64_t>> Ends(std::span<const TopicPartition> partitions, EndKind kind,
                                         std::chrono::milliseconds timeout) override {
    if (partitions.empty()) {
      return std::vector<std::int64_t>();
    }
    return AskEnds(kind == EndKind::kStable ? *committed_ : *uncommitted_, partitions,
                   Deadline(timeout));
  }

  Result<std::vector<Appended>> Append(std::span<const NewRecord> records,
                                       std::chrono::milliseconds timeout) override {
    return appender_.Append(records, timeout);
  }

  Result<std::unique_ptr<Transactor>> OpenTransactor(const std::string& id) override {
    return std::unique_ptr<Transactor>(std::make_unique<KafkaTransactor>(context_, topics_, id));
  }

 private:
  const std::shared_ptr<const KafkaContext> context_;
  // Shared with the topics, which the transactors share in turn.
  const std::shared_ptr<KafkaHandle> uncommitted_;
  const std::shared_ptr<KafkaHandle> committed_;
  const std::shared_ptr<KafkaTopics> topics_;
  KafkaAppender appender_;
};

}  // namespace

Result<std::unique_ptr<EventLog>> OpenKafkaLog(const KafkaLogOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto context, MakeKafkaContext(options));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto uncommitted, MakeKafkaAsker(context, "read_uncommitted"));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto committed, MakeKafkaAsker(context, "read_committed"));
  return std::unique_ptr<EventLog>(
      std::make_unique<KafkaLog>(context, std::move(uncommitted), std::move(committed)));
}

}  // namespace alertstream::log
