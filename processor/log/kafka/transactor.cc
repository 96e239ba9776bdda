#include "processor/log/kafka/transactor.h"

#include <algorithm>

#include "processor/base/clock.h"

namespace alertstream::log {
namespace {

// How long a transaction of a dead process holds up readers at most.
constexpr int kTransactionMs = 10'000;
// A record that is not delivered by then fails, before the broker ends the transaction by itself.
constexpr int kMessageMs = 9'000;
static_assert(kMessageMs < kTransactionMs);

// A commit that takes longer may have been sent twice, and its second copy may arrive later.
constexpr std::chrono::microseconds kCommitMax = std::chrono::seconds{1};

// For telling the broker that a failed transaction is over; without it readers wait for the next
// Init or for kTransactionMs.
constexpr std::chrono::milliseconds kAbortMax{1000};

constexpr int kFullQueueMs = 5;

}  // namespace

KafkaTransactor::KafkaTransactor(std::shared_ptr<const KafkaContext> context,
                                 std::shared_ptr<KafkaTopics> topics, std::string id)
    : context_(std::move(context)),
      topics_(std::move(topics)),
      id_(context_->options.topic_prefix + std::move(id)) {}

Status KafkaTransactor::Init(std::chrono::milliseconds timeout) {
  const Deadline deadline(timeout);
  producer_.reset();
  ALERTSTREAM_ASSIGN_OR_RETURN(partitions_, topics_->Partitions(timeout));
  KafkaHandle::Spec spec{.type = RD_KAFKA_PRODUCER, .settings = ProducerSettings()};
  spec.settings.emplace_back("transactional.id", id_);
  // Fuller batches would cost a tenth less CPU, and every decision most of a millisecond.
  spec.settings.emplace_back("linger.ms", "0");
  spec.settings.emplace_back("transaction.timeout.ms", std::to_string(kTransactionMs));
  spec.settings.emplace_back("message.timeout.ms", std::to_string(kMessageMs));
  // Without reports a commit would look for its records every 10 ms only.
  spec.on_delivery = [this](const rd_kafka_message_t& message) {
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR && failed_++ == 0) {
      first_failure_ = message.err;
      first_failed_topic_ = rd_kafka_topic_name(message.rkt);
    }
  };
  ALERTSTREAM_ASSIGN_OR_RETURN(auto producer, KafkaHandle::Create(context_, std::move(spec)));
  const auto what = "taking over transactional id " + id_;
  for (;;) {
    const KafkaError error(
        rd_kafka_init_transactions(producer->get(), std::max(deadline.RemainingMs(), 1)));
    if (error == nullptr) {
      break;
    }
    if (rd_kafka_error_is_retriable(error.get()) == 0 || deadline.Passed()) {
      auto failure = producer->Fail(what, rd_kafka_error_code(error.get()),
                                    rd_kafka_error_string(error.get()));
      // A rival was faster; who comes again takes over from it.
      return failure.code() == ErrorCode::kFenced
                 ? Error(ErrorCode::kUnavailable, failure.message())
                 : failure;
    }
  }
  // So that no record waits for the leader of its partition to be found.
  ALERTSTREAM_RETURN_IF_ERROR(producer->MakeTopics());
  const auto code = producer->RefreshTopics(deadline);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return producer->Fail(what, code);
  }
  producer_ = std::move(producer);
  return Status::Ok();
}

Status KafkaTransactor::Commit(std::span<const NewRecord> records,
                               std::chrono::milliseconds timeout) {
  const Deadline deadline(timeout);
  ALERTSTREAM_RETURN_IF_ERROR(Write(records, deadline));
  return records.empty() ? Status::Ok() : Finish(deadline);
}

Status KafkaTransactor::Write(std::span<const NewRecord> records, const Deadline& deadline) {
  if (producer_ == nullptr) {
    return Error(ErrorCode::kUnavailable, "kafka: transactional id " + id_ + " needs Init first");
  }
  ALERTSTREAM_RETURN_IF_ERROR(CheckRecords(records, partitions_));
  if (records.empty()) {
    return Status::Ok();
  }
  auto status = Deliver(records, deadline);
  if (!status.ok()) {
    static_cast<void>(Abort(Deadline(kAbortMax)));
  }
  return status;
}

Status KafkaTransactor::Deliver(std::span<const NewRecord> records, const Deadline& deadline) {
  failed_ = 0;
  const KafkaError error(rd_kafka_begin_transaction(producer_->get()));
  if (error != nullptr) {
    return NotApplied("beginning", rd_kafka_error_code(error.get()),
                      rd_kafka_error_string(error.get()));
  }
  for (const auto& record : records) {
    auto code = Produce(*producer_, record, nullptr);
    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && !deadline.Passed()) {
      rd_kafka_poll(producer_->get(), kFullQueueMs);
      code = Produce(*producer_, record, nullptr);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return NotApplied("writing to " + context_->NameOf(record.topic), code);
    }
  }
  const auto code = rd_kafka_flush(producer_->get(), deadline.RemainingMs());
  if (failed_ > 0) {
    return NotApplied("writing to " + first_failed_topic_, first_failure_);
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return NotApplied("waiting for the brokers to store the records", code);
  }
  return Status::Ok();
}

Status KafkaTransactor::Finish(const Deadline& deadline) {
  if (producer_ == nullptr) {
    return Error(ErrorCode::kUnavailable, "kafka: transactional id " + id_ + " needs Init first");
  }
  producer_->Poll();
  const auto disturbances = producer_->disturbances();
  const auto began = SystemClock().SinceBoot();
  KafkaError error;
  do {
    error.reset(rd_kafka_commit_transaction(producer_->get(), std::max(deadline.RemainingMs(), 1)));
  } while (error != nullptr && rd_kafka_error_is_fatal(error.get()) == 0 &&
           rd_kafka_error_txn_requires_abort(error.get()) == 0 &&
           rd_kafka_error_is_retriable(error.get()) != 0 && !deadline.Passed());
  const auto took = SystemClock().SinceBoot() - began;
  producer_->Poll();
  // The request to commit was sent once, and the answer is the answer to it.
  const bool clear = producer_->disturbances() == disturbances && took <= kCommitMax;
  if (error == nullptr && clear) {
    return Status::Ok();
  }
  if (error == nullptr) {
    auto unknown = Unknown("the commit was slow or lost a connection");
    producer_.reset();
    return unknown;
  }
  if (clear && (rd_kafka_error_is_fatal(error.get()) != 0 ||
                rd_kafka_error_txn_requires_abort(error.get()) != 0)) {
    auto failure = NotApplied("committing", rd_kafka_error_code(error.get()),
                              rd_kafka_error_string(error.get()));
    static_cast<void>(Abort(Deadline(kAbortMax)));
    return failure;
  }
  auto unknown = Unknown(rd_kafka_error_string(error.get()));
  producer_.reset();
  return unknown;
}

Status KafkaTransactor::Abort(const Deadline& deadline) {
  if (producer_ == nullptr) {
    return Status::Ok();
  }
  Status status;
  if (rd_kafka_fatal_error(producer_->get(), nullptr, 0) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const KafkaError error(
        rd_kafka_abort_transaction(producer_->get(), std::max(deadline.RemainingMs(), 1)));
    if (error != nullptr) {
      status = NotApplied("aborting", rd_kafka_error_code(error.get()),
                          rd_kafka_error_string(error.get()));
    }
  }
  producer_.reset();
  return status;
}

Error KafkaTransactor::NotApplied(std::string_view what, rd_kafka_resp_err_t code,
                                  std::string_view reason) {
  std::array<char, 512> text{};
  const auto fatal = rd_kafka_fatal_error(producer_->get(), text.data(), text.size());
  auto failure =
      fatal == RD_KAFKA_RESP_ERR_NO_ERROR
          ? producer_->Fail("transactional id " + id_ + ", " + std::string(what), code, reason)
          : producer_->Fail("transactional id " + id_ + ", " + std::string(what), fatal,
                            text.data());
  const bool fenced = failure.code() == ErrorCode::kFenced;
  return {fenced ? ErrorCode::kFenced : ErrorCode::kUnavailable, failure.message()};
}

Error KafkaTransactor::Unknown(std::string_view what) {
  return {ErrorCode::kUnknown,
          "kafka: transactional id " + id_ +
              ": the transaction may or may not have been committed: " + std::string(what)};
}

Result<std::unique_ptr<KafkaTransactor>> MakeKafkaTransactor(const KafkaLogOptions& options,
                                                             const std::string& id) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto context, MakeKafkaContext(options));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto asker, MakeKafkaAsker(context, "read_uncommitted"));
  return std::make_unique<KafkaTransactor>(context, std::make_shared<KafkaTopics>(std::move(asker)),
                                           id);
}

}  // namespace alertstream::log
