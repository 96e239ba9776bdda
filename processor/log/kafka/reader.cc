#include "processor/log/kafka/reader.h"

#include <algorithm>
#include <condition_variable>
#include <optional>

#include "processor/base/check.h"

namespace alertstream::log {
namespace {

// Prefetched bytes of one reader over all its sources: what a fold consumes in about half a second.
// A source may exceed its share by one fetch of it and by one record of the largest size.
constexpr std::size_t kPrefetchBytesMax = 16 << 20;
constexpr std::size_t kSourceBytesMin = 1 << 20;
constexpr std::size_t kSourceBytesMax = 4 << 20;
// The same for small records, each of which costs the library some 400 bytes besides its own.
constexpr std::size_t kPrefetchRecordsMax = 40'000;
constexpr std::size_t kSourceRecordsMin = 5'000;
// A response of the broker stays in memory while one record of it does.
constexpr std::size_t kResponseBytesMax = 8 << 20;
// Records taken from a source's queue at once.
constexpr std::size_t kTakeMax = 512;
// Taken at once by a wait, which only wants to know what there is.
constexpr std::size_t kPeekBytes = 64 << 10;
// How long a broker holds a fetch that finds nothing. It answers at once when a record arrives, so
// this delays none; but a source whose queue was full joins the next fetch only. At 25 ms one busy
// source of seven still reaches 280 k records/s, and four idle readers cost a broker 10 % of a
// core.
constexpr int kFetchWaitMs = 25;
// A source that is behind and has received nothing for so long is asked about once.
constexpr std::chrono::milliseconds kNudgeAfter{50};

// How much librdkafka may prefetch of one source.
struct SourceLimits {
  std::size_t bytes;
  std::size_t records;
};

SourceLimits LimitsOf(std::size_t sources) {
  return {.bytes = std::clamp(kPrefetchBytesMax / sources, kSourceBytesMin, kSourceBytesMax),
          .records = std::max(kPrefetchRecordsMax / sources, kSourceRecordsMin)};
}

// Messages and what their views need; several Fetched may share one.
struct Block {
  std::shared_ptr<KafkaHandle> consumer;  // Second owner: a message must not outlive its client.
  std::vector<rd_kafka_message_t*> messages;
  std::vector<Header> headers;

  Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() {
    for (auto* message : messages) {
      rd_kafka_message_destroy(message);
    }
  }
};

struct Source {
  TopicPartition name{};
  std::int64_t position = 0;
  KafkaQueue queue;
  // What was taken from the queue: records[next] is the first that was not returned yet.
  std::shared_ptr<Block> block;
  std::vector<RecordView> records;
  std::size_t next = 0;
  // What follows the last of `records`.
  std::optional<std::int64_t> end;
  std::optional<Error> failure;  // Final: the source returns nothing after it.
  bool failure_returned = false;
  bool at_end = false;
  bool filled = false;             // The queue may have reached its limits since the last nudge.
  std::size_t record_bytes = 256;  // A mean, to take about as much as a caller wants.

  bool HasRecords() const { return next < records.size(); }
};

std::string_view View(const void* bytes, std::size_t size) {
  return {static_cast<const char*>(bytes), size};
}

class KafkaReader final : public Reader {
 public:
  KafkaReader(std::shared_ptr<const KafkaContext> context, std::shared_ptr<KafkaHandle> consumer,
              SourceLimits limits)
      : context_(std::move(context)), consumer_(std::move(consumer)), limits_(limits) {}
  ~KafkaReader() override;

  Status Start(std::span<const ReadFrom> sources);

  Result<std::size_t> Fetch(std::size_t index, const FetchLimits& limits, Fetched* out) override;
  std::int64_t Position(std::size_t index) const override { return sources_.at(index).position; }
  void Wait(std::chrono::milliseconds timeout) override;
  void Wake() override;

 private:
  static void OnQueue(rd_kafka_t* handle, void* self);
  // Takes messages from the source's queue. False: there were none.
  bool Take(Source& source, std::size_t records_max, std::size_t bytes_max);
  void AddViews(Source& source, std::span<rd_kafka_message_t*> taken);
  void NoteCondition(Source& source, const rd_kafka_message_t& message);
  // True if the position moved.
  static bool PassEnd(Source& source);
  bool SomethingNew();
  // A source whose end was not reached; null: all are at their ends.
  const Source* Behind() const;
  void ServeClient();
  bool HalfFull(const Source& source) const;
  // Wakes the library's thread that fetches the source, see kNudgeAfter and Take.
  void Nudge(const Source& source);

  const std::shared_ptr<const KafkaContext> context_;
  std::shared_ptr<KafkaHandle> consumer_;
  const SourceLimits limits_;
  std::vector<Source> sources_;
  bool nudged_ = false;  // Since something arrived.
  std::mutex mutex_;
  std::condition_variable changed_;
  bool arrived_ = false;  // Guarded by mutex_: some queue is no longer empty.
  bool woken_ = false;    // Guarded by mutex_.
};

KafkaReader::~KafkaReader() {
  for (auto& source : sources_) {
    if (source.queue != nullptr) {
      rd_kafka_queue_cb_event_enable(source.queue.get(), nullptr, nullptr);
    }
  }
  // Queues must be gone before the last owner of the consumer is.
  sources_.clear();
}

Status KafkaReader::Start(std::span<const ReadFrom> sources) {
  const KafkaPartitionList list(
      rd_kafka_topic_partition_list_new(static_cast<int>(sources.size())));
  sources_.reserve(sources.size());
  for (const auto& [name, offset] : sources) {
    const auto& topic = context_->NameOf(name.topic);
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), name.partition)->offset = offset;
    auto& source = sources_.emplace_back();
    source.name = name;
    source.position = offset;
    source.queue.reset(
        rd_kafka_queue_get_partition(consumer_->get(), topic.c_str(), name.partition));
    if (source.queue == nullptr) {
      return Error(ErrorCode::kUnavailable, "kafka: no queue for " + PositionName(*context_, name));
    }
    // Before the assignment, which would join all queues into one otherwise.
    rd_kafka_queue_forward(source.queue.get(), nullptr);
    rd_kafka_queue_cb_event_enable(source.queue.get(), &OnQueue, this);
  }
  const auto code = rd_kafka_assign(consumer_->get(), list.get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return consumer_->Fail("opening a reader", code);
  }
  return Status::Ok();
}

void KafkaReader::OnQueue(rd_kafka_t*, void* self) {
  auto* reader = static_cast<KafkaReader*>(self);
  {
    const std::lock_guard lock(reader->mutex_);
    reader->arrived_ = true;
  }
  reader->changed_.notify_one();
}

Result<std::size_t> KafkaReader::Fetch(std::size_t index, const FetchLimits& limits, Fetched* out) {
  auto& source = sources_.at(index);
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < limits.records_max) {
    if (!source.HasRecords()) {
      PassEnd(source);
      if (source.failure.has_value()) {
        break;
      }
      const auto bytes_left = limits.bytes_max > bytes ? limits.bytes_max - bytes : 0;
      if (!Take(source, limits.records_max - count, bytes_left)) {
        break;
      }
      continue;
    }
    const auto before = count;
    while (source.HasRecords() && count < limits.records_max) {
      const auto& record = source.records[source.next];
      const auto size = record.key.size() + record.value.size();
      if (count > 0 && bytes + size > limits.bytes_max) {
        break;
      }
      out->records.push_back(record);
      source.position = record.offset + 1;
      bytes += size;
      ++count;
      ++source.next;
    }
    if (count > before) {
      out->owners.push_back(source.block);
    }
    if (source.HasRecords()) {
      break;
    }
  }
  if (!source.HasRecords()) {
    source.block.reset();
  }
  if (count == 0 && source.failure.has_value()) {
    source.failure_returned = true;
    return *source.failure;
  }
  return count;
}

// A full queue makes the library stop fetching, and if no other partition of that broker is being
// fetched it looks again after a second only. So it is woken when the queue is half empty again.
bool KafkaReader::Take(Source& source, std::size_t records_max, std::size_t bytes_max) {
  source.filled |= HalfFull(source);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): only what was filled is looked at.
  std::array<rd_kafka_message_t*, kTakeMax> taken;
  const auto wanted = std::min({records_max, bytes_max / source.record_bytes + 1, taken.size()});
  const auto count = rd_kafka_consume_batch_queue(source.queue.get(), 0, taken.data(), wanted);
  if (count <= 0) {
    return false;
  }
  nudged_ = false;
  source.at_end = false;
  AddViews(source, std::span(taken.data(), static_cast<std::size_t>(count)));
  if (source.filled && !HalfFull(source)) {
    source.filled = false;
    Nudge(source);
  }
  return true;
}

bool KafkaReader::HalfFull(const Source& source) const {
  const auto records = rd_kafka_queue_length(source.queue.get());
  return records * 2 >= limits_.records || records * source.record_bytes * 2 >= limits_.bytes;
}

void KafkaReader::AddViews(Source& source, std::span<rd_kafka_message_t*> taken) {
  auto block = std::make_shared<Block>();
  block->consumer = consumer_;
  block->messages.reserve(taken.size());
  source.records.clear();
  source.next = 0;
  std::size_t headers_max = 0;
  std::size_t bytes = 0;
  for (auto* message : taken) {
    const bool usable = message->err == RD_KAFKA_RESP_ERR_NO_ERROR && !source.failure.has_value();
    if (!usable || message->offset < source.position) {
      if (!usable && !source.failure.has_value()) {
        NoteCondition(source, *message);
      }
      rd_kafka_message_destroy(message);
      continue;
    }
    source.end.reset();
    source.at_end = false;
    block->messages.push_back(message);
    bytes += message->len + message->key_len;
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      headers_max += rd_kafka_header_cnt(headers);
    }
  }
  block->headers.reserve(headers_max);
  for (const auto* message : block->messages) {
    const auto first_header = block->headers.size();
    rd_kafka_headers_t* headers = nullptr;
    if (headers_max > 0 &&
        rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const char* name = nullptr;
      const void* value = nullptr;
      std::size_t size = 0;
      for (std::size_t i = 0;
           rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
           ++i) {
        block->headers.push_back({.name = name, .value = View(value, size)});
      }
    }
    source.records.push_back({.offset = message->offset,
                              .append_time = LogTime{std::chrono::milliseconds{
                                  rd_kafka_message_timestamp(message, nullptr)}},
                              .key = View(message->key, message->key_len),
                              .value = View(message->payload, message->len),
                              .headers = std::span(block->headers).subspan(first_header)});
  }
  if (!source.records.empty()) {
    source.record_bytes = bytes / source.records.size() + 1;
    source.block = std::move(block);
  }
}

// The end of the partition, or an error in place of a message.
void KafkaReader::NoteCondition(Source& source, const rd_kafka_message_t& message) {
  const auto code = message.err;
  if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    source.end = message.offset;
    source.at_end = true;
    return;
  }
  const auto where =
      PositionName(*context_, source.name) + ", offset " + std::to_string(source.position);
  if (code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
      code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
    source.failure.emplace(ErrorCode::kCorrupt,
                           "kafka: " + where +
                               ": the partition does not hold this position any more; it was "
                               "truncated, or the topic was deleted and created again");
  } else if (code == RD_KAFKA_RESP_ERR__BAD_MSG || code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION ||
             code == RD_KAFKA_RESP_ERR_INVALID_MSG || code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE) {
    source.failure.emplace(ErrorCode::kCorrupt, "kafka: damaged records at or behind " + where +
                                                    ": " + rd_kafka_err2str(code));
  } else if (CodeOf(code) == ErrorCode::kDenied) {
    source.failure.emplace(ErrorCode::kDenied,
                           "kafka: may not read " + where + ": " + rd_kafka_err2str(code));
  }
  // Everything else heals: the library goes on at the same offset when it can.
}

// The markers and aborted records before a known end are passed once all before them was returned.
bool KafkaReader::PassEnd(Source& source) {
  if (source.HasRecords() || !source.end.has_value()) {
    return false;
  }
  const bool moved = *source.end > source.position;
  source.position = std::max(source.position, *source.end);
  source.end.reset();
  return moved;
}

// Also when only a position has moved: somebody may be waiting for a source to reach its end.
bool KafkaReader::SomethingNew() {
  bool found = false;
  for (auto& source : sources_) {
    while (!source.HasRecords() && !source.failure.has_value() &&
           rd_kafka_queue_length(source.queue.get()) > 0 && Take(source, kTakeMax, kPeekBytes)) {
      found |= PassEnd(source);
    }
    found |= source.HasRecords() || (source.failure.has_value() && !source.failure_returned);
  }
  return found;
}

const Source* KafkaReader::Behind() const {
  const auto at = std::find_if(sources_.begin(), sources_.end(), [](const Source& source) {
    return !source.at_end && !source.failure.has_value();
  });
  return at == sources_.end() ? nullptr : &*at;
}

void KafkaReader::Wait(std::chrono::milliseconds timeout) {
  ServeClient();
  const Deadline deadline(timeout);
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (woken_) {
        woken_ = false;
        return;
      }
      arrived_ = false;
    }
    // Outside the lock: librdkafka calls OnQueue with the queue's lock held.
    if (SomethingNew() || deadline.Passed()) {
      return;
    }
    const auto* behind = nudged_ ? nullptr : Behind();
    std::chrono::milliseconds pause{deadline.RemainingMs()};
    if (behind != nullptr) {
      pause = std::min(pause, kNudgeAfter);
    }
    std::unique_lock lock(mutex_);
    const bool ended = changed_.wait_for(lock, pause, [this] { return arrived_ || woken_; });
    lock.unlock();
    if (!ended && behind != nullptr && pause == kNudgeAfter) {
      nudged_ = true;
      Nudge(*behind);
    }
  }
}

void KafkaReader::Wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

// Errors of connections, and of the group that we do not use.
void KafkaReader::ServeClient() {
  consumer_->Poll();
  while (auto* message = rd_kafka_consumer_poll(consumer_->get(), 0)) {
    rd_kafka_message_destroy(message);
  }
}

// Any request to the partition's leader wakes its thread. This one's answer is not waited for.
void KafkaReader::Nudge(const Source& source) {
  const KafkaPartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), context_->NameOf(source.name.topic).c_str(),
                                    source.name.partition)
      ->offset = RD_KAFKA_OFFSET_END;
  rd_kafka_offsets_for_times(consumer_->get(), list.get(), 0);
}

}  // namespace

Result<std::unique_ptr<Reader>> OpenKafkaReader(std::shared_ptr<const KafkaContext> context,
                                                std::span<const ReadFrom> sources) {
  ALERTSTREAM_CHECK(!sources.empty());
  const auto limits = LimitsOf(sources.size());
  KafkaHandle::Spec spec{.type = RD_KAFKA_CONSUMER,
                         .settings = {
                             {"group.id", GroupOf(*context)},
                             {"isolation.level", "read_committed"},
                             {"enable.partition.eof", "true"},
                             {"auto.offset.reset", "error"},
                             {"enable.auto.commit", "false"},
                             {"enable.auto.offset.store", "false"},
                             {"check.crcs", "true"},
                             {"fetch.wait.max.ms", std::to_string(kFetchWaitMs)},
                             {"fetch.error.backoff.ms", "50"},
                             {"fetch.max.bytes", std::to_string(kResponseBytesMax)},
                             {"fetch.message.max.bytes", std::to_string(kSourceBytesMin)},
                             {"queued.max.messages.kbytes", std::to_string(limits.bytes / 1024)},
                             {"queued.min.messages", std::to_string(limits.records)},
                         }};
  ALERTSTREAM_ASSIGN_OR_RETURN(auto consumer, KafkaHandle::Create(context, std::move(spec)));
  auto reader = std::make_unique<KafkaReader>(std::move(context), std::move(consumer), limits);
  ALERTSTREAM_RETURN_IF_ERROR(reader->Start(sources));
  return std::unique_ptr<Reader>(std::move(reader));
}

}  // namespace alertstream::log
