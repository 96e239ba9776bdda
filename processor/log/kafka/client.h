// The C library's objects, each wrapped once, and what every part of this adapter shares: checked
// options, names of topics, deadlines, error codes. Thread-safe unless a class says otherwise.
// Private to processor/log/kafka and its tests.
#pragma once

#include <librdkafka/rdkafka.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/log/kafka/kafka_log.h"
#include "processor/log/record_limits.h"
#include "schemas/topics.h"

namespace alertstream::log {

// What a producer puts into one batch. Compared by brokers with max.message.bytes, so it is below
// the smallest of those (topics.cc).
inline constexpr std::int32_t kKafkaBatchBytesMax = 1'000'000;
// What Kafka's formats add to a record: lengths, a batch's head, a name's length for every header.
inline constexpr std::int32_t kKafkaFramingBytesMax = 1 << 14;
// The largest record of all topics as it travels.
inline constexpr std::int32_t kKafkaMessageBytesMax =
    schemas::kDeadLetterBytesMax + static_cast<std::int32_t>(kKeyAndHeadersBytesMax) +
    kKafkaFramingBytesMax;
static_assert(kKafkaBatchBytesMax < kKafkaMessageBytesMax);

template <auto kDestroy>
struct KafkaDestroy {
  template <typename T>
  void operator()(T* object) const {
    kDestroy(object);
  }
};

template <typename T, auto kDestroy>
using KafkaPtr = std::unique_ptr<T, KafkaDestroy<kDestroy>>;

using KafkaConf = KafkaPtr<rd_kafka_conf_t, rd_kafka_conf_destroy>;
using KafkaQueue = KafkaPtr<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using KafkaEvent = KafkaPtr<rd_kafka_event_t, rd_kafka_event_destroy>;
using KafkaTopic = KafkaPtr<rd_kafka_topic_t, rd_kafka_topic_destroy>;
using KafkaError = KafkaPtr<rd_kafka_error_t, rd_kafka_error_destroy>;
using KafkaHeaders = KafkaPtr<rd_kafka_headers_t, rd_kafka_headers_destroy>;
using KafkaPartitionList =
    KafkaPtr<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;

// A moment after which a call gives up.
class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds timeout);
  // Whole milliseconds that are left, never negative; what librdkafka takes as a time-out.
  int RemainingMs() const;
  bool Passed() const { return RemainingMs() == 0; }

 private:
  std::chrono::microseconds at_;
};

// What a log and all that it opened share; immutable.
struct KafkaContext {
  KafkaLogOptions options;
  std::array<std::string, schemas::kTopicCount> topic_names;  // With the prefix, catalogue order.

  const std::string& NameOf(Topic topic) const {
    return topic_names[static_cast<std::size_t>(topic) - 1];
  }
};

// kInvalid: an option is malformed.
Result<std::shared_ptr<const KafkaContext>> MakeKafkaContext(const KafkaLogOptions& options);

// The group id of our readers and of the offsets that are a courtesy to lag tools.
std::string GroupOf(const KafkaContext& context);

// kDenied, kNotFound or kFenced if the client says so, else kUnavailable.
ErrorCode CodeOf(rd_kafka_resp_err_t code);
// "site-events@3" for messages.
std::string PositionName(const KafkaContext& context, TopicPartition source);

using KafkaSetting = std::pair<const char*, std::string>;

// One client of the cluster: connections and threads of its own.
class KafkaHandle {
 public:
  using OnDelivery = std::function<void(const rd_kafka_message_t& message)>;

  // `on_delivery` is called while the handle is polled, or, if `background` is set, by a thread of
  // the library that does nothing else.
  struct Spec {
    rd_kafka_type_t type;
    std::vector<KafkaSetting> settings;
    OnDelivery on_delivery = nullptr;
    bool background = false;
  };
  static Result<std::shared_ptr<KafkaHandle>> Create(std::shared_ptr<const KafkaContext> context,
                                                     Spec spec);
  ~KafkaHandle();
  KafkaHandle(const KafkaHandle&) = delete;
  KafkaHandle& operator=(const KafkaHandle&) = delete;

  rd_kafka_t* get() const { return handle_; }
  const KafkaContext& context() const { return *context_; }

  // Topic objects of the whole catalogue, in its order.
  Status MakeTopics();
  rd_kafka_topic_t* topic(Topic topic) const {
    return topics_[static_cast<std::size_t>(topic) - 1].get();
  }

  // Learns the partitions of these topics, and their leaders, anew.
  rd_kafka_resp_err_t RefreshTopics(const Deadline& deadline);

  // Calls the callbacks that are due.
  void Poll() { rd_kafka_poll(handle_, 0); }
  // Connections lost since the handle was made. Poll first.
  std::size_t disturbances() const { return disturbances_.load(std::memory_order_relaxed); }

  // An error of a call: `what` it was doing, the library's reason, and the last thing that went
  // wrong on a connection, which is often the better explanation.
  Error Fail(std::string_view what, rd_kafka_resp_err_t code, std::string_view reason = {});

 private:
  KafkaHandle(std::shared_ptr<const KafkaContext> context, Spec spec);
  static void OnLog(const rd_kafka_t* handle, int level, const char* facility, const char* text);
  static void OnError(rd_kafka_t* handle, int code, const char* reason, void* self);
  static void OnMessage(rd_kafka_t* handle, const rd_kafka_message_t* message, void* self);
  static void OnEvent(rd_kafka_t* handle, rd_kafka_event_t* event, void* self);
  void NoteError(rd_kafka_resp_err_t code, const char* reason);

  const std::shared_ptr<const KafkaContext> context_;
  const Spec spec_;
  rd_kafka_t* handle_ = nullptr;
  std::array<KafkaTopic, schemas::kTopicCount> topics_;
  std::atomic<std::size_t> disturbances_ = 0;
  std::mutex mutex_;
  rd_kafka_resp_err_t last_code_ = RD_KAFKA_RESP_ERR_NO_ERROR;  // Guarded by mutex_.
  std::string last_reason_;                                     // Guarded by mutex_.
  std::chrono::microseconds last_at_{};                         // Guarded by mutex_; since boot.
};

// What both kinds of producer have in common.
std::vector<KafkaSetting> ProducerSettings();

// Hands one record to the producer, which copies it. The caller retries _QUEUE_FULL.
rd_kafka_resp_err_t Produce(KafkaHandle& producer, const NewRecord& record, void* opaque);

}  // namespace alertstream::log
