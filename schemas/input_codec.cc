#include "schemas/input_codec.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "processor/base/check.h"
#include "schemas/cloudevents.h"
#include "schemas/envelope_check.h"
#include "schemas/limits.h"
#include "schemas/text.h"

namespace alertstream::schemas {
namespace {

enum class Form : std::uint8_t { kEnvelope, kStructured, kBinary };

DecodeFault DecodeStageFault(v1::DeadLetterReason reason, std::string detail) {
  return {v1::DEAD_LETTER_STAGE_DECODE, reason, std::move(detail)};
}

// A byte that no JSON text holds, and every Envelope does: its schema_version and its trust.
bool HasControlOutsideJson(std::string_view value) {
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') {
      return true;
    }
  }
  return false;
}

// A value without a content type. '{' cannot begin an Envelope, but a line feed does: it is the tag
// of `id`, and "\n{" the beginning of an Envelope whose id has 123 bytes.
bool LooksLikeJsonObject(std::string_view value) {
  const std::size_t first = value.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || value[first] != '{') {
    return false;
  }
  return value.front() != '\n' || !HasControlOutsideJson(value);
}

// How a record of site-events is written; a fault if no way is ours.
std::optional<DecodeFault> FormOf(const RecordView& record, Form* form) {
  constexpr std::string_view kCloudEvents = "application/cloudevents";
  *form = Form::kEnvelope;
  bool repeated = false;
  const auto content_type = FindHeader(record.headers, "content-type", &repeated);
  if (repeated) {
    return DecodeStageFault(v1::DEAD_LETTER_REASON_MALFORMED_CLOUDEVENT,
                            "content-type: its header occurs more than once");
  }
  if (content_type && StartsWithIgnoringCase(*content_type, kCloudEvents)) {
    std::string_view rest = content_type->substr(kCloudEvents.size());
    rest = rest.substr(0, rest.find_first_of("; \t"));
    if (!rest.empty() && !EqualsIgnoringCase(rest, "+json")) {
      return DecodeStageFault(v1::DEAD_LETTER_REASON_MALFORMED_CLOUDEVENT,
                              "content-type: of the CloudEvents formats only "
                              "application/cloudevents+json is understood on this topic");
    }
    *form = Form::kStructured;
    return std::nullopt;
  }
  if (FindHeader(record.headers, "ce_specversion", &repeated) || repeated) {
    *form = Form::kBinary;
    return std::nullopt;
  }
  if (!content_type || content_type->empty()) {
    *form = LooksLikeJsonObject(record.value) ? Form::kStructured : Form::kEnvelope;
    return std::nullopt;
  }
  if (IsJsonMediaType(*content_type)) {
    return DecodeStageFault(v1::DEAD_LETTER_REASON_MALFORMED_CLOUDEVENT,
                            "content-type: JSON without a header ce_specversion; expected "
                            "application/cloudevents+json, or the attributes as headers");
  }
  return std::nullopt;
}

std::optional<DecodeFault> ParseEnvelope(std::string_view value, v1::Envelope* envelope) {
  if (value.empty()) {
    return DecodeStageFault(v1::DEAD_LETTER_REASON_MALFORMED_PROTOBUF, "the value is empty");
  }
  // The library would write a line to stderr for every text that is not UTF-8.
  const google::protobuf::LogSilencer silence;
  // Also refuses invalid UTF-8 in a string and bytes after the message.
  if (!envelope->ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return DecodeStageFault(v1::DEAD_LETTER_REASON_MALFORMED_PROTOBUF,
                            "the value is no Protobuf message alertstream.v1.Envelope, or a text "
                            "in it is not UTF-8");
  }
  return std::nullopt;
}

std::optional<DecodeFault> Decode(Topic topic, const RecordView& record, v1::Envelope* envelope) {
  auto form = Form::kEnvelope;
  if (topic == Topic::kSiteEvents) {
    if (auto fault = FormOf(record, &form)) {
      return fault;
    }
  }
  switch (form) {
    case Form::kStructured:
      return DecodeStructuredCloudEvent(record.value, record.key, envelope);
    case Form::kBinary:
      return DecodeBinaryCloudEvent(record, envelope);
    case Form::kEnvelope:
      break;
  }
  return ParseEnvelope(record.value, envelope);
}

}  // namespace

std::optional<DecodeFault> DecodeInput(Topic topic, const RecordView& record,
                                       v1::Envelope* envelope, std::uint32_t engine_version) {
  const TopicSpec& spec = SpecOf(topic);
  ALERTSTREAM_CHECK(spec.role == TopicRole::kInput);
  envelope->Clear();
  if (auto fault = CheckKey(topic, record.key, engine_version)) {
    return fault;
  }
  if (record.value.size() > static_cast<std::size_t>(spec.value_bytes_max)) {
    return DecodeStageFault(
        v1::DEAD_LETTER_REASON_TOO_LARGE,
        "the value is longer than " + std::to_string(spec.value_bytes_max) + " bytes");
  }
  if (auto fault = Decode(topic, record, envelope)) {
    return fault;
  }
  return CheckEnvelope(topic, record.key, *envelope, engine_version);
}

Result<std::string> EncodeEnvelope(const v1::Envelope& envelope) {
  const std::size_t size = envelope.ByteSizeLong();
  if (size > static_cast<std::size_t>(kInputRecordBytesMax)) {
    return Error(ErrorCode::kInvalid, "the record would have " + std::to_string(size) +
                                          " bytes; the limit is " +
                                          std::to_string(kInputRecordBytesMax));
  }
  std::string bytes;
  bytes.reserve(size);
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    ALERTSTREAM_CHECK(envelope.SerializeToCodedStream(&coded));
  }
  return bytes;
}

}  // namespace alertstream::schemas
