// What operators ask for about dead letters and dead notifications, read from documents of the
// control endpoint, and written as such. Pure. control_request.h lists their fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/control/rule_fields.h"
#include "api/log/log_writer.h"
#include "processor/base/result.h"
#include "schemas/envelope.pb.h"
#include "schemas/output.pb.h"

namespace alertstream::api {

struct DeadLetterChange {
  v1::DeadLetterAction action;  // Without actor and reason.
  std::string reason;
  std::optional<v1::RawRecord> record;  // Of RETRY and EDIT: what is appended again.
};

// `partitions`: how many there are. Problems go where `fields` reports them.
void ReadDeadLetterChange(FieldReader& fields, std::int32_t partitions, DeadLetterChange* change);
// The id as it was given.
std::string ReadNotificationRetry(FieldReader& fields, v1::DirectNotification* direct);

// The record of a retry: the bytes of `record` with the action as their header, which replaces one
// that is there. REQUIRES: RETRY or EDIT, with an actor.
RecordToAppend RetryRecord(schemas::Topic topic, std::int32_t partition,
                           const v1::RawRecord& record, const v1::DeadLetterAction& action);

// As elements of `events`. `tenant`: the dead letter's; "" if it has none.
std::string DeadLetterDocument(const DeadLetterChange& change, const std::string& tenant);
std::string NotificationRetryDocument(const v1::DirectNotification& direct,
                                      const std::string& tenant);

}  // namespace alertstream::api
