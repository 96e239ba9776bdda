#include "ops/cli/commands/explain.h"

#include <algorithm>
#include <map>
#include <optional>
#include <ostream>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/commands/outcomes.h"
#include "ops/cli/commands/raw_records.h"
#include "ops/cli/json_object.h"
#include "ops/cli/message_json.h"
#include "ops/cli/words.h"
#include "processor/base/rfc3339.h"
#include "processor/engine/conditions/condition.h"
#include "processor/engine/conditions/outcome_word.h"
#include "processor/engine/gates/recipient.h"
#include "schemas/decision_text.h"
#include "schemas/input_codec.h"
#include "schemas/json.h"
#include "schemas/personal.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

// What the user asked for: the newest, or an id that begins so.
struct Wanted {
  bool last = false;
  IdKind kind = IdKind::kEvent;
  std::string prefix;
};

Result<Wanted> ParseWanted(const std::string& what) {
  if (what == "last") {
    return Wanted{.last = true};
  }
  const auto kind = KindOf(what);
  if (!kind ||
      (*kind != IdKind::kEvent && *kind != IdKind::kDecision && *kind != IdKind::kNotification)) {
    return Error(ErrorCode::kInvalid,
                 "expected last, or an id that begins with evt_, dec_ or ntf_");
  }
  return Wanted{.last = false, .kind = *kind, .prefix = what};
}

// The index of the decision that fits, -1 for the event as a whole; nothing if nothing fits.
std::optional<int> Fit(const Wanted& wanted, const v1::DecisionRecord& record) {
  if (wanted.last) {
    return -1;
  }
  if (wanted.kind == IdKind::kEvent) {
    return FormatId(IdKind::kEvent, record.event_id()).starts_with(wanted.prefix)
               ? std::optional(-1)
               : std::nullopt;
  }
  for (int i = 0; i < record.decisions_size(); ++i) {
    const auto& decision = record.decisions(i);
    const bool is_decision = wanted.kind == IdKind::kDecision;
    const std::string& id = is_decision ? decision.id() : decision.notification_id();
    if (!id.empty() && FormatId(wanted.kind, id).starts_with(wanted.prefix)) {
      return i;
    }
  }
  return std::nullopt;
}

struct Found {
  std::vector<v1::DecisionRecord> parts;  // All of the event.
  std::string decision_id;                // Empty: the whole event.
  std::int64_t journal_offset = 0;
  std::uint64_t seq = 0;
};

// What was decided up to `at`, if it is given.
Result<Found> Search(const Session& session, const Wanted& wanted,
                     std::optional<LogTime> at = std::nullopt) {
  std::optional<Found> newest;
  std::int64_t newest_us = 0;
  ALERTSTREAM_RETURN_IF_ERROR(ForEachBatch(
      session, {Topic::kDecisions},
      [&](std::int32_t, const runtime::ReleasedBatch& batch) -> Status {
        if (at && FromMicros(batch.journal.now_us()) > *at) {
          return Status::Ok();
        }
        for (const auto& output : batch.outputs) {
          v1::DecisionRecord record;
          const auto& value = output.record.value;
          record.ParseFromArray(value.data(), static_cast<int>(value.size()));
          if (newest && newest->parts.front().event_id() == record.event_id()) {
            newest->parts.push_back(std::move(record));
            continue;
          }
          const auto fit = Fit(wanted, record);
          if (!fit || (newest && record.decided_at_us() < newest_us)) {
            continue;
          }
          newest_us = record.decided_at_us();
          newest = Found{.parts = {},
                         .decision_id = *fit < 0 ? std::string() : record.decisions(*fit).id(),
                         .journal_offset = batch.journal_offset,
                         .seq = batch.journal.seq()};
          newest->parts.push_back(std::move(record));
        }
        return Status::Ok();
      }));
  if (!newest) {
    return Error(ErrorCode::kNotFound,
                 wanted.last ? "nothing was decided in this log yet"
                             : "no decision in this log has an id that begins so; a dead-lettered "
                               "event has none: alertstream dlq list");
  }
  return std::move(*newest);
}

// The event itself, decoded; what the engine saw of it.
struct EventAtHand {
  v1::Envelope envelope;
  schemas::JsonDocument document;
  bool has_data = false;
  LogTime append_time{};

  engine::EventView View() const {
    return {
        .id = envelope.id(),
        .type = envelope.type(),
        .source = envelope.source(),
        .time = envelope.event_time_us() == 0 ? append_time : FromMicros(envelope.event_time_us()),
        .data = has_data ? std::optional(document.root()) : std::nullopt};
  }
};

Status ReadEvent(const Session& session, const v1::Position& position, EventAtHand* event) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const OwnedRecord record,
      ReadRecord(session, {Topic::kSiteEvents, static_cast<std::int32_t>(position.partition())},
                 position.offset()));
  std::vector<log::Header> headers;
  if (const auto fault =
          schemas::DecodeInput(Topic::kSiteEvents, record.View(&headers), &event->envelope)) {
    return Error(ErrorCode::kCorrupt, "the event's record cannot be decoded: " + fault->detail);
  }
  event->append_time = record.append_time;
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto data,
                               schemas::Unseal(event->envelope.site_event().data()));
  event->has_data = !data.empty();
  return event->has_data ? event->document.Parse(data) : Status::Ok();
}

// The versions of triggers that the decisions name, by id and version.
using TriggerVersions = std::map<std::pair<std::string, std::uint64_t>, v1::Trigger>;

// What the facts of the event's partition tell about its decisions.
struct Facts {
  TriggerVersions triggers;
  // Of every notification that the event led to, in their order.
  std::map<std::string, std::vector<v1::Fact>> deliveries;
};

void Keep(v1::Fact fact, Facts* facts) {
  if (fact.has_trigger() && fact.result() == v1::FACT_RESULT_ACCEPTED) {
    facts->triggers[{fact.trigger().trigger().id(), fact.version()}] = fact.trigger().trigger();
  } else if (fact.has_notification()) {
    const auto of = facts->deliveries.find(fact.notification().notification_id());
    if (of != facts->deliveries.end()) {
      of->second.push_back(std::move(fact));
    }
  }
}

Result<Facts> ReadFacts(const Session& session, const Found& found, std::optional<LogTime> at) {
  Facts facts;
  const v1::DecisionRecord& first = found.parts.front();
  for (const auto& part : found.parts) {
    for (const auto& decision : part.decisions()) {
      if (!decision.notification_id().empty()) {
        facts.deliveries[decision.notification_id()];
      }
    }
  }
  ALERTSTREAM_RETURN_IF_ERROR(
      ForEachBatchOf(session, static_cast<std::int32_t>(first.event().partition()), {Topic::kFacts},
                     [&](std::int32_t, const runtime::ReleasedBatch& batch) -> Status {
                       if (at && FromMicros(batch.journal.now_us()) > *at) {
                         return Status::Ok();
                       }
                       for (const auto& output : batch.outputs) {
                         v1::Fact fact;
                         const auto& value = output.record.value;
                         if (fact.ParseFromArray(value.data(), static_cast<int>(value.size())) &&
                             fact.tenant() == first.tenant()) {
                           Keep(std::move(fact), &facts);
                         }
                       }
                       return Status::Ok();
                     }));
  return facts;
}

std::string Headline(const v1::Decision& decision) {
  switch (decision.outcome()) {
    case v1::OUTCOME_SEND:
      return "SEND";
    case v1::OUTCOME_DEFER:
      return "DEFERRED";
    case v1::OUTCOME_SUPPRESS:
      return "NOT SENT";
    case v1::OUTCOME_FAIL:
      return "FAILED";
    case v1::OUTCOME_UNSPECIFIED:
    case v1::Outcome_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Outcome_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "?";
}

class Explainer {
 public:
  // `past` may be null.
  Explainer(const Session& session, const Found& found, PastState* past)
      : session_(session), found_(found), past_(past) {}

  Result<ExitCode> Run();

 private:
  bool Chosen(const v1::Decision& decision) const {
    return found_.decision_id.empty() || decision.id() == found_.decision_id;
  }
  const v1::Trigger* TriggerOf(const v1::Decision& decision) const;
  std::vector<engine::Condition::ConjunctVerdict> Conjuncts(const v1::Decision& decision) const;
  std::string Person(const v1::Decision& decision, const v1::Trigger* trigger) const;
  bool IsPerson(std::string_view raw, const v1::Decision& decision, std::string* masked) const;
  void PrintText();
  void PrintDecision(const v1::Decision& decision);
  void PrintDeliveries(const v1::Decision& decision);
  void PrintGate(int number, const v1::GateResult& gate, const v1::Decision* decision);
  void PrintJson();
  Result<std::map<std::string, v1::RecipientState>> PeopleThen() const;
  void PrintPast();

  const Session& session_;
  const Found& found_;
  PastState* past_;
  EventAtHand event_;
  Facts facts_;
  std::map<std::string, v1::RecipientState> people_then_;  // By token.
};

Result<ExitCode> Explainer::Run() {
  ALERTSTREAM_RETURN_IF_ERROR(ReadEvent(session_, found_.parts.front().event(), &event_));
  const auto at = past_ == nullptr ? std::nullopt : std::optional(past_->now);
  ALERTSTREAM_ASSIGN_OR_RETURN(facts_, ReadFacts(session_, found_, at));
  if (past_ != nullptr) {
    ALERTSTREAM_ASSIGN_OR_RETURN(people_then_, PeopleThen());
  }
  if (session_.Json()) {
    PrintJson();
  } else {
    PrintText();
  }
  return ExitCode::kOk;
}

// The permissions of everybody whom the chosen decisions are about, as the past state has them.
Result<std::map<std::string, v1::RecipientState>> Explainer::PeopleThen() const {
  std::map<std::string, v1::RecipientState> people;
  for (const auto& part : found_.parts) {
    for (const auto& decision : part.decisions()) {
      if (!Chosen(decision) || decision.recipient_token().empty() ||
          people.size() >= kExplainedMax) {
        continue;
      }
      ALERTSTREAM_ASSIGN_OR_RETURN(
          people[decision.recipient_token()],
          RecipientThen(*past_, part.tenant(), decision.recipient_token()));
    }
  }
  return people;
}

void Explainer::PrintPast() {
  std::ostream& out = session_.io.out;
  out << fmt::format("As of {}, seq {}:\n", TimeText(past_->now, session_.io.render), past_->seq);
  for (const auto& [token, person] : people_then_) {
    out << fmt::format("  {}\n", FormatId(IdKind::kRecipient, token));
    for (const auto& opt_out : person.opt_outs()) {
      out << fmt::format("     opt-out on {}: {}, by {}   {}   {}\n", Word(opt_out.channel()),
                         Word(opt_out.status()), Word(opt_out.by()),
                         TimeText(FromMicros(opt_out.at_us()), session_.io.render),
                         PositionText(opt_out.source()));
    }
    for (const auto& consent : person.consents()) {
      out << fmt::format("     consent on {} for {}: {}{}   {}   {}\n", Word(consent.channel()),
                         Word(consent.message_class()), Word(consent.status()),
                         consent.written() ? ", written" : "",
                         TimeText(FromMicros(consent.at_us()), session_.io.render),
                         PositionText(consent.source()));
    }
    if (person.opt_outs_size() + person.consents_size() == 0) {
      out << "     neither opt-outs nor consents\n";
    }
  }
}

const v1::Trigger* Explainer::TriggerOf(const v1::Decision& decision) const {
  const auto found = facts_.triggers.find({decision.trigger_id(), decision.trigger_version()});
  return found == facts_.triggers.end() ? nullptr : &found->second;
}

std::vector<engine::Condition::ConjunctVerdict> Explainer::Conjuncts(
    const v1::Decision& decision) const {
  const v1::Trigger* trigger = TriggerOf(decision);
  if (trigger == nullptr || trigger->when().empty() || event_.envelope.site_event().has_direct()) {
    return {};
  }
  const auto condition = engine::Condition::Compile(trigger->when());
  if (!condition.ok()) {
    return {};
  }
  return condition.value().Explain(event_.View());
}

bool Explainer::IsPerson(std::string_view raw, const v1::Decision& decision,
                         std::string* masked) const {
  const v1::AddressKind kind = engine::AddressKindOf(decision.channel());
  const auto address = engine::NormalizeAddress(kind, raw);
  if (!address.ok()) {
    return false;
  }
  const RecipientToken token = MakeRecipientToken(session_.token_key, found_.parts.front().tenant(),
                                                  static_cast<std::uint8_t>(kind), address.value());
  if (std::string(token.begin(), token.end()) != decision.recipient_token()) {
    return false;
  }
  *masked = MaskAddress(address.value());
  return true;
}

// The recipient's masked address, found where the trigger takes it from; else the token.
std::string Explainer::Person(const v1::Decision& decision, const v1::Trigger* trigger) const {
  if (decision.recipient_token().empty()) {
    return "nobody";
  }
  std::string masked;
  if (trigger != nullptr && trigger->recipients().has_list()) {
    for (const auto& address : trigger->recipients().list().addresses()) {
      const auto raw = schemas::Unseal(address);
      if (raw.ok() && IsPerson(raw.value(), decision, &masked)) {
        return masked;
      }
    }
  }
  constexpr std::string_view kData = "data.";
  if (trigger != nullptr && event_.has_data && trigger->recipients().field().starts_with(kData)) {
    const auto value =
        event_.document.root().FindPath(trigger->recipients().field().substr(kData.size()));
    if (value && value->type() == schemas::JsonType::kString &&
        IsPerson(value->AsString(), decision, &masked)) {
      return masked;
    }
    for (auto child = value ? value->first_child() : std::nullopt; child;
         child = child->next_sibling()) {
      if (child->type() == schemas::JsonType::kString &&
          IsPerson(child->AsString(), decision, &masked)) {
        return masked;
      }
    }
  }
  return ShortId(IdKind::kRecipient, decision.recipient_token());
}

void Explainer::PrintGate(int number, const v1::GateResult& gate, const v1::Decision* decision) {
  const bool passed = gate.verdict() == v1::GATE_VERDICT_PASSED;
  const std::string verdict =
      Colored(fmt::format("{:<8}", passed ? "ok" : "STOPPED"),
              passed ? CellStyle::kGood : CellStyle::kBad, session_.io.render.color);
  std::string text = schemas::GateText(gate);
  if (gate.gate() == v1::GATE_RECIPIENT && decision != nullptr) {
    text = decision->recipient_token().empty()
               ? Word(decision->reason())
               : FormatId(IdKind::kRecipient, decision->recipient_token());
  }
  if (gate.gate() == v1::GATE_CHANNEL && decision != nullptr) {
    text = Word(decision->channel());
  }
  const std::string source = gate.has_source() ? "   " + PositionText(gate.source()) : "";
  session_.io.out << fmt::format("  {:>2} {:<14}{} {}{}{}\n", number, Word(gate.gate()), verdict,
                                 text, source, passed ? "" : "   <- deciding gate");
}

std::string TriggerText(const v1::Decision& decision, const v1::Trigger* trigger) {
  if (decision.trigger_id().empty()) {
    return "direct, with a text of its own";
  }
  return fmt::format(
      "trigger \"{}\" v{}",
      trigger == nullptr || trigger->name().empty() ? decision.trigger_id() : trigger->name(),
      decision.trigger_version());
}

void Explainer::PrintDecision(const v1::Decision& decision) {
  const v1::DecisionRecord& record = found_.parts.front();
  const v1::Trigger* trigger = TriggerOf(decision);
  std::ostream& out = session_.io.out;
  const std::string headline =
      Colored(Headline(decision),
              decision.outcome() == v1::OUTCOME_SEND ? CellStyle::kGood : CellStyle::kWarning,
              session_.io.render.color);
  out << fmt::format(
      "{}{}   {} -> {} {}   {}   {}\n", headline,
      decision.reason() == v1::REASON_UNSPECIFIED ? "" : " (" + Word(decision.reason()) + ")",
      record.event_type(), Word(decision.channel()), Person(decision, trigger),
      TriggerText(decision, trigger),
      TimeText(FromMicros(record.decided_at_us()), session_.io.render));
  out << fmt::format("   {}{}\n", FormatId(IdKind::kDecision, decision.id()),
                     decision.notification_id().empty()
                         ? ""
                         : "   " + FormatId(IdKind::kNotification, decision.notification_id()));
  int number = 1;
  for (const auto& gate : record.gates()) {
    PrintGate(number++, gate, nullptr);
  }
  for (const auto& gate : decision.gates()) {
    PrintGate(number++, gate, &decision);
    if (gate.gate() == v1::GATE_CONDITION) {
      for (const auto& conjunct : Conjuncts(decision)) {
        out << fmt::format("     - {}: {}\n", conjunct.source_text,
                           engine::OutcomeWord(conjunct.outcome));
      }
    }
  }
  for (const v1::Gate gate : schemas::kPairGates) {
    const bool seen =
        std::any_of(decision.gates().begin(), decision.gates().end(),
                    [&](const v1::GateResult& result) { return result.gate() == gate; });
    if (!seen) {
      out << fmt::format("  {:>2} {:<14}not evaluated\n", number++, Word(gate));
    }
  }
  PrintDeliveries(decision);
}

// What became of the notification, as far as anything has come back.
void Explainer::PrintDeliveries(const v1::Decision& decision) {
  const auto found = facts_.deliveries.find(decision.notification_id());
  if (found == facts_.deliveries.end()) {
    return;
  }
  for (const auto& fact : found->second) {
    session_.io.out << fmt::format("     {}   {}\n",
                                   TimeText(FromMicros(fact.at_us()), session_.io.render),
                                   DeliveryText(fact.notification()));
  }
}

void Explainer::PrintText() {
  const v1::DecisionRecord& record = found_.parts.front();
  std::ostream& out = session_.io.out;
  out << fmt::format("event {}   {}   tenant {}   {}   appended {}   key {}\n",
                     FormatId(IdKind::kEvent, record.event_id()), record.event_type(),
                     record.tenant(), PositionText(record.event()),
                     TimeText(FromMicros(record.append_time_us()), session_.io.render),
                     record.tenant());
  std::size_t shown = 0;
  std::size_t all = 0;
  for (const auto& part : found_.parts) {
    for (const auto& decision : part.decisions()) {
      if (Chosen(decision) && ++all <= kExplainedMax) {
        ++shown;
        PrintDecision(decision);
      }
    }
  }
  if (all == 0) {
    out << Word(record.verdict());
    if (record.verdict() == v1::EVENT_VERDICT_NO_MATCH) {
      out << fmt::format(": {} enabled triggers of this type, none of whose conditions held",
                         record.candidates());
    }
    out << "\n";
    int number = 1;
    for (const auto& gate : record.gates()) {
      PrintGate(number++, gate, nullptr);
    }
    if (!record.duplicate_of().empty()) {
      out << fmt::format("first seen as {}\n", FormatId(IdKind::kEvent, record.duplicate_of()));
    }
  }
  if (all > shown) {
    out << fmt::format("{} more decisions of this event; all of them: -o json\n", all - shown);
  }
  if (past_ != nullptr) {
    PrintPast();
  }
  out << fmt::format("Recorded in {}, seq {}. Decide all of it again: alertstream audit verify\n",
                     PositionText(static_cast<std::uint32_t>(Topic::kJournal),
                                  record.event().partition(), found_.journal_offset),
                     found_.seq);
}

void Explainer::PrintJson() {
  JsonList parts;
  JsonList conditions;
  JsonList deliveries;
  for (const auto& part : found_.parts) {
    v1::DecisionRecord chosen = part;
    chosen.clear_decisions();
    for (const auto& decision : part.decisions()) {
      if (!Chosen(decision)) {
        continue;
      }
      *chosen.add_decisions() = decision;
      JsonList conjuncts;
      for (const auto& conjunct : Conjuncts(decision)) {
        JsonObject object;
        object.Text("text", conjunct.source_text);
        object.Text("outcome", engine::OutcomeWord(conjunct.outcome));
        conjuncts.Raw(object.Take());
      }
      JsonObject condition;
      condition.Text("decision", FormatId(IdKind::kDecision, decision.id()));
      condition.Text("recipient", Person(decision, TriggerOf(decision)));
      condition.Raw("conjuncts", conjuncts.Take());
      conditions.Raw(condition.Take());
      const auto found = facts_.deliveries.find(decision.notification_id());
      if (found != facts_.deliveries.end()) {
        for (const auto& fact : found->second) {
          deliveries.Raw(MessageJson(fact));
        }
      }
    }
    if (found_.decision_id.empty() || chosen.decisions_size() > 0) {
      parts.Raw(DecisionRecordJson(chosen, event_.envelope.id()));
    }
  }
  JsonObject object;
  object.Text("event_position", PositionText(found_.parts.front().event()));
  object.Text("journal_position",
              PositionText(static_cast<std::uint32_t>(Topic::kJournal),
                           found_.parts.front().event().partition(), found_.journal_offset));
  object.Integer("seq", static_cast<std::int64_t>(found_.seq));
  object.Raw("records", parts.Take());
  object.Raw("conditions", conditions.Take());
  object.Raw("deliveries", deliveries.Take());
  if (past_ != nullptr) {
    JsonObject past;
    past.Text("as_of", FormatRfc3339(past_->now));
    past.Integer("seq", static_cast<std::int64_t>(past_->seq));
    JsonList people;
    for (const auto& [token, person] : people_then_) {
      JsonObject one;
      one.Text("recipient", FormatId(IdKind::kRecipient, token));
      one.Raw("permissions", MessageJson(person));
      people.Raw(one.Take());
    }
    past.Raw("people", people.Take());
    object.Raw("past", past.Take());
  }
  session_.io.out << object.Take() << "\n";
}

}  // namespace

Result<ExitCode> Explain(const Session& session, const std::string& what, const PastOptions& past) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const Wanted wanted, ParseWanted(what));
  ALERTSTREAM_ASSIGN_OR_RETURN(const Found found, Search(session, wanted, past.at));
  if (!past.wanted()) {
    return Explainer(session, found, nullptr).Run();
  }
  const auto partition = static_cast<std::int32_t>(found.parts.front().event().partition());
  ALERTSTREAM_ASSIGN_OR_RETURN(PastState state, OpenPast(session, partition, past));
  return Explainer(session, found, &state).Run();
}

Result<ExitCode> EventsGet(const Session& session, const std::string& what, bool show_data) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const Wanted wanted, ParseWanted(what));
  ALERTSTREAM_ASSIGN_OR_RETURN(const Found found, Search(session, wanted));
  const v1::DecisionRecord& record = found.parts.front();
  EventAtHand event;
  ALERTSTREAM_RETURN_IF_ERROR(ReadEvent(session, record.event(), &event));
  JsonObject object;
  object.Text("event", FormatId(IdKind::kEvent, record.event_id()));
  object.Text("position", PositionText(record.event()));
  object.Text("append_time", FormatRfc3339(event.append_time));
  object.Text("verdict", Word(record.verdict()));
  object.Raw("envelope", MessageJson(event.envelope));
  if (show_data) {
    std::string data = "null";
    if (event.has_data) {
      data.clear();
      schemas::AppendJson(event.document.root(), &data);
    }
    object.Raw("data", data);
  }
  session.io.out << object.Take() << "\n";
  if (!show_data) {
    session.io.err << "the data may be about people and is left out; show it with --show-data\n";
  }
  return ExitCode::kOk;
}

}  // namespace alertstream::cli
