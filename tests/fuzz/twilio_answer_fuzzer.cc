// An answer of a provider: a line with the status, a line with Retry-After, the body. It has one
// outcome, and only one with a message id counts as accepted.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "processor/base/check.h"
#include "processor/dispatch/providers/twilio_sms.h"
#include "processor/dispatch/retry_after.h"
#include "schemas/limits.h"

namespace alertstream::dispatch {
namespace {

std::string_view TakeLine(std::string_view* bytes) {
  const std::size_t end = std::min(bytes->find('\n'), bytes->size());
  const std::string_view line = bytes->substr(0, end);
  bytes->remove_prefix(std::min(end + 1, bytes->size()));
  return line;
}

void CheckOne(std::string_view bytes) {
  HttpAnswer answer;
  const std::string_view status = TakeLine(&bytes);
  std::from_chars(status.data(), status.data() + status.size(), answer.status);
  answer.headers = {{"Retry-After", std::string(TakeLine(&bytes))}};
  answer.body = Redacted<std::string>(std::string(bytes));
  const Outcome outcome = OutcomeOfTwilioAnswer(answer, FromMicros(1'700'000'000'000'000));

  const bool is_success = answer.status >= 200 && answer.status <= 299;
  const bool is_accepted = outcome.result == v1::ATTEMPT_CLASS_ACCEPTED;
  ALERTSTREAM_CHECK(outcome.result != v1::ATTEMPT_CLASS_UNSPECIFIED);
  ALERTSTREAM_CHECK(!is_accepted || (is_success && !outcome.provider_message_id.empty()));
  ALERTSTREAM_CHECK(outcome.code.empty() == is_accepted);
  ALERTSTREAM_CHECK(outcome.code.size() <= schemas::kProviderStatusBytesMax);
  ALERTSTREAM_CHECK(outcome.provider_message_id.size() <= schemas::kProviderMessageIdBytesMax);
  ALERTSTREAM_CHECK(outcome.provider_message_id.empty() || is_success);
  ALERTSTREAM_CHECK(!outcome.retry_after ||
                    (outcome.retry_after->count() >= 0 && *outcome.retry_after <= kRetryAfterMax));
}

}  // namespace
}  // namespace alertstream::dispatch

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  alertstream::dispatch::CheckOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
