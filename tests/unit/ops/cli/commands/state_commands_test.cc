// The commands about states: two compared to the key, the past read, partitions handed over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "ops/cli/commands/people.h"
#include "ops/cli/commands/progress_file.h"
#include "ops/cli/commands/replay.h"
#include "ops/cli/commands/state.h"
#include "ops/cli/commands/take_over.h"
#include "processor/base/id.h"
#include "processor/engine/state_keys.h"
#include "processor/log/memory/memory_log.h"
#include "processor/state/memory/memory_store.h"
#include "tests/support/runtime_story.h"
#include "tests/unit/ops/cli/scratch_directory.h"

namespace alertstream::cli {
namespace {

using engine::StateKey;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

const std::string kToken(16, '\x07');

std::string Bytes(std::string_view key) { return std::string(key); }

TEST(StateKeyText, DecodesEveryTable) {
  const std::map<std::string, std::string> expected = {
      {Bytes(StateKey("acme", engine::Table::kTenant)), "acme tenant"},
      {Bytes(StateKey("acme", engine::Table::kTrigger).Bytes("paid")), "acme trigger paid"},
      {Bytes(StateKey("acme", engine::Table::kTriggerVersion).Bytes("paid").Byte(0).Number64(7)),
       "acme trigger version paid v7"},
      {Bytes(StateKey("acme", engine::Table::kRecipient).Bytes(kToken)),
       "acme recipient " + FormatId(IdKind::kRecipient, kToken)},
      {Bytes(StateKey("acme", engine::Table::kSends).Bytes(kToken).Byte(1).Bytes("paid")),
       "acme sends " + FormatId(IdKind::kRecipient, kToken) + " sms paid"},
      {Bytes(StateKey("acme", engine::Table::kQuota).Number32(202611)), "acme quota 202611"},
      {Bytes(StateKey("_log", engine::Table::kEngine)), "_log engine"},
      {std::string("acme\0\x63xy", 8), "acme table 99 7879"},
      {"no table", ToHex("no table")}};
  for (const auto& [key, text] : expected) {
    EXPECT_EQ(StateKeyText(key), text);
  }
}

// Stores by the directory that they are opened in.
class StateDiffTest : public ::testing::Test {
 protected:
  void Put(state::MemoryStore& store, const std::string& key, const std::string& value) {
    v1::StoreMeta meta;
    if (const auto before = store.Meta().value()) {
      ASSERT_TRUE(meta.ParseFromString(*before));
    }
    auto root = state::StateRoot::FromBytes(meta.state_root()).value_or(state::StateRoot{});
    root.Add(state::StateRoot::OfEntry(key, value));
    meta.set_state_root(root.ToBytes());
    meta.set_seq(meta.seq() + 1);
    const state::StateWrite write{key, value};
    ASSERT_TRUE(store.Apply(std::span(&write, 1), meta.SerializeAsString()).ok());
  }

  Result<ExitCode> Diff() {
    out_.str("");
    err_.str("");
    for (const char* side : {"left", "right"}) {
      fs::create_directories(directory_ / (std::string(side) + "/0"));
    }
    return StateDiff({.out = out_, .err = err_, .render = {.format = OutputFormat::kWide}},
                     {.left = directory_ / "left", .right = directory_ / "right"},
                     [this](const std::string& path) -> Result<std::unique_ptr<state::StateStore>> {
                       const bool left = path.find("left") != std::string::npos;
                       return std::unique_ptr<state::StateStore>(
                           std::make_unique<state::MemoryStore>(left ? left_ : right_));
                     });
  }

  const ScratchDirectory directory_;
  state::MemoryStore left_;
  state::MemoryStore right_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(StateDiffTest, EqualStatesDoNotDiffer) {
  for (int i = 0; i < 5000; ++i) {
    const std::string key =
        Bytes(StateKey("acme", engine::Table::kQuota).Number32(static_cast<std::uint32_t>(i)));
    Put(left_, key, "v");
    Put(right_, key, "v");
  }
  const auto exit = Diff();
  ASSERT_TRUE(exit.ok()) << exit.error().message();
  EXPECT_EQ(exit.value(), ExitCode::kOk);
  EXPECT_THAT(err_.str(), HasSubstr("5,000 keys left, 5,000 right"));
  EXPECT_THAT(err_.str(), HasSubstr("no key differs"));
}

TEST_F(StateDiffTest, DifferencesAreNamedByKeyAndFieldAndNeverByValue) {
  const std::string person = Bytes(StateKey("acme", engine::Table::kRecipient).Bytes(kToken));
  v1::RecipientState one;
  one.set_version(3);
  one.add_consents()->set_written(true);
  v1::RecipientState other = one;
  other.set_version(4);
  other.add_opt_outs()->set_at_us(12'345'678);
  Put(left_, person, one.SerializeAsString());
  Put(right_, person, other.SerializeAsString());
  Put(left_, Bytes(StateKey("acme", engine::Table::kPlan).Bytes("gone")), "x");
  Put(right_, Bytes(StateKey("acme", engine::Table::kPlan).Bytes("new")), "x");
  const auto exit = Diff();
  ASSERT_TRUE(exit.ok()) << exit.error().message();
  EXPECT_EQ(exit.value(), ExitCode::kMismatch);
  EXPECT_THAT(out_.str(), HasSubstr("acme plan gone"));
  EXPECT_THAT(out_.str(), HasSubstr("only left"));
  EXPECT_THAT(out_.str(), HasSubstr("acme plan new"));
  EXPECT_THAT(out_.str(), HasSubstr("only right"));
  EXPECT_THAT(out_.str(), HasSubstr("version, opt_outs"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("consents")));
  EXPECT_THAT(out_.str() + err_.str(), Not(HasSubstr("12345678")));
  EXPECT_THAT(err_.str(), HasSubstr("3 keys differ"));
}

TEST_F(StateDiffTest, AStateThatIsNotItsOwnRootIsDamagedAlsoIfBothAreTheSame) {
  Put(left_, "acme", "a");
  const state::StateWrite rot{"acme", "b"};
  ASSERT_TRUE(left_.Apply(std::span(&rot, 1), *left_.Meta().value()).ok());
  right_ = left_;
  const auto exit = Diff();
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(exit.value(), ExitCode::kMismatch);
  EXPECT_THAT(err_.str(), HasSubstr("it is damaged"));
}

TEST_F(StateDiffTest, DirectoriesWithoutAStateAreRefused) {
  std::ostringstream none;
  const auto refused = StateDiff({.out = none, .err = none, .render = {}},
                                 {.left = "/nowhere", .right = "/nowhere"}, nullptr);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kNotFound);
}

// A story of one partition, on the machine's clock.
class PastTest : public ::testing::Test {
 protected:
  Session Make(OutputFormat format = OutputFormat::kWide) {
    out_.str("");
    err_.str("");
    return Session{.log = story_.log,
                   .identity = story_.writer.identity(),
                   .token_key = key_,
                   .clock = story_.clock,
                   .io = {.out = out_, .err = err_, .render = {.format = format}},
                   .tenant = "acme",
                   .actor = "tester"};
  }
  static OpenStateOf Opens(state::MemoryStore& store) {
    // A copy each time would forget; the test owns the store.
    return [&store](std::int32_t) -> Result<std::unique_ptr<state::StateStore>> {
      class Borrowed final : public state::StateStore {
       public:
        explicit Borrowed(state::MemoryStore& of) : of_(of) {}
        Result<bool> Get(std::string_view key, std::string* value) override {
          return of_.Get(key, value);
        }
        Status Scan(std::string_view from, std::string_view to, const Visit& visit) override {
          return of_.Scan(from, to, visit);
        }
        Status Apply(std::span<const state::StateWrite> writes, std::string_view meta) override {
          return of_.Apply(writes, meta);
        }
        std::uint64_t KeysEstimate() override { return of_.KeysEstimate(); }
        Result<std::optional<std::string>> Meta() override { return of_.Meta(); }
        Status Clear() override { return of_.Clear(); }

       private:
        state::MemoryStore& of_;
      };
      return std::unique_ptr<state::StateStore>(std::make_unique<Borrowed>(store));
    };
  }

  runtime::Story story_;
  HmacKey key_ = runtime::StoryKey();
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(PastTest, TheStateOfThenIsReplayedAndReadAndDoesNotGoBack) {
  story_.writer.Shop("acme");
  auto owner = story_.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const LogTime before = story_.clock.Now();
  story_.clock.Advance(10s);
  story_.writer.OptOut("acme");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const std::string root = owner->RootHex();

  state::MemoryStore then;
  ASSERT_TRUE(ReplayRun(Make(), {.directory = "then", .until = {.at = before}}, Opens(then)).ok());
  EXPECT_THAT(err_.str(), HasSubstr("no notifications will be sent"));
  EXPECT_THAT(out_.str(), Not(HasSubstr(root)));
  const auto shown =
      ShowConsent(Make(), "+254712345678", {.at = before, .open_replayed = Opens(then)});
  ASSERT_TRUE(shown.ok()) << shown.error().message();
  EXPECT_THAT(out_.str(), Not(HasSubstr("opt_out")));

  // It goes on from there to the end.
  ASSERT_TRUE(ReplayRun(Make(), {.directory = "then"}, Opens(then)).ok());
  EXPECT_THAT(out_.str(), HasSubstr(root));
  ASSERT_TRUE(ShowConsent(Make(), "+254712345678", {.open_replayed = Opens(then)}).ok());
  EXPECT_THAT(out_.str(), HasSubstr("opt_out"));
  EXPECT_THAT(err_.str(), Not(HasSubstr("712345678")));

  const auto back = ReplayRun(Make(), {.directory = "then", .until = {.at = before}}, Opens(then));
  ASSERT_FALSE(back.ok());
  EXPECT_EQ(back.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(back.error().message(), HasSubstr("does not go back"));
}

TEST_F(PastTest, APositionEndsTheReplayAfterItsRecord) {
  story_.writer.Shop("acme");
  auto owner = story_.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const auto first = story_.Read().journal.size();
  const std::string root = owner->RootHex();
  const std::int64_t offset =
      story_.log
          .Ends(std::vector<log::TopicPartition>{{schemas::Topic::kJournal, 0}},
                log::EndKind::kStable, 1s)
          .value()[0] -
      1;
  story_.writer.Order("acme", "o1");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  state::MemoryStore then;
  const auto replayed = ReplayPartition(Make(), 0, then, {.at = std::nullopt, .position = offset});
  ASSERT_TRUE(replayed.ok()) << replayed.error().message();
  EXPECT_EQ(replayed.value().seq, first);
  EXPECT_EQ(ToHex(replayed.value().state_root), root);
  const auto none = ReplayRun(Make(), {.directory = "x", .partition = 9}, Opens(then));
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code(), ErrorCode::kInvalid);
}

class TakeOverTest : public ::testing::Test {
 protected:
  std::unique_ptr<runtime::Processor> Make(const std::string& instance, bool standby) {
    runtime::ProcessorOptions options;
    options.partitions = {0};
    options.standby = standby ? std::vector<std::int32_t>{0} : std::vector<std::int32_t>{};
    options.token_key = key_;
    options.task.instance = instance;
    options.open_store = [](std::int32_t) -> Result<std::unique_ptr<state::StateStore>> {
      return std::unique_ptr<state::StateStore>(std::make_unique<state::MemoryStore>());
    };
    auto processor = std::make_unique<runtime::Processor>(log_, SystemClock(), std::move(options));
    processor->Start();
    return processor;
  }
  Session MakeSession() {
    out_.str("");
    err_.str("");
    return Session{.log = log_,
                   .identity = writer_.identity(),
                   .token_key = key_,
                   .clock = SystemClock(),
                   .io = {.out = out_, .err = err_, .render = {.format = OutputFormat::kWide}},
                   .tenant = "acme",
                   .actor = "tester"};
  }
  bool WaitFor(const std::function<bool()>& condition) {
    const auto deadline = SystemClock().SinceBoot() + 20s;
    while (!condition() && SystemClock().SinceBoot() < deadline) {
      SystemClock().SleepFor(20ms);
    }
    return condition();
  }
  std::size_t Standbys() {
    const auto standing = ReadStanding(MakeSession(), 0);
    return standing.ok() ? standing.value().standbys.size() : 0;
  }

  log::MemoryEventLog log_{{.clock = SystemClock()}};
  runtime::StoryWriter writer_{log_, 1};
  HmacKey key_ = runtime::StoryKey();
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(TakeOverTest, TheOnlyStandbyIsOrderedAndTheAnswerWaitsForTheClaim) {
  const auto owner = Make("one", false);
  ASSERT_TRUE(owner->WaitUntilDrained(20s).ok());
  auto refused = TakeOver(MakeSession(), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(refused.error().message(), HasSubstr("--standby"));

  const auto two = Make("two", true);
  const auto three = Make("three", true);
  ASSERT_TRUE(WaitFor([&] { return Standbys() == 2; }));
  refused = TakeOver(MakeSession(), {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(refused.error().message(), HasSubstr("three, two"));
  refused = TakeOver(MakeSession(), {.partitions = {0}, .to = "four"});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kNotFound);
  refused = TakeOver(MakeSession(), {.partitions = {7}, .to = "two"});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalid);

  const auto done = TakeOver(MakeSession(), {.partitions = {0}, .to = "two"});
  ASSERT_TRUE(done.ok()) << done.error().message();
  EXPECT_EQ(done.value(), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("taken over"));
  EXPECT_TRUE(WaitFor([&] { return two->Status()[0].phase == "owner"; }));
  EXPECT_TRUE(WaitFor([&] { return ReadStanding(MakeSession(), 0).value().owner == "two"; }));
  for (const auto& each : {owner.get(), two.get(), three.get()}) {
    each->Stop();
  }
}

TEST_F(TakeOverTest, WhoIsThereIsToldByTheLogsClock) {
  const auto two = Make("two", true);
  ASSERT_TRUE(WaitFor([&] { return Standbys() == 1; }));
  const Session session = MakeSession();
  for (const auto off : {-1h, 0h}) {
    ManualClock clock(SystemClock().Now() + off + 20s);
    const Session elsewhere{.log = session.log,
                            .identity = session.identity,
                            .token_key = session.token_key,
                            .clock = clock,
                            .io = session.io,
                            .tenant = session.tenant,
                            .actor = session.actor};
    EXPECT_EQ(ReadStanding(elsewhere, 0).value().standbys, std::vector<std::string>{"two"});
  }
  two->Stop();
  ManualClock later(SystemClock().Now() + 2min);
  const Session silent{.log = session.log,
                       .identity = session.identity,
                       .token_key = session.token_key,
                       .clock = later,
                       .io = session.io,
                       .tenant = session.tenant,
                       .actor = session.actor};
  EXPECT_TRUE(ReadStanding(silent, 0).value().standbys.empty());
}

TEST_F(TakeOverTest, AnInstanceThatDoesNotObeyIsATimeout) {
  const auto two = Make("two", true);
  ASSERT_TRUE(WaitFor([&] { return Standbys() == 1; }));
  two->Stop();  // Its last sign is live for a while.
  Session session = MakeSession();
  session.ask_timeout = 300ms;
  const auto done = TakeOver(session, {});
  ASSERT_TRUE(done.ok()) << done.error().message();
  EXPECT_EQ(done.value(), ExitCode::kTimeout);
  EXPECT_THAT(err_.str(), HasSubstr("void a minute after"));
}

TEST(ProgressFile, IsReadWhileItIsFresh) {
  const ScratchDirectory directory;
  const std::string path = directory / "0.progress";
  const LogTime now = FromMicros(1'000'000'000);
  EXPECT_FALSE(ReadProgress(path, now));
  WriteProgress(path,
                {.phase = "catching_up",
                 .progress = {.done = 450, .total = 1000, .per_second = 110, .eta_seconds = 5},
                 .at = now});
  const auto read = ReadProgress(path, now + 1s);
  ASSERT_TRUE(read);
  EXPECT_EQ(ProgressText(read->phase, read->progress),
            "catching_up, 45 %: 450 of 1,000, 110 a second, done in 5 s");
  EXPECT_FALSE(ReadProgress(path, now + 11s));
  RemoveProgress(path);
  EXPECT_FALSE(ReadProgress(path, now));
}

}  // namespace
}  // namespace alertstream::cli
