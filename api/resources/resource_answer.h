// What the routes that change one thing answer, as JSON and problem documents. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "api/http/message.h"
#include "api/http/problem.h"
#include "api/log/answer_watch.h"
#include "api/query/object_fields.h"
#include "api/resources/resource_request.h"
#include "projections/read_model/triggers.h"
#include "schemas/output.pb.h"

namespace alertstream::api {

// {"object":"trigger","id","version","updated_at","actor",...}, with the members of the definition;
// null where it has none. `reveal`: the addresses of a fixed list in full.
ObjectFields TriggerFields(const read_model::Trigger& trigger, bool reveal);
// As TriggerFields, "object":"trigger_version" and what became of it: "current" and "deleted".
ObjectFields TriggerVersionFields(const read_model::Trigger& trigger, bool reveal);

// REQUIRES: the fact is about a consent or an opt-out.
std::string ConsentJson(const v1::Fact& fact);
std::string OptOutJson(const v1::Fact& fact);

// {"object":"trigger_check","valid","errors":[{"detail","pointer","line"?,"column"?}]}
std::string ChecksJson(std::span<const BodyFault> faults);

// {"object":"change","decided","position"}: the log has it, but not all is known yet.
std::string PendingJson(const AppendedPosition& position, bool decided);

// Why the fold did not do it. REQUIRES: the fact is a rejection.
http::ProblemDetails RejectionOf(const v1::Fact& fact);
http::ProblemDetails RejectionOf(const v1::DeadLetter& letter);

// "\"3\"": a version as an entity tag.
std::string EntityTag(std::uint64_t version);

// What If-Match asks for: a version, or any (0). kInvalid: no tag of ours.
struct IfMatch {
  std::optional<std::uint64_t> version;  // Nothing: the field is absent.
};
Result<IfMatch> IfMatchOf(const http::Headers& headers);

}  // namespace alertstream::api
