// The commands over a log in memory with a processor beside them: what an operator sees.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "ops/cli/commands/audit.h"
#include "ops/cli/commands/dead_letters.h"
#include "ops/cli/commands/decide.h"
#include "ops/cli/commands/explain.h"
#include "ops/cli/commands/outcomes.h"
#include "ops/cli/commands/people.h"
#include "ops/cli/commands/rules.h"
#include "ops/cli/commands/serve.h"
#include "ops/cli/commands/tail.h"
#include "ops/cli/commands/topics.h"
#include "processor/base/crypto.h"
#include "processor/engine/limits.h"
#include "processor/log/memory/memory_log.h"
#include "processor/state/memory/memory_store.h"
#include "tests/support/manual_clock.h"

namespace alertstream::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kRules = R"(kind: tenant
id: acme
status: active
---
kind: sender
id: main
provider: fake
account: a
number: "+1 415 555 0100"
default: true
---
kind: trigger
id: failed
name: Failed payment
event_type: payment.failed
when: event.data.amount >= 1000 && event.data.currency == "KES"
recipients: {field: data.phone}
channel: sms
template: {body: "Order {{data.order}} failed"}
message_class: informational
)";

constexpr std::string_view kEvent =
    R"({"event_type":"payment.failed","id":"e1","data":{"order":"A","amount":1500,)"
    R"("currency":"KES","phone":"+254700000001"}})";

constexpr std::chrono::milliseconds kTimeout{15'000};

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() : log_({.clock = SystemClock()}) {
    EXPECT_TRUE(log_.ApplyTopics({.partitions = 2}, kTimeout).ok());
    auto identity = runtime::EnsureMarkers(log_, key_, kTimeout);
    EXPECT_TRUE(identity.ok());
    identity_ = identity.value();
    runtime::ProcessorOptions options;
    options.partitions = {0, 1};
    options.token_key = key_;
    options.task.instance = "test";
    options.open_store = [](std::int32_t) {
      return Result<std::unique_ptr<state::StateStore>>(std::make_unique<state::MemoryStore>());
    };
    processor_ = std::make_unique<runtime::Processor>(log_, SystemClock(), std::move(options));
    processor_->Start();
  }
  ~CommandsTest() override { processor_->Stop(); }

  // A session as `-o format` makes it, with empty streams.
  Session Make(OutputFormat format) {
    out_.str("");
    err_.str("");
    return Session{.log = log_,
                   .identity = identity_,
                   .token_key = key_,
                   .clock = SystemClock(),
                   .io = {.out = out_, .err = err_, .render = {.format = format}},
                   .tenant = "acme",
                   .actor = "tester",
                   .processor = processor_.get(),
                   .interrupted = nullptr};
  }

  RulesReport Apply(std::string_view text) {
    std::vector<RuleProblem> problems;
    const auto rules = ReadRules({{"rules.yaml", std::string(text)}}, "", &problems);
    EXPECT_TRUE(rules.ok());
    const auto report = ApplyRules(Make(OutputFormat::kText), rules.value());
    EXPECT_TRUE(report.ok());
    return report.value();
  }

  ExitCode DecideLines(const std::string& lines, OutputFormat format) {
    std::istringstream events(lines);
    const auto exit =
        Decide(Make(format), {.events = events, .file = "events.jsonl", .tenant = "acme"});
    EXPECT_TRUE(exit.ok()) << (exit.ok() ? "" : exit.error().message());
    return exit.ok() ? exit.value() : ExitCode::kFailed;
  }

  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }

  HmacKey key_{"0123456789abcdef0123456789abcdef"};
  log::MemoryEventLog log_;
  runtime::LogIdentity identity_;
  std::unique_ptr<runtime::Processor> processor_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CommandsTest, RulesAreAppendedOnceAndChangesAreNoticed) {
  const RulesReport first = Apply(kRules);
  EXPECT_EQ(first.added, 3U);
  EXPECT_TRUE(first.rejected.empty());
  const RulesReport again = Apply(kRules);
  EXPECT_EQ(again.unchanged, 3U);
  EXPECT_EQ(again.added + again.changed, 0U);
  std::string changed(kRules);
  changed.replace(changed.find("Failed payment"), 6, "Missed");
  EXPECT_EQ(Apply(changed).changed, 1U);

  ASSERT_TRUE(TriggersList(Make(OutputFormat::kJsonLines), kListRowsMax).ok());
  EXPECT_THAT(out(), HasSubstr("\"trigger\":\"failed\",\"version\":2,\"enabled\":true"));
}

TEST_F(CommandsTest, ASenderThatIsToBeTheDefaultAgainIsAppliedAgain) {
  const auto rules = [](const std::string& id) {
    return "kind: sender\ntenant: acme\nid: " + id +
           "\nprovider: fake\naccount: a\n"
           "number: \"+1 415 555 0100\"\ndefault: true\n";
  };
  ASSERT_EQ(Apply(kRules).rejected.size(), 0U);
  EXPECT_EQ(Apply(rules("first")).added, 1U);
  EXPECT_EQ(Apply(rules("first")).unchanged, 1U);
  EXPECT_EQ(Apply(rules("second")).added, 1U);
  EXPECT_EQ(Apply(rules("first")).changed, 1U);
  EXPECT_EQ(Apply(rules("first")).unchanged, 1U);
}

TEST_F(CommandsTest, DecisionsComeInTheOrderOfTheLines) {
  Apply(kRules);
  const std::string lines = std::string(kEvent) + "\n\n" + std::string(kEvent) +
                            "\n{\"event_type\":\"other\",\"id\":\"e2\",\"data\":{}}\n";
  EXPECT_EQ(DecideLines(lines, OutputFormat::kJsonLines), ExitCode::kOk);
  const std::string text = out();
  const std::size_t accepted = text.find("\"verdict\":\"accepted\"");
  const std::size_t duplicate = text.find("\"verdict\":\"duplicate\"");
  const std::size_t no_match = text.find("\"verdict\":\"no_match\"");
  ASSERT_NE(no_match, std::string::npos) << text;
  EXPECT_LT(accepted, duplicate);
  EXPECT_LT(duplicate, no_match);
  EXPECT_THAT(text, HasSubstr("\"reason\":\"consent_missing\""));
  EXPECT_THAT(text, Not(HasSubstr("+254700000001")));

  // The decisions of an earlier run are not shown again.
  EXPECT_EQ(DecideLines(std::string(kEvent), OutputFormat::kJsonLines), ExitCode::kOk);
  EXPECT_THAT(out(), Not(HasSubstr("accepted")));
}

TEST_F(CommandsTest, BadLinesAreNamedAndTheOthersGoOn) {
  Apply(kRules);
  const std::string lines = std::string(kEvent) + "\n{nonsense\n" +
                            R"({"event_type":"x","data":1,"tenant":"nobody"})" + "\n";
  EXPECT_EQ(DecideLines(lines, OutputFormat::kJsonLines), ExitCode::kPartly);
  EXPECT_THAT(err(), HasSubstr("events.jsonl:2: "));
  EXPECT_THAT(out(), HasSubstr("\"verdict\":\"accepted\""));
  EXPECT_THAT(out(), HasSubstr("\"verdict\":\"dead_letter\""));
  EXPECT_THAT(out(), HasSubstr("\"reason\":\"unknown_tenant\""));

  Session everybody = Make(OutputFormat::kJsonLines);
  everybody.tenant = "";
  ASSERT_TRUE(ListDeadLetters(everybody, {}, 10).ok());
  EXPECT_THAT(out(), HasSubstr("\"reason\":\"unknown_tenant\",\"tenant\":\"nobody\""));
  ASSERT_TRUE(ShowDeadLetter(everybody, "last", true).ok());
  EXPECT_THAT(out(), HasSubstr("\"original_key_hex\":\"" + ToHex("nobody") + "\""));
}

TEST_F(CommandsTest, TheTableMasksPeople) {
  Apply(kRules);
  EXPECT_EQ(DecideLines(std::string(kEvent), OutputFormat::kText), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("+254 700 *** 001  sms      suppress  consent_missing"));
  EXPECT_THAT(out(), HasSubstr("events     1 in"));
  EXPECT_THAT(out(), Not(HasSubstr("700000001")));
}

TEST_F(CommandsTest, ExplainNamesTheDecidingGateAndItsFact) {
  Apply(kRules);
  DecideLines(std::string(kEvent), OutputFormat::kJsonLines);
  ASSERT_TRUE(Explain(Make(OutputFormat::kText), "last").ok());
  EXPECT_THAT(out(), HasSubstr("NOT SENT (consent_missing)   payment.failed -> sms +254 700 *** "
                               "001   trigger \"Failed payment\" v1"));
  EXPECT_THAT(out(), HasSubstr("- event.data.amount >= 1000: holds"));
  EXPECT_THAT(out(), HasSubstr("no consent recorded, for informational messages   <- deciding"));
  EXPECT_THAT(out(), HasSubstr("opt_out       not evaluated"));

  const auto absent = Explain(Make(OutputFormat::kText), "evt_7ZZZ");
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code(), ErrorCode::kNotFound);
  const auto wrong = Explain(Make(OutputFormat::kText), "trg_1");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code(), ErrorCode::kInvalid);
}

TEST_F(CommandsTest, ConsentLetsTheNextMessagePassAndAnOptOutEndsIt) {
  Apply(kRules);
  ASSERT_TRUE(ChangeConsent(Make(OutputFormat::kText), {.address = "+254 700 000 001"}).ok());
  EXPECT_THAT(out(), HasSubstr("accepted: consent granted"));
  EXPECT_EQ(DecideLines(std::string(kEvent), OutputFormat::kJsonLines), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("\"outcome\":\"send\""));

  const auto opted =
      ChangeOptOut(Make(OutputFormat::kText), {.address = "+254700000001", .reason = "asked"});
  ASSERT_TRUE(opted.ok());
  EXPECT_EQ(opted.value(), ExitCode::kOk);
  ASSERT_TRUE(ShowConsent(Make(OutputFormat::kJsonLines), "+254700000001").ok());
  EXPECT_THAT(out(), HasSubstr("\"what\":\"opt_out\",\"channel\":\"all\""));
  EXPECT_THAT(out(), HasSubstr("\"what\":\"consent\",\"channel\":\"all\","
                               "\"message_class\":\"informational\",\"status\":\"granted\""));
  ASSERT_TRUE(ListOptOuts(Make(OutputFormat::kJsonLines), kListRowsMax).ok());
  EXPECT_THAT(out(), HasSubstr("\"reason\":\"asked\""));
  std::string second(kEvent);
  second.replace(second.find("e1"), 2, "e2");
  DecideLines(second, OutputFormat::kJsonLines);
  EXPECT_THAT(out(), HasSubstr("\"reason\":\"opted_out\""));
}

TEST_F(CommandsTest, ExplainTellsWhatBecameOfTheMessage) {
  Apply(kRules);
  ASSERT_TRUE(ChangeConsent(Make(OutputFormat::kText), {.address = "+254700000001"}).ok());
  DecideLines(std::string(kEvent), OutputFormat::kJsonLines);
  const std::string id = out().substr(out().find("ntf_"), 30);
  const Session session = Make(OutputFormat::kText);
  v1::Envelope attempt = NewEnvelope(session, "acme", "delivery.attempt");
  attempt.mutable_delivery_attempt()->set_notification_id(id);
  attempt.mutable_delivery_attempt()->set_attempt(1);
  attempt.mutable_delivery_attempt()->set_phase(v1::ATTEMPT_PHASE_RESULT);
  attempt.mutable_delivery_attempt()->set_result(v1::ATTEMPT_CLASS_PERM_ADDRESS);
  attempt.mutable_delivery_attempt()->set_error_code("30003");
  const auto told =
      Submit(session, {TenantChange(session, schemas::Topic::kDeliveryAttempts, "acme", attempt)});
  ASSERT_TRUE(told.ok()) << told.error().message();
  ASSERT_TRUE(Explain(session, id).ok());
  EXPECT_THAT(out(), HasSubstr("failed, attempt 1: perm_address, 30003\n"));
  ASSERT_TRUE(Explain(Make(OutputFormat::kJsonLines), id).ok());
  EXPECT_THAT(out(), HasSubstr("\"status\":\"failed\",\"changed\":true,\"error_code\":\"30003\","
                               "\"attempt\":1,\"result\":\"perm_address\""));
}

TEST_F(CommandsTest, ARefusedChangeSaysWhy) {
  Apply(kRules);
  const auto refused = ChangeOptOut(
      Make(OutputFormat::kText),
      {.address = "+254700000002", .status = v1::OPT_OUT_STATUS_REMOVED, .reason = "x"});
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ(refused.value(), ExitCode::kConflict);
  EXPECT_THAT(out(), HasSubstr("rejected: "));
  EXPECT_THAT(out(), HasSubstr("not_opted_out"));
  const auto no_number = ChangeConsent(Make(OutputFormat::kText), {.address = "0700"});
  ASSERT_FALSE(no_number.ok());
  EXPECT_EQ(no_number.error().code(), ErrorCode::kInvalid);
}

TEST_F(CommandsTest, TailPrintsWhatWasReleased) {
  Apply(kRules);
  DecideLines(std::string(kEvent), OutputFormat::kJsonLines);
  const auto exit =
      Tail(Make(OutputFormat::kJsonLines), {.topic = schemas::Topic::kDecisions,
                                            .from = {.kind = TailFrom::Kind::kBeginning},
                                            .follow = false});
  ASSERT_TRUE(exit.ok());
  EXPECT_THAT(out(), HasSubstr("{\"event\":\"evt_"));
  ASSERT_TRUE(Tail(Make(OutputFormat::kText), {.topic = schemas::Topic::kFacts,
                                               .from = {.kind = TailFrom::Kind::kBeginning},
                                               .follow = false,
                                               .records_max = 1})
                  .ok());
  const std::string lines = out();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1) << lines;
}

TEST_F(CommandsTest, TailBeginsWhereItIsToldAndShowsWhatPassesTheFilter) {
  Apply(kRules);
  DecideLines(std::string(kEvent), OutputFormat::kJsonLines);
  const auto lines_of = [&](const TailOptions& options) {
    const auto exit = Tail(Make(OutputFormat::kJsonLines), options);
    EXPECT_TRUE(exit.ok() && exit.value() == ExitCode::kOk);
    const std::string text = out();
    return std::count(text.begin(), text.end(), '\n');
  };
  TailOptions options{.topic = schemas::Topic::kFacts,
                      .from = {.kind = TailFrom::Kind::kBeginning},
                      .follow = false};
  const auto facts = lines_of(options);
  EXPECT_EQ(facts, 3);
  // Offset 0 of each partition holds the log's marker.
  options.from = {.kind = TailFrom::Kind::kOffset, .offset = 2};
  EXPECT_EQ(lines_of(options), facts - 1);
  options.from = {.kind = TailFrom::Kind::kTime,
                  .time = SystemClock().Now() + std::chrono::hours(1)};
  EXPECT_EQ(lines_of(options), 0);
  options.from.time = SystemClock().Now() - std::chrono::hours(1);
  EXPECT_EQ(lines_of(options), facts);

  options.topic = schemas::Topic::kDecisions;
  options.filter = {.trigger = "failed", .reason = "consent_missing"};
  EXPECT_EQ(lines_of(options), 1);
  options.filter.outcome = v1::OUTCOME_SEND;
  EXPECT_EQ(lines_of(options), 0);
  options.filter = {.trigger = "other"};
  EXPECT_EQ(lines_of(options), 0);
}

TEST_F(CommandsTest, TailEndsAfterTheSilenceThatWasAskedFor) {
  const auto exit = Tail(Make(OutputFormat::kText), {.silence_max = std::chrono::milliseconds(50)});
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(exit.value(), ExitCode::kTimeout);
  EXPECT_EQ(err(), "nothing new on decisions for 50ms (0 shown)\n");
}

TEST_F(CommandsTest, TailRefusesAPartitionThatDoesNotExist) {
  const auto exit = Tail(Make(OutputFormat::kText), {.partition = 2});
  ASSERT_FALSE(exit.ok());
  EXPECT_EQ(exit.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(exit.error().message(), HasSubstr("no partition 2; the log has 2"));
}

TEST(TailTest, ParsesWhereToBegin) {
  using Kind = TailFrom::Kind;
  struct Case {
    std::string_view text;
    Kind kind;
    std::int64_t offset = 0;
  };
  for (const Case& each :
       {Case{"beginning", Kind::kBeginning}, Case{"earliest", Kind::kBeginning},
        Case{"end", Kind::kEnd}, Case{"latest", Kind::kEnd}, Case{"0", Kind::kOffset},
        Case{"88213", Kind::kOffset, 88213}, Case{"2026-01-31T12:00:00+03:00", Kind::kTime}}) {
    const auto from = ParseTailFrom(each.text);
    ASSERT_TRUE(from.ok()) << each.text;
    EXPECT_EQ(from.value().kind, each.kind) << each.text;
    EXPECT_EQ(from.value().offset, each.offset) << each.text;
  }
  for (const std::string_view text :
       {"", "-1", "1x", "now", "2026-01-31", "99999999999999999999"}) {
    const auto from = ParseTailFrom(text);
    ASSERT_FALSE(from.ok()) << text;
    EXPECT_EQ(from.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(from.error().message(), HasSubstr("expected beginning, end, an offset"));
  }
}

TEST(TailTest, AFilterGoesWithTheTopicsThatHaveIt) {
  using schemas::Topic;
  struct Case {
    Topic topic;
    TailFilter filter;
    std::string_view refusal;  // "": none.
  };
  for (const Case& each :
       {Case{Topic::kDecisions, {.trigger = "t", .reason = "cooldown"}, ""},
        Case{Topic::kNotificationCommands, {.channel = v1::CHANNEL_SMS}, ""},
        Case{Topic::kDeadLetters, {.reason = "unknown_tenant"}, ""}, Case{Topic::kJournal, {}, ""},
        Case{Topic::kFacts, {.trigger = "t"}, "--trigger and --channel go with decisions"},
        Case{Topic::kNotificationCommands, {.outcome = v1::OUTCOME_SEND}, "--outcome goes with"},
        Case{Topic::kJournal, {.reason = "cooldown"}, "--reason goes with"},
        Case{Topic::kDecisions, {.reason = "unknown_tenant"}, "--reason: expected one of cooldown"},
        Case{Topic::kDeadLetters, {.reason = "cooldown"}, "--reason: expected one of"}}) {
    const Status fits = CheckTailFilter(each.topic, each.filter);
    EXPECT_EQ(fits.ok(), each.refusal.empty()) << each.refusal;
    if (!fits.ok()) {
      EXPECT_EQ(fits.error().code(), ErrorCode::kInvalid);
      EXPECT_THAT(fits.error().message(), HasSubstr(each.refusal));
    }
  }
}

TEST_F(CommandsTest, AnEngineVersionThatThisProgramDoesNotKnowIsNotAppended) {
  for (const std::uint32_t version : {0U, engine::kEngineVersion + 1}) {
    const auto exit = EngineActivate(Make(OutputFormat::kText), version);
    ASSERT_FALSE(exit.ok());
    EXPECT_EQ(exit.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(exit.error().message(), HasSubstr("this program knows engine versions up to"));
  }
  ASSERT_TRUE(
      TopicDump(Make(OutputFormat::kJson), {.topic = schemas::Topic::kAccountChanges}).ok());
  EXPECT_THAT(out(), Not(HasSubstr("engine_activate")));
}

TEST_F(CommandsTest, AListTellsWhatItCut) {
  Apply(kRules);
  ASSERT_TRUE(TriggersList(Make(OutputFormat::kJsonLines), 0).ok());
  EXPECT_EQ(out(), "");
  EXPECT_EQ(err(), "0 shown, 1 more left out (--limit)\n");
}

TEST_F(CommandsTest, AuditFindsNothingInAHonestHistory) {
  Apply(kRules);
  DecideLines(std::string(kEvent), OutputFormat::kJsonLines);
  const AuditStates states{.open =
                               [](std::int32_t) {
                                 return Result<std::unique_ptr<state::StateStore>>(
                                     std::make_unique<state::MemoryStore>());
                               },
                           .clear = [](std::int32_t) { return Status::Ok(); }};
  const auto exit = AuditVerify(Make(OutputFormat::kJson), {}, states);
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(exit.value(), ExitCode::kOk);
  EXPECT_THAT(out(), HasSubstr("\"decisions\":1,\"mismatches\":0"));
}

TEST(PositionsTest, AreThoseOfOwnedPartitions) {
  runtime::PartitionStatus owned{.partition = 3, .phase = "owner"};
  owned.positions = {5, 0, 0, 0, 0, 0, 88};
  runtime::PartitionStatus held = owned;
  held.partition = 4;
  held.phase = "holding";
  runtime::PartitionStatus lost = owned;
  lost.phase = "stopped";
  runtime::PartitionStatus early = owned;
  early.phase = "catching_up";
  const auto positions = PositionsOf({owned, lost, early, held});
  ASSERT_EQ(positions.size(), 4U);
  EXPECT_EQ(positions[0].source, (log::TopicPartition{schemas::Topic::kAccountChanges, 3}));
  EXPECT_EQ(positions[0].offset, 5);
  EXPECT_EQ(positions[1].source, (log::TopicPartition{schemas::Topic::kSiteEvents, 3}));
  EXPECT_EQ(positions[1].offset, 88);
  EXPECT_EQ(positions[2].source.partition, 4);
}

TEST(PartitionMetricsTest, TimeIsCountedOnceAndOnlyWhileItPasses) {
  Metrics metrics;
  ManualClock clock;
  PartitionMetrics partitions(metrics, clock);
  Counter& held = metrics.CounterOf(MetricId::kHeldSeconds, {"permission_view"});
  Counter& stopped = metrics.CounterOf(MetricId::kHeldSeconds, {"stopped"});
  runtime::PartitionStatus status{.partition = 1, .phase = "owner"};
  status.held_seconds_total = 1.5;
  partitions.Set(status);
  partitions.Set(status);
  EXPECT_DOUBLE_EQ(held.value(), 1.5);
  status.held_seconds_total = 2;
  status.phase = "stopped";
  clock.Advance(std::chrono::seconds(3));
  partitions.Set(status);
  EXPECT_DOUBLE_EQ(held.value(), 2);
  EXPECT_DOUBLE_EQ(stopped.value(), 3);
  clock.Advance(std::chrono::seconds(4));
  status.phase = "owner";
  partitions.Set(status);
  EXPECT_DOUBLE_EQ(stopped.value(), 3);
}

TEST(PartitionMetricsTest, AStartIsMeasuredUntilThePartitionIsOwned) {
  Metrics metrics;
  ManualClock clock;
  PartitionMetrics partitions(metrics, clock);
  Counter& claimed = metrics.CounterOf(MetricId::kOwnershipChanges, {"claimed"});
  partitions.Phase(1, "starting", "");
  clock.Advance(std::chrono::seconds(2));
  partitions.Phase(1, "catching_up", "");
  clock.Advance(std::chrono::seconds(5));
  partitions.Phase(1, "owner", "");
  EXPECT_DOUBLE_EQ(metrics.GaugeOf(MetricId::kRecoverySeconds, {"1"}).value(), 7);
  // Held for a while and owner again: that is no claim.
  partitions.Phase(1, "holding", "waits");
  partitions.Phase(1, "owner", "");
  EXPECT_DOUBLE_EQ(claimed.value(), 1);
  partitions.Failed(Error(ErrorCode::kFenced, "another owner"));
  EXPECT_DOUBLE_EQ(metrics.CounterOf(MetricId::kOwnershipChanges, {"fenced"}).value(), 1);
  EXPECT_DOUBLE_EQ(metrics.CounterOf(MetricId::kTaskErrors, {"fenced"}).value(), 1);
}

TEST(ParsePositionTest, ReadsTopicPartitionAndOffset) {
  const auto position = ParsePosition("site-events/3/88213");
  ASSERT_TRUE(position.ok());
  EXPECT_EQ(position.value().topic(), 1U);
  EXPECT_EQ(position.value().partition(), 3U);
  EXPECT_EQ(position.value().offset(), 88213);
  for (const char* wrong :
       {"", "/", "//", "site-events", "site-events/1", "site-events//5", "site-events/1/",
        "nothing/1/2", "site-events/x/2", "site-events/1/-2", "site-events/1/2x", "/1/2"}) {
    const auto refused = ParsePosition(wrong);
    ASSERT_FALSE(refused.ok()) << wrong;
    EXPECT_EQ(refused.error().code(), ErrorCode::kInvalid);
  }
}

TEST(HealthTest, IsReadyWhenEveryPartitionIsOwned) {
  runtime::PartitionStatus owned{.partition = 0, .phase = "owner", .seq = 7};
  EXPECT_TRUE(HealthOf({owned}).ready);
  const runtime::PartitionStatus stopped{.partition = 1, .phase = "stopped", .error = "why"};
  const HealthState state = HealthOf({owned, stopped});
  EXPECT_FALSE(state.ready);
  EXPECT_THAT(state.body, HasSubstr("\"partition\":1,\"phase\":\"stopped\",\"error\":\"why\""));
}

TEST(HealthTest, IsReadyWhenEveryPartIs) {
  class Part : public ServerPart {
   public:
    explicit Part(bool ready) : ready_(ready) {}
    std::string_view name() const override { return "api"; }
    HealthState Health() const override { return {.ready = ready_, .body = "{\"port\":1}"}; }
    void Tick() override {}
    bool Stop(std::chrono::milliseconds) override { return true; }

   private:
    const bool ready_;
  };
  ServerParts parts;
  parts.push_back(std::make_unique<Part>(true));
  EXPECT_TRUE(HealthOf({}, parts).ready);
  EXPECT_EQ(HealthOf({}, parts).body, R"({"status":"ready","partitions":[],"api":{"port":1}})");
  parts.push_back(std::make_unique<Part>(false));
  EXPECT_FALSE(HealthOf({}, parts).ready);
}

}  // namespace
}  // namespace alertstream::cli
