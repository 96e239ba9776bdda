// A call of Twilio's: a line with the URL, a line with the signature, the body. The signature that
// was sent never fits, one made with the token always does; the fields are read or refused by name.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "processor/base/check.h"
#include "processor/dispatch/providers/twilio_urls.h"
#include "processor/dispatch/providers/twilio_webhook.h"
#include "schemas/limits.h"

namespace alertstream::dispatch {
namespace {

std::string_view TakeLine(std::string_view* bytes) {
  const std::size_t end = std::min(bytes->find('\n'), bytes->size());
  const std::string_view line = bytes->substr(0, end);
  bytes->remove_prefix(std::min(end + 1, bytes->size()));
  return line;
}

void CheckError(const Error& error) {
  ALERTSTREAM_CHECK(error.code() == ErrorCode::kInvalid);
  ALERTSTREAM_CHECK(error.message().starts_with("twilio webhook: "));
  ALERTSTREAM_CHECK(error.message().size() < 200);
}

void CheckFields(const Form& fields) {
  const auto callback = ParseTwilioStatus(fields);
  if (callback.ok()) {
    const TwilioStatusCallback& value = callback.value();
    ALERTSTREAM_CHECK(value.status != v1::RECEIPT_STATUS_UNSPECIFIED);
    ALERTSTREAM_CHECK(!value.message_sid.empty() && !value.from.empty());
    ALERTSTREAM_CHECK(value.to.Reveal().size() <= schemas::kPhoneTextBytesMax);
  } else {
    CheckError(callback.error());
  }
  const auto inbound = ParseTwilioInbound(fields);
  if (inbound.ok()) {
    ALERTSTREAM_CHECK(!inbound.value().message_sid.empty() && !inbound.value().to.empty());
    ALERTSTREAM_CHECK(inbound.value().body.Reveal().size() <= schemas::kInboundBodyBytesMax);
  } else {
    CheckError(inbound.error());
  }
}

void CheckOne(std::string_view bytes) {
  const std::string_view url = TakeLine(&bytes);
  const std::string_view signature = TakeLine(&bytes);
  const std::vector<Redacted<std::string>> tokens = {Redacted<std::string>("not in the corpus")};
  const auto sent = VerifyTwilioRequest({url, bytes, signature}, tokens);
  ALERTSTREAM_CHECK(!sent.ok());
  const auto notification = NotificationOfTwilioUrl(url);
  ALERTSTREAM_CHECK(notification.ok() || notification.error().code() == ErrorCode::kInvalid);

  const auto fields = DecodeForm(bytes);
  if (fields.ok()) {
    CheckFields(fields.value());
    const std::string right = SignTwilioRequest(url, fields.value(), tokens.front());
    const auto verified = VerifyTwilioRequest({url, bytes, right}, tokens);
    // Only a URL that is none or that asks for the body's digest keeps it from fitting.
    ALERTSTREAM_CHECK(verified.ok() ? verified.value() == fields.value() ||
                                          url.find("bodySHA256=") != std::string_view::npos
                                    : verified.error().code() == ErrorCode::kInvalid ||
                                          url.find("bodySHA256=") != std::string_view::npos);
  }
}

}  // namespace
}  // namespace alertstream::dispatch

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  alertstream::dispatch::CheckOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
