// `notifications list|get`: what was commanded to be sent and what became of it, from the commands
// and facts of the log. Library functions over the ports of a session.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "ops/cli/commands/session.h"
#include "schemas/output.pb.h"

namespace alertstream::cli {

// Notifications held while the log is read; the oldest beyond are forgotten.
inline constexpr std::size_t kNotificationsMax = 100'000;

struct NotificationsFilter {
  std::string trigger;                           // "": of all.
  std::optional<v1::NotificationStatus> status;  // Of their present state.
};

// The newest first; of the session's tenant, if one is named.
Result<ExitCode> ListNotifications(const Session& session, const NotificationsFilter& filter,
                                   std::size_t rows_max);

// `what`: "last", or the beginning of a ntf_ id; of several that fit the newest. kNotFound: nothing
// fits. The text is about a person: shown only with `show_personal`.
Result<ExitCode> GetNotification(const Session& session, const std::string& what,
                                 bool show_personal);

}  // namespace alertstream::cli
