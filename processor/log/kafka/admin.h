// The C library's admin API: its objects, each wrapped once, and one call of it. Thread-safe as
// KafkaHandle is. Private to processor/log/kafka.
#pragma once

#include <algorithm>
#include <string_view>

#include "processor/base/result.h"
#include "processor/log/kafka/client.h"

namespace alertstream::log {

using KafkaMetadata = KafkaPtr<const rd_kafka_metadata_t, rd_kafka_metadata_destroy>;
using KafkaAdminOptions = KafkaPtr<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
using KafkaConfigResource = KafkaPtr<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy>;

// Runs one call of the admin API and returns its result event.
template <typename Call>
Result<KafkaEvent> RunAdmin(KafkaHandle& client, std::string_view what,
                            rd_kafka_admin_op_t operation, const Deadline& deadline,
                            const Call& call) {
  const int timeout_ms = std::max(deadline.RemainingMs(), 1);
  const KafkaAdminOptions options(rd_kafka_AdminOptions_new(client.get(), operation));
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms, nullptr, 0);
  if (operation == RD_KAFKA_ADMIN_OP_CREATETOPICS) {
    rd_kafka_AdminOptions_set_operation_timeout(options.get(), timeout_ms, nullptr, 0);
  }
  const KafkaQueue queue(rd_kafka_queue_new(client.get()));
  call(options.get(), queue.get());
  // The request's own time-out comes first and has the better reason.
  constexpr int kGraceMs = 500;
  KafkaEvent event(rd_kafka_queue_poll(queue.get(), timeout_ms + kGraceMs));
  if (event == nullptr) {
    return client.Fail(what, RD_KAFKA_RESP_ERR__TIMED_OUT);
  }
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return client.Fail(what, code, rd_kafka_event_error_string(event.get()));
  }
  return event;
}

}  // namespace alertstream::log
