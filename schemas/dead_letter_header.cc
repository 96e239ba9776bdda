#include "schemas/dead_letter_header.h"

#include <google/protobuf/stubs/logging.h>

#include "processor/base/check.h"
#include "schemas/cloudevents.h"
#include "schemas/limits.h"
#include "schemas/text.h"

namespace alertstream::schemas {
namespace {

constexpr std::size_t kIdBytes = 16;
static_assert(kIdBytes + kActorBytesMax + kReasonBytesMax + 128 <= kDeadLetterHeaderBytesMax,
              "the longest action must fit");

bool IsRetry(const v1::DeadLetterAction& action) {
  return action.id().size() == kIdBytes && action.record().offset() >= 0 &&
         (action.kind() == v1::DEAD_LETTER_ACTION_KIND_RETRY ||
          action.kind() == v1::DEAD_LETTER_ACTION_KIND_EDIT) &&
         !action.actor().empty() && action.actor().size() <= kActorBytesMax &&
         HasNoControls(action.actor()) && action.reason().size() <= kReasonBytesMax &&
         HasNoNul(action.reason());
}

}  // namespace

std::optional<v1::DeadLetterAction> RetryOf(std::span<const HeaderView> headers) {
  if (headers.empty()) [[likely]] {
    return std::nullopt;
  }
  bool repeated = false;
  const auto value = FindHeader(headers, kDeadLetterHeader, &repeated);
  if (!value || repeated || value->size() > kDeadLetterHeaderBytesMax) {
    return std::nullopt;
  }
  // The library would write a line to stderr for every text that is not UTF-8.
  const google::protobuf::LogSilencer silence;
  v1::DeadLetterAction action;
  if (!action.ParseFromArray(value->data(), static_cast<int>(value->size())) || !IsRetry(action)) {
    return std::nullopt;
  }
  return action;
}

std::string EncodeRetry(const v1::DeadLetterAction& action) {
  ALERTSTREAM_CHECK(IsRetry(action));
  return action.SerializeAsString();
}

}  // namespace alertstream::schemas
