// The list of notifications, whole or of one recipient: the path's parameter "id". Used by the
// routes of both.
#pragma once

#include <cstdint>

#include "api/query/list_answer.h"

namespace alertstream::api {

enum class NotificationsOf : std::uint8_t { kTenant, kRecipient };

ListRoute NotificationList(NotificationsOf of);

}  // namespace alertstream::api
