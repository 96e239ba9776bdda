#include "projections/audit_log.h"

#include "projections/columns.h"
#include "projections/text.h"
#include "schemas/json_object.h"

namespace alertstream::projections {
namespace {

constexpr sql::Statement kInsert = {
    "projections.audit_log",
    "INSERT INTO audit_log (tenant_id, id, at, actor, action, subject, detail, partition, seq)"
    " SELECT * FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::text[], $5::text[],"
    " $6::text[], $7::jsonb[], $8::int[], $9::bigint[])"};

struct Subject {
  std::string kind;
  std::string id;
};

// What the fact is about; what distinguishes it goes into `detail`.
Subject SubjectOf(const v1::Fact& fact, schemas::JsonObject* detail) {
  switch (fact.subject_case()) {
    case v1::Fact::kConsent:
      detail->Text("channel", WordOf(fact.consent().channel()))
          .Text("class", WordOf(fact.consent().message_class()))
          .Text("status", WordOf(fact.consent().status()));
      return {"consent", FormatId(IdKind::kRecipient, fact.consent().recipient_token())};
    case v1::Fact::kOptOut:
      detail->Text("channel", WordOf(fact.opt_out().channel()))
          .Text("status", WordOf(fact.opt_out().status()))
          .Text("by", WordOf(fact.opt_out().by()));
      return {"opt_out", FormatId(IdKind::kRecipient, fact.opt_out().recipient_token())};
    case v1::Fact::kNotification:
      detail->Text("status", WordOf(fact.notification().status()));
      return {"notification",
              FormatId(IdKind::kNotification, fact.notification().notification_id())};
    case v1::Fact::kUsage:
      return {"usage", std::to_string(fact.usage().month())};
    case v1::Fact::kTenantChange:
      detail->Text("status", WordOf(fact.tenant_change().tenant().status()));
      return {"tenant", fact.tenant()};
    case v1::Fact::kSite:
      detail->Text("status", WordOf(fact.site().site().status()));
      return {"site", fact.site().site().id()};
    case v1::Fact::kPlan:
      detail->Integer("sends_per_month_max", fact.plan().plan().sends_per_month_max());
      return {"plan", fact.plan().plan().id()};
    case v1::Fact::kSender:
      return {"sender", fact.sender().sender().id()};
    case v1::Fact::kTrigger:
      detail->Bool("enabled", fact.trigger().trigger().enabled())
          .Bool("deleted", fact.trigger().trigger().deleted());
      return {"trigger", fact.trigger().trigger().id()};
    case v1::Fact::kEngine:
      return {"engine", std::to_string(fact.engine().engine_version())};
    case v1::Fact::kInbound:
      detail->Text("keyword", Storable(fact.inbound().keyword()));
      return {"inbound", FormatId(IdKind::kRecipient, fact.inbound().recipient_token())};
    case v1::Fact::kDeadLetter:
      detail->Text("action", WordOf(fact.dead_letter().action()))
          .Text("status", WordOf(fact.dead_letter().status()))
          .Bool("forced", fact.dead_letter().forced());
      return {"dead_letter", FormatId(IdKind::kDeadLetter, fact.dead_letter().id())};
    case v1::Fact::SUBJECT_NOT_SET:
      break;
  }
  return {"record", ""};
}

AuditRow RowOf(const Batch& batch, std::size_t index) {
  const v1::Fact& fact = *batch.facts[index];
  schemas::JsonObject detail;
  const Subject subject = SubjectOf(fact, &detail);
  detail.Integer("version", static_cast<std::int64_t>(fact.version()));
  if (!fact.reason().empty()) {
    detail.Text("reason", Storable(fact.reason()));
  }
  const bool rejected = fact.result() == v1::FACT_RESULT_REJECTED;
  if (rejected) {
    detail.Text("reject_reason", WordOf(fact.reject_reason()));
    detail.Text("detail", Storable(fact.detail()));
  }
  return {.tenant_id = fact.tenant(),
          .id = batch.FactId(index),
          .at = FromMicros(fact.at_us()),
          .actor = Storable(fact.actor()),
          .action = subject.kind + (rejected ? ".change.rejected" : ".change"),
          .subject = Storable(subject.id),
          .detail = detail.Take(),
          .partition = batch.partition,
          .seq = batch.seq};
}

}  // namespace

void AuditLogProjection::Fold(const Batch& batch) {
  for (std::size_t i = 0; i < batch.facts.size(); ++i) {
    if (!batch.facts[i]->actor().empty()) {
      Add(RowOf(batch, i));
    }
  }
}

Status AuditLogProjection::Write(sql::Session& session) {
  Columns columns(made());
  columns.Text(&AuditRow::tenant_id)
      .Integer(&AuditRow::id)
      .Time(&AuditRow::at)
      .Text(&AuditRow::actor)
      .Text(&AuditRow::action)
      .Text(&AuditRow::subject)
      .Text(&AuditRow::detail)
      .Integer(&AuditRow::partition)
      .Integer(&AuditRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsert, columns.params()));
  return Status::Ok();
}

}  // namespace alertstream::projections
