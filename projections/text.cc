#include "projections/text.h"

#include <algorithm>

#include "schemas/json_object.h"
#include "schemas/text.h"
#include "schemas/topics.h"

namespace alertstream::projections {
namespace {

constexpr std::string_view kNulPicture = "\xE2\x90\x80";   // U+2400
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::size_t kHeadDigits = 6;
constexpr std::size_t kTailDigits = 3;
constexpr std::size_t kHiddenDigitsMin = 3;

// The length of the well-formed character that `text` begins with; 0: it begins with none.
std::size_t CharacterBytes(std::string_view text) {
  for (std::size_t size = 1; size <= std::min<std::size_t>(4, text.size()); ++size) {
    if (schemas::IsUtf8(text.substr(0, size))) {
      return size;
    }
  }
  return 0;
}

}  // namespace

std::string Storable(std::string_view text) {
  if (text.find('\0') == std::string_view::npos && schemas::IsUtf8(text)) {
    return std::string(text);
  }
  std::string out;
  while (!text.empty()) {
    const std::size_t size = CharacterBytes(text);
    if (size == 0) {
      out += kReplacement;
    } else if (text.front() == '\0') {
      out += kNulPicture;
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

std::optional<std::string> StorableOrNull(std::string_view text) {
  return text.empty() ? std::nullopt : std::optional(Storable(text));
}

std::string TopicWord(std::uint32_t topic) {
  const bool known = topic >= 1 && topic <= schemas::kTopicCount;
  return known ? std::string(schemas::NameOf(static_cast<schemas::Topic>(topic)))
               : std::to_string(topic);
}

std::optional<std::string> IdOrNull(IdKind kind, std::string_view bytes) {
  return bytes.empty() ? std::nullopt : std::optional(FormatId(kind, bytes));
}

LogTime TimeOfId(std::string_view bytes) {
  std::int64_t ms = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(6, bytes.size()); ++i) {
    ms = (ms << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return FromMicros(ms * 1000);
}

std::optional<LogTime> TimeOrNull(std::int64_t us) {
  return us == 0 ? std::nullopt : std::optional(FromMicros(us));
}

std::string MaskedAddress(std::string_view address) {
  if (address.starts_with('+')) {
    const std::size_t digits = address.size() - 1;
    if (digits < kTailDigits + kHiddenDigitsMin) {
      return "***";
    }
    const std::size_t head = std::min(kHeadDigits, digits - kTailDigits - kHiddenDigitsMin);
    return Storable(address.substr(0, 1 + head)) + "***" +
           Storable(address.substr(address.size() - kTailDigits));
  }
  const std::size_t at = address.rfind('@');
  const std::size_t first = CharacterBytes(address);
  if (at == std::string_view::npos || at == 0 || first == 0) {
    return "***";
  }
  return Storable(address.substr(0, first)) + "***" + Storable(address.substr(at));
}

std::string GatesJson(const google::protobuf::RepeatedPtrField<v1::GateResult>& gates) {
  // By hand: every decision has about fifteen of them, and nothing in them needs escaping.
  std::string json = "[";
  for (const v1::GateResult& gate : gates) {
    json += json.size() > 1 ? R"(,{"gate":")" : R"({"gate":")";
    json += WordOf(gate.gate());
    json += R"(","verdict":")";
    json += WordOf(gate.verdict());
    json += '"';
    if (gate.observed() != 0 || gate.limit() != 0) {
      json += R"(,"observed":)" + std::to_string(gate.observed());
      json += R"(,"limit":)" + std::to_string(gate.limit());
    }
    if (gate.has_source()) {
      schemas::JsonObject source;
      source.Text("topic", TopicWord(gate.source().topic()))
          .Integer("partition", gate.source().partition())
          .Integer("offset", gate.source().offset());
      json += R"(,"source":)" + source.Take();
    }
    json += '}';
  }
  json += ']';
  return json;
}

}  // namespace alertstream::projections
