#include "api/resources/resource_request.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <utility>

#include "api/control/change_document.h"
#include "api/control/json_tree.h"
#include "api/control/rule_document.h"
#include "processor/base/check.h"
#include "processor/base/crypto.h"
#include "processor/base/rfc3339.h"
#include "processor/engine/phone.h"
#include "schemas/envelope_check.h"
#include "schemas/input_codec.h"
#include "schemas/json.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;
using schemas::JsonType;
using schemas::JsonValue;
using schemas::Topic;

// A problem document of more than this many faults is read by nobody.
constexpr std::size_t kFaultsMax = 100;

constexpr std::string_view kValidationId = "trigger";  // Of a trigger that is not made.

ProblemDetails Malformed(std::string detail) {
  return {.status = 400,
          .code = "malformed_request",
          .detail = "The body is no JSON as we take it.",
          .errors = {{.detail = std::move(detail), .pointer = "#"}}};
}

ProblemDetails Invalid(std::vector<BodyFault> faults) {
  ProblemDetails problem{.status = 422,
                         .code = "validation_failed",
                         .detail = "Nothing was changed: the body is not valid."};
  for (BodyFault& fault : faults) {
    problem.errors.push_back(
        {.detail = std::move(fault.detail), .pointer = std::move(fault.pointer)});
  }
  return problem;
}

// Takes "line 3, column 14: " from the front of a condition's fault.
bool TakePlace(std::string_view* text, BodyFault* fault) {
  constexpr std::string_view kLine = "line ";
  constexpr std::string_view kColumn = ", column ";
  if (!text->starts_with(kLine)) {
    return false;
  }
  const char* const end = text->data() + text->size();
  const auto line = std::from_chars(text->data() + kLine.size(), end, fault->line);
  std::string_view rest(line.ptr, static_cast<std::size_t>(end - line.ptr));
  if (line.ec != std::errc() || !rest.starts_with(kColumn)) {
    return false;
  }
  const auto column = std::from_chars(rest.data() + kColumn.size(), end, fault->column);
  rest = std::string_view(column.ptr, static_cast<std::size_t>(end - column.ptr));
  if (column.ec != std::errc() || !rest.starts_with(": ")) {
    return false;
  }
  *text = rest.substr(2);
  return true;
}

BodyFault FaultOf(JsonValue root, const RuleProblem& problem) {
  BodyFault fault{.detail = problem.message, .pointer = "#" + FieldPointer(root, problem.field)};
  std::string_view text = problem.message;
  BodyFault place;
  if (problem.field == "when" && TakePlace(&text, &place)) {
    fault.line = place.line;
    fault.column = place.column;
  }
  return fault;
}

// A body that is read as a rule document is. Belongs to one call.
class Body {
 public:
  // What is wrong with the text or its form; then nothing else is called.
  std::optional<ProblemDetails> Open(std::string_view text) {
    if (const Status parsed = document_.Parse(text); !parsed.ok()) {
      return Malformed(parsed.error().message());
    }
    if (document_.root().type() != JsonType::kObject) {
      return Invalid({{.detail = "expected an object", .pointer = "#"}});
    }
    tree_.root = AddJson(document_.root(), &tree_);
    return std::nullopt;
  }

  // Adds a member that the caller gives instead of the client.
  void AddText(std::string_view name, std::string_view value) {
    for (const std::string_view text : {name, value}) {
      tree_.nodes[tree_.root].children.push_back(static_cast<std::uint32_t>(tree_.nodes.size()));
      tree_.nodes.push_back(
          {.kind = RuleNodeKind::kScalar, .quoted = true, .text = std::string(text)});
    }
  }

  void AddFault(std::string detail, std::string_view name) {
    faults_.push_back({.detail = std::move(detail), .pointer = http::PointerTo(name)});
  }

  // Every fault, those that the reader found last.
  std::vector<BodyFault> TakeFaults() {
    for (const RuleProblem& problem : found_) {
      if (faults_.size() < kFaultsMax) {
        faults_.push_back(FaultOf(root(), problem));
      }
    }
    return std::move(faults_);
  }

  JsonValue root() const { return document_.root(); }
  const RuleTree& tree() const { return tree_; }
  ProblemList* problems() { return &problems_; }

 private:
  schemas::JsonDocument document_;
  RuleTree tree_;
  std::vector<BodyFault> faults_;
  std::vector<RuleProblem> found_;
  ProblemList problems_{"", &found_};
};

v1::Envelope NewEnvelope(const ResourceContext& context, std::string type) {
  constexpr std::string_view kSource = "api";
  v1::Envelope envelope;
  envelope.set_tenant(std::string(context.tenant));
  envelope.set_routing_key(std::string(context.tenant));
  envelope.set_type(std::move(type));
  envelope.set_schema_version(schemas::kSchemaVersionMax);
  envelope.set_source(std::string(kSource));
  envelope.set_trust(v1::TRUST_SYSTEM);
  envelope.set_actor(std::string(context.actor));
  envelope.set_ingest_time_us(ToMicros(context.now));
  return envelope;
}

// The record; what the fold itself would refuse is a fault of the whole body.
ResourceParse RecordOf(Topic topic, const ResourceContext& context, const v1::Envelope& envelope,
                       std::string id) {
  if (const auto fault = schemas::CheckEnvelope(topic, context.tenant, envelope)) {
    return Invalid({{.detail = fault->detail, .pointer = "#"}});
  }
  auto value = schemas::EncodeEnvelope(envelope);
  if (!value.ok()) {
    return Invalid({{.detail = value.error().message(), .pointer = "#"}});
  }
  return ResourceChange{
      .id = std::move(id),
      .record = {.topic = topic,
                 .partition = schemas::PartitionOf(context.tenant, context.partitions),
                 .key = std::string(context.tenant),
                 .value = std::move(value).value()}};
}

// Reads the trigger of an open body; its faults stay in the body.
v1::AccountChange ReadTriggerOf(Body* body, const TriggerForm& form) {
  for (const std::string_view name : {"kind", "tenant"}) {
    if (body->root().Find(name)) {
      body->AddFault("unknown field", name);
    }
  }
  const auto named = body->root().Find("id");
  if (!named && !form.path_id.empty()) {
    body->AddText("id", form.path_id);
  } else if (!named && !form.default_id.empty()) {
    body->AddText("id", form.default_id);
  } else if (named && !form.path_id.empty() &&
             (named->type() != JsonType::kString || named->AsString() != form.path_id)) {
    body->AddFault("expected the id of the path, or none", "id");
  }
  if (!body->root().Find("kind")) {
    body->AddText("kind", WordOf(RuleKind::kTrigger));
  }
  std::vector<RuleItem> items;
  if (!body->root().Find("kind") && !body->root().Find("tenant")) {
    ReadRuleDocument(body->tree(), body->tree().root, body->problems(), &items);
  }
  return items.empty() ? v1::AccountChange() : std::move(items.front().change);
}

// A body that is one change to a person: `read` reads its fields.
ResourceParse ParsePerson(std::string_view text, const ResourceContext& context, Topic topic,
                          std::string type,
                          const std::function<void(FieldReader&, Body&, v1::Envelope*)>& read) {
  Body body;
  if (auto problem = body.Open(text)) {
    return std::move(*problem);
  }
  v1::Envelope envelope = NewEnvelope(context, std::move(type));
  FieldReader fields(body.tree(), body.tree().root, "", body.problems());
  read(fields, body, &envelope);
  fields.Finish();
  if (auto faults = body.TakeFaults(); !faults.empty()) {
    return Invalid(std::move(faults));
  }
  return RecordOf(topic, context, envelope, "");
}

// When the person acted, if no evidence says so.
void ReadConsentTime(FieldReader& fields, v1::ConsentChange* change) {
  const std::string text = fields.Text("at", Need::kOptional, schemas::kNameBytesMax);
  if (text.empty()) {
    return;
  }
  const auto time = ParseRfc3339(text);
  if (!time.ok()) {
    fields.Problem("at", "expected an RFC 3339 time such as 2026-01-31T08:00:00Z");
  } else if (change->evidence().at_us() != 0) {
    fields.Problem("at", "stands in the evidence too; expected one of the two");
  } else {
    change->mutable_evidence()->set_at_us(ToMicros(time.value()));
  }
}

}  // namespace

ResourceParse ParseTrigger(std::string_view text, const ResourceContext& context,
                           const TriggerForm& form) {
  Body body;
  if (auto problem = body.Open(text)) {
    return std::move(*problem);
  }
  v1::Envelope envelope = NewEnvelope(context, "account.trigger");
  *envelope.mutable_account_change() = ReadTriggerOf(&body, form);
  if (auto faults = body.TakeFaults(); !faults.empty()) {
    return Invalid(std::move(faults));
  }
  envelope.mutable_account_change()->set_expected_version(form.expected_version);
  return RecordOf(Topic::kAccountChanges, context, envelope,
                  envelope.account_change().trigger().id());
}

std::variant<std::vector<BodyFault>, ProblemDetails> FaultsOfTrigger(std::string_view text) {
  Body body;
  if (auto problem = body.Open(text)) {
    if (problem->status == 400) {
      return std::move(*problem);
    }
    return std::vector<BodyFault>{{.detail = "expected an object", .pointer = "#"}};
  }
  static_cast<void>(ReadTriggerOf(&body, {.default_id = kValidationId}));
  return body.TakeFaults();
}

ResourceChange TriggerDeletion(std::string_view id, const ResourceContext& context,
                               std::uint64_t expected_version) {
  v1::Envelope envelope = NewEnvelope(context, "account.trigger");
  v1::AccountChange* change = envelope.mutable_account_change();
  change->set_expected_version(expected_version);
  change->mutable_trigger()->set_id(std::string(id));
  change->mutable_trigger()->set_deleted(true);
  auto record = RecordOf(Topic::kAccountChanges, context, envelope, std::string(id));
  // Its id is one that the read model has, so there is nothing that could be wrong with it.
  ALERTSTREAM_CHECK(std::holds_alternative<ResourceChange>(record));
  return std::get<ResourceChange>(std::move(record));
}

ResourceParse ParseConsent(std::string_view text, const ResourceContext& context) {
  return ParsePerson(text, context, Topic::kConsentChanges, "consent.change",
                     [](FieldReader& fields, Body& body, v1::Envelope* envelope) {
                       v1::ConsentChange* change = envelope->mutable_consent_change();
                       ReadConsent(fields, body.tree(), body.problems(), change);
                       ReadConsentTime(fields, change);
                     });
}

ResourceParse ParseOptOut(std::string_view text, const ResourceContext& context) {
  return ParsePerson(text, context, Topic::kOptOuts, "optout.change",
                     [](FieldReader& fields, Body&, v1::Envelope* envelope) {
                       ReadOptOut(fields, OptOutForm::kResource,
                                  envelope->mutable_opt_out_change());
                     });
}

std::variant<NotificationDraft, ProblemDetails> ParseNotification(std::string_view text,
                                                                  const ResourceContext& context) {
  Body body;
  if (auto problem = body.Open(text)) {
    return std::move(*problem);
  }
  NotificationDraft draft{.envelope = NewEnvelope(context, "notification.request"),
                          .recipient = {}};
  FieldReader fields(body.tree(), body.tree().root, "", body.problems());
  v1::SiteEvent* event = draft.envelope.mutable_site_event();
  ReadDirect(fields, body.tree(), body.problems(), event->mutable_direct(), &draft.recipient);
  draft.envelope.set_site(fields.Text("site", Need::kOptional, schemas::kSiteIdBytesMax));
  static_cast<void>(fields.Node("data", Need::kOptional));
  if (const auto data = body.root().Find("data")) {
    if (data->type() != JsonType::kObject) {
      fields.Problem("data", "expected an object");
    }
    schemas::AppendJson(*data, event->mutable_data()->mutable_plain());
  }
  fields.Finish();
  if (auto faults = body.TakeFaults(); !faults.empty()) {
    return Invalid(std::move(faults));
  }
  // What the request is called: the fold's dedupe compares it.
  const Digest digest = Sha256().Update(text).Final();
  draft.envelope.set_body_sha256(std::string(AsView(digest)));
  return draft;
}

ResourceParse RecordOfNotification(const v1::Envelope& envelope, const ResourceContext& context) {
  return RecordOf(Topic::kSiteEvents, context, envelope, "");
}

std::variant<RepairRequest, ProblemDetails> ParseRepair(std::string_view text, RepairForm form) {
  Body body;
  if (auto problem = body.Open(text)) {
    return std::move(*problem);
  }
  RepairRequest request;
  FieldReader fields(body.tree(), body.tree().root, "", body.problems());
  request.reason = fields.Text("reason", Need::kRequired, schemas::kReasonBytesMax);
  request.forced = fields.Bool("forced", false);
  if (form == RepairForm::kEdit) {
    request.type = fields.Text("type", Need::kOptional, schemas::kEventTypeBytesMax);
    request.site = fields.Text("site", Need::kOptional, schemas::kSiteIdBytesMax);
    static_cast<void>(fields.Node("data", Need::kOptional));
    if (const auto data = body.root().Find("data")) {
      schemas::AppendJson(*data, &request.data);
    }
    if (request.data.empty() && request.type.empty() && request.site.empty()) {
      body.AddFault("expected at least one of data, type and site", "data");
    }
  }
  fields.Finish();
  if (auto faults = body.TakeFaults(); !faults.empty()) {
    return Invalid(std::move(faults));
  }
  return request;
}

std::variant<Redacted<std::string>, ProblemDetails> ParseLookup(std::string_view text) {
  Body body;
  if (auto problem = body.Open(text)) {
    return std::move(*problem);
  }
  FieldReader fields(body.tree(), body.tree().root, "", body.problems());
  const std::string phone = fields.Text("phone", Need::kRequired, schemas::kPhoneTextBytesMax);
  Redacted<std::string> address;
  if (!phone.empty()) {
    auto number = engine::NormalizePhone(phone);
    if (number.ok()) {
      address = Redacted<std::string>(std::move(number).value());
    } else {
      fields.Problem("phone", number.error().message());
    }
  } else if (fields.Has("phone") && body.problems()->size() == 0) {
    fields.Problem("phone", "expected a telephone number");
  }
  fields.Finish();
  if (auto faults = body.TakeFaults(); !faults.empty()) {
    return Invalid(std::move(faults));
  }
  return address;
}

}  // namespace alertstream::api
