#include "processor/journal/merkle.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace alertstream::journal {
namespace {

std::string Hex(const Digest& digest) { return ToHex(AsView(digest)); }

// RFC 6962 section 2.1: the hash of a leaf is SHA-256 of a zero byte and the data.
Digest LeafOf(std::string_view data) {
  return Sha256().Update(std::string_view("\0", 1)).Update(data).Final();
}

// The tree of Certificate Transparency's own test data.
TEST(Merkle, RootsAreThoseOfTheKnownTree) {
  const char* const leaves[] = {"",
                                "00",
                                "10",
                                "2021",
                                "3031",
                                "40414243",
                                "5051525354555657",
                                "606162636465666768696a6b6c6d6e6f"};
  const char* const roots[] = {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                               "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                               "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                               "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                               "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                               "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                               "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                               "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  MerkleTree tree;
  EXPECT_EQ(Hex(tree.Root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (std::size_t i = 0; i < std::size(leaves); ++i) {
    tree.Add(LeafOf(FromHex(leaves[i])));
    EXPECT_EQ(tree.count(), i + 1);
    EXPECT_EQ(Hex(tree.Root()), roots[i]) << i + 1;
  }
  tree.Clear();
  EXPECT_EQ(tree.count(), 0U);
  tree.Add(LeafOf(""));
  EXPECT_EQ(Hex(tree.Root()), roots[0]);
}

TEST(Merkle, EveryLeafOfEveryTreeCanBeProved) {
  constexpr std::size_t kLeavesMax = 33;
  std::vector<Digest> leaves;
  MerkleTree tree;
  for (std::size_t count = 1; count <= kLeavesMax; ++count) {
    leaves.push_back(LeafOf(std::to_string(count)));
    tree.Add(leaves.back());
    const Digest root = tree.Root();
    for (std::size_t i = 0; i < count; ++i) {
      auto proof = InclusionProof(leaves, i);
      EXPECT_TRUE(VerifyInclusion(leaves[i], i, count, proof, root)) << i << " of " << count;
      EXPECT_FALSE(VerifyInclusion(LeafOf("other"), i, count, proof, root));
      EXPECT_FALSE(VerifyInclusion(leaves[i], count, count, proof, root));
      if (i + 1 < count) {
        EXPECT_FALSE(VerifyInclusion(leaves[i], i + 1, count, proof, root));
      }
      proof.push_back(root);
      EXPECT_FALSE(VerifyInclusion(leaves[i], i, count, proof, root)) << "a step too many";
      proof.resize(proof.size() - 1);
      if (!proof.empty()) {
        proof.back()[0] ^= 1;
        EXPECT_FALSE(VerifyInclusion(leaves[i], i, count, proof, root));
        proof.pop_back();
        EXPECT_FALSE(VerifyInclusion(leaves[i], i, count, proof, root)) << "a step too few";
      }
    }
  }
}

TEST(Leaf, EveryPartOfAnInputCounts) {
  const schemas::HeaderView header{"name", "value"};
  const schemas::HeaderView longer{"nam", "evalue"};
  const schemas::HeaderView stamp{kStampHeader, "x"};
  const schemas::RecordView record{7, FromMicros(1), "key", "text", std::span(&header, 1)};
  std::vector<schemas::RecordView> others(7, record);
  others[0].offset = 8;
  others[1].append_time = FromMicros(2);
  others[2].key = "ke";
  others[3].value = "texts";
  others[4].headers = {};
  others[5].headers = std::span(&longer, 1);
  others[6].key = "keyt";  // The same bytes one after the other, with another boundary.
  others[6].value = "ext";
  for (std::size_t i = 0; i < others.size(); ++i) {
    EXPECT_NE(LeafOfInput(others[i]), LeafOfInput(record)) << i;
  }
  EXPECT_NE(LeafOfOutput("key", std::span(&header, 1), "text"), LeafOfInput(record));
  // The stamp ties an output to its batch; what was decided is the same without it.
  EXPECT_EQ(LeafOfOutput("key", std::span(&stamp, 1), "text"), LeafOfOutput("key", {}, "text"));
}

// Frozen: journals hold roots over these leaves.
TEST(Leaf, HasItsFrozenBytes) {
  const schemas::HeaderView header{"h", "v"};
  const schemas::RecordView record{258, FromMicros(1), "k", "val", std::span(&header, 1)};
  const std::string input = FromHex(
      "0001"
      "0000000000000001"
      "0000000000000102"
      "000000016b"
      "00000001"
      "0000000168"
      "0000000176"
      "0000000376616c");
  EXPECT_EQ(LeafOfInput(record), Sha256::Of(input));
  const std::string output = FromHex(
      "0002"
      "000000016b"
      "00000000"
      "0000000376616c");
  EXPECT_EQ(LeafOfOutput("k", {}, "val"), Sha256::Of(output));
}

}  // namespace
}  // namespace alertstream::journal
