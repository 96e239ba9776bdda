// `webhook sign` and `webhook verify`: signatures of requests, made and checked as the server does
// it, for whoever writes a client or looks for the reason of a 403. Pure but for the streams.
#pragma once

#include <string>
#include <vector>

#include "ops/cli/commands/session.h"
#include "processor/base/redacted.h"
#include "processor/base/time.h"

namespace alertstream::cli {

enum class WebhookScheme : std::uint8_t {
  kIngest,  // X-Signature, of requests to our API.
  kTwilio,  // X-Twilio-Signature, of Twilio's requests to our webhooks.
};
Result<WebhookScheme> ParseWebhookScheme(std::string_view text);  // ingest|twilio
// The target of "DELETE /api/v1/websites/shop". kInvalid
Result<std::string> ParseRequestLine(std::string_view text);

struct WebhookOptions {
  WebhookScheme scheme = WebhookScheme::kIngest;
  Redacted<std::string> secret;  // Signing secret, or auth token.
  std::string url;               // kTwilio: as Twilio was told to call it.
  std::string target;            // kIngest: api::SignedTarget, of a v2; empty: a v1.
  std::string body;              // As sent; a form with kTwilio.
  std::string signature;         // To verify: the header's value.
  LogTime now;                   // Signed at, or arrived at.
};

// Prints the header. kInvalid: the url or the body is none.
Result<ExitCode> WebhookSign(const Streams& io, const WebhookOptions& options);
// Prints "valid", or why it is not, with exit kDenied for a signature that does not fit and
// kFailed for one that cannot be read.
Result<ExitCode> WebhookVerify(const Streams& io, const WebhookOptions& options);

}  // namespace alertstream::cli
