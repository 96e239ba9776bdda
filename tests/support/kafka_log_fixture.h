// The log on a real Kafka under the conformance suite. Each fixture has topics of its own, which it
// deletes at its end; ops/test names the brokers in the environment.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "processor/base/result.h"
#include "processor/log/kafka/kafka_log.h"
#include "tests/conformance/log_conformance.h"

namespace alertstream::log {

// HOST:PORT of a broker without security.
inline constexpr const char* kKafkaVariable = "ALERTSTREAM_TEST_KAFKA";
// The client.env of a broker with TLS, passwords and an authorizer (ops/kafka/broker --secure).
inline constexpr const char* kSecureKafkaVariable = "ALERTSTREAM_TEST_KAFKA_SECURE";

// Empty: the variable is not set.
std::string KafkaOfEnvironment(const char* variable);

// Options with a prefix that no other call returns.
KafkaLogOptions FreshKafkaOptions(const std::string& bootstrap);

struct SecureKafka {
  KafkaLogOptions processor;  // A user that has rights to its prefix only.
  KafkaLogOptions admin;      // With the same prefix.
};
// Options for the broker of a client.env, with a fresh prefix. The rights are granted once.
Result<SecureKafka> FreshSecureKafkaOptions(const std::string& client_env);

std::unique_ptr<LogFixture> MakeKafkaLogFixture(const KafkaLogOptions& options);

}  // namespace alertstream::log
