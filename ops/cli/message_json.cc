#include "ops/cli/message_json.h"

#include <google/protobuf/descriptor.h>

#include <memory>
#include <optional>

#include <fmt/format.h>

#include "ops/cli/json_object.h"
#include "ops/cli/words.h"
#include "processor/base/crypto.h"
#include "processor/base/id.h"
#include "processor/base/rfc3339.h"
#include "schemas/input_codec.h"
#include "schemas/output.pb.h"

namespace alertstream::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::optional<IdKind> IdKindOf(const FieldDescriptor& field) {
  const std::string& name = field.name();
  const std::string& owner = field.containing_type()->name();
  if (name == "event_id" || name == "duplicate_of") {
    return IdKind::kEvent;
  }
  if (name == "decision_id" || (name == "id" && owner == "Decision")) {
    return IdKind::kDecision;
  }
  if (name == "notification_id") {
    return IdKind::kNotification;
  }
  if (name == "recipient_token") {
    return IdKind::kRecipient;
  }
  if (name == "id" && owner == "DeadLetter") {
    return IdKind::kDeadLetter;
  }
  return std::nullopt;
}

std::string PersonalJson(const FieldDescriptor& field, const v1::Personal& value,
                         PersonalData personal) {
  if (value.form_case() != v1::Personal::kPlain) {
    return JsonText("(sealed)");
  }
  const bool is_address = field.name() == "to" || field.name() == "from" ||
                          field.name() == "address" || field.name() == "addresses";
  if (field.name() == "original") {
    return JsonText(fmt::format("({} bytes)", value.plain().size()));
  }
  if (personal == PersonalData::kShown) {
    return JsonText(value.plain());
  }
  return JsonText(is_address ? MaskAddress(value.plain())
                             : fmt::format("({} bytes)", value.plain().size()));
}

class MessageWriter {
 public:
  explicit MessageWriter(PersonalData personal) : personal_(personal) {}

  std::string Write(const Message& message) const {
    const Reflection& reflection = *message.GetReflection();
    std::vector<const FieldDescriptor*> fields;
    reflection.ListFields(message, &fields);
    JsonObject object;
    for (const FieldDescriptor* field : fields) {
      if (!field->is_repeated()) {
        object.Raw(field->name(), Value(message, reflection, *field, -1));
        continue;
      }
      JsonList list;
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        list.Raw(Value(message, reflection, *field, i));
      }
      object.Raw(field->name(), list.Take());
    }
    return object.Take();
  }

 private:
  // Element `i` of a repeated field, or the field itself if `i` is -1.
  std::string Value(const Message& message, const Reflection& reflection,
                    const FieldDescriptor& field, int i) const {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection.GetBool(message, &field) ? "true" : "false";
      case FieldDescriptor::CPPTYPE_ENUM:
        return JsonText(EnumWord(field.enum_type(),
                                 i < 0 ? reflection.GetEnumValue(message, &field)
                                       : reflection.GetRepeatedEnumValue(message, &field, i)));
      case FieldDescriptor::CPPTYPE_INT32:
        return std::to_string(i < 0 ? reflection.GetInt32(message, &field)
                                    : reflection.GetRepeatedInt32(message, &field, i));
      case FieldDescriptor::CPPTYPE_INT64:
        return std::to_string(i < 0 ? reflection.GetInt64(message, &field)
                                    : reflection.GetRepeatedInt64(message, &field, i));
      case FieldDescriptor::CPPTYPE_UINT32:
        return Unsigned32(field, i < 0 ? reflection.GetUInt32(message, &field)
                                       : reflection.GetRepeatedUInt32(message, &field, i));
      case FieldDescriptor::CPPTYPE_UINT64:
        return std::to_string(i < 0 ? reflection.GetUInt64(message, &field)
                                    : reflection.GetRepeatedUInt64(message, &field, i));
      case FieldDescriptor::CPPTYPE_STRING:
        return Bytes(field, i < 0 ? reflection.GetString(message, &field)
                                  : reflection.GetRepeatedString(message, &field, i));
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return Inner(field, i < 0 ? reflection.GetMessage(message, &field)
                                  : reflection.GetRepeatedMessage(message, &field, i));
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_FLOAT:
        break;  // The schemas have none.
    }
    return "null";
  }

  static std::string Unsigned32(const FieldDescriptor& field, std::uint32_t value) {
    if (field.name() == "topic" && value >= 1 && value <= schemas::kTopicCount) {
      return JsonText(schemas::kTopics[value - 1].name);
    }
    return std::to_string(value);
  }

  static std::string Bytes(const FieldDescriptor& field, const std::string& value) {
    if (field.type() == FieldDescriptor::TYPE_STRING) {
      return JsonText(value);
    }
    const auto kind = IdKindOf(field);
    return JsonText(kind && value.size() == sizeof(IdBytes) ? FormatId(*kind, value)
                                                            : ToHex(value));
  }

  std::string Inner(const FieldDescriptor& field, const Message& value) const {
    if (const auto* position = dynamic_cast<const v1::Position*>(&value)) {
      return JsonText(PositionText(*position));
    }
    if (const auto* personal = dynamic_cast<const v1::Personal*>(&value)) {
      return PersonalJson(field, *personal, personal_);
    }
    return Write(value);
  }

  PersonalData personal_;
};

std::string GateJson(const v1::GateResult& gate) {
  JsonObject object;
  object.Text("gate", Word(gate.gate()));
  object.Text("verdict", Word(gate.verdict()));
  object.Integer("observed", gate.observed());
  object.Integer("limit", gate.limit());
  if (gate.has_source()) {
    object.Text("source", PositionText(gate.source()));
  }
  return object.Take();
}

std::string GatesJson(const google::protobuf::RepeatedPtrField<v1::GateResult>& gates) {
  JsonList list;
  for (const auto& gate : gates) {
    list.Raw(GateJson(gate));
  }
  return list.Take();
}

std::string DecisionJson(const v1::Decision& decision) {
  JsonObject object;
  object.Text("id", FormatId(IdKind::kDecision, decision.id()));
  object.Text("trigger", decision.trigger_id());
  object.Integer("version", decision.trigger_version());
  if (decision.recipient_token().empty()) {
    object.Null("recipient");
  } else {
    object.Text("recipient", FormatId(IdKind::kRecipient, decision.recipient_token()));
  }
  object.Text("channel", Word(decision.channel()));
  object.Text("message_class", Word(decision.message_class()));
  object.Text("outcome", Word(decision.outcome()));
  if (decision.reason() == v1::REASON_UNSPECIFIED) {
    object.Null("reason");
  } else {
    object.Text("reason", Word(decision.reason()));
  }
  if (decision.notification_id().empty()) {
    object.Null("notification");
  } else {
    object.Text("notification", FormatId(IdKind::kNotification, decision.notification_id()));
  }
  object.Integer("segments", decision.segments());
  object.Raw("gates", GatesJson(decision.gates()));
  return object.Take();
}

// The message that the catalogue names for `topic`; null if `value` is none.
std::unique_ptr<Message> DecodeOutput(schemas::Topic topic, std::string_view value) {
  std::unique_ptr<Message> message;
  switch (topic) {
    case schemas::Topic::kNotificationCommands:
      message = std::make_unique<v1::NotificationCommand>();
      break;
    case schemas::Topic::kDecisions:
      message = std::make_unique<v1::DecisionRecord>();
      break;
    case schemas::Topic::kFacts:
      message = std::make_unique<v1::Fact>();
      break;
    case schemas::Topic::kDeadLetters:
      message = std::make_unique<v1::DeadLetter>();
      break;
    case schemas::Topic::kJournal:
      message = std::make_unique<v1::JournalRecord>();
      break;
    case schemas::Topic::kOwnership:
      message = std::make_unique<v1::Lease>();
      break;
    case schemas::Topic::kSiteEvents:
    case schemas::Topic::kConsentChanges:
    case schemas::Topic::kOptOuts:
    case schemas::Topic::kInboundMessages:
    case schemas::Topic::kDeliveryReceipts:
    case schemas::Topic::kDeliveryAttempts:
    case schemas::Topic::kAccountChanges:
      return nullptr;
  }
  if (!message->ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return nullptr;
  }
  return message;
}

}  // namespace

std::string MessageJson(const Message& message, PersonalData personal) {
  return MessageWriter(personal).Write(message);
}

std::string DecisionRecordJson(const v1::DecisionRecord& record, std::string_view given_id) {
  JsonObject object;
  object.Text("event", FormatId(IdKind::kEvent, record.event_id()));
  if (!given_id.empty()) {
    object.Text("event_id_given", given_id);
  }
  object.Text("tenant", record.tenant());
  object.Text("event_type", record.event_type());
  if (!record.site().empty()) {
    object.Text("site", record.site());
  }
  object.Text("verdict", Word(record.verdict()));
  object.Integer("candidates", record.candidates());
  object.Integer("partition", record.event().partition());
  object.Integer("offset", record.event().offset());
  object.Text("event_time", FormatRfc3339(FromMicros(record.event_time_us())));
  object.Text("append_time", FormatRfc3339(FromMicros(record.append_time_us())));
  object.Text("decided_at", FormatRfc3339(FromMicros(record.decided_at_us())));
  if (!record.duplicate_of().empty()) {
    object.Text("duplicate_of", FormatId(IdKind::kEvent, record.duplicate_of()));
  }
  object.Integer("part", record.part());
  object.Bool("more", record.more());
  object.Integer("engine_version", record.engine_version());
  object.Raw("gates", GatesJson(record.gates()));
  JsonList decisions;
  for (const auto& decision : record.decisions()) {
    decisions.Raw(DecisionJson(decision));
  }
  object.Raw("decisions", decisions.Take());
  return object.Take();
}

std::string OutputJson(schemas::Topic topic, std::string_view value, PersonalData personal) {
  const auto message = DecodeOutput(topic, value);
  if (message == nullptr) {
    return "null";
  }
  return topic == schemas::Topic::kDecisions
             ? DecisionRecordJson(static_cast<const v1::DecisionRecord&>(*message))
             : MessageJson(*message, personal);
}

std::string RecordJson(schemas::Topic topic, std::int32_t partition,
                       const schemas::RecordView& record, PersonalData personal) {
  JsonObject object;
  object.Text("topic", schemas::NameOf(topic));
  object.Integer("partition", partition);
  object.Integer("offset", record.offset);
  object.Text("append_time", FormatRfc3339(record.append_time));
  object.Text("key", record.key);
  const bool is_marker = record.offset == 0 && record.key == schemas::kLogKey;
  v1::Envelope envelope;
  if (schemas::SpecOf(topic).role == schemas::TopicRole::kInput) {
    if (!schemas::DecodeInput(topic, record, &envelope)) {
      object.Raw("value", MessageJson(envelope, personal));
      return object.Take();
    }
  } else if (is_marker) {
    if (envelope.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) {
      object.Raw("value", MessageJson(envelope, personal));
      return object.Take();
    }
  } else if (const std::string value = OutputJson(topic, record.value, personal); value != "null") {
    object.Raw("value", value);
    return object.Take();
  }
  object.Integer("raw_bytes", static_cast<std::int64_t>(record.value.size()));
  return object.Take();
}

}  // namespace alertstream::cli
