#include "processor/log/kafka/topics.h"

#include <algorithm>
#include <map>
#include <optional>

#include "processor/base/clock.h"
#include "processor/log/kafka/admin.h"

namespace alertstream::log {
namespace {

using Settings = std::map<std::string, std::string>;

using KafkaNewTopic = KafkaPtr<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy>;

// A controller answers before the brokers know a new topic or setting.
constexpr std::chrono::milliseconds kSpreadPoll{20};

// Two of three copies, so that one broker may fail, and an acknowledged record survives it.
constexpr std::int32_t kReplicationForTwo = 3;

struct Described {
  Settings all;
  Settings own;  // Set on the topic itself: AlterConfigs drops what it does not name.
};

Result<std::vector<Described>> DescribeSettings(KafkaHandle& client,
                                                const std::vector<std::string>& names,
                                                const Deadline& deadline) {
  std::vector<KafkaConfigResource> owned;
  std::vector<rd_kafka_ConfigResource_t*> resources;
  std::map<std::string, std::size_t> index;
  for (const auto& name : names) {
    index[name] = owned.size();
    owned.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
    resources.push_back(owned.back().get());
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto event,
      RunAdmin(client, "reading the settings of topics", RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
               deadline, [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                 rd_kafka_DescribeConfigs(client.get(), resources.data(), resources.size(), options,
                                          queue);
               }));
  std::vector<Described> described(names.size());
  std::size_t count = 0;
  const auto* results = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  for (const auto* result : std::span(results, count)) {
    const std::string name = rd_kafka_ConfigResource_name(result);
    const auto code = rd_kafka_ConfigResource_error(result);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return client.Fail("reading the settings of " + name, code,
                         rd_kafka_ConfigResource_error_string(result));
    }
    auto& topic = described.at(index.at(name));
    std::size_t entries_count = 0;
    const auto* entries = rd_kafka_ConfigResource_configs(result, &entries_count);
    for (const auto* entry : std::span(entries, entries_count)) {
      const auto* value = rd_kafka_ConfigEntry_value(entry);
      if (value != nullptr) {
        topic.all[rd_kafka_ConfigEntry_name(entry)] = value;
        if (rd_kafka_ConfigEntry_source(entry) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG) {
          topic.own[rd_kafka_ConfigEntry_name(entry)] = value;
        }
      }
    }
  }
  return described;
}

std::vector<std::string> WrongSettings(const TopicInfo& info, const Settings& found) {
  std::vector<std::string> wrong;
  for (const auto& [name, expected] :
       KafkaTopicSettings(schemas::SpecOf(info.topic), info.replication)) {
    const auto at = found.find(name);
    const auto value = at == found.end() ? std::string("not set") : at->second;
    if (value != expected) {
      auto& text = wrong.emplace_back(name);
      text.append(" is ").append(value).append(", expected ").append(expected);
    }
  }
  return wrong;
}

bool Missing(const TopicInfo& info) { return !info.exists; }

}  // namespace

std::vector<std::pair<std::string, std::string>> KafkaTopicSettings(const schemas::TopicSpec& spec,
                                                                    std::int32_t replication) {
  const auto record_bytes_max =
      spec.value_bytes_max + static_cast<std::int32_t>(kKeyAndHeadersBytesMax);
  return {
      {"message.timestamp.type", "LogAppendTime"},
      {"cleanup.policy", "delete"},
      {"retention.ms", std::to_string(spec.retention_ms)},
      {"retention.bytes", "-1"},
      {"max.message.bytes",
       std::to_string(std::max(record_bytes_max, kKafkaBatchBytesMax) + kKafkaFramingBytesMax)},
      {"min.insync.replicas", replication >= kReplicationForTwo ? "2" : "1"},
      {"unclean.leader.election.enable", "false"},
  };
}

Result<std::shared_ptr<KafkaHandle>> MakeKafkaAsker(std::shared_ptr<const KafkaContext> context,
                                                    const char* isolation) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto client,
      KafkaHandle::Create(std::move(context), {.type = RD_KAFKA_CONSUMER,
                                               .settings = {{"isolation.level", isolation}}}));
  ALERTSTREAM_RETURN_IF_ERROR(client->MakeTopics());
  return client;
}

Result<std::vector<TopicInfo>> KafkaTopics::List(const Deadline& deadline) {
  const rd_kafka_metadata_t* raw = nullptr;
  const auto code =
      rd_kafka_metadata(client_->get(), 0, nullptr, &raw, std::max(deadline.RemainingMs(), 1));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return client_->Fail("asking " + client_->context().options.bootstrap + " for topics", code);
  }
  const KafkaMetadata metadata(raw);
  std::map<std::string, const rd_kafka_metadata_topic_t*> found;
  for (const auto& topic :
       std::span(metadata->topics, static_cast<std::size_t>(metadata->topic_cnt))) {
    found[topic.topic] = &topic;
  }
  std::vector<TopicInfo> infos;
  for (const auto& spec : schemas::kTopics) {
    auto& info = infos.emplace_back();
    info.topic = spec.topic;
    const auto& name = client_->context().NameOf(spec.topic);
    const auto at = found.find(name);
    if (at == found.end() || CodeOf(at->second->err) == ErrorCode::kNotFound) {
      continue;
    }
    const auto& topic = *at->second;
    if (topic.err != RD_KAFKA_RESP_ERR_NO_ERROR && topic.partition_cnt == 0) {
      return client_->Fail("asking for topic " + name, topic.err);
    }
    info.exists = true;
    info.partitions = topic.partition_cnt;
    info.replication = topic.partition_cnt > 0 ? topic.partitions[0].replica_cnt : 0;
  }
  return infos;
}

Result<std::vector<TopicInfo>> KafkaTopics::Describe(std::chrono::milliseconds timeout) {
  const Deadline deadline(timeout);
  ALERTSTREAM_ASSIGN_OR_RETURN(auto infos, List(deadline));
  std::vector<std::string> names;
  std::vector<TopicInfo*> existing;
  for (auto& info : infos) {
    if (info.exists) {
      names.push_back(client_->context().NameOf(info.topic));
      existing.push_back(&info);
    }
  }
  if (!names.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto settings, DescribeSettings(*client_, names, deadline));
    for (std::size_t i = 0; i < existing.size(); ++i) {
      existing[i]->wrong_settings = WrongSettings(*existing[i], settings[i].all);
    }
  }
  return infos;
}

Result<std::vector<TopicInfo>> KafkaTopics::ListAsApplied(const Deadline& deadline) {
  for (;;) {
    auto infos = List(deadline);
    if (!applied_.load() || !infos.ok() || deadline.Passed() ||
        std::none_of(infos.value().begin(), infos.value().end(), Missing)) {
      return infos;
    }
    SystemClock().SleepFor(kSpreadPoll);
  }
}

Result<std::int32_t> KafkaTopics::Partitions(std::chrono::milliseconds timeout) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto infos, ListAsApplied(Deadline(timeout)));
  for (const auto& info : infos) {
    const auto& name = client_->context().NameOf(info.topic);
    if (!info.exists) {
      return Error(
          ErrorCode::kNotFound,
          "kafka: topic " + name + " does not exist; `alertstream topics apply` creates it");
    }
    if (info.partitions != infos[0].partitions) {
      return Error(ErrorCode::kConflict,
                   "kafka: topic " + name + " has " + std::to_string(info.partitions) +
                       " partitions, " + client_->context().NameOf(infos[0].topic) + " has " +
                       std::to_string(infos[0].partitions) + "; all must have the same number");
    }
  }
  partitions_.store(infos[0].partitions);
  return infos[0].partitions;
}

Result<std::int32_t> KafkaTopics::KnownPartitions(std::chrono::milliseconds timeout) {
  const auto known = partitions_.load();
  if (known > 0) {
    return known;
  }
  return Partitions(timeout);
}

Status KafkaTopics::Apply(const TopicPlan& plan, std::chrono::milliseconds timeout) {
  if (plan.partitions < 1 || plan.partitions > kPartitionsMax || plan.replication < 1) {
    return Error(ErrorCode::kInvalid, "kafka: partitions must be 1 to " +
                                          std::to_string(kPartitionsMax) +
                                          ", replication at least 1");
  }
  const Deadline deadline(timeout);
  ALERTSTREAM_ASSIGN_OR_RETURN(auto infos, List(deadline));
  for (const auto& info : infos) {
    if (info.exists && info.partitions != plan.partitions) {
      return Error(ErrorCode::kConflict, "kafka: topic " + client_->context().NameOf(info.topic) +
                                             " has " + std::to_string(info.partitions) +
                                             " partitions, not " + std::to_string(plan.partitions) +
                                             "; the number is fixed at creation");
    }
  }
  if (std::any_of(infos.begin(), infos.end(), Missing)) {
    ALERTSTREAM_RETURN_IF_ERROR(Create(infos, plan, deadline));
  }
  ALERTSTREAM_RETURN_IF_ERROR(Mend(infos, deadline));
  ALERTSTREAM_RETURN_IF_ERROR(AwaitSpread(deadline));
  applied_.store(true);
  return Status::Ok();
}

Status KafkaTopics::Create(const std::vector<TopicInfo>& topics, const TopicPlan& plan,
                           const Deadline& deadline) {
  std::vector<KafkaNewTopic> owned;
  std::vector<rd_kafka_NewTopic_t*> missing;
  for (const auto& info : topics) {
    if (info.exists) {
      continue;
    }
    const auto& name = client_->context().NameOf(info.topic);
    owned.emplace_back(
        rd_kafka_NewTopic_new(name.c_str(), plan.partitions, plan.replication, nullptr, 0));
    for (const auto& [setting, value] :
         KafkaTopicSettings(schemas::SpecOf(info.topic), plan.replication)) {
      rd_kafka_NewTopic_set_config(owned.back().get(), setting.c_str(), value.c_str());
    }
    missing.push_back(owned.back().get());
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto event,
      RunAdmin(*client_, "creating topics", RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline,
               [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                 rd_kafka_CreateTopics(client_->get(), missing.data(), missing.size(), options,
                                       queue);
               }));
  std::size_t count = 0;
  const auto* results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (const auto* result : std::span(results, count)) {
    const auto code = rd_kafka_topic_result_error(result);
    // Another process may apply the same catalogue.
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
      return client_->Fail(std::string("creating topic ") + rd_kafka_topic_result_name(result),
                           code, rd_kafka_topic_result_error_string(result));
    }
  }
  return Status::Ok();
}

Status KafkaTopics::AwaitSpread(const Deadline& deadline) {
  for (;;) {
    const auto topics = Describe(std::chrono::milliseconds{deadline.RemainingMs()});
    if (!topics.ok()) {
      // One broker has listed a topic that the next one does not know yet.
      if (topics.error().code() != ErrorCode::kNotFound || deadline.Passed()) {
        return topics.error();
      }
      SystemClock().SleepFor(kSpreadPoll);
      continue;
    }
    const auto late = std::find_if(
        topics.value().begin(), topics.value().end(),
        [](const TopicInfo& info) { return !info.exists || !info.wrong_settings.empty(); });
    if (late == topics.value().end()) {
      return Status::Ok();
    }
    if (deadline.Passed()) {
      return Error(ErrorCode::kUnavailable,
                   "kafka: topic " + client_->context().NameOf(late->topic) +
                       (late->exists ? " was changed, but " + late->wrong_settings[0]
                                     : " was created, but the brokers do not show it yet"));
    }
    SystemClock().SleepFor(kSpreadPoll);
  }
}

// AlterConfigs replaces all settings of a topic, so what else is set on it is sent again.
Status KafkaTopics::Mend(const std::vector<TopicInfo>& topics, const Deadline& deadline) {
  std::vector<std::string> names;
  std::vector<const TopicInfo*> existing;
  for (const auto& info : topics) {
    if (info.exists) {
      names.push_back(client_->context().NameOf(info.topic));
      existing.push_back(&info);
    }
  }
  if (names.empty()) {
    return Status::Ok();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto described, DescribeSettings(*client_, names, deadline));
  std::vector<KafkaConfigResource> owned;
  std::vector<rd_kafka_ConfigResource_t*> wrong;
  for (std::size_t i = 0; i < existing.size(); ++i) {
    if (WrongSettings(*existing[i], described[i].all).empty()) {
      continue;
    }
    auto settings = described[i].own;
    for (const auto& [name, value] :
         KafkaTopicSettings(schemas::SpecOf(existing[i]->topic), existing[i]->replication)) {
      settings[name] = value;
    }
    owned.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, names[i].c_str()));
    for (const auto& [name, value] : settings) {
      rd_kafka_ConfigResource_set_config(owned.back().get(), name.c_str(), value.c_str());
    }
    wrong.push_back(owned.back().get());
  }
  if (wrong.empty()) {
    return Status::Ok();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto event,
      RunAdmin(*client_, "changing the settings of topics", RD_KAFKA_ADMIN_OP_ALTERCONFIGS,
               deadline, [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                 rd_kafka_AlterConfigs(client_->get(), wrong.data(), wrong.size(), options, queue);
               }));
  std::size_t count = 0;
  const auto* results = rd_kafka_AlterConfigs_result_resources(
      rd_kafka_event_AlterConfigs_result(event.get()), &count);
  for (const auto* result : std::span(results, count)) {
    const auto code = rd_kafka_ConfigResource_error(result);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return client_->Fail(
          std::string("changing the settings of ") + rd_kafka_ConfigResource_name(result), code,
          rd_kafka_ConfigResource_error_string(result));
    }
  }
  return Status::Ok();
}

}  // namespace alertstream::log
