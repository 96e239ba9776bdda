// RFC 6962 Merkle trees over the records of a batch, so that one record can be proved without its
// neighbours. What a leaf covers is frozen:
//   input:   1, append time µs (8), offset (8), key, headers, value
//   output:  2, key, headers (without the stamp), value
// with every number big endian, every text preceded by its length (4), headers by their count (4).
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "processor/base/crypto.h"
#include "schemas/record.h"

namespace alertstream::journal {

// The header that says to which journal record an output belongs; not part of any leaf.
inline constexpr std::string_view kStampHeader = "as-stamp";

Digest LeafOfInput(const schemas::RecordView& record);
Digest LeafOfOutput(std::string_view key, std::span<const schemas::HeaderView> headers,
                    std::string_view value);

// Takes leaves one by one, keeps one digest a level.
class MerkleTree {
 public:
  void Add(const Digest& leaf);
  // SHA-256 of the empty string for no leaves (RFC 6962 section 2.1).
  Digest Root() const;
  std::uint64_t count() const { return count_; }
  void Clear();

 private:
  // Roots of perfect subtrees, largest first: one for every bit set in count_.
  std::vector<Digest> subtrees_;
  std::uint64_t count_ = 0;
};

// Proof that leaf `index` is in the tree over `leaves`: sibling digests from the leaf up.
std::vector<Digest> InclusionProof(std::span<const Digest> leaves, std::size_t index);
bool VerifyInclusion(const Digest& leaf, std::uint64_t index, std::uint64_t count,
                     std::span<const Digest> proof, const Digest& root);

}  // namespace alertstream::journal
