// Effects: everything a batch gives the world besides its state writes. The fold fills it, the task
// runner turns it into one transaction. Buffers are reused from batch to batch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/message_lite.h>

#include "schemas/decision.pb.h"
#include "schemas/output.pb.h"
#include "schemas/topics.h"

namespace alertstream::engine {

// The records for one output topic, back to back in one buffer.
class OutputBuffer {
 public:
  void Add(std::string_view key, const google::protobuf::MessageLite& message);
  std::size_t count() const { return items_.size(); }
  std::size_t bytes() const { return bytes_.size(); }
  std::string_view key(std::size_t i) const;
  std::string_view value(std::size_t i) const;
  // Forgets what was added after there were `count` records.
  void Truncate(std::size_t count);
  void Clear() { Truncate(0); }

 private:
  struct Item {
    std::size_t key;
    std::size_t value;
    std::size_t end;
  };
  std::string bytes_;
  std::vector<Item> items_;
};

// An input that lay in the wrong partition: record `index` of its topic's span goes to
// `to_partition`, bytes unchanged.
struct Reroute {
  schemas::Topic topic;
  std::size_t index;
  std::int32_t to_partition;
};

// What was decided, for metrics only.
struct DecisionCounts {
  std::array<std::array<std::uint64_t, v1::Reason_ARRAYSIZE>, v1::Outcome_ARRAYSIZE> decisions{};
  std::array<std::uint64_t, v1::EventVerdict_ARRAYSIZE> events{};
};

struct Effects {
  OutputBuffer commands;
  OutputBuffer decisions;
  OutputBuffer facts;
  OutputBuffer dead_letters;
  std::vector<Reroute> reroutes;
  // How many records of each input (index as in kInputTopics) the batch consumed. Less than given
  // for site-events only, when the batch was full.
  std::array<std::size_t, schemas::kInputTopicCount> consumed{};
  std::uint32_t timers_fired = 0;
  DecisionCounts counts;
  // True if work is left that needs no further input (a fan-out to continue, timers due).
  bool more = false;

  void Clear();
  std::size_t records() const;
  std::size_t bytes() const;

  // A record's effects can be taken back.
  struct Savepoint {
    std::size_t commands = 0;
    std::size_t decisions = 0;
    std::size_t facts = 0;
    std::size_t dead_letters = 0;
    std::size_t reroutes = 0;
    DecisionCounts counts;
  };
  Savepoint Save() const;
  void Restore(const Savepoint& savepoint);
};

// The output topics, in the order of their numbers, and the buffer of each.
inline constexpr std::array<schemas::Topic, 4> kOutputTopics = {
    schemas::Topic::kNotificationCommands, schemas::Topic::kDecisions, schemas::Topic::kFacts,
    schemas::Topic::kDeadLetters};
const OutputBuffer& OutputsOf(const Effects& effects, schemas::Topic topic);

}  // namespace alertstream::engine
