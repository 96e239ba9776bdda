// What became of one call to a provider: one of nine classes, the same for every provider. Pure
// vocabulary of the dispatcher and its adapters; the fold decides what to do about it.
//
// The classes are v1::AttemptClass, as stored in the result of a DeliveryAttempt:
//
//   ACCEPTED      The provider has taken the message; receipts will follow. Never sent again.
//   RETRY         A passing failure; the message was certainly or very probably not sent. The same
//                 address may be tried again after a backoff, up to the limit of attempts.
//   THROTTLE      The provider asks for a slower pace and did not take the message. Tried again,
//                 not before `retry_after`; says nothing against the provider's health.
//   AMBIGUOUS     The request was written and no answer came: sent or not, nobody knows. Sent again
//                 only if the message's class may arrive twice, else a receipt has to tell.
//   PERM_ADDRESS  This address can never be reached on this channel. No retry; another channel may.
//   PERM_REQUEST  The request is wrong: text, sender or settings. No retry; for an operator.
//   OPT_OUT       The recipient has refused this sender. No retry, and no marketing elsewhere.
//   WINDOW        Allowed, but not now or not in this form.
//   SUSPEND       Credentials, balance or state of the account. Nothing more goes out on it until
//                 an operator has acted; what is waiting stays.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "schemas/envelope.pb.h"

namespace alertstream::dispatch {

using OutcomeClass = v1::AttemptClass;

// In the order of their numbers.
inline constexpr std::array<OutcomeClass, 9> kOutcomeClasses = {
    v1::ATTEMPT_CLASS_ACCEPTED,  v1::ATTEMPT_CLASS_RETRY,        v1::ATTEMPT_CLASS_THROTTLE,
    v1::ATTEMPT_CLASS_AMBIGUOUS, v1::ATTEMPT_CLASS_PERM_ADDRESS, v1::ATTEMPT_CLASS_PERM_REQUEST,
    v1::ATTEMPT_CLASS_OPT_OUT,   v1::ATTEMPT_CLASS_WINDOW,       v1::ATTEMPT_CLASS_SUSPEND};
static_assert(kOutcomeClasses.size() + 1 == v1::AttemptClass_ARRAYSIZE,
              "a class was added: name it, and look at every adapter");

// "accepted", "retry", ...: the stable name in logs, labels of metrics and JSON.
// REQUIRES: v1::AttemptClass_IsValid(outcome)
constexpr std::string_view OutcomeName(OutcomeClass outcome) {
  constexpr std::array<std::string_view, v1::AttemptClass_ARRAYSIZE> kNames = {
      "unspecified",  "accepted",     "retry",   "throttle", "ambiguous",
      "perm_address", "perm_request", "opt_out", "window",   "suspend"};
  return kNames[static_cast<std::size_t>(outcome)];
}

struct Outcome {
  OutcomeClass result = v1::ATTEMPT_CLASS_UNSPECIFIED;
  // What the provider said ("21610"), else what we saw ("http_502", "closed_after_sent"); empty if
  // accepted. Becomes DeliveryAttempt.error_code.
  std::string code = {};
  std::string provider_message_id = {};
  // How long the provider wants to be left alone, if it said so; at most kRetryAfterMax.
  std::optional<std::chrono::seconds> retry_after = {};

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

}  // namespace alertstream::dispatch
