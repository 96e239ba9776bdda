// The door as a whole, over a memory log with the real writer, watch and fold.
#include "api/ingest/ingest_routes.h"

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/auth/request_signature.h"
#include "schemas/json.h"
#include "tests/support/fake_keys.h"
#include "tests/support/one_answer.h"
#include "tests/support/runtime_story.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::SizeIs;
using namespace std::chrono_literals;
using Fields = std::vector<std::pair<std::string, std::string>>;

// The memory log whose appends wait while the gate is shut.
class GatedLog final : public log::EventLog {
 public:
  explicit GatedLog(log::EventLog& log) : log_(log) {}

  void Shut() {
    const std::lock_guard lock(mutex_);
    shut_ = true;
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    shut_ = false;
    changed_.notify_all();
  }

  std::string Describe() const override { return log_.Describe(); }
  bool ExclusiveWriter() const override { return log_.ExclusiveWriter(); }
  Result<std::vector<log::TopicInfo>> DescribeTopics(std::chrono::milliseconds timeout) override {
    return log_.DescribeTopics(timeout);
  }
  Status ApplyTopics(const log::TopicPlan& plan, std::chrono::milliseconds timeout) override {
    return log_.ApplyTopics(plan, timeout);
  }
  Result<std::int32_t> Partitions(std::chrono::milliseconds timeout) override {
    return log_.Partitions(timeout);
  }
  Result<std::unique_ptr<log::Reader>> OpenReader(std::span<const log::ReadFrom> from) override {
    return log_.OpenReader(from);
  }
  Result<std::vector<std::int64_t>> Ends(std::span<const log::TopicPartition> partitions,
                                         log::EndKind kind,
                                         std::chrono::milliseconds timeout) override {
    return log_.Ends(partitions, kind, timeout);
  }
  Result<std::vector<log::Appended>> Append(std::span<const log::NewRecord> records,
                                            std::chrono::milliseconds timeout) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !shut_; });
    return log_.Append(records, timeout);
  }
  Result<std::unique_ptr<log::Transactor>> OpenTransactor(const std::string& id) override {
    return log_.OpenTransactor(id);
  }

 private:
  log::EventLog& log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool shut_ = false;
};

class FakeIndex final : public IdempotencyIndex {
 public:
  std::optional<IdempotencyEntry> Find(const IdempotencyHash& hash) const override {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(hash);
    return found == entries_.end() ? std::nullopt : std::optional(found->second);
  }
  void Insert(const IdempotencyHash& hash, const IdempotencyEntry& entry) override {
    const std::lock_guard lock(mutex_);
    entries_.emplace(hash, entry);
  }
  void Forget() {
    const std::lock_guard lock(mutex_);
    entries_.clear();
  }

 private:
  mutable std::mutex mutex_;
  std::map<IdempotencyHash, IdempotencyEntry> entries_;
};

const std::string kOrder = R"({"event_type":"order","data":{"phone":"+254712345678","amount":12}})";
std::string Order(const std::string& id, int amount = 12) {
  return R"({"event_type":"order","id":")" + id + R"(","data":{"phone":"+254712345678","amount":)" +
         std::to_string(amount) + "}}";
}

class IngestRoutesTest : public ::testing::Test {
 protected:
  IngestRoutesTest() {
    story_.writer.Shop("acme");
    owner_ = story_.Start();
    EXPECT_TRUE(owner_->RunUntilQuiet().ok());
    keys_.Add("as_sk_1", {.id = "s1",
                          .kind = KeyKind::kSecret,
                          .tenant = "acme",
                          .signing_secrets = {HmacKey("secret")}});
    keys_.SetRate("acme", {.per_second = 1, .burst = 100});
    keys_.Add("as_sk_ghost", {.id = "s2",
                              .kind = KeyKind::kSecret,
                              .tenant = "ghost",
                              .signing_secrets = {HmacKey("secret")}});
    keys_.Add("as_pk_1", {.id = "p1", .tenant = "acme", .origins = {"https://shop.example"}});
    Wire({});
  }
  ~IngestRoutesTest() override {
    gate_.Open();
    writer_->Stop();
    watch_->Stop();
  }

  void Wire(const LogWriterOptions& options) {
    writer_ = std::make_unique<LogWriter>(gate_, options);
    auto watch =
        AnswerWatch::Start(story_.log, SystemClock(), {.log_id = story_.log_id(), .partitions = 1});
    ASSERT_TRUE(watch.ok());
    watch_ = std::move(watch).value();
    routes_ = std::make_unique<http::Routes>();
    ASSERT_TRUE(AddIngestRoutes(routes_.get(), {.identity = keys_,
                                                .writer = *writer_,
                                                .watch = *watch_,
                                                .index = index_,
                                                .partitions = 1,
                                                .clock = story_.clock,
                                                .metrics = metrics_})
                    .ok());
  }

  std::shared_ptr<OneAnswer> Start(const std::string& body, const Fields& fields = {},
                                   const std::string& key = "as_sk_1") {
    http::Request request;
    request.method = "POST";
    request.path = std::string(kIngestPath);
    request.body = body;
    request.headers.Add("Content-Type", "application/json");
    request.headers.Add("X-API-Key", key);
    request.headers.Add("X-Signature", SignRequest(HmacKey("secret"),
                                                   ToMicros(story_.clock.Now()) / 1'000'000, body));
    for (const auto& [name, value] : fields) {
      request.headers.Add(name, value);
    }
    auto sink = std::make_shared<OneAnswer>();
    routes_->Handle(std::move(request), http::Responder(sink, 1));
    return sink;
  }
  http::Response Post(const std::string& body, const Fields& fields = {},
                      const std::string& key = "as_sk_1") {
    return Start(body, fields, key)->Wait();
  }
  // As Post, with the fold at work.
  http::Response PostAndDecide(const std::string& body, const std::string& key = "as_sk_1") {
    const auto sink = Start(body, {{"Prefer", "wait=10"}}, key);
    for (int i = 0; i < 10'000 && !sink->Has(); ++i) {
      EXPECT_TRUE(owner_->RunUntilQuiet().ok());
      SystemClock().SleepFor(1ms);
    }
    return sink->Wait();
  }
  double Requests(std::string_view result) {
    return metrics_.CounterOf(MetricId::kIngestRequests, {result}).value();
  }

  runtime::Story story_{1};
  std::unique_ptr<runtime::Instance> owner_;
  GatedLog gate_{story_.log};
  FakeKeys keys_;
  FakeIndex index_;
  Metrics metrics_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<AnswerWatch> watch_;
  std::unique_ptr<http::Routes> routes_;
};

std::string Text(const http::Response& response, std::string_view path) {
  schemas::JsonDocument document;
  if (!document.Parse(response.body).ok()) {
    return "not JSON: " + response.body;
  }
  const auto value = document.root().FindPath(path);
  return value && value->type() == schemas::JsonType::kString ? std::string(value->AsString())
                                                              : "(none)";
}

TEST_F(IngestRoutesTest, AnEventIsAnsweredOnceTheLogHasIt) {
  gate_.Shut();
  const auto sink = Start(kOrder);
  EXPECT_FALSE(sink->Has());
  gate_.Open();
  const auto response = sink->Wait();
  EXPECT_EQ(response.status, 202);
  EXPECT_THAT(
      response.body,
      MatchesRegex(R"(\{"id":"evt_[0-9A-Z]{26}","accepted_at":"2026-11-20T12:00:00[^"]*Z",)"
                   R"("position":\{"topic":"site-events","partition":0,"offset":[0-9]+\}\})"));
  EXPECT_EQ(response.headers.Find("Content-Type"), "application/json");
  EXPECT_EQ(response.headers.Find("RateLimit-Policy"), "\"events\";q=100;w=100");
  EXPECT_EQ(response.headers.Find("RateLimit"), "\"events\";r=99;t=1");
  // The id is the one under which the fold decides it.
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  const auto outputs = story_.Read();
  ASSERT_THAT(outputs.decisions, SizeIs(1));
  EXPECT_EQ(FormatId(IdKind::kEvent, outputs.decisions[0].event_id()), Text(response, "id"));
  EXPECT_EQ(Requests("accepted"), 1);
  EXPECT_EQ(metrics_.CounterOf(MetricId::kIngestEvents, {"secret"}).value(), 1);
  EXPECT_EQ(metrics_.HistogramOf(MetricId::kIngestAckSeconds).count(), 1U);
}

TEST_F(IngestRoutesTest, WhoWaitsGetsTheDecisions) {
  const auto response = PostAndDecide(kOrder);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.Find("Preference-Applied"), "wait=10");
  EXPECT_THAT(response.body, HasSubstr(R"("position":{"topic":"site-events")"));
  EXPECT_THAT(response.body.substr(response.body.find("\"decisions\"")),
              MatchesRegex(R"("decisions":\[\{"id":"dec_[0-9A-Z]{26}","trigger":"paid",)"
                           R"("recipient":"rcp_[0-9A-Z]{26}","channel":"sms","outcome":"SEND",)"
                           R"("reason":null,"notification_id":"ntf_[0-9A-Z]{26}"\}\]\})"));
}

TEST_F(IngestRoutesTest, AnEventThatNothingMatchesHasOneEntry) {
  const auto response = PostAndDecide(R"({"event_type":"nothing","data":{}})");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body,
              HasSubstr(R"("decisions":[{"id":null,"trigger":null,"recipient":null,"channel":null,)"
                        R"("outcome":"NO_MATCH","reason":null,"notification_id":null}])"));
}

TEST_F(IngestRoutesTest, ADeadLetterIsAnEntryWithItsReason) {
  const auto response = PostAndDecide(kOrder, "as_sk_ghost");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr(R"("outcome":"DEAD_LETTER","reason":"unknown_tenant")"));
  EXPECT_THAT(response.body, HasSubstr(R"("id":"dlq_)"));
}

TEST_F(IngestRoutesTest, WhatTheFoldKnowsAndTheApiDoesNotIsADuplicate) {
  const auto first = PostAndDecide(Order("o-1"));
  index_.Forget();
  const auto second = PostAndDecide(Order("o-1"));
  EXPECT_EQ(second.status, 200);
  EXPECT_THAT(second.body, HasSubstr(R"("outcome":"DUPLICATE")"));
  EXPECT_THAT(second.body, HasSubstr(R"("duplicate_of":")" + Text(first, "id")));
}

TEST_F(IngestRoutesTest, WhoWaitedInVainIsToldSo) {
  const auto response = Post(kOrder, {{"Prefer", "wait=1"}});
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(response.headers.Find("Preference-Applied"), "wait=1");
  EXPECT_THAT(response.body, Not(HasSubstr("decisions")));
}

TEST_F(IngestRoutesTest, APublishableKeyDoesNotWait) {
  // Nothing decides meanwhile: whoever waited would be told so.
  const auto response =
      Post(kOrder, {{"Origin", "https://shop.example"}, {"Prefer", "wait=1"}}, "as_pk_1");
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(response.headers.Find("Preference-Applied"), std::nullopt);
  EXPECT_THAT(response.body, Not(HasSubstr("decisions")));
}

TEST_F(IngestRoutesTest, PublishableKeysUseUpNothingOfTheSecretOnes) {
  const Fields origin = {{"Origin", "https://shop.example"}};
  keys_.SetRate("acme", {.per_second = 1, .burst = 3});
  keys_.Add("as_pk_2", {.id = "p2", .tenant = "acme", .origins = {"https://shop.example"}});
  EXPECT_EQ(Post(kOrder, origin, "as_pk_1").status, 202);
  EXPECT_EQ(Post(kOrder, origin, "as_pk_2").status, 202);
  EXPECT_EQ(Post(kOrder, origin, "as_pk_1").status, 202);
  EXPECT_EQ(Post(kOrder, origin, "as_pk_1").status, 429);
  EXPECT_EQ(Post(kOrder, origin, "as_pk_2").status, 429);
  const auto response = Post(kOrder);
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(response.headers.Find("RateLimit"), "\"events\";r=2;t=1");
}

TEST_F(IngestRoutesTest, TheSecretKeysOfATenantShareItsRate) {
  keys_.SetRate("acme", {.per_second = 1, .burst = 3});
  keys_.Add("as_sk_2", {.id = "other",
                        .kind = KeyKind::kSecret,
                        .tenant = "acme",
                        .signing_secrets = {HmacKey("secret")}});
  EXPECT_EQ(Post(kOrder).status, 202);
  EXPECT_EQ(Post(kOrder, {}, "as_sk_2").status, 202);
  EXPECT_EQ(Post(kOrder).status, 202);
  const auto refused = Post(kOrder, {}, "as_sk_2");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.Find("RateLimit-Policy"), "\"events\";q=3;w=3");
  EXPECT_EQ(refused.headers.Find("RateLimit"), "\"events\";r=0;t=1");
  EXPECT_EQ(refused.headers.Find("Retry-After"), "1");
  // Another tenant has its own.
  EXPECT_EQ(Post(kOrder, {}, "as_sk_ghost").status, 202);
}

TEST_F(IngestRoutesTest, ARepeatedRequestGetsTheFirstAnswer) {
  const auto first = Post(kOrder, {{"Idempotency-Key", "\"k1\""}});
  const auto second = Post(kOrder, {{"Idempotency-Key", "k1"}});
  EXPECT_EQ(second.status, 202);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(first.headers.Find("Idempotent-Replayed"), std::nullopt);
  EXPECT_EQ(second.headers.Find("Idempotent-Replayed"), "true");
  EXPECT_EQ(Requests("replayed"), 1);
  EXPECT_EQ(metrics_.CounterOf(MetricId::kIngestEvents, {"secret"}).value(), 1);
}

TEST_F(IngestRoutesTest, AKeyWithAnotherBodyIsRefused) {
  Post(Order("o-1"));
  const auto response = Post(Order("o-1", 13));
  EXPECT_EQ(response.status, 422);
  EXPECT_EQ(Text(response, "code"), "idempotency_key_reused");
  EXPECT_EQ(response.headers.Find("Content-Type"), "application/problem+json");
}

TEST_F(IngestRoutesTest, AKeyIsTheKeysOfOneTrust) {
  EXPECT_EQ(Post(Order("o-1")).status, 202);
  const auto response = Post(Order("o-1", 13), {{"Origin", "https://shop.example"}}, "as_pk_1");
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(response.headers.Find("Access-Control-Allow-Origin"), "https://shop.example");
  EXPECT_EQ(metrics_.CounterOf(MetricId::kIngestEvents, {"publishable"}).value(), 1);
}

TEST_F(IngestRoutesTest, ARequestUnderWayIsWaitedFor) {
  gate_.Shut();
  const auto first = Start(Order("o-1"));
  const auto same = Start(Order("o-1"));
  const auto other = Post(Order("o-1", 13));
  EXPECT_EQ(other.status, 409);
  EXPECT_EQ(Text(other, "code"), "idempotency_in_progress");
  std::vector<std::shared_ptr<OneAnswer>> more;
  more.reserve(7);
  for (int i = 0; i < 7; ++i) {
    more.push_back(Start(Order("o-1")));
  }
  const auto too_many = Post(Order("o-1"));
  EXPECT_EQ(too_many.status, 409);
  EXPECT_EQ(Text(too_many, "code"), "idempotency_in_progress");
  EXPECT_EQ(too_many.headers.Find("Retry-After"), "1");
  EXPECT_FALSE(same->Has());
  gate_.Open();
  const auto answer = first->Wait();
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(same->Wait().body, answer.body);
  EXPECT_EQ(same->Wait().headers.Find("Idempotent-Replayed"), "true");
  for (const auto& each : more) {
    EXPECT_EQ(each->Wait().body, answer.body);
  }
}

TEST_F(IngestRoutesTest, ALogThatFailsIs503AndTheKeyIsFree) {
  story_.log.FailWrites(true);
  const auto response = Post(Order("o-1"));
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(Text(response, "code"), "unavailable");
  EXPECT_EQ(response.headers.Find("Retry-After"), "1");
  story_.log.FailWrites(false);
  EXPECT_EQ(Post(Order("o-1")).status, 202);
}

TEST_F(IngestRoutesTest, AnotherBodyMayUseAKeyWhoseFirstRequestFailed) {
  gate_.Shut();
  story_.log.FailWrites(true);
  const auto first = Start(Order("o-1"));
  EXPECT_EQ(Post(Order("o-1", 13)).status, 409);
  gate_.Open();
  EXPECT_EQ(first->Wait().status, 503);
  story_.log.FailWrites(false);
  EXPECT_EQ(Post(Order("o-1", 13)).status, 202);
}

TEST_F(IngestRoutesTest, AFullWriterIs503AndTheKeyIsFree) {
  writer_->Stop();
  watch_->Stop();
  Wire({.records_max = 1});
  gate_.Shut();
  const auto first = Start(Order("o-1"));
  const auto second = Post(Order("o-2"));
  EXPECT_EQ(second.status, 503);
  EXPECT_THAT(Text(second, "detail"), HasSubstr("waiting for the log"));
  gate_.Open();
  EXPECT_EQ(first->Wait().status, 202);
  EXPECT_EQ(Post(Order("o-2")).status, 202);
}

TEST_F(IngestRoutesTest, ABatchIsAnsweredItemByItem) {
  Post(Order("o-1"));
  const auto response =
      Post(R"({"events":[)" + Order("o-1") + "," + Order("o-1", 13) + R"(,{"data":1},)" +
           Order("o-2") + "," + Order("o-2") + "," + Order("o-2", 13) + "]}");
  EXPECT_EQ(response.status, 207);
  schemas::JsonDocument document;
  ASSERT_TRUE(document.Parse(response.body).ok()) << response.body;
  std::vector<std::string> items;
  for (auto item = document.root().Find("items")->first_child(); item;
       item = item->next_sibling()) {
    std::string text = std::to_string(item->Find("status")->AsInt());
    if (const auto code = item->FindPath("problem.code")) {
      text.append(" ").append(code->AsString());
    }
    if (item->Find("replayed")) {
      text += " replayed";
    }
    items.push_back(text);
  }
  EXPECT_THAT(items, ::testing::ElementsAre("202 replayed", "422 idempotency_key_reused",
                                            "422 validation_failed", "202", "202 replayed",
                                            "422 idempotency_key_reused"));
  EXPECT_THAT(response.body, HasSubstr(R"("pointer":"#/events/2/event_type")"));
  EXPECT_EQ(response.headers.Find("RateLimit"), "\"events\";r=93;t=7");
  EXPECT_EQ(metrics_.CounterOf(MetricId::kIngestEvents, {"secret"}).value(), 2);
}

TEST_F(IngestRoutesTest, ABatchThatWaitsGetsTheDecisionsOfEachItem) {
  const auto response = PostAndDecide(R"({"events":[)" + Order("o-1") +
                                      R"(,{"data":1},{"event_type":"nothing","data":1}]})");
  EXPECT_EQ(response.status, 207);
  EXPECT_THAT(response.body,
              MatchesRegex(R"(\{"items":\[\{"status":200,.*"outcome":"SEND".*)"
                           R"("status":422,.*"status":200.*"outcome":"NO_MATCH".*)"));
}

TEST_F(IngestRoutesTest, AnEmptyBatchIsAnEmptyList) {
  EXPECT_EQ(Post(R"({"events":[]})").body, R"({"items":[]})");
}

TEST_F(IngestRoutesTest, ABatchOfWhichNothingWasTakenIs503) {
  story_.log.FailWrites(true);
  EXPECT_EQ(Post(R"({"events":[)" + Order("o-1") + R"(,{"data":1}]})").status, 503);
}

TEST_F(IngestRoutesTest, TooManyEventsAreRefusedForAWhile) {
  const std::string batch = [] {
    std::string body = R"({"events":[1)";
    for (int i = 0; i < 98; ++i) {
      body += ",1";
    }
    return body + "]}";
  }();
  EXPECT_EQ(Post(batch).status, 207);
  EXPECT_EQ(Post("malformed").status, 400);  // Costs one, too.
  const auto response = Post(kOrder);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(Text(response, "code"), "rate_limited");
  EXPECT_EQ(response.headers.Find("Retry-After"), "1");
  EXPECT_EQ(response.headers.Find("RateLimit"), "\"events\";r=0;t=1");
  story_.clock.Advance(1s);
  EXPECT_EQ(Post(kOrder).status, 202);
}

TEST_F(IngestRoutesTest, AProcessorThatIsFarBehindIs503) {
  writer_->Stop();
  watch_->Stop();
  writer_ = std::make_unique<LogWriter>(gate_, LogWriterOptions{});
  routes_ = std::make_unique<http::Routes>();
  ASSERT_TRUE(AddIngestRoutes(routes_.get(), {.identity = keys_,
                                              .writer = *writer_,
                                              .watch = *watch_,
                                              .index = index_,
                                              .partitions = 1,
                                              .clock = story_.clock,
                                              .metrics = metrics_,
                                              .options = {.lag_seconds_max = -1}})
                  .ok());
  const auto response = Post(kOrder);
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(Text(response, "code"), "unavailable");
  EXPECT_EQ(response.headers.Find("Retry-After"), "5");
}

TEST_F(IngestRoutesTest, ARefusalSaysHowToAuthenticate) {
  const auto response = Post(kOrder, {}, "as_sk_none");
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.headers.Find("WWW-Authenticate"), R"(ApiKey realm="alertstream")");
  EXPECT_EQ(Text(response, "code"), "unauthenticated");
  EXPECT_EQ(Requests("unauthenticated"), 1);
}

TEST_F(IngestRoutesTest, AnotherMethodIsToldWhichAreTaken) {
  http::Request request;
  request.method = "GET";
  request.path = std::string(kIngestPath);
  auto sink = std::make_shared<OneAnswer>();
  routes_->Handle(std::move(request), http::Responder(sink, 1));
  EXPECT_EQ(sink->Wait().status, 405);
  EXPECT_EQ(sink->Wait().headers.Find("Allow"), "OPTIONS, POST");
}

}  // namespace
}  // namespace alertstream::api
