#include "ops/seed/seeder.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ops/seed/demo_history.h"
#include "ops/seed/seeding_mark.h"
#include "processor/engine/state_keys.h"
#include "processor/log/local/local_log.h"
#include "processor/state/memory/memory_store.h"
#include "processor/state/rocksdb/rocksdb_store.h"
#include "tests/support/local_log_fixture.h"
#include "tests/support/runtime_story.h"

namespace alertstream::seed {
namespace {

using schemas::Topic;

constexpr std::int32_t kPartitions = 2;
constexpr std::size_t kStoreBytes = std::size_t{8} << 20U;

std::unique_ptr<log::EventLog> OpenLog(const std::string& directory, Clock& clock) {
  auto log = log::OpenLocalLog({.directory = directory + "/log", .clock = clock, .sync = false});
  EXPECT_TRUE(log.ok()) << log.error().message();
  return log.ok() ? std::move(log).value() : nullptr;
}

Result<std::unique_ptr<state::StateStore>> OpenStore(const std::string& directory) {
  return state::OpenRocksDbStore(directory + "/state", engine::IsHistoryKey,
                                 state::StoreMemory::Create(kStoreBytes));
}

SeedOptions OptionsFor(const std::string& directory, Clock& clock) {
  return {.data_dir = directory,
          .open = [directory](Clock& simulated) -> Result<FreshLog> {
            FreshLog fresh;
            fresh.log = OpenLog(directory, simulated);
            ALERTSTREAM_RETURN_IF_ERROR(
                fresh.log->ApplyTopics({.partitions = kPartitions}, runtime::kStoryTimeout));
            fresh.token_key = runtime::StoryKey();
            ALERTSTREAM_ASSIGN_OR_RETURN(
                fresh.identity,
                runtime::EnsureMarkers(*fresh.log, fresh.token_key, runtime::kStoryTimeout));
            fresh.scratch = std::make_unique<state::MemoryStore>();
            fresh.open_store = [directory](std::int32_t) { return OpenStore(directory); };
            return fresh;
          },
          .clock = clock,
          .rng_seed = 5,
          .days = 6,
          .events_min = 4000};
}

// All records of the inputs but the markers: "topic offset append time bytes".
std::vector<std::string> Inputs(log::EventLog& log, std::int32_t partition) {
  std::vector<std::string> all;
  for (const Topic topic : schemas::kInputTopics) {
    const log::ReadFrom from{{topic, partition}, 1};
    const auto reader = log.OpenReader(std::span(&from, 1));
    EXPECT_TRUE(reader.ok());
    for (;;) {
      log::Fetched fetched;
      const auto count =
          reader.value()->Fetch(0, {.records_max = 1000, .bytes_max = 1 << 20}, &fetched);
      EXPECT_TRUE(count.ok());
      if (!count.ok() || count.value() == 0) {
        break;
      }
      for (const auto& record : fetched.records) {
        all.push_back(
            std::to_string(static_cast<int>(topic)) + " " + std::to_string(record.offset) + " " +
            std::to_string(ToMicros(record.append_time)) + " " + std::string(record.value));
      }
    }
  }
  return all;
}

// One history for all cases that only look at it.
class SeederTest : public ::testing::Test {
 protected:
  struct Seeded {
    log::TemporaryDirectory directory;
    ManualClock clock;
    SeedReport report;
    std::unique_ptr<log::EventLog> log;
    runtime::LogIdentity identity;
    runtime::Outputs outputs;
  };

  static void SetUpTestSuite() {
    seeded_ = std::make_unique<Seeded>();
    Seeded& s = *seeded_;
    const auto report = SeedDemo(OptionsFor(s.directory.path(), s.clock));
    ASSERT_TRUE(report.ok()) << report.error().message();
    s.report = report.value();
    s.log = OpenLog(s.directory.path(), s.clock);
    const auto identity =
        runtime::CheckMarkers(*s.log, runtime::StoryKey(), 0, runtime::kStoryTimeout);
    ASSERT_TRUE(identity.ok());
    s.identity = identity.value();
    auto outputs = runtime::ReadOutputs(*s.log, s.identity.log_id, Home());
    ASSERT_TRUE(outputs.ok()) << outputs.error().message();
    s.outputs = std::move(outputs).value();
  }
  static void TearDownTestSuite() { seeded_.reset(); }

  static std::int32_t Home() { return schemas::PartitionOf(kTenant, kPartitions); }

  static std::unique_ptr<Seeded> seeded_;
};

std::unique_ptr<SeederTest::Seeded> SeederTest::seeded_;

TEST_F(SeederTest, EveryEventIsDecided) {
  EXPECT_GE(seeded_->report.events, 4000U);
  EXPECT_EQ(seeded_->report.days, 6);
  EXPECT_EQ(seeded_->outputs.DecisionsByEvent().size(), seeded_->report.events);
  EXPECT_EQ(seeded_->report.decisions, seeded_->outputs.decisions.size());
  EXPECT_TRUE(seeded_->outputs.dead_letters.empty())
      << seeded_->outputs.dead_letters.front().detail();
}

TEST_F(SeederTest, EveryTriggerSendsSometimesAndNotAlways) {
  std::map<std::string, std::size_t> sends;
  std::set<v1::Reason> reasons;
  std::set<v1::EventVerdict> verdicts;
  for (const auto& record : seeded_->outputs.decisions) {
    verdicts.insert(record.verdict());
    for (const auto& decision : record.decisions()) {
      sends[decision.trigger_id()] += decision.outcome() == v1::OUTCOME_SEND ? 1 : 0;
      reasons.insert(decision.reason());
    }
  }
  EXPECT_EQ(sends.size(), 6U);
  std::size_t all = 0;
  for (const auto& [trigger, count] : sends) {
    EXPECT_GT(count, 0U) << trigger;
    all += count;
  }
  EXPECT_EQ(all, seeded_->report.notifications);
  for (const auto reason : {v1::REASON_UNSPECIFIED, v1::REASON_COOLDOWN, v1::REASON_CONSENT_MISSING,
                            v1::REASON_OPTED_OUT, v1::REASON_RECIPIENT_INVALID}) {
    EXPECT_TRUE(reasons.contains(reason)) << v1::Reason_Name(reason);
  }
  EXPECT_TRUE(verdicts.contains(v1::EVENT_VERDICT_DUPLICATE));
  EXPECT_TRUE(verdicts.contains(v1::EVENT_VERDICT_NO_MATCH));
}

TEST_F(SeederTest, NobodyIsSentToBetweenStopAndStart) {
  // Who stopped when, by the log's own facts.
  std::map<std::string, std::int64_t> stopped;
  std::map<std::string, std::vector<std::pair<std::int64_t, std::int64_t>>> silent;
  for (const auto& fact : seeded_->outputs.facts) {
    if (!fact.has_opt_out() || fact.opt_out().channel() != v1::CHANNEL_SMS) {
      continue;
    }
    const std::string& person = fact.opt_out().recipient_token();
    if (fact.opt_out().status() == v1::OPT_OUT_STATUS_ACTIVE) {
      stopped[person] = fact.at_us();
    } else {
      silent[person].emplace_back(stopped[person], fact.at_us());
      stopped.erase(person);
    }
  }
  EXPECT_FALSE(silent.empty()) << "nobody came back";
  EXPECT_FALSE(stopped.empty()) << "nobody stayed away";
  for (const auto& [person, at] : stopped) {
    silent[person].emplace_back(at, ToMicros(seeded_->clock.Now()));
  }
  EXPECT_EQ(silent.size(), 12U);
  int after_start = 0;
  for (const auto& command : seeded_->outputs.commands) {
    const auto found = silent.find(command.recipient_token());
    if (command.kind() != v1::COMMAND_KIND_SEND || found == silent.end()) {
      continue;
    }
    for (const auto& [from, to] : found->second) {
      EXPECT_FALSE(command.decided_at_us() >= from && command.decided_at_us() < to);
      after_start += command.decided_at_us() >= to ? 1 : 0;
    }
  }
  EXPECT_GT(after_start, 0);
}

TEST_F(SeederTest, EveryMessageHasAnEnd) {
  std::map<std::string, v1::NotificationStatus> statuses;
  for (const auto& fact : seeded_->outputs.facts) {
    if (fact.has_notification() && fact.notification().changed()) {
      statuses[fact.notification().notification_id()] = fact.notification().status();
    }
  }
  std::map<v1::NotificationStatus, int> ends;
  std::size_t messages = 0;
  for (const auto& command : seeded_->outputs.commands) {
    if (command.kind() != v1::COMMAND_KIND_CANCEL && command.attempt() == 1) {
      ++messages;
      ++ends[statuses[command.notification_id()]];
    }
  }
  EXPECT_GT(messages, seeded_->report.notifications) << "confirmations are messages too";
  EXPECT_GT(ends[v1::NOTIFICATION_STATUS_FAILED], 0);
  EXPECT_EQ(ends[v1::NOTIFICATION_STATUS_DELIVERED] + ends[v1::NOTIFICATION_STATUS_FAILED],
            static_cast<int>(messages));
}

TEST_F(SeederTest, RetriesAreDecidedByTheFold) {
  int again = 0;
  for (const auto& command : seeded_->outputs.commands) {
    again += command.kind() == v1::COMMAND_KIND_SEND && command.attempt() == 2 ? 1 : 0;
  }
  EXPECT_GT(again, 0);
}

TEST_F(SeederTest, TimesAreThoseOfTheDaysThatAreTold) {
  const LogTime begin = seeded_->clock.Now() - std::chrono::hours{24 * 6};
  LogTime last = begin;
  for (const auto& record : seeded_->outputs.journal) {
    EXPECT_GE(FromMicros(record.now_us()), last);
    last = FromMicros(record.now_us());
  }
  EXPECT_LE(last, seeded_->clock.Now());
  EXPECT_GT(last, seeded_->clock.Now() - std::chrono::hours{12});
  std::int64_t slow = 0;
  for (const auto& record : seeded_->outputs.decisions) {
    slow = std::max(slow, record.decided_at_us() - record.append_time_us());
  }
  EXPECT_LT(slow, 1'000'000) << "events are decided when they are appended";
}

TEST_F(SeederTest, TheAuditAgreesAndTheStateIsKept) {
  const auto audit = runtime::Audit(*seeded_->log, seeded_->identity.log_id,
                                    {.partition = Home(), .partitions = kPartitions});
  ASSERT_TRUE(audit.status.ok()) << audit.status.error().message();
  EXPECT_FALSE(audit.mismatch.has_value());
  const auto store = OpenStore(seeded_->directory.path());
  ASSERT_TRUE(store.ok()) << store.error().message();
  const auto state = runtime::PartitionState::Open(
      {.log_id = seeded_->identity.log_id,
       .fold = {.token_key = runtime::StoryKey(), .partition = Home(), .partitions = kPartitions}},
      *store.value());
  ASSERT_TRUE(state.ok()) << state.error().message();
  EXPECT_EQ(state.value()->tail().hash, audit.tail.hash) << "nothing is left to be folded again";
  EXPECT_EQ(ToHex(state.value()->map().root().ToBytes()), audit.root_hex);
}

// What a dispatcher does when it takes over.
TEST_F(SeederTest, ADispatcherGoesOnBehindTheLastResultAndFindsNothingToSend) {
  std::optional<v1::DeliveryAttempt> last;
  const std::string topic = std::to_string(static_cast<int>(Topic::kDeliveryAttempts)) + " ";
  for (const std::string& line : Inputs(*seeded_->log, Home())) {
    if (line.starts_with(topic)) {
      const std::size_t bytes = line.find(' ', line.find(' ', topic.size()) + 1) + 1;
      v1::Envelope envelope;
      ASSERT_TRUE(envelope.ParseFromString(line.substr(bytes)));
      last = envelope.delivery_attempt();
    }
  }
  ASSERT_TRUE(last.has_value());
  ASSERT_GT(last->done_to(), 0U);
  EXPECT_GT(last->done_attempts_offset(), 1);
  const auto reader = runtime::OutputReader::Open(
      *seeded_->log, {.log_id = seeded_->identity.log_id,
                      .partition = Home(),
                      .topics = {Topic::kNotificationCommands},
                      .resume = runtime::ResumePoint{.seq = last->done_to(),
                                                     .journal_offset = last->done_journal_offset(),
                                                     .topics = {{Topic::kNotificationCommands,
                                                                 last->done_commands_offset()}}}});
  ASSERT_TRUE(reader.ok()) << reader.error().message();
  std::size_t batches = 0;
  while (!reader.value()->AtOpeningEnd()) {
    const auto batch = reader.value()->Next(runtime::kStoryTimeout);
    ASSERT_TRUE(batch.ok()) << batch.error().message();
    ASSERT_TRUE(batch.value().has_value());
    EXPECT_TRUE(batch.value()->outputs.empty());
    ++batches;
  }
  EXPECT_GT(batches, 0U) << "the results themselves are folded behind it";
}

TEST(SeedDemoTest, TheSameSeedAndTheSameEndGiveTheSameInputs) {
  std::vector<std::vector<std::string>> runs;
  for (const std::uint64_t rng_seed : {5U, 5U, 6U}) {
    const log::TemporaryDirectory directory;
    ManualClock clock;
    auto options = OptionsFor(directory.path(), clock);
    options.rng_seed = rng_seed;
    options.days = 2;
    options.events_min = 600;
    const auto report = SeedDemo(options);
    ASSERT_TRUE(report.ok()) << report.error().message();
    const auto log = OpenLog(directory.path(), clock);
    runs.push_back(Inputs(*log, schemas::PartitionOf(kTenant, kPartitions)));
  }
  EXPECT_GT(runs[0].size(), 800U);
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_NE(runs[0], runs[2]);
}

TEST(SeedDemoTest, LiveTrafficGoesOnWhereTheHistoryEnds) {
  const log::TemporaryDirectory directory;
  ManualClock clock;
  auto options = OptionsFor(directory.path(), clock);
  options.days = 2;
  options.events_min = 600;
  ASSERT_TRUE(SeedDemo(options).ok());
  const auto log = OpenLog(directory.path(), clock);
  runtime::StoryWriter writer(*log, kPartitions);
  const auto store = OpenStore(directory.path());
  ASSERT_TRUE(store.ok());
  const std::int32_t home = writer.HomeOf(kTenant);
  const auto instance =
      runtime::Instance::Start(*log, clock, writer.identity().log_id, *store.value(),
                               {.partition = home, .partitions = kPartitions});
  ASSERT_TRUE(instance.ok()) << instance.error().message();
  v1::Envelope envelope;
  envelope.set_id("live-1");
  envelope.set_type("payment.failed");
  envelope.set_trust(v1::TRUST_SECRET);
  envelope.mutable_site_event()->mutable_data()->set_plain(
      R"({"order":"K-1","amount":12,"currency":"USD","phone":"+12125550199"})");
  const auto appended = writer.Put(Topic::kSiteEvents, envelope, kTenant);
  EXPECT_EQ(appended.append_time, clock.Now()) << "the log's time is not ahead of the clock";
  ASSERT_TRUE(instance.value()->RunUntilQuiet().ok());
  const auto outputs = runtime::ReadOutputs(*log, writer.identity().log_id, home);
  ASSERT_TRUE(outputs.ok());
  const auto& decided = outputs.value().decisions.back();
  EXPECT_EQ(decided.event().offset(), appended.offset);
  ASSERT_EQ(decided.decisions_size(), 1);
  EXPECT_EQ(decided.decisions(0).outcome(), v1::OUTCOME_SEND);
}

TEST(SeedDemoTest, ALogWithRecordsIsLeftAlone) {
  const log::TemporaryDirectory directory;
  ManualClock clock;
  std::size_t before = 0;
  {
    const auto log = OpenLog(directory.path(), clock);
    runtime::StoryWriter writer(*log, kPartitions);
    writer.Tenant(kTenant);
    before = Inputs(*log, writer.HomeOf(kTenant)).size();
  }
  const auto report = SeedDemo(OptionsFor(directory.path(), clock));
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code(), ErrorCode::kConflict);
  EXPECT_NE(report.error().message().find("new log only"), std::string::npos);
  EXPECT_TRUE(CheckNotSeeding(directory.path()).ok()) << "it is as whole as it was";
  const auto log = OpenLog(directory.path(), clock);
  EXPECT_EQ(Inputs(*log, schemas::PartitionOf(kTenant, kPartitions)).size(), before);
}

TEST(SeedDemoTest, TheMarkLiesThereWhileTheLogIsWrittenAndAfterAnError) {
  const log::TemporaryDirectory directory;
  ManualClock clock;
  auto options = OptionsFor(directory.path(), clock);
  options.days = 1;
  options.events_min = 100;
  const auto open = options.open;
  options.open = [&](Clock& simulated) -> Result<FreshLog> {
    EXPECT_EQ(CheckNotSeeding(directory.path()).error().code(), ErrorCode::kConflict);
    auto fresh = open(simulated);
    fresh.value().open_store = [](std::int32_t) -> Result<std::unique_ptr<state::StateStore>> {
      return Error(ErrorCode::kUnavailable, "the disk is full");
    };
    return fresh;
  };
  const auto report = SeedDemo(options);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().message(), "the disk is full");
  EXPECT_EQ(CheckNotSeeding(directory.path()).error().code(), ErrorCode::kConflict);
  EXPECT_EQ(SeedDemo(OptionsFor(directory.path(), clock)).error().code(), ErrorCode::kConflict);
}

TEST(SeedDemoTest, OptionsOutOfRangeAreRefusedBeforeAnythingIsMade) {
  const log::TemporaryDirectory directory;
  ManualClock clock;
  for (const int days : {0, kDaysMax + 1}) {
    auto options = OptionsFor(directory.path() + "/data", clock);
    options.days = days;
    const auto report = SeedDemo(options);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code(), ErrorCode::kInvalid);
    EXPECT_NE(report.error().message().find("days"), std::string::npos);
  }
}

TEST(SeedDemoTest, ProgressIsToldOnTheWay) {
  const log::TemporaryDirectory directory;
  ManualClock clock;
  auto options = OptionsFor(directory.path(), clock);
  options.days = 1;
  options.events_min = 300;
  std::vector<std::size_t> seen;
  options.on_progress = [&](const SeedProgress& progress) { seen.push_back(progress.events); };
  const auto report = SeedDemo(options);
  ASSERT_TRUE(report.ok());
  EXPECT_GE(seen.size(), 5U);
  EXPECT_LE(seen.size(), 10U);
  EXPECT_EQ(seen.back(), report.value().events);
}

}  // namespace
}  // namespace alertstream::seed
