#include "processor/dispatch/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <map>
#include <set>

#include "processor/base/id.h"
#include "processor/log/memory/memory_log.h"
#include "schemas/input_codec.h"
#include "tests/support/command_journal.h"
#include "tests/support/manual_clock.h"
#include "tests/support/raw_http_server.h"
#include "tests/support/runtime_story.h"

namespace alertstream::dispatch {
namespace {

using schemas::Topic;
using std::chrono::milliseconds;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr milliseconds kPatience{10'000};

// One account of twilio's, "main" unless a test changes it, and "other", which has no pace.
class OneAccount final : public ProviderAccounts {
 public:
  explicit OneAccount(std::string url) {
    account_.provider = "twilio";
    account_.name = "main";
    account_.account_sid = "AC" + std::string(32, 'a');
    account_.auth_tokens = {Redacted<std::string>(std::string(32, 'b'))};
    account_.base_url = std::move(url);
    account_.public_url = "https://alerts.example.com";
    account_.sends_per_second = 100'000;
    account_.burst = 100'000;
    Publish();
  }
  void Change(const std::function<void(ProviderAccount*)>& change) {
    const std::lock_guard lock(mutex_);
    change(&account_);
    Publish();
  }
  std::shared_ptr<const ProviderAccount> Find(std::string_view provider,
                                              std::string_view name) const override {
    const std::lock_guard lock(mutex_);
    if (provider == "twilio" && name == "other") {
      auto other = std::make_shared<ProviderAccount>(account_);
      other->name = "other";
      other->sends_per_second = other->burst = 100'000;
      return other;
    }
    return provider == "twilio" && name == account_.name ? current_ : nullptr;
  }
  std::vector<std::shared_ptr<const ProviderAccount>> All() const override {
    const std::lock_guard lock(mutex_);
    return {current_};
  }

 private:
  void Publish() { current_ = std::make_shared<const ProviderAccount>(account_); }

  mutable std::mutex mutex_;
  ProviderAccount account_;
  std::shared_ptr<const ProviderAccount> current_;
};

// The provider: counts messages by text, and answers as the test says.
class Provider {
 public:
  Provider() : server_([this](RawConnection& connection) { Serve(connection); }) {}
  ~Provider() { LetGo(); }

  std::string Url() const { return server_.Url(); }
  // From now on: status and body.
  void AnswerWith(int status, std::string body, std::string headers = "") {
    const std::lock_guard lock(mutex_);
    status_ = status;
    body_ = std::move(body);
    headers_ = std::move(headers);
  }
  // Requests are read, and answered only after LetGo.
  void Hold() {
    const std::lock_guard lock(mutex_);
    holding_ = true;
  }
  void LetGo() {
    {
      const std::lock_guard lock(mutex_);
      holding_ = false;
    }
    changed_.notify_all();
  }
  // "Order 7" -> how often it came.
  std::map<std::string, int> messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
  }
  int count() const {
    int all = 0;
    for (const auto& [text, times] : messages()) {
      all += times;
    }
    return all;
  }
  std::vector<std::string> order() const {
    const std::lock_guard lock(mutex_);
    return order_;
  }
  // False: fewer than `n` came in time.
  bool AwaitCount(int n) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return static_cast<int>(order_.size()) >= n; });
  }

 private:
  void Serve(RawConnection& connection) {
    while (const auto request = connection.Read()) {
      std::unique_lock lock(mutex_);
      const auto at = request->body.find("Body=Order+");
      const auto end = request->body.find('&', at);
      const std::string text = request->body.substr(at + 11, end - at - 11);
      ++messages_[text];
      order_.push_back(text);
      changed_.notify_all();
      changed_.wait(lock, [&] { return !holding_; });
      const std::string body =
          body_.empty() ? fmt::format(R"({{"sid":"SM{:032d}","status":"queued"}})", order_.size())
                        : body_;
      const std::string headers = headers_;
      const int status = status_;
      lock.unlock();
      if (!connection.Answer(status, body, "Content-Type: application/json\r\n" + headers)) {
        return;
      }
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool holding_ = false;
  int status_ = 201;
  std::string body_;
  std::string headers_;
  std::map<std::string, int> messages_;
  std::vector<std::string> order_;
  RawHttpServer server_;
};

struct DispatchStory {
  DispatchStory() : accounts(provider.Url()) {}

  DispatcherOptions Options() {
    DispatcherOptions options{.partitions = {0},
                              .log_id = story.log_id(),
                              .token_key = runtime::StoryKey(),
                              .checkpoint_every = std::chrono::microseconds(0)};
    options.on_error = [this](std::int32_t, const Error& error) {
      const std::lock_guard lock(errors_mutex);
      errors.push_back(error.message());
    };
    return options;
  }
  std::unique_ptr<Dispatcher> Start(DispatcherOptions options) {
    auto dispatcher = Dispatcher::Create(story.log, story.clock, accounts, std::move(options));
    EXPECT_TRUE(dispatcher.ok());
    dispatcher.value()->Start();
    return std::move(dispatcher).value();
  }
  std::unique_ptr<Dispatcher> Start() { return Start(Options()); }

  // "1 started", "1 result accepted", ...: the committed attempts in order.
  std::vector<std::string> Attempts() {
    std::vector<std::string> all;
    for (const v1::Envelope& envelope : Envelopes()) {
      const auto& attempt = envelope.delivery_attempt();
      const auto id = ParseId(IdKind::kNotification, attempt.notification_id());
      EXPECT_TRUE(id.ok());
      const std::uint32_t n = id.value()[15] + 256U * id.value()[14];
      std::string line = std::to_string(n);
      if (attempt.phase() == v1::ATTEMPT_PHASE_RESULT) {
        line += " result " + std::string(OutcomeName(attempt.result()));
        line += attempt.error_code().empty() ? "" : " " + attempt.error_code();
        ExpectContent(attempt);
      } else {
        line += attempt.phase() == v1::ATTEMPT_PHASE_STARTED     ? " started"
                : attempt.phase() == v1::ATTEMPT_PHASE_CANCELLED ? " cancelled"
                                                                 : " expired";
      }
      all.push_back(std::move(line));
    }
    return all;
  }
  // A result that may be followed by another attempt brings along what the fold needs for it.
  static void ExpectContent(const v1::DeliveryAttempt& attempt) {
    constexpr v1::AttemptClass kEnds[] = {
        v1::ATTEMPT_CLASS_ACCEPTED, v1::ATTEMPT_CLASS_PERM_ADDRESS, v1::ATTEMPT_CLASS_PERM_REQUEST,
        v1::ATTEMPT_CLASS_OPT_OUT};
    const bool ends =
        std::find(std::begin(kEnds), std::end(kEnds), attempt.result()) != std::end(kEnds);
    EXPECT_EQ(attempt.has_content(), !ends) << OutcomeName(attempt.result());
    if (!ends) {
      EXPECT_FALSE(attempt.content().to().plain().empty());
      EXPECT_THAT(attempt.content().body().plain(), HasSubstr("Order"));
      EXPECT_FALSE(attempt.content().from_number().empty());
    }
  }
  std::vector<v1::Envelope> Envelopes() {
    std::vector<v1::Envelope> all;
    const log::ReadFrom from{{Topic::kDeliveryAttempts, 0}, 1};
    auto reader = story.log.OpenReader(std::span(&from, 1));
    log::Fetched fetched;
    EXPECT_TRUE(reader.value()->Fetch(0, {100'000, std::size_t{1} << 30}, &fetched).ok());
    for (const auto& record : fetched.records) {
      v1::Envelope envelope;
      EXPECT_FALSE(schemas::DecodeInput(Topic::kDeliveryAttempts, record, &envelope))
          << "the fold would not take it";
      all.push_back(std::move(envelope));
    }
    return all;
  }
  // Waits until so many attempts are committed.
  bool AwaitAttempts(std::size_t count) {
    for (auto waited = milliseconds(0); waited < kPatience; waited += milliseconds(2)) {
      if (Attempts().size() >= count) {
        return true;
      }
      SystemClock().SleepFor(milliseconds(2));
    }
    return false;
  }
  template <typename Condition>
  bool Await(const Condition& condition) {
    for (auto waited = milliseconds(0); waited < kPatience && !condition();
         waited += milliseconds(2)) {
      SystemClock().SleepFor(milliseconds(2));
    }
    return condition();
  }
  std::string Token(std::string_view phone = "+254712345678") {
    const RecipientToken token = MakeRecipientToken(
        runtime::StoryKey(), "acme", static_cast<std::uint8_t>(v1::ADDRESS_KIND_PHONE), phone);
    return {reinterpret_cast<const char*>(token.data()), token.size()};
  }
  v1::NotificationCommand Sms(std::uint32_t n, std::string_view phone = "+254712345678") {
    return SmsCommand(n, Token(phone));
  }

  runtime::Story story;
  CommandJournal journal{story.log, story.log_id()};
  Provider provider;
  OneAccount accounts;
  std::mutex errors_mutex;
  std::vector<std::string> errors;
};

TEST(DispatcherTest, StartsCallsAndWritesTheResult) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  story.journal.Batch({});
  story.journal.Batch({story.Sms(1), story.Sms(2)});
  ASSERT_TRUE(story.AwaitAttempts(4));
  EXPECT_THAT(story.Attempts(), UnorderedElementsAre("1 started", "2 started", "1 result accepted",
                                                     "2 result accepted"));
  const auto records = story.Envelopes();
  EXPECT_EQ(records[0].tenant(), "acme");
  EXPECT_EQ(records[0].type(), "delivery.attempt");
  EXPECT_EQ(records[0].source(), "dispatcher");
  EXPECT_EQ(records[0].trust(), v1::TRUST_SYSTEM);
  EXPECT_EQ(records[0].delivery_attempt().account(), "main");
  EXPECT_THAT(records[3].delivery_attempt().provider_message_id(), HasSubstr("SM"));
  EXPECT_TRUE(dispatcher->Ready());
}

TEST(DispatcherTest, NothingIsCalledBeforeItsStartIsCommitted) {
  DispatchStory story;
  story.story.log.InjectCommitFault(
      "alertstream-dispatch-" + ToHex(story.story.log_id()).substr(0, 12) + "-0-a",
      log::CommitFault::kUnavailable);
  story.journal.Batch({story.Sms(1)});
  std::promise<void> failed;
  auto options = story.Options();
  options.on_error = [&](std::int32_t, const Error&) {
    EXPECT_EQ(story.provider.count(), 0);
    failed.set_value();
  };
  const auto dispatcher = story.Start(std::move(options));
  failed.get_future().wait();
  ASSERT_TRUE(story.AwaitAttempts(2));
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result accepted"));
  EXPECT_EQ(story.provider.count(), 1);
}

// The start was committed, and nobody knows whether the call was made.
TEST(DispatcherTest, AStartWithoutAResultIsAmbiguousForTheNextOwner) {
  DispatchStory story;
  story.provider.Hold();
  story.journal.Batch({story.Sms(1)});
  {
    auto first = story.Start();
    ASSERT_TRUE(story.provider.AwaitCount(1));
    // The owner is gone: what it still writes must not count.
    auto second = story.Start();
    ASSERT_TRUE(story.AwaitAttempts(2));
    EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result ambiguous owner_lost"));
    story.provider.LetGo();
    story.journal.Batch({story.Sms(2)});
    ASSERT_TRUE(story.AwaitAttempts(4));
    ASSERT_TRUE(story.Await([&] { return first->Status()[0].phase == "stopped"; }));
    EXPECT_THAT(first->Status()[0].error, HasSubstr("taken over"));
    EXPECT_FALSE(first->Ready());
  }
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result ambiguous owner_lost",
                                            "2 started", "2 result accepted"));
  EXPECT_THAT(story.provider.messages(),
              UnorderedElementsAre(std::pair("1", 1), std::pair("2", 1)));
}

// In the same process the call's end is still awaited: it is known after all.
TEST(DispatcherTest, OwnCallsSurviveAFailedCommit) {
  const std::pair<log::CommitFault, bool> faults[] = {
      {log::CommitFault::kUnavailable, false},
      {log::CommitFault::kUnknownApplied, true},
      {log::CommitFault::kUnknownNotApplied, false},
      {log::CommitFault::kUnknownAppliedLater, true},
      {log::CommitFault::kUnknownAbortedLater, false}};
  for (const auto& [fault, applied] : faults) {
    DispatchStory story;
    const std::string id =
        "alertstream-dispatch-" + ToHex(story.story.log_id()).substr(0, 12) + "-0-";
    story.provider.Hold();
    const auto dispatcher = story.Start();
    story.journal.Batch({story.Sms(1)});
    ASSERT_TRUE(story.provider.AwaitCount(1));
    story.story.log.InjectCommitFault(id + "b", fault);  // The second transaction: another start.
    story.journal.Batch({story.Sms(2, "+254712345679")});
    ASSERT_TRUE(story.Await([&] {
      const std::lock_guard lock(story.errors_mutex);
      return !story.errors.empty();
    }));
    story.provider.LetGo();
    ASSERT_TRUE(story.AwaitAttempts(4));
    // Of the second nobody can know whether its call was made before the start was known.
    const auto second = applied ? "2 result ambiguous owner_lost" : "2 result accepted";
    EXPECT_THAT(story.Attempts(),
                UnorderedElementsAre("1 started", "1 result accepted", "2 started", second));
    EXPECT_EQ(story.provider.messages()["1"], 1);
    EXPECT_EQ(story.provider.messages()["2"], applied ? 0 : 1);
  }
}

TEST(DispatcherTest, ANewOwnerGoesOnFromTheNewestCheckpoint) {
  DispatchStory story;
  {
    const auto first = story.Start();
    for (std::uint32_t n = 1; n <= 20; ++n) {
      story.journal.Batch({story.Sms(n)});
      ASSERT_TRUE(story.AwaitAttempts(std::size_t{2} * n));
    }
  }
  std::uint64_t done_to = 0;
  for (const auto& record : story.Envelopes()) {
    done_to = std::max(done_to, record.delivery_attempt().done_to());
  }
  EXPECT_GE(done_to, 18U);
  // What lies before it is not needed any more.
  story.story.log.Corrupt({Topic::kNotificationCommands, 0}, 2);
  story.journal.Batch({story.Sms(21)});
  const auto second = story.Start();
  ASSERT_TRUE(story.AwaitAttempts(42));
  EXPECT_EQ(story.provider.count(), 21);
  EXPECT_EQ(story.provider.messages().size(), 21U);
}

// What the first owner has sent lies behind a command that it could not end, and the second one
// notes how far it has read before it has read all of that.
TEST(DispatcherTest, ACheckpointOnTheWayKeepsTheAttemptsOfAnEarlierOwner) {
  DispatchStory story;
  constexpr std::uint32_t kCommands = 200;  // More batches than are read in one step.
  const auto offset = story.story.writer.Inbound("acme", "thank you").offset;
  for (std::uint32_t n = 1; n <= kCommands; ++n) {
    story.journal.Batch({story.Sms(n, n == 1 ? "+254712345678" : "+254712345679")});
  }
  auto options = story.Options();
  {
    const auto first = story.Start(options);
    ASSERT_TRUE(story.AwaitAttempts(2 * (kCommands - 1)));
    ASSERT_EQ(first->Status()[0].held, 1U);
  }
  options.checkpoint_every = std::chrono::hours(1);  // Notes the first one, and no other.
  {
    const auto second = story.Start(options);
    ASSERT_TRUE(story.Await([&] { return second->Status()[0].seq >= kCommands; }));
    story.journal.Batch({}, {{Topic::kInboundMessages, offset + 1}});
    ASSERT_TRUE(story.AwaitAttempts(2 * kCommands));
  }
  std::uint64_t done_to = 0;
  for (const auto& record : story.Envelopes()) {
    done_to = std::max(done_to, record.delivery_attempt().done_to());
  }
  ASSERT_GT(done_to, 0U);
  ASSERT_LT(done_to, kCommands);
  const auto third = story.Start(options);
  story.journal.Batch({story.Sms(kCommands + 1)});
  ASSERT_TRUE(story.AwaitAttempts(2 * (kCommands + 1)));
  for (const auto& [n, sends] : story.provider.messages()) {
    EXPECT_EQ(sends, 1) << n;
  }
}

TEST(DispatcherTest, ACommandIsHeldWhileAnOptOutOfItsPersonIsNotCovered) {
  const std::function<std::pair<Topic, std::int64_t>(runtime::StoryWriter&)> restrict[] = {
      [](auto& writer) { return std::pair(Topic::kOptOuts, writer.OptOut("acme").offset); },
      [](auto& writer) {
        return std::pair(Topic::kConsentChanges,
                         writer.Consent("acme", v1::CONSENT_STATUS_REVOKED).offset);
      },
      [](auto& writer) {
        return std::pair(Topic::kInboundMessages, writer.Inbound("acme", "arrêt").offset);
      }};
  for (const auto& each : restrict) {
    DispatchStory story;
    const auto dispatcher = story.Start();
    story.journal.Batch({});
    const auto [topic, offset] = each(story.story.writer);
    story.journal.Batch({story.Sms(1), story.Sms(2, "+254712345679")});
    ASSERT_TRUE(story.AwaitAttempts(2));
    ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].held == 1; }));
    EXPECT_THAT(story.Attempts(), ElementsAre("2 started", "2 result accepted"));
    // Passed, and taken back in the same batch.
    story.journal.Batch({CancelCommand(1)}, {{topic, offset + 1}});
    ASSERT_TRUE(story.AwaitAttempts(3));
    EXPECT_EQ(story.Attempts().back(), "1 cancelled");
    // What is decided from now on is no longer held.
    story.journal.Batch({story.Sms(3)});
    ASSERT_TRUE(story.AwaitAttempts(5));
    EXPECT_EQ(story.Attempts().back(), "3 result accepted");
    EXPECT_EQ(story.provider.messages().count("1"), 0U);
  }
}

TEST(DispatcherTest, AHeldCommandGoesOnWhenTheJournalHasPassedTheRecord) {
  DispatchStory story;
  const auto offset = story.story.writer.Inbound("acme", "thank you").offset;
  story.journal.Batch({story.Sms(1), story.Sms(2)});
  const auto dispatcher = story.Start();
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].held == 2; }));
  EXPECT_THAT(story.Attempts(), IsEmpty());
  story.journal.Batch({}, {{Topic::kInboundMessages, offset + 1}});
  ASSERT_TRUE(story.AwaitAttempts(4));
  EXPECT_EQ(dispatcher->Status()[0].held, 0U);
}

TEST(DispatcherTest, RecordsThatAllowHoldNobody) {
  DispatchStory story;
  story.story.writer.Consent("acme", v1::CONSENT_STATUS_GRANTED);
  story.story.writer.OptOut("other");
  story.journal.Batch({story.Sms(1)});
  const auto dispatcher = story.Start();
  EXPECT_TRUE(story.AwaitAttempts(2));
}

TEST(DispatcherTest, NothingStartsWhileThePermissionTopicsCannotBeRead) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.AwaitAttempts(2));
  story.story.log.FailReads(Topic::kOptOuts, true);
  story.journal.Batch({story.Sms(2)});
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 1; }));
  EXPECT_EQ(story.provider.count(), 1);
  EXPECT_TRUE(story.Await([&] { return dispatcher->Status()[0].phase == "waiting_for_log"; }));
  EXPECT_THAT(dispatcher->Status()[0].error, HasSubstr("opt-outs"));
  EXPECT_FALSE(dispatcher->Ready());
  story.story.log.FailReads(Topic::kOptOuts, false);
  EXPECT_TRUE(story.AwaitAttempts(4));
  EXPECT_TRUE(story.Await([&] { return dispatcher->Ready(); }));
}

TEST(DispatcherTest, AJournalThatCannotBeReadIsWaitedForWithoutANewTakeOver) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  story.story.log.FailReads(Topic::kJournal, true);
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].phase == "waiting_for_log"; }));
  story.story.log.FailReads(Topic::kJournal, false);
  ASSERT_TRUE(story.AwaitAttempts(2));
  EXPECT_THAT(story.errors, IsEmpty());
}

TEST(DispatcherTest, CancelDropsWhatHasNotStarted) {
  DispatchStory story;
  story.journal.Batch({story.Sms(1), story.Sms(2)});
  story.journal.Batch({CancelCommand(1)});
  const auto dispatcher = story.Start();
  ASSERT_TRUE(story.AwaitAttempts(3));
  EXPECT_THAT(story.Attempts(),
              UnorderedElementsAre("1 cancelled", "2 started", "2 result accepted"));
  EXPECT_EQ(story.provider.count(), 1);
}

TEST(DispatcherTest, ACancelOfAPersonsChannelDropsAllThatIsHeldAndNothingLater) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  const auto offset = story.story.writer.OptOut("acme").offset;
  story.journal.Batch({story.Sms(1), story.Sms(2), story.Sms(3, "+254712345679")});
  ASSERT_TRUE(story.AwaitAttempts(2));
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].held == 2; }));
  v1::NotificationCommand cancel = story.Sms(1);
  cancel.set_kind(v1::COMMAND_KIND_CANCEL);
  cancel.clear_notification_id();
  cancel.clear_message_class();
  story.journal.Batch({cancel, story.Sms(4)}, {{Topic::kOptOuts, offset + 1}});
  ASSERT_TRUE(story.AwaitAttempts(6));
  EXPECT_THAT(story.Attempts(),
              UnorderedElementsAre("1 cancelled", "2 cancelled", "3 started", "3 result accepted",
                                   "4 started", "4 result accepted"));
}

TEST(DispatcherTest, AnExpiredCommandIsNotSent) {
  DispatchStory story;
  story.story.clock.Advance(std::chrono::hours(25));
  story.journal.Batch({story.Sms(1)});
  const auto dispatcher = story.Start();
  ASSERT_TRUE(story.AwaitAttempts(1));
  EXPECT_THAT(story.Attempts(), ElementsAre("1 expired"));
  EXPECT_EQ(story.provider.count(), 0);
}

TEST(DispatcherTest, WhatCannotBeSentIsAnsweredWithoutACall) {
  DispatchStory story;
  auto account = story.Sms(1);
  account.set_account("nobody");
  auto provider = story.Sms(2);
  provider.set_provider("carrier");
  auto channel = story.Sms(3);
  channel.set_channel(v1::CHANNEL_EMAIL);
  auto text = story.Sms(4);
  text.mutable_body()->clear_form();
  const auto dispatcher = story.Start();
  story.journal.Batch({account, provider, channel, text});
  ASSERT_TRUE(story.AwaitAttempts(4));
  EXPECT_THAT(story.Attempts(), UnorderedElementsAre("1 result perm_request account_missing",
                                                     "2 result perm_request account_missing",
                                                     "3 result perm_request channel_unsupported",
                                                     "4 result perm_request request_invalid"));
  EXPECT_EQ(story.provider.count(), 0);
}

TEST(DispatcherTest, FailuresOpenTheBreakerAndUseUpNoAttempt) {
  DispatchStory story;
  story.provider.AnswerWith(500, R"({"code":20500,"status":500})");
  auto options = story.Options();
  options.breaker.failures_in_row = 2;
  options.in_flight_max = 1;
  const auto dispatcher = story.Start(std::move(options));
  story.journal.Batch({story.Sms(1), story.Sms(2), story.Sms(3), story.Sms(4)});
  ASSERT_TRUE(story.AwaitAttempts(4));
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 2; }));
  ASSERT_EQ(dispatcher->Breakers().size(), 1U);
  EXPECT_EQ(dispatcher->Breakers()[0].state, CircuitState::kOpen);
  EXPECT_EQ(dispatcher->Breakers()[0].code, "20500");
  EXPECT_EQ(story.provider.count(), 2);
  // The probe finds it well.
  story.provider.AnswerWith(201, "");
  story.story.clock.Advance(std::chrono::seconds(2));
  ASSERT_TRUE(story.AwaitAttempts(8));
  EXPECT_EQ(dispatcher->Breakers()[0].state, CircuitState::kClosed);
}

TEST(DispatcherTest, ASuspendedAccountWaitsForAPersonOrOtherCredentials) {
  for (const bool by_person : {true, false}) {
    DispatchStory story;
    story.provider.AnswerWith(401, R"({"code":20003,"status":401})");
    const auto dispatcher = story.Start();
    story.journal.Batch({story.Sms(1)});
    ASSERT_TRUE(story.AwaitAttempts(2));
    story.journal.Batch({story.Sms(2)});
    ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 1; }));
    EXPECT_EQ(dispatcher->Breakers()[0].state, CircuitState::kSuspended);
    story.story.clock.Advance(std::chrono::seconds(200));
    story.provider.AnswerWith(201, "");
    EXPECT_EQ(story.provider.count(), 1);
    if (by_person) {
      EXPECT_TRUE(dispatcher->ResetBreaker("twilio", "main"));
      EXPECT_FALSE(dispatcher->ResetBreaker("twilio", "other"));
    } else {
      story.accounts.Change([](ProviderAccount* account) {
        account->auth_tokens = {Redacted<std::string>(std::string(32, 'c'))};
      });
    }
    ASSERT_TRUE(story.AwaitAttempts(4));
    EXPECT_EQ(story.Attempts().back(), "2 result accepted");
  }
}

TEST(DispatcherTest, WhatWaitsLongBehindAnOpenBreakerIsGivenBack) {
  DispatchStory story;
  story.provider.AnswerWith(401, R"({"code":20003,"status":401})");
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.AwaitAttempts(2));
  story.journal.Batch({story.Sms(2)});
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 1; }));
  story.story.clock.Advance(std::chrono::seconds(301));
  ASSERT_TRUE(story.AwaitAttempts(3));
  EXPECT_EQ(story.Attempts().back(), "2 result suspend circuit_open");
  EXPECT_EQ(story.provider.count(), 1);
}

TEST(DispatcherTest, AThrottlePausesTheAccountAndDoesNotOpenTheBreaker) {
  DispatchStory story;
  story.provider.AnswerWith(429, R"({"code":20429,"status":429})", "Retry-After: 30\r\n");
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.AwaitAttempts(2));
  EXPECT_EQ(story.Envelopes()[1].delivery_attempt().retry_after_us(), 30'000'000);
  story.provider.AnswerWith(201, "");
  story.journal.Batch({story.Sms(2)});
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 1; }));
  EXPECT_EQ(dispatcher->Breakers()[0].state, CircuitState::kClosed);
  story.story.clock.Advance(std::chrono::seconds(29));
  SystemClock().SleepFor(milliseconds(50));
  EXPECT_EQ(story.provider.count(), 1);
  story.story.clock.Advance(std::chrono::seconds(2));
  EXPECT_TRUE(story.AwaitAttempts(4));
}

TEST(DispatcherTest, ThePaceKeepsTheOrder) {
  DispatchStory story;
  story.accounts.Change([](ProviderAccount* account) {
    account->sends_per_second = 1;
    account->burst = 1;
  });
  const auto dispatcher = story.Start();
  std::vector<v1::NotificationCommand> commands;
  for (std::uint32_t n = 1; n <= 5; ++n) {
    commands.push_back(story.Sms(n));
  }
  story.journal.Batch(commands);
  for (int n = 1; n <= 5; ++n) {
    ASSERT_TRUE(story.provider.AwaitCount(n));
    EXPECT_EQ(story.provider.count(), n);
    story.story.clock.Advance(std::chrono::seconds(1));
  }
  EXPECT_THAT(story.provider.order(), ElementsAre("1", "2", "3", "4", "5"));
}

// What exceeds it goes back to the fold, the newest first.
TEST(DispatcherTest, KeepsNoMoreThanItsRoomHolds) {
  DispatchStory story;
  auto options = story.Options();
  options.waiting_max = 8;
  options.in_flight_max = 2;
  story.provider.Hold();
  const auto dispatcher = story.Start(std::move(options));
  for (std::uint32_t n = 1; n <= 40; ++n) {
    story.journal.Batch({story.Sms(n)});
  }
  ASSERT_TRUE(story.provider.AwaitCount(2));
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].seq == 40; }));
  EXPECT_LE(dispatcher->Status()[0].waiting, 8U);
  story.provider.LetGo();
  const auto given_back = [&] {
    const auto lines = story.Attempts();
    return static_cast<int>(std::count_if(lines.begin(), lines.end(), [](const auto& line) {
      return line.find(" result throttle queue_full") != std::string::npos;
    }));
  };
  ASSERT_TRUE(story.Await([&] { return story.provider.count() + given_back() == 40; }));
  EXPECT_GE(given_back(), 30);
  EXPECT_THAT(story.provider.order().front(), AnyOf("1", "2"));  // On two connections at once.
}

// A slow account, or one that its provider pauses for an hour, fills the room.
TEST(DispatcherTest, AnAccountThatMayNotSendKeepsNobodyElseWaiting) {
  for (const bool paused : {false, true}) {
    DispatchStory story;
    story.accounts.Change([](ProviderAccount* account) {
      account->sends_per_second = 0.5;
      account->burst = 1;
    });
    if (paused) {
      story.provider.AnswerWith(429, R"({"code":20429,"status":429})", "Retry-After: 3000\r\n");
    }
    auto options = story.Options();
    options.waiting_max = 40;
    const auto dispatcher = story.Start(std::move(options));
    story.journal.Batch({story.Sms(1)});
    ASSERT_TRUE(story.AwaitAttempts(2));
    story.provider.AnswerWith(201, "");
    for (std::uint32_t n = 2; n <= 200; ++n) {
      story.journal.Batch({story.Sms(n)});
    }
    auto other = story.Sms(300);
    other.set_account("other");
    story.journal.Batch({other});
    ASSERT_TRUE(story.Await([&] { return story.provider.messages().contains("300"); }));
    EXPECT_EQ(story.provider.count(), 2);
    for (const auto& record : story.Envelopes()) {
      const auto& attempt = record.delivery_attempt();
      if (attempt.error_code() == "queue_full") {
        EXPECT_EQ(attempt.result(), v1::ATTEMPT_CLASS_THROTTLE);
        // When those before it may have been sent, or the pause is over.
        EXPECT_GE(attempt.retry_after_us(), paused ? 3'000'000'000 : 20'000'000);
        EXPECT_LE(attempt.retry_after_us(), paused ? 3'000'000'000 : 80'000'000);
      }
    }
    // Those that it kept go back as well when they have waited for long.
    story.story.clock.Advance(std::chrono::seconds(301));
    ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 0; }));
    ASSERT_TRUE(story.Await([&] {
      const auto lines = story.Attempts();
      return std::any_of(lines.begin(), lines.end(), [](const auto& line) {
        return line.find("result throttle account_busy") != std::string::npos;
      });
    }));
  }
}

// One transaction has its limit, however much there is to be given back.
TEST(DispatcherTest, GivesBackInTransactionsOfLimitedSize) {
  DispatchStory story;
  story.accounts.Change([](ProviderAccount* account) {
    account->sends_per_second = 0.5;
    account->burst = 1;
  });
  const auto dispatcher = story.Start();
  constexpr std::uint32_t kCommands = 1300;
  std::vector<v1::NotificationCommand> commands;
  for (std::uint32_t n = 1; n <= kCommands; ++n) {
    commands.push_back(story.Sms(n));
  }
  story.journal.Batch(commands);
  ASSERT_TRUE(story.AwaitAttempts(2));
  story.story.clock.Advance(std::chrono::seconds(301));
  ASSERT_TRUE(story.Await([&] { return story.Attempts().size() >= kCommands + 2; }));
  EXPECT_EQ(story.provider.count(), 2);
  EXPECT_EQ(dispatcher->Status()[0].waiting, 0U);
  // A transaction ends with a marker, which takes an offset.
  const log::ReadFrom from{{Topic::kDeliveryAttempts, 0}, 1};
  auto reader = story.story.log.OpenReader(std::span(&from, 1));
  log::Fetched fetched;
  ASSERT_TRUE(reader.value()->Fetch(0, {100'000, std::size_t{1} << 30}, &fetched).ok());
  std::size_t longest = 0;
  std::size_t run = 0;
  for (std::size_t i = 0; i < fetched.records.size(); ++i) {
    const bool goes_on = i > 0 && fetched.records[i].offset == fetched.records[i - 1].offset + 1;
    run = goes_on ? run + 1 : 1;
    longest = std::max(longest, run);
  }
  EXPECT_GE(longest, 400U);
  EXPECT_LE(longest, 510U);
}

// It was not the account that they waited for.
TEST(DispatcherTest, WhatWaitedForPermissionsIsNotGivenBack) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.AwaitAttempts(2));
  story.story.log.FailReads(Topic::kOptOuts, true);
  constexpr std::uint32_t kCommands = 400;  // More than start at once.
  std::vector<v1::NotificationCommand> commands;
  for (std::uint32_t n = 2; n <= kCommands; ++n) {
    commands.push_back(story.Sms(n));
  }
  story.journal.Batch(commands);
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == kCommands - 1; }));
  story.story.clock.Advance(std::chrono::seconds(301));
  SystemClock().SleepFor(milliseconds(250));  // A step sees the time.
  story.story.log.FailReads(Topic::kOptOuts, false);
  ASSERT_TRUE(story.AwaitAttempts(2 * kCommands));
  EXPECT_EQ(story.provider.messages().size(), kCommands);
}

// The log takes back what lies far before; nothing is started until that is read.
TEST(DispatcherTest, AStartReadsOnBeforeItSendsWhatIsTakenBackLater) {
  DispatchStory story;
  story.journal.Batch({story.Sms(1), story.Sms(2)});
  for (int i = 0; i < 300; ++i) {  // More batches than one step reads.
    story.journal.Batch({});
  }
  story.journal.Batch({CancelCommand(1)});
  const auto dispatcher = story.Start();
  ASSERT_TRUE(story.AwaitAttempts(3));
  EXPECT_THAT(story.Attempts(),
              UnorderedElementsAre("1 cancelled", "2 started", "2 result accepted"));
}

TEST(DispatcherTest, StopWaitsForCallsInFlightAndStartsNoMore) {
  DispatchStory story;
  auto options = story.Options();
  options.in_flight_max = 1;
  story.provider.Hold();
  const auto dispatcher = story.Start(std::move(options));
  story.journal.Batch({story.Sms(1), story.Sms(2)});
  ASSERT_TRUE(story.provider.AwaitCount(1));
  auto stopped = std::async(std::launch::async, [&] { dispatcher->Stop(kPatience); });
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].phase == "draining"; }));
  story.provider.LetGo();
  stopped.get();
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result accepted"));
  EXPECT_EQ(dispatcher->Status()[0].phase, "stopped");
}

TEST(DispatcherTest, StopEndsCallsThatTakeTooLong) {
  DispatchStory story;
  story.provider.Hold();
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.provider.AwaitCount(1));
  dispatcher->Stop(milliseconds(20));
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result ambiguous closed_after_sent"));
}

// A result that could not be committed is written before the process ends.
TEST(DispatcherTest, StopWritesTheResultsOfAFailedCommit) {
  DispatchStory story;
  const std::string id =
      "alertstream-dispatch-" + ToHex(story.story.log_id()).substr(0, 12) + "-0-";
  auto options = story.Options();
  std::promise<void> failed;
  options.on_error = [&](std::int32_t, const Error&) { failed.set_value(); };
  story.provider.Hold();
  const auto dispatcher = story.Start(std::move(options));
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.provider.AwaitCount(1));
  story.story.log.InjectCommitFault(id + "b", log::CommitFault::kUnavailable);
  story.provider.LetGo();
  failed.get_future().wait();  // It pauses now, before it takes the partition over again.
  dispatcher->Stop(milliseconds(0));
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result accepted"));
}

// The commit of the last results fails when nothing more is started.
TEST(DispatcherTest, StopTriesAgainToWriteTheLastResults) {
  DispatchStory story;
  const std::string id =
      "alertstream-dispatch-" + ToHex(story.story.log_id()).substr(0, 12) + "-0-";
  story.provider.Hold();
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.provider.AwaitCount(1));
  story.story.log.InjectCommitFault(id + "b", log::CommitFault::kUnknownAbortedLater);
  dispatcher->Stop(milliseconds(20));
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result ambiguous closed_after_sent"));
}

// A rival that began at the same time has one of the ids, and goes no further.
TEST(DispatcherTest, ADispatcherThatLostTheStartTakesThePartitionAgain) {
  for (const bool just_started : {true, false}) {
    DispatchStory story;
    const std::string id =
        "alertstream-dispatch-" + ToHex(story.story.log_id()).substr(0, 12) + "-0-";
    const auto dispatcher = story.Start();
    ASSERT_TRUE(story.Await([&] { return dispatcher->Ready(); }));
    auto rival = story.story.log.OpenTransactor(id + "a");
    ASSERT_TRUE(rival.ok() && rival.value()->Init(std::chrono::seconds(1)).ok());
    if (!just_started) {
      story.story.clock.Advance(std::chrono::minutes(11));  // Then it was replaced.
    }
    story.journal.Batch({story.Sms(1)});
    if (just_started) {
      ASSERT_TRUE(story.AwaitAttempts(2));
      EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result accepted"));
    } else {
      ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].phase == "stopped"; }));
      SystemClock().SleepFor(milliseconds(300));
      EXPECT_THAT(story.Attempts(), IsEmpty());
    }
  }
}

// However long nothing was to be sent: the rival, which has the other id, ends at its first start.
TEST(DispatcherTest, ADispatcherThatWonTheStartGoesOnAfterALongIdleTime) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  ASSERT_TRUE(story.Await([&] { return dispatcher->Ready(); }));
  auto rival = story.story.log.OpenTransactor("alertstream-dispatch-" +
                                              ToHex(story.story.log_id()).substr(0, 12) + "-0-b");
  ASSERT_TRUE(rival.ok() && rival.value()->Init(std::chrono::seconds(1)).ok());
  story.story.clock.Advance(std::chrono::minutes(11));
  for (std::uint32_t n = 1; n <= 3; ++n) {
    story.journal.Batch({story.Sms(n)});
    ASSERT_TRUE(story.AwaitAttempts(std::size_t{2} * n));
  }
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result accepted", "2 started",
                                            "2 result accepted", "3 started", "3 result accepted"));
  EXPECT_TRUE(dispatcher->Ready());
}

TEST(DispatcherTest, EveryCommandIsSentOnceWhateverOwnersComeAndGo) {
  DispatchStory story;
  constexpr std::uint32_t kCommands = 300;
  for (std::uint32_t n = 1; n <= kCommands; n += 5) {
    std::vector<v1::NotificationCommand> commands;
    for (std::uint32_t k = n; k < n + 5; ++k) {
      commands.push_back(story.Sms(k));
    }
    story.journal.Batch(commands);
  }
  auto options = story.Options();
  options.in_flight_max = 7;
  auto owner = story.Start(options);
  for (int round = 1; round <= 6; ++round) {
    ASSERT_TRUE(story.provider.AwaitCount(round * 40));
    owner = story.Start(options);  // The new one takes over from the old one, which then ends.
  }
  const auto outcomes = [&] {
    std::map<std::string, int> results;
    for (const std::string& line : story.Attempts()) {
      if (line.find(" result ") != std::string::npos) {
        ++results[line.substr(0, line.find(' '))];
      }
    }
    return results;
  };
  ASSERT_TRUE(story.Await([&] { return outcomes().size() == kCommands; }));
  for (const auto& [n, results] : outcomes()) {
    EXPECT_EQ(results, 1) << n;
  }
  for (const auto& [n, sends] : story.provider.messages()) {
    EXPECT_EQ(sends, 1) << n;
  }
}

// With the real fold: what it commands is sent, and what the dispatcher writes moves it on.
TEST(DispatcherTest, TheFoldTakesWhatTheDispatcherWrites) {
  DispatchStory story;
  story.accounts.Change([](ProviderAccount* account) { account->name = "AC1"; });
  story.provider.AnswerWith(500, R"({"code":20500,"status":500})");
  story.story.writer.Shop("acme");
  const auto owner = story.story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const auto dispatcher = story.Start();
  story.story.writer.Order("acme", "o1");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_TRUE(story.AwaitAttempts(2));
  // Tried again after a pause, which the fold counts.
  story.provider.AnswerWith(201, "");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.story.clock.Advance(std::chrono::seconds(2));
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_TRUE(story.AwaitAttempts(4));
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const auto outputs = story.story.Read();
  EXPECT_THAT(outputs.dead_letters, IsEmpty());
  ASSERT_EQ(outputs.commands.size(), 2U);
  EXPECT_EQ(outputs.commands[1].notification_id(), outputs.commands[0].notification_id());
  EXPECT_EQ(outputs.commands[1].attempt(), 2U);
  ASSERT_FALSE(outputs.facts.empty());
  EXPECT_EQ(outputs.facts.back().notification().status(), v1::NOTIFICATION_STATUS_ACCEPTED);
}

TEST(DispatcherTest, CountsAttemptsAndShowsBreakers) {
  DispatchStory story;
  Metrics metrics;
  auto options = story.Options();
  options.metrics = &metrics;
  const auto dispatcher = story.Start(std::move(options));
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.AwaitAttempts(2));
  const std::string text = metrics.RenderText();
  EXPECT_THAT(
      text,
      HasSubstr(
          R"(alertstream_dispatch_total{channel="sms",class="accepted",provider="twilio"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(alertstream_circuit_state{account="main",provider="twilio"} 0)"));
  EXPECT_THAT(text, HasSubstr("alertstream_dispatch_duration_seconds_count 1"));
}

}  // namespace
}  // namespace alertstream::dispatch
