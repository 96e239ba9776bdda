#include "processor/state/key_filter.h"

#include <algorithm>
#include <utility>

#include "processor/state/entry_cache.h"

namespace alertstream::state {
namespace {

// A full layer gives one wrong "perhaps" in 150, which costs as much as all the right answers.
constexpr std::size_t kBitsPerKey = 12;
constexpr std::size_t kGrowth = 4;
constexpr std::size_t kLayerKeysMin = std::size_t{1} << 12;
constexpr std::string_view kAfterAllKeys = "\xff";  // Keys begin with a tenant id or '_'.

// Odd factors, one a word, that spread the hash's lower half over its 32 bits.
constexpr std::array<std::uint32_t, 4> kFactors = {0x9e3779b1U, 0x85ebca77U, 0xc2b2ae3dU,
                                                   0x27d4eb2fU};
constexpr int kWordBits = 6;  // 2^6 bits.

std::uint64_t BitOf(std::uint32_t low, std::size_t word) {
  return std::uint64_t{1} << (low * kFactors[word] >> (32 - kWordBits));
}

}  // namespace

KeyFilter::Layers::Layers(std::size_t keys, std::size_t bytes_max) : bytes_max_(bytes_max) {
  Grow(keys);
}

bool KeyFilter::Layers::Has(std::uint64_t hash) const {
  const auto low = static_cast<std::uint32_t>(hash);
  for (const auto& layer : layers_) {
    const Block& block = layer[(hash >> 32) * layer.size() >> 32];
    bool all = true;
    for (std::size_t i = 0; i < kFactors.size(); ++i) {
      all &= (block.words[i] & BitOf(low, i)) != 0;
    }
    if (all) {
      return true;
    }
  }
  return false;
}

void KeyFilter::Layers::Add(std::uint64_t hash) {
  LargeArray<Block>& layer = layers_.back();
  Block& block = layer[(hash >> 32) * layer.size() >> 32];
  const auto low = static_cast<std::uint32_t>(hash);
  for (std::size_t i = 0; i < kFactors.size(); ++i) {
    block.words[i] |= BitOf(low, i);
  }
  if (room_ > 0 && --room_ == 0) {
    Grow(layer.size() * sizeof(Block) * 8 / kBitsPerKey * kGrowth);
  }
}

// Without memory for more the last one goes on being filled.
void KeyFilter::Layers::Grow(std::size_t keys) {
  constexpr std::size_t kBytesMin = kLayerKeysMin * kBitsPerKey / 8;
  const std::size_t left = bytes_max_ > bytes_ ? bytes_max_ - bytes_ : 0;
  const std::size_t bytes = std::max(std::min(keys * kBitsPerKey / 8, left), kBytesMin);
  if (!layers_.empty() && bytes > left) {
    return;
  }
  const std::size_t blocks = bytes / sizeof(Block);
  layers_.emplace_back(blocks, PageSize::kNormal);
  bytes_ += blocks * sizeof(Block);
  room_ = blocks * sizeof(Block) * 8 / kBitsPerKey;
}

KeyFilter::KeyFilter(StateStore& store, std::size_t bytes_max, Concerns concerns)
    : store_(store), bytes_max_(bytes_max), concerns_(concerns) {
  Begin();
}

void KeyFilter::Add(std::uint64_t hash) {
  ++added_;
  ready_.Add(hash);
  if (building_now_ && complete_) {
    building_.Add(hash);
  }
}

void KeyFilter::Begin() {
  const auto keys = static_cast<std::size_t>(store_.KeysEstimate());
  // Twice what is there: it is to grow.
  Layers layers(keys * 2, bytes_max_);
  (complete_ ? building_ : ready_) = std::move(layers);
  building_now_ = true;
  read_ = 0;
  added_ = 0;
  next_.clear();
}

bool KeyFilter::RestartIfFull() {
  // Where the store holds more than there is room for, it is worth while again when as many came.
  if (building_now_ || !ready_.overfull() || added_ < 2 * read_) {
    return false;
  }
  Begin();
  return true;
}

Status KeyFilter::Advance(std::size_t keys_max) {
  if (!building_now_) {
    return Status::Ok();
  }
  Layers& layers = complete_ ? building_ : ready_;
  std::size_t seen = 0;
  bool more = false;
  const Status scanned =
      store_.Scan(next_, kAfterAllKeys, [&](std::string_view key, std::string_view) {
        if (seen == keys_max) {
          next_.assign(key);
          more = true;
          return false;
        }
        ++seen;
        if (concerns_(key)) {
          layers.Add(EntryCache::HashOf(key));
          ++added_;
          ++read_;
        }
        return true;
      });
  ALERTSTREAM_RETURN_IF_ERROR(scanned);
  if (!more) {
    building_now_ = false;
    if (complete_) {
      ready_ = std::move(building_);
      building_ = Layers();
    }
    complete_ = true;
  }
  return Status::Ok();
}

}  // namespace alertstream::state
