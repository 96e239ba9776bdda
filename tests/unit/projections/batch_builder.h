// BatchBuilder: a Batch made of messages that a test writes down. Owns what the batch points to.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "processor/base/id.h"
#include "projections/batch.h"

namespace alertstream::projections {

// 2026-11-20 12:00:00 UTC.
inline constexpr LogTime kNoon = FromMicros(1'795'176'000'000'000);

// The stored bytes of an id or token that a test calls by a letter.
inline std::string IdBytesOf(char letter) { return std::string(16, letter); }

class BatchBuilder {
 public:
  explicit BatchBuilder(std::int64_t seq = 7, LogTime now = kNoon) {
    batch_.partition = 3;
    batch_.seq = seq;
    batch_.now = now;
  }

  v1::DecisionRecord& Decision() { return Added(&decisions_, &batch_.decisions); }
  v1::NotificationCommand& Command() { return Added(&commands_, &batch_.commands); }
  v1::DeadLetter& DeadLetter() { return Added(&dead_letters_, &batch_.dead_letters); }
  // Accepted, of tenant acme.
  v1::Fact& Fact() {
    v1::Fact& fact = Added(&facts_, &batch_.facts);
    fact.set_tenant("acme");
    fact.set_result(v1::FACT_RESULT_ACCEPTED);
    fact.set_at_us(ToMicros(batch_.now));
    return fact;
  }
  // The record that caused `fact`.
  v1::Envelope& Cause(schemas::Topic topic, std::int64_t offset, v1::Fact* fact) {
    inputs_.emplace_back();
    batch_.inputs[{topic, offset}] = {&inputs_.back(), batch_.now - std::chrono::seconds(1)};
    fact->mutable_cause()->set_topic(static_cast<std::uint32_t>(topic));
    fact->mutable_cause()->set_partition(3);
    fact->mutable_cause()->set_offset(offset);
    return inputs_.back();
  }

  const Batch& batch() const { return batch_; }

 private:
  template <typename Message>
  static Message& Added(std::deque<Message>* owned, std::vector<const Message*>* listed) {
    owned->emplace_back();
    listed->push_back(&owned->back());
    return owned->back();
  }

  Batch batch_;
  std::deque<v1::DecisionRecord> decisions_;
  std::deque<v1::NotificationCommand> commands_;
  std::deque<v1::Fact> facts_;
  std::deque<v1::DeadLetter> dead_letters_;
  std::deque<v1::Envelope> inputs_;
};

}  // namespace alertstream::projections
