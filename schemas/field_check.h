// FieldCheck: one pass over the fields of a message, for envelope_check.cc. Every check answers
// true if the field is fine; the first that is not leaves the fault, so checks are chained with &&.
// Belongs to one thread; allocates only for a fault.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/common.pb.h"
#include "schemas/decode_fault.h"

namespace alertstream::schemas {

enum Presence : std::uint8_t { kOptional, kRequired };

class FieldCheck {
 public:
  // The fields that follow are members of `message`; its name goes in front of theirs.
  // REQUIRES: at most kPathMax calls; a literal.
  void Enter(std::string_view message);
  // "account_change.trigger.id"
  std::string NameOf(std::string_view field) const;

  // An id, a name: no control characters.
  bool Id(std::string_view field, std::string_view text, std::size_t bytes_max, Presence presence);
  // A text: no U+0000.
  bool Text(std::string_view field, std::string_view text, std::size_t bytes_max,
            Presence presence);
  // A text that `accepts` judges; `expected` says what it wants.
  bool Form(std::string_view field, std::string_view text, std::size_t bytes_max, Presence presence,
            bool (*accepts)(std::string_view), std::string_view expected);
  // The id of a trigger, plan or sender.
  bool EntityId(std::string_view field, std::string_view text, Presence presence);
  // Exactly `bytes` bytes, or none if that is allowed.
  bool Size(std::string_view field, std::string_view value, std::size_t bytes, Presence presence);
  // 0, or a time between kTimeUsMin and kTimeUsMax.
  bool Time(std::string_view field, std::int64_t micros);
  bool Range(std::string_view field, std::int64_t value, std::int64_t min, std::int64_t max);
  // `is_valid` is the generated X_IsValid; 0 stands for absent.
  bool Enum(std::string_view field, int value, bool (*is_valid)(int), Presence presence);
  // A channel that a message can be sent on: not CHANNEL_ALL.
  bool OneChannel(std::string_view field, v1::Channel channel, Presence presence);
  // Personal data: UTF-8 text without U+0000, and any bytes.
  bool PersonalText(std::string_view field, const v1::Personal& personal, std::size_t bytes_max,
                    Presence presence);
  bool PersonalBytes(std::string_view field, const v1::Personal& personal, std::size_t bytes_max);
  // FIELD_INVALID with `expected` unless `holds`.
  bool That(std::string_view field, bool holds, std::string_view expected);

  // Always false.
  bool Missing(std::string_view field);
  bool Fail(v1::DeadLetterReason reason, std::string detail);

  // REQUIRES: a check answered false.
  DecodeFault TakeFault() &&;

 private:
  static constexpr std::size_t kPathMax = 2;  // account_change.trigger

  bool Invalid(std::string_view field, std::string_view expected);
  bool TooLong(std::string_view field, std::size_t bytes_max);
  // True, and `*absent` says whether the text is empty; false if it is missing or too long.
  bool Length(std::string_view field, std::string_view text, std::size_t bytes_max,
              Presence presence);

  std::array<std::string_view, kPathMax> path_;
  std::size_t depth_ = 0;
  std::optional<DecodeFault> fault_;
};

}  // namespace alertstream::schemas
