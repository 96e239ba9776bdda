#include "tests/support/kafka_admin.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "processor/base/clock.h"
#include "processor/log/kafka/client.h"

namespace alertstream::log {
namespace {

using KafkaDeleteTopic = KafkaPtr<rd_kafka_DeleteTopic_t, rd_kafka_DeleteTopic_destroy>;
using KafkaDeleteRecords = KafkaPtr<rd_kafka_DeleteRecords_t, rd_kafka_DeleteRecords_destroy>;
using KafkaConfigResource = KafkaPtr<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy>;

constexpr int kTimeoutMs = 30'000;
// Brokers learn of a change a little after it was answered.
constexpr std::chrono::milliseconds kSpreadPoll{20};

Result<std::shared_ptr<KafkaHandle>> Connect(const KafkaLogOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto context, MakeKafkaContext(options));
  return KafkaHandle::Create(std::move(context), {.type = RD_KAFKA_CONSUMER, .settings = {}});
}

// Runs `call` with a queue and looks at the whole result's error.
template <typename Call>
Result<KafkaEvent> Run(KafkaHandle& client, const char* what, const Call& call) {
  const KafkaQueue queue(rd_kafka_queue_new(client.get()));
  call(queue.get());
  KafkaEvent event(rd_kafka_queue_poll(queue.get(), kTimeoutMs));
  if (event == nullptr) {
    return client.Fail(what, RD_KAFKA_RESP_ERR__TIMED_OUT);
  }
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return client.Fail(what, code, rd_kafka_event_error_string(event.get()));
  }
  return event;
}

}  // namespace

Result<std::map<std::string, std::string>> ReadEnvFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return Error(ErrorCode::kNotFound, "no file " + path);
  }
  std::map<std::string, std::string> values;
  std::string line;
  while (std::getline(file, line)) {
    const auto at = line.find('=');
    if (at == std::string::npos) {
      continue;
    }
    auto value = line.substr(at + 1);
    if (value.size() >= 2 && value.front() == '\'' && value.back() == '\'') {
      value = value.substr(1, value.size() - 2);
    }
    values[line.substr(0, at)] = value;
  }
  return values;
}

Result<std::string> ReadSecretFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return Error(ErrorCode::kNotFound, "no file " + path);
  }
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  return text;
}

Status DeleteKafkaTopics(const KafkaLogOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto client, Connect(options));
  std::vector<KafkaDeleteTopic> owned;
  std::vector<rd_kafka_DeleteTopic_t*> topics;
  for (const auto& name : client->context().topic_names) {
    owned.emplace_back(rd_kafka_DeleteTopic_new(name.c_str()));
    topics.push_back(owned.back().get());
  }
  const auto event = Run(*client, "deleting topics", [&](rd_kafka_queue_t* queue) {
    rd_kafka_DeleteTopics(client->get(), topics.data(), topics.size(), nullptr, queue);
  });
  return event.ok() ? Status::Ok() : Status(event.error());
}

Status DeleteKafkaRecords(const KafkaLogOptions& options, TopicPartition source,
                          std::int64_t offset) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto client, Connect(options));
  const KafkaPartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), client->context().NameOf(source.topic).c_str(),
                                    source.partition)
      ->offset = offset;
  const KafkaDeleteRecords request(rd_kafka_DeleteRecords_new(list.get()));
  auto* raw = request.get();
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto event,
                               Run(*client, "deleting records", [&](rd_kafka_queue_t* queue) {
                                 rd_kafka_DeleteRecords(client->get(), &raw, 1, nullptr, queue);
                               }));
  const auto* deleted =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event.get()));
  const auto code = deleted->elems[0].err;
  return code == RD_KAFKA_RESP_ERR_NO_ERROR ? Status::Ok()
                                            : Status(client->Fail("deleting records", code));
}

Status SetKafkaTopicSetting(const KafkaLogOptions& options, Topic topic, const std::string& name,
                            const std::string& value) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto client, Connect(options));
  const KafkaConfigResource resource(rd_kafka_ConfigResource_new(
      RD_KAFKA_RESOURCE_TOPIC, client->context().NameOf(topic).c_str()));
  rd_kafka_ConfigResource_set_config(resource.get(), name.c_str(), value.c_str());
  auto* raw = resource.get();
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto event,
                               Run(*client, "changing a topic", [&](rd_kafka_queue_t* queue) {
                                 rd_kafka_AlterConfigs(client->get(), &raw, 1, nullptr, queue);
                               }));
  std::size_t count = 0;
  const auto* results = rd_kafka_AlterConfigs_result_resources(
      rd_kafka_event_AlterConfigs_result(event.get()), &count);
  const auto code = rd_kafka_ConfigResource_error(results[0]);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return client->Fail("changing a topic", code, rd_kafka_ConfigResource_error_string(results[0]));
  }
  const Deadline deadline(std::chrono::milliseconds{kTimeoutMs});
  for (;;) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto settings, DescribeKafkaTopic(options, topic));
    if (settings.at(name) == value) {
      return Status::Ok();
    }
    if (deadline.Passed()) {
      return Error(ErrorCode::kUnavailable, name + " was changed, but the broker does not show it");
    }
    SystemClock().SleepFor(kSpreadPoll);
  }
}

Result<std::map<std::string, std::string>> DescribeKafkaTopic(const KafkaLogOptions& options,
                                                              Topic topic) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto client, Connect(options));
  const KafkaConfigResource resource(rd_kafka_ConfigResource_new(
      RD_KAFKA_RESOURCE_TOPIC, client->context().NameOf(topic).c_str()));
  auto* raw = resource.get();
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto event,
                               Run(*client, "describing a topic", [&](rd_kafka_queue_t* queue) {
                                 rd_kafka_DescribeConfigs(client->get(), &raw, 1, nullptr, queue);
                               }));
  std::size_t count = 0;
  const auto* results = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  std::map<std::string, std::string> settings;
  const auto* entries = rd_kafka_ConfigResource_configs(results[0], &count);
  for (const auto* entry : std::span(entries, count)) {
    const auto* value = rd_kafka_ConfigEntry_value(entry);
    settings[rd_kafka_ConfigEntry_name(entry)] = value == nullptr ? "" : value;
  }
  return settings;
}

Status GrantKafkaRights(const KafkaLogOptions& admin, const std::string& user,
                        const std::string& jars) {
  std::array<char, 32> path{"/tmp/alertstream-acl-XXXXXX"};
  const int file = mkstemp(path.data());
  if (file < 0) {
    return Error(ErrorCode::kUnavailable, "no temporary file for the administrator's settings");
  }
  // What the Java client calls the same settings.
  const auto& settings = admin.settings;
  const bool scram = settings.at("sasl.mechanisms").starts_with("SCRAM");
  const auto text =
      "security.protocol=" + settings.at("security.protocol") +
      "\nsasl.mechanism=" + settings.at("sasl.mechanisms") +
      "\nssl.truststore.type=PEM\nssl.truststore.location=" + settings.at("ssl.ca.location") +
      "\nsasl.jaas.config=org.apache.kafka.common.security." +
      (scram ? "scram.ScramLoginModule" : "plain.PlainLoginModule") + " required username=\"" +
      settings.at("sasl.username") + "\" password=\"" + settings.at("sasl.password") + "\";\n";
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(file);
  const auto& prefix = admin.topic_prefix;
  const auto command = "java -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp '" + jars +
                       "/*' kafka.admin.AclCommand --bootstrap-server " + admin.bootstrap +
                       " --command-config " + path.data() +
                       " --add --allow-principal User:" + user + " --operation All --topic " +
                       prefix + " --group " + prefix + " --transactional-id " + prefix +
                       " --resource-pattern-type prefixed" + " >/dev/null";
  // NOLINTNEXTLINE(concurrency-mt-unsafe): glibc's is.
  const int status = written ? std::system(command.c_str()) : -1;
  unlink(path.data());
  if (status != 0) {
    return Error(ErrorCode::kUnavailable, "AclCommand of " + jars + " failed");
  }
  return Status::Ok();
}

}  // namespace alertstream::log
