#include "projections/read_model/notifications.h"

#include <array>
#include <utility>

namespace alertstream::read_model {
namespace {

#define ALERTSTREAM_NOTIFICATION_COLUMNS                                                      \
  "id, kind, event_id, decision_id, trigger_id, trigger_version, recipient, channel,"         \
  " message_class, status, created_at, updated_at, expires_at, sender_id, provider, account," \
  " from_number, provider_message_id, error_code, attempts, segments, to_masked, to_sealed,"  \
  " body_sealed, timeline"

// As the fields of NotificationFilters.
constexpr std::array kFilters = {"status", "channel", "trigger_id", "event_id", "recipient"};

// One row an attempt, or one without; in one round trip. The engine bounds the attempts of a
// notification.
constexpr sql::Statement kById = {
    "read_model.notification",
    "SELECT " ALERTSTREAM_NOTIFICATION_COLUMNS
    ", a.* FROM read_model.notifications LEFT JOIN (SELECT attempt, started_at, finished_at, "
    "result,"
    " provider AS by_provider, account AS by_account, provider_message_id AS by_message_id,"
    " error_code AS by_error_code, retry_at FROM read_model.attempts"
    " WHERE tenant_id = $1 AND notification_id = $2) AS a ON true"
    " WHERE tenant_id = $1 AND id = $2 ORDER BY a.attempt LIMIT 1000"};
constexpr std::size_t kAttemptColumns = 25;  // Where those of the attempt begin.
constexpr sql::Statement kKeyById = {
    "read_model.notification_key",
    "SELECT created_at FROM read_model.notifications WHERE tenant_id = $1 AND id = $2"};
Notification ReadNotification(const sql::Rows& rows, std::size_t row) {
  return {.id = std::string(rows.Text(row, 0)),
          .kind = std::string(rows.Text(row, 1)),
          .event_id = OptionalText(rows, row, 2),
          .decision_id = OptionalText(rows, row, 3),
          .trigger_id = OptionalText(rows, row, 4),
          .trigger_version = OptionalInteger(rows, row, 5),
          .recipient = std::string(rows.Text(row, 6)),
          .channel = std::string(rows.Text(row, 7)),
          .message_class = std::string(rows.Text(row, 8)),
          .status = std::string(rows.Text(row, 9)),
          .created_at = rows.Time(row, 10),
          .updated_at = rows.Time(row, 11),
          .expires_at = rows.Time(row, 12),
          .sender_id = OptionalText(rows, row, 13),
          .provider = OptionalText(rows, row, 14),
          .account = OptionalText(rows, row, 15),
          .from_number = OptionalText(rows, row, 16),
          .provider_message_id = OptionalText(rows, row, 17),
          .error_code = OptionalText(rows, row, 18),
          .attempts = rows.Integer(row, 19),
          .segments = rows.Integer(row, 20),
          .to_masked = std::string(rows.Text(row, 21)),
          .to_sealed = OptionalBytes(rows, row, 22),
          .body_sealed = OptionalBytes(rows, row, 23),
          .timeline = std::string(rows.Text(row, 24))};
}

Attempt ReadAttempt(const sql::Rows& rows, std::size_t row) {
  return {.attempt = rows.Integer(row, kAttemptColumns),
          .started_at = OptionalTime(rows, row, kAttemptColumns + 1),
          .finished_at = OptionalTime(rows, row, kAttemptColumns + 2),
          .result = OptionalText(rows, row, kAttemptColumns + 3),
          .provider = OptionalText(rows, row, kAttemptColumns + 4),
          .account = OptionalText(rows, row, kAttemptColumns + 5),
          .provider_message_id = OptionalText(rows, row, kAttemptColumns + 6),
          .error_code = OptionalText(rows, row, kAttemptColumns + 7),
          .retry_at = OptionalTime(rows, row, kAttemptColumns + 8)};
}

}  // namespace

const ListShape kNotificationList = {.name = "notifications",
                                     .columns = ALERTSTREAM_NOTIFICATION_COLUMNS,
                                     .from = "read_model.notifications",
                                     .time = "created_at",
                                     .id = "id",
                                     .filters = kFilters};

Result<Page<Notification>> ListNotifications(sql::Session& session, std::string_view tenant,
                                             const NotificationFilters& filters,
                                             const PageRequest& request) {
  return FindPage<Notification>(session, tenant, kNotificationList,
                                WantedFilters({filters.status, filters.channel, filters.trigger,
                                               filters.event, filters.recipient}),
                                request, ReadNotification);
}

Result<std::optional<NotificationWhole>> FindNotification(sql::Session& session,
                                                          std::string_view tenant,
                                                          std::string_view id) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               session.Run(kById, sql::Params().Text(tenant).Text(id)));
  if (rows.size() == 0) {
    return std::optional<NotificationWhole>();
  }
  NotificationWhole whole{.notification = ReadNotification(rows, 0), .attempts = {}};
  for (std::size_t row = 0; row < rows.size() && !rows.IsNull(row, kAttemptColumns); ++row) {
    whole.attempts.push_back(ReadAttempt(rows, row));
  }
  return std::optional(std::move(whole));
}

Result<std::optional<PageKey>> FindNotificationKey(sql::Session& session, std::string_view tenant,
                                                   std::string_view id) {
  return FindKey(session, kKeyById, tenant, id);
}

}  // namespace alertstream::read_model
