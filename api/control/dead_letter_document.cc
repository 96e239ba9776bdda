#include "api/control/dead_letter_document.h"

#include <array>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "processor/base/base64.h"
#include "processor/base/id.h"
#include "schemas/dead_letter_header.h"
#include "schemas/enum_words.h"
#include "schemas/json_object.h"
#include "schemas/limits.h"
#include "schemas/text.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

// Index + 1 is the number of v1::DeadLetterActionKind.
constexpr std::array<std::string_view, 4> kActions = {"retry", "edit", "drop", "purge"};

// A record, with key and headers, in base64.
constexpr std::size_t kRecordTextBytesMax =
    static_cast<std::size_t>(schemas::kDeadLetterBytesMax) / 3 * 4 + 4;

void ReadRecord(FieldReader& fields, DeadLetterChange* change) {
  const auto bytes = FromBase64(fields.Text("record_base64", Need::kRequired, kRecordTextBytesMax));
  v1::RawRecord record;
  if (!bytes || !record.ParseFromString(*bytes)) {
    return fields.Problem("record_base64", "expected a RawRecord in base64");
  }
  change->record = std::move(record);
}

}  // namespace

std::optional<http::ProblemDetails> RefusalOfVersion(std::optional<std::uint32_t> in_force) {
  if (!in_force) {
    return http::ProblemDetails{.status = 503,
                                .code = "unavailable",
                                .detail =
                                    "Nothing was appended: the log cannot be asked now which "
                                    "engine version is in force."};
  }
  // A partition where nothing was decided begins with a version that knows dead letters.
  if (*in_force == 0 || *in_force >= kRepairEngineVersionMin) {
    return std::nullopt;
  }
  return http::ProblemDetails{
      .status = 409,
      .code = "engine_version",
      .detail = fmt::format("Nothing was appended: the log is at engine version {}; dead letters "
                            "and notifications can be retried, dropped and purged from {} on "
                            "(alertstream engine activate {}).",
                            *in_force, kRepairEngineVersionMin, kRepairEngineVersionMin)};
}

void ReadDeadLetterChange(FieldReader& fields, std::int32_t partitions, DeadLetterChange* change) {
  const auto kind = fields.Choice("action", Need::kRequired, kActions);
  const std::string id = fields.Text("id", Need::kRequired, schemas::kNotificationIdBytesMax);
  const auto parsed = ParseId(IdKind::kDeadLetter, id);
  if (!id.empty() && !parsed.ok()) {
    fields.Problem("id", "expected the id of a dead letter, dlq_...");
  }
  const auto topic =
      schemas::TopicByName(fields.Text("topic", Need::kRequired, schemas::kNameBytesMax));
  if (!topic || schemas::SpecOf(*topic).role != schemas::TopicRole::kInput) {
    fields.Problem("topic", "expected the name of an input topic, such as site-events");
  }
  const auto partition =
      fields.Integer("partition", Need::kRequired, {.min = 0, .max = partitions - 1});
  const auto offset = fields.Integer("offset", Need::kRequired,
                                     {.min = 0, .max = std::numeric_limits<std::int64_t>::max()});
  if (!kind || !parsed.ok() || !topic || !partition || !offset) {
    return;
  }
  v1::DeadLetterAction& action = change->action;
  action.set_id(std::string(AsView(parsed.value())));
  action.set_kind(static_cast<v1::DeadLetterActionKind>(*kind + 1));
  action.mutable_record()->set_topic(static_cast<std::uint32_t>(*topic));
  action.mutable_record()->set_partition(static_cast<std::uint32_t>(*partition));
  action.mutable_record()->set_offset(*offset);
  action.set_forced(fields.Bool("forced", false));
  change->reason = fields.Text("reason", Need::kRequired, schemas::kReasonBytesMax);
  if (action.kind() == v1::DEAD_LETTER_ACTION_KIND_RETRY ||
      action.kind() == v1::DEAD_LETTER_ACTION_KIND_EDIT) {
    ReadRecord(fields, change);
  }
}

std::string ReadNotificationRetry(FieldReader& fields, v1::Envelope* event) {
  v1::DirectNotification* direct = event->mutable_site_event()->mutable_direct();
  v1::RetryRequested* retry = direct->mutable_retry();
  event->set_site(fields.Text("site", Need::kOptional, schemas::kSiteIdBytesMax));
  retry->set_notification_id(fields.Text("id", Need::kRequired, schemas::kNotificationIdBytesMax));
  direct->mutable_to()->set_plain(fields.Text("to", Need::kRequired, schemas::kPushTokenBytesMax));
  retry->mutable_body()->set_plain(
      fields.Text("body", Need::kRequired, schemas::kMessageBodyBytesMax));
  retry->set_sender_id(fields.Text("sender", Need::kOptional, schemas::kEntityIdBytesMax));
  retry->set_forced(fields.Bool("forced", false));
  retry->set_reason(fields.Text("reason", Need::kRequired, schemas::kReasonBytesMax));
  return retry->notification_id();
}

Result<RecordToAppend> RetryRecord(schemas::Topic topic, std::int32_t partition,
                                   const v1::RawRecord& record,
                                   const v1::DeadLetterAction& action) {
  if (!HasRecord(action.record())) {
    return Error(ErrorCode::kConflict, "the dead letter is a timer's; it has no record");
  }
  RecordToAppend again{
      .topic = topic, .partition = partition, .key = record.key(), .value = record.value()};
  for (const auto& header : record.headers()) {
    // Of an earlier retry, which died as this one; the fold finds it in any case.
    if (!schemas::EqualsIgnoringCase(header.name(), schemas::kDeadLetterHeader)) {
      again.headers.emplace_back(header.name(), header.value());
    }
  }
  again.headers.emplace_back(schemas::kDeadLetterHeader, schemas::EncodeRetry(action));
  return again;
}

std::string DeadLetterDocument(const DeadLetterChange& change, const std::string& tenant) {
  const v1::DeadLetterAction& action = change.action;
  schemas::JsonObject object;
  object.Text("kind", "dead_letter")
      .Text("action", schemas::Word(action.kind()))
      .Text("id", FormatId(IdKind::kDeadLetter, action.id()))
      .Text("topic", schemas::NameOf(static_cast<schemas::Topic>(action.record().topic())))
      .Integer("partition", action.record().partition())
      .Integer("offset", action.record().offset())
      .Bool("forced", action.forced())
      .Text("reason", change.reason);
  if (schemas::IsTenantId(tenant)) {  // Of a letter of nobody it is empty or `_unrouted`.
    object.Text("tenant", tenant);
  }
  if (change.record) {
    object.Text("record_base64", ToBase64(change.record->SerializeAsString()));
  }
  return object.Take();
}

std::string NotificationRetryDocument(const v1::Envelope& event) {
  const v1::DirectNotification& direct = event.site_event().direct();
  const v1::RetryRequested& retry = direct.retry();
  schemas::JsonObject object;
  object.Text("kind", "notification_retry")
      .Text("tenant", event.tenant())
      .Text("id", retry.notification_id())
      .Text("to", direct.to().plain())
      .Text("body", retry.body().plain())
      .Bool("forced", retry.forced())
      .Text("reason", retry.reason());
  if (!retry.sender_id().empty()) {
    object.Text("sender", retry.sender_id());
  }
  if (!event.site().empty()) {
    object.Text("site", event.site());
  }
  return object.Take();
}

}  // namespace alertstream::api
