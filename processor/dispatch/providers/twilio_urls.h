// The paths under which Twilio reaches us, and the parameter by which a status callback says which
// notification it is about. Pure; the adapter writes these URLs into requests, the webhooks' door
// and the provider simulator read them.
#pragma once

#include <string>
#include <string_view>

#include "processor/base/result.h"

namespace alertstream::dispatch {

// Part of URLs that Twilio keeps for hours: a change would lose the callbacks under way.
inline constexpr std::string_view kTwilioNotificationParameter = "notification_id";

// `account` is our name of the provider account.
inline std::string TwilioStatusPath(std::string_view account) {
  return "/webhooks/twilio/" + std::string(account) + "/status";
}
inline std::string TwilioInboundPath(std::string_view account) {
  return "/webhooks/twilio/" + std::string(account) + "/inbound";
}

// The notification (ntf_…) that a StatusCallback URL, or its path and query, names; "" if it names
// none. kInvalid if it names two, or something else than a notification.
Result<std::string> NotificationOfTwilioUrl(std::string_view url);

}  // namespace alertstream::dispatch
