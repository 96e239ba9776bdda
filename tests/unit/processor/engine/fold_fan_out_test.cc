// One event for many people: more than a batch can hold, over several batches; and the same history
// twice.
#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/fold_harness.h"

namespace alertstream::engine {
namespace {

using namespace std::chrono_literals;

// `count` people as {"phone": [...]}.
std::string People(int count) {
  std::string phones;
  for (int i = 0; i < count; ++i) {
    phones += fmt::format(R"({}"+2547{:08}")", i == 0 ? "" : ",", i);
  }
  return fmt::format(R"({{"phone":[{}]}})", phones);
}

void AddTriggers(FoldHarness& fold, int count, std::string_view body = "Hi",
                 std::string_view more = "") {
  for (int i = 0; i < count; ++i) {
    fold.Change(fmt::format(R"({{"trigger":{{"id":"t{:02}","event_type":"order","enabled":true,)"
                            R"("channel":"CHANNEL_SMS","recipients":{{"field":"data.phone"}},)"
                            R"("template_body":"{}",)"
                            R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL"{}{}}}}})",
                            i, body, more.empty() ? "" : ",", more));
  }
}

void AddTenantWithoutPlan(FoldHarness& fold) {
  fold.Change(R"({"tenant":{"status":"TENANT_STATUS_ACTIVE"}})");
  fold.Change(R"({"sender":{"id":"main","provider":"fake","is_default":true}})");
}

TEST(FanOutTest, AThousandPeopleAndFiftyTriggersAreFiftyThousandDecisions) {
  FoldHarness fold;
  AddTenantWithoutPlan(fold);
  AddTriggers(fold, 50);
  const auto offset = fold.Event(People(1000));
  fold.Event(R"({"phone":"+254711111111"})");  // Waits for its turn.
  const Outputs outputs = fold.Run();
  EXPECT_GT(outputs.batches, 5);
  EXPECT_LT(outputs.batches, 20);

  std::set<std::string> ids;
  std::vector<std::uint32_t> parts;
  std::size_t decisions = 0;
  for (const auto& record : outputs.decisions) {
    EXPECT_LE(record.decisions_size(), static_cast<int>(kDecisionsPerRecordMax));
    EXPECT_EQ(record.verdict(), v1::EVENT_VERDICT_ACCEPTED);
    if (record.event().offset() != offset) {
      continue;
    }
    parts.push_back(record.part());
    EXPECT_EQ(record.candidates(), 50U);
    for (const auto& decision : record.decisions()) {
      EXPECT_EQ(decision.outcome(), v1::OUTCOME_SEND);
      ids.insert(decision.id());
      ++decisions;
    }
  }
  EXPECT_EQ(decisions, 50'000U);
  EXPECT_EQ(ids.size(), 50'000U);
  EXPECT_EQ(outputs.commands.size(), 50'050U);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i], i);
  }
  // Only the last part of an event says that no other follows; the next event comes after it.
  std::size_t last = 0;
  while (outputs.decisions[last].more()) {
    ++last;
  }
  EXPECT_EQ(last + 1, parts.size());
  EXPECT_FALSE(fold.fold().TimerDue(fold.now()));
}

TEST(FanOutTest, VersionsStayThoseOfTheFirstBatchAndPermissionsAreNew) {
  FoldHarness fold;
  AddTenantWithoutPlan(fold);
  AddTriggers(fold, 20);
  fold.Event(People(1000));
  const Outputs first = fold.RunBatch();
  ASSERT_TRUE(first.more);
  // Between the batches every trigger changes, one is switched off, and a person opts out.
  AddTriggers(fold, 19, "Changed");
  fold.Change(R"({"trigger":{"id":"t19","deleted":true}})");
  fold.Add(schemas::Topic::kOptOuts,
           R"({"opt_out_change":{"address":{"plain":"+254700000005"},"channel":"CHANNEL_SMS",)"
           R"("address_kind":"ADDRESS_KIND_PHONE","status":"OPT_OUT_STATUS_ACTIVE",)"
           R"("by":"OPT_OUT_BY_RECIPIENT"}})");
  const Outputs rest = fold.Run();
  const RecipientToken token = fold.TokenOf("+254700000005");
  const std::string opted_out(token.begin(), token.end());
  std::size_t decisions = 0;
  int cancels = 0;
  std::map<std::string, int> by_reason;
  for (const Outputs* outputs : {&first, &rest}) {
    for (const auto& record : outputs->decisions) {
      for (const auto& decision : record.decisions()) {
        ++decisions;
        EXPECT_EQ(decision.trigger_version(), 1U);
        if (decision.outcome() != v1::OUTCOME_SEND) {
          EXPECT_EQ(outputs, &rest);
          EXPECT_EQ(decision.recipient_token(), opted_out);
          ++by_reason[v1::Reason_Name(decision.reason())];
        }
      }
    }
    for (const auto& command : outputs->commands) {
      if (command.kind() == v1::COMMAND_KIND_CANCEL) {
        EXPECT_EQ(command.recipient_token(), opted_out);
        ++cancels;
      } else {
        EXPECT_EQ(command.body().plain(), "Hi");
      }
    }
  }
  EXPECT_EQ(decisions, 20'000U);
  // What the first batch had sent to that person is taken back.
  EXPECT_EQ(cancels, 20 - by_reason["REASON_OPTED_OUT"]);
  ASSERT_EQ(by_reason.size(), 1U);
  EXPECT_GE(by_reason["REASON_OPTED_OUT"], 5);
}

TEST(FanOutTest, AQuotaIsNotExceededOverBatches) {
  FoldHarness fold;
  fold.Change(R"({"tenant":{"status":"TENANT_STATUS_ACTIVE","plan":"p"}})");
  fold.Change(R"({"plan":{"id":"p","sends_per_month_max":12000}})");
  fold.Change(R"({"sender":{"id":"main","provider":"fake","is_default":true}})");
  AddTriggers(fold, 20);
  fold.Event(People(1000));
  const Outputs first = fold.RunBatch();
  ASSERT_TRUE(first.more);
  // A fan-out is decided under the plan of its first batch.
  fold.Change(R"({"plan":{"id":"p","sends_per_month_max":1}})");
  const Outputs rest = fold.Run();
  EXPECT_EQ(first.commands.size() + rest.commands.size(), 12'000U);
  const auto outcomes = Outcomes(rest);
  EXPECT_EQ(std::count(outcomes.begin(), outcomes.end(), "SUPPRESS QUOTA_EXCEEDED"), 8000);
}

TEST(FanOutTest, ARestartBetweenBatchesChangesNothing) {
  std::vector<std::string> bytes[2];
  std::string roots[2];
  for (const int restarts : {0, 1}) {
    FoldHarness fold;
    AddTenantWithoutPlan(fold);
    AddTriggers(fold, 12);
    fold.Event(People(1000));
    fold.Event(People(3));
    Outputs outputs;
    do {
      outputs = fold.RunBatch();
      std::move(outputs.bytes.begin(), outputs.bytes.end(), std::back_inserter(bytes[restarts]));
      roots[restarts] += fold.RootHex();
      if (restarts == 1) {
        fold.Restart();
      }
    } while (outputs.more);
  }
  EXPECT_EQ(roots[0], roots[1]);
  EXPECT_EQ(bytes[0], bytes[1]);
}

// A little of everything, in several batches.
std::string RunHistory(bool restarts, std::vector<std::string>* bytes) {
  FoldHarness fold;
  std::string roots;
  const auto run = [&] {
    Outputs outputs = fold.Run();
    std::move(outputs.bytes.begin(), outputs.bytes.end(), std::back_inserter(*bytes));
    roots += fold.RootHex();
    if (restarts) {
      fold.Restart();
    }
  };
  fold.AddTenant();
  AddTriggers(fold, 3, "Hi {{data.name}}", R"("cooldown_us":60000000,"daily_cap":3)");
  run();
  for (int i = 0; i < 30; ++i) {
    fold.Event(fmt::format(R"({{"phone":["+2547{:08}","+254799999999"],"name":"n{}"}})", i % 7, i),
               fmt::format(R"("id":"e{}")", i % 20));
    if (i % 5 == 0) {
      fold.Add(schemas::Topic::kInboundMessages,
               fmt::format(R"({{"inbound_message":{{"from":{{"plain":"+254799999999"}},)"
                           R"("from_kind":"ADDRESS_KIND_PHONE","channel":"CHANNEL_SMS",)"
                           R"("body":{{"plain":"{}"}}}}}})",
                           i % 2 == 0 ? "stop" : "start"));
    }
    if (i % 9 == 0) {
      fold.Change(fmt::format(R"({{"plan":{{"id":"basic","sends_per_month_max":{}}}}})", 40 + i));
      fold.AddRaw(schemas::Topic::kSiteEvents, "acme", "broken");
    }
    fold.Advance(17h);
    run();
  }
  return roots;
}

TEST(DeterminismTest, TheSameBatchesGiveTheSameRootsAndBytes) {
  std::vector<std::string> bytes[3];
  const std::string first = RunHistory(false, &bytes[0]);
  EXPECT_GT(bytes[0].size(), 100U);
  EXPECT_EQ(RunHistory(false, &bytes[1]), first);
  EXPECT_EQ(bytes[1], bytes[0]);
  EXPECT_EQ(RunHistory(true, &bytes[2]), first);
  EXPECT_EQ(bytes[2], bytes[0]);
}

}  // namespace
}  // namespace alertstream::engine
