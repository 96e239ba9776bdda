#include "api/ingest/idempotency_follower.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "processor/log/memory/memory_log.h"
#include "processor/state/memory/memory_store.h"
#include "schemas/input_codec.h"
#include "schemas/limits.h"
#include "schemas/output.pb.h"
#include "tests/support/manual_clock.h"

namespace alertstream::api {
namespace {

using schemas::Topic;
using namespace std::chrono_literals;

constexpr LogDuration kWindow{schemas::kDedupeUs};

// A store whose contents outlive the follower that owns it.
class BorrowedStore final : public state::StateStore {
 public:
  explicit BorrowedStore(state::MemoryStore& store) : store_(store) {}
  Result<bool> Get(std::string_view key, std::string* value) override {
    return store_.Get(key, value);
  }
  Status Scan(std::string_view from, std::string_view to, const Visit& visit) override {
    return store_.Scan(from, to, visit);
  }
  Status Apply(std::span<const state::StateWrite> writes, std::string_view meta) override {
    return store_.Apply(writes, meta);
  }
  Result<std::optional<std::string>> Meta() override { return store_.Meta(); }
  std::uint64_t KeysEstimate() override { return store_.KeysEstimate(); }
  Status Clear() override { return store_.Clear(); }

 private:
  state::MemoryStore& store_;
};

class IdempotencyFollowerTest : public ::testing::Test {
 protected:
  IdempotencyFollowerTest() { EXPECT_TRUE(log_.ApplyTopics({.partitions = 2}, 1s).ok()); }

  void Start(IdempotencyFollowerOptions options = {}) {
    options.log_id = log_id_;
    options.partitions = 2;
    auto started =
        IdempotencyFollower::Start(log_, clock_, std::make_unique<BorrowedStore>(store_), options);
    ASSERT_TRUE(started.ok()) << started.error().message();
    index_ = std::move(started).value();
  }

  static v1::Envelope Event(std::string_view key, std::string_view data = "1") {
    v1::Envelope envelope;
    envelope.set_tenant("acme");
    envelope.set_routing_key("acme");
    envelope.set_type("order");
    envelope.set_schema_version(1);
    envelope.set_trust(v1::TRUST_SECRET);
    envelope.set_id(std::string(key));
    envelope.mutable_site_event()->mutable_data()->set_plain(std::string(data));
    return envelope;
  }

  log::Appended Append(const v1::Envelope& envelope) {
    const auto value = schemas::EncodeEnvelope(envelope);
    EXPECT_TRUE(value.ok());
    const log::NewRecord record{Topic::kSiteEvents, home_, "acme", value.value()};
    auto appended = log_.Append(std::span(&record, 1), 1s);
    EXPECT_TRUE(appended.ok());
    return appended.value()[0];
  }

  void DeadLetter(const v1::Envelope& envelope, const log::Appended& appended,
                  v1::DeadLetterReason reason) {
    v1::DeadLetter letter;
    letter.mutable_record()->set_topic(static_cast<std::uint32_t>(Topic::kSiteEvents));
    letter.mutable_record()->set_partition(static_cast<std::uint32_t>(home_));
    letter.mutable_record()->set_offset(appended.offset);
    letter.set_append_time_us(ToMicros(appended.append_time));
    letter.set_reason(reason);
    v1::RawRecord original;
    original.set_key("acme");
    original.set_value(schemas::EncodeEnvelope(envelope).value());
    original.SerializeToString(letter.mutable_original()->mutable_plain());
    const std::string value = letter.SerializeAsString();
    const log::NewRecord record{Topic::kDeadLetters, home_, "acme", value};
    EXPECT_TRUE(log_.Append(std::span(&record, 1), 1s).ok());
  }

  std::optional<IdempotencyEntry> Find(std::string_view key) const {
    const v1::Envelope event = Event(key);
    return index_->Find(HashOf(*IdempotencyKeyOf(event)));
  }

  // The follower's thread gets there.
  static bool Eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 2000 && !holds(); ++i) {
      SystemClock().SleepFor(5ms);
    }
    return holds();
  }

  const std::int32_t home_ = schemas::PartitionOf("acme", 2);
  std::string log_id_ = "0123456789abcdef";
  ManualClock clock_;
  log::MemoryEventLog log_{log::MemoryLogOptions{.clock = clock_}};
  state::MemoryStore store_;
  std::unique_ptr<IdempotencyFollower> index_;
};

TEST_F(IdempotencyFollowerTest, KnowsWhatOthersAppended) {
  const auto appended = Append(Event("o1"));
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  const auto entry = Find("o1");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->partition, home_);
  EXPECT_EQ(entry->offset, appended.offset);
  EXPECT_EQ(entry->append_time, appended.append_time);
  EXPECT_EQ(entry->body_sha256, BodyDigest("order", "1"));
  EXPECT_EQ(entry->event_id, MakeId({.append_time = appended.append_time,
                                     .tenant = "acme",
                                     .topic = static_cast<std::uint8_t>(Topic::kSiteEvents),
                                     .partition = static_cast<std::uint32_t>(home_),
                                     .offset = appended.offset}));
  EXPECT_FALSE(Find("o2").has_value());
  Append(Event("o2"));
  EXPECT_TRUE(Eventually([&] { return Find("o2").has_value(); }));
}

TEST_F(IdempotencyFollowerTest, TakesTheBodyDigestOfTheEdgeWhereThereIsOne) {
  v1::Envelope event = Event("o1");
  event.set_body_sha256(std::string(32, 'x'));
  Append(event);
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  EXPECT_EQ(AsView(Find("o1")->body_sha256), std::string(32, 'x'));
}

TEST_F(IdempotencyFollowerTest, TheFirstEventCounts) {
  const auto first = Append(Event("o1"));
  Append(Event("o1", "2"));
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  EXPECT_EQ(Find("o1")->offset, first.offset);
  IdempotencyEntry other = *Find("o1");
  other.offset = 99;
  const v1::Envelope event = Event("o1");
  index_->Insert(HashOf(*IdempotencyKeyOf(event)), other);
  EXPECT_EQ(Find("o1")->offset, first.offset);
}

TEST_F(IdempotencyFollowerTest, WhatIsInsertedIsFoundAtOnce) {
  Start();
  const v1::Envelope event = Event("o1");
  index_->Insert(HashOf(*IdempotencyKeyOf(event)),
                 {.partition = home_, .offset = 7, .append_time = clock_.Now()});
  ASSERT_TRUE(Find("o1").has_value());
  EXPECT_EQ(Find("o1")->offset, 7);
  index_->Insert(HashOf(*IdempotencyKeyOf(event)),
                 {.partition = home_, .offset = 8, .append_time = clock_.Now()});
  EXPECT_EQ(Find("o1")->offset, 7);
  // The log's word replaces it.
  Append(Event("o1"));
  EXPECT_TRUE(Eventually([&] { return Find("o1")->offset == 0; }));
}

TEST_F(IdempotencyFollowerTest, AKeyWhoseEventWasRefusedIsFreeAgain) {
  const auto first = Append(Event("o1"));
  Append(Event("o2"));
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  const IdempotencyEntry entry = *Find("o1");
  DeadLetter(Event("o1"), first, v1::DEAD_LETTER_REASON_SITE_NOT_ACTIVE);
  ASSERT_TRUE(Eventually([&] { return !Find("o1").has_value(); }));
  EXPECT_TRUE(Find("o2").has_value());
  // Whoever appended it may be late to say so.
  index_->Insert(HashOf(*IdempotencyKeyOf(Event("o1"))), entry);
  EXPECT_FALSE(Find("o1").has_value());
  const auto again = Append(Event("o1", "2"));
  ASSERT_TRUE(Eventually([&] { return Find("o1").has_value(); }));
  EXPECT_EQ(Find("o1")->offset, again.offset);
  index_.reset();
  EXPECT_EQ(store_.entries().size(), 4U);
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  EXPECT_EQ(Find("o1")->offset, again.offset);
}

TEST_F(IdempotencyFollowerTest, AFreshIndexTakesEventsAndTheirDeadLettersTogether) {
  const auto first = Append(Event("o1"));
  DeadLetter(Event("o1"), first, v1::DEAD_LETTER_REASON_UNKNOWN_TENANT);
  Append(Event("o2"));
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  EXPECT_FALSE(Find("o1").has_value());
  EXPECT_TRUE(Find("o2").has_value());
}

TEST_F(IdempotencyFollowerTest, ADeadLetterWaitsForItsEvent) {
  Append(Event("o1"));
  DeadLetter(Event("o2"), {.offset = 1, .append_time = clock_.Now()},
             v1::DEAD_LETTER_REASON_UNKNOWN_SITE);
  Start();
  ASSERT_TRUE(Eventually([&] { return Find("o1").has_value(); }));
  index_.reset();  // It is read again by the next one.
  Append(Event("o2"));
  Append(Event("o3"));
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready() && Find("o3").has_value(); }));
  EXPECT_TRUE(Eventually([&] { return !Find("o2").has_value(); }));
}

TEST_F(IdempotencyFollowerTest, AConflictFreesNothing) {
  const auto first = Append(Event("o1"));
  const auto second = Append(Event("o1", "2"));
  DeadLetter(Event("o1", "2"), second, v1::DEAD_LETTER_REASON_IDEMPOTENCY_CONFLICT);
  // Another event's letter does not free the key of the first.
  DeadLetter(Event("o1", "2"), second, v1::DEAD_LETTER_REASON_SITE_NOT_ACTIVE);
  DeadLetter(Event("o1"), first, v1::DEAD_LETTER_REASON_IDEMPOTENCY_CONFLICT);
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  ASSERT_TRUE(Find("o1").has_value());
  EXPECT_EQ(Find("o1")->offset, first.offset);
}

TEST_F(IdempotencyFollowerTest, GoesOnWhereItLeftOff) {
  Append(Event("o1"));
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  index_.reset();
  // The first record is gone: whoever reads it again has a problem.
  log_.Corrupt({Topic::kSiteEvents, home_}, 0);
  Append(Event("o2"));
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  EXPECT_EQ(index_->Problem(), "");
  EXPECT_TRUE(Find("o1").has_value());
  EXPECT_TRUE(Find("o2").has_value());
}

TEST_F(IdempotencyFollowerTest, AStoreOfAnotherLogIsCleared) {
  Append(Event("o1"));
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  index_.reset();
  log_id_ = "another log's id";
  log_.Corrupt({Topic::kSiteEvents, home_}, 0);
  Start();
  EXPECT_TRUE(Eventually([&] { return !index_->Problem().empty(); }));
  EXPECT_FALSE(index_->Ready());
  EXPECT_FALSE(Find("o1").has_value());
}

TEST_F(IdempotencyFollowerTest, AKeyIsKeptForSevenDays) {
  Append(Event("o1"));
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  clock_.Advance(kWindow - 1us);
  EXPECT_TRUE(Find("o1").has_value());
  clock_.Advance(1us);
  EXPECT_FALSE(Find("o1").has_value());
  const auto again = Append(Event("o1", "2"));
  ASSERT_TRUE(Eventually([&] { return Find("o1").has_value(); }));
  EXPECT_EQ(Find("o1")->offset, again.offset);
  // The sweep takes the old row only.
  clock_.Advance(2min);
  index_.reset();
  Start();
  ASSERT_TRUE(Eventually([&] { return Find("o1").has_value(); }));
  index_.reset();
  EXPECT_LE(store_.entries().size(), 3U);
}

TEST_F(IdempotencyFollowerTest, TheSweepEmptiesWhatHasExpired) {
  for (int i = 0; i < 5; ++i) {
    Append(Event("o" + std::to_string(i)));
  }
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  index_.reset();
  EXPECT_EQ(store_.entries().size(), 10U);
  clock_.Advance(kWindow + 1us);
  Start();
  Append(Event("fresh"));
  ASSERT_TRUE(Eventually([&] { return Find("fresh").has_value(); }));
  index_.reset();
  EXPECT_EQ(store_.entries().size(), 2U);
}

TEST_F(IdempotencyFollowerTest, AFullIndexForgetsTheOldest) {
  for (int i = 0; i < 5; ++i) {
    Append(Event("o" + std::to_string(i)));
  }
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  index_.reset();
  clock_.Advance(1s);
  Start({.entries_max = 2});
  Append(Event("fresh"));
  ASSERT_TRUE(Eventually([&] { return Find("fresh").has_value(); }));
  index_.reset();
  EXPECT_LE(store_.entries().size(), 4U);
}

TEST_F(IdempotencyFollowerTest, RecordsOfTheWrongPartitionAndMalformedOnesArePassed) {
  const auto value = schemas::EncodeEnvelope(Event("o1"));
  const log::NewRecord wrong{Topic::kSiteEvents, 1 - home_, "acme", value.value()};
  ASSERT_TRUE(log_.Append(std::span(&wrong, 1), 1s).ok());
  const log::NewRecord malformed{Topic::kSiteEvents, home_, "acme", "{"};
  ASSERT_TRUE(log_.Append(std::span(&malformed, 1), 1s).ok());
  Start();
  ASSERT_TRUE(Eventually([&] { return index_->Ready(); }));
  EXPECT_FALSE(Find("o1").has_value());
  EXPECT_EQ(index_->Problem(), "");
}

}  // namespace
}  // namespace alertstream::api
