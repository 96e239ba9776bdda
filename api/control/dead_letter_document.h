// What operators ask for about dead letters and dead notifications, read from documents of the
// control endpoint, and written as such. Pure. control_request.h lists their fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/control/rule_fields.h"
#include "api/http/problem.h"
#include "api/log/log_writer.h"
#include "processor/base/result.h"
#include "schemas/envelope.pb.h"
#include "schemas/output.pb.h"

namespace alertstream::api {

// Since version 4 the fold knows dead letters; since 5 the retry of what somebody said long ago
// does not outrank what was said since.
inline constexpr std::uint32_t kRepairEngineVersionMin = 5;
// Why no action on dead letters, and no retry of a notification, may be appended while the
// partition is at version `in_force` (AnswerWatch::EngineVersion): an older fold would decide the
// record once more, as if it were no retry.
std::optional<http::ProblemDetails> RefusalOfVersion(std::optional<std::uint32_t> in_force);

// The dead letter of a timer has no record; its offset is negative.
inline bool HasRecord(const v1::Position& position) { return position.offset() >= 0; }

struct DeadLetterChange {
  v1::DeadLetterAction action;  // Without actor and reason.
  std::string reason;
  std::optional<v1::RawRecord> record;  // Of RETRY and EDIT: what is appended again.
};

// `partitions`: how many there are. Problems go where `fields` reports them.
void ReadDeadLetterChange(FieldReader& fields, std::int32_t partitions, DeadLetterChange* change);
// The id as it was given. Sets the site and what is sent of `event`.
std::string ReadNotificationRetry(FieldReader& fields, v1::Envelope* event);

// The record of a retry: the bytes of `record` with the action as their header, which replaces one
// that is there. kConflict: the dead letter has no record. REQUIRES: RETRY or EDIT, with an actor.
Result<RecordToAppend> RetryRecord(schemas::Topic topic, std::int32_t partition,
                                   const v1::RawRecord& record, const v1::DeadLetterAction& action);

// As elements of `events`. `tenant`: as the dead letter names it.
std::string DeadLetterDocument(const DeadLetterChange& change, const std::string& tenant);
std::string NotificationRetryDocument(const v1::Envelope& event);

}  // namespace alertstream::api
