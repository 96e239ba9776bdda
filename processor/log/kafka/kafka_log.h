// The log on Apache Kafka 2.5 or later, through librdkafka: what production runs.
//
// Thread-safe, as the port says. Opening contacts no broker: it only checks the settings. Only the
// program's wiring and tests use this header; everybody else sees EventLog.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "processor/base/result.h"
#include "processor/log/event_log.h"

namespace alertstream::log {

// Levels of syslog: 3 is an error, 4 a warning, 6 information, 7 debugging.
inline constexpr int kKafkaLogLevelError = 3;

struct KafkaLogOptions {
  // Brokers to begin with: "host:port", several separated by commas.
  std::string bootstrap;
  // By librdkafka's names: security.protocol, sasl.* and ssl.*, as far as they say how to connect.
  // All others are this adapter's business and refused with kInvalid. Values may be secrets and
  // never appear in a message.
  std::map<std::string, std::string> settings;
  // Names this process to the brokers (client.id).
  std::string instance = "alertstream";
  // Precedes the names of topics, the group id and transactional ids: one cluster can hold several
  // deployments, and tests. Letters, digits, '.', '_' and '-'.
  std::string topic_prefix;
  // Receives librdkafka's log lines up to `log_level`, from its threads; must be thread-safe and
  // outlive the log. Without it they are dropped.
  std::function<void(int level, std::string_view text)> on_log;
  int log_level = kKafkaLogLevelError;
};

// kInvalid names the setting that is not allowed or not accepted.
Result<std::unique_ptr<EventLog>> OpenKafkaLog(const KafkaLogOptions& options);

}  // namespace alertstream::log
