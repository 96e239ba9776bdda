// KeyFilter: answers "this key is not in the store" from memory, because most look-ups of the fold
// are of keys that were never there (a new event id, a first message to a person), and asking the
// store costs a probe of each of its files.
//
// Blocked Bloom filters over the keys' hashes, each larger than the one before, filled from the
// store little by little (Advance) while the partition already works; until they know every key the
// answer is "perhaps". Keys written meanwhile are added by their writer. Never wrong about absence,
// and so without influence on any decision. Internal to processor/state. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"
#include "processor/state/large_array.h"
#include "processor/state/state_store.h"

namespace alertstream::state {

class KeyFilter {
 public:
  // Whether a key is asked for without being known to exist, so that the filter has to know it. Of
  // one key always the same.
  using Concerns = bool (*)(std::string_view key);

  // `store` must outlive the filter. Takes at most `bytes_max`, twice while it is made again; with
  // more keys than bytes it answers "perhaps" more often.
  KeyFilter(StateStore& store, std::size_t bytes_max, Concerns concerns);

  // False: no key of this hash (EntryCache::HashOf) that the filter concerns is in the store or was
  // added.
  bool MayContain(std::uint64_t hash) const { return !complete_ || ready_.Has(hash); }
  void Add(std::uint64_t hash);

  // Adds up to `keys_max` more keys of the store. Everything that was written to the store since
  // the construction must have been Added.
  Status Advance(std::size_t keys_max);
  bool building() const { return building_now_; }

  // Begins again when so many keys were added beyond what it has room for that wrong answers are
  // frequent: what the store no longer holds is forgotten on the way. REQUIRES: every key that was
  // added and still exists is in the store. True if it did: keys that are written from now on must
  // be added again.
  bool RestartIfFull();

  std::size_t bytes() const { return ready_.bytes() + building_.bytes(); }

 private:
  // Half a cache line: one bit in each word.
  struct alignas(32) Block {
    std::array<std::uint64_t, 4> words;
  };

  // Filters that together know what was added.
  class Layers {
   public:
    Layers() = default;
    Layers(std::size_t keys, std::size_t bytes_max);

    bool Has(std::uint64_t hash) const;
    void Add(std::uint64_t hash);
    std::size_t bytes() const { return bytes_; }
    // More was added than there is room for.
    bool overfull() const { return room_ == 0; }

   private:
    void Grow(std::size_t keys);

    std::vector<LargeArray<Block>> layers_;  // Keys are added to the last.
    std::size_t room_ = 0;                   // Keys until the last is full.
    std::size_t bytes_ = 0;
    std::size_t bytes_max_ = 0;
  };

  void Begin();

  StateStore& store_;
  const std::size_t bytes_max_;
  const Concerns concerns_;
  Layers ready_;           // Knows every key if `complete_`.
  Layers building_;        // What is being made instead; unused the first time.
  bool complete_ = false;  // At least once the whole store was read.
  bool building_now_ = false;
  std::string next_;       // The key from which the store is read on.
  std::size_t read_ = 0;   // By the newest from the store.
  std::size_t added_ = 0;  // To the newest, those included.
};

}  // namespace alertstream::state
