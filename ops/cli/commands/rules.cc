#include "ops/cli/commands/rules.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include <fmt/format.h>

#include "api/control/entities.h"
#include "ops/cli/commands/outcomes.h"
#include "ops/cli/json_object.h"
#include "ops/cli/words.h"
#include "processor/base/duration.h"
#include "processor/engine/limits.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

std::string KeyOf(std::string_view tenant, std::string_view kind, std::string_view id) {
  return fmt::format("{} {} {}", tenant, kind, id);
}

bool IsSame(const v1::Fact& fact, const v1::AccountChange& change) {
  switch (change.change_case()) {
    case v1::AccountChange::kTenant:
      return fact.tenant_change().tenant().SerializeAsString() ==
             change.tenant().SerializeAsString();
    case v1::AccountChange::kSite:
      return fact.site().site().SerializeAsString() == change.site().SerializeAsString();
    case v1::AccountChange::kPlan:
      return fact.plan().plan().SerializeAsString() == change.plan().SerializeAsString();
    case v1::AccountChange::kSender:
      return fact.sender().sender().SerializeAsString() == change.sender().SerializeAsString();
    case v1::AccountChange::kTrigger:
      return fact.trigger().trigger().SerializeAsString() == change.trigger().SerializeAsString();
    case v1::AccountChange::kEngineActivate:
    case v1::AccountChange::kSkipRequested:
    case v1::AccountChange::kLogMarker:
    case v1::AccountChange::kDeadLetterAction:
    case v1::AccountChange::CHANGE_NOT_SET:
      break;
  }
  return false;
}

// Who became the default has taken that from the one before, whose own fact does not say so.
void TakeDefaultFromOthers(const v1::Fact& fact, EntitiesInForce* entities) {
  if (!fact.has_sender() || !fact.sender().sender().is_default()) {
    return;
  }
  for (auto& [key, entity] : *entities) {
    if (entity.kind == "sender" && entity.tenant == fact.tenant() &&
        entity.id != fact.sender().sender().id()) {
      entity.fact.mutable_sender()->mutable_sender()->set_is_default(false);
    }
  }
}

// Why a change was not accepted; "" if it was.
std::string Refusal(const RecordOutcome& outcome) {
  if (!outcome.dead_letters.empty()) {
    const auto& letter = outcome.dead_letters.front();
    return fmt::format("{}: {}", Word(letter.reason()), letter.detail());
  }
  for (const v1::Fact& fact : outcome.facts) {
    if (fact.result() == v1::FACT_RESULT_REJECTED) {
      return fmt::format("{}: {}", Word(fact.reject_reason()), fact.detail());
    }
  }
  return "";
}

std::string RulesJson(const RulesReport& report) {
  JsonList rejected;
  for (const std::string& line : report.rejected) {
    rejected.Text(line);
  }
  JsonObject object;
  object.Integer("added", static_cast<std::int64_t>(report.added));
  object.Integer("changed", static_cast<std::int64_t>(report.changed));
  object.Integer("unchanged", static_cast<std::int64_t>(report.unchanged));
  object.Raw("rejected", rejected.Take());
  if (report.unsent > 0) {
    object.Integer("not_applied", static_cast<std::int64_t>(report.unsent));
  }
  return object.Take();
}

}  // namespace

Result<EntitiesInForce> ReadEntities(const Session& session) {
  EntitiesInForce entities;
  ALERTSTREAM_RETURN_IF_ERROR(ForEachBatch(
      session, {Topic::kFacts}, [&](std::int32_t, const runtime::ReleasedBatch& batch) -> Status {
        for (const auto& output : batch.outputs) {
          v1::Fact fact;
          const auto& value = output.record.value;
          if (!fact.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
              fact.result() != v1::FACT_RESULT_ACCEPTED) {
            continue;
          }
          if (auto name = api::EntityOf(fact)) {
            TakeDefaultFromOthers(fact, &entities);
            const std::string key = KeyOf(name->tenant, name->kind, name->id);
            entities[key] = EntityInForce{std::move(name->tenant), std::string(name->kind),
                                          std::move(name->id), std::move(fact)};
          }
        }
        return Status::Ok();
      }));
  return entities;
}

Result<RulesReport> ApplyRules(const Session& session, const RuleSet& rules) {
  RulesReport report;
  EntitiesInForce in_force;  // A server compares by itself.
  if (session.control == nullptr) {
    ALERTSTREAM_ASSIGN_OR_RETURN(in_force, ReadEntities(session));
  }
  std::vector<Change> changes;
  std::vector<const RuleChange*> sources;
  std::vector<bool> is_new;
  for (const RuleChange& rule : rules.changes) {
    const auto found = in_force.find(KeyOf(rule.tenant, rule.kind, rule.id));
    if (found != in_force.end() && IsSame(found->second.fact, rule.envelope.account_change())) {
      ++report.unchanged;
      continue;
    }
    v1::Envelope envelope = rule.envelope;
    envelope.set_actor(session.actor);
    envelope.set_ingest_time_us(ToMicros(session.clock.Now()));
    changes.push_back(
        TenantChange(session, Topic::kAccountChanges, rule.tenant, std::move(envelope)));
    sources.push_back(&rule);
    is_new.push_back(found == in_force.end());
  }
  if (changes.empty()) {
    return report;
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto outcomes, Submit(session, changes));
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (!outcomes[i].unsent.empty()) {
      ++report.unsent;
      report.why_unsent = outcomes[i].unsent;
    } else if (const std::string refusal = Refusal(outcomes[i]); !refusal.empty()) {
      report.rejected.push_back(fmt::format("{}:{}: {} {}: {}", sources[i]->file, sources[i]->line,
                                            sources[i]->kind, sources[i]->id, refusal));
    } else if (outcomes[i].unchanged) {
      ++report.unchanged;
    } else {
      const bool first = !outcomes[i].facts.empty() && outcomes[i].facts.front().version() == 1;
      ++((session.control != nullptr ? first : is_new[i]) ? report.added : report.changed);
    }
  }
  return report;
}

std::string DescribeRules(const RulesReport& report) {
  std::string text = fmt::format("rules: {} new, {} changed, {} unchanged", report.added,
                                 report.changed, report.unchanged);
  if (!report.rejected.empty()) {
    text += fmt::format(", {} rejected", report.rejected.size());
  }
  if (report.unsent > 0) {
    text += fmt::format(", {} not applied", report.unsent);
  }
  return text;
}

Result<ExitCode> TriggersApply(const Session& session, const RuleSet& rules) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const RulesReport report, ApplyRules(session, rules));
  for (const std::string& line : report.rejected) {
    session.io.err << line << "\n";
  }
  session.io.out << (session.Json() ? RulesJson(report) : DescribeRules(report)) << "\n";
  if (report.unsent > 0) {
    session.io.err << report.why_unsent << "\n";
    return ExitCode::kPartly;
  }
  return report.rejected.empty() ? ExitCode::kOk : ExitCode::kFailed;
}

Result<ExitCode> TriggersList(const Session& session, std::size_t rows_max) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto entities, ReadEntities(session));
  Table table({{.key = "tenant"},
               {.key = "trigger"},
               {.key = "version", .right = true},
               {.key = "enabled"},
               {.key = "event_type"},
               {.key = "channel"},
               {.key = "message_class", .title = "CLASS"},
               {.key = "cooldown", .wide = true},
               {.key = "daily_cap", .wide = true, .right = true},
               {.key = "when"}});
  for (const auto& [key, entity] : entities) {
    if (entity.kind != "trigger" || (!session.tenant.empty() && entity.tenant != session.tenant)) {
      continue;
    }
    const v1::Trigger& trigger = entity.fact.trigger().trigger();
    table.Add({{entity.tenant},
               {trigger.id()},
               {static_cast<std::int64_t>(entity.fact.version())},
               {trigger.enabled() && !trigger.deleted()},
               {trigger.event_type()},
               {Word(trigger.channel())},
               {Word(trigger.message_class())},
               {FormatDuration(LogDuration{trigger.cooldown_us()})},
               {static_cast<std::int64_t>(trigger.daily_cap())},
               {trigger.when()}});
  }
  ALERTSTREAM_RETURN_IF_ERROR(PrintList(session.io, std::move(table), rows_max));
  return ExitCode::kOk;
}

Status CheckEngineVersion(std::uint32_t version) {
  if (version >= 1 && version <= engine::kEngineVersion) {
    return Status::Ok();
  }
  return Error(ErrorCode::kInvalid,
               fmt::format("this program knows engine versions up to {}, not {}; a processor that "
                           "does not know the version in force stops. Install the newer program on "
                           "every instance first",
                           engine::kEngineVersion, version));
}

Result<ExitCode> EngineActivate(const Session& session, std::uint32_t version) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckEngineVersion(version));
  std::vector<Change> changes;
  // A server tells all partitions by itself.
  const std::int32_t told = session.control != nullptr ? 1 : session.identity.partitions;
  for (std::int32_t partition = 0; partition < told; ++partition) {
    v1::Envelope envelope = NewEnvelope(session, schemas::kLogKey, "engine.activate");
    envelope.mutable_account_change()->mutable_engine_activate()->set_engine_version(version);
    changes.push_back(
        {Topic::kAccountChanges, partition, std::string(schemas::kLogKey), std::move(envelope)});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto outcomes, Submit(session, changes));
  Table table({{.key = "partition", .right = true}, {.key = "result"}, {.key = "detail"}});
  bool refused = false;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const std::string refusal = Refusal(outcomes[i]);
    refused = refused || !refusal.empty();
    table.Add(
        {session.control != nullptr ? Cell{std::string("all")} : Cell{static_cast<std::int64_t>(i)},
         {std::string(refusal.empty() ? "accepted" : "rejected"),
          refusal.empty() ? CellStyle::kGood : CellStyle::kBad},
         {refusal}});
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, table));
  return refused ? ExitCode::kConflict : ExitCode::kOk;
}

}  // namespace alertstream::cli
