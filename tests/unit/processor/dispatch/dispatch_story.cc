#include "tests/unit/processor/dispatch/dispatch_story.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/base/id.h"
#include "schemas/input_codec.h"

namespace alertstream::dispatch {
namespace {

using schemas::Topic;
using std::chrono::milliseconds;

void ExpectContent(const v1::DeliveryAttempt& attempt) {
  constexpr std::array kEnds = {v1::ATTEMPT_CLASS_ACCEPTED, v1::ATTEMPT_CLASS_PERM_ADDRESS,
                                v1::ATTEMPT_CLASS_PERM_REQUEST, v1::ATTEMPT_CLASS_OPT_OUT};
  const bool ends = std::find(kEnds.begin(), kEnds.end(), attempt.result()) != kEnds.end();
  EXPECT_EQ(attempt.has_content(), !ends) << OutcomeName(attempt.result());
  if (!ends) {
    EXPECT_FALSE(attempt.content().to().plain().empty());
    EXPECT_THAT(attempt.content().body().plain(), ::testing::HasSubstr("Order"));
    EXPECT_FALSE(attempt.content().from_number().empty());
  }
}

std::string LineOf(const v1::DeliveryAttempt& attempt) {
  const auto id = ParseId(IdKind::kNotification, attempt.notification_id());
  EXPECT_TRUE(id.ok());
  const std::string line = std::to_string(id.value()[15] + 256U * id.value()[14]);
  switch (attempt.phase()) {
    case v1::ATTEMPT_PHASE_STARTED:
      return line + " started";
    case v1::ATTEMPT_PHASE_CANCELLED:
      return line + " cancelled";
    case v1::ATTEMPT_PHASE_EXPIRED:
      return line + " expired";
    case v1::ATTEMPT_PHASE_RESULT:
      ExpectContent(attempt);
      return line + " result " + std::string(OutcomeName(attempt.result())) +
             (attempt.error_code().empty() ? "" : " " + attempt.error_code());
    case v1::ATTEMPT_PHASE_UNSPECIFIED:
    case v1::AttemptPhase_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::AttemptPhase_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return line + " without a phase";
}

}  // namespace

OneAccount::OneAccount(std::string url) {
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

void OneAccount::Change(const std::function<void(ProviderAccount*)>& change) {
  const std::lock_guard lock(mutex_);
  change(&account_);
  Publish();
}

void OneAccount::SetKnown(bool known) {
  const std::lock_guard lock(mutex_);
  known_ = known;
}

bool OneAccount::Known() const {
  const std::lock_guard lock(mutex_);
  return known_;
}

std::shared_ptr<const ProviderAccount> OneAccount::Find(std::string_view provider,
                                                        std::string_view name) const {
  const std::lock_guard lock(mutex_);
  if (!known_) {
    return nullptr;
  }
  if (provider == "twilio" && name == "other") {
    auto other = std::make_shared<ProviderAccount>(account_);
    other->name = "other";
    other->sends_per_second = other->burst = 100'000;
    return other;
  }
  return provider == "twilio" && name == account_.name ? current_ : nullptr;
}

std::vector<std::shared_ptr<const ProviderAccount>> OneAccount::All() const {
  const std::lock_guard lock(mutex_);
  return {current_};
}

void Provider::AnswerWith(int status, std::string body, std::string headers) {
  const std::lock_guard lock(mutex_);
  status_ = status;
  body_ = std::move(body);
  headers_ = std::move(headers);
}

void Provider::Hold() {
  const std::lock_guard lock(mutex_);
  holding_ = true;
}

void Provider::LetGo() {
  {
    const std::lock_guard lock(mutex_);
    holding_ = false;
  }
  changed_.notify_all();
}

std::map<std::string, int> Provider::messages() const {
  const std::lock_guard lock(mutex_);
  return messages_;
}

int Provider::count() const {
  int all = 0;
  for (const auto& [text, times] : messages()) {
    all += times;
  }
  return all;
}

std::vector<std::string> Provider::order() const {
  const std::lock_guard lock(mutex_);
  return order_;
}

bool Provider::AwaitCount(int n) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return static_cast<int>(order_.size()) >= n; });
}

void Provider::Serve(RawConnection& connection) {
  constexpr std::string_view kBefore = "Body=Order+";
  while (const auto request = connection.Read()) {
    std::unique_lock lock(mutex_);
    const auto at = request->body.find(kBefore) + kBefore.size();
    const std::string text = request->body.substr(at, request->body.find('&', at) - at);
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

DispatcherOptions DispatchStory::Options() {
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

std::unique_ptr<Dispatcher> DispatchStory::Start(DispatcherOptions options) {
  auto dispatcher = Dispatcher::Create(story.log, story.clock, accounts, std::move(options));
  EXPECT_TRUE(dispatcher.ok());
  dispatcher.value()->Start();
  return std::move(dispatcher).value();
}

std::string DispatchStory::TransactionalId(std::string_view which) const {
  return fmt::format("alertstream-dispatch-{}-0-{}", ToHex(story.log_id()).substr(0, 12), which);
}

std::vector<std::string> DispatchStory::Attempts() {
  std::vector<std::string> all;
  for (const v1::Envelope& envelope : Envelopes()) {
    all.push_back(LineOf(envelope.delivery_attempt()));
  }
  return all;
}

std::vector<v1::Envelope> DispatchStory::Envelopes() {
  std::vector<v1::Envelope> all;
  const log::ReadFrom from{{Topic::kDeliveryAttempts, 0}, 1};
  auto reader = story.log.OpenReader(std::span(&from, 1));
  log::Fetched fetched;
  EXPECT_TRUE(reader.value()->Fetch(0, {100'000, std::size_t{1} << 30U}, &fetched).ok());
  for (const auto& record : fetched.records) {
    v1::Envelope envelope;
    EXPECT_FALSE(schemas::DecodeInput(Topic::kDeliveryAttempts, record, &envelope))
        << "the fold would not take it";
    all.push_back(std::move(envelope));
  }
  return all;
}

bool DispatchStory::Await(const std::function<bool()>& condition) {
  for (auto waited = milliseconds(0); waited < kPatience && !condition();
       waited += milliseconds(2)) {
    SystemClock().SleepFor(milliseconds(2));
  }
  return condition();
}

std::string DispatchStory::Token(std::string_view phone) {
  const RecipientToken token = MakeRecipientToken(
      runtime::StoryKey(), "acme", static_cast<std::uint8_t>(v1::ADDRESS_KIND_PHONE), phone);
  return std::string(AsView(token));
}

}  // namespace alertstream::dispatch
