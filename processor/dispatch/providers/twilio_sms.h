// Twilio's Programmable Messaging, for SMS: a message becomes the HTTP request that hands it over,
// and what comes back becomes an Outcome. API version 2010-04-01,
// twilio.com/docs/messaging/api/message-resource. Pure, no I/O; used by the dispatcher.
//
// Twilio knows no idempotency key: a request that may have arrived and has no answer is AMBIGUOUS.
// The callback URL carries the notification's id, so that a receipt finds it all the same.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/base/time.h"
#include "processor/dispatch/http_exchange.h"
#include "processor/dispatch/outcome.h"

namespace alertstream::dispatch {

// Twilio refuses more with 21617.
inline constexpr std::size_t kTwilioBodyCharactersMax = 1600;
// How long Twilio may try; also what it takes if nothing is said.
inline constexpr std::chrono::seconds kTwilioValidityMax{36'000};
// An answer of Twilio's has about 1 KiB, and up to 6 KiB of text in escapes; what is longer is not
// looked into.
inline constexpr std::size_t kTwilioAnswerBytesMax = 64 << 10;

// A provider account as the settings give it.
struct TwilioAccount {
  std::string name;              // Ours: [a-zA-Z0-9._-]+, part of the callback URL.
  std::string account_sid;       // AC and 32 hexadecimal digits.
  std::string api_key_sid = {};  // SK and 32 hexadecimal digits; empty: the account signs in.
  Redacted<std::string> secret;  // The auth token, or the secret of the API key.
  // Where Twilio reaches us: https, host, perhaps a path, no query. http is for a simulator.
  std::string public_url;
};

struct TwilioSms {
  std::string_view notification_id;  // ntf_…
  std::uint32_t attempt = 1;
  Redacted<std::string_view> to;    // E.164.
  std::string_view from;            // Number, short code, sender id, or messaging service (MG…).
  Redacted<std::string_view> body;  // UTF-8.
  // How long the message is worth delivering; absent: kTwilioValidityMax. More is cut to it.
  std::optional<std::chrono::seconds> validity = {};
};

// Requests of one account. A value; its methods may be called by several threads.
class TwilioSmsRequests {
 public:
  // kInvalid names the setting that is wrong.
  static Result<TwilioSmsRequests> Create(const TwilioAccount& account);

  // kInvalid says which field Twilio would refuse; nothing needs to be sent to learn it.
  Result<HttpRequest> Build(const TwilioSms& sms) const;

 private:
  TwilioSmsRequests() = default;

  std::string path_;
  Redacted<std::string> authorization_;
  std::string callback_prefix_;  // Up to and with "notification_id=".
};

// The outcome that an answer to such a request means. `now` counts a Retry-After that is a date.
Outcome OutcomeOfTwilioAnswer(const HttpAnswer& answer, LogTime now);

// The outcome of a request that has no answer.
Outcome OutcomeOfTwilioFailure(TransportFailure failure);

}  // namespace alertstream::dispatch
