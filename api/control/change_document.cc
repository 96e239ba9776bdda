#include "api/control/change_document.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include <fmt/format.h>

#include "api/control/rule_document.h"
#include "processor/base/id.h"
#include "processor/base/rfc3339.h"
#include "processor/engine/limits.h"
#include "processor/engine/phone.h"
#include "processor/engine/templates/template.h"
#include "schemas/enum_words.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

constexpr std::string_view kDefaultSource = "api";

// The enum of a field of words; `absent` if it is optional and absent.
template <typename Enum>
Enum ReadWord(FieldReader& fields, std::string_view name, Need need, Enum absent) {
  const std::string word = fields.Text(name, need, schemas::kNameBytesMax);
  if (word.empty()) {
    return absent;
  }
  const auto* type = google::protobuf::GetEnumDescriptor<Enum>();
  const auto number = schemas::EnumOfWord(type, word);
  if (!number) {
    fields.Problem(name, "expected one of " + schemas::WordsOf(type));
    return absent;
  }
  return static_cast<Enum>(*number);
}

bool LooksLikeEmail(std::string_view text) {
  const std::size_t at = text.find('@');
  return at != 0 && at != std::string_view::npos && at + 1 < text.size() &&
         text.find('@', at + 1) == std::string_view::npos &&
         text.find_first_of(" \t\r\n") == std::string_view::npos;
}

// Exactly one of phone, email and recipient. The fold normalises again: tokens are its own.
template <typename Change>
void ReadPerson(FieldReader& fields, Change* change) {
  constexpr std::array<std::string_view, 3> kNames = {"phone", "email", "recipient"};
  const auto given = std::count_if(kNames.begin(), kNames.end(),
                                   [&](std::string_view name) { return fields.Has(name); });
  if (given != 1) {
    fields.Problem("phone", "expected exactly one of phone, email and recipient");
  }
  const std::string phone = fields.Text("phone", Need::kOptional, schemas::kPhoneTextBytesMax);
  const std::string email = fields.Text("email", Need::kOptional, schemas::kEmailBytesMax);
  const std::string recipient = fields.Text("recipient", Need::kOptional, schemas::kNameBytesMax);
  if (!phone.empty()) {
    const auto number = engine::NormalizePhone(phone);
    if (!number.ok()) {
      fields.Problem("phone", number.error().message());
      return;
    }
    change->mutable_address()->set_plain(number.value());
    change->set_address_kind(v1::ADDRESS_KIND_PHONE);
  } else if (!email.empty()) {
    if (!LooksLikeEmail(email)) {
      fields.Problem("email", "expected one @ between two parts");
      return;
    }
    change->mutable_address()->set_plain(email);
    change->set_address_kind(v1::ADDRESS_KIND_EMAIL);
  } else if (!recipient.empty()) {
    const auto token = ParseId(IdKind::kRecipient, recipient);
    if (!token.ok()) {
      fields.Problem("recipient", "expected an id that begins with rcp_");
      return;
    }
    change->set_recipient_token(std::string(AsView(token.value())));
  }
}

void ReadEvidence(FieldReader& fields, const RuleTree& document, ProblemList* problems,
                  v1::ConsentEvidence* evidence) {
  const auto node = fields.Node("evidence", Need::kOptional);
  if (!node) {
    return;
  }
  FieldReader reader(document, *node, "evidence.", problems);
  evidence->set_kind(reader.Text("kind", Need::kRequired, schemas::kSourceWordBytesMax));
  evidence->set_written(reader.Bool("written", false));
  evidence->set_disclosure_version(
      reader.Text("disclosure_version", Need::kOptional, schemas::kDisclosureVersionBytesMax));
  const std::string at = reader.Text("at", Need::kOptional, schemas::kNameBytesMax);
  if (!at.empty()) {
    const auto time = ParseRfc3339(at);
    if (!time.ok()) {
      reader.Problem("at", "expected an RFC 3339 time such as 2026-01-31T08:00:00Z");
    } else {
      evidence->set_at_us(ToMicros(time.value()));
    }
  }
  reader.Finish();
}

}  // namespace

void ReadConsent(FieldReader& fields, const RuleTree& document, ProblemList* problems,
                 v1::ConsentChange* change) {
  ReadPerson(fields, change);
  change->set_channel(ReadWord(fields, "channel", Need::kOptional, v1::CHANNEL_ALL));
  change->set_message_class(
      ReadWord(fields, "class", Need::kRequired, v1::MESSAGE_CLASS_UNSPECIFIED));
  change->set_status(ReadWord(fields, "status", Need::kRequired, v1::CONSENT_STATUS_UNSPECIFIED));
  const std::string source = fields.Text("source", Need::kOptional, schemas::kSourceWordBytesMax);
  change->set_source(source.empty() ? std::string(kDefaultSource) : source);
  if (fields.Has("evidence")) {
    ReadEvidence(fields, document, problems, change->mutable_evidence());
  }
  change->set_expected_version(ReadExpectedVersion(fields));
}

void ReadOptOut(FieldReader& fields, OptOutForm form, v1::OptOutChange* change) {
  ReadPerson(fields, change);
  change->set_channel(ReadWord(fields, "channel", Need::kOptional, v1::CHANNEL_ALL));
  change->set_status(ReadWord(fields, "status", Need::kRequired, v1::OPT_OUT_STATUS_UNSPECIFIED));
  const bool control = form == OptOutForm::kControl;
  change->set_by(control ? v1::OPT_OUT_BY_OPERATOR : v1::OPT_OUT_BY_API);
  const Need reason_need = control ? Need::kRequired : Need::kOptional;
  change->set_reason(fields.Text("reason", reason_need, schemas::kReasonBytesMax));
  if (!control) {
    const std::string source = fields.Text("source", Need::kOptional, schemas::kSourceWordBytesMax);
    if (change->reason().empty()) {
      change->set_reason(source.empty() ? std::string(kDefaultSource) : source);
    }
  }
  change->set_expected_version(ReadExpectedVersion(fields));
}

void ReadDirect(FieldReader& fields, const RuleTree& document, ProblemList* problems,
                v1::DirectNotification* direct, std::string* recipient) {
  if (fields.Has("phone") == fields.Has("recipient")) {
    fields.Problem("phone", "expected exactly one of phone and recipient");
  }
  const std::string phone = fields.Text("phone", Need::kOptional, schemas::kPhoneTextBytesMax);
  *recipient = fields.Text("recipient", Need::kOptional, schemas::kNameBytesMax);
  if (!phone.empty()) {
    const auto number = engine::NormalizePhone(phone);
    if (number.ok()) {
      direct->mutable_to()->set_plain(number.value());
    } else {
      fields.Problem("phone", number.error().message());
    }
  } else if (!recipient->empty() && !ParseId(IdKind::kRecipient, *recipient).ok()) {
    fields.Problem("recipient", "expected an id that begins with rcp_");
  }
  const bool by_trigger = fields.Has("trigger");
  direct->set_trigger_id(fields.Text("trigger", Need::kOptional, schemas::kEntityIdBytesMax));
  const Need own = by_trigger ? Need::kOptional : Need::kRequired;
  direct->set_channel(ReadWord(fields, "channel", own, v1::CHANNEL_UNSPECIFIED));
  direct->set_message_class(ReadWord(fields, "class", own, v1::MESSAGE_CLASS_UNSPECIFIED));
  direct->set_sender_id(fields.Text("sender", Need::kOptional, schemas::kEntityIdBytesMax));
  const auto node = fields.Node("template", own);
  if (by_trigger) {
    for (const std::string_view name : {"channel", "class", "sender", "template"}) {
      if (fields.Has(name)) {
        fields.Problem(name, "given beside a trigger, which has its own");
      }
    }
    return;
  }
  if (direct->channel() == v1::CHANNEL_ALL) {
    fields.Problem("channel", "expected one channel");
  }
  if (!node) {
    return;
  }
  FieldReader body(document, *node, "template.", problems);
  direct->set_template_body(body.Text("body", Need::kRequired, schemas::kTemplateBytesMax));
  if (const auto compiled = engine::Template::Compile(direct->template_body()); !compiled.ok()) {
    body.Problem("body", compiled.error().message());
  }
  body.Finish();
}

void ReadSkip(FieldReader& fields, std::int32_t partitions, v1::AccountChange* change) {
  const std::string name = fields.Text("topic", Need::kRequired, schemas::kNameBytesMax);
  const auto topic = schemas::TopicByName(name);
  if (!name.empty() && (!topic || schemas::SpecOf(*topic).role != schemas::TopicRole::kInput)) {
    fields.Problem("topic", "expected the name of an input topic, such as site-events");
  }
  const auto partition =
      fields.Integer("partition", Need::kRequired, {.min = 0, .max = partitions - 1});
  const auto offset = fields.Integer("offset", Need::kRequired,
                                     {.min = 0, .max = std::numeric_limits<std::int64_t>::max()});
  v1::Position* record = change->mutable_skip_requested()->mutable_record();
  record->set_topic(topic ? static_cast<std::uint32_t>(*topic) : 0);
  record->set_partition(static_cast<std::uint32_t>(partition.value_or(0)));
  record->set_offset(offset.value_or(0));
  change->set_reason(fields.Text("reason", Need::kRequired, schemas::kReasonBytesMax));
}

void ReadEngineActivate(FieldReader& fields, v1::EngineActivate* change) {
  change->set_engine_version(static_cast<std::uint32_t>(
      fields.Integer("version", Need::kRequired, {.min = 1, .max = engine::kEngineVersion})
          .value_or(0)));
}

}  // namespace alertstream::api
