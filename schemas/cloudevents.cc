#include "schemas/cloudevents.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "processor/base/base64.h"
#include "processor/base/rfc3339.h"
#include "processor/base/time.h"
#include "schemas/limits.h"
#include "schemas/text.h"

namespace alertstream::schemas {
namespace {

constexpr std::string_view kHeaderPrefix = "ce_";

// The attributes that are taken over, absent where not given.
struct Attributes {
  std::optional<std::string_view> specversion;
  std::optional<std::string_view> id;
  std::optional<std::string_view> source;
  std::optional<std::string_view> type;
  std::optional<std::string_view> time;
  std::optional<std::string_view> datacontenttype;
  std::optional<std::string_view> site;
  std::optional<std::string_view> idempotencykey;
  std::optional<std::string_view> traceparent;
  std::optional<std::string_view> tracestate;
};

struct AttributeName {
  std::string_view name;
  std::optional<std::string_view> Attributes::*member;
};

constexpr std::array<AttributeName, 10> kAttributes = {{
    {"specversion", &Attributes::specversion},
    {"id", &Attributes::id},
    {"source", &Attributes::source},
    {"type", &Attributes::type},
    {"time", &Attributes::time},
    {"datacontenttype", &Attributes::datacontenttype},
    {"site", &Attributes::site},
    {"idempotencykey", &Attributes::idempotencykey},
    {"traceparent", &Attributes::traceparent},
    {"tracestate", &Attributes::tracestate},
}};

const AttributeName* FindAttribute(std::string_view name) {
  for (const auto& attribute : kAttributes) {
    if (attribute.name == name) {
      return &attribute;
    }
  }
  return nullptr;
}

DecodeFault Malformed(std::string_view attribute, std::string_view expected) {
  return {v1::DEAD_LETTER_STAGE_DECODE, v1::DEAD_LETTER_REASON_MALFORMED_CLOUDEVENT,
          std::string(attribute).append(": ").append(expected)};
}

std::optional<DecodeFault> ApplyTime(std::string_view text, v1::Envelope* envelope) {
  const auto time = ParseRfc3339(text);
  if (!time.ok()) {
    return Malformed("time", "expected an RFC 3339 time such as 2026-01-31T08:00:00Z");
  }
  const std::int64_t micros = ToMicros(time.value());
  if (micros < kTimeUsMin || micros >= kTimeUsMax) {
    return DecodeFault{v1::DEAD_LETTER_STAGE_SCHEMA, v1::DEAD_LETTER_REASON_FIELD_INVALID,
                       "time: expected a time between the years 2000 and 2200"};
  }
  envelope->set_event_time_us(micros);
  return std::nullopt;
}

void ApplyTrace(const Attributes& attributes, v1::Envelope* envelope) {
  if (!attributes.traceparent || !IsTraceparent(*attributes.traceparent)) {
    return;
  }
  auto* trace = envelope->mutable_trace();
  trace->set_traceparent(attributes.traceparent->data(), attributes.traceparent->size());
  const std::string_view state = attributes.tracestate.value_or("");
  if (state.size() <= kTracestateBytesMax && HasNoControls(state)) {
    trace->set_tracestate(state.data(), state.size());
  }
}

// Everything but the data.
std::optional<DecodeFault> Apply(const Attributes& attributes, std::string_view tenant,
                                 v1::Envelope* envelope) {
  if (attributes.specversion != "1.0") {
    return Malformed("specversion", "expected \"1.0\"");
  }
  for (const char* name : {"id", "source", "type"}) {
    const auto& value = attributes.*(FindAttribute(name)->member);
    if (!value || value->empty()) {
      return Malformed(name, "required, a string that is not empty");
    }
  }
  if (attributes.datacontenttype && !IsJsonMediaType(*attributes.datacontenttype)) {
    return Malformed("datacontenttype", "expected JSON: application/json or a type with +json");
  }
  if (attributes.time) {
    if (auto fault = ApplyTime(*attributes.time, envelope)) {
      return fault;
    }
  }
  envelope->set_id(attributes.id->data(), attributes.id->size());
  envelope->set_source(attributes.source->data(), attributes.source->size());
  envelope->set_type(attributes.type->data(), attributes.type->size());
  envelope->set_tenant(tenant.data(), tenant.size());
  envelope->set_routing_key(tenant.data(), tenant.size());
  envelope->set_schema_version(kSchemaVersionMax);
  envelope->set_trust(v1::TRUST_KAFKA);
  if (attributes.site) {
    envelope->set_site(attributes.site->data(), attributes.site->size());
  }
  if (attributes.idempotencykey) {
    envelope->mutable_idempotency()->set_key(attributes.idempotencykey->data(),
                                             attributes.idempotencykey->size());
  }
  ApplyTrace(attributes, envelope);
  envelope->mutable_site_event();
  return std::nullopt;
}

}  // namespace

bool IsJsonMediaType(std::string_view content_type) {
  const std::size_t end = content_type.find(';');
  std::string_view type = content_type.substr(0, end);
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) {
    type.remove_suffix(1);
  }
  const std::size_t slash = type.find('/');
  if (slash == 0 || slash == std::string_view::npos) {
    return false;
  }
  const std::string_view subtype = type.substr(slash + 1);
  constexpr std::string_view kSuffix = "+json";
  return EqualsIgnoringCase(subtype, "json") ||
         (subtype.size() > kSuffix.size() &&
          EqualsIgnoringCase(subtype.substr(subtype.size() - kSuffix.size()), kSuffix));
}

std::optional<std::string_view> FindHeader(std::span<const HeaderView> headers,
                                           std::string_view name, bool* repeated) {
  std::optional<std::string_view> found;
  *repeated = false;
  for (const auto& header : headers) {
    if (EqualsIgnoringCase(header.name, name)) {
      *repeated = *repeated || found.has_value();
      found = header.value;
    }
  }
  return *repeated ? std::nullopt : found;
}

std::optional<DecodeFault> DecodeCloudEvent(JsonValue event, std::string_view tenant,
                                            v1::Envelope* envelope) {
  if (event.type() != JsonType::kObject) {
    return Malformed("event", "expected a JSON object");
  }
  Attributes attributes;
  std::optional<JsonValue> data;
  std::optional<JsonValue> data_base64;
  for (auto member = event.first_child(); member; member = member->next_sibling()) {
    if (member->name() == "data") {
      data = member;
      continue;
    }
    // An attribute that is null counts as not given (JSON format, section 2.2).
    if (member->type() == JsonType::kNull) {
      continue;
    }
    const auto* attribute = FindAttribute(member->name());
    const bool is_base64 = member->name() == "data_base64";
    if (attribute == nullptr && !is_base64) {
      continue;
    }
    if (member->type() != JsonType::kString) {
      return Malformed(member->name(), "expected a string");
    }
    if (is_base64) {
      data_base64 = member;
    } else {
      attributes.*(attribute->member) = member->AsString();
    }
  }
  if (data && data_base64) {
    return Malformed("data_base64", "given beside data; expected one of the two");
  }
  if (auto fault = Apply(attributes, tenant, envelope)) {
    return fault;
  }
  if (data) {
    AppendJson(*data, envelope->mutable_site_event()->mutable_data()->mutable_plain());
  } else if (data_base64) {
    auto bytes = FromBase64(data_base64->AsString());
    if (!bytes) {
      return Malformed("data_base64", "expected base64 with padding");
    }
    envelope->mutable_site_event()->mutable_data()->set_plain(*std::move(bytes));
  }
  return std::nullopt;
}

std::optional<DecodeFault> DecodeStructuredCloudEvent(std::string_view value,
                                                      std::string_view tenant,
                                                      v1::Envelope* envelope) {
  // Kept for its buffers: a document that has grown allocates nothing.
  static thread_local JsonDocument document;
  if (const auto parsed = document.Parse(value); !parsed.ok()) {
    return MalformedJson(v1::DEAD_LETTER_STAGE_DECODE, parsed.error());
  }
  return DecodeCloudEvent(document.root(), tenant, envelope);
}

std::optional<DecodeFault> DecodeBinaryCloudEvent(const RecordView& record,
                                                  v1::Envelope* envelope) {
  Attributes attributes;
  for (const auto& header : record.headers) {
    const AttributeName* attribute = nullptr;
    if (StartsWithIgnoringCase(header.name, kHeaderPrefix)) {
      for (const auto& known : kAttributes) {
        if (EqualsIgnoringCase(header.name.substr(kHeaderPrefix.size()), known.name)) {
          attribute = &known;
        }
      }
      // The content type of the data travels as content-type.
      if (attribute != nullptr && attribute->member == &Attributes::datacontenttype) {
        return Malformed(attribute->name, "expected in the header content-type, not as ce_");
      }
    } else if (EqualsIgnoringCase(header.name, "content-type")) {
      attribute = FindAttribute("datacontenttype");
    }
    if (attribute == nullptr) {
      continue;
    }
    auto& value = attributes.*(attribute->member);
    if (value) {
      return Malformed(attribute->name, "its header occurs more than once");
    }
    if (!IsUtf8(header.value)) {
      return Malformed(attribute->name, "expected UTF-8");
    }
    value = header.value;
  }
  for (const auto& attribute : kAttributes) {
    // Kafka's null header value: not given.
    auto& value = attributes.*(attribute.member);
    if (value && value->empty()) {
      value.reset();
    }
  }
  if (auto fault = Apply(attributes, record.key, envelope)) {
    return fault;
  }
  if (!record.value.empty()) {
    envelope->mutable_site_event()->mutable_data()->set_plain(record.value.data(),
                                                              record.value.size());
  }
  return std::nullopt;
}

}  // namespace alertstream::schemas
