#include "api/control/rule_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "processor/engine/conditions/condition.h"
#include "processor/engine/phone.h"
#include "processor/engine/templates/template.h"
#include "schemas/limits.h"
#include "schemas/text.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

// The index is the enum value minus one.
constexpr std::array<std::string_view, 3> kTenantStatuses = {"active", "suspended", "closed"};
constexpr std::array<std::string_view, 2> kSiteStatuses = {"active", "disabled"};
constexpr std::array<std::string_view, 5> kChannels = {"sms", "whatsapp", "email", "push", "voice"};
constexpr std::array<std::string_view, 3> kClasses = {"transactional", "informational",
                                                      "marketing"};
static_assert(v1::TENANT_STATUS_ACTIVE == 1 && v1::TENANT_STATUS_CLOSED == 3);
static_assert(v1::SITE_STATUS_ACTIVE == 1 && v1::SITE_STATUS_DISABLED == 2);
static_assert(v1::CHANNEL_SMS == 1 && v1::CHANNEL_VOICE == 5);
static_assert(v1::MESSAGE_CLASS_TRANSACTIONAL == 1 && v1::MESSAGE_CLASS_MARKETING == 3);

constexpr std::int64_t kMillisecondUs = 1000;

constexpr std::string_view kEntityIdForm = "expected an id of a to z, 0 to 9, _ and -";

template <std::size_t N>
int EnumOf(FieldReader& fields, std::string_view name, Need need,
           const std::array<std::string_view, N>& words, int absent) {
  const auto index = fields.Choice(name, need, words);
  return index ? static_cast<int>(*index) + 1 : absent;
}

std::string Id(FieldReader& fields, std::string_view name, Need need) {
  std::string id = fields.Text(name, need, schemas::kEntityIdBytesMax);
  if (!id.empty() && !schemas::IsEntityId(id)) {
    fields.Problem(name, std::string(kEntityIdForm));
  }
  return id;
}

void ReadTenant(FieldReader& fields, RuleItem* item) {
  item->id = fields.Text("id", Need::kRequired, schemas::kTenantIdBytesMax);
  if (!item->id.empty() && !schemas::IsTenantId(item->id)) {
    fields.Problem("id", std::string(kEntityIdForm) + ", first a letter or a digit");
  }
  v1::Tenant& tenant = *item->change.mutable_tenant();
  tenant.set_status(static_cast<v1::TenantStatus>(
      EnumOf(fields, "status", Need::kOptional, kTenantStatuses, v1::TENANT_STATUS_ACTIVE)));
  tenant.set_plan(Id(fields, "plan", Need::kOptional));
  tenant.set_stop_reply(fields.Text("stop_reply", Need::kOptional, schemas::kReplyBytesMax));
  tenant.set_help_reply(fields.Text("help_reply", Need::kOptional, schemas::kReplyBytesMax));
  tenant.set_unknown_wait_us(fields
                                 .Duration("unknown_wait", {.min = schemas::kUnknownWaitUsMin,
                                                            .max = schemas::kUnknownWaitUsMax})
                                 .count());
}

void ReadPlan(FieldReader& fields, RuleItem* item) {
  item->id = Id(fields, "id", Need::kRequired);
  v1::Plan& plan = *item->change.mutable_plan();
  plan.set_id(item->id);
  plan.set_sends_per_month_max(fields
                                   .Integer("sends_per_month_max", Need::kRequired,
                                            {.min = 0, .max = schemas::kSendsPerMonthMax})
                                   .value_or(0));
}

void ReadSite(FieldReader& fields, RuleItem* item) {
  item->id = fields.Text("id", Need::kRequired, schemas::kSiteIdBytesMax);
  if (!item->id.empty() && !schemas::IsSiteId(item->id)) {
    fields.Problem("id", "expected an id of letters, digits, . _ and -");
  }
  v1::Site& site = *item->change.mutable_site();
  site.set_id(item->id);
  site.set_status(static_cast<v1::SiteStatus>(
      EnumOf(fields, "status", Need::kOptional, kSiteStatuses, v1::SITE_STATUS_ACTIVE)));
}

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// E.164, a short code (3 to 8 digits), or an alphanumeric sender (GSM: 1 to 11 letters, digits and
// spaces, one of them no digit).
void ReadSenderNumber(FieldReader& fields, v1::Sender* sender) {
  const std::string number = fields.Text("number", Need::kOptional, schemas::kPhoneTextBytesMax);
  if (number.empty()) {
    return;
  }
  if (number.starts_with('+') || number.starts_with("00")) {
    const auto normalised = engine::NormalizePhone(number);
    if (!normalised.ok()) {
      fields.Problem("number", normalised.error().message());
      return;
    }
    sender->set_number(normalised.value());
    return;
  }
  const bool short_code = IsDigits(number) && number.size() >= 3 && number.size() <= 8;
  const bool name = !IsDigits(number) && number.size() <= 11 &&
                    std::all_of(number.begin(), number.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                             (c >= 'A' && c <= 'Z') || c == ' ';
                    });
  if (!short_code && !name) {
    fields.Problem("number",
                   "expected a number that begins with +, a short code of 3 to 8 digits, or a name "
                   "of at most 11 letters and digits");
  }
  sender->set_number(number);
}

void ReadSender(FieldReader& fields, RuleItem* item) {
  item->id = Id(fields, "id", Need::kRequired);
  v1::Sender& sender = *item->change.mutable_sender();
  sender.set_id(item->id);
  sender.set_provider(fields.Text("provider", Need::kRequired, schemas::kProviderBytesMax));
  sender.set_account(fields.Text("account", Need::kOptional, schemas::kProviderAccountBytesMax));
  sender.set_is_default(fields.Bool("default", false));
  sender.set_channel(static_cast<v1::Channel>(
      EnumOf(fields, "channel", Need::kOptional, kChannels, v1::CHANNEL_UNSPECIFIED)));
  if (sender.channel() == v1::CHANNEL_EMAIL || sender.channel() == v1::CHANNEL_PUSH) {
    sender.set_number(fields.Text("number", Need::kOptional, schemas::kPhoneTextBytesMax));
  } else {
    ReadSenderNumber(fields, &sender);
  }
  for (const auto& [name, text] :
       {std::pair<std::string_view, std::string_view>{"provider", sender.provider()},
        {"account", sender.account()},
        {"number", sender.number()}}) {
    if (!schemas::HasNoControls(text)) {
      fields.Problem(name, "contains a control character");
    }
  }
}

// "data.customer.phone": member names below the event's data.
bool IsDataPath(std::string_view path) {
  return path.starts_with("data.") && !path.ends_with('.') &&
         path.find("..") == std::string_view::npos && schemas::HasNoControls(path);
}

// An address as the channel wants it; the problem never repeats it.
Result<std::string> NormalizeAddress(const std::string& address, v1::Channel channel) {
  if (channel == v1::CHANNEL_EMAIL) {
    const std::size_t at = address.find('@');
    if (at == 0 || at == std::string::npos || at + 1 == address.size() ||
        address.find('@', at + 1) != std::string::npos ||
        address.find_first_of(" \t\r\n") != std::string::npos) {
      return Error(ErrorCode::kInvalid, "e-mail address: expected one @ between two parts");
    }
    return address;
  }
  if (channel == v1::CHANNEL_PUSH) {
    return address;
  }
  return engine::NormalizePhone(address);
}

std::size_t AddressBytesMax(v1::Channel channel) {
  if (channel == v1::CHANNEL_EMAIL) {
    return schemas::kEmailBytesMax;
  }
  return channel == v1::CHANNEL_PUSH ? schemas::kPushTokenBytesMax : schemas::kPhoneTextBytesMax;
}

void ReadList(FieldReader& fields, std::uint32_t node, const RuleTree& document,
              ProblemList* problems, v1::Trigger* trigger) {
  const RuleNode& list = document.nodes[node];
  if (list.kind != RuleNodeKind::kSequence || list.children.empty() ||
      list.children.size() > static_cast<std::size_t>(schemas::kRecipientsMax)) {
    fields.Problem("list",
                   fmt::format("expected a list of 1 to {} addresses", schemas::kRecipientsMax));
    return;
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < list.children.size(); ++i) {
    const std::string name = fmt::format("list[{}]", i);
    const auto text = fields.TextOf(list.children[i], name, AddressBytesMax(trigger->channel()));
    if (!text) {
      continue;
    }
    const auto address = NormalizeAddress(*text, trigger->channel());
    const RuleNode& element = document.nodes[list.children[i]];
    if (!address.ok()) {
      problems->Add(element, "recipients." + name, address.error().message());
    } else if (!seen.insert(address.value()).second) {
      problems->Add(element, "recipients." + name, "the same address stands in the list before");
    } else {
      trigger->mutable_recipients()->mutable_list()->add_addresses()->set_plain(address.value());
    }
  }
}

void ReadRecipients(FieldReader& fields, const RuleTree& document, ProblemList* problems,
                    v1::Trigger* trigger) {
  const auto node = fields.Node("recipients", Need::kRequired);
  if (!node) {
    return;
  }
  FieldReader recipients(document, *node, "recipients.", problems);
  const std::string path = recipients.Text("field", Need::kOptional, schemas::kFieldPathBytesMax);
  const auto list = recipients.Node("list", Need::kOptional);
  const bool empty =
      recipients.node().kind == RuleNodeKind::kMap && recipients.node().children.empty();
  if (empty || (list && recipients.Has("field"))) {
    fields.Problem("recipients", "expected either field or list");
  } else if (list) {
    ReadList(recipients, *list, document, problems, trigger);
  } else if (!path.empty()) {
    if (!IsDataPath(path)) {
      recipients.Problem("field", "expected a path below the event's data, such as data.phone");
    }
    trigger->mutable_recipients()->set_field(path);
  }
  recipients.Finish();
}

void ReadTemplate(FieldReader& fields, const RuleTree& document, ProblemList* problems,
                  v1::Trigger* trigger) {
  const auto node = fields.Node("template", Need::kRequired);
  if (!node) {
    return;
  }
  FieldReader body(document, *node, "template.", problems);
  trigger->set_template_body(body.Text("body", Need::kRequired, schemas::kTemplateBytesMax));
  if (!trigger->template_body().empty()) {
    const auto compiled = engine::Template::Compile(trigger->template_body());
    if (!compiled.ok()) {
      body.Problem("body", compiled.error().message());
    }
  }
  body.Finish();
}

void ReadCondition(FieldReader& fields, v1::Trigger* trigger) {
  trigger->set_when(fields.Text("when", Need::kOptional, schemas::kConditionBytesMax));
  if (trigger->when().empty()) {
    return;
  }
  const auto compiled = engine::Condition::Compile(trigger->when());
  if (!compiled.ok()) {
    fields.Problem("when", compiled.error().message());
  }
}

void ReadTrigger(FieldReader& fields, const RuleTree& document, ProblemList* problems,
                 RuleItem* item) {
  item->id = Id(fields, "id", Need::kRequired);
  v1::Trigger& trigger = *item->change.mutable_trigger();
  trigger.set_id(item->id);
  trigger.set_name(fields.Text("name", Need::kOptional, schemas::kNameBytesMax));
  if (!schemas::HasNoControls(trigger.name())) {
    fields.Problem("name", "contains a control character");
  }
  trigger.set_event_type(fields.Text("event_type", Need::kRequired, schemas::kEventTypeBytesMax));
  if (!trigger.event_type().empty() && !schemas::IsEventType(trigger.event_type())) {
    fields.Problem("event_type", "expected letters, digits and . _ : / -");
  }
  ReadCondition(fields, &trigger);
  trigger.set_channel(static_cast<v1::Channel>(
      EnumOf(fields, "channel", Need::kRequired, kChannels, v1::CHANNEL_UNSPECIFIED)));
  ReadRecipients(fields, document, problems, &trigger);
  trigger.set_sender(Id(fields, "sender", Need::kOptional));
  ReadTemplate(fields, document, problems, &trigger);
  trigger.set_message_class(static_cast<v1::MessageClass>(
      EnumOf(fields, "message_class", Need::kRequired, kClasses, v1::MESSAGE_CLASS_UNSPECIFIED)));
  trigger.set_cooldown_us(
      fields.Duration("cooldown", {.min = 0, .max = schemas::kCooldownUsMax}).count());
  trigger.set_daily_cap(static_cast<std::uint32_t>(
      fields.Integer("daily_cap", Need::kOptional, {.min = 0, .max = schemas::kDailyCapMax})
          .value_or(0)));
  trigger.set_max_age_us(
      fields.Duration("max_age", {.min = kMillisecondUs, .max = schemas::kMaxAgeUsMax}).count());
  trigger.set_allow_public(fields.Bool("allow_public", false));
  trigger.set_enabled(fields.Bool("enabled", true));
  if (trigger.allow_public() && trigger.recipients().has_field() && trigger.daily_cap() == 0) {
    fields.Problem("allow_public",
                   "needs a daily_cap: anybody can send events that name a recipient");
  }
}

}  // namespace

std::uint64_t ReadExpectedVersion(FieldReader& fields) {
  constexpr std::int64_t kVersionMax = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::uint64_t>(
      fields.Integer("expected_version", Need::kOptional, {.min = 0, .max = kVersionMax})
          .value_or(0));
}

void ReadRuleDocument(const RuleTree& document, std::uint32_t root, ProblemList* problems,
                      std::vector<RuleItem>* items, RuleForm form) {
  FieldReader fields(document, root, "", problems);
  if (fields.node().kind != RuleNodeKind::kMap) {
    return;
  }
  const auto kind = fields.Choice("kind", Need::kRequired, kRuleKinds);
  if (!kind) {
    return;  // Which fields there may be is not known.
  }
  RuleItem item;
  item.kind = static_cast<RuleKind>(*kind);
  item.file = problems->file();
  item.line = fields.node().line;
  item.column = fields.node().column;
  if (item.kind != RuleKind::kTenant) {
    item.tenant = fields.Text("tenant", Need::kOptional, schemas::kTenantIdBytesMax);
    if (!item.tenant.empty() && !schemas::IsTenantId(item.tenant)) {
      fields.Problem("tenant", std::string(kEntityIdForm) + ", first a letter or a digit");
    }
  }
  switch (item.kind) {
    case RuleKind::kTenant:
      ReadTenant(fields, &item);
      break;
    case RuleKind::kPlan:
      ReadPlan(fields, &item);
      break;
    case RuleKind::kSite:
      ReadSite(fields, &item);
      break;
    case RuleKind::kSender:
      ReadSender(fields, &item);
      break;
    case RuleKind::kTrigger:
      ReadTrigger(fields, document, problems, &item);
      break;
  }
  if (form == RuleForm::kControl) {
    item.change.set_expected_version(ReadExpectedVersion(fields));
    item.change.set_reason(fields.Text("reason", Need::kOptional, schemas::kReasonBytesMax));
  }
  fields.Finish();
  items->push_back(std::move(item));
}

}  // namespace alertstream::api
