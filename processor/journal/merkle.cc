#include "processor/journal/merkle.h"

#include <array>
#include <bit>

namespace alertstream::journal {
namespace {

constexpr char kLeafPrefix = 0;
constexpr char kNodePrefix = 1;
constexpr char kInputForm = 1;
constexpr char kOutputForm = 2;

template <std::size_t kBytes>
std::array<char, kBytes> BigEndian(std::uint64_t value) {
  std::array<char, kBytes> bytes;
  for (std::size_t i = 0; i < kBytes; ++i) {
    bytes[i] = static_cast<char>(value >> (8 * (kBytes - 1 - i)));
  }
  return bytes;
}

void UpdateText(Sha256& hash, std::string_view text) {
  const auto length = BigEndian<4>(text.size());
  hash.Update(length.data(), length.size()).Update(text);
}

void UpdateBody(Sha256& hash, std::string_view key, std::span<const schemas::HeaderView> headers,
                std::string_view value) {
  UpdateText(hash, key);
  std::uint64_t count = 0;
  for (const auto& header : headers) {
    count += header.name == kStampHeader ? 0 : 1;
  }
  const auto length = BigEndian<4>(count);
  hash.Update(length.data(), length.size());
  for (const auto& header : headers) {
    if (header.name != kStampHeader) {
      UpdateText(hash, header.name);
      UpdateText(hash, header.value);
    }
  }
  UpdateText(hash, value);
}

Digest NodeOf(const Digest& left, const Digest& right) {
  std::array<std::uint8_t, 65> bytes;
  bytes[0] = kNodePrefix;
  std::copy(left.begin(), left.end(), bytes.begin() + 1);
  std::copy(right.begin(), right.end(), bytes.begin() + 33);
  return Sha256().Update(bytes.data(), bytes.size()).Final();
}

Digest RootOf(std::span<const Digest> leaves) {
  MerkleTree tree;
  for (const auto& leaf : leaves) {
    tree.Add(leaf);
  }
  return tree.Root();
}

// The largest power of two smaller than `count`. REQUIRES: count > 1.
std::uint64_t SplitOf(std::uint64_t count) { return std::bit_floor(count - 1); }

}  // namespace

Digest LeafOfInput(const schemas::RecordView& record) {
  const std::array<char, 2> prefix = {kLeafPrefix, kInputForm};
  const auto time = BigEndian<8>(static_cast<std::uint64_t>(ToMicros(record.append_time)));
  const auto offset = BigEndian<8>(static_cast<std::uint64_t>(record.offset));
  Sha256 hash;
  hash.Update(prefix.data(), prefix.size())
      .Update(time.data(), time.size())
      .Update(offset.data(), offset.size());
  UpdateBody(hash, record.key, record.headers, record.value);
  return hash.Final();
}

Digest LeafOfOutput(std::string_view key, std::span<const schemas::HeaderView> headers,
                    std::string_view value) {
  const std::array<char, 2> prefix = {kLeafPrefix, kOutputForm};
  Sha256 hash;
  hash.Update(prefix.data(), prefix.size());
  UpdateBody(hash, key, headers, value);
  return hash.Final();
}

void MerkleTree::Add(const Digest& leaf) {
  Digest node = leaf;
  // Each trailing one bit of the count is a perfect subtree as large as `node`: join them.
  for (std::uint64_t bits = count_; (bits & 1) != 0; bits >>= 1) {
    node = NodeOf(subtrees_.back(), node);
    subtrees_.pop_back();
  }
  subtrees_.push_back(node);
  ++count_;
}

Digest MerkleTree::Root() const {
  if (subtrees_.empty()) {
    return Sha256::Of("");
  }
  Digest root = subtrees_.back();
  for (std::size_t i = subtrees_.size() - 1; i > 0; --i) {
    root = NodeOf(subtrees_[i - 1], root);
  }
  return root;
}

void MerkleTree::Clear() {
  subtrees_.clear();
  count_ = 0;
}

std::vector<Digest> InclusionProof(std::span<const Digest> leaves, std::size_t index) {
  std::vector<Digest> proof;
  if (leaves.size() <= 1) {
    return proof;
  }
  const std::size_t split = SplitOf(leaves.size());
  if (index < split) {
    proof = InclusionProof(leaves.first(split), index);
    proof.push_back(RootOf(leaves.subspan(split)));
  } else {
    proof = InclusionProof(leaves.subspan(split), index - split);
    proof.push_back(RootOf(leaves.first(split)));
  }
  return proof;
}

bool VerifyInclusion(const Digest& leaf, std::uint64_t index, std::uint64_t count,
                     std::span<const Digest> proof, const Digest& root) {
  if (index >= count) {
    return false;
  }
  // RFC 9162 section 2.1.3.2: walk up from the leaf, with the last node of its level in `last`.
  std::uint64_t at = index;
  std::uint64_t last = count - 1;
  Digest node = leaf;
  for (const auto& sibling : proof) {
    if (last == 0) {
      return false;
    }
    if ((at & 1) != 0 || at == last) {
      node = NodeOf(sibling, node);
      while ((at & 1) == 0 && at != 0) {
        at >>= 1;
        last >>= 1;
      }
    } else {
      node = NodeOf(node, sibling);
    }
    at >>= 1;
    last >>= 1;
  }
  return last == 0 && node == root;
}

}  // namespace alertstream::journal
