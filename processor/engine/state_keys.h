// Keys of the partition's state: tenant, NUL, table, rest. Frozen, as every state root covers them:
// a table's number and the form of its rest may never change. Integers are big endian, so that byte
// order is numeric order. Pure.
//
//   table           rest                                value (schemas/state.proto)
//   1 tenant        -                                   TenantState
//   2 site          site id                             SiteState
//   3 plan          plan id                             PlanState
//   4 sender        sender id                           SenderState
//   5 trigger       trigger id                          TriggerState, the present version
//   6 version       trigger id, NUL, version (8)        TriggerState, every version
//   7 recipient     recipient token (16)                RecipientState
//   8 sends         recipient token (16), channel (1), trigger id   SendState
//   9 quota         month, e.g. 202611 (4)              QuotaState
//  10 dedupe        first 16 bytes of the scope's hash  DedupeState
//  11 notification  id (16)                             NotificationState
//  14 dead letter   id (16)                             DeadLetterState; no tenant: `_unrouted`
// and under the reserved tenant `_log`:
//  12 timer         due µs (8), id (16)                 TimerState
//  13 engine        -                                   EngineState
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "processor/base/check.h"
#include "processor/base/time.h"
#include "schemas/topics.h"

namespace alertstream::engine {

enum class Table : std::uint8_t {
  kTenant = 1,
  kSite = 2,
  kPlan = 3,
  kSender = 4,
  kTrigger = 5,
  kTriggerVersion = 6,
  kRecipient = 7,
  kSends = 8,
  kQuota = 9,
  kDedupe = 10,
  kNotification = 11,
  kTimer = 12,
  kEngine = 13,
  kDeadLetter = 14,
};

// A key on the stack. Every part has a limit (schemas/limits.h) far below the buffer.
class StateKey {
 public:
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): the buffer, on the hot path.
  StateKey(std::string_view tenant, Table table) {
    Bytes(tenant);
    Byte(0);
    Byte(static_cast<std::uint8_t>(table));
  }
  StateKey& Bytes(std::string_view bytes) {
    ALERTSTREAM_CHECK(size_ + bytes.size() <= buffer_.size());
    std::memcpy(buffer_.data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
    return *this;
  }
  StateKey& Byte(std::uint8_t byte) {
    const char c = static_cast<char>(byte);
    return Bytes({&c, 1});
  }
  StateKey& Number32(std::uint32_t value) { return BigEndian(value, 4); }
  StateKey& Number64(std::uint64_t value) { return BigEndian(value, 8); }

  // NOLINTNEXTLINE(google-explicit-constructor): a key is used as its bytes.
  operator std::string_view() const { return {buffer_.data(), size_}; }

 private:
  StateKey& BigEndian(std::uint64_t value, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
      Byte(static_cast<std::uint8_t>(value >> shift));
    }
    return *this;
  }
  std::array<char, 256> buffer_;
  std::size_t size_ = 0;
};

// What events write, which is hardly ever read again or lies in the map's own memory; the other
// tables are what people and tenants are, read for every event. No part of the state's layout: a
// store may use it.
inline bool IsHistoryKey(std::string_view key) {
  const std::size_t end = key.find('\0');
  if (end == std::string_view::npos || end + 1 >= key.size()) {
    return false;
  }
  switch (static_cast<Table>(key[end + 1])) {
    case Table::kSends:
    case Table::kQuota:
    case Table::kDedupe:
    case Table::kNotification:
    case Table::kTimer:
    case Table::kDeadLetter:
      return true;
    case Table::kTenant:
    case Table::kSite:
    case Table::kPlan:
    case Table::kSender:
    case Table::kTrigger:
    case Table::kTriggerVersion:
    case Table::kRecipient:
    case Table::kEngine:
      return false;
  }
  return false;
}

// Keys that the fold asks for without knowing that they exist: all but notifications, which are
// made under an id that nobody had and asked for by that id. No part of the state's layout either.
inline bool IsAskedBlindly(std::string_view key) {
  const std::size_t end = key.find('\0');
  return end == std::string_view::npos || end + 1 >= key.size() ||
         static_cast<Table>(key[end + 1]) != Table::kNotification;
}

// Every timer's key begins with this; they are the ordered keys of the state map.
inline std::string TimerPrefix() {
  return std::string(std::string_view(StateKey(schemas::kLogKey, Table::kTimer)));
}

inline StateKey TimerKey(LogTime due, std::string_view id) {
  return StateKey(schemas::kLogKey, Table::kTimer)
      .Number64(static_cast<std::uint64_t>(ToMicros(due)))
      .Bytes(id);
}

}  // namespace alertstream::engine
