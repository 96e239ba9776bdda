// Rows of the read model as objects of answers. Pure. Used by the routes; the members are those of
// api/openapi.yaml. With `reveal` personal data stands in full, else masked or null.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/query/object_fields.h"
#include "projections/read_model/audit.h"
#include "projections/read_model/dead_letters.h"
#include "projections/read_model/decisions.h"
#include "projections/read_model/events.h"
#include "projections/read_model/notifications.h"
#include "projections/read_model/recipients.h"
#include "projections/read_model/usage.h"

namespace alertstream::api {

struct ViewOptions {
  bool reveal = false;
};

// {"topic","partition","offset"}
std::string PositionJson(std::string_view topic, std::int64_t partition, std::int64_t offset);

ObjectFields EventFields(const read_model::Event& event);
ObjectFields DecisionFields(const read_model::Decision& decision);
// Whom it is about and what was decided: "recipient" to "notification".
void AddDecided(const read_model::Decision& decision, ObjectFields* fields);
ObjectFields NotificationFields(const read_model::Notification& notification,
                                const ViewOptions& options);
ObjectFields AttemptFields(const read_model::Attempt& attempt);
// The timeline's times with milliseconds, as everywhere.
std::string TimelineJson(std::string_view timeline);
ObjectFields RecipientFields(const read_model::Recipient& recipient, const ViewOptions& options);
ObjectFields ConsentFields(const read_model::Consent& consent, const ViewOptions& options);
ObjectFields OptOutFields(const read_model::OptOut& opt_out);
ObjectFields DeadLetterFields(const read_model::DeadLetter& letter);
ObjectFields AuditFields(const read_model::AuditEntry& entry);

// {"object":"usage","month","sends","sends_max","left","resets_at","plan","months":[...]} of the
// month that `now` lies in.
ObjectFields UsageFields(const read_model::Usage& usage, LogTime now);

}  // namespace alertstream::api
