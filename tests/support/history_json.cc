#include "tests/support/history_json.h"

#include <cstddef>
#include <optional>

#include <google/protobuf/util/json_util.h>

#include "processor/base/rfc3339.h"
#include "processor/base/time.h"
#include "schemas/input_codec.h"

namespace alertstream::history {
namespace {

using schemas::JsonType;
using schemas::JsonValue;

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = (bits << 8) | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      const bool padding = i + k > bytes.size();
      text.push_back(padding ? '=' : kDigits[(bits >> (18 - 6 * k)) & 63U]);
    }
  }
  return text;
}

// `json` again, with the text of every member `plain` in base64.
void AppendWithBase64(JsonValue json, std::string* out) {
  const JsonType type = json.type();
  if (type != JsonType::kObject && type != JsonType::kArray) {
    schemas::AppendJson(json, out);
    return;
  }
  const bool object = type == JsonType::kObject;
  out->push_back(object ? '{' : '[');
  bool first = true;
  for (auto child = json.first_child(); child; child = child->next_sibling()) {
    if (!first) {
      out->push_back(',');
    }
    first = false;
    if (object) {
      schemas::AppendJsonString(child->name(), out);
      out->push_back(':');
    }
    if (child->name() == "plain" && child->type() == JsonType::kString) {
      schemas::AppendJsonString(Base64(child->AsString()), out);
    } else {
      AppendWithBase64(*child, out);
    }
  }
  out->push_back(object ? '}' : ']');
}

using Attribute = std::pair<std::string_view, std::string>;

// The event's CloudEvents attributes that are given.
std::vector<Attribute> AttributesOf(const v1::Envelope& envelope) {
  std::vector<Attribute> attributes = {
      {"specversion", "1.0"},        {"id", envelope.id()},
      {"source", envelope.source()}, {"type", envelope.type()},
      {"site", envelope.site()},     {"idempotencykey", envelope.idempotency().key()}};
  if (envelope.event_time_us() != 0) {
    attributes.emplace_back("time", FormatRfc3339(FromMicros(envelope.event_time_us())));
  }
  std::erase_if(attributes, [](const Attribute& attribute) { return attribute.second.empty(); });
  return attributes;
}

std::string StructuredCloudEvent(const v1::Envelope& envelope) {
  std::string json = "{";
  for (const auto& [name, value] : AttributesOf(envelope)) {
    schemas::AppendJsonString(name, &json);
    json.push_back(':');
    schemas::AppendJsonString(value, &json);
    json.push_back(',');
  }
  const std::string& data = envelope.site_event().data().plain();
  return json.append("\"data\":").append(data.empty() ? "null" : data).append("}");
}

std::optional<JsonValue> FindString(JsonValue json, std::string_view name) {
  auto value = json.Find(name);
  return value && value->type() == JsonType::kString ? value : std::nullopt;
}

std::optional<std::int64_t> FindInt(JsonValue json, std::string_view name) {
  const auto value = json.Find(name);
  return value && value->type() == JsonType::kInt ? std::optional(value->AsInt()) : std::nullopt;
}

Error Unknown(std::string_view what) {
  return Error(ErrorCode::kInvalid, "record: expected " + std::string(what));
}

}  // namespace

Result<v1::Envelope> EnvelopeFromJson(JsonValue json) {
  std::string mapped;
  AppendWithBase64(json, &mapped);
  v1::Envelope envelope;
  const auto parsed = google::protobuf::util::JsonStringToMessage(mapped, &envelope);
  if (!parsed.ok()) {
    return Error(ErrorCode::kInvalid, "envelope: " + parsed.ToString());
  }
  return envelope;
}

Result<HistoryRecord> RecordFromJson(JsonValue json) {
  HistoryRecord record;
  const auto topic_name = FindString(json, "topic");
  const auto topic = topic_name ? schemas::TopicByName(topic_name->AsString()) : std::nullopt;
  const auto offset = FindInt(json, "offset");
  const auto append_time = FindInt(json, "append_time_us");
  const auto key = FindString(json, "key");
  const auto as = FindString(json, "as");
  if (!topic || !offset || !append_time || !key || !as) {
    return Unknown("topic, offset, append_time_us, key and as");
  }
  record.topic = *topic;
  record.offset = *offset;
  record.append_time_us = *append_time;
  record.key = std::string(key->AsString());
  if (as->AsString() == "raw") {
    const auto value = FindString(json, "value");
    record.value = value ? std::string(value->AsString()) : "";
    return record;
  }
  const auto written = json.Find("envelope");
  if (!written) {
    return Unknown("an envelope");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const v1::Envelope envelope, EnvelopeFromJson(*written));
  if (as->AsString() == "structured") {
    record.headers.emplace_back("content-type", "application/cloudevents+json");
    record.value = StructuredCloudEvent(envelope);
  } else if (as->AsString() == "binary") {
    record.headers.emplace_back("content-type", "application/json");
    for (const auto& [name, value] : AttributesOf(envelope)) {
      record.headers.emplace_back("ce_" + std::string(name), value);
    }
    record.value = envelope.site_event().data().plain();
  } else {
    ALERTSTREAM_ASSIGN_OR_RETURN(record.value, schemas::EncodeEnvelope(envelope));
  }
  return record;
}

}  // namespace alertstream::history
