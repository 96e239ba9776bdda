// Twilio's error codes and the class of each, for answers to a request and for receipts alike:
// twilio.com/docs/api/errors. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "processor/dispatch/outcome.h"

namespace alertstream::dispatch {

struct TwilioCode {
  int code;
  OutcomeClass outcome;
  std::string_view meaning;  // For people; where the class leaves a choice, the better one.
};

// Sorted by code.
inline constexpr auto kTwilioCodes = std::to_array<TwilioCode>({
    // The account and the API.
    {20003, v1::ATTEMPT_CLASS_SUSPEND, "credentials refused"},
    {20005, v1::ATTEMPT_CLASS_SUSPEND, "account not active"},
    {20429, v1::ATTEMPT_CLASS_THROTTLE, "too many requests; not processed"},
    {20500, v1::ATTEMPT_CLASS_RETRY, "error on the provider's side"},
    // Refused when the message was handed over.
    {21211, v1::ATTEMPT_CLASS_PERM_ADDRESS, "recipient's number is not valid"},
    {21212, v1::ATTEMPT_CLASS_PERM_REQUEST, "sender's number is not valid"},
    {21214, v1::ATTEMPT_CLASS_PERM_ADDRESS, "recipient's number cannot be reached"},
    {21216, v1::ATTEMPT_CLASS_PERM_ADDRESS, "calls to this number are blocked"},
    {21265, v1::ATTEMPT_CLASS_PERM_ADDRESS, "recipient's number is a short code"},
    {21408, v1::ATTEMPT_CLASS_PERM_REQUEST, "region not enabled for this account"},
    {21602, v1::ATTEMPT_CLASS_PERM_REQUEST, "message has no body"},
    {21606, v1::ATTEMPT_CLASS_PERM_REQUEST, "sender cannot send to this number"},
    {21608, v1::ATTEMPT_CLASS_PERM_REQUEST, "trial account, and the recipient is not verified"},
    {21610, v1::ATTEMPT_CLASS_OPT_OUT, "recipient has opted out"},
    {21611, v1::ATTEMPT_CLASS_THROTTLE, "sender's queue is full"},
    {21612, v1::ATTEMPT_CLASS_PERM_ADDRESS,
     "no route from this sender to this number; another channel may have one"},
    {21614, v1::ATTEMPT_CLASS_PERM_ADDRESS, "recipient's number is not a mobile one"},
    {21617, v1::ATTEMPT_CLASS_PERM_REQUEST, "body is too long"},
    {21635, v1::ATTEMPT_CLASS_PERM_ADDRESS, "recipient's number is a landline"},
    {21664, v1::ATTEMPT_CLASS_PERM_REQUEST, "fallback sender used wrongly"},
    {21666, v1::ATTEMPT_CLASS_PERM_REQUEST, "fallback sender used wrongly"},
    {21667, v1::ATTEMPT_CLASS_PERM_REQUEST, "fallback sender used wrongly"},
    // Found out on the way.
    {30001, v1::ATTEMPT_CLASS_RETRY, "queue overflow"},
    {30002, v1::ATTEMPT_CLASS_SUSPEND, "account suspended"},
    {30003, v1::ATTEMPT_CLASS_RETRY, "handset off or out of cover; few tries, far apart"},
    {30004, v1::ATTEMPT_CLASS_PERM_ADDRESS, "message blocked"},
    {30005, v1::ATTEMPT_CLASS_PERM_ADDRESS, "handset unknown or no longer in use"},
    {30006, v1::ATTEMPT_CLASS_PERM_ADDRESS, "landline or unreachable carrier; a call may do"},
    {30007, v1::ATTEMPT_CLASS_PERM_REQUEST, "carrier's filter; review text and sender"},
    {30008, v1::ATTEMPT_CLASS_RETRY, "unknown failure at the carrier; one or two tries"},
    {30034, v1::ATTEMPT_CLASS_PERM_REQUEST, "sender is not registered for this traffic"},
    {30036, v1::ATTEMPT_CLASS_RETRY, "validity ran out; only if the message still matters"},
    {30042, v1::ATTEMPT_CLASS_PERM_REQUEST, "sender id not permitted"},
    {30450, v1::ATTEMPT_CLASS_PERM_ADDRESS, "protection against SMS pumping"},
    {30610, v1::ATTEMPT_CLASS_WINDOW, "quiet hours of the recipient"},
    {30640, v1::ATTEMPT_CLASS_OPT_OUT, "recipient is screened as a litigator"},
    // Messages on other channels than SMS.
    {63003, v1::ATTEMPT_CLASS_PERM_ADDRESS, "recipient is not on this channel"},
    {63014, v1::ATTEMPT_CLASS_OPT_OUT, "recipient has blocked the sender"},
    {63016, v1::ATTEMPT_CLASS_WINDOW, "outside the 24 hours of free texts; send a template"},
    {63018, v1::ATTEMPT_CLASS_THROTTLE, "channel's rate limit"},
    {63020, v1::ATTEMPT_CLASS_PERM_REQUEST, "sender's invitation is still pending"},
    {63119, v1::ATTEMPT_CLASS_THROTTLE, "channel operator's rate limit"},
});

constexpr bool CodeLess(const TwilioCode& a, const TwilioCode& b) { return a.code < b.code; }
static_assert(std::is_sorted(kTwilioCodes.begin(), kTwilioCodes.end(), CodeLess));

// Null for a code that is not in the table.
constexpr const TwilioCode* FindTwilioCode(int code) {
  const auto* const found = std::lower_bound(kTwilioCodes.begin(), kTwilioCodes.end(),
                                             TwilioCode{code, {}, {}}, CodeLess);
  return found != kTwilioCodes.end() && found->code == code ? found : nullptr;
}

}  // namespace alertstream::dispatch
