// GET /api/v1/usage, dead-letters, dead-letters/stats, dead-letters/{id}, audit.
#include <array>

#include "api/query/list_answer.h"
#include "api/query/object_plan.h"
#include "api/query/personal_view.h"
#include "api/query/query_routes.h"
#include "api/query/views.h"
#include "processor/base/base64.h"
#include "schemas/json_object.h"
#include "schemas/output.pb.h"

namespace alertstream::api {
namespace {

constexpr std::array<FilterSpec, 4> kDeadLetterFilters = {
    {{.name = "reason", .kind = FilterKind::kWord, .words = v1::DeadLetterReason_descriptor},
     {.name = "status", .kind = FilterKind::kWord, .words = v1::DeadLetterStatus_descriptor},
     {.name = "stage", .kind = FilterKind::kWord, .words = v1::DeadLetterStage_descriptor},
     {.name = "type", .kind = FilterKind::kEventType}}};
constexpr std::array<FilterSpec, 1> kAuditFilters = {
    {{.name = "actor", .kind = FilterKind::kActor}}};

// The bytes that could not be processed may be anything, so they stand in base64.
std::string OriginalJson(const std::optional<std::string>& sealed) {
  v1::RawRecord record;
  const auto bytes = RevealSealed(sealed);
  if (!bytes || !record.ParseFromString(*bytes)) {
    return "null";
  }
  schemas::JsonList headers;
  for (const auto& header : record.headers()) {
    headers.Raw(ObjectFields()
                    .Text("name_base64", ToBase64(header.name()))
                    .Text("value_base64", ToBase64(header.value()))
                    .ToJson());
  }
  return ObjectFields()
      .Text("key_base64", ToBase64(record.key()))
      .Text("value_base64", ToBase64(record.value()))
      .Json("headers", headers.Take())
      .ToJson();
}

Result<std::string> ShowDeadLetter(sql::Session& session, const ReadCall& call,
                                   const std::string& id) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto row, Required(read_model::FindDeadLetter(session, call.caller.tenant, id)));
  ObjectFields fields = DeadLetterFields(row.letter);
  fields.Json("original", call.reveals() ? OriginalJson(row.original_sealed) : "null");
  return fields.ToJson();
}

// What is used and what the plan allows, as of one moment.
Result<std::string> ShowUsage(const Clock& clock, sql::Session& session, const ReadCall& call) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Begin(sql::kSnapshot));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto usage,
                               read_model::ReadUsage(session, call.caller.tenant));
  return UsageFields(usage, clock.Now()).ToJson();
}

Result<std::string> ShowDeadLetterCounts(sql::Session& session, const ReadCall& call,
                                         const std::string&) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto counts,
                               read_model::CountDeadLetters(session, call.caller.tenant));
  schemas::JsonList list;
  std::int64_t total = 0;
  for (const read_model::DeadLetterCount& count : counts) {
    total += count.letters;
    list.Raw(ObjectFields()
                 .Text("status", count.status)
                 .Text("stage", count.stage)
                 .Text("reason", count.reason)
                 .Integer("dead_letters", count.letters)
                 .Time("first_at", count.first)
                 .Time("last_at", count.last)
                 .ToJson());
  }
  return ObjectFields()
      .Text("object", "dead_letter_stats")
      .Integer("dead_letters", total)
      .Json("counts", list.Take())
      .ToJson();
}

ListRoute DeadLetterList() {
  return {.filters = kDeadLetterFilters,
          .read = [](sql::Session& session, const ReadCall& call, const ListQuery& query,
                     const read_model::PageRequest& request) -> Result<ListRows> {
            read_model::DeadLetterFilters filters;
            filters.reason = query.Filter("reason");
            filters.status = query.Filter("status");
            filters.stage = query.Filter("stage");
            filters.type = query.Filter("type");
            ALERTSTREAM_ASSIGN_OR_RETURN(
                const auto page,
                read_model::ListDeadLetters(session, call.caller.tenant, filters, request));
            return RowsOf(
                page,
                [](const read_model::DeadLetter& row) {
                  return read_model::PageKey{row.at, row.id};
                },
                DeadLetterFields);
          },
          .is_id = [](std::string_view id) { return ParseId(IdKind::kDeadLetter, id).ok(); },
          .find = read_model::FindDeadLetterKey,
          .columns = DeadLetterFields({})};
}

ListRoute AuditList() {
  return {.filters = kAuditFilters,
          .read = [](sql::Session& session, const ReadCall& call, const ListQuery& query,
                     const read_model::PageRequest& request) -> Result<ListRows> {
            read_model::AuditFilters filters;
            filters.actor = query.Filter("actor");
            ALERTSTREAM_ASSIGN_OR_RETURN(
                const auto page,
                read_model::ListAudit(session, call.caller.tenant, filters, request));
            return RowsOf(
                page,
                [](const read_model::AuditEntry& row) {
                  return read_model::PageKey{row.at, row.id};
                },
                AuditFields);
          },
          .is_id = read_model::IsAuditId,
          .find = read_model::FindAuditKey,
          .columns = AuditFields({})};
}

}  // namespace

Status AddAccountRoutes(http::Routes* routes, const QueryParts& parts) {
  const CursorBook& cursors = parts.deps.cursors;
  ALERTSTREAM_RETURN_IF_ERROR(parts.desk->Add(
      routes, "/api/v1/usage", Permission::kReadUsage,
      PlanSingle([clock = &parts.deps.read.clock](sql::Session& session, const ReadCall& call,
                                                  const std::string&) -> Result<std::string> {
        return ShowUsage(*clock, session, call);
      })));
  ALERTSTREAM_RETURN_IF_ERROR(parts.desk->Add(routes, "/api/v1/dead-letters",
                                              Permission::kReadDeadLetters,
                                              PlanList(DeadLetterList(), cursors)));
  ALERTSTREAM_RETURN_IF_ERROR(parts.desk->Add(routes, "/api/v1/dead-letters/stats",
                                              Permission::kReadDeadLetters,
                                              PlanSingle(ShowDeadLetterCounts)));
  ALERTSTREAM_RETURN_IF_ERROR(parts.desk->Add(routes, "/api/v1/dead-letters/{id}",
                                              Permission::kReadDeadLetters,
                                              PlanObject(IdKind::kDeadLetter, ShowDeadLetter)));
  return parts.desk->Add(routes, "/api/v1/audit", Permission::kReadAudit,
                         PlanList(AuditList(), cursors));
}

}  // namespace alertstream::api
