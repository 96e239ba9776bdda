// From a folded batch to its journal record, and what a second fold of the same batch must agree
// with. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "processor/engine/effects.h"
#include "processor/journal/chain.h"
#include "processor/log/event_log.h"
#include "processor/runtime/partition_state.h"
#include "schemas/journal.pb.h"

namespace alertstream::runtime {

using InputSpans = std::array<std::span<const log::RecordView>, schemas::kInputTopicCount>;

// Everything of the record that follows from the inputs and the effects: inputs, timers, outputs,
// reroutes, state root. `consumed` are the records that the batch took, `positions` where it began.
// REQUIRES: the record's partition is set; the origin of re-routed records names it.
void DescribeBatch(const std::array<std::int64_t, schemas::kInputTopicCount>& positions,
                   const InputSpans& consumed, const engine::Effects& effects,
                   const state::StateRoot& root, v1::JournalRecord* record);

// Root over the records of one input.
std::string InputRoot(std::span<const log::RecordView> records);

// Fills the fields that tie a record to its place in the chain; the caller sets the kind.
struct Owner {
  std::uint64_t epoch = 0;
  std::string nonce;
};
void StampRecord(const PartitionState& state, const Owner& owner, LogTime now,
                 std::uint32_t engine_version, v1::JournalRecord* record);

// Why `recorded` and `refolded` are not the same batch: "" if they are. History (inputs) is
// compared apart from the engine's own part.
struct Difference {
  bool inputs = false;   // History changed.
  bool outputs = false;  // The engine differs.
  std::string what;      // The first differing field, for people.
};
Difference Compare(const v1::JournalRecord& recorded, const v1::JournalRecord& refolded);

// The transaction of a batch: outputs with their stamps, re-routed records, the journal record. The
// views point into the effects, the inputs and this object.
class Transaction {
 public:
  void Build(const PartitionState& state, const InputSpans& inputs, const engine::Effects& effects,
             const v1::JournalRecord& record);
  std::span<const log::NewRecord> records() const { return records_; }
  const std::string& journal_bytes() const { return journal_bytes_; }

 private:
  std::vector<log::NewRecord> records_;
  std::vector<log::Header> headers_;
  std::string stamps_;                // One after the other.
  std::vector<std::string> origins_;  // Of re-routed records.
  std::vector<std::vector<log::Header>> reroute_headers_;
  std::string journal_bytes_;
};

// On a record that was appended to its right partition: where the original lies, as text
// "topic/partition/offset".
inline constexpr std::string_view kOriginHeader = "as-origin";

}  // namespace alertstream::runtime
