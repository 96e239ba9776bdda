// `audit verify` over logs in memory: what was changed is shown on both sides, ranges, tenants,
// runs that are stopped at any write and gone on with.
#include "ops/cli/commands/audit.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <sstream>

#include "ops/cli/commands/audit_report.h"
#include "processor/journal/chain.h"
#include "processor/state/memory/memory_store.h"
#include "tests/support/log_dump.h"
#include "tests/support/runtime_story.h"
#include "tests/unit/ops/cli/scratch_directory.h"

namespace alertstream::cli {
namespace {

using log::DumpedRecord;
using log::LogDump;
using schemas::Topic;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::string_view kPhone = "712345678";

TEST(ParseAuditOptions, TakesListsTimesAndPlaces) {
  const auto plain = ParseAuditOptions({});
  ASSERT_TRUE(plain.ok());
  EXPECT_TRUE(plain.value().partitions.empty());
  EXPECT_FALSE(plain.value().range.BeginsLater());

  const auto listed = ParseAuditOptions({.partitions = {"3,1", "2", "1"}});
  ASSERT_TRUE(listed.ok());
  EXPECT_EQ(listed.value().partitions, (std::vector<std::int32_t>{1, 2, 3}));

  const auto times =
      ParseAuditOptions({.from = "2026-01-01T00:00:00Z", .to = "2026-01-31T00:00:00Z"});
  ASSERT_TRUE(times.ok());
  EXPECT_LT(*times.value().range.from, *times.value().range.to);

  const auto places = ParseAuditOptions({.from = "journal/3/10", .to = "journal/3/20"});
  ASSERT_TRUE(places.ok());
  EXPECT_EQ(places.value().partitions, (std::vector<std::int32_t>{3}));
  EXPECT_EQ(places.value().range.from_offset, 10);
  EXPECT_EQ(places.value().range.to_offset, 20);
}

TEST(ParseAuditOptions, RefusesWhatNamesNoRange) {
  const std::vector<std::pair<AuditWords, std::string>> cases = {
      {{.partitions = {"x"}}, "'x' is no number"},
      {{.partitions = {"1,"}}, "'' is no number"},
      {{.partitions = {"-1"}}, "'-1' is no number"},
      {{.from = "yesterday"}, "--from: expected a time"},
      {{.to = "decisions/1/5"}, "--to: expected a time"},
      {{.from = "journal/1/5", .to = "journal/2/9"}, "two partitions"},
      {{.partitions = {"0"}, .from = "journal/1/5"}, "a place in partition 1"},
      {{.from = "journal/1/5", .to = "journal/1/4"}, "--to lies before --from"},
      {{.from = "2026-01-02T00:00:00Z", .to = "2026-01-01T00:00:00Z"}, "--to lies before --from"}};
  for (const auto& [words, what] : cases) {
    SCOPED_TRACE(what);
    const auto options = ParseAuditOptions(words);
    ASSERT_FALSE(options.ok());
    EXPECT_EQ(options.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(options.error().message(), HasSubstr(what));
  }
}

const AuditIdentity kOurs{.log_id = "0a", .engine = "version 5", .asked = "partitions 0"};

std::map<std::int32_t, AuditNote> SomeNotes() {
  const AuditPlace place{.seq = 7, .offset = 12, .now = FromMicros(1234)};
  const AuditCheckpoint full{.reached = place,
                             .journal_hash = "aa",
                             .state_root = "bb",
                             .counts = {.batches = 3, .records = 5, .decisions = 4},
                             .first = AuditPlace{.seq = 5, .offset = 9, .now = FromMicros(1000)},
                             .last = place,
                             .outputs = runtime::AuditOutputs::Positions{1, 2, 3, 4}};
  const AuditCheckpoint bare{.reached = place, .journal_hash = "aa", .state_root = "cc"};
  return {{0, {.done = true, .began_seq = 4, .checkpoints = {full}}},
          {3, {.checkpoints = {bare, full}}}};
}

TEST(AuditFile, IsReadAsItWasWritten) {
  const auto notes = DecodeAuditFile(EncodeAuditFile(kOurs, SomeNotes()), kOurs);
  ASSERT_TRUE(notes.ok()) << notes.error().message();
  EXPECT_EQ(notes.value(), SomeNotes());
}

TEST(AuditFile, IsRefusedIfAnyByteOfItIsAnotherOrGone) {
  const std::string whole = EncodeAuditFile(kOurs, SomeNotes());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    for (const std::string& bytes : {changed, whole.substr(0, i)}) {
      const auto notes = DecodeAuditFile(bytes, kOurs);
      ASSERT_FALSE(notes.ok()) << i;
      EXPECT_EQ(notes.error().code(), ErrorCode::kInvalid);
      EXPECT_THAT(notes.error().message(), HasSubstr("not whole"));
    }
  }
}

TEST(AuditFile, IsRefusedIfItIsOfAnotherAudit) {
  const std::string bytes = EncodeAuditFile(kOurs, SomeNotes());
  AuditIdentity log = kOurs;
  log.log_id = "0b";
  AuditIdentity engine = kOurs;
  engine.engine = "version 6";
  AuditIdentity asked = kOurs;
  asked.asked = "partitions 1";
  for (const auto& [identity, what] :
       {std::pair(log, "another log: 0a, not 0b"),
        std::pair(engine, "another engine: version 5, not version 6"),
        std::pair(asked, "another audit: partitions 0, not partitions 1")}) {
    const auto notes = DecodeAuditFile(bytes, identity);
    ASSERT_FALSE(notes.ok());
    EXPECT_EQ(notes.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(notes.error().message(), HasSubstr(what));
  }
}

// Scratch states that outlive a run, as directories do; a run can be stopped at any write.
class Scratch {
 public:
  AuditStates States() {
    return {.open = [this](std::int32_t partition) { return Open(partition); },
            .clear =
                [this](std::int32_t partition) {
                  const std::lock_guard lock(mutex_);
                  stores.erase(partition);
                  return Status::Ok();
                },
            .snapshots = snapshots};
  }

  std::map<std::int32_t, state::MemoryStore> stores;
  state::SnapshotStore* snapshots = nullptr;
  int writes_left = 1'000'000;       // Until every one fails.
  std::atomic<bool> stopped{false};  // By the user, with the last write.

 private:
  class Lasting final : public state::StateStore {
   public:
    Lasting(Scratch& scratch, state::MemoryStore& of) : scratch_(scratch), of_(of) {}
    Result<bool> Get(std::string_view key, std::string* value) override {
      return of_.Get(key, value);
    }
    Status Scan(std::string_view from, std::string_view to, const Visit& visit) override {
      return of_.Scan(from, to, visit);
    }
    Status Apply(std::span<const state::StateWrite> writes, std::string_view meta) override {
      if (scratch_.writes_left-- <= 0) {
        return Error(ErrorCode::kUnavailable, "killed");
      }
      scratch_.stopped = scratch_.stopped || scratch_.writes_left == 0;
      return of_.Apply(writes, meta);
    }
    std::uint64_t KeysEstimate() override { return of_.KeysEstimate(); }
    Result<std::optional<std::string>> Meta() override { return of_.Meta(); }
    Status Clear() override { return of_.Clear(); }

   private:
    Scratch& scratch_;
    state::MemoryStore& of_;
  };

  Result<std::unique_ptr<state::StateStore>> Open(std::int32_t partition) {
    const std::lock_guard lock(mutex_);
    return std::unique_ptr<state::StateStore>(std::make_unique<Lasting>(*this, stores[partition]));
  }
  std::mutex mutex_;
};

// Snapshots of one partition, restored into a Scratch.
class Snapshots final : public state::SnapshotStore {
 public:
  explicit Snapshots(Scratch& scratch) : scratch_(scratch) {}
  void Keep(const state::MemoryStore& store) {
    v1::StoreMeta meta;
    state::MemoryStore copy = store;
    ASSERT_TRUE(meta.ParseFromString(*copy.Meta().value()));
    kept.insert(kept.begin(), {{.seq = meta.seq(),
                                .journal_hash = meta.journal_hash(),
                                .root = *state::StateRoot::FromBytes(meta.state_root())},
                               copy});
  }
  Status Save(const state::Snapshot&, state::StateStore&) override { return Status::Ok(); }
  Result<std::vector<state::Snapshot>> List(std::int32_t) override {
    std::vector<state::Snapshot> list;
    for (const auto& [snapshot, store] : kept) {
      list.push_back(snapshot);
    }
    return list;
  }
  Status Restore(const state::Snapshot& snapshot) override {
    for (const auto& [each, store] : kept) {
      if (each == snapshot) {
        scratch_.stores.insert_or_assign(0, store);
      }
    }
    return Status::Ok();
  }
  Status PutAside(std::int32_t) override { return Status::Ok(); }
  Status Discard(std::int32_t) override { return Status::Ok(); }
  Status Trim(std::int32_t, std::size_t) override { return Status::Ok(); }

  std::vector<std::pair<state::Snapshot, state::MemoryStore>> kept;

 private:
  Scratch& scratch_;
};

// Two shops that take turns on one partition: a batch for each order.
class AuditTest : public ::testing::Test {
 protected:
  static constexpr int kOrders = 6;

  AuditTest() {
    story_.writer.Shop("acme");
    story_.writer.Shop("globex");
    auto owner = story_.Start();
    EXPECT_TRUE(owner->RunUntilQuiet().ok());
    for (int i = 0; i < kOrders; ++i) {
      story_.clock.Advance(1min);
      story_.writer.Order(i % 2 == 0 ? "acme" : "globex", "o" + std::to_string(i));
      EXPECT_TRUE(owner->RunUntilQuiet().ok());
      EXPECT_TRUE(owner->state().Flush().ok());
      states_.push_back(story_.store);
    }
    history_ = log::ReadDump(story_.log, 5s).value();
    journal_ = story_.Read().journal;
  }

  // The record number `n` (from 0) of the topic after its marker.
  static DumpedRecord* Nth(LogDump* dump, Topic topic, int n) {
    for (DumpedRecord& record : dump->records) {
      if (record.where.topic == topic && record.offset > 0 && n-- == 0) {
        return &record;
      }
    }
    return nullptr;
  }
  // Number `n` of the decisions, changed as only a protobuf can be.
  static void ChangeDecision(LogDump* dump, int n, const std::string& event_type) {
    DumpedRecord* stored = Nth(dump, Topic::kDecisions, n);
    v1::DecisionRecord decision;
    ASSERT_TRUE(decision.ParseFromString(stored->value));
    decision.set_event_type(event_type);
    stored->value = decision.SerializeAsString();
  }
  // The journal record `seq`, changed, and those after it chained anew: a forger's work.
  static void Forge(LogDump* dump, std::uint64_t seq,
                    const std::function<void(v1::JournalRecord*)>& change) {
    std::string hash;
    for (DumpedRecord& stored : dump->records) {
      v1::JournalRecord record;
      if (stored.where.topic != Topic::kJournal || stored.offset == 0 ||
          !record.ParseFromString(stored.value) || record.seq() < seq) {
        continue;
      }
      if (record.seq() == seq) {
        change(&record);
      } else {
        record.set_prev_hash(hash);
      }
      stored.value = journal::EncodeJournal(record);
      const Digest digest = Sha256::Of(stored.value);
      hash = std::string(AsView(digest));
    }
  }

  Result<ExitCode> Verify(const LogDump& dump, const AuditOptions& options = {},
                          OutputFormat format = OutputFormat::kJson) {
    ManualClock clock;
    const auto log = log::LoadDump(dump, clock);
    out_.str("");
    err_.str("");
    const HmacKey key = runtime::StoryKey();
    const Session session{.log = *log,
                          .identity = story_.writer.identity(),
                          .token_key = key,
                          .clock = SystemClock(),
                          .io = {.out = out_, .err = err_, .render = {.format = format}},
                          .interrupted = &scratch_.stopped};
    return AuditVerify(session, options, scratch_.States());
  }
  // The exit code; the answer is in out_ and err_.
  ExitCode Exit(const LogDump& dump, const AuditOptions& options = {},
                OutputFormat format = OutputFormat::kJson) {
    const auto exit = Verify(dump, options, format);
    EXPECT_TRUE(exit.ok()) << (exit.ok() ? "" : exit.error().message());
    EXPECT_THAT(out_.str() + err_.str(), Not(HasSubstr(std::string(kPhone))));
    return exit.ok() ? exit.value() : ExitCode::kFailed;
  }
  std::string Totals() const { return out_.str().substr(0, out_.str().find(",\"elapsed_s\"")); }
  // Of the batch that decided the order number `n`.
  const v1::JournalRecord& BatchOf(int n) const {
    return journal_[journal_.size() - kOrders + static_cast<std::size_t>(n)];
  }

  runtime::Story story_;
  LogDump history_;
  std::vector<v1::JournalRecord> journal_;
  std::vector<state::MemoryStore> states_;  // After each order.
  Scratch scratch_;
  const ScratchDirectory directory_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(AuditTest, AnHonestHistoryIsNamedWithItsRange) {
  EXPECT_EQ(Exit(history_), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\"decisions\":6,\"mismatches\":0"));
  EXPECT_THAT(out_.str(), HasSubstr("\"began_from\":\"zero\",\"began_seq\":0,\"first_seq\":1"));
  EXPECT_THAT(out_.str(), HasSubstr("\"complete\":true"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("details")));
  EXPECT_EQ(Exit(history_, {}, OutputFormat::kText), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("partition 0    seq 1 to "));
  EXPECT_THAT(out_.str(), HasSubstr("folded from zero"));
}

TEST_F(AuditTest, AChangedOutputIsShownBesideTheOneThatTheJournalNames) {
  ChangeDecision(&history_, 3, "refund");
  EXPECT_EQ(Exit(history_), ExitCode::kMismatch);
  EXPECT_THAT(out_.str(), HasSubstr("\"kind\":\"history_changed\""));
  EXPECT_THAT(out_.str(), HasSubstr("\"topic\":\"decisions\""));
  const auto expected = out_.str().find("\"event_type\":\"order\"");
  const auto found = out_.str().find("\"event_type\":\"refund\"");
  ASSERT_NE(expected, std::string::npos);
  ASSERT_NE(found, std::string::npos);
  EXPECT_LT(out_.str().find("\"expected\""), expected);
  EXPECT_LT(expected, out_.str().find("\"found\""));
  EXPECT_LT(out_.str().find("\"found\""), found);
  EXPECT_THAT(err_.str(), HasSubstr("MISMATCH at journal@0:"));
  EXPECT_THAT(err_.str(), HasSubstr("as the journal names it and as it is stored"));
  EXPECT_THAT(err_.str(), HasSubstr("event_type  \"order\"   \"refund\"\n"));
}

TEST_F(AuditTest, WhatDiffersOnlyInPersonalDataIsSaidAndNotShown) {
  DumpedRecord* stored = Nth(&history_, Topic::kNotificationCommands, 1);
  const auto at = stored->value.find(kPhone);
  ASSERT_NE(at, std::string::npos);
  // A digit that is masked.
  stored->value.replace(at + 3, 1, "9");
  EXPECT_EQ(Exit(history_), ExitCode::kMismatch);
  EXPECT_THAT(err_.str(), HasSubstr("what differs is not shown: personal data"));
}

TEST_F(AuditTest, WhatIsMissingOrTooManyIsShownOnOneSide) {
  LogDump missing = history_;
  missing.Remove({Topic::kDecisions, 0}, Nth(&missing, Topic::kDecisions, 2)->offset);
  EXPECT_EQ(Exit(missing), ExitCode::kMismatch);
  EXPECT_THAT(out_.str(), HasSubstr("record 0 of the batch is missing"));
  EXPECT_THAT(out_.str(), HasSubstr("\"found\":null"));

  LogDump last = history_;
  last.Remove({Topic::kDecisions, 0}, Nth(&last, Topic::kDecisions, kOrders - 1)->offset);
  EXPECT_EQ(Exit(last), ExitCode::kMismatch);
  EXPECT_THAT(out_.str(), HasSubstr("is missing"));

  LogDump stray = history_;
  Nth(&stray, Topic::kDecisions, 2)->headers.clear();
  EXPECT_EQ(Exit(stray), ExitCode::kMismatch);
}

TEST_F(AuditTest, AChangedInputIsHistoryThatChanged) {
  DumpedRecord* stored = Nth(&history_, Topic::kSiteEvents, 2);
  const auto at = stored->value.find("\"amount\":12");
  ASSERT_NE(at, std::string::npos);
  stored->value.replace(at, 11, "\"amount\":99");
  EXPECT_EQ(Exit(history_), ExitCode::kMismatch);
  EXPECT_THAT(out_.str(), HasSubstr("\"kind\":\"history_changed\""));
  EXPECT_THAT(out_.str(), HasSubstr("\"what\":\"site-events"));
  EXPECT_THAT(err_.str(), HasSubstr("inputs[0].root"));
  EXPECT_THAT(err_.str(), HasSubstr("as recorded and as decided again"));
}

TEST_F(AuditTest, AnEngineThatDiffersIsToldFromAJournalThatWasForged) {
  const std::uint64_t seq = BatchOf(2).seq();
  // The outputs are those that the journal names: it was decided otherwise then.
  LogDump differs = history_;
  Forge(&differs, seq, [](v1::JournalRecord* r) { r->set_state_root(std::string(16, '\0')); });
  EXPECT_EQ(Exit(differs), ExitCode::kMismatch);
  EXPECT_THAT(out_.str(), HasSubstr("\"kind\":\"engine_differs\""));
  EXPECT_THAT(out_.str(), HasSubstr("\"state_root\":\"00000000000000000000000000000000\""));
  EXPECT_THAT(err_.str(), HasSubstr("the engine differs"));
  EXPECT_THAT(err_.str(), HasSubstr("  state_root  "));

  LogDump forged = history_;
  Forge(&forged, seq,
        [](v1::JournalRecord* r) { r->mutable_outputs(0)->set_root(std::string(32, '\0')); });
  EXPECT_EQ(Exit(forged), ExitCode::kMismatch);
  EXPECT_THAT(out_.str(), HasSubstr("\"kind\":\"history_changed\""));
  EXPECT_THAT(out_.str(), HasSubstr("what is stored is not what the journal names"));
}

TEST_F(AuditTest, ATenantIsToldOfItsOwnRecordsOnly) {
  EXPECT_EQ(Exit(history_, {.tenant = "acme"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\"decisions\":3,\"mismatches\":0"));
  EXPECT_THAT(out_.str(), HasSubstr("\"tenant\":\"acme\""));
  LogDump theirs = history_;
  ChangeDecision(&theirs, 3, "refund");  // globex's
  theirs.Remove({Topic::kNotificationCommands, 0},
                Nth(&theirs, Topic::kNotificationCommands, 1)->offset);
  EXPECT_EQ(Exit(theirs, {.tenant = "acme"}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\"decisions\":3,\"mismatches\":0"));
  EXPECT_EQ(err_.str(), "");
  EXPECT_EQ(Exit(theirs, {.tenant = "globex"}), ExitCode::kMismatch);
  // A record that nobody can read may be anybody's.
  LogDump unreadable = history_;
  DumpedRecord* stored = Nth(&unreadable, Topic::kDecisions, 3);
  stored->value = "\xff";
  stored->headers.clear();
  EXPECT_EQ(Exit(unreadable, {.tenant = "acme"}), ExitCode::kMismatch);
  // What cannot be decided again concerns everybody.
  LogDump broken = history_;
  Nth(&broken, Topic::kSiteEvents, 3)->value += "x";
  EXPECT_EQ(Exit(broken, {.tenant = "acme"}), ExitCode::kMismatch);
}

TEST_F(AuditTest, OnlyTheRangeIsCompared) {
  LogDump changed = history_;
  ChangeDecision(&changed, 2, "refund");
  const LogTime third = FromMicros(BatchOf(2).now_us());
  const auto at = [&](LogDuration from_third) { return third + from_third; };
  EXPECT_EQ(Exit(changed, {.range = {.from = at(1s)}}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\"decisions\":3,\"mismatches\":0"));
  EXPECT_EQ(Exit(changed, {.range = {.from = at(0s)}}), ExitCode::kMismatch);
  EXPECT_EQ(Exit(changed, {.range = {.to = at(-1s)}}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\"decisions\":2,\"mismatches\":0"));
  EXPECT_EQ(Exit(changed, {.range = {.to = at(0s)}}), ExitCode::kMismatch);
  EXPECT_EQ(Exit(changed, {.range = {.from = at(1s), .to = at(2s)}}), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\"batches\":0"));

  LogDump before = history_;
  Nth(&before, Topic::kSiteEvents, 1)->value += "x";
  EXPECT_EQ(Exit(before, {.range = {.from = at(0s)}}), ExitCode::kMismatch);
  EXPECT_THAT(out_.str(), HasSubstr("\"before_range\":true"));
  EXPECT_THAT(err_.str(), HasSubstr("before the range"));
  const auto none = Verify(history_, {.partitions = {4}});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code(), ErrorCode::kInvalid);
}

TEST_F(AuditTest, TheNewestSnapshotBeforeTheRangeThatIsWholeIsBegunFrom) {
  Snapshots snapshots(scratch_);
  scratch_.snapshots = &snapshots;
  for (const int order : {0, 1, 3}) {
    snapshots.Keep(states_[static_cast<std::size_t>(order)]);
  }
  const AuditOptions options{.range = {.from = FromMicros(BatchOf(3).now_us())}};
  EXPECT_EQ(Exit(history_, options), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\"decisions\":3,"));
  const auto began = [&](int order) {
    return fmt::format("\"began_from\":\"snapshot\",\"began_seq\":{},", BatchOf(order).seq());
  };
  EXPECT_THAT(out_.str(), HasSubstr(began(1)));
  EXPECT_TRUE(scratch_.stores.empty());
  // What lies before it is not read.
  LogDump before = history_;
  Nth(&before, Topic::kSiteEvents, 0)->value += "x";
  EXPECT_EQ(Exit(before, options), ExitCode::kOk);

  // A damaged one.
  const state::StateWrite rot{"acme", "x"};
  state::MemoryStore& damaged = snapshots.kept[1].second;
  ASSERT_TRUE(damaged.Apply(std::span(&rot, 1), *damaged.Meta().value()).ok());
  EXPECT_EQ(Exit(history_, options), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr(began(0)));
  // All of history is never begun from one.
  EXPECT_EQ(Exit(history_), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\"began_from\":\"zero\""));
  // One of another journal is whole, and proves nothing about this one.
  LogDump forged = history_;
  Forge(&forged, BatchOf(0).seq(), [](v1::JournalRecord* r) { r->set_instance("another"); });
  EXPECT_EQ(Exit(forged, options), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("\"began_from\":\"zero\""));
}

// Killed or stopped at each of its writes, the rest is done by the next run, and by it only.
TEST_F(AuditTest, ARunThatWasStoppedIsGoneOnWith) {
  ASSERT_EQ(Exit(history_), ExitCode::kOk);
  const std::string whole = Totals();
  const AuditOptions options{.resume = directory_ / "audit", .checkpoint_every = 0us};
  int runs = 0;
  for (int writes = 0; writes < 100; ++writes) {
    for (const bool killed : {true, false}) {
      SCOPED_TRACE(writes);
      scratch_.writes_left = killed ? writes : std::max(1, writes);
      scratch_.stopped = false;
      const auto stopped = Verify(history_, options);
      const bool done = stopped.ok() && stopped.value() == ExitCode::kOk;
      if (killed && !done) {
        ASSERT_TRUE(!stopped.ok() || stopped.value() == ExitCode::kInterrupted);
      }
      ASSERT_EQ(fs::exists(options.resume), !done);
      scratch_.writes_left = 1'000'000;
      scratch_.stopped = false;
      EXPECT_EQ(Exit(history_, options), ExitCode::kOk);
      EXPECT_EQ(Totals(), whole);
      EXPECT_FALSE(fs::exists(options.resume));
      EXPECT_TRUE(scratch_.stores.empty());
      if (done) {
        EXPECT_GT(runs, kOrders);
        return;
      }
      ++runs;
      if (writes > 1) {
        EXPECT_THAT(out_.str(), HasSubstr("\"resumed_seq\":"));
      }
    }
  }
  FAIL() << "it never came to its end";
}

TEST_F(AuditTest, WhatWasVerifiedIsNotReadAgainButMustStillBeThere) {
  const AuditOptions options{.resume = directory_ / "audit", .checkpoint_every = 0us};
  const auto stop_in_the_middle = [&] {
    scratch_.writes_left = static_cast<int>(journal_.size()) - 2;
    ASSERT_EQ(Verify(history_, options).value(), ExitCode::kInterrupted);
    EXPECT_THAT(err_.str(), HasSubstr("the same command goes on from there"));
    scratch_.writes_left = 1'000'000;
    scratch_.stopped = false;
  };
  stop_in_the_middle();
  LogDump earlier = history_;
  ChangeDecision(&earlier, 0, "refund");
  EXPECT_EQ(Exit(earlier, options), ExitCode::kOk);

  stop_in_the_middle();
  LogDump later = history_;
  ChangeDecision(&later, kOrders - 1, "refund");
  EXPECT_EQ(Exit(later, options), ExitCode::kMismatch);
  EXPECT_FALSE(fs::exists(options.resume));

  stop_in_the_middle();
  LogDump forged = history_;
  Forge(&forged, 2, [](v1::JournalRecord* r) { r->set_instance("another"); });
  EXPECT_EQ(Exit(forged, options), ExitCode::kMismatch);
  EXPECT_THAT(out_.str(), HasSubstr("no longer holds the record up to which an earlier run"));

  stop_in_the_middle();
  const state::StateWrite rot{"acme", "x"};
  state::MemoryStore& damaged = scratch_.stores[0];
  ASSERT_TRUE(damaged.Apply(std::span(&rot, 1), *damaged.Meta().value()).ok());
  const auto refused = Verify(history_, options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(refused.error().message(), HasSubstr("delete the file to begin anew"));
}

TEST(AuditPartitions, AreVerifiedAtOnce) {
  runtime::Story story(3);
  std::vector<std::string> shops = {"acme", "globex", "initech", "hooli", "stark"};
  for (const std::string& shop : shops) {
    story.writer.Shop(shop);
    story.writer.Order(shop, "o");
  }
  std::vector<std::unique_ptr<runtime::Instance>> owners;
  std::vector<state::MemoryStore> stores(3);
  for (std::int32_t i = 0; i < 3; ++i) {
    owners.push_back(story.Start(stores[static_cast<std::size_t>(i)], {.partition = i}));
    ASSERT_TRUE(owners.back()->RunUntilQuiet().ok());
  }
  std::ostringstream out;
  std::ostringstream err;
  const HmacKey key = runtime::StoryKey();
  const Session session{.log = story.log,
                        .identity = story.writer.identity(),
                        .token_key = key,
                        .clock = SystemClock(),
                        .io = {.out = out, .err = err, .render = {.format = OutputFormat::kJson}}};
  for (const std::size_t jobs : {1U, 3U, 9U}) {
    Scratch scratch;
    out.str("");
    const auto exit = AuditVerify(session, {.jobs = jobs}, scratch.States());
    ASSERT_TRUE(exit.ok()) << exit.error().message();
    EXPECT_EQ(exit.value(), ExitCode::kOk);
    EXPECT_THAT(out.str(), HasSubstr("\"decisions\":5,\"mismatches\":0"));
  }
  Scratch scratch;
  out.str("");
  ASSERT_TRUE(AuditVerify(session, {.partitions = {0, 2}}, scratch.States()).ok());
  EXPECT_THAT(out.str(), HasSubstr("{\"partition\":2,"));
  EXPECT_THAT(out.str(), Not(HasSubstr("{\"partition\":1,")));
}

}  // namespace
}  // namespace alertstream::cli
