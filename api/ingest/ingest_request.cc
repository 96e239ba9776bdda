#include "api/ingest/ingest_request.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/ingest/request_fields.h"
#include "processor/base/rfc3339.h"
#include "schemas/cloudevents.h"
#include "schemas/envelope_check.h"
#include "schemas/json.h"
#include "schemas/limits.h"
#include "schemas/text.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;
using schemas::JsonType;
using schemas::JsonValue;
using Fault = std::optional<ProblemDetails>;

enum class Form { kNative, kNativeBatch, kBinary, kStructured, kStructuredBatch };

// What all events of one request have in common.
struct Common {
  const http::Request& request;
  const IngestContext& context;
  std::string_view idempotency_key;  // Of the header; empty: none.
  std::optional<v1::TraceContext> trace;
};

ProblemDetails Malformed(std::string detail) {
  return {.status = 400, .code = "malformed_request", .detail = std::move(detail)};
}

ProblemDetails Unsupported(std::string detail) {
  return {.status = 415, .code = "unsupported_media_type", .detail = std::move(detail)};
}

// `pointer` is empty for a fault that lies in no place of the body.
ProblemDetails Invalid(std::string detail, std::string pointer) {
  return {.status = 422,
          .code = "validation_failed",
          .detail = "The event is not valid: " + detail,
          .errors = {{std::move(detail), std::move(pointer)}}};
}

ProblemDetails InvalidMember(std::string_view name, std::string_view expected) {
  return Invalid(std::string(name).append(": ").append(expected), http::PointerTo(name));
}

// The name by which the sender knows a field of the Envelope.
std::string_view NameInForm(std::string_view field, Form form) {
  struct Names {
    std::string_view field;
    std::string_view native;
    std::string_view cloud_events;
  };
  constexpr std::array<Names, 4> kNames = {{
      {"type", "event_type", "type"},
      {"site_event.data", "data", "data"},
      {"event_time_us", "time", "time"},
      {"idempotency.key", "Idempotency-Key", "idempotencykey"},
  }};
  for (const Names& names : kNames) {
    if (names.field == field) {
      return form == Form::kNative ? names.native : names.cloud_events;
    }
  }
  return field;
}

ProblemDetails FromDecodeFault(const schemas::DecodeFault& fault, Form form) {
  const std::size_t colon = fault.detail.find(':');
  if (colon == std::string::npos) {
    return Invalid(fault.detail, "");
  }
  const std::string_view field = std::string_view(fault.detail).substr(0, colon);
  const std::string_view expected = std::string_view(fault.detail).substr(colon);
  if (field == "datacontenttype" && fault.reason == v1::DEAD_LETTER_REASON_MALFORMED_CLOUDEVENT &&
      form == Form::kBinary) {
    return Unsupported("Content-Type" + std::string(expected));
  }
  if (field == "event") {
    return Invalid(fault.detail, "#");
  }
  const std::string_view name = NameInForm(field, form);
  if (form == Form::kBinary) {
    const bool is_data = name == "data";
    return Invalid((is_data ? "" : "ce-") + std::string(name).append(expected), is_data ? "#" : "");
  }
  return Invalid(std::string(name).append(expected), http::PointerTo(name));
}

// Member `name` of a native event, a string that is not empty; empty if there is none.
Fault ReadString(JsonValue event, std::string_view name, std::string_view* text) {
  const auto member = event.Find(name);
  if (!member) {
    return std::nullopt;
  }
  if (member->type() != JsonType::kString || member->AsString().empty()) {
    return InvalidMember(name, "expected a string that is not empty");
  }
  *text = member->AsString();
  return std::nullopt;
}

Fault ReadTime(std::string_view text, v1::Envelope* envelope) {
  const auto time = ParseRfc3339(text);
  if (!time.ok()) {
    return InvalidMember("time", "expected an RFC 3339 time such as 2026-01-31T08:00:00Z");
  }
  const std::int64_t micros = ToMicros(time.value());
  if (micros < schemas::kTimeUsMin || micros >= schemas::kTimeUsMax) {
    return InvalidMember("time", "expected a time between the years 2000 and 2200");
  }
  envelope->set_event_time_us(micros);
  return std::nullopt;
}

Fault RefuseUnknownMembers(JsonValue object, std::span<const std::string_view> known) {
  for (auto member = object.first_child(); member; member = member->next_sibling()) {
    if (std::find(known.begin(), known.end(), member->name()) == known.end()) {
      constexpr std::size_t kNameBytesShown = 64;
      const bool is_long = member->name().size() > kNameBytesShown;
      std::string expected = "unknown member; expected ";
      for (const std::string_view name : known) {
        expected.append(name == known.front() ? "" : ", ").append(name);
      }
      return Invalid(std::move(expected), is_long ? "#" : http::PointerTo(member->name()));
    }
  }
  return std::nullopt;
}

Fault ReadNative(JsonValue event, v1::Envelope* envelope) {
  if (event.type() != JsonType::kObject) {
    return Invalid("expected a JSON object", "#");
  }
  constexpr std::array<std::string_view, 5> kMembers = {"event_type", "data", "id", "time", "site"};
  if (auto fault = RefuseUnknownMembers(event, kMembers)) {
    return fault;
  }
  std::string_view type;
  std::string_view id;
  std::string_view time;
  std::string_view site;
  for (const auto& [name, text] : {std::pair("event_type", &type), std::pair("id", &id),
                                   std::pair("time", &time), std::pair("site", &site)}) {
    if (auto fault = ReadString(event, name, text)) {
      return fault;
    }
  }
  if (type.empty()) {
    return InvalidMember("event_type", "missing; expected a string");
  }
  const auto data = event.Find("data");
  if (!data) {
    return InvalidMember("data", "missing; expected any JSON value");
  }
  if (!time.empty()) {
    if (auto fault = ReadTime(time, envelope)) {
      return fault;
    }
  }
  envelope->set_type(type.data(), type.size());
  envelope->set_id(id.data(), id.size());
  envelope->set_site(site.data(), site.size());
  envelope->set_source(kNativeSource.data(), kNativeSource.size());
  schemas::AppendJson(*data, envelope->mutable_site_event()->mutable_data()->mutable_plain());
  return std::nullopt;
}

// Data that no JSON parser of this request has seen yet.
Fault CheckData(std::string_view data, Form form) {
  if (data.empty()) {
    return std::nullopt;
  }
  static thread_local schemas::JsonDocument document;
  const Status parsed = document.Parse(data);
  if (parsed.ok()) {
    return std::nullopt;
  }
  return Invalid("data: " + parsed.error().message(),
                 form == Form::kBinary ? "#" : http::PointerTo("data_base64"));
}

Fault ReadStructured(JsonValue event, std::string_view tenant, v1::Envelope* envelope) {
  if (const auto fault = schemas::DecodeCloudEvent(event, tenant, envelope)) {
    return FromDecodeFault(*fault, Form::kStructured);
  }
  return event.Find("data_base64")
             ? CheckData(envelope->site_event().data().plain(), Form::kStructured)
             : std::nullopt;
}

Fault ReadBinary(const http::Request& request, std::string_view tenant, v1::Envelope* envelope) {
  constexpr std::string_view kPrefix = "ce-";
  struct Field {
    std::string name;
    std::string value;
  };
  std::vector<Field> fields;
  for (const http::HeaderField& field : request.headers.fields()) {
    if (schemas::StartsWithIgnoringCase(field.name, kPrefix)) {
      auto value = CloudEventsFieldValue(field.value);
      if (!value) {
        return Malformed(field.name + ": expected UTF-8 with percent escapes");
      }
      fields.push_back({"ce_" + field.name.substr(kPrefix.size()), *std::move(value)});
    } else if (http::EqualsIgnoringCase(field.name, "content-type")) {
      fields.push_back({"content-type", field.value});
    }
  }
  std::vector<schemas::HeaderView> views;
  views.reserve(fields.size());
  for (const Field& field : fields) {
    views.push_back({field.name, field.value});
  }
  const schemas::RecordView record = {.key = tenant, .value = request.body, .headers = views};
  if (const auto fault = schemas::DecodeBinaryCloudEvent(record, envelope)) {
    return FromDecodeFault(*fault, Form::kBinary);
  }
  return CheckData(request.body, Form::kBinary);
}

// The site of the key, of the event, or none.
Fault ApplySite(const ApiKey& key, Form form, v1::Envelope* envelope) {
  if (key.site.empty()) {
    return std::nullopt;
  }
  if (envelope->site().empty()) {
    envelope->set_site(key.site);
    return std::nullopt;
  }
  if (envelope->site() == key.site) {
    return std::nullopt;
  }
  return ProblemDetails{.status = 403,
                        .code = "forbidden",
                        .detail = "The API key belongs to another site.",
                        .errors = {{"site: expected the site of the API key, or none",
                                    form == Form::kBinary ? "" : http::PointerTo("site")}}};
}

// What follows the form: who sent it and when, the check of the fold, the key.
Fault Complete(const Common& common, Form form, v1::Envelope* envelope, IngestEvent* event) {
  const ApiKey& key = common.context.key;
  if (auto fault = ApplySite(key, form, envelope)) {
    return fault;
  }
  envelope->set_tenant(key.tenant);
  envelope->set_routing_key(key.tenant);
  envelope->set_schema_version(schemas::kSchemaVersionMax);
  envelope->set_trust(key.kind == KeyKind::kSecret ? v1::TRUST_SECRET : v1::TRUST_PUBLISHABLE);
  envelope->set_ingest_time_us(ToMicros(common.context.now));
  if (common.trace && !envelope->has_trace()) {
    *envelope->mutable_trace() = *common.trace;
  }
  if (!common.idempotency_key.empty()) {
    envelope->mutable_idempotency()->set_key(common.idempotency_key.data(),
                                             common.idempotency_key.size());
  }
  if (const auto fault =
          schemas::CheckEnvelope(schemas::Topic::kSiteEvents, key.tenant, *envelope)) {
    return FromDecodeFault(*fault, form);
  }
  event->body_sha256 = BodyDigest(envelope->type(), envelope->site_event().data().plain());
  const std::string_view digest = AsView(event->body_sha256);
  envelope->set_body_sha256(digest.data(), digest.size());
  if (const auto named = IdempotencyKeyOf(*envelope)) {
    event->hash = HashOf(*named);
  }
  if (envelope->id().empty()) {
    envelope->set_id(common.context.ids.Next());
  }
  return std::nullopt;
}

// REQUIRES: the form is of one event, and `json` is there unless it is kBinary.
IngestEvent ReadEvent(const Common& common, Form form, std::optional<JsonValue> json) {
  // Kept for its buffers.
  static thread_local v1::Envelope envelope;
  envelope.Clear();
  IngestEvent event;
  const std::string_view tenant = common.context.key.tenant;
  event.problem = form == Form::kBinary   ? ReadBinary(common.request, tenant, &envelope)
                  : form == Form::kNative ? ReadNative(*json, &envelope)
                                          : ReadStructured(*json, tenant, &envelope);
  if (!event.problem) {
    event.problem = Complete(common, form, &envelope, &event);
  }
  if (!event.problem && !envelope.SerializeToString(&event.value)) {
    event.problem = Invalid("expected UTF-8", "#");
  }
  return event;
}

std::variant<IngestBody, ProblemDetails> ReadBatch(const Common& common, Form form, JsonValue list,
                                                   std::string_view pointer) {
  const auto whole = [&](std::string detail) {
    return ProblemDetails{.status = 422,
                          .code = "validation_failed",
                          .detail = "The batch is not valid: " + detail,
                          .errors = {{detail, std::string(pointer)}}};
  };
  if (list.type() != JsonType::kArray) {
    return whole("expected an array of events");
  }
  if (list.size() > kBatchEventsMax) {
    return whole("expected at most " + std::to_string(kBatchEventsMax) + " events");
  }
  IngestBody body;
  body.is_batch = true;
  body.events.reserve(list.size());
  std::size_t index = 0;
  for (auto item = list.first_child(); item; item = item->next_sibling(), ++index) {
    body.events.push_back(ReadEvent(common, form, item));
    if (auto& problem = body.events.back().problem) {
      // Pointers are into the body that was sent, not into the item.
      for (http::ProblemError& error : problem->errors) {
        const std::string in_item = error.pointer.empty() ? "" : error.pointer.substr(1);
        error.pointer = std::string(pointer) + "/" + std::to_string(index) + in_item;
      }
    }
  }
  return body;
}

std::variant<Form, ProblemDetails> FormOf(const http::Headers& headers) {
  const std::string_view type = headers.Find("Content-Type").value_or("");
  if (headers.Count("Content-Type") > 1) {
    return Malformed("Content-Type: given more than once");
  }
  const std::string_view media = type.substr(0, type.find_first_of("; \t"));
  if (schemas::StartsWithIgnoringCase(type, "application/cloudevents-batch")) {
    if (http::EqualsIgnoringCase(media, "application/cloudevents-batch+json")) {
      return Form::kStructuredBatch;
    }
    return Unsupported("Of CloudEvents batches application/cloudevents-batch+json is understood.");
  }
  if (schemas::StartsWithIgnoringCase(type, "application/cloudevents")) {
    if (http::EqualsIgnoringCase(media, "application/cloudevents+json")) {
      return Form::kStructured;
    }
    return Unsupported("Of structured CloudEvents application/cloudevents+json is understood.");
  }
  if (headers.Find("ce-specversion")) {
    return Form::kBinary;
  }
  if (!type.empty() && !schemas::IsJsonMediaType(type)) {
    return Unsupported("Expected application/json, or CloudEvents with JSON data.");
  }
  return Form::kNative;
}

}  // namespace

std::variant<IngestBody, ProblemDetails> ParseIngest(const http::Request& request,
                                                     const IngestContext& context) {
  if (request.body.size() > static_cast<std::size_t>(schemas::kEventBytesMax)) {
    return ProblemDetails{
        .status = 413,
        .code = "too_large",
        .detail = "The body is longer than " + std::to_string(schemas::kEventBytesMax) + " bytes."};
  }
  const auto form = FormOf(request.headers);
  if (const auto* problem = std::get_if<ProblemDetails>(&form)) {
    return *problem;
  }
  const auto key = IdempotencyKeyField(request.headers);
  if (!key.ok()) {
    return Malformed(key.error().message());
  }
  const Common common = {.request = request,
                         .context = context,
                         .idempotency_key = key.value() ? std::string_view(*key.value()) : "",
                         .trace = TraceOf(request.headers)};
  Form kind = std::get<Form>(form);
  IngestBody body;
  if (kind == Form::kBinary) {
    body.events.push_back(ReadEvent(common, kind, std::nullopt));
    return body;
  }
  // Kept for its buffers: a document that has grown allocates nothing.
  static thread_local schemas::JsonDocument document;
  if (const Status parsed = document.Parse(request.body); !parsed.ok()) {
    return Malformed("The body is not JSON as we take it: " + parsed.error().message());
  }
  JsonValue root = document.root();
  const auto events = kind == Form::kNative ? root.Find("events") : std::nullopt;
  if (events && !root.Find("event_type")) {
    kind = Form::kNativeBatch;
  }
  const bool is_batch = kind == Form::kNativeBatch || kind == Form::kStructuredBatch;
  if (!is_batch) {
    body.events.push_back(ReadEvent(common, kind, root));
    return body;
  }
  if (!common.idempotency_key.empty()) {
    return Malformed("Idempotency-Key: not for batches; give each event its id");
  }
  if (kind == Form::kStructuredBatch) {
    return ReadBatch(common, Form::kStructured, root, "#");
  }
  if (const auto fault = RefuseUnknownMembers(root, std::array<std::string_view, 1>{"events"})) {
    return *fault;
  }
  return ReadBatch(common, Form::kNative, *events, "#/events");
}

}  // namespace alertstream::api
