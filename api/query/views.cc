#include "api/query/views.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "api/query/personal_view.h"
#include "processor/base/rfc3339.h"
#include "schemas/json.h"
#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

std::string MonthText(std::int64_t month) {
  return fmt::format("{:04}-{:02}", month / 100, month % 100);
}

}  // namespace

std::string PositionJson(std::string_view topic, std::int64_t partition, std::int64_t offset) {
  return ObjectFields()
      .Text("topic", topic)
      .Integer("partition", partition)
      .Integer("offset", offset)
      .ToJson();
}

ObjectFields EventFields(const read_model::Event& event) {
  ObjectFields fields;
  fields.Text("object", "event")
      .Text("id", event.id)
      .Text("type", event.type)
      .Text("site", event.site.empty() ? std::nullopt : std::optional(event.site))
      .Time("event_time", event.event_time)
      .Time("accepted_at", event.append_time)
      .Time("decided_at", event.decided_at)
      .Text("verdict", event.verdict)
      .Integer("candidates", event.candidates)
      .Text("duplicate_of", event.duplicate_of)
      .Json("position", PositionJson(event.topic, event.partition, event.offset))
      .Integer("engine_version", event.engine_version);
  return fields;
}

ObjectFields DecisionFields(const read_model::Decision& decision) {
  ObjectFields fields;
  fields.Text("object", "decision")
      .Text("id", decision.id)
      .Text("event", decision.event_id)
      .Text("event_type", decision.event_type)
      .Text("trigger", decision.trigger_id)
      .Integer("trigger_version", decision.trigger_version);
  AddDecided(decision, &fields);
  fields.Integer("segments", decision.segments).Time("decided_at", decision.decided_at);
  return fields;
}

void AddDecided(const read_model::Decision& decision, ObjectFields* fields) {
  fields->Text("recipient", decision.recipient)
      .Text("channel", decision.channel)
      .Text("message_class", decision.message_class)
      .Text("outcome", decision.outcome)
      .Text("reason", decision.reason)
      .Time("defer_until", decision.defer_until)
      .Text("notification", decision.notification_id);
}

ObjectFields NotificationFields(const read_model::Notification& notification,
                                const ViewOptions& options) {
  const auto to = options.reveal ? RevealSealed(notification.to_sealed) : std::nullopt;
  ObjectFields fields;
  fields.Text("object", "notification")
      .Text("id", notification.id)
      .Text("kind", notification.kind)
      .Text("event", notification.event_id)
      .Text("decision", notification.decision_id)
      .Text("trigger", notification.trigger_id)
      .Integer("trigger_version", notification.trigger_version)
      .Text("recipient", notification.recipient)
      .Text("to", to ? *to : notification.to_masked)
      .Text("body", options.reveal ? RevealSealed(notification.body_sealed) : std::nullopt)
      .Text("channel", notification.channel)
      .Text("message_class", notification.message_class)
      .Text("status", notification.status)
      .Time("created_at", notification.created_at)
      .Time("updated_at", notification.updated_at)
      .Time("expires_at", notification.expires_at)
      .Text("sender", notification.sender_id)
      .Text("from", notification.from_number)
      .Text("provider", notification.provider)
      .Text("account", notification.account)
      .Text("provider_message_id", notification.provider_message_id)
      .Text("error_code", notification.error_code)
      .Integer("attempt_count", notification.attempts)
      .Integer("segments", notification.segments);
  return fields;
}

ObjectFields AttemptFields(const read_model::Attempt& attempt) {
  ObjectFields fields;
  fields.Integer("attempt", attempt.attempt)
      .Time("started_at", attempt.started_at)
      .Time("finished_at", attempt.finished_at)
      .Text("result", attempt.result)
      .Text("provider", attempt.provider)
      .Text("account", attempt.account)
      .Text("provider_message_id", attempt.provider_message_id)
      .Text("error_code", attempt.error_code)
      .Time("retry_at", attempt.retry_at);
  return fields;
}

std::string TimelineJson(std::string_view timeline) {
  schemas::JsonDocument document;
  if (!document.Parse(timeline).ok()) {
    return "[]";
  }
  schemas::JsonList list;
  for (auto entry = document.root().first_child(); entry; entry = entry->next_sibling()) {
    schemas::JsonObject object;
    for (auto member = entry->first_child(); member; member = member->next_sibling()) {
      const bool is_time = member->name() == "at" || member->name() == "retry_at";
      if (is_time && member->type() == schemas::JsonType::kString) {
        const auto time = ParseRfc3339(member->AsString());
        object.Text(member->name(), time.ok() ? FormatMillis(time.value()) : "");
        continue;
      }
      std::string value;
      schemas::AppendJson(*member, &value);
      object.Raw(member->name(), value);
    }
    list.Raw(object.Take());
  }
  return list.Take();
}

ObjectFields RecipientFields(const read_model::Recipient& recipient, const ViewOptions& options) {
  const auto address = options.reveal ? RevealSealed(recipient.address_sealed) : std::nullopt;
  ObjectFields fields;
  fields.Text("object", "recipient")
      .Text("id", recipient.id)
      .Text("kind", recipient.kind)
      .Text("address", address ? address : recipient.address_masked)
      .Time("first_seen_at", recipient.first_seen_at)
      .Time("last_seen_at", recipient.last_seen_at);
  return fields;
}

ObjectFields ConsentFields(const read_model::Consent& consent, const ViewOptions& options) {
  ObjectFields fields;
  fields.Text("object", "consent")
      .Text("id", consent.id)
      .Text("recipient", consent.recipient)
      .Text("channel", consent.channel)
      .Text("class", consent.message_class)
      .Text("status", consent.status)
      .Text("source", consent.source)
      .Bool("written", consent.written);
  if (consent.evidence) {
    fields.Json("evidence", *consent.evidence);
  } else {
    fields.Null("evidence");
  }
  fields
      .Text("evidence_detail", options.reveal ? RevealSealed(consent.detail_sealed) : std::nullopt)
      .Text("actor", consent.actor)
      .Time("at", consent.at)
      .Time("recorded_at", consent.recorded_at)
      .Text("result", consent.result)
      .Text("reject_reason", consent.reject_reason)
      .Integer("version", consent.version);
  return fields;
}

ObjectFields OptOutFields(const read_model::OptOut& opt_out) {
  ObjectFields fields;
  fields.Text("channel", opt_out.channel)
      .Text("status", opt_out.status)
      .Text("by", opt_out.by)
      .Text("reason", opt_out.reason)
      .Text("actor", opt_out.actor)
      .Time("at", opt_out.at)
      .Integer("version", opt_out.version);
  return fields;
}

ObjectFields DeadLetterFields(const read_model::DeadLetter& letter) {
  ObjectFields fields;
  fields.Text("object", "dead_letter")
      .Text("id", letter.id)
      .Text("stage", letter.stage)
      .Text("reason", letter.reason)
      .Text("detail", letter.detail)
      .Text("event_type", letter.event_type)
      .Time("appended_at", letter.append_time)
      .Time("at", letter.at)
      .Json("position", PositionJson(letter.topic, letter.partition, letter.offset))
      .Text("status", letter.status)
      .Integer("retries", letter.retries)
      .Time("acted_at", letter.acted_at)
      .Text("acted_by", letter.acted_by)
      .Text("acted_reason", letter.acted_reason)
      .Text("died_as", letter.died_as)
      .Text("retry_of", letter.retry_of);
  return fields;
}

ObjectFields AuditFields(const read_model::AuditEntry& entry) {
  ObjectFields fields;
  fields.Text("object", "audit_entry")
      .Text("id", entry.id)
      .Time("at", entry.at)
      .Text("actor", entry.actor)
      .Text("action", entry.action)
      .Text("subject", entry.subject)
      .Json("detail", entry.detail);
  return fields;
}

ObjectFields UsageFields(const read_model::Usage& usage, LogTime now) {
  const std::chrono::sys_time<LogDuration> wall(now.time_since_epoch());
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(wall));
  const std::int64_t month =
      static_cast<int>(day.year()) * 100 + static_cast<int>(static_cast<unsigned>(day.month()));
  const auto next = std::chrono::sys_days((day.year() / day.month() / 1) + std::chrono::months(1));
  const LogTime resets_at{LogDuration(next.time_since_epoch())};
  std::int64_t sends = 0;
  schemas::JsonList months;
  for (const auto& each : usage.months) {
    sends = each.month == month ? each.sends : sends;
    months.Raw(ObjectFields()
                   .Text("month", MonthText(each.month))
                   .Integer("sends", each.sends)
                   .Integer("sends_max", each.sends_max < 0
                                             ? std::nullopt
                                             : std::optional<std::int64_t>(each.sends_max))
                   .ToJson());
  }
  std::optional<std::int64_t> left;
  if (usage.sends_max) {
    left = std::max<std::int64_t>(0, *usage.sends_max - sends);
  }
  ObjectFields fields;
  fields.Text("object", "usage")
      .Text("plan", usage.plan)
      .Text("month", MonthText(month))
      .Integer("sends", sends)
      .Integer("sends_max", usage.sends_max)
      .Integer("left", left)
      .Time("resets_at", resets_at)
      .Json("months", months.Take());
  return fields;
}

}  // namespace alertstream::api
