#include "processor/log/kafka/client.h"

#include <algorithm>
#include <cctype>

#include "processor/base/clock.h"

namespace alertstream::log {
namespace {

// How to connect and who we are; nothing that changes what is read or written, loads a library or
// runs a command.
constexpr std::string_view kAllowedSettings[] = {
    "broker.address.family",
    "enable.ssl.certificate.verification",
    "sasl.kerberos.keytab",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.sigalgs.list",
};

// An older error of a connection no longer explains why a call failed.
constexpr std::chrono::seconds kReasonAgeMax{60};

// Kafka's own limit on a topic's name is 249; the catalogue's longest has 21.
constexpr std::size_t kPrefixBytesMax = 200;

bool IsPrefix(std::string_view text) {
  return text.size() <= kPrefixBytesMax && std::all_of(text.begin(), text.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' ||
                  c == '-';
         });
}

// Errors of a connection after which a request may have been lost on the way, or may still arrive.
bool IsDisturbance(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
         code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__SSL ||
         code == RD_KAFKA_RESP_ERR__AUTHENTICATION;
}

// An empty view may be a null pointer, which Kafka would store as an absent key or value.
void* Bytes(std::string_view bytes) {
  return const_cast<char*>(bytes.data() == nullptr ? "" : bytes.data());
}

rd_kafka_vu_t Value(rd_kafka_vtype_t type, std::string_view bytes) {
  rd_kafka_vu_t value;
  value.vtype = type;
  value.u.mem.ptr = Bytes(bytes);
  value.u.mem.size = bytes.size();
  return value;
}

KafkaHeaders CopyHeaders(std::span<const Header> headers) {
  KafkaHeaders copy(rd_kafka_headers_new(headers.size()));
  for (const auto& [name, value] : headers) {
    rd_kafka_header_add(copy.get(), static_cast<const char*>(Bytes(name)),
                        static_cast<ssize_t>(name.size()), Bytes(value),
                        static_cast<ssize_t>(value.size()));
  }
  return copy;
}

}  // namespace

Deadline::Deadline(std::chrono::milliseconds timeout) : at_(SystemClock().SinceBoot() + timeout) {}

int Deadline::RemainingMs() const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - SystemClock().SinceBoot());
  constexpr std::int64_t kMsMax = 3'600'000;  // Fits librdkafka's int; nobody waits for an hour.
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, kMsMax));
}

Result<std::shared_ptr<const KafkaContext>> MakeKafkaContext(const KafkaLogOptions& options) {
  if (options.bootstrap.empty()) {
    return Error(ErrorCode::kInvalid, "kafka: no broker is configured (kafka.bootstrap)");
  }
  if (!IsPrefix(options.topic_prefix)) {
    return Error(ErrorCode::kInvalid, "kafka: topic_prefix may hold at most " +
                                          std::to_string(kPrefixBytesMax) +
                                          " letters, digits, '.', '_' and '-'");
  }
  for (const auto& [name, value] : options.settings) {
    const auto* end = std::end(kAllowedSettings);
    if (std::find(std::begin(kAllowedSettings), end, name) == end) {
      return Error(ErrorCode::kInvalid, "kafka: the setting " + name +
                                            " is not allowed; security.protocol, sasl.* and ssl.* "
                                            "settings that say how to connect are");
    }
  }
  auto context = std::make_shared<KafkaContext>();
  context->options = options;
  for (std::size_t i = 0; i < schemas::kTopicCount; ++i) {
    context->topic_names[i] = options.topic_prefix + std::string(schemas::kTopics[i].name);
  }
  return std::shared_ptr<const KafkaContext>(std::move(context));
}

std::string GroupOf(const KafkaContext& context) {
  return context.options.topic_prefix + "alertstream";
}

ErrorCode CodeOf(rd_kafka_resp_err_t code) {
  if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
      code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
      code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED ||
      code == RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED ||
      code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
      code == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
    return ErrorCode::kDenied;
  }
  if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
      code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) {
    return ErrorCode::kNotFound;
  }
  if (code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
      code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH) {
    return ErrorCode::kFenced;
  }
  return ErrorCode::kUnavailable;
}

std::string PositionName(const KafkaContext& context, TopicPartition source) {
  return context.NameOf(source.topic) + "@" + std::to_string(source.partition);
}

KafkaHandle::KafkaHandle(std::shared_ptr<const KafkaContext> context, Spec spec)
    : context_(std::move(context)), spec_(std::move(spec)) {}

Result<std::shared_ptr<KafkaHandle>> KafkaHandle::Create(
    std::shared_ptr<const KafkaContext> context, Spec spec) {
  std::shared_ptr<KafkaHandle> self(new KafkaHandle(std::move(context), std::move(spec)));
  const auto& options = self->context_->options;
  const KafkaConf conf(rd_kafka_conf_new());
  std::array<char, 512> reason{};
  std::vector<KafkaSetting> settings = {
      {"bootstrap.servers", options.bootstrap},
      {"client.id", options.instance},
      {"log_level", std::to_string(options.log_level)},
      {"socket.nagle.disable", "true"},
      // A broker that is gone without a word is given up by then, not after the library's minute:
      // several of them, one after another, within half a minute.
      {"socket.timeout.ms", "5000"},
      // A broker that is back is used within a second.
      {"reconnect.backoff.max.ms", "1000"},
  };
  settings.insert(settings.end(), self->spec_.settings.begin(), self->spec_.settings.end());
  for (const auto& [name, value] : options.settings) {
    settings.emplace_back(name.c_str(), value);
  }
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf.get(), name, value.c_str(), reason.data(), reason.size()) !=
        RD_KAFKA_CONF_OK) {
      // The library's reason may quote the value, which may be a secret.
      return Error(ErrorCode::kInvalid,
                   "kafka: the setting " + std::string(name) + " has a value that is not accepted");
    }
  }
  rd_kafka_conf_set_opaque(conf.get(), self.get());
  rd_kafka_conf_set_log_cb(conf.get(), &OnLog);
  rd_kafka_conf_set_error_cb(conf.get(), &OnError);
  if (self->spec_.background) {
    rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    rd_kafka_conf_set_background_event_cb(conf.get(), &OnEvent);
  } else if (self->spec_.on_delivery) {
    rd_kafka_conf_set_dr_msg_cb(conf.get(), &OnMessage);
  }
  // rd_kafka_new takes the configuration only if it succeeds.
  auto* copy = rd_kafka_conf_dup(conf.get());
  self->handle_ = rd_kafka_new(self->spec_.type, copy, reason.data(), reason.size());
  if (self->handle_ == nullptr) {
    rd_kafka_conf_destroy(copy);
    return Error(ErrorCode::kInvalid, "kafka: " + std::string(reason.data()));
  }
  if (self->spec_.background) {
    const KafkaQueue main(rd_kafka_queue_get_main(self->handle_));
    const KafkaQueue background(rd_kafka_queue_get_background(self->handle_));
    rd_kafka_queue_forward(main.get(), background.get());
  }
  return self;
}

KafkaHandle::~KafkaHandle() {
  if (handle_ == nullptr) {
    return;
  }
  if (spec_.type == RD_KAFKA_PRODUCER) {
    // Every message that is still under way gets its report, so that who waits for it knows.
    constexpr int kReportsMs = 1000;
    rd_kafka_purge(handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(handle_, kReportsMs);
  }
  for (auto& topic : topics_) {
    topic.reset();
  }
  // We are never a member of a group, so there is nothing to leave.
  rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

Status KafkaHandle::MakeTopics() {
  for (std::size_t i = 0; i < topics_.size(); ++i) {
    topics_[i].reset(rd_kafka_topic_new(handle_, context_->topic_names[i].c_str(), nullptr));
    if (topics_[i] == nullptr) {
      return Fail("topic " + context_->topic_names[i], rd_kafka_last_error());
    }
  }
  return Status::Ok();
}

rd_kafka_resp_err_t KafkaHandle::RefreshTopics(const Deadline& deadline) {
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto code =
      rd_kafka_metadata(handle_, 0, nullptr, &metadata, std::max(deadline.RemainingMs(), 1));
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_metadata_destroy(metadata);
  }
  return code;
}

void KafkaHandle::OnLog(const rd_kafka_t* handle, int level, const char* facility,
                        const char* text) {
  const auto* self = static_cast<const KafkaHandle*>(rd_kafka_opaque(handle));
  const auto& options = self->context_->options;
  if (options.on_log && level <= options.log_level) {
    options.on_log(level, std::string(facility) + ": " + text);
  }
}

void KafkaHandle::OnError(rd_kafka_t*, int code, const char* reason, void* self) {
  static_cast<KafkaHandle*>(self)->NoteError(static_cast<rd_kafka_resp_err_t>(code), reason);
}

void KafkaHandle::OnMessage(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
  static_cast<KafkaHandle*>(self)->spec_.on_delivery(*message);
}

void KafkaHandle::OnEvent(rd_kafka_t*, rd_kafka_event_t* event, void* self) {
  const KafkaEvent owned(event);
  auto* handle = static_cast<KafkaHandle*>(self);
  if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
    while (const auto* message = rd_kafka_event_message_next(event)) {
      handle->spec_.on_delivery(*message);
    }
  } else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
    handle->NoteError(rd_kafka_event_error(event), rd_kafka_event_error_string(event));
  }
}

void KafkaHandle::NoteError(rd_kafka_resp_err_t code, const char* reason) {
  if (IsDisturbance(code)) {
    disturbances_.fetch_add(1, std::memory_order_relaxed);
  }
  // This one only counts the others and would hide the reason.
  if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
    const std::lock_guard lock(mutex_);
    last_code_ = code;
    last_reason_ = reason == nullptr ? "" : reason;
    last_at_ = SystemClock().SinceBoot();
  }
}

Error KafkaHandle::Fail(std::string_view what, rd_kafka_resp_err_t code, std::string_view reason) {
  if (!spec_.background) {
    Poll();
  }
  auto result = CodeOf(code);
  std::string text = "kafka: " + std::string(what) + ": ";
  text += reason.empty() ? rd_kafka_err2str(code) : reason;
  const std::lock_guard lock(mutex_);
  const bool recent = SystemClock().SinceBoot() - last_at_ < kReasonAgeMax;
  if (result == ErrorCode::kUnavailable && !last_reason_.empty() && recent) {
    text += "; the last error of a connection: " + last_reason_;
    if (CodeOf(last_code_) == ErrorCode::kDenied) {
      result = ErrorCode::kDenied;
    }
  }
  return {result, std::move(text)};
}

std::vector<KafkaSetting> ProducerSettings() {
  return {
      {"enable.idempotence", "true"},
      {"acks", "all"},
      {"partitioner", "murmur2_random"},
      // A batch must pass the smallest max.message.bytes of the topics (topics.cc), a single record
      // the largest.
      {"batch.size", std::to_string(kKafkaBatchBytesMax)},
      {"message.max.bytes", std::to_string(kKafkaMessageBytesMax)},
      {"batch.num.messages", "100000"},
      // Bounds what one append holds in memory twice over; the message count never does.
      {"queue.buffering.max.messages", "1000000"},
      {"queue.buffering.max.kbytes", "131072"},
      // Retries hammer neither the broker nor, with the default of 100 ms, our latency.
      {"retry.backoff.ms", "20"},
      {"topic.metadata.refresh.fast.interval.ms", "50"},
  };
}

rd_kafka_resp_err_t Produce(KafkaHandle& producer, const NewRecord& record, void* opaque) {
  auto* topic = producer.topic(record.topic);
  if (record.headers.empty()) {
    const int failed =
        rd_kafka_produce(topic, record.partition, RD_KAFKA_MSG_F_COPY, Bytes(record.value),
                         record.value.size(), Bytes(record.key), record.key.size(), opaque);
    return failed == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
  }
  auto headers = CopyHeaders(record.headers);
  std::array<rd_kafka_vu_t, 7> values{};
  values[0].vtype = RD_KAFKA_VTYPE_RKT;
  values[0].u.rkt = topic;
  values[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  values[1].u.i32 = record.partition;
  values[2] = Value(RD_KAFKA_VTYPE_KEY, record.key);
  values[3] = Value(RD_KAFKA_VTYPE_VALUE, record.value);
  values[4].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  values[4].u.i = RD_KAFKA_MSG_F_COPY;
  values[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
  values[5].u.ptr = opaque;
  values[6].vtype = RD_KAFKA_VTYPE_HEADERS;
  values[6].u.headers = headers.get();
  const KafkaError error(rd_kafka_produceva(producer.get(), values.data(), values.size()));
  if (error != nullptr) {
    return rd_kafka_error_code(error.get());
  }
  // The message owns them now.
  static_cast<void>(headers.release());
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

}  // namespace alertstream::log
