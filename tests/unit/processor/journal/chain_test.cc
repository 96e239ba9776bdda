#include "processor/journal/chain.h"

#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::journal {
namespace {

std::string EncodeStamp(const Stamp& stamp) {
  std::string bytes;
  AppendStamp(stamp, &bytes);
  return bytes;
}

using ::testing::HasSubstr;

const std::string kLogId(16, 'l');
const std::string kNonce(16, 'n');
constexpr std::uint32_t kPartition = 3;

// Where the journal stands after seq 5 of epoch 2.
Tail TailAtFive() {
  return {.seq = 5,
          .hash = Sha256::Of("five"),
          .offset = 40,
          .now = FromMicros(1000),
          .owner_epoch = 2,
          .owner_nonce = kNonce,
          .engine_version = 1};
}

v1::JournalRecord Six() {
  const Tail tail = TailAtFive();
  v1::JournalRecord record;
  record.set_version(kJournalVersion);
  record.set_generation(kGeneration);
  record.set_log_id(kLogId);
  record.set_partition(kPartition);
  record.set_seq(6);
  record.set_owner_epoch(2);
  record.set_owner_nonce(kNonce);
  record.set_kind(v1::JOURNAL_KIND_BATCH);
  record.set_now_us(1000);
  record.set_engine_version(1);
  record.set_prev_hash(std::string(AsView(tail.hash)));
  return record;
}

Result<Tail> ContinueWith(const v1::JournalRecord& record) {
  return Continue(TailAtFive(), record, EncodeJournal(record), 44, kLogId, kPartition);
}

TEST(Continue, TheNextRecordBecomesTheTail) {
  v1::JournalRecord record = Six();
  record.set_now_us(1007);
  const auto tail = ContinueWith(record);
  ASSERT_TRUE(tail.ok()) << tail.error().message();
  const Tail expected{.seq = 6,
                      .hash = Sha256::Of(EncodeJournal(record)),
                      .offset = 44,
                      .now = FromMicros(1007),
                      .owner_epoch = 2,
                      .owner_nonce = kNonce,
                      .engine_version = 1};
  EXPECT_EQ(tail.value(), expected);
}

TEST(Continue, AClaimRaisesTheEpochByOneAndBringsItsNonce) {
  v1::JournalRecord record = Six();
  record.set_kind(v1::JOURNAL_KIND_CLAIM);
  record.set_owner_epoch(3);
  record.set_owner_nonce(std::string(16, 'm'));
  const auto tail = ContinueWith(record);
  ASSERT_TRUE(tail.ok()) << tail.error().message();
  EXPECT_EQ(tail.value().owner_epoch, 3U);
  EXPECT_EQ(tail.value().owner_nonce, std::string(16, 'm'));
}

TEST(Continue, TheFirstRecordHasAHashOfZeros) {
  v1::JournalRecord record = Six();
  record.set_kind(v1::JOURNAL_KIND_CLAIM);
  record.set_seq(1);
  record.set_owner_epoch(1);
  record.set_prev_hash(std::string(32, '\0'));
  EXPECT_TRUE(Continue(Tail{}, record, EncodeJournal(record), 1, kLogId, kPartition).ok());
}

struct Case {
  std::string name;
  std::function<void(v1::JournalRecord*)> change;
  ErrorCode code;
  std::string message;
};

TEST(Continue, AnythingElseIsRefused) {
  const auto claim = [](std::uint64_t epoch) {
    return [epoch](v1::JournalRecord* r) {
      r->set_kind(v1::JOURNAL_KIND_CLAIM);
      r->set_owner_epoch(epoch);
    };
  };
  const std::vector<Case> cases = {
      {"a later version", [](auto* r) { r->set_version(2); }, ErrorCode::kCorrupt,
       "version 2 generation 1 is not known"},
      {"a later generation", [](auto* r) { r->set_generation(2); }, ErrorCode::kCorrupt,
       "generation 2"},
      {"another log", [](auto* r) { r->set_log_id("x"); }, ErrorCode::kCorrupt,
       "another log or partition"},
      {"another partition", [](auto* r) { r->set_partition(4); }, ErrorCode::kCorrupt,
       "another log or partition"},
      {"a lower epoch", [](auto* r) { r->set_owner_epoch(1); }, ErrorCode::kConflict, "superseded"},
      {"a seq that was passed", [](auto* r) { r->set_seq(5); }, ErrorCode::kConflict,
       "already passed"},
      {"a seq too far", [](auto* r) { r->set_seq(7); }, ErrorCode::kCorrupt,
       "seq 7 follows 5: records are missing"},
      {"another prev_hash", [](auto* r) { r->set_prev_hash(std::string(32, 'h')); },
       ErrorCode::kCorrupt, "prev_hash of seq 6"},
      {"no prev_hash", [](auto* r) { r->clear_prev_hash(); }, ErrorCode::kCorrupt,
       "prev_hash of seq 6"},
      {"time going back", [](auto* r) { r->set_now_us(999); }, ErrorCode::kCorrupt,
       "time goes back at seq 6"},
      {"a batch of a higher epoch", [](auto* r) { r->set_owner_epoch(3); }, ErrorCode::kCorrupt,
       "two owners wrote"},
      {"a batch with another nonce", [](auto* r) { r->set_owner_nonce("m"); }, ErrorCode::kCorrupt,
       "two owners wrote"},
      {"a claim of the same epoch", claim(2), ErrorCode::kCorrupt, "two owners wrote"},
      {"a claim two epochs up", claim(4), ErrorCode::kCorrupt,
       "owner epoch 4 at seq 6, expected 3"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    v1::JournalRecord record = Six();
    c.change(&record);
    const auto tail = ContinueWith(record);
    ASSERT_FALSE(tail.ok());
    EXPECT_EQ(tail.error().code(), c.code);
    EXPECT_THAT(tail.error().message(), HasSubstr(c.message));
    if (c.code == ErrorCode::kCorrupt) {
      EXPECT_THAT(tail.error().message(), HasSubstr("journal of partition 3 at offset 44"));
    }
  }
}

TEST(Stamp, GoesThroughItsBytes) {
  const Stamp stamp{.partition = 1, .seq = 0x0203040506070809, .index = 10, .owner_epoch = 11};
  const std::string bytes = EncodeStamp(stamp);
  EXPECT_EQ(ToHex(bytes), "0000000102030405060708090000000a000000000000000b");
  EXPECT_EQ(DecodeStamp(bytes), stamp);
  const Stamp largest{.partition = ~0U, .seq = ~0ULL, .index = ~0U, .owner_epoch = ~0ULL};
  EXPECT_EQ(DecodeStamp(EncodeStamp(largest)), largest);
}

TEST(Stamp, OfAnotherLengthIsNone) {
  for (const std::size_t size : {0U, 1U, 23U, 25U}) {
    EXPECT_EQ(DecodeStamp(std::string(size, '\0')), std::nullopt) << size;
  }
}

}  // namespace
}  // namespace alertstream::journal
