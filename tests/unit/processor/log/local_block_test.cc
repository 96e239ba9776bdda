#include "processor/log/local/block.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::log {
namespace {

using ::testing::HasSubstr;

constexpr BlockKey kKey{.where = {.topic = Topic::kDecisions, .partition = 3}, .first = 1000};

std::string SealedBlock() {
  const std::vector<Header> headers = {{.name = "a", .value = ""}, {.name = "", .value = "b"}};
  BlockBuilder builder;
  builder.Add({.topic = Topic::kDecisions, .partition = 3, .key = "k1", .value = "v1"});
  builder.Add({.topic = Topic::kDecisions,
               .partition = 3,
               .key = "",
               .value = std::string_view("v\0", 2),
               .headers = headers});
  const std::string long_value(300, 'x');
  builder.Add({.topic = Topic::kDecisions, .partition = 3, .key = "k3", .value = long_value});
  builder.Seal(kKey, FromMicros(77));
  return builder.Take();
}

TEST(LocalBlockTest, KeysSortByTopicPartitionAndOffset) {
  std::string last;
  for (const auto topic : {Topic::kSiteEvents, Topic::kOwnership}) {
    for (const std::int32_t partition : {0, 1, 255, 256, 1023}) {
      for (const std::int64_t first :
           {std::int64_t{0}, std::int64_t{255}, std::int64_t{256}, std::int64_t{1} << 40}) {
        const auto key =
            EncodeBlockKey({.where = {.topic = topic, .partition = partition}, .first = first});
        EXPECT_GT(key, last);
        last = key;
        const auto decoded = DecodeBlockKey(key);
        ASSERT_TRUE(decoded.has_value());
        EXPECT_EQ(decoded->where, (TopicPartition{.topic = topic, .partition = partition}));
        EXPECT_EQ(decoded->first, first);
      }
    }
  }
}

// Stored: these bytes may never change.
TEST(LocalBlockTest, KeyBytesArePinned) {
  EXPECT_EQ(EncodeBlockKey(kKey), std::string("r\x09\0\0\0\x03\0\0\0\0\0\0\x03\xe8", 14));
}

TEST(LocalBlockTest, OtherKeysAreNoBlockKeys) {
  for (const std::string& bytes :
       {std::string("c"), std::string("m"), std::string("xid"), std::string(14, 'r'),
        std::string("r\0", 2) + std::string(12, '\0'), EncodeBlockKey(kKey) + "x"}) {
    EXPECT_FALSE(DecodeBlockKey(bytes).has_value());
  }
}

TEST(LocalBlockTest, APackedBlockIsShorterAndUnpacksToTheSameRecords) {
  const std::string sealed = SealedBlock();
  const std::string packed = PackBlock(kKey, sealed);
  EXPECT_LT(packed.size(), sealed.size() / 2);
  EXPECT_EQ(packed[8], 2);
  const auto head = CheckBlock(kKey, packed);
  ASSERT_TRUE(head.ok()) << head.error().message();
  EXPECT_EQ(head.value().records, 3u);
  const auto unpacked = UnpackBlock(kKey, packed);
  ASSERT_TRUE(unpacked.ok()) << unpacked.error().message();
  // All but the checksum, which is that of the packed form.
  EXPECT_EQ(unpacked.value().substr(8), sealed.substr(8));
}

TEST(LocalBlockTest, WhatDoesNotGetShorterIsStoredAsItIs) {
  BlockBuilder builder;
  builder.Add({.topic = Topic::kDecisions, .partition = 3, .key = "k", .value = "v"});
  builder.Seal(kKey, FromMicros(77));
  EXPECT_EQ(PackBlock(kKey, builder.bytes()), builder.bytes());
  EXPECT_EQ(UnpackBlock(kKey, builder.bytes()).value(), builder.bytes());
}

TEST(LocalBlockTest, EveryChangedOrMissingByteOfAPackedBlockIsFound) {
  const std::string packed = PackBlock(kKey, SealedBlock());
  for (std::size_t i = 0; i < packed.size(); ++i) {
    std::string damaged = packed;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_FALSE(CheckBlock(kKey, damaged).ok()) << "byte " << i;
    EXPECT_FALSE(CheckBlock(kKey, packed.substr(0, i)).ok()) << "length " << i;
  }
}

TEST(LocalBlockTest, RecordsComeBackAsTheyWere) {
  const auto stored = UnpackBlock(kKey, PackBlock(kKey, SealedBlock()));
  ASSERT_TRUE(stored.ok());
  const auto bytes = std::make_shared<const std::string>(stored.value());
  const auto head = CheckBlock(kKey, PackBlock(kKey, SealedBlock()));
  ASSERT_TRUE(head.ok()) << head.error().message();
  EXPECT_EQ(head.value().records, 3u);
  EXPECT_EQ(head.value().append_time, FromMicros(77));
  BlockCursor cursor(kKey, head.value(), bytes);
  std::vector<RecordView> records;
  while (!cursor.Done()) {
    const auto size = cursor.PeekBytes();
    ASSERT_TRUE(size.ok()) << size.error().message();
    records.push_back(cursor.Take());
    EXPECT_EQ(size.value(), records.back().key.size() + records.back().value.size());
  }
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].key, "k1");
  EXPECT_EQ(records[0].value, "v1");
  EXPECT_TRUE(records[0].headers.empty());
  EXPECT_EQ(records[1].key, "");
  EXPECT_EQ(records[1].value, std::string_view("v\0", 2));
  ASSERT_EQ(records[1].headers.size(), 2u);
  EXPECT_EQ(records[1].headers[0].name, "a");
  EXPECT_EQ(records[1].headers[0].value, "");
  EXPECT_EQ(records[1].headers[1].name, "");
  EXPECT_EQ(records[1].headers[1].value, "b");
  EXPECT_EQ(records[2].value.size(), 300u);
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].offset, 1000 + static_cast<std::int64_t>(i));
    EXPECT_EQ(records[i].append_time, FromMicros(77));
  }
}

TEST(LocalBlockTest, EveryChangedByteIsNoticed) {
  const auto good = SealedBlock();
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    const auto head = CheckBlock(kKey, bad);
    ASSERT_FALSE(head.ok()) << "byte " << i;
    EXPECT_EQ(head.error().code(), ErrorCode::kCorrupt);
    EXPECT_THAT(head.error().message(), HasSubstr("decisions partition 3"));
    EXPECT_THAT(head.error().message(), HasSubstr("offset 1000"));
  }
  for (std::size_t size = 0; size < good.size(); size += 7) {
    EXPECT_FALSE(CheckBlock(kKey, std::string_view(good).substr(0, size)).ok());
  }
}

TEST(LocalBlockTest, ABlockAtAnotherPlaceIsDamaged) {
  const auto good = SealedBlock();
  for (const BlockKey& key :
       {BlockKey{.where = kKey.where, .first = 1001},
        BlockKey{.where = {.topic = Topic::kDecisions, .partition = 2}, .first = 1000},
        BlockKey{.where = {.topic = Topic::kFacts, .partition = 3}, .first = 1000}}) {
    const auto head = CheckBlock(key, good);
    ASSERT_FALSE(head.ok());
    EXPECT_THAT(head.error().message(), HasSubstr("checksum mismatch"));
  }
}

}  // namespace
}  // namespace alertstream::log
