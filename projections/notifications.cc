#include "projections/notifications.h"

#include <fmt/format.h>

#include <algorithm>

#include "processor/base/rfc3339.h"
#include "projections/text.h"
#include "schemas/json_object.h"
#include "schemas/personal.h"

namespace alertstream::projections {
namespace {

constexpr sql::Statement kInsert = {
    "projections.notifications.insert",
    "INSERT INTO notifications (tenant_id, id, kind, event_id, decision_id, trigger_id,"
    " trigger_version, recipient, channel, message_class, created_at, expires_at, sender_id,"
    " segments, to_sealed, to_masked, body_sealed, status, updated_at, provider, account,"
    " from_number, provider_message_id, error_code, attempts, timeline, partition, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],"
    " $7::int[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[],"
    " $13::text[], $14::int[], $15::bytea[], $16::text[], $17::bytea[], $18::text[],"
    " $19::timestamptz[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[],"
    " $25::int[], $26::jsonb[], $27::int[], $28::bigint[])"};

constexpr sql::Statement kUpdate = {
    "projections.notifications.update",
    "UPDATE notifications n SET status = coalesce(c.status, n.status), updated_at = c.updated_at,"
    " provider = coalesce(c.provider, n.provider), account = coalesce(c.account, n.account),"
    " from_number = coalesce(c.from_number, n.from_number),"
    " provider_message_id = coalesce(c.provider_message_id, n.provider_message_id),"
    " error_code = CASE WHEN c.sets_error THEN c.error_code ELSE n.error_code END,"
    " attempts = greatest(n.attempts, c.attempts), timeline = n.timeline || c.timeline,"
    " partition = c.partition, seq = c.seq"
    " FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[],"
    " $7::text[], $8::text[], $9::boolean[], $10::text[], $11::int[], $12::jsonb[], $13::int[],"
    " $14::bigint[]) AS c(tenant_id, id, status, updated_at, provider, account, from_number,"
    " provider_message_id, sets_error, error_code, attempts, timeline, partition, seq)"
    " WHERE n.tenant_id = c.tenant_id AND n.id = c.id"};

// A message's first command and what became of it in the same transaction.
struct Whole : NotificationRow {
  std::string status;
  LogTime updated_at{};
  std::optional<std::string> provider;
  std::optional<std::string> account;
  std::optional<std::string> from_number;
  std::optional<std::string> provider_message_id;
  std::optional<std::string> error_code;
  std::int64_t attempts = 0;
  std::string timeline;
  std::int64_t partition = 0;
  std::int64_t seq = 0;
};

Whole Join(const NotificationRow& row, const NotificationChange& change) {
  Whole whole;
  static_cast<NotificationRow&>(whole) = row;
  whole.status = change.status.value_or(WordOf(v1::NOTIFICATION_STATUS_COMMANDED));
  whole.updated_at = change.updated_at;
  whole.provider = change.provider;
  whole.account = change.account;
  whole.from_number = change.from_number;
  whole.provider_message_id = change.provider_message_id;
  whole.error_code = change.error_code;
  whole.attempts = change.attempts;
  whole.timeline = "[" + change.timeline + "]";
  whole.partition = change.partition;
  whole.seq = change.seq;
  return whole;
}

struct TimelineEntry {
  const std::string& status;
  LogTime at{};
  std::uint32_t attempt = 0;
  std::string result = {};
  std::string_view error_code = {};
  std::int64_t retry_at_us = 0;
};

void Append(const TimelineEntry& entry, NotificationChange* change) {
  schemas::JsonObject object;
  object.Text("status", entry.status).Text("at", FormatRfc3339(entry.at));
  if (entry.attempt != 0) {
    object.Integer("attempt", entry.attempt);
  }
  if (!entry.result.empty()) {
    object.Text("result", entry.result);
  }
  if (!entry.error_code.empty()) {
    object.Text("error_code", Storable(entry.error_code));
  }
  if (entry.retry_at_us != 0) {
    object.Text("retry_at", FormatRfc3339(FromMicros(entry.retry_at_us)));
  }
  change->timeline += change->timeline.empty() ? "" : ",";
  change->timeline += object.Take();
}

void SetIfGiven(std::string_view value, std::optional<std::string>* member) {
  if (!value.empty()) {
    *member = Storable(value);
  }
}

NotificationRow RowOf(const v1::NotificationCommand& command) {
  NotificationRow row{.tenant_id = command.tenant(),
                      .id = FormatId(IdKind::kNotification, command.notification_id()),
                      .kind = WordOf(command.kind()),
                      .event_id = IdOrNull(IdKind::kEvent, command.event_id()),
                      .decision_id = IdOrNull(IdKind::kDecision, command.decision_id()),
                      .trigger_id = StorableOrNull(command.trigger_id()),
                      .recipient = FormatId(IdKind::kRecipient, command.recipient_token()),
                      .channel = WordOf(command.channel()),
                      .message_class = WordOf(command.message_class()),
                      .created_at = FromMicros(command.decided_at_us()),
                      .expires_at = FromMicros(command.expires_at_us()),
                      .sender_id = StorableOrNull(command.sender_id()),
                      .segments = command.segments(),
                      .to_masked = "***",
                      .id_time = TimeOfId(command.notification_id())};
  if (command.trigger_version() != 0) {
    row.trigger_version = command.trigger_version();
  }
  if (command.has_to()) {
    row.to_sealed = command.to().SerializeAsString();
    const auto address = schemas::Unseal(command.to());
    row.to_masked = address.ok() ? MaskedAddress(address.value()) : "***";
  }
  if (command.has_body()) {
    row.body_sealed = command.body().SerializeAsString();
  }
  return row;
}

}  // namespace

NotificationChange& NotificationsProjection::ChangeOf(const Batch& batch, const std::string& tenant,
                                                      std::string_view id) {
  std::string text = FormatId(IdKind::kNotification, id);
  auto [change, is_new] = changes_.At(tenant, text);
  if (is_new) {
    change.tenant_id = tenant;
    change.id = std::move(text);
  }
  change.updated_at = batch.now;
  change.partition = batch.partition;
  change.seq = batch.seq;
  return change;
}

void NotificationsProjection::TakeCommand(const Batch& batch,
                                          const v1::NotificationCommand& command) {
  // A CANCEL is no attempt: whether it came in time is told by a fact.
  if (command.kind() == v1::COMMAND_KIND_CANCEL) {
    return;
  }
  NotificationChange& change = ChangeOf(batch, command.tenant(), command.notification_id());
  if (command.attempt() <= 1 && !change.is_new) {
    change.is_new = rows_.size();
    rows_.push_back(RowOf(command));
  }
  SetIfGiven(command.provider(), &change.provider);
  SetIfGiven(command.account(), &change.account);
  SetIfGiven(command.from_number(), &change.from_number);
  change.attempts = std::max<std::int64_t>(change.attempts, command.attempt());
  Append({.status = WordOf(v1::NOTIFICATION_STATUS_COMMANDED),
          .at = FromMicros(command.decided_at_us()),
          .attempt = command.attempt()},
         &change);
}

void NotificationsProjection::TakeFact(const Batch& batch, const v1::Fact& fact) {
  const v1::NotificationFact& about = fact.notification();
  NotificationChange& change = ChangeOf(batch, fact.tenant(), about.notification_id());
  SetIfGiven(about.provider(), &change.provider);
  SetIfGiven(about.provider_message_id(), &change.provider_message_id);
  if (about.changed()) {
    change.status = WordOf(about.status());
  }
  if (about.changed() || !about.error_code().empty()) {
    change.sets_error = true;
    change.error_code = StorableOrNull(about.error_code());
  }
  change.attempts = std::max<std::int64_t>(change.attempts, about.attempt());
  if (about.changed() || about.retry_at_us() != 0) {
    Append({.status = WordOf(about.status()),
            .at = FromMicros(fact.at_us()),
            .attempt = about.attempt(),
            .result = WordOrNull(about.result()).value_or(""),
            .error_code = about.error_code(),
            .retry_at_us = about.retry_at_us()},
           &change);
  }
}

// The commands of a batch come first: a message's facts are in its batch only if the provider could
// not be asked, or later.
void NotificationsProjection::Fold(const Batch& batch) {
  for (const v1::NotificationCommand* command : batch.commands) {
    TakeCommand(batch, *command);
  }
  for (const v1::Fact* fact : batch.facts) {
    if (fact->has_notification() && fact->result() == v1::FACT_RESULT_ACCEPTED) {
      TakeFact(batch, *fact);
    }
  }
}

Status NotificationsProjection::Write(sql::Session& session) {
  std::vector<Whole> added;
  std::vector<NotificationChange> changed;
  added.reserve(rows_.size());
  for (const NotificationChange& change : changes_.rows()) {
    if (change.is_new) {
      added.push_back(Join(rows_[*change.is_new], change));
    } else {
      changed.push_back(change);
      changed.back().timeline = "[" + change.timeline + "]";
    }
  }
  if (!added.empty()) {
    Columns columns(added);
    columns.Text(&Whole::tenant_id)
        .Text(&Whole::id)
        .Text(&Whole::kind)
        .Text(&Whole::event_id)
        .Text(&Whole::decision_id)
        .Text(&Whole::trigger_id)
        .Integer(&Whole::trigger_version)
        .Text(&Whole::recipient)
        .Text(&Whole::channel)
        .Text(&Whole::message_class)
        .Time(&Whole::created_at)
        .Time(&Whole::expires_at)
        .Text(&Whole::sender_id)
        .Integer(&Whole::segments)
        .Bytes(&Whole::to_sealed)
        .Text(&Whole::to_masked)
        .Bytes(&Whole::body_sealed)
        .Text(&Whole::status)
        .Time(&Whole::updated_at)
        .Text(&Whole::provider)
        .Text(&Whole::account)
        .Text(&Whole::from_number)
        .Text(&Whole::provider_message_id)
        .Text(&Whole::error_code)
        .Integer(&Whole::attempts)
        .Text(&Whole::timeline)
        .Integer(&Whole::partition)
        .Integer(&Whole::seq);
    ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsert, columns.params()));
  }
  if (changed.empty()) {
    return Status::Ok();
  }
  Columns columns(changed);
  columns.Text(&NotificationChange::tenant_id)
      .Text(&NotificationChange::id)
      .Text(&NotificationChange::status)
      .Time(&NotificationChange::updated_at)
      .Text(&NotificationChange::provider)
      .Text(&NotificationChange::account)
      .Text(&NotificationChange::from_number)
      .Text(&NotificationChange::provider_message_id)
      .Boolean(&NotificationChange::sets_error)
      .Text(&NotificationChange::error_code)
      .Integer(&NotificationChange::attempts)
      .Text(&NotificationChange::timeline)
      .Integer(&NotificationChange::partition)
      .Integer(&NotificationChange::seq);
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session.Run(kUpdate, columns.params()));
  if (rows.affected() != changed.size()) {
    return Error(
        ErrorCode::kCorrupt,
        fmt::format("table notifications: {} of {} rows that the log tells of are missing; "
                    "make the tables anew: alertstream projections rebuild",
                    changed.size() - rows.affected(), changed.size()));
  }
  return Status::Ok();
}

void NotificationsProjection::Clear() {
  rows_.clear();
  changes_.Clear();
}

void NotificationsProjection::VisitMonths(const std::function<void(LogTime)>& visit) const {
  for (const NotificationRow& row : rows_) {
    visit(row.id_time);
  }
}

}  // namespace alertstream::projections
