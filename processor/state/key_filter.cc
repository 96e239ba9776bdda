#include "processor/state/key_filter.h"

#include <algorithm>

#include "processor/state/entry_cache.h"

namespace alertstream::state {
namespace {

// Full, a few of a hundred answers are a wrong "perhaps"; with 48 bits a key, as after it was
// filled from the store, none in thousands.
constexpr std::size_t kBitsPerKey = 8;
constexpr std::size_t kGrowth = 6;
constexpr std::size_t kCapacityMin = std::size_t{1} << 12;
constexpr std::string_view kAfterAllKeys = "\xff";  // Keys begin with a tenant id or '_'.

// Odd factors, one a word, that spread the hash's lower half over its 32 bits.
constexpr std::array<std::uint32_t, 8> kFactors = {0x9e3779b1U, 0x85ebca77U, 0xc2b2ae3dU,
                                                   0x27d4eb2fU, 0x165667b1U, 0xd3a2646dU,
                                                   0xfd7046c5U, 0xb55a4f09U};

}  // namespace

void KeyFilter::Set(std::vector<Block>& blocks, std::uint64_t hash) {
  Block& block = blocks[(hash >> 32) * blocks.size() >> 32];
  const auto low = static_cast<std::uint32_t>(hash);
  for (std::size_t i = 0; i < kFactors.size(); ++i) {
    block.words[i] |= std::uint32_t{1} << (low * kFactors[i] >> 27);
  }
}

bool KeyFilter::Has(const std::vector<Block>& blocks, std::uint64_t hash) {
  const Block& block = blocks[(hash >> 32) * blocks.size() >> 32];
  const auto low = static_cast<std::uint32_t>(hash);
  std::uint32_t missing = 0;
  for (std::size_t i = 0; i < kFactors.size(); ++i) {
    missing |= ~block.words[i] & (std::uint32_t{1} << (low * kFactors[i] >> 27));
  }
  return missing == 0;
}

KeyFilter::KeyFilter(StateStore& store, std::size_t bytes_max)
    : store_(store), bytes_max_(bytes_max) {
  Begin();
}

bool KeyFilter::MayContain(std::uint64_t hash) const { return ready_.empty() || Has(ready_, hash); }

void KeyFilter::Add(std::uint64_t hash) {
  ++added_;
  if (!ready_.empty()) {
    Set(ready_, hash);
  }
  if (!building_.empty()) {
    Set(building_, hash);
  }
}

void KeyFilter::Begin() {
  const auto keys = static_cast<std::size_t>(store_.KeysEstimate());
  const std::size_t most = std::max(bytes_max_ * 8 / kBitsPerKey, kCapacityMin);
  capacity_ = std::clamp(keys * kGrowth, kCapacityMin, most);
  read_ = 0;
  added_ = 0;
  building_.assign(capacity_ * kBitsPerKey / (sizeof(Block) * 8), Block{});
  next_.clear();
}

bool KeyFilter::RestartIfFull() {
  // Where the store holds more than there is room for, it is worth while again when as many came.
  if (building() || added_ <= capacity_ || added_ < 2 * read_) {
    return false;
  }
  Begin();
  return true;
}

Status KeyFilter::Advance(std::size_t keys_max) {
  if (!building()) {
    return Status::Ok();
  }
  std::size_t seen = 0;
  bool more = false;
  const Status scanned =
      store_.Scan(next_, kAfterAllKeys, [&](std::string_view key, std::string_view) {
        if (seen == keys_max) {
          next_.assign(key);
          more = true;
          return false;
        }
        Set(building_, EntryCache::HashOf(key));
        ++added_;
        ++read_;
        ++seen;
        return true;
      });
  ALERTSTREAM_RETURN_IF_ERROR(scanned);
  if (!more) {
    ready_ = std::move(building_);
    building_ = {};
  }
  return Status::Ok();
}

}  // namespace alertstream::state
