#include "processor/log/kafka/appender.h"

#include <algorithm>
#include <condition_variable>

#include "processor/base/clock.h"

namespace alertstream::log {
namespace {

// A record that is not stored by then never will be.
constexpr int kMessageMs = 10'000;
constexpr std::chrono::milliseconds kFullQueuePause{5};

// The reports of one append. Owned by itself, too, while reports are outstanding: its caller may
// have given up.
struct Reports {
  struct Slot {
    Reports* reports;
    Appended result;
  };

  explicit Reports(std::size_t count)
      : slots(count, {.reports = this, .result = {.offset = -1, .append_time = {}}}) {}

  std::vector<Slot> slots;
  std::mutex mutex;
  std::condition_variable done;
  // All below are guarded by mutex. One more than the messages handed over, while there may come
  // further ones.
  std::size_t outstanding = 1;
  rd_kafka_resp_err_t failure = RD_KAFKA_RESP_ERR_NO_ERROR;
  bool maybe_stored = false;
  std::string failed_topic;
  std::shared_ptr<Reports> self;
};

void Expect(Reports& reports) {
  const std::lock_guard lock(reports.mutex);
  ++reports.outstanding;
}

void CountDown(Reports& reports) {
  std::shared_ptr<Reports> last;  // Outlives the lock.
  const std::lock_guard lock(reports.mutex);
  if (--reports.outstanding == 0) {
    last = std::move(reports.self);
    reports.done.notify_all();
  }
}

void NoteFailure(Reports& reports, rd_kafka_resp_err_t code, const std::string& topic,
                 bool maybe_stored) {
  const std::lock_guard lock(reports.mutex);
  if (reports.failure == RD_KAFKA_RESP_ERR_NO_ERROR) {
    reports.failure = code;
    reports.failed_topic = topic;
  }
  reports.maybe_stored |= maybe_stored;
}

void OnReport(const rd_kafka_message_t& message) {
  auto& slot = *static_cast<Reports::Slot*>(message._private);
  if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR && message.offset >= 0) {
    slot.result.offset = message.offset;
    slot.result.append_time =
        LogTime{std::chrono::milliseconds{rd_kafka_message_timestamp(&message, nullptr)}};
  } else {
    // A repeated request may be answered without the offsets of the first.
    const auto code = message.err == RD_KAFKA_RESP_ERR_NO_ERROR
                          ? RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER
                          : message.err;
    NoteFailure(*slot.reports, code, rd_kafka_topic_name(message.rkt),
                rd_kafka_message_status(&message) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED);
  }
  CountDown(*slot.reports);
}

}  // namespace

Result<std::shared_ptr<KafkaHandle>> KafkaAppender::Producer() {
  const std::lock_guard lock(mutex_);
  if (producer_ != nullptr &&
      rd_kafka_fatal_error(producer_->get(), nullptr, 0) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    return producer_;
  }
  KafkaHandle::Spec spec{.type = RD_KAFKA_PRODUCER,
                         .settings = ProducerSettings(),
                         .on_delivery = &OnReport,
                         .background = true};
  // Callers wait for their records: one record goes out at once.
  spec.settings.emplace_back("linger.ms", "0");
  spec.settings.emplace_back("message.timeout.ms", std::to_string(kMessageMs));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto producer, KafkaHandle::Create(context_, std::move(spec)));
  ALERTSTREAM_RETURN_IF_ERROR(producer->MakeTopics());
  producer_ = std::move(producer);
  return producer_;
}

Result<std::vector<Appended>> KafkaAppender::Append(std::span<const NewRecord> records,
                                                    std::chrono::milliseconds timeout) {
  if (records.empty()) {
    return std::vector<Appended>();
  }
  const Deadline deadline(timeout);
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto partitions, topics_->KnownPartitions(timeout));
  ALERTSTREAM_RETURN_IF_ERROR(CheckRecords(records, partitions));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto producer, Producer());

  const auto reports = std::make_shared<Reports>(records.size());
  reports->self = reports;
  for (std::size_t i = 0; i < records.size(); ++i) {
    Expect(*reports);
    auto code = Produce(*producer, records[i], &reports->slots[i]);
    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && !deadline.Passed()) {
      SystemClock().SleepFor(kFullQueuePause);
      code = Produce(*producer, records[i], &reports->slots[i]);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      NoteFailure(*reports, code, context_->NameOf(records[i].topic), false);
      CountDown(*reports);
      break;
    }
  }
  CountDown(*reports);

  std::unique_lock lock(reports->mutex);
  const bool done = reports->done.wait_for(lock, std::chrono::milliseconds{deadline.RemainingMs()},
                                           [&] { return reports->outstanding == 0; });
  if (!done) {
    return Error(ErrorCode::kUnknown,
                 producer->Fail("appending", RD_KAFKA_RESP_ERR__TIMED_OUT).message());
  }
  if (reports->failure != RD_KAFKA_RESP_ERR_NO_ERROR) {
    auto failure = producer->Fail("appending to " + reports->failed_topic, reports->failure);
    return reports->maybe_stored ? Error(ErrorCode::kUnknown, failure.message()) : failure;
  }
  std::vector<Appended> appended;
  appended.reserve(records.size());
  for (const auto& slot : reports->slots) {
    appended.push_back(slot.result);
  }
  return appended;
}

}  // namespace alertstream::log
