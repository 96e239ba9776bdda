// What Twilio sends to us: the check of X-Twilio-Signature over the raw bytes, then status
// callbacks and inbound messages as plain structs. twilio.com/docs/usage/security. Pure; used by
// the door of the webhooks, and SignTwilioRequest by the provider simulator and the command line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/dispatch/providers/form.h"
#include "schemas/envelope.pb.h"

namespace alertstream::dispatch {

inline constexpr std::size_t kTwilioUrlBytesMax = 8192;  // Half of what an edge takes as headers.

struct TwilioSignedRequest {
  // As Twilio was told to call it: our configured public scheme and host, then path and query as
  // they came. Never built from the header Host alone. A fragment is not part of what is signed.
  std::string_view url;
  std::string_view body;       // As received; empty for a GET.
  std::string_view signature;  // The value of X-Twilio-Signature; empty if there is none.
};

// The fields of the body, if one of the account's auth tokens signed the request; an API key's
// secret never does. Twilio's ways of signing differ in a standard port and in escapes of the
// query, so either form of both is accepted. A URL with bodySHA256 means a body that is no form:
// then the digest has to be the body's, and there are no fields.
// kInvalid (HTTP 400): no signature, a URL that is none, a body that is no form. kDenied (403): no
// token fits. An empty token fits nothing.
Result<Form> VerifyTwilioRequest(const TwilioSignedRequest& request,
                                 std::span<const Redacted<std::string>> auth_tokens);

// The value of X-Twilio-Signature for a request to `url`, taken as it is but for a fragment.
std::string SignTwilioRequest(std::string_view url, std::span<const FormField> fields,
                              const Redacted<std::string>& auth_token);

// A status callback: what became of a message of ours.
struct TwilioStatusCallback {
  std::string account_sid;
  std::string message_sid;
  v1::ReceiptStatus status = v1::RECEIPT_STATUS_UNSPECIFIED;
  std::string provider_status;  // Twilio's own word for it.
  std::string error_code;       // Of a failure, a number (twilio_codes.h); else empty.
  v1::Channel channel = v1::CHANNEL_UNSPECIFIED;
  // Our own number or sender id: tells whose message it is. Empty if a messaging service had not
  // chosen one.
  std::string from;
  Redacted<std::string> to;
  std::string messaging_service_sid;  // Empty if the message had none.
};

// What Twilio made of the text, where it looks after opt-outs itself; it has then answered already.
// Its words may be another language's, which our own list does not know.
enum class TwilioOptOut : std::uint8_t { kNone, kStop, kStart, kHelp };

// An inbound message: what a person wrote to us.
struct TwilioInbound {
  std::string account_sid;
  std::string message_sid;
  v1::Channel channel = v1::CHANNEL_UNSPECIFIED;
  Redacted<std::string> from;
  std::string to;              // Our own number.
  Redacted<std::string> body;  // Empty if there are only pictures.
  std::string messaging_service_sid;
  TwilioOptOut opt_out = TwilioOptOut::kNone;
};

// Of fields that VerifyTwilioRequest gave. Fields that are not looked at may be anything; one that
// is may not occur twice. kInvalid names the field.
Result<TwilioStatusCallback> ParseTwilioStatus(std::span<const FormField> fields);
Result<TwilioInbound> ParseTwilioInbound(std::span<const FormField> fields);

}  // namespace alertstream::dispatch
