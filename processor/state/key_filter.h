// KeyFilter: answers "this key is not in the store" from memory, because most look-ups of the fold
// are of keys that were never there (a new event id, a first message to a person), and asking the
// store costs a probe of each of its files.
//
// A blocked Bloom filter over the keys' hashes, filled from the store little by little (Advance)
// while the partition already works; until it knows every key it answers "perhaps". Keys written
// meanwhile are added by their writer. Never wrong about absence, and so without influence on any
// decision. Internal to processor/state. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "processor/base/result.h"
#include "processor/state/state_store.h"

namespace alertstream::state {

class KeyFilter {
 public:
  // `store` must outlive the filter. Takes at most `bytes_max`, twice while it is made again; with
  // more keys than bytes it answers "perhaps" more often.
  KeyFilter(StateStore& store, std::size_t bytes_max);

  // False: no key of this hash (EntryCache::HashOf) is in the store or was added.
  bool MayContain(std::uint64_t hash) const;
  void Add(std::uint64_t hash);

  // Adds up to `keys_max` more keys of the store. Everything that was written to the store since
  // the construction must have been Added.
  Status Advance(std::size_t keys_max);
  bool building() const { return !building_.empty(); }

  // Begins again when so many keys were added that wrong answers become frequent; what the store
  // no longer holds is forgotten on the way. REQUIRES: every key that was added and still exists is
  // in the store. True if it did: keys that are written from now on must be added again.
  bool RestartIfFull();

  std::size_t bytes() const { return (building_.size() + ready_.size()) * sizeof(Block); }

 private:
  // A cache line's half: one bit in each word.
  struct alignas(32) Block {
    std::array<std::uint32_t, 8> words{};
  };

  void Begin();
  static void Set(std::vector<Block>& blocks, std::uint64_t hash);
  static bool Has(const std::vector<Block>& blocks, std::uint64_t hash);

  StateStore& store_;
  const std::size_t bytes_max_;
  std::vector<Block> ready_;     // Knows every key; empty until the first time that one does.
  std::vector<Block> building_;  // Empty while nothing is being filled.
  std::string next_;             // The key from which the store is read on.
  std::size_t capacity_ = 0;     // Of the newest.
  std::size_t read_ = 0;         // By the newest from the store.
  std::size_t added_ = 0;        // To the newest, those included.
};

}  // namespace alertstream::state
