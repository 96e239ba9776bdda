// The bodies of the requests that change one thing - a trigger, a consent, an opt-out - or look a
// person up: each becomes a record of the log, or the list of what is wrong with it. Pure. Used by
// the routes, after they have found out who calls.
//
// Bodies are strict: a member that is not known is a fault. Faults never repeat an address.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/http/problem.h"
#include "api/log/log_writer.h"
#include "processor/base/redacted.h"
#include "processor/base/time.h"
#include "schemas/envelope.pb.h"

namespace alertstream::api {

struct ResourceContext {
  std::string_view tenant;
  std::string_view actor;
  LogTime now;
  std::int32_t partitions = 0;
};

struct ResourceChange {
  std::string id;  // Of a trigger; else "".
  RecordToAppend record;
};

// One fault of a body. Line and column (from 1) lie within the text at `pointer`, where that is a
// condition; 0: the whole of it.
struct BodyFault {
  std::string detail;
  std::string pointer;
  int line = 0;
  int column = 0;
};

using ResourceParse = std::variant<ResourceChange, http::ProblemDetails>;

struct TriggerForm {
  std::string_view path_id = {};     // PUT: the body names it or nothing.
  std::string_view default_id = {};  // POST: if the body names none.
  std::uint64_t expected_version = 0;
};

// A rule document of a trigger without `kind` and `tenant`.
ResourceParse ParseTrigger(std::string_view body, const ResourceContext& context,
                           const TriggerForm& form);

// Every fault of what ParseTrigger takes; the id may be left out. 400: no JSON.
std::variant<std::vector<BodyFault>, http::ProblemDetails> FaultsOfTrigger(std::string_view body);

// The record by which a trigger is deleted for good.
ResourceChange TriggerDeletion(std::string_view id, const ResourceContext& context,
                               std::uint64_t expected_version);

// {"phone"|"email"|"recipient","channel"?,"class","status","source"?,"evidence"?,"at"?,
//  "expected_version"?}
ResourceParse ParseConsent(std::string_view body, const ResourceContext& context);

// {"phone"|"email"|"recipient","channel"?,"status","source"?,"reason"?,"expected_version"?}
ResourceParse ParseOptOut(std::string_view body, const ResourceContext& context);

// A direct notification on its way; the person's address may still have to be found.
struct NotificationDraft {
  v1::Envelope envelope;
  std::string recipient;  // rcp_…, if there is no address yet.
};

// {"phone"|"recipient", "trigger" | ("channel","class","template":{"body"},"sender"?), "data"?,
//  "site"?}
std::variant<NotificationDraft, http::ProblemDetails> ParseNotification(
    std::string_view body, const ResourceContext& context);
// The record of a draft that has its address.
ResourceParse RecordOfNotification(const v1::Envelope& envelope, const ResourceContext& context);

// What is to be done about a dead letter, or a notification that never arrived.
struct RepairRequest {
  std::string reason;
  bool forced = false;
  // Of an edit: the event's members that change; "": not.
  std::string data;  // JSON
  std::string type;
  std::string site;
};
enum class RepairForm : std::uint8_t { kPlain, kEdit };
// {"reason","forced"?} and for an edit {"data"?,"type"?,"site"?}, at least one of them.
std::variant<RepairRequest, http::ProblemDetails> ParseRepair(std::string_view body,
                                                              RepairForm form);

// {"phone"}: the number as the engine writes it, from which it makes the person's token.
std::variant<Redacted<std::string>, http::ProblemDetails> ParseLookup(std::string_view body);

}  // namespace alertstream::api
