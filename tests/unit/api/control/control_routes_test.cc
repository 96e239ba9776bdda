#include "api/control/control_routes.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schemas/json.h"
#include "tests/support/fake_keys.h"
#include "tests/support/forged_batch.h"
#include "tests/support/one_answer.h"
#include "tests/support/runtime_story.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using namespace std::chrono_literals;

struct Item {
  std::string status;
  std::string reason;
  std::int64_t version = 0;
  std::string text;
};

class ControlRoutesTest : public ::testing::Test {
 protected:
  ControlRoutesTest() {
    story_.writer.Shop("acme");
    owner_ = story_.Start();
    EXPECT_TRUE(owner_->RunUntilQuiet().ok());
    watch_ = Value(AnswerWatch::Start(story_.log, SystemClock(),
                                      {.log_id = story_.log_id(), .partitions = 1}));
    entities_ = Value(EntityBook::Start(story_.log, {.log_id = story_.log_id(), .partitions = 1}));
    writer_ = std::make_unique<LogWriter>(story_.log, LogWriterOptions{});
    identity_.Add("as_op_1", {.id = "ops", .kind = KeyKind::kOperator});
    identity_.Add("as_sk_1", {.id = "shop", .kind = KeyKind::kSecret, .tenant = "acme"});
    EXPECT_TRUE(AddControlRoutes(&routes_, {.identity = identity_,
                                            .writer = *writer_,
                                            .watch = *watch_,
                                            .entities = *entities_,
                                            .partitions = 1,
                                            .clock = story_.clock})
                    .ok());
    while (!entities_->Ready()) {
      SystemClock().SleepFor(1ms);
    }
  }

  template <typename T>
  static T Value(Result<T> result) {
    EXPECT_TRUE(result.ok());
    return std::move(result).value();
  }

  struct Options {
    std::string key = "as_op_1";
    std::string prefer;
    std::string actor;
    bool fold = true;
  };

  // The answer; the processor runs meanwhile.
  http::Response Post(std::string body, const Options& options) {
    http::Request request{.method = "POST", .path = std::string(kControlPath)};
    request.body = std::move(body);
    if (!options.key.empty()) {
      request.headers.Add("X-API-Key", options.key);
    }
    if (!options.prefer.empty()) {
      request.headers.Add("Prefer", options.prefer);
    }
    if (!options.actor.empty()) {
      request.headers.Add("X-Actor", options.actor);
    }
    const auto answer = std::make_shared<OneAnswer>();
    routes_.Handle(std::move(request), http::Responder(answer, 1));
    for (int i = 0; i < 10'000 && options.fold && !answer->Has(); ++i) {
      EXPECT_TRUE(owner_->RunUntilQuiet().ok());
      SystemClock().SleepFor(1ms);
    }
    return answer->Wait();
  }
  http::Response Post(std::string body) { return Post(std::move(body), Options()); }

  static std::vector<Item> Items(const http::Response& response) {
    schemas::JsonDocument document;
    EXPECT_TRUE(document.Parse(response.body).ok()) << response.body;
    std::vector<Item> items;
    const auto results = document.root().Find("results");
    if (!results) {
      ADD_FAILURE() << response.body;
      return items;
    }
    for (auto each = results->first_child(); each; each = each->next_sibling()) {
      Item item{.status = std::string(each->Find("status")->AsString())};
      if (each->Find("reason")->type() == schemas::JsonType::kString) {
        item.reason = std::string(each->Find("reason")->AsString());
      }
      if (each->Find("version")->type() == schemas::JsonType::kInt) {
        item.version = each->Find("version")->AsInt();
      }
      schemas::AppendJson(*each, &item.text);
      items.push_back(std::move(item));
    }
    return items;
  }

  runtime::Story story_{1};
  std::unique_ptr<runtime::Instance> owner_;
  FakeKeys identity_;
  std::unique_ptr<AnswerWatch> watch_;
  std::unique_ptr<EntityBook> entities_;
  std::unique_ptr<LogWriter> writer_;
  http::Routes routes_;
};

constexpr std::string_view kSite = R"({"tenant":"acme","events":[{"kind":"site","id":"shop"}]})";

// An older fold would take the record of a retry for a new one.
TEST_F(ControlRoutesTest, NothingIsRetriedWhileTheEngineVersionIsTooOld) {
  runtime::ForgeBatch(story_, *owner_, {}, 4);
  for (int i = 0; i < 5'000 && watch_->EngineVersion(0) != 4; ++i) {
    SystemClock().SleepFor(1ms);
  }
  for (const std::string_view event :
       {R"({"kind":"dead_letter","action":"drop","id":"dlq_00000000000000000000000000",)"
        R"("topic":"site-events","partition":0,"offset":1,"reason":"x"})",
        R"({"kind":"notification_retry","id":"ntf_00000000000000000000000000",)"
        R"("to":"+254700000002","body":"b","reason":"x"})"}) {
    const auto refused = Post(R"({"tenant":"acme","events":[{"kind":"site","id":"new"},)" +
                              std::string(event) + "]}");
    EXPECT_EQ(refused.status, 409) << refused.body;
    EXPECT_THAT(refused.body, HasSubstr("engine activate 5"));
  }
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  for (const v1::Fact& fact : story_.Read().facts) {
    EXPECT_FALSE(fact.has_site() && fact.site().site().id() == "new") << "nothing is appended";
  }
}

TEST_F(ControlRoutesTest, OnlyAnOperatorMayControl) {
  struct Case {
    std::string_view key;
    int status;
    std::string_view code;
  };
  const std::vector<Case> cases = {{"", 401, "unauthenticated"},
                                   {"as_op_2", 401, "unauthenticated"},
                                   {"as_sk_1", 403, "forbidden"}};
  for (const Case& each : cases) {
    const auto response = Post(std::string(kSite), {.key = std::string(each.key)});
    EXPECT_EQ(response.status, each.status);
    EXPECT_THAT(response.body, HasSubstr(std::string(each.code)));
  }
}

TEST_F(ControlRoutesTest, AnswersWhatTheFoldSaid) {
  const auto response = Post(R"({"tenant":"acme","events":[
      {"kind":"event","event_type":"order","data":{"phone":"+254700000001"},"id":"o1"},
      {"kind":"opt_out","phone":"+254700000002","status":"removed","reason":"r"},
      {"kind":"consent","phone":"+254700000001","class":"marketing","status":"granted"},
      {"kind":"event","tenant":"nobody","event_type":"order","data":1},
      {"kind":"site","id":"shop"},
      {"kind":"site","id":"yard","tenant":"nobody"}]})");
  ASSERT_EQ(response.status, 200) << response.body;
  const auto items = Items(response);
  ASSERT_THAT(items, SizeIs(6));
  EXPECT_EQ(items[0].status, "accepted");
  EXPECT_THAT(items[0].text, HasSubstr(R"("id":"evt_)"));
  EXPECT_THAT(items[0].text, HasSubstr(R"("detail":"accepted")"));
  EXPECT_EQ(items[1].status, "rejected");
  EXPECT_EQ(items[1].reason, "not_opted_out");
  EXPECT_EQ(items[2].status, "accepted");
  EXPECT_EQ(items[2].version, 1);
  EXPECT_THAT(items[2].text, HasSubstr(R"("id":"rcp_)"));
  EXPECT_EQ(items[3].status, "rejected");
  EXPECT_EQ(items[3].reason, "unknown_tenant");
  EXPECT_EQ(items[4].status, "accepted");
  EXPECT_THAT(items[4].text, HasSubstr(R"("position":{"topic":"account-changes","partition":0)"));
  EXPECT_EQ(items[5].status, "rejected");
  EXPECT_EQ(items[5].reason, "unknown_tenant");
  EXPECT_THAT(response.body, Not(HasSubstr("254700000")));
}

TEST_F(ControlRoutesTest, RulesAreAppendedBeforeWhatRefersToThem) {
  const auto items = Items(Post(R"({"tenant":"zoo","events":[
      {"kind":"event","event_type":"fed","data":{}},
      {"kind":"sender","id":"main","provider":"twilio","number":"+254700000009","default":true},
      {"kind":"tenant","id":"zoo","plan":"p"},
      {"kind":"plan","id":"p","sends_per_month_max":5}]})"));
  ASSERT_THAT(items, SizeIs(4));
  for (const Item& item : items) {
    EXPECT_EQ(item.status, "accepted") << item.text;
  }
  EXPECT_THAT(items[0].text, HasSubstr("no_match"));
}

TEST_F(ControlRoutesTest, AnExpectedVersionThatDoesNotFitIsRejected) {
  ASSERT_EQ(Items(Post(std::string(kSite))).at(0).version, 1);
  const auto items = Items(Post(R"({"tenant":"acme","events":[
      {"kind":"site","id":"shop","status":"disabled","expected_version":4},
      {"kind":"site","id":"shop","status":"disabled","expected_version":1}]})"));
  ASSERT_THAT(items, SizeIs(2));
  EXPECT_EQ(items[0].status, "rejected");
  EXPECT_EQ(items[0].reason, "version_mismatch");
  EXPECT_EQ(items[0].version, 1);
  EXPECT_EQ(items[1].status, "accepted");
  EXPECT_EQ(items[1].version, 2);
}

TEST_F(ControlRoutesTest, WhatIsInForceAlreadyIsUnchanged) {
  EXPECT_EQ(Items(Post(std::string(kSite))).at(0).status, "accepted");
  const auto again = Items(Post(std::string(kSite)));
  EXPECT_EQ(again.at(0).status, "unchanged");
  EXPECT_EQ(again.at(0).version, 1);
  const auto changed = Items(
      Post(R"({"tenant":"acme","events":[{"kind":"site","id":"shop","status":"disabled"}]})"));
  EXPECT_EQ(changed.at(0).status, "accepted");
  EXPECT_EQ(changed.at(0).version, 2);
  EXPECT_EQ(Items(Post(std::string(kSite))).at(0).version, 3);
}

TEST_F(ControlRoutesTest, ASenderThatBecomesTheDefaultAgainIsNoUnchangedOne) {
  const auto post = [&](const std::string& id) {
    return Items(Post(R"({"tenant":"acme","events":[{"kind":"sender","id":")" + id +
                      R"(","channel":"sms","provider":"twilio","account":"main",)"
                      R"("number":"+15550006789","default":true}]})"))
        .at(0)
        .status;
  };
  EXPECT_EQ(post("first"), "accepted");
  EXPECT_EQ(post("first"), "unchanged");
  EXPECT_EQ(post("second"), "accepted");
  EXPECT_EQ(post("first"), "accepted");
  EXPECT_EQ(post("first"), "unchanged");
  EXPECT_EQ(post("second"), "accepted");
}

TEST_F(ControlRoutesTest, OneRequestMayChangeARuleAndChangeItBack) {
  ASSERT_EQ(Items(Post(std::string(kSite))).at(0).version, 1);
  const auto items = Items(Post(R"({"tenant":"acme","events":[
      {"kind":"site","id":"shop","status":"disabled"},
      {"kind":"site","id":"shop"},
      {"kind":"site","id":"shop"}]})"));
  ASSERT_THAT(items, SizeIs(3));
  EXPECT_EQ(items[0].version, 2);
  EXPECT_EQ(items[1].status, "accepted");
  EXPECT_EQ(items[1].version, 3);
  EXPECT_EQ(items[2].status, "unchanged");
  EXPECT_EQ(items[2].version, 3);
}

TEST_F(ControlRoutesTest, AChangeThatTheBookHasNotReadIsNotOverlooked) {
  ASSERT_EQ(Items(Post(std::string(kSite))).at(0).version, 1);
  // Another process changes the rule; this one's book no longer follows.
  entities_->Stop();
  const auto book =
      Value(EntityBook::Start(story_.log, {.log_id = story_.log_id(), .partitions = 1}));
  http::Routes others;
  ASSERT_TRUE(AddControlRoutes(&others, {.identity = identity_,
                                         .writer = *writer_,
                                         .watch = *watch_,
                                         .entities = *book,
                                         .partitions = 1,
                                         .clock = story_.clock})
                  .ok());
  std::swap(routes_, others);
  const auto disabled = Items(
      Post(R"({"tenant":"acme","events":[{"kind":"site","id":"shop","status":"disabled"}]})"));
  EXPECT_EQ(disabled.at(0).version, 2);
  std::swap(routes_, others);
  const auto back = Items(Post(std::string(kSite)));
  EXPECT_EQ(back.at(0).status, "accepted");
  EXPECT_EQ(back.at(0).version, 3);
}

TEST_F(ControlRoutesTest, KnowsWhatWasInForceBeforeTheStart) {
  // A plan of the story, written before the book was opened.
  const auto items = Items(Post(R"({"tenant":"acme","events":[
          {"kind":"plan","id":"basic","sends_per_month_max":1000000}]})"));
  EXPECT_EQ(items.at(0).status, "unchanged");
}

TEST_F(ControlRoutesTest, ARepeatedEventIsUnchanged) {
  const std::string body = R"({"tenant":"acme","events":[
      {"kind":"event","event_type":"x","data":1,"id":"e1"}]})";
  EXPECT_EQ(Items(Post(body)).at(0).status, "accepted");
  const auto again = Items(Post(body));
  EXPECT_EQ(again.at(0).status, "unchanged");
  EXPECT_EQ(again.at(0).reason, "duplicate");
}

TEST_F(ControlRoutesTest, WithoutTheFoldsAnswerItIs202WithPositions) {
  for (const std::string_view prefer : {"wait=0", "wait=1"}) {
    const auto response =
        Post(R"({"tenant":"acme","events":[{"kind":"event","event_type":"x","data":1}]})",
             {.prefer = std::string(prefer), .fold = false});
    EXPECT_EQ(response.status, 202);
    const auto items = Items(response);
    EXPECT_EQ(items.at(0).status, "pending");
    EXPECT_THAT(items.at(0).text, HasSubstr(R"("topic":"site-events")"));
  }
}

TEST_F(ControlRoutesTest, NothingIsAppendedIfOneEventIsMalformed) {
  const auto response = Post(R"({"tenant":"acme","events":[{"kind":"site","id":"shop"},{}]})");
  EXPECT_EQ(response.status, 422);
  EXPECT_THAT(response.body, HasSubstr(R"("pointer":"#/events/1/kind")"));
  EXPECT_EQ(Items(Post(std::string(kSite))).at(0).version, 1);
}

TEST_F(ControlRoutesTest, TheActorIsTheKeyAndWhomItActsFor) {
  ASSERT_EQ(Post(std::string(kSite), {.actor = "jane"}).status, 200);
  const auto outputs = story_.Read();
  EXPECT_EQ(outputs.facts.back().actor(), "ops/jane");
  EXPECT_EQ(Post(std::string(kSite), {.actor = std::string(200, 'x')}).status, 400);
}

TEST_F(ControlRoutesTest, ALogThatIsNotThereIs503) {
  story_.log.FailWrites(true);
  const auto response = Post(std::string(kSite), {.fold = false});
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.body, HasSubstr("unavailable"));
}

TEST_F(ControlRoutesTest, EngineActivateAnswersForAllPartitions) {
  const auto items = Items(Post(R"({"events":[{"kind":"engine_activate","version":1}]})"));
  EXPECT_EQ(items.at(0).status, "rejected");
  EXPECT_EQ(items.at(0).reason, "engine_version");
}

}  // namespace
}  // namespace alertstream::api
