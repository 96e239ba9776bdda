#include "tests/support/runtime_story.h"

#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "schemas/input_codec.h"

namespace alertstream::runtime {
namespace {

using schemas::Topic;

// More batches than any story needs.
constexpr int kBatchesMax = 2000;

v1::Envelope SystemEnvelope() {
  v1::Envelope envelope;
  envelope.set_trust(v1::TRUST_SYSTEM);
  envelope.set_actor("story");
  return envelope;
}

template <typename Message>
Message Decoded(std::string_view bytes) {
  Message message;
  EXPECT_TRUE(message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  return message;
}

}  // namespace

HmacKey StoryKey() { return HmacKey("the token key of stories"); }

StoryWriter::StoryWriter(log::EventLog& log, std::int32_t partitions) : log_(log) {
  const Status applied = log.ApplyTopics({.partitions = partitions}, kStoryTimeout);
  EXPECT_TRUE(applied.ok()) << applied.error().message();
  auto identity = EnsureMarkers(log, StoryKey(), kStoryTimeout);
  EXPECT_TRUE(identity.ok()) << identity.error().message();
  identity_ = std::move(identity).value();
}

std::int32_t StoryWriter::HomeOf(std::string_view tenant) const {
  return schemas::PartitionOf(tenant, identity_.partitions);
}

log::Appended StoryWriter::Raw(Topic topic, std::string_view key, std::string_view value,
                               std::int32_t partition, std::span<const log::Header> headers) {
  const log::NewRecord record{topic, partition, key, value, headers};
  auto appended = log_.Append(std::span(&record, 1), kStoryTimeout);
  EXPECT_TRUE(appended.ok()) << appended.error().message();
  return appended.ok() ? appended.value()[0] : log::Appended{};
}

log::Appended StoryWriter::Put(Topic topic, v1::Envelope envelope, std::string_view tenant,
                               std::optional<std::int32_t> partition) {
  envelope.set_tenant(std::string(tenant));
  envelope.set_routing_key(std::string(tenant));
  envelope.set_schema_version(1);
  const auto bytes = schemas::EncodeEnvelope(envelope);
  EXPECT_TRUE(bytes.ok()) << bytes.error().message();
  return Raw(topic, tenant, bytes.value(), partition.value_or(HomeOf(tenant)));
}

void StoryWriter::Tenant(std::string_view tenant) {
  v1::Envelope envelope = SystemEnvelope();
  auto* entity = envelope.mutable_account_change()->mutable_tenant();
  entity->set_status(v1::TENANT_STATUS_ACTIVE);
  entity->set_plan("basic");
  Put(Topic::kAccountChanges, envelope, tenant);
  auto* plan = envelope.mutable_account_change()->mutable_plan();
  plan->set_id("basic");
  plan->set_sends_per_month_max(1'000'000);
  Put(Topic::kAccountChanges, envelope, tenant);
  auto* sender = envelope.mutable_account_change()->mutable_sender();
  sender->set_id("main");
  sender->set_provider("twilio");
  sender->set_account("AC1");
  sender->set_number("+254700000001");
  sender->set_is_default(true);
  sender->set_channel(v1::CHANNEL_SMS);
  Put(Topic::kAccountChanges, envelope, tenant);
}

void StoryWriter::Trigger(std::string_view tenant, std::string_view id,
                          const std::function<void(v1::Trigger*)>& change) {
  v1::Envelope envelope = SystemEnvelope();
  auto* trigger = envelope.mutable_account_change()->mutable_trigger();
  trigger->set_id(std::string(id));
  trigger->set_event_type("order");
  trigger->mutable_recipients()->set_field("data.phone");
  trigger->set_channel(v1::CHANNEL_SMS);
  trigger->set_template_body("Order of {{data.amount}}");
  trigger->set_message_class(v1::MESSAGE_CLASS_TRANSACTIONAL);
  trigger->set_enabled(true);
  if (change) {
    change(trigger);
  }
  Put(Topic::kAccountChanges, envelope, tenant);
}

void StoryWriter::Shop(std::string_view tenant) {
  Tenant(tenant);
  Trigger(tenant, "paid");
}

log::Appended StoryWriter::Event(std::string_view tenant, std::string_view id,
                                 std::string_view data, std::optional<std::int32_t> partition) {
  v1::Envelope envelope;
  envelope.set_trust(v1::TRUST_SECRET);
  envelope.set_id(std::string(id));
  envelope.set_type("order");
  envelope.set_source("till");
  envelope.mutable_site_event()->mutable_data()->set_plain(std::string(data));
  return Put(Topic::kSiteEvents, envelope, tenant, partition);
}

log::Appended StoryWriter::Order(std::string_view tenant, std::string_view id,
                                 std::string_view phone, std::optional<std::int32_t> partition) {
  return Event(tenant, id, fmt::format(R"({{"phone":"{}","amount":12}})", phone), partition);
}

log::Appended StoryWriter::OptOut(std::string_view tenant, std::string_view phone) {
  v1::Envelope envelope = SystemEnvelope();
  auto* change = envelope.mutable_opt_out_change();
  change->mutable_address()->set_plain(std::string(phone));
  change->set_address_kind(v1::ADDRESS_KIND_PHONE);
  change->set_channel(v1::CHANNEL_SMS);
  change->set_status(v1::OPT_OUT_STATUS_ACTIVE);
  change->set_by(v1::OPT_OUT_BY_RECIPIENT);
  return Put(Topic::kOptOuts, envelope, tenant);
}

log::Appended StoryWriter::Consent(std::string_view tenant, v1::ConsentStatus status,
                                   std::string_view phone) {
  v1::Envelope envelope = SystemEnvelope();
  auto* change = envelope.mutable_consent_change();
  change->mutable_address()->set_plain(std::string(phone));
  change->set_address_kind(v1::ADDRESS_KIND_PHONE);
  change->set_channel(v1::CHANNEL_SMS);
  change->set_message_class(v1::MESSAGE_CLASS_TRANSACTIONAL);
  change->set_status(status);
  change->set_source("web_form");
  return Put(Topic::kConsentChanges, envelope, tenant);
}

log::Appended StoryWriter::Inbound(std::string_view tenant, std::string_view text,
                                   std::string_view phone) {
  v1::Envelope envelope = SystemEnvelope();
  envelope.set_trust(v1::TRUST_WEBHOOK);
  auto* message = envelope.mutable_inbound_message();
  message->mutable_from()->set_plain(std::string(phone));
  message->set_from_kind(v1::ADDRESS_KIND_PHONE);
  message->set_to_number("+254700000001");
  message->set_channel(v1::CHANNEL_SMS);
  message->mutable_body()->set_plain(std::string(text));
  message->set_provider("twilio");
  message->set_provider_message_id("SM1");
  return Put(Topic::kInboundMessages, envelope, tenant);
}

log::Appended StoryWriter::EngineActivate(std::uint32_t version, std::int32_t partition) {
  v1::Envelope envelope = SystemEnvelope();
  envelope.mutable_account_change()->mutable_engine_activate()->set_engine_version(version);
  return Put(Topic::kAccountChanges, envelope, schemas::kLogKey, partition);
}

log::Appended StoryWriter::SkipRequested(Topic topic, std::int64_t offset, std::string_view reason,
                                         std::int32_t partition) {
  v1::Envelope envelope = SystemEnvelope();
  envelope.mutable_account_change()->set_reason(std::string(reason));
  auto* record = envelope.mutable_account_change()->mutable_skip_requested()->mutable_record();
  record->set_topic(static_cast<std::uint32_t>(topic));
  record->set_partition(static_cast<std::uint32_t>(partition));
  record->set_offset(offset);
  return Put(Topic::kAccountChanges, envelope, schemas::kLogKey, partition);
}

Result<std::unique_ptr<Instance>> Instance::Start(log::EventLog& log, Clock& clock,
                                                  std::string_view log_id, state::StateStore& store,
                                                  const InstanceOptions& options) {
  auto instance = std::make_unique<Instance>();
  const PartitionConfig config{.log_id = std::string(log_id),
                               .fold = {.token_key = StoryKey(),
                                        .partition = options.partition,
                                        .partitions = options.partitions},
                               .cache_bytes = options.cache_bytes};
  ALERTSTREAM_ASSIGN_OR_RETURN(instance->state_, PartitionState::Open(config, store));
  instance->horizon_ =
      std::make_unique<PermissionHorizon>(log, clock, std::vector<std::int32_t>{options.partition});
  ALERTSTREAM_ASSIGN_OR_RETURN(
      instance->task_,
      PartitionTask::Start(log, *instance->state_, *instance->horizon_, clock, options.task));
  return instance;
}

Result<std::optional<BatchReport>> Instance::RunOnce() {
  if (ask_horizon) {
    // A failure leaves the old answer, as in production.
    static_cast<void>(horizon_->Refresh().ok());
  }
  return task_->RunOnce();
}

Status Instance::RunUntilQuiet() {
  for (int i = 0; i < kBatchesMax; ++i) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto report, RunOnce());
    if (!report) {
      return Status::Ok();
    }
  }
  return Error(ErrorCode::kExhausted, "the story does not end");
}

std::map<std::int64_t, int> Outputs::DecisionsByEvent() const {
  std::map<std::int64_t, int> counts;
  for (const auto& record : decisions) {
    counts[record.event().offset()] += record.part() == 0 ? 1 : 0;
  }
  return counts;
}

std::vector<std::string> Outputs::Kinds() const {
  std::vector<std::string> kinds;
  for (const auto& record : journal) {
    kinds.push_back(fmt::format(
        "{} {}", v1::JournalKind_Name(record.kind()).substr(std::string("JOURNAL_KIND_").size()),
        record.seq()));
  }
  return kinds;
}

Result<Outputs> ReadOutputs(log::EventLog& log, std::string_view log_id, std::int32_t partition) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto reader,
                               OutputReader::Open(log, {.log_id = std::string(log_id),
                                                        .partition = partition,
                                                        .topics = {engine::kOutputTopics.begin(),
                                                                   engine::kOutputTopics.end()}}));
  Outputs outputs;
  while (!reader->AtOpeningEnd()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto batch, reader->Next(kStoryTimeout));
    if (!batch) {
      break;
    }
    outputs.journal.push_back(batch->journal);
    for (const auto& released : batch->outputs) {
      const std::string_view value = released.record.value;
      if (released.topic == Topic::kNotificationCommands) {
        outputs.commands.push_back(Decoded<v1::NotificationCommand>(value));
      } else if (released.topic == Topic::kDecisions) {
        outputs.decisions.push_back(Decoded<v1::DecisionRecord>(value));
      } else if (released.topic == Topic::kFacts) {
        outputs.facts.push_back(Decoded<v1::Fact>(value));
      } else {
        outputs.dead_letters.push_back(Decoded<v1::DeadLetter>(value));
      }
    }
  }
  outputs.dropped = reader->dropped();
  return outputs;
}

AuditReport Audit(log::EventLog& log, std::string_view log_id, const AuditOptions& options) {
  AuditReport report;
  state::MemoryStore store;
  const auto state = PartitionState::Open({.log_id = std::string(log_id),
                                           .fold = {.token_key = StoryKey(),
                                                    .partition = options.partition,
                                                    .partitions = options.partitions},
                                           .cache_bytes = options.cache_bytes,
                                           .scratch = true},
                                          store);
  EXPECT_TRUE(state.ok());
  state.value()->fold().set_probe(options.probe);
  const auto replayer = Replayer::Open(
      log, *state.value(),
      {.check_outputs = options.check_outputs, .engine_version_max = options.engine_version_max});
  if (!replayer.ok()) {
    report.status = replayer.error();
    return report;
  }
  report.status = replayer.value()->CatchUp();
  report.mismatch = replayer.value()->mismatch();
  report.progress = replayer.value()->progress();
  report.root_hex = ToHex(state.value()->map().root().ToBytes());
  report.tail = state.value()->tail();
  return report;
}

Story::Story(std::int32_t partitions_in) : partitions(partitions_in) {}

std::unique_ptr<Instance> Story::Start(state::StateStore& on, InstanceOptions options) {
  options.partitions = partitions;
  auto instance = Instance::Start(log, clock, log_id(), on, options);
  EXPECT_TRUE(instance.ok()) << instance.error().message();
  return instance.ok() ? std::move(instance).value() : nullptr;
}

Outputs Story::Read(std::int32_t partition) {
  auto outputs = ReadOutputs(log, log_id(), partition);
  EXPECT_TRUE(outputs.ok()) << outputs.error().message();
  return outputs.ok() ? std::move(outputs).value() : Outputs{};
}

void Story::ExpectAuditAgrees(Instance& instance, AuditOptions options) {
  options.partitions = partitions;
  const AuditReport report = Audit(log, log_id(), options);
  EXPECT_TRUE(report.status.ok()) << report.status.error().message();
  EXPECT_EQ(report.root_hex, instance.RootHex());
  EXPECT_EQ(report.tail.hash, instance.state().tail().hash);
}

}  // namespace alertstream::runtime
