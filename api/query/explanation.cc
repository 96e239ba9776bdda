#include "api/query/explanation.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "api/query/object_fields.h"
#include "api/query/views.h"
#include "processor/engine/conditions/outcome_word.h"
#include "schemas/decision_text.h"
#include "schemas/enum_words.h"
#include "schemas/json.h"
#include "schemas/json_object.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

std::string_view TextOf(schemas::JsonValue object, std::string_view name) {
  const auto value = object.Find(name);
  return value && value->type() == schemas::JsonType::kString ? value->AsString()
                                                              : std::string_view();
}

std::int64_t NumberOf(schemas::JsonValue object, std::string_view name) {
  const auto value = object.Find(name);
  return value && value->type() == schemas::JsonType::kInt ? value->AsInt() : 0;
}

v1::GateResult GateOf(schemas::JsonValue object) {
  v1::GateResult gate;
  gate.set_gate(static_cast<v1::Gate>(
      schemas::EnumOfWord(v1::Gate_descriptor(), TextOf(object, "gate")).value_or(0)));
  gate.set_verdict(static_cast<v1::GateVerdict>(
      schemas::EnumOfWord(v1::GateVerdict_descriptor(), TextOf(object, "verdict")).value_or(0)));
  gate.set_observed(NumberOf(object, "observed"));
  gate.set_limit(NumberOf(object, "limit"));
  const auto source = object.Find("source");
  const auto topic = source ? schemas::TopicByName(TextOf(*source, "topic")) : std::nullopt;
  if (topic) {
    gate.mutable_source()->set_topic(static_cast<std::uint32_t>(*topic));
    gate.mutable_source()->set_partition(
        static_cast<std::uint32_t>(NumberOf(*source, "partition")));
    gate.mutable_source()->set_offset(NumberOf(*source, "offset"));
  }
  return gate;
}

std::vector<v1::GateResult> GatesOf(std::string_view gates) {
  std::vector<v1::GateResult> results;
  schemas::JsonDocument document;
  if (!document.Parse(gates).ok()) {
    return results;
  }
  for (auto child = document.root().first_child(); child; child = child->next_sibling()) {
    results.push_back(GateOf(*child));
  }
  return results;
}

// `decision` is null for a gate of the event itself.
std::string ExplainGate(const v1::GateResult& gate, const read_model::Decision* decision) {
  std::string text = schemas::GateText(gate);
  if (decision != nullptr && gate.gate() == v1::GATE_RECIPIENT) {
    text = decision->recipient.value_or(decision->reason.value_or(""));
  }
  if (decision != nullptr && gate.gate() == v1::GATE_CHANNEL) {
    text = decision->channel;
  }
  ObjectFields fields;
  fields.Text("gate", schemas::Word(gate.gate()))
      .Text("verdict", schemas::Word(gate.verdict()))
      .Integer("observed", gate.observed())
      .Integer("limit", gate.limit())
      .Text("text", text);
  if (gate.has_source()) {
    const v1::Position& source = gate.source();
    fields.Json("source", PositionJson(schemas::NameOf(static_cast<schemas::Topic>(source.topic())),
                                       source.partition(), source.offset()));
  } else {
    fields.Null("source");
  }
  return fields.ToJson();
}

std::string ExplainEach(const std::vector<v1::GateResult>& gates,
                        const read_model::Decision* decision) {
  schemas::JsonList list;
  for (const v1::GateResult& gate : gates) {
    list.Raw(ExplainGate(gate, decision));
  }
  return list.Take();
}

std::string NotEvaluated(const std::vector<v1::GateResult>& gates) {
  schemas::JsonList list;
  for (const v1::Gate gate : schemas::kPairGates) {
    const bool seen = std::any_of(gates.begin(), gates.end(), [&](const v1::GateResult& result) {
      return result.gate() == gate;
    });
    if (!seen) {
      list.Text(schemas::Word(gate));
    }
  }
  return list.Take();
}

// The parts of the condition evaluated again; nothing if that cannot be done.
std::optional<std::string> Conditions(std::string_view when, const engine::ConditionEvent* event) {
  if (when.empty()) {
    return "[]";
  }
  const auto condition = engine::Condition::Compile(when);
  if (event == nullptr || !condition.ok()) {
    return std::nullopt;
  }
  schemas::JsonList list;
  for (const auto& part : condition.value().Explain(*event)) {
    list.Raw(ObjectFields()
                 .Text("text", part.source_text)
                 .Text("outcome", engine::OutcomeWord(part.outcome))
                 .ToJson());
  }
  return list.Take();
}

}  // namespace

std::string ExplainGates(std::string_view gates) { return ExplainEach(GatesOf(gates), nullptr); }

std::string ExplainDecision(const DecisionToExplain& what) {
  const read_model::Decision& decision = what.decision;
  const std::vector<v1::GateResult> gates = GatesOf(decision.gates);
  schemas::JsonDocument definition;
  const bool has_definition = what.trigger && definition.Parse(what.trigger->definition).ok() &&
                              definition.root().type() == schemas::JsonType::kObject;
  ObjectFields trigger;
  trigger.Text("id", decision.trigger_id).Integer("version", decision.trigger_version);
  if (has_definition) {
    trigger.Text("name", TextOf(definition.root(), "name"))
        .Text("when", TextOf(definition.root(), "when"))
        .Bool("current", what.trigger->is_current);
  } else {
    trigger.Null("name").Null("when").Null("current");
  }
  ObjectFields fields;
  fields.Text("object", "decision_explanation")
      .Text("id", decision.id)
      .Text("event", decision.event_id);
  AddDecided(decision, &fields);
  fields.Time("decided_at", decision.decided_at)
      .Json("trigger", trigger.ToJson())
      .Json("gates", ExplainEach(gates, &decision))
      .Json("not_evaluated", NotEvaluated(gates))
      .Json("journal", ObjectFields()
                           .Integer("partition", decision.partition)
                           .Integer("seq", decision.seq)
                           .ToJson());
  std::optional<std::string> conditions;
  if (what.is_direct) {
    conditions = "[]";
  } else if (has_definition) {
    conditions = Conditions(TextOf(definition.root(), "when"), what.event);
  }
  if (conditions) {
    fields.Json("conditions", *conditions);
  } else {
    fields.Null("conditions");
  }
  return fields.ToJson();
}

}  // namespace alertstream::api
