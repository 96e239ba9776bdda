// The input records that a webhook of Twilio's becomes. Pure; used by the door (twilio_door.h).
//
// A status callback is one receipt. One whose error code says that the person refuses us is also
// an opt-out by the provider. An inbound message is one record; where Twilio's own list of words
// took it for a STOP and ours does not (another language), an opt-out by the provider goes with it.
// As a STOP does, such an opt-out of text messages covers voice calls. Twilio's START in words that
// we do not know lifts nothing: an opt-out ends only by what we can read ourselves. A HELP of such
// words needs nothing, because Twilio has answered it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/log/log_writer.h"
#include "processor/base/result.h"
#include "processor/base/time.h"
#include "processor/dispatch/providers/twilio_webhook.h"

namespace alertstream::api {

// Where a webhook came in and whom it is for.
struct WebhookOrigin {
  std::string_view account;           // Our name of the provider account.
  std::optional<std::string> tenant;  // Nothing: nobody's number; the task dead-letters it.
  std::int32_t partitions = 0;        // Of every topic.
  LogTime now;
};

// The most important first: Append is not atomic, and a provider repeats what was not acknowledged.
// kInvalid: a field that no task would take; says which.
// REQUIRES: partitions > 0; `notification_id` is a notification's or empty.
Result<std::vector<RecordToAppend>> RecordsOfTwilioStatus(
    const dispatch::TwilioStatusCallback& callback, std::string_view notification_id,
    const WebhookOrigin& origin);
Result<std::vector<RecordToAppend>> RecordsOfTwilioInbound(const dispatch::TwilioInbound& inbound,
                                                           const WebhookOrigin& origin);

}  // namespace alertstream::api
