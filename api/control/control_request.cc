#include "api/control/control_request.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "api/control/change_document.h"
#include "api/control/dead_letter_document.h"
#include "api/control/json_tree.h"
#include "api/control/rule_document.h"
#include "api/control/rule_fields.h"
#include "api/control/rule_tree.h"
#include "processor/base/id.h"
#include "processor/base/suggest.h"
#include "schemas/envelope_check.h"
#include "schemas/event_line.h"
#include "schemas/input_codec.h"
#include "schemas/json.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;
using http::ProblemError;
using schemas::JsonType;
using schemas::JsonValue;
using schemas::Topic;

// The index is the enum value; the first are those of RuleKind.
constexpr std::array<std::string_view, 12> kKinds = {
    "tenant",          "plan",    "site",        "sender",
    "trigger",         "consent", "opt_out",     "skip",
    "engine_activate", "event",   "dead_letter", "notification_retry"};
static_assert(static_cast<int>(RuleKind::kTrigger) == static_cast<int>(ControlKind::kTrigger));

// A problem document of more than this many faults is read by nobody.
constexpr std::size_t kErrorsMax = 100;

// "recipients.list[2]" of `event`, which is the third, is "#/events/2/recipients/list/2".
std::string PointerOf(std::size_t index, std::optional<JsonValue> event, std::string_view field) {
  return fmt::format("#/events/{}{}", index, FieldPointer(event, field));
}

ProblemDetails Malformed(std::string detail, std::string pointer) {
  return {.status = 400,
          .code = "malformed_request",
          .detail = "The body is not a control request.",
          .errors = {{.detail = std::move(detail), .pointer = std::move(pointer)}}};
}

// Reads the events of one request.
class ControlParser {
 public:
  ControlParser(const ControlContext& context, std::string_view default_tenant)
      : context_(context), default_tenant_(default_tenant) {}

  void Read(std::size_t index, JsonValue event);
  const std::vector<ProblemError>& errors() const { return errors_; }
  std::vector<ControlItem> Take() { return std::move(items_); }

 private:
  void ReadDocument(ControlKind kind, JsonValue event);
  void ReadRule(const RuleTree& tree, ControlKind kind, ProblemList* problems);
  void ReadChange(const RuleTree& tree, ControlKind kind, ProblemList* problems);
  void ReadDeadLetter(FieldReader& fields, ProblemList* problems);
  void ReadEvent(JsonValue event);
  v1::Envelope NewEnvelope(std::string_view tenant, std::string type) const;
  std::string TenantOf(FieldReader& fields) const;
  void Append(ControlItem item, Topic topic, std::int32_t partition, std::string_view key,
              const v1::Envelope& envelope);
  void AddRecord(ControlItem* item, Topic topic, std::int32_t partition, std::string_view key,
                 const v1::Envelope& envelope);
  void Problem(std::string detail, std::string_view field = "") {
    if (errors_.size() < kErrorsMax) {
      errors_.push_back({.detail = std::move(detail), .pointer = PointerOf(index_, event_, field)});
    }
  }

  const ControlContext& context_;
  const std::string_view default_tenant_;
  std::size_t index_ = 0;
  std::optional<JsonValue> event_;  // The one that is read.
  std::vector<ProblemError> errors_;
  std::vector<ControlItem> items_;
};

void ControlParser::Read(std::size_t index, JsonValue event) {
  index_ = index;
  event_ = event;
  if (event.type() != JsonType::kObject) {
    return Problem("expected an object");
  }
  const auto kind = event.Find("kind");
  if (!kind || kind->type() != JsonType::kString) {
    return Problem(fmt::format("expected one of {}", fmt::join(kKinds, ", ")), "kind");
  }
  const auto found = std::find(kKinds.begin(), kKinds.end(), kind->AsString());
  if (found == kKinds.end()) {
    return Problem(fmt::format("expected one of {}{}", fmt::join(kKinds, ", "),
                               DidYouMean(kind->AsString(), kKinds)),
                   "kind");
  }
  const auto which = static_cast<ControlKind>(found - kKinds.begin());
  if (which == ControlKind::kEvent) {
    return ReadEvent(event);
  }
  ReadDocument(which, event);
}

void ControlParser::ReadDocument(ControlKind kind, JsonValue event) {
  RuleTree tree;
  tree.root = AddJson(event, &tree);
  std::vector<RuleProblem> found;
  ProblemList problems("", &found);
  if (kind <= ControlKind::kTrigger) {
    ReadRule(tree, kind, &problems);
  } else {
    ReadChange(tree, kind, &problems);
  }
  for (RuleProblem& problem : found) {
    Problem(std::move(problem.message), problem.field);
  }
}

v1::Envelope ControlParser::NewEnvelope(std::string_view tenant, std::string type) const {
  constexpr std::string_view kSource = "control";
  v1::Envelope envelope;
  envelope.set_tenant(std::string(tenant));
  envelope.set_routing_key(std::string(tenant));
  envelope.set_type(std::move(type));
  envelope.set_schema_version(schemas::kSchemaVersionMax);
  envelope.set_source(std::string(kSource));
  envelope.set_trust(v1::TRUST_SYSTEM);
  envelope.set_actor(std::string(context_.actor));
  envelope.set_ingest_time_us(ToMicros(context_.now));
  return envelope;
}

void ControlParser::ReadRule(const RuleTree& tree, ControlKind kind, ProblemList* problems) {
  std::vector<RuleItem> rules;
  ReadRuleDocument(tree, tree.root, problems, &rules, RuleForm::kControl);
  if (rules.empty() || problems->size() > 0) {
    return;
  }
  RuleItem& rule = rules.front();
  const std::string tenant = kind == ControlKind::kTenant ? rule.id
                             : rule.tenant.empty()        ? std::string(default_tenant_)
                                                          : rule.tenant;
  if (tenant.empty()) {
    return Problem("missing, and the request names no tenant", "tenant");
  }
  v1::Envelope envelope = NewEnvelope(tenant, "account." + std::string(WordOf(kind)));
  ControlItem item{.kind = kind, .id = rule.id};
  *envelope.mutable_account_change() = std::move(rule.change);
  Append(std::move(item), Topic::kAccountChanges, schemas::PartitionOf(tenant, context_.partitions),
         tenant, envelope);
}

std::string ControlParser::TenantOf(FieldReader& fields) const {
  const std::string named = fields.Text("tenant", Need::kOptional, schemas::kTenantIdBytesMax);
  std::string tenant = named.empty() ? std::string(default_tenant_) : named;
  if (tenant.empty() && !fields.Has("tenant")) {
    fields.Problem("tenant", "missing, and the request names no tenant");
  } else if (!tenant.empty() && !schemas::IsTenantId(tenant)) {
    fields.Problem("tenant",
                   "expected an id of a to z, 0 to 9, _ and -, first a letter or a digit");
  }
  return tenant;
}

void ControlParser::ReadChange(const RuleTree& tree, ControlKind kind, ProblemList* problems) {
  FieldReader fields(tree, tree.root, "", problems);
  static_cast<void>(fields.Node("kind", Need::kRequired));
  ControlItem item{.kind = kind};
  if (kind == ControlKind::kConsent || kind == ControlKind::kOptOut) {
    const std::string tenant = TenantOf(fields);
    const bool consent = kind == ControlKind::kConsent;
    v1::Envelope envelope = NewEnvelope(tenant, consent ? "consent.change" : "optout.change");
    if (consent) {
      ReadConsent(fields, tree, problems, envelope.mutable_consent_change());
    } else {
      ReadOptOut(fields, OptOutForm::kControl, envelope.mutable_opt_out_change());
    }
    fields.Finish();
    if (problems->size() == 0) {
      Append(std::move(item), consent ? Topic::kConsentChanges : Topic::kOptOuts,
             schemas::PartitionOf(tenant, context_.partitions), tenant, envelope);
    }
    return;
  }
  if (kind == ControlKind::kDeadLetter) {
    return ReadDeadLetter(fields, problems);
  }
  if (kind == ControlKind::kNotificationRetry) {
    const std::string tenant = TenantOf(fields);
    v1::Envelope envelope = NewEnvelope(tenant, "notification.retry");
    item.id = ReadNotificationRetry(fields, &envelope);
    fields.Finish();
    if (problems->size() == 0) {
      Append(std::move(item), Topic::kSiteEvents, schemas::PartitionOf(tenant, context_.partitions),
             tenant, envelope);
    }
    return;
  }
  v1::Envelope envelope =
      NewEnvelope(schemas::kLogKey, kind == ControlKind::kSkip ? "dlq.skip" : "engine.activate");
  v1::AccountChange* change = envelope.mutable_account_change();
  if (kind == ControlKind::kSkip) {
    ReadSkip(fields, context_.partitions, change);
  } else {
    ReadEngineActivate(fields, change->mutable_engine_activate());
  }
  fields.Finish();
  if (problems->size() > 0) {
    return;
  }
  if (kind == ControlKind::kSkip) {
    const auto partition = static_cast<std::int32_t>(change->skip_requested().record().partition());
    return Append(std::move(item), Topic::kAccountChanges, partition, schemas::kLogKey, envelope);
  }
  item.id = std::to_string(change->engine_activate().engine_version());
  for (std::int32_t partition = 0; partition < context_.partitions; ++partition) {
    AddRecord(&item, Topic::kAccountChanges, partition, schemas::kLogKey, envelope);
  }
  items_.push_back(std::move(item));
}

void ControlParser::ReadDeadLetter(FieldReader& fields, ProblemList* problems) {
  DeadLetterChange change;
  const std::string tenant = fields.Has("tenant") ? TenantOf(fields) : std::string();
  ReadDeadLetterChange(fields, context_.partitions, &change);
  fields.Finish();
  if (problems->size() > 0) {
    return;
  }
  ControlItem item{.kind = ControlKind::kDeadLetter,
                   .id = FormatId(IdKind::kDeadLetter, change.action.id())};
  const auto topic = static_cast<Topic>(change.action.record().topic());
  const auto partition = static_cast<std::int32_t>(change.action.record().partition());
  if (change.record) {
    change.action.set_actor(std::string(context_.actor));
    change.action.set_reason(change.reason);
    auto record = RetryRecord(topic, partition, *change.record, change.action);
    if (!record.ok()) {
      return Problem(record.error().message());
    }
    item.records.push_back(std::move(record).value());
    items_.push_back(std::move(item));
    return;
  }
  const std::string_view key = tenant.empty() ? schemas::kLogKey : std::string_view(tenant);
  v1::Envelope envelope = NewEnvelope(key, "dlq.action");
  envelope.mutable_account_change()->set_reason(change.reason);
  *envelope.mutable_account_change()->mutable_dead_letter_action() = std::move(change.action);
  Append(std::move(item), Topic::kAccountChanges, partition, key, envelope);
}

void ControlParser::ReadEvent(JsonValue event) {
  // The line of an event file: the same object without `kind`.
  std::string line = "{";
  for (auto member = event.first_child(); member; member = member->next_sibling()) {
    if (member->name() == "kind") {
      continue;
    }
    line += line.size() > 1 ? "," : "";
    schemas::AppendJsonString(member->name(), &line);
    line += ":";
    schemas::AppendJson(*member, &line);
  }
  line += "}";
  auto decoded = schemas::DecodeEventLine(line, default_tenant_);
  if (!decoded.ok()) {
    return Problem(decoded.error().message());
  }
  v1::Envelope& envelope = decoded.value().envelope;
  envelope.set_trust(v1::TRUST_SYSTEM);
  envelope.set_actor(std::string(context_.actor));
  envelope.set_ingest_time_us(ToMicros(context_.now));
  const std::string& key = decoded.value().key;
  Append({.kind = ControlKind::kEvent}, Topic::kSiteEvents,
         schemas::PartitionOf(key, context_.partitions), key, envelope);
}

void ControlParser::AddRecord(ControlItem* item, Topic topic, std::int32_t partition,
                              std::string_view key, const v1::Envelope& envelope) {
  // The fold's own check, for whatever is not checked field by field.
  if (const auto fault = schemas::CheckEnvelope(topic, key, envelope)) {
    return Problem(fault->detail);
  }
  auto value = schemas::EncodeEnvelope(envelope);
  if (!value.ok()) {
    return Problem(value.error().message());
  }
  item->records.push_back({.topic = topic,
                           .partition = partition,
                           .key = std::string(key),
                           .value = std::move(value).value()});
}

void ControlParser::Append(ControlItem item, Topic topic, std::int32_t partition,
                           std::string_view key, const v1::Envelope& envelope) {
  AddRecord(&item, topic, partition, key, envelope);
  items_.push_back(std::move(item));
}

}  // namespace

std::string_view WordOf(ControlKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

std::variant<ControlItems, ProblemDetails> ParseControl(std::string_view body,
                                                        const ControlContext& context) {
  schemas::JsonDocument document;
  if (const Status parsed = document.Parse(body); !parsed.ok()) {
    return Malformed(parsed.error().message(), "#");
  }
  const JsonValue root = document.root();
  if (root.type() != JsonType::kObject) {
    return Malformed("expected an object", "#");
  }
  for (auto member = root.first_child(); member; member = member->next_sibling()) {
    if (member->name() != "tenant" && member->name() != "events") {
      return Malformed("unknown member; expected tenant and events",
                       http::PointerTo(member->name()));
    }
  }
  const auto tenant = root.Find("tenant");
  if (tenant && (tenant->type() != JsonType::kString || !schemas::IsTenantId(tenant->AsString()))) {
    return Malformed("expected a tenant id", "#/tenant");
  }
  const auto events = root.Find("events");
  if (!events || events->type() != JsonType::kArray || events->size() == 0 ||
      events->size() > kControlEventsMax) {
    return Malformed(fmt::format("expected a list of 1 to {} events", kControlEventsMax),
                     "#/events");
  }
  ControlParser parser(context, tenant ? tenant->AsString() : std::string_view());
  std::size_t index = 0;
  for (auto event = events->first_child(); event; event = event->next_sibling()) {
    parser.Read(index++, *event);
  }
  if (!parser.errors().empty()) {
    return ProblemDetails{.status = 422,
                          .code = "validation_failed",
                          .detail = "Nothing was appended: some events are not valid.",
                          .errors = parser.errors()};
  }
  return parser.Take();
}

}  // namespace alertstream::api
