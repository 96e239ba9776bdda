// PartitionState: what a task, a follower and an audit have in common: one partition's state, its
// fold, and where in the journal they stand. Belongs to one thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "processor/engine/fold.h"
#include "processor/journal/chain.h"
#include "processor/state/state_map.h"
#include "processor/state/state_store.h"
#include "schemas/journal.pb.h"
#include "schemas/topics.h"

namespace alertstream::runtime {

struct PartitionConfig {
  std::string log_id;
  engine::FoldConfig fold;
  std::size_t cache_bytes = 48 << 20;
  // Nobody goes on with this state after a restart (audit): it is written out only when memory is
  // full.
  bool scratch = false;
};

class PartitionState {
 public:
  // `store` is empty or holds a point of this partition's history. kConflict: it belongs to another
  // log or partition. kCorrupt: its meta cannot be read.
  static Result<std::unique_ptr<PartitionState>> Open(const PartitionConfig& config,
                                                      state::StateStore& store);

  engine::Fold& fold() { return fold_; }
  state::StateMap& map() { return map_; }
  // Of the last sealed batch.
  const state::StateRoot& map_root() const { return map_.root(); }
  std::size_t map_bytes() const { return map_.bytes(); }
  const PartitionConfig& config() const { return config_; }
  std::uint32_t partition() const { return static_cast<std::uint32_t>(config_.fold.partition); }

  const journal::Tail& tail() const { return tail_; }
  // The next offset to consume of each input, index as in schemas::kInputTopics.
  const std::array<std::int64_t, schemas::kInputTopicCount>& positions() const {
    return positions_;
  }
  // Journal records from here on include the one after the tail, and the tail's own if there is
  // one.
  std::int64_t journal_hint() const { return journal_hint_; }
  void set_journal_hint(std::int64_t offset) { journal_hint_ = offset; }

  // The journal's record of the tail names another root than what the state says it holds: these
  // are not its bytes. Set by whoever compared them.
  bool differs() const { return differs_; }
  void set_differs() { differs_ = true; }

  // The state stands after journal record `record`, which continues the tail as `tail` says.
  void Accept(const v1::JournalRecord& record, journal::Tail tail);

  // Writes what is dirty to the store. After an error of the store it returns that, and writes
  // nothing any more. REQUIRES: else the last sealed batch was accepted.
  Status Flush();
  // Flush if enough is dirty to be worth it; call after each Accept.
  Status FlushIfLarge();
  bool flushed() const { return flushed_seq_ == tail_.seq; }

 private:
  PartitionState(PartitionConfig config, state::StateStore& store, state::StateRoot root);

  PartitionConfig config_;
  state::StateMap map_;
  engine::Fold fold_;
  journal::Tail tail_;
  std::array<std::int64_t, schemas::kInputTopicCount> positions_{};
  std::int64_t journal_hint_ = 0;
  std::uint64_t flushed_seq_ = 0;
  bool differs_ = false;
};

}  // namespace alertstream::runtime
