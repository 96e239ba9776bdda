#include "schemas/field_check.h"

#include <utility>

#include "processor/base/check.h"
#include "schemas/limits.h"
#include "schemas/personal.h"
#include "schemas/text.h"

namespace alertstream::schemas {

void FieldCheck::Enter(std::string_view message) {
  ALERTSTREAM_CHECK(depth_ < kPathMax);
  path_[depth_++] = message;
}

std::string FieldCheck::NameOf(std::string_view field) const {
  std::string name;
  for (std::size_t i = 0; i < depth_; ++i) {
    name.append(path_[i]).append(".");
  }
  return name.append(field);
}

bool FieldCheck::Length(std::string_view field, std::string_view text, std::size_t bytes_max,
                        Presence presence) {
  if (text.size() > bytes_max) [[unlikely]] {
    return TooLong(field, bytes_max);
  }
  if (text.empty() && presence == kRequired) [[unlikely]] {
    return Missing(field);
  }
  return true;
}

bool FieldCheck::Id(std::string_view field, std::string_view text, std::size_t bytes_max,
                    Presence presence) {
  return Length(field, text, bytes_max, presence) &&
         (HasNoControls(text) || Invalid(field, "no control characters are allowed"));
}

bool FieldCheck::Text(std::string_view field, std::string_view text, std::size_t bytes_max,
                      Presence presence) {
  return Length(field, text, bytes_max, presence) &&
         (HasNoNul(text) || Invalid(field, "U+0000 is not allowed"));
}

bool FieldCheck::Form(std::string_view field, std::string_view text, std::size_t bytes_max,
                      Presence presence, bool (*accepts)(std::string_view),
                      std::string_view expected) {
  return Length(field, text, bytes_max, presence) &&
         (text.empty() || accepts(text) || Invalid(field, expected));
}

bool FieldCheck::EntityId(std::string_view field, std::string_view text, Presence presence) {
  return Form(field, text, kEntityIdBytesMax, presence, IsEntityId,
              "only lower-case letters, digits, _ and - are allowed");
}

bool FieldCheck::Size(std::string_view field, std::string_view value, std::size_t bytes,
                      Presence presence) {
  if (value.empty()) {
    return presence == kOptional || Missing(field);
  }
  return value.size() == bytes ||
         Invalid(field, "expected exactly " + std::to_string(bytes) + " bytes");
}

bool FieldCheck::Time(std::string_view field, std::int64_t micros) {
  return micros == 0 || (micros >= kTimeUsMin && micros < kTimeUsMax) ||
         Invalid(field, "expected microseconds since 1970, between the years 2000 and 2200");
}

bool FieldCheck::Range(std::string_view field, std::int64_t value, std::int64_t min,
                       std::int64_t max) {
  return (value >= min && value <= max) ||
         Invalid(field, "expected " + std::to_string(min) + " to " + std::to_string(max));
}

bool FieldCheck::Enum(std::string_view field, int value, bool (*is_valid)(int), Presence presence) {
  if (value == 0) {
    return presence == kOptional || Missing(field);
  }
  return is_valid(value) || Fail(v1::DEAD_LETTER_REASON_UNKNOWN_ENUM,
                                 NameOf(field) + ": a value that this program does not know");
}

bool FieldCheck::OneChannel(std::string_view field, v1::Channel channel, Presence presence) {
  return Enum(field, channel, v1::Channel_IsValid, presence) &&
         (channel != v1::CHANNEL_ALL || Invalid(field, "expected one channel, not all"));
}

bool FieldCheck::PersonalText(std::string_view field, const v1::Personal& personal,
                              std::size_t bytes_max, Presence presence) {
  const auto text = Unseal(personal);
  if (!text.ok()) {
    return Invalid(field, text.error().message());
  }
  return Length(field, text.value(), bytes_max, presence) &&
         (HasNoNul(text.value()) || Invalid(field, "U+0000 is not allowed")) &&
         (IsUtf8(text.value()) || Invalid(field, "expected UTF-8"));
}

bool FieldCheck::PersonalBytes(std::string_view field, const v1::Personal& personal,
                               std::size_t bytes_max) {
  const auto bytes = Unseal(personal);
  if (!bytes.ok()) {
    return Invalid(field, bytes.error().message());
  }
  return bytes.value().size() <= bytes_max || TooLong(field, bytes_max);
}

bool FieldCheck::That(std::string_view field, bool holds, std::string_view expected) {
  return holds || Invalid(field, expected);
}

bool FieldCheck::Missing(std::string_view field) {
  return Fail(v1::DEAD_LETTER_REASON_FIELD_MISSING, NameOf(field) + ": missing");
}

bool FieldCheck::Invalid(std::string_view field, std::string_view expected) {
  return Fail(v1::DEAD_LETTER_REASON_FIELD_INVALID, NameOf(field).append(": ").append(expected));
}

bool FieldCheck::TooLong(std::string_view field, std::size_t bytes_max) {
  return Fail(v1::DEAD_LETTER_REASON_FIELD_TOO_LONG,
              NameOf(field) + ": longer than " + std::to_string(bytes_max) + " bytes");
}

bool FieldCheck::Fail(v1::DeadLetterReason reason, std::string detail) {
  fault_ = DecodeFault{v1::DEAD_LETTER_STAGE_SCHEMA, reason, std::move(detail)};
  return false;
}

DecodeFault FieldCheck::TakeFault() && {
  ALERTSTREAM_CHECK(fault_.has_value());
  return *std::move(fault_);
}

}  // namespace alertstream::schemas
