#include "api/resources/resource_answer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "processor/base/check.h"
#include "processor/base/id.h"
#include "schemas/enum_words.h"
#include "schemas/json.h"
#include "schemas/json_object.h"
#include "schemas/personal.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;
using schemas::JsonObject;

std::string TimeText(std::int64_t micros) { return FormatMillis(FromMicros(micros)); }

// What a definition may hold besides whose it is and its id.
constexpr std::array<std::string_view, 13> kDefinitionMembers = {
    "name",          "event_type", "when",      "recipients", "channel",      "sender", "template",
    "message_class", "cooldown",   "daily_cap", "max_age",    "allow_public", "enabled"};

// The addresses of a fixed list as they are; nothing if they cannot be read.
std::optional<std::string> RevealedRecipients(const std::optional<std::string>& sealed) {
  v1::TriggerRecipients recipients;
  if (!sealed || !recipients.ParseFromString(*sealed)) {
    return std::nullopt;
  }
  schemas::JsonList list;
  for (const v1::Personal& address : recipients.list().addresses()) {
    const auto plain = schemas::Unseal(address);
    if (!plain.ok()) {
      return std::nullopt;
    }
    list.Text(plain.value());
  }
  return JsonObject().Raw("list", list.Take()).Take();
}

void AddDefinition(const read_model::Trigger& trigger, bool reveal, ObjectFields* fields) {
  schemas::JsonDocument document;
  ALERTSTREAM_CHECK(document.Parse(trigger.definition).ok());  // jsonb that the projector wrote.
  const auto revealed =
      reveal ? RevealedRecipients(trigger.recipients_sealed) : std::optional<std::string>();
  for (const std::string_view name : kDefinitionMembers) {
    const auto member = document.root().Find(name);
    if (name == "recipients" && revealed) {
      fields->Json(name, *revealed);
    } else if (!member || member->type() == schemas::JsonType::kNull) {
      fields->Null(name);
    } else if (member->type() == schemas::JsonType::kString) {
      fields->Text(name, member->AsString());
    } else {
      std::string json;
      schemas::AppendJson(*member, &json);
      fields->Json(name, std::move(json));
    }
  }
}

ObjectFields TriggerHead(std::string_view kind, const read_model::Trigger& trigger) {
  ObjectFields fields;
  fields.Text("object", kind)
      .Text("id", std::string_view(trigger.id))
      .Integer("version", trigger.version)
      .Time("updated_at", trigger.at)
      .Text("actor", std::string_view(trigger.actor));
  return fields;
}

void AddChange(const v1::Fact& fact, JsonObject* object) {
  object->Integer("version", static_cast<std::int64_t>(fact.version()))
      .Text("recorded_at", TimeText(fact.at_us()))
      .Text("actor", fact.actor());
}

}  // namespace

ObjectFields TriggerFields(const read_model::Trigger& trigger, bool reveal) {
  ObjectFields fields = TriggerHead("trigger", trigger);
  AddDefinition(trigger, reveal, &fields);
  return fields;
}

ObjectFields TriggerVersionFields(const read_model::Trigger& trigger, bool reveal) {
  ObjectFields fields = TriggerHead("trigger_version", trigger);
  fields.Bool("current", trigger.is_current).Bool("deleted", trigger.deleted);
  AddDefinition(trigger, reveal, &fields);
  return fields;
}

std::string ConsentJson(const v1::Fact& fact) {
  const v1::ConsentFact& consent = fact.consent();
  JsonObject object;
  object.Text("object", "consent")
      .Text("recipient", FormatId(IdKind::kRecipient, consent.recipient_token()))
      .Text("channel", schemas::Word(consent.channel()))
      .Text("class", schemas::Word(consent.message_class()))
      .Text("status", schemas::Word(consent.status()))
      .Bool("written", consent.written())
      .Text("source", consent.source())
      .Text("at", TimeText(consent.at_us() != 0 ? consent.at_us() : fact.at_us()));
  AddChange(fact, &object);
  return object.Take();
}

std::string OptOutJson(const v1::Fact& fact) {
  const v1::OptOutFact& opt_out = fact.opt_out();
  JsonObject object;
  object.Text("object", "opt_out")
      .Text("recipient", FormatId(IdKind::kRecipient, opt_out.recipient_token()))
      .Text("channel", schemas::Word(opt_out.channel()))
      .Text("status", schemas::Word(opt_out.status()))
      .Text("by", schemas::Word(opt_out.by()))
      .Text("reason", opt_out.reason());
  AddChange(fact, &object);
  return object.Take();
}

std::string ChecksJson(std::span<const BodyFault> faults) {
  schemas::JsonList errors;
  for (const BodyFault& fault : faults) {
    JsonObject error;
    error.Text("detail", fault.detail).Text("pointer", fault.pointer);
    if (fault.line > 0) {
      error.Integer("line", fault.line).Integer("column", fault.column);
    }
    errors.Raw(error.Take());
  }
  JsonObject object;
  object.Text("object", "trigger_check").Bool("valid", faults.empty()).Raw("errors", errors.Take());
  return object.Take();
}

std::string PendingJson(const AppendedPosition& position, bool decided) {
  JsonObject place;
  place.Text("topic", schemas::NameOf(position.topic))
      .Integer("partition", position.partition)
      .Integer("offset", position.offset);
  JsonObject object;
  object.Text("object", "change").Bool("decided", decided).Raw("position", place.Take());
  return object.Take();
}

ProblemDetails RejectionOf(const v1::Fact& fact) {
  const auto conflict = [&](std::string_view code) {
    return ProblemDetails{.status = 409, .code = code, .detail = fact.detail()};
  };
  const auto invalid = [&](std::string pointer) {
    return ProblemDetails{.status = 422,
                          .code = "validation_failed",
                          .detail = "Nothing was changed: the body is not valid.",
                          .errors = {{.detail = fact.detail(), .pointer = std::move(pointer)}}};
  };
  switch (fact.reject_reason()) {
    case v1::REJECT_REASON_VERSION_MISMATCH:
      return {.status = 412, .code = "precondition_failed", .detail = fact.detail()};
    case v1::REJECT_REASON_OPT_OUT_BY_RECIPIENT:
      return conflict("opt_out_by_recipient");
    case v1::REJECT_REASON_UNKNOWN_TENANT:
      return conflict("unknown_tenant");
    case v1::REJECT_REASON_LIMIT:
      return conflict("limit_reached");
    case v1::REJECT_REASON_NOT_OPTED_OUT:
      return conflict("not_opted_out");
    case v1::REJECT_REASON_OLDER_THAN_PRESENT:
      return conflict("older_than_present");
    case v1::REJECT_REASON_UNKNOWN_DEAD_LETTER:
      return conflict("unknown_dead_letter");
    case v1::REJECT_REASON_RETRIED_BEFORE:
      return conflict("retried_before");
    case v1::REJECT_REASON_ACTED_ON_BEFORE:
      return conflict("acted_on_before");
    case v1::REJECT_REASON_TOO_OLD:
      return conflict("too_old");
    case v1::REJECT_REASON_INVALID_CONDITION:
      return invalid("#/when");
    case v1::REJECT_REASON_INVALID_TEMPLATE:
      return invalid("#/template/body");
    case v1::REJECT_REASON_INVALID_FIELD:
      return invalid("#");
    case v1::REJECT_REASON_UNSPECIFIED:
    case v1::REJECT_REASON_ENGINE_VERSION:
    case v1::REJECT_REASON_UNKNOWN_NOTIFICATION:
    case v1::RejectReason_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::RejectReason_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return conflict("conflict");
}

ProblemDetails RejectionOf(const v1::DeadLetter& letter) {
  return {.status = 409,
          .code = "conflict",
          .detail = fmt::format("The change was not taken: {}. {}", schemas::Word(letter.reason()),
                                letter.detail())};
}

std::string EntityTag(std::uint64_t version) { return fmt::format("\"{}\"", version); }

Result<IfMatch> IfMatchOf(const http::Headers& headers) {
  constexpr std::string_view kName = "If-Match";
  const auto field = headers.Find(kName);
  if (!field) {
    return IfMatch();
  }
  if (*field == "*" && headers.Count(kName) == 1) {
    return IfMatch{.version = 0};
  }
  std::uint64_t version = 0;
  const std::string_view text = *field;
  const bool quoted = text.size() > 2 && text.front() == '"' && text.back() == '"';
  const char* const end = text.data() + text.size() - 1;
  const auto parsed = quoted ? std::from_chars(text.data() + 1, end, version)
                             : std::from_chars_result{nullptr, std::errc::invalid_argument};
  if (headers.Count(kName) != 1 || parsed.ec != std::errc() || parsed.ptr != end || version == 0) {
    return Error(ErrorCode::kInvalid, "If-Match: expected the ETag of an answer, or *");
  }
  return IfMatch{.version = version};
}

}  // namespace alertstream::api
