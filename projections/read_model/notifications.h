// Notifications of a tenant: what was sent or is on its way, how it fared, and each attempt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "projections/read_model/page.h"

namespace alertstream::read_model {

struct Notification {
  std::string id;    // ntf_…
  std::string kind;  // send, or confirmation: the answer to a STOP, which no event caused.
  std::optional<std::string> event_id;
  std::optional<std::string> decision_id;
  std::optional<std::string> trigger_id;
  std::optional<std::int64_t> trigger_version;
  std::string recipient;
  std::string channel;
  std::string message_class;
  std::string status;
  LogTime created_at{};
  LogTime updated_at{};
  LogTime expires_at{};
  std::optional<std::string> sender_id;
  std::optional<std::string> provider;
  std::optional<std::string> account;
  std::optional<std::string> from_number;  // Our own.
  std::optional<std::string> provider_message_id;
  std::optional<std::string> error_code;
  std::int64_t attempts = 0;
  std::int64_t segments = 0;
  std::string to_masked;
  std::optional<std::string> to_sealed;    // A Personal message.
  std::optional<std::string> body_sealed;  // A Personal message.
  std::string timeline;                    // JSON.
};

struct Attempt {
  std::int64_t attempt = 0;
  std::optional<LogTime> started_at;
  std::optional<LogTime> finished_at;
  std::optional<std::string> result;
  std::optional<std::string> provider;
  std::optional<std::string> account;
  std::optional<std::string> provider_message_id;
  std::optional<std::string> error_code;
  std::optional<LogTime> retry_at;
};

struct NotificationWhole {
  Notification notification;
  std::vector<Attempt> attempts;
};

struct NotificationFilters {
  std::optional<std::string> status;
  std::optional<std::string> channel;
  std::optional<std::string> trigger;
  std::optional<std::string> event;
  std::optional<std::string> recipient;
};

Result<Page<Notification>> ListNotifications(sql::Session& session, std::string_view tenant,
                                             const NotificationFilters& filters,
                                             const PageRequest& request);
// With its attempts, in their order.
Result<std::optional<NotificationWhole>> FindNotification(sql::Session& session,
                                                          std::string_view tenant,
                                                          std::string_view id);
Result<std::optional<PageKey>> FindNotificationKey(sql::Session& session, std::string_view tenant,
                                                   std::string_view id);
extern const ListShape kNotificationList;

}  // namespace alertstream::read_model
