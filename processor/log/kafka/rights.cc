#include "processor/log/kafka/rights.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "processor/base/clock.h"
#include "processor/log/kafka/admin.h"
#include "processor/log/kafka/topics.h"
#include "processor/log/kafka/transactor.h"

namespace alertstream::log {
namespace {

using KafkaGroupOffsets =
    KafkaPtr<rd_kafka_ListConsumerGroupOffsets_t, rd_kafka_ListConsumerGroupOffsets_destroy>;
using KafkaMessage = KafkaPtr<rd_kafka_message_t, rd_kafka_message_destroy>;

// Never the id of a processor: taking that one over would stop it.
constexpr std::string_view kProbeId = "alertstream-doctor";
// What the ids of processors begin with (processor/runtime/task.cc).
constexpr std::string_view kIds = "alertstream-";
constexpr std::string_view kProbeValue = "doctor";

constexpr int kPollMs = 20;
// For ending a transaction, whatever is left of the time for asking: one left open keeps readers of
// committed records, a running processor's too, from what comes after it.
constexpr int kAbortMs = 5000;

bool IsDenied(rd_kafka_resp_err_t code) { return CodeOf(code) == ErrorCode::kDenied; }

class RightsProbe {
 public:
  RightsProbe(std::shared_ptr<const KafkaContext> context, std::chrono::milliseconds timeout)
      : context_(std::move(context)), deadline_(timeout) {}

  Result<KafkaRightsReport> Run() {
    ALERTSTREAM_ASSIGN_OR_RETURN(asker_, MakeKafkaAsker(context_, "read_committed"));
    ALERTSTREAM_RETURN_IF_ERROR(TryDescribe());
    ALERTSTREAM_RETURN_IF_ERROR(TryDescribeConfigs());
    ALERTSTREAM_RETURN_IF_ERROR(TryRead());
    ALERTSTREAM_RETURN_IF_ERROR(TryGroup());
    ALERTSTREAM_RETURN_IF_ERROR(TryWrite());
    return std::move(report_);
  }

 private:
  void Note(std::string operation, KafkaResource resource, std::string name, bool denied) {
    ++report_.tried;
    if (denied) {
      report_.missing.push_back({std::move(operation), resource, std::move(name)});
    }
  }

  // Without this right a topic looks like one that does not exist; so each is asked for by name.
  Status TryDescribe() {
    for (const auto& spec : schemas::kTopics) {
      const rd_kafka_metadata_t* raw = nullptr;
      const auto code = rd_kafka_metadata(asker_->get(), 0, asker_->topic(spec.topic), &raw,
                                          std::max(deadline_.RemainingMs(), 1));
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return asker_->Fail("asking " + context_->options.bootstrap + " for topics", code);
      }
      const KafkaMetadata metadata(raw);
      const auto found = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                                  : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
      if (CodeOf(found) == ErrorCode::kNotFound) {
        continue;
      }
      Note("Describe", KafkaResource::kTopic, context_->NameOf(spec.topic), IsDenied(found));
      if (!IsDenied(found)) {
        topics_.push_back(spec.topic);
      }
    }
    return Status::Ok();
  }

  Status TryDescribeConfigs() {
    std::vector<KafkaConfigResource> owned;
    std::vector<rd_kafka_ConfigResource_t*> resources;
    for (const Topic topic : topics_) {
      owned.emplace_back(
          rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, context_->NameOf(topic).c_str()));
      resources.push_back(owned.back().get());
    }
    if (resources.empty()) {
      return Status::Ok();
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const auto event,
        RunAdmin(*asker_, "reading the settings of topics", RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
                 deadline_, [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                   rd_kafka_DescribeConfigs(asker_->get(), resources.data(), resources.size(),
                                            options, queue);
                 }));
    std::size_t count = 0;
    const auto* results = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event.get()), &count);
    for (const auto* result : std::span(results, count)) {
      Note("DescribeConfigs", KafkaResource::kTopic, rd_kafka_ConfigResource_name(result),
           IsDenied(rd_kafka_ConfigResource_error(result)));
    }
    return Status::Ok();
  }

  // Each partition answers with a record, its end, or an error.
  Status TryRead() {
    if (topics_.empty()) {
      return Status::Ok();
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const auto reader,
        KafkaHandle::Create(context_, {.type = RD_KAFKA_CONSUMER,
                                       .settings = {{"group.id", GroupOf(*context_)},
                                                    {"enable.auto.commit", "false"},
                                                    {"enable.partition.eof", "true"},
                                                    {"fetch.wait.max.ms", "10"}}}));
    rd_kafka_poll_set_consumer(reader->get());
    const KafkaPartitionList list(
        rd_kafka_topic_partition_list_new(static_cast<int>(topics_.size())));
    std::vector<std::string> waiting;
    for (const Topic topic : topics_) {
      waiting.push_back(context_->NameOf(topic));
      rd_kafka_topic_partition_list_add(list.get(), waiting.back().c_str(), 0)->offset =
          RD_KAFKA_OFFSET_END;
    }
    const auto assigned = rd_kafka_assign(reader->get(), list.get());
    if (assigned != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return reader->Fail("reading topics", assigned);
    }
    while (!waiting.empty()) {
      const KafkaMessage message(rd_kafka_consumer_poll(reader->get(), kPollMs));
      if (deadline_.Passed()) {
        return reader->Fail("reading " + waiting.front(), RD_KAFKA_RESP_ERR__TIMED_OUT);
      }
      if (message == nullptr || message->rkt == nullptr) {
        continue;
      }
      const std::string name = rd_kafka_topic_name(message->rkt);
      const auto at = std::find(waiting.begin(), waiting.end(), name);
      const bool answered = message->err == RD_KAFKA_RESP_ERR_NO_ERROR ||
                            message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
      if (at != waiting.end() && (answered || IsDenied(message->err))) {
        Note("Read", KafkaResource::kTopic, name, !answered);
        waiting.erase(at);
      }
    }
    return Status::Ok();
  }

  // What it asks for needs Describe only: offsets that were committed to find out about Read would
  // replace those of a processor that runs.
  Status TryGroup() {
    const KafkaGroupOffsets request(
        rd_kafka_ListConsumerGroupOffsets_new(GroupOf(*context_).c_str(), nullptr));
    auto* raw = request.get();
    const auto event =
        RunAdmin(*asker_, "reading the offsets of group " + GroupOf(*context_),
                 RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, deadline_,
                 [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                   rd_kafka_ListConsumerGroupOffsets(asker_->get(), &raw, 1, options, queue);
                 });
    if (!event.ok()) {
      if (event.error().code() != ErrorCode::kDenied) {
        return event.error();
      }
      Note("Read", KafkaResource::kGroup, GroupOf(*context_), true);
      return Status::Ok();
    }
    std::size_t count = 0;
    const auto* groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event.value().get()), &count);
    const auto* error = count == 1 ? rd_kafka_group_result_error(groups[0]) : nullptr;
    const auto code = error == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && !IsDenied(code)) {
      return asker_->Fail("reading the offsets of group " + GroupOf(*context_), code);
    }
    Note("Read", KafkaResource::kGroup, GroupOf(*context_), IsDenied(code));
    return Status::Ok();
  }

  // One transaction a topic, each aborted: an unauthorised topic spoils the whole transaction.
  Status TryWrite() {
    Status taken = TakeId();
    if (!taken.ok() && taken.error().code() != ErrorCode::kDenied) {
      return taken;
    }
    report_.writes_known = taken.ok();
    Note("Write", KafkaResource::kTransactionalId,
         context_->options.topic_prefix + std::string(kIds), !taken.ok());
    for (const Topic topic : report_.writes_known ? topics_ : std::vector<Topic>()) {
      if (producer_ == nullptr) {
        ALERTSTREAM_RETURN_IF_ERROR(TakeId());
      }
      ALERTSTREAM_ASSIGN_OR_RETURN(const bool denied, IsWriteDenied(topic));
      Note("Write", KafkaResource::kTopic, context_->NameOf(topic), denied);
    }
    producer_.reset();
    return Status::Ok();
  }

  Status TakeId() {
    KafkaHandle::Spec spec{.type = RD_KAFKA_PRODUCER, .settings = ProducerSettings()};
    const std::string id = context_->options.topic_prefix + std::string(kProbeId);
    spec.settings.emplace_back("transactional.id", id);
    spec.settings.emplace_back("linger.ms", "0");
    spec.settings.emplace_back("transaction.timeout.ms", "10000");
    spec.settings.emplace_back("message.timeout.ms", "9000");
    spec.on_delivery = [this](const rd_kafka_message_t& message) { delivered_ = message.err; };
    ALERTSTREAM_ASSIGN_OR_RETURN(auto producer, KafkaHandle::Create(context_, std::move(spec)));
    ALERTSTREAM_RETURN_IF_ERROR(producer->MakeTopics());
    const KafkaError failed(
        rd_kafka_init_transactions(producer->get(), std::max(deadline_.RemainingMs(), 1)));
    if (failed != nullptr) {
      return producer->Fail("taking transactional id " + id, rd_kafka_error_code(failed.get()),
                            rd_kafka_error_string(failed.get()));
    }
    producer_ = std::move(producer);
    return Status::Ok();
  }

  Result<bool> IsWriteDenied(Topic topic) {
    const std::string what = "writing to " + context_->NameOf(topic);
    const KafkaError begun(rd_kafka_begin_transaction(producer_->get()));
    if (begun != nullptr) {
      return producer_->Fail(what, rd_kafka_error_code(begun.get()),
                             rd_kafka_error_string(begun.get()));
    }
    const NewRecord record{topic, 0, schemas::kLogKey, kProbeValue};
    delivered_.reset();
    auto code = Produce(*producer_, record, nullptr);
    while (code == RD_KAFKA_RESP_ERR_NO_ERROR && !delivered_ && !deadline_.Passed()) {
      rd_kafka_poll(producer_->get(), kPollMs);
      // A transaction that has failed takes no more records; nothing else would tell.
      code = delivered_ ? code : Produce(*producer_, record, nullptr);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      code = delivered_.value_or(RD_KAFKA_RESP_ERR__TIMED_OUT);
    }
    if (code == RD_KAFKA_RESP_ERR__STATE || code == RD_KAFKA_RESP_ERR__PURGE_QUEUE) {
      // It cannot be committed any more: to be asked for it names the reason.
      const KafkaError reason(rd_kafka_commit_transaction(producer_->get(), kPollMs));
      code = reason == nullptr ? code : rd_kafka_error_code(reason.get());
    }
    if (IsDenied(code)) {
      // The cluster knows of no transaction, so there is none to abort; the client believes in one.
      producer_.reset();
      return true;
    }
    const KafkaError aborted(rd_kafka_abort_transaction(producer_->get(), kAbortMs));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return producer_->Fail(what, code);
    }
    if (aborted != nullptr) {
      return producer_->Fail(what + ", aborting", rd_kafka_error_code(aborted.get()),
                             rd_kafka_error_string(aborted.get()));
    }
    return false;
  }

  const std::shared_ptr<const KafkaContext> context_;
  const Deadline deadline_;
  std::shared_ptr<KafkaHandle> asker_;
  std::vector<Topic> topics_;  // Those that exist and may be described.
  KafkaRightsReport report_;
  std::shared_ptr<KafkaHandle> producer_;         // Of our transactional id; null after a denial.
  std::optional<rd_kafka_resp_err_t> delivered_;  // Of the record written last.
};

// Reads from `from` until `committed` comes.
Status ExpectOnlyCommitted(EventLog& log, const ReadFrom& from, const NewRecord& aborted,
                           const NewRecord& committed, const Deadline& deadline) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto reader, log.OpenReader(std::span(&from, 1)));
  constexpr FetchLimits kFetch{.records_max = 1000, .bytes_max = std::size_t{1} << 20U};
  while (!deadline.Passed()) {
    Fetched fetched;
    ALERTSTREAM_RETURN_IF_ERROR(reader->Fetch(0, kFetch, &fetched));
    for (const auto& record : fetched.records) {
      if (record.value == aborted.value) {
        return Error(ErrorCode::kCorrupt,
                     "kafka: a reader of committed records was given one that was aborted");
      }
      if (record.value == committed.value) {
        return Status::Ok();
      }
    }
    reader->Wait(std::chrono::milliseconds(kPollMs));
  }
  return Error(ErrorCode::kUnavailable, "kafka: a committed record was not given to a reader");
}

}  // namespace

Result<KafkaRightsReport> FindMissingRights(const KafkaLogOptions& options,
                                            std::chrono::milliseconds timeout) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto context, MakeKafkaContext(options));
  return RightsProbe(std::move(context), timeout).Run();
}

Status ProbeTransactions(const KafkaLogOptions& options, const NewRecord& aborted,
                         const NewRecord& committed, std::chrono::milliseconds timeout) {
  const Deadline deadline(timeout);
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto log, OpenKafkaLog(options));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto transactor,
                               MakeKafkaTransactor(options, std::string(kProbeId)));
  const TopicPartition where{committed.topic, committed.partition};
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto ends,
                               log->Ends(std::span(&where, 1), EndKind::kUncommitted, timeout));
  ALERTSTREAM_RETURN_IF_ERROR(transactor->Init(timeout));
  ALERTSTREAM_RETURN_IF_ERROR(transactor->Write(std::span(&aborted, 1), deadline));
  ALERTSTREAM_RETURN_IF_ERROR(transactor->Abort(Deadline(std::chrono::milliseconds(kAbortMs))));
  ALERTSTREAM_RETURN_IF_ERROR(transactor->Init(timeout));
  ALERTSTREAM_RETURN_IF_ERROR(transactor->Commit(std::span(&committed, 1), timeout));
  return ExpectOnlyCommitted(*log, {where, ends[0]}, aborted, committed, deadline);
}

}  // namespace alertstream::log
