#include "ops/simulator/callbacks.h"

#include <utility>
#include <variant>

#include "processor/dispatch/providers/form.h"
#include "processor/dispatch/providers/twilio_webhook.h"

namespace alertstream::simulator {
namespace {

enum class Verdict : std::uint8_t { kAccepted, kAgain, kFailed };

Verdict VerdictOf(const dispatch::HttpOutcome& outcome) {
  const auto* answer = std::get_if<dispatch::HttpAnswer>(&outcome);
  if (answer == nullptr || answer->status >= 500 || answer->status == 429) {
    return Verdict::kAgain;
  }
  return answer->status >= 200 && answer->status < 300 ? Verdict::kAccepted : Verdict::kFailed;
}

}  // namespace

// Belongs to one callback at a time: the timer's, then the client's.
struct Callbacks::Telling {
  std::shared_ptr<const Message> message;
  Redacted<std::string> auth_token;
  std::vector<std::string> statuses;
  std::size_t at = 0;
  std::uint32_t tries = 0;        // Of the status at `at`.
  std::string idempotency_token;  // The same for all tries of one status.
};

void Callbacks::Tell(std::shared_ptr<const Message> message, Redacted<std::string> auth_token,
                     std::vector<std::string> statuses) {
  auto telling = std::make_shared<Telling>();
  telling->message = std::move(message);
  telling->auth_token = std::move(auth_token);
  telling->statuses = std::move(statuses);
  Later(options_.delay, std::move(telling));
}

void Callbacks::Later(std::chrono::milliseconds delay, std::shared_ptr<Telling> telling) {
  if (!timers_.After(delay, [this, telling = std::move(telling)] { Next(telling); })) {
    ++dropped_;
  }
}

void Callbacks::Next(const std::shared_ptr<Telling>& telling) {
  if (client_.pending() >= options_.pending_max) {
    ++dropped_;
    return;
  }
  if (telling->tries == 0) {
    telling->idempotency_token = MakeSid("");
  }
  ++telling->tries;
  Submit(telling->message->status_callback,
         StatusFields(*telling->message, telling->statuses[telling->at]), telling->auth_token,
         telling->idempotency_token,
         [this, telling](const dispatch::HttpOutcome& outcome) { Answered(telling, outcome); });
}

void Callbacks::Answered(const std::shared_ptr<Telling>& telling,
                         const dispatch::HttpOutcome& outcome) {
  const Verdict verdict = VerdictOf(outcome);
  if (verdict == Verdict::kAgain && telling->tries < options_.tries_max) {
    ++retried_;
    Later(options_.retry_pause * telling->tries, telling);
    return;
  }
  ++(verdict == Verdict::kAccepted ? accepted_ : failed_);
  telling->tries = 0;
  if (++telling->at < telling->statuses.size()) {
    Later(options_.delay, telling);
  }
}

void Callbacks::Post(std::string_view url, const dispatch::Form& form,
                     const Redacted<std::string>& auth_token, dispatch::HttpClient::Done done) {
  Submit(url, form, auth_token, MakeSid(""), std::move(done));
}

void Callbacks::Submit(std::string_view url, const dispatch::Form& form,
                       const Redacted<std::string>& auth_token,
                       const std::string& idempotency_token, dispatch::HttpClient::Done done) {
  url = url.substr(0, url.find('#'));
  const std::size_t host = url.find("//") + 2;
  const std::size_t end = std::min(url.find_first_of("/?", host), url.size());
  const std::string_view target = url.substr(end);
  std::string path(target.starts_with('/') ? "" : "/");
  path.append(target);
  client_.Submit(
      {.base_url = std::string(url.substr(0, end)),
       .request = {.method = "POST",
                   .path = std::move(path),
                   .headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"},
                               {"User-Agent", "TwilioProxy/1.1"},
                               {"I-Twilio-Idempotency-Token", idempotency_token},
                               {"X-Twilio-Signature",
                                dispatch::SignTwilioRequest(url, form, auth_token)}},
                   .body = Redacted<std::string>(dispatch::EncodeForm(form))}},
      std::move(done));
}

CallbackCounts Callbacks::counts() const {
  return {.accepted = accepted_, .failed = failed_, .retried = retried_, .dropped = dropped_};
}

}  // namespace alertstream::simulator
