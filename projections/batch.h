// Batch: one accepted journal record with its outputs, decoded, and the input records whose details
// the outputs do not repeat. What the projections fold. Belongs to one thread.
#pragma once

#include <google/protobuf/arena.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "processor/runtime/output_reader.h"
#include "schemas/decision.pb.h"
#include "schemas/envelope.pb.h"
#include "schemas/output.pb.h"
#include "schemas/topics.h"

namespace alertstream::projections {

// What a projector reads of a partition, besides its journal.
inline constexpr schemas::Topic kOutputsRead[] = {
    schemas::Topic::kNotificationCommands, schemas::Topic::kDecisions, schemas::Topic::kFacts,
    schemas::Topic::kDeadLetters};
// Inputs that hold what facts leave out: addresses, evidence, times and accounts of attempts.
inline constexpr schemas::Topic kInputsRead[] = {
    schemas::Topic::kConsentChanges, schemas::Topic::kOptOuts, schemas::Topic::kInboundMessages,
    schemas::Topic::kDeliveryAttempts};

// An input record that the batch consumed.
struct ConsumedInput {
  const v1::Envelope* envelope = nullptr;
  LogTime append_time{};
};

// The place of fact `index` of a batch in its partition's journal, as an id that ascends in time.
// Stored. A batch has at most 10,000 outputs.
inline constexpr std::size_t kFactIndexBits = 14;

struct Batch {
  std::int64_t partition = 0;
  std::int64_t seq = 0;
  LogTime now{};
  std::vector<const v1::DecisionRecord*> decisions;
  std::vector<const v1::NotificationCommand*> commands;
  std::vector<const v1::Fact*> facts;
  std::vector<const v1::DeadLetter*> dead_letters;
  std::map<std::pair<schemas::Topic, std::int64_t>, ConsumedInput> inputs;

  // The record that caused the fact, if it is on a topic of kInputsRead and of this batch.
  const ConsumedInput* CauseOf(const v1::Fact& fact) const;
  std::int64_t FactId(std::size_t index) const {
    return static_cast<std::int64_t>((static_cast<std::uint64_t>(seq) << kFactIndexBits) | index);
  }
};

// Input records at hand, of one topic.
struct InputRecords {
  schemas::Topic topic{};
  std::span<const log::RecordView> records;
};

// Decodes into memory of its own, which the next Decode gives back.
class BatchDecoder {
 public:
  BatchDecoder();

  // kCorrupt: a record that the journal names is no message of its topic. Input records that do not
  // decode are left out: what the fold made of them is a dead letter.
  Result<const Batch*> Decode(const runtime::ReleasedBatch& released,
                              std::span<const InputRecords> inputs);

 private:
  template <typename Message>
  Status Add(const runtime::ReleasedRecord& record, std::vector<const Message*>* out);

  google::protobuf::Arena arena_;
  Batch batch_;
};

}  // namespace alertstream::projections
