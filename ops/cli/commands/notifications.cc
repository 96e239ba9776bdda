#include "ops/cli/commands/notifications.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/commands/outcomes.h"
#include "ops/cli/json_object.h"
#include "ops/cli/message_json.h"
#include "ops/cli/words.h"
#include "schemas/personal.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

// Everything the log says about one.
struct Notification {
  v1::NotificationCommand first;  // Of its attempts.
  std::vector<v1::NotificationCommand> commands;
  std::vector<v1::Fact> facts;
  v1::NotificationStatus status = v1::NOTIFICATION_STATUS_COMMANDED;
  std::uint32_t attempt = 0;
  std::int64_t changed_us = 0;
  std::string provider_message_id;
  std::string error_code;
};

// In the order of their ids, which begin with the time of the event.
using Notifications = std::map<std::string, Notification>;

void TakeCommand(v1::NotificationCommand command, bool keep_all, Notifications* all) {
  const std::string id = command.notification_id();
  auto found = all->find(id);
  if (found == all->end()) {
    if (command.kind() == v1::COMMAND_KIND_CANCEL) {
      return;
    }
    found = all->emplace(id, Notification{}).first;
    found->second.first = command;
    if (all->size() > kNotificationsMax) {
      all->erase(all->begin());
      found = all->find(id);
      if (found == all->end()) {
        return;
      }
    }
  }
  Notification& one = found->second;
  one.attempt = std::max(one.attempt, command.attempt());
  one.changed_us = std::max(one.changed_us, command.decided_at_us());
  if (keep_all) {
    one.commands.push_back(std::move(command));
  }
}

void TakeFact(v1::Fact fact, bool keep_all, Notifications* all) {
  const auto found = all->find(fact.notification().notification_id());
  if (found == all->end()) {
    return;
  }
  Notification& one = found->second;
  const v1::NotificationFact& about = fact.notification();
  if (fact.result() == v1::FACT_RESULT_ACCEPTED && about.changed()) {
    one.status = about.status();
    one.changed_us = fact.at_us();
    one.error_code = about.error_code();
  }
  if (!about.provider_message_id().empty()) {
    one.provider_message_id = about.provider_message_id();
  }
  if (keep_all) {
    one.facts.push_back(std::move(fact));
  }
}

// `prefix`: only those whose shown id begins so, with everything about them.
Result<Notifications> ReadNotifications(const Session& session, const std::string& prefix) {
  Notifications all;
  const bool keep_all = !prefix.empty();
  const auto wanted = [&](const std::string& id, const std::string& tenant) {
    return (session.tenant.empty() || tenant == session.tenant) &&
           (prefix.empty() || prefix == "last" ||
            FormatId(IdKind::kNotification, id).starts_with(prefix));
  };
  const auto visit = [&](std::int32_t, const runtime::ReleasedBatch& batch) -> Status {
    for (const auto& output : batch.outputs) {
      const auto& value = output.record.value;
      const int size = static_cast<int>(value.size());
      if (output.topic == Topic::kNotificationCommands) {
        v1::NotificationCommand command;
        if (command.ParseFromArray(value.data(), size) &&
            wanted(command.notification_id(), command.tenant())) {
          TakeCommand(std::move(command), keep_all, &all);
        }
        continue;
      }
      v1::Fact fact;
      if (fact.ParseFromArray(value.data(), size) && fact.has_notification()) {
        TakeFact(std::move(fact), keep_all, &all);
      }
    }
    return Status::Ok();
  };
  ALERTSTREAM_RETURN_IF_ERROR(
      ForEachBatch(session, {Topic::kNotificationCommands, Topic::kFacts}, visit));
  return all;
}

CellStyle StyleOf(v1::NotificationStatus status) {
  if (status == v1::NOTIFICATION_STATUS_DELIVERED || status == v1::NOTIFICATION_STATUS_READ) {
    return CellStyle::kGood;
  }
  if (status == v1::NOTIFICATION_STATUS_FAILED) {
    return CellStyle::kBad;
  }
  const bool is_odd = status == v1::NOTIFICATION_STATUS_UNKNOWN_OUTCOME ||
                      status == v1::NOTIFICATION_STATUS_CANCELLED ||
                      status == v1::NOTIFICATION_STATUS_EXPIRED;
  return is_odd ? CellStyle::kWarning : CellStyle::kPlain;
}

std::string ToOf(const v1::NotificationCommand& command) {
  const auto to = schemas::Unseal(command.to());
  return to.ok() ? MaskAddress(to.value()) : std::string("(sealed)");
}

Cell TextCell(const std::string& text) { return text.empty() ? Cell{Absent{}} : Cell{text}; }

void PrintHead(const Session& session, const std::string& id, const Notification& one,
               bool show_personal) {
  const v1::NotificationCommand& first = one.first;
  session.io.out << fmt::format(
      "{}  {}   {} -> {} {}\n", FormatId(IdKind::kNotification, id), Word(one.status),
      first.kind() == v1::COMMAND_KIND_CONFIRMATION ? "confirmation" : first.trigger_id(),
      Word(first.channel()), ToOf(first));
  if (!first.event_id().empty()) {
    session.io.out << fmt::format("event {}   why: alertstream explain {}\n",
                                  FormatId(IdKind::kEvent, first.event_id()),
                                  FormatId(IdKind::kNotification, id));
  }
  const auto body = schemas::Unseal(first.body());
  if (show_personal && body.ok()) {
    session.io.out << "text  " << body.value() << "\n";
  }
}

Table Timeline(const Notification& one) {
  Table table({{.key = "at"},
               {.key = "what"},
               {.key = "attempt", .right = true},
               {.key = "result"},
               {.key = "by", .title = "PROVIDER"},
               {.key = "error"},
               {.key = "retry_at"}});
  std::vector<std::pair<std::int64_t, std::vector<Cell>>> rows;
  for (const auto& command : one.commands) {
    rows.emplace_back(
        command.decided_at_us(),
        std::vector<Cell>{
            {FromMicros(command.decided_at_us())},
            {"command " + Word(command.kind())},
            {static_cast<std::int64_t>(command.attempt())},
            {Absent{}},
            TextCell(command.provider().empty() ? std::string()
                                                : command.provider() + "/" + command.account()),
            {Absent{}},
            {Absent{}}});
  }
  for (const auto& fact : one.facts) {
    const auto& about = fact.notification();
    const bool rejected = fact.result() == v1::FACT_RESULT_REJECTED;
    rows.emplace_back(
        fact.at_us(),
        std::vector<Cell>{
            {FromMicros(fact.at_us())},
            {rejected ? "rejected: " + Word(fact.reject_reason()) : Word(about.status()),
             StyleOf(about.status())},
            about.attempt() == 0 ? Cell{Absent{}}
                                 : Cell{static_cast<std::int64_t>(about.attempt())},
            about.result() == v1::ATTEMPT_CLASS_UNSPECIFIED ? Cell{Absent{}}
                                                            : Cell{Word(about.result())},
            TextCell(about.provider()),
            TextCell(about.error_code()),
            about.retry_at_us() == 0 ? Cell{Absent{}} : Cell{FromMicros(about.retry_at_us())}});
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [at, row] : rows) {
    table.Add(std::move(row));
  }
  return table;
}

std::string NotificationJson(const std::string& id, const Notification& one, bool show_personal) {
  const PersonalData personal = show_personal ? PersonalData::kShown : PersonalData::kMasked;
  JsonObject object;
  object.Text("notification_id", FormatId(IdKind::kNotification, id));
  object.Text("tenant", one.first.tenant());
  object.Text("status", Word(one.status));
  object.Integer("attempt", one.attempt);
  object.Text("provider_message_id", one.provider_message_id);
  JsonList commands;
  for (const auto& command : one.commands) {
    commands.Raw(MessageJson(command, personal));
  }
  object.Raw("commands", commands.Take());
  JsonList facts;
  for (const auto& fact : one.facts) {
    facts.Raw(MessageJson(fact, personal));
  }
  object.Raw("facts", facts.Take());
  return object.Take();
}

}  // namespace

Result<ExitCode> ListNotifications(const Session& session, const NotificationsFilter& filter,
                                   std::size_t rows_max) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const Notifications all, ReadNotifications(session, ""));
  Table table({{.key = "notification_id", .title = "NOTIFICATION"},
               {.key = "tenant"},
               {.key = "trigger"},
               {.key = "to"},
               {.key = "channel"},
               {.key = "status"},
               {.key = "attempt", .right = true},
               {.key = "error"},
               {.key = "changed_at", .title = "CHANGED"},
               {.key = "provider", .wide = true},
               {.key = "account", .wide = true},
               {.key = "provider_message_id", .wide = true}});
  std::vector<Notifications::const_iterator> newest;
  for (auto at = all.begin(); at != all.end(); ++at) {
    const Notification& one = at->second;
    if ((filter.trigger.empty() || one.first.trigger_id() == filter.trigger) &&
        (!filter.status || one.status == *filter.status)) {
      newest.push_back(at);
    }
  }
  std::reverse(newest.begin(), newest.end());
  const bool whole = session.Json() || session.io.render.format == OutputFormat::kWide;
  for (const auto& at : newest) {
    const Notification& one = at->second;
    table.Add({{whole ? FormatId(IdKind::kNotification, at->first)
                      : ShortId(IdKind::kNotification, at->first)},
               {one.first.tenant()},
               {one.first.kind() == v1::COMMAND_KIND_CONFIRMATION ? std::string("(confirmation)")
                                                                  : one.first.trigger_id()},
               {ToOf(one.first)},
               {Word(one.first.channel())},
               {Word(one.status), StyleOf(one.status)},
               {static_cast<std::int64_t>(one.attempt)},
               TextCell(one.error_code),
               {FromMicros(one.changed_us)},
               TextCell(one.first.provider()),
               TextCell(one.first.account()),
               TextCell(one.provider_message_id)});
  }
  ALERTSTREAM_RETURN_IF_ERROR(PrintList(session.io, std::move(table), rows_max));
  return ExitCode::kOk;
}

Result<ExitCode> GetNotification(const Session& session, const std::string& what,
                                 bool show_personal) {
  if (what != "last" && KindOf(what) != IdKind::kNotification) {
    return Error(ErrorCode::kInvalid, "expected last, or an id that begins with ntf_");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const Notifications found, ReadNotifications(session, what));
  if (found.empty()) {
    return Error(ErrorCode::kNotFound,
                 what == "last" ? "nothing was commanded in this log yet"
                                : "no notification in this log has an id that begins so");
  }
  const auto& [id, one] = *found.rbegin();
  if (session.Json()) {
    session.io.out << NotificationJson(id, one, show_personal) << "\n";
    return ExitCode::kOk;
  }
  PrintHead(session, id, one, show_personal);
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, Timeline(one)));
  return ExitCode::kOk;
}

}  // namespace alertstream::cli
