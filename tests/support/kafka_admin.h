// What only tests do to a Kafka cluster: delete topics and their records, grant rights to a user.
// Reads how to reach a test's broker from the file that ops/kafka/broker writes (client.env).
#pragma once

#include <map>
#include <string>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/log/kafka/kafka_log.h"

namespace alertstream::log {

// Lines of NAME='value'. kNotFound: no such file.
Result<std::map<std::string, std::string>> ReadEnvFile(const std::string& path);

// A file's bytes without the newline at the end.
Result<std::string> ReadSecretFile(const std::string& path);

// Deletes the catalogue's topics with the prefix of `options`.
Status DeleteKafkaTopics(const KafkaLogOptions& options);

// Deletes the records of a partition below `offset`.
Status DeleteKafkaRecords(const KafkaLogOptions& options, TopicPartition source,
                          std::int64_t offset);

// Sets one setting of a topic; all others go back to their defaults.
Status SetKafkaTopicSetting(const KafkaLogOptions& options, Topic topic, const std::string& name,
                            const std::string& value);

// All settings of a topic.
Result<std::map<std::string, std::string>> DescribeKafkaTopic(const KafkaLogOptions& options,
                                                              Topic topic);

// Lets `user` do all that logs whose prefix begins with that of `admin` need. Through Kafka's own
// command of the jars in the directory `jars`: librdkafka 2.0.2 knows no right to a transactional
// id.
Status GrantKafkaRights(const KafkaLogOptions& admin, const std::string& user,
                        const std::string& jars);

}  // namespace alertstream::log
