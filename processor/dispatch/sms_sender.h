// SmsSender: a command becomes the request to its provider, and what comes back becomes an outcome.
// It knows the adapters of providers; nothing else in the dispatcher does. Belongs to one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <variant>

#include "processor/dispatch/accounts.h"
#include "processor/dispatch/http_client.h"
#include "processor/dispatch/outcome.h"
#include "processor/dispatch/providers/twilio_sms.h"
#include "schemas/output.pb.h"

namespace alertstream::dispatch {

class SmsSender {
 public:
  // The request, or the outcome (PERM_REQUEST) of a command that cannot be sent: provider_unknown,
  // channel_unsupported, account_invalid, text_unreadable, request_invalid.
  std::variant<HttpRequest, Outcome> Prepare(const v1::NotificationCommand& command,
                                             const std::shared_ptr<const ProviderAccount>& account,
                                             LogTime now);

  // Thread-safe.
  static Outcome Judge(const HttpOutcome& outcome, LogTime now);

 private:
  struct Known {
    std::shared_ptr<const ProviderAccount> account;  // Shared with the settings; as they were.
    Result<TwilioSmsRequests> requests;
  };
  std::map<std::string, Known> accounts_;
};

// PERM_REQUEST with `code`.
Outcome Unsendable(std::string code);

}  // namespace alertstream::dispatch
