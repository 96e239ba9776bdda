#include "api/control/control_document.h"

#include <string_view>

#include <fmt/format.h>

#include "api/control/dead_letter_document.h"
#include "processor/base/duration.h"
#include "processor/base/id.h"
#include "processor/base/rfc3339.h"
#include "schemas/enum_words.h"
#include "schemas/json.h"
#include "schemas/personal.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

// A JSON object, member by member; what is empty, 0 or unspecified is left out.
class Members {
 public:
  Members& Raw(std::string_view name, std::string_view json) {
    text_ += text_.size() > 1 ? "," : "";
    schemas::AppendJsonString(name, &text_);
    text_ += ":";
    text_ += json;
    return *this;
  }
  Members& Text(std::string_view name, std::string_view value) {
    if (!value.empty()) {
      std::string json;
      schemas::AppendJsonString(value, &json);
      Raw(name, json);
    }
    return *this;
  }
  Members& Number(std::string_view name, std::uint64_t value) {
    return value == 0 ? *this : Raw(name, std::to_string(value));
  }
  Members& Flag(std::string_view name, bool value) { return Raw(name, value ? "true" : "false"); }
  Members& Duration(std::string_view name, std::int64_t us) {
    return us == 0 ? *this : Text(name, FormatDuration(LogDuration(us)));
  }
  template <typename Enum>
  Members& Word(std::string_view name, Enum value) {
    return static_cast<int>(value) == 0 ? *this : Text(name, schemas::Word(value));
  }
  std::string Take() { return std::move(text_) + "}"; }

 private:
  std::string text_ = "{";
};

void AddTenant(const v1::Tenant& tenant, std::string_view id, Members* members) {
  members->Text("id", id)
      .Word("status", tenant.status())
      .Text("plan", tenant.plan())
      .Text("stop_reply", tenant.stop_reply())
      .Text("help_reply", tenant.help_reply())
      .Duration("unknown_wait", tenant.unknown_wait_us());
}

void AddSender(const v1::Sender& sender, Members* members) {
  members->Text("id", sender.id())
      .Text("provider", sender.provider())
      .Text("account", sender.account())
      .Text("number", sender.number())
      .Flag("default", sender.is_default())
      .Word("channel", sender.channel());
}

void AddTrigger(const v1::Trigger& trigger, Members* members) {
  Members recipients;
  if (trigger.recipients().has_list()) {
    std::string list = "[";
    for (const v1::Personal& address : trigger.recipients().list().addresses()) {
      list += list.size() > 1 ? "," : "";
      schemas::AppendJsonString(address.plain(), &list);
    }
    recipients.Raw("list", list + "]");
  } else {
    recipients.Text("field", trigger.recipients().field());
  }
  Members body;
  body.Text("body", trigger.template_body());
  members->Text("id", trigger.id())
      .Text("name", trigger.name())
      .Text("event_type", trigger.event_type())
      .Text("when", trigger.when())
      .Raw("recipients", recipients.Take())
      .Word("channel", trigger.channel())
      .Text("sender", trigger.sender())
      .Raw("template", body.Take())
      .Word("message_class", trigger.message_class())
      .Duration("cooldown", trigger.cooldown_us())
      .Number("daily_cap", trigger.daily_cap())
      .Duration("max_age", trigger.max_age_us())
      .Flag("allow_public", trigger.allow_public())
      .Flag("enabled", trigger.enabled());
}

std::string Skip(const v1::AccountChange& change) {
  const v1::Position& record = change.skip_requested().record();
  Members members;
  members.Text("kind", "skip")
      .Text("topic", schemas::NameOf(static_cast<schemas::Topic>(record.topic())))
      .Raw("partition", std::to_string(record.partition()))
      .Raw("offset", std::to_string(record.offset()))
      .Text("reason", change.reason());
  return members.Take();
}

Result<std::string> AccountDocument(const v1::Envelope& envelope) {
  const v1::AccountChange& change = envelope.account_change();
  const auto rule = [&](std::string_view kind) {
    Members members;
    members.Text("kind", kind);
    if (kind != "tenant") {
      members.Text("tenant", envelope.tenant());
    }
    return members;
  };
  Members members;
  switch (change.change_case()) {
    case v1::AccountChange::kTenant:
      members = rule("tenant");
      AddTenant(change.tenant(), envelope.tenant(), &members);
      break;
    case v1::AccountChange::kPlan:
      members = rule("plan");
      members.Text("id", change.plan().id())
          .Raw("sends_per_month_max", std::to_string(change.plan().sends_per_month_max()));
      break;
    case v1::AccountChange::kSite:
      members = rule("site");
      members.Text("id", change.site().id()).Word("status", change.site().status());
      break;
    case v1::AccountChange::kSender:
      members = rule("sender");
      AddSender(change.sender(), &members);
      break;
    case v1::AccountChange::kTrigger:
      members = rule("trigger");
      AddTrigger(change.trigger(), &members);
      break;
    case v1::AccountChange::kSkipRequested:
      return Skip(change);
    case v1::AccountChange::kEngineActivate:
      return fmt::format(R"({{"kind":"engine_activate","version":{}}})",
                         change.engine_activate().engine_version());
    case v1::AccountChange::kDeadLetterAction:
      return DeadLetterDocument(
          {.action = change.dead_letter_action(), .reason = change.reason(), .record = {}},
          envelope.tenant() == schemas::kLogKey ? "" : envelope.tenant());
    case v1::AccountChange::kLogMarker:
    case v1::AccountChange::CHANGE_NOT_SET:
      return Error(ErrorCode::kInvalid, "the control endpoint does not take this change");
  }
  members.Number("expected_version", change.expected_version()).Text("reason", change.reason());
  return members.Take();
}

template <typename Change>
Status AddPerson(const Change& change, Members* members) {
  if (!change.has_address()) {
    members->Text("recipient", FormatId(IdKind::kRecipient, change.recipient_token()));
    return Status::Ok();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto address, schemas::Unseal(change.address()));
  if (change.address_kind() != v1::ADDRESS_KIND_PHONE &&
      change.address_kind() != v1::ADDRESS_KIND_EMAIL) {
    return Error(ErrorCode::kInvalid, "the control endpoint does not take this kind of address");
  }
  members->Text(change.address_kind() == v1::ADDRESS_KIND_PHONE ? "phone" : "email", address);
  return Status::Ok();
}

Result<std::string> ConsentDocument(const v1::Envelope& envelope) {
  const v1::ConsentChange& change = envelope.consent_change();
  Members members;
  members.Text("kind", "consent").Text("tenant", envelope.tenant());
  ALERTSTREAM_RETURN_IF_ERROR(AddPerson(change, &members));
  members.Word("channel", change.channel())
      .Word("class", change.message_class())
      .Word("status", change.status())
      .Text("source", change.source());
  if (change.has_evidence()) {
    Members evidence;
    evidence.Text("kind", change.evidence().kind())
        .Flag("written", change.evidence().written())
        .Text("disclosure_version", change.evidence().disclosure_version());
    if (change.evidence().at_us() != 0) {
      evidence.Text("at", FormatRfc3339(FromMicros(change.evidence().at_us())));
    }
    members.Raw("evidence", evidence.Take());
  }
  members.Number("expected_version", change.expected_version());
  return members.Take();
}

Result<std::string> OptOutDocument(const v1::Envelope& envelope) {
  const v1::OptOutChange& change = envelope.opt_out_change();
  Members members;
  members.Text("kind", "opt_out").Text("tenant", envelope.tenant());
  ALERTSTREAM_RETURN_IF_ERROR(AddPerson(change, &members));
  members.Word("channel", change.channel())
      .Word("status", change.status())
      .Text("reason", change.reason())
      .Number("expected_version", change.expected_version());
  return members.Take();
}

Result<std::string> EventDocument(const v1::Envelope& envelope) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto data, schemas::Unseal(envelope.site_event().data()));
  Members members;
  members.Text("kind", "event")
      .Text("tenant", envelope.tenant())
      .Text("event_type", envelope.type())
      .Raw("data", data.empty() ? "null" : data)
      .Text("id", envelope.id())
      .Text("site", envelope.site())
      .Text("source", envelope.source());
  if (envelope.event_time_us() != 0) {
    members.Text("time", FormatRfc3339(FromMicros(envelope.event_time_us())));
  }
  return members.Take();
}

}  // namespace

Result<std::string> ControlDocument(const v1::Envelope& envelope) {
  switch (envelope.payload_case()) {
    case v1::Envelope::kAccountChange:
      return AccountDocument(envelope);
    case v1::Envelope::kConsentChange:
      return ConsentDocument(envelope);
    case v1::Envelope::kOptOutChange:
      return OptOutDocument(envelope);
    case v1::Envelope::kSiteEvent:
      return EventDocument(envelope);
    case v1::Envelope::kInboundMessage:
    case v1::Envelope::kDeliveryReceipt:
    case v1::Envelope::kDeliveryAttempt:
    case v1::Envelope::PAYLOAD_NOT_SET:
      break;
  }
  return Error(ErrorCode::kInvalid, "the control endpoint does not take this kind of record");
}

}  // namespace alertstream::api
