// The fold: the one pure function that decides. State and a batch in, state and Effects out; used
// by live traffic, crash recovery, standby, audit and what-if alike.
//
// Same state, same batch, same engine version: same effects, bit for bit, on every machine. It sees
// no clock, no randomness and no I/O but the state map; the only time is FoldBatch::now. A Fold
// keeps compiled rules between batches and belongs to one partition's task.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "processor/base/crypto.h"
#include "processor/engine/effects.h"
#include "processor/engine/limits.h"
#include "processor/state/state_map.h"
#include "schemas/record.h"
#include "schemas/topics.h"

namespace alertstream::engine {

struct FoldConfig {
  HmacKey token_key;
  std::int32_t partition = 0;
  std::int32_t partitions = 1;
};

struct FoldBatch {
  LogTime now;
  std::uint32_t engine_version = kEngineVersion;
  // Index as in schemas::kInputTopics, each ascending by offset.
  std::array<std::span<const schemas::RecordView>, schemas::kInputTopicCount> inputs;
  // At most this many timers fire: kTimersPerBatchMax or 0 when deciding, the recorded number when
  // deciding again.
  std::uint32_t timers_max = 0;
};

class Fold {
 public:
  // Called before each record is folded, with its position; lets the runner remember on which
  // record a process died. It must not change anything that the fold can see.
  using Probe = std::function<void(schemas::Topic topic, std::int64_t offset)>;

  Fold(const FoldConfig& config, state::StateMap& state);
  ~Fold();
  Fold(const Fold&) = delete;
  Fold& operator=(const Fold&) = delete;

  void set_probe(Probe probe);

  // Folds the batch into the state map and fills `effects` (cleared first). Never fails: what is
  // wrong with a record is an effect. The caller checks the map's status() afterwards.
  void Run(const FoldBatch& batch, Effects* effects);

  // True if a timer is due at `now`, so that a batch without inputs would have something to do.
  bool TimerDue(LogTime now);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::engine
