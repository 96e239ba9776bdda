#include "schemas/event_line.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "processor/base/rfc3339.h"
#include "processor/base/time.h"
#include "schemas/cloudevents.h"
#include "schemas/envelope_check.h"
#include "schemas/json.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

namespace alertstream::schemas {
namespace {

constexpr std::string_view kDefaultSource = "import";

Error Expected(std::string_view member, std::string_view expected) {
  return {ErrorCode::kInvalid, std::string(member).append(": ").append(expected)};
}

// A string member that is not empty; nothing if the member is absent.
Result<std::optional<std::string_view>> StringMember(JsonValue event, std::string_view name) {
  const auto member = event.Find(name);
  if (!member) {
    return std::optional<std::string_view>();
  }
  if (member->type() != JsonType::kString || member->AsString().empty()) {
    return Expected(name, "expected a string that is not empty");
  }
  return std::optional(member->AsString());
}

Result<std::string> TenantOf(JsonValue event, std::string_view default_tenant) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto named, StringMember(event, "tenant"));
  const std::string_view tenant = named.value_or(default_tenant);
  if (tenant.empty()) {
    return Expected("tenant", "missing, and no default tenant was given");
  }
  if (!IsTenantId(tenant)) {
    return Expected("tenant", "expected 1 to 48 of a-z, 0-9, _ and -, the first a letter or digit");
  }
  return std::string(tenant);
}

// As much of a member's name as a message shows, cut between characters.
std::string_view Beginning(std::string_view name) {
  constexpr std::size_t kNameBytesShown = 64;
  if (name.size() <= kNameBytesShown) {
    return name;
  }
  std::size_t end = kNameBytesShown;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) {
    --end;
  }
  return name.substr(0, end);
}

Status RefuseUnknownMembers(JsonValue event) {
  constexpr std::array<std::string_view, 7> kMembers = {"event_type", "data",   "id",    "time",
                                                        "site",       "tenant", "source"};
  for (auto member = event.first_child(); member; member = member->next_sibling()) {
    bool known = false;
    for (const auto name : kMembers) {
      known = known || name == member->name();
    }
    if (!known) {
      std::string name;
      AppendJsonString(Beginning(member->name()), &name);
      return Error(ErrorCode::kInvalid,
                   name +
                       ": unknown member; expected event_type, data, id, time, site, tenant or "
                       "source (or a CloudEvent, with specversion)");
    }
  }
  return Status::Ok();
}

Status DecodeTime(std::string_view text, v1::Envelope* envelope) {
  const auto time = ParseRfc3339(text);
  if (!time.ok()) {
    return Expected("time", "expected an RFC 3339 time such as 2026-01-31T08:00:00Z");
  }
  const std::int64_t micros = ToMicros(time.value());
  if (micros < kTimeUsMin || micros >= kTimeUsMax) {
    return Expected("time", "expected a time between the years 2000 and 2200");
  }
  envelope->set_event_time_us(micros);
  return Status::Ok();
}

Status DecodeNative(JsonValue event, std::string_view tenant, v1::Envelope* envelope) {
  ALERTSTREAM_RETURN_IF_ERROR(RefuseUnknownMembers(event));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto type, StringMember(event, "event_type"));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto id, StringMember(event, "id"));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto time, StringMember(event, "time"));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto site, StringMember(event, "site"));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto source, StringMember(event, "source"));
  if (!type) {
    return Expected("event_type", "missing; expected a string");
  }
  const auto data = event.Find("data");
  if (!data) {
    return Expected("data", "missing; expected any JSON value");
  }
  if (time) {
    ALERTSTREAM_RETURN_IF_ERROR(DecodeTime(*time, envelope));
  }
  envelope->set_type(std::string(*type));
  envelope->set_id(std::string(id.value_or("")));
  envelope->set_site(std::string(site.value_or("")));
  envelope->set_source(std::string(source.value_or(kDefaultSource)));
  envelope->set_tenant(std::string(tenant));
  envelope->set_routing_key(std::string(tenant));
  envelope->set_schema_version(kSchemaVersionMax);
  envelope->set_trust(v1::TRUST_SYSTEM);
  AppendJson(*data, envelope->mutable_site_event()->mutable_data()->mutable_plain());
  return Status::Ok();
}

// The native form's own name for a field of the Envelope, in the text of a fault.
std::string InWordsOfTheLine(const DecodeFault& fault, bool native) {
  constexpr std::string_view kType = "type:";
  constexpr std::string_view kData = "site_event.data:";
  if (native && fault.detail.starts_with(kType)) {
    return "event_" + fault.detail;
  }
  if (fault.detail.starts_with(kData)) {
    return "data:" + fault.detail.substr(kData.size());
  }
  return fault.detail;
}

}  // namespace

Result<EventLine> DecodeEventLine(std::string_view line, std::string_view default_tenant) {
  if (line.size() > static_cast<std::size_t>(kInputRecordBytesMax)) {
    return Error(ErrorCode::kInvalid,
                 "the line is longer than " + std::to_string(kInputRecordBytesMax) + " bytes");
  }
  // Kept for its buffers: a document that has grown allocates nothing.
  static thread_local JsonDocument document;
  ALERTSTREAM_RETURN_IF_ERROR(document.Parse(line));
  const JsonValue event = document.root();
  if (event.type() != JsonType::kObject) {
    return Error(ErrorCode::kInvalid, "expected a JSON object");
  }
  EventLine result;
  ALERTSTREAM_ASSIGN_OR_RETURN(result.key, TenantOf(event, default_tenant));
  const bool native = !event.Find("specversion").has_value();
  if (native) {
    ALERTSTREAM_RETURN_IF_ERROR(DecodeNative(event, result.key, &result.envelope));
  } else if (const auto fault = DecodeCloudEvent(event, result.key, &result.envelope)) {
    return Error(ErrorCode::kInvalid, fault->detail);
  }
  if (const auto fault = CheckEnvelope(Topic::kSiteEvents, result.key, result.envelope)) {
    return Error(ErrorCode::kInvalid, InWordsOfTheLine(*fault, native));
  }
  return result;
}

}  // namespace alertstream::schemas
