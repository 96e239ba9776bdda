#include "api/control/control_answer.h"

#include <string_view>

#include <fmt/format.h>

#include "processor/base/id.h"
#include "schemas/enum_words.h"
#include "schemas/json.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

struct ItemResult {
  std::string_view status = "accepted";
  std::string id;
  std::optional<std::uint64_t> version;
  std::string reason;
  std::string detail;
};

void AppendMember(std::string_view name, std::string_view text, std::string* out) {
  fmt::format_to(std::back_inserter(*out), ",\"{}\":", name);
  if (text.empty()) {
    out->append("null");
  } else {
    schemas::AppendJsonString(text, out);
  }
}

// The first fact that was rejected, else the first.
const v1::Fact* DecidingFact(std::span<const RecordAnswer> answers) {
  const v1::Fact* first = nullptr;
  for (const RecordAnswer& answer : answers) {
    for (const v1::Fact& fact : answer.facts) {
      if (fact.result() == v1::FACT_RESULT_REJECTED) {
        return &fact;
      }
      first = first == nullptr ? &fact : first;
    }
  }
  return first;
}

void ReadFact(const v1::Fact& fact, ItemResult* result) {
  if (fact.version() > 0) {
    result->version = fact.version();
  }
  if (fact.has_consent()) {
    result->id = FormatId(IdKind::kRecipient, fact.consent().recipient_token());
  } else if (fact.has_opt_out()) {
    result->id = FormatId(IdKind::kRecipient, fact.opt_out().recipient_token());
  }
  if (fact.result() == v1::FACT_RESULT_REJECTED) {
    result->status = "rejected";
    result->reason = schemas::Word(fact.reject_reason());
    result->detail = fact.detail();
  }
}

void ReadDecision(const v1::DecisionRecord& record, ItemResult* result) {
  const bool is_duplicate = record.verdict() == v1::EVENT_VERDICT_DUPLICATE;
  result->id = FormatId(IdKind::kEvent, is_duplicate ? record.duplicate_of() : record.event_id());
  result->detail = schemas::Word(record.verdict());
  if (is_duplicate) {
    result->status = "unchanged";
    result->reason = "duplicate";
  }
}

// What became of a retry is in the one fact about it, whatever else its record did.
void ReadDeadLetter(const RecordAnswer& answer, ItemResult* result) {
  for (const v1::Fact& fact : answer.facts) {
    if (fact.has_dead_letter()) {
      ReadFact(fact, result);
      if (result->detail.empty()) {
        result->detail = schemas::Word(fact.dead_letter().status());
      }
      return;
    }
  }
  result->status = "rejected";
  if (!answer.dead_letters.empty()) {  // It was passed over.
    result->reason = schemas::Word(answer.dead_letters.front().reason());
    result->detail = answer.dead_letters.front().detail();
    return;
  }
  // The record was decided, by an engine version that knows nothing of retries.
  result->reason = schemas::Word(v1::REJECT_REASON_ENGINE_VERSION);
  result->detail =
      "the record was decided, by an engine version that knows no actions on dead letters; "
      "activate 5 "
      "before anything is asked for again";
}

void ReadRetry(const v1::DecisionRecord& record, ItemResult* result) {
  ReadDecision(record, result);
  if (record.decisions_size() == 1) {
    const v1::Decision& decision = record.decisions(0);
    const bool sent = decision.outcome() == v1::OUTCOME_SEND;
    result->status = sent ? "accepted" : "rejected";
    result->reason = sent ? "" : schemas::Word(decision.reason());
    result->detail = schemas::Word(decision.outcome());
  }
}

ItemResult ResultOf(const ControlItem& item, const ControlOutcome& outcome) {
  ItemResult result{.id = item.id};
  if (outcome.unchanged_version) {
    result.status = "unchanged";
    result.version = outcome.unchanged_version;
    return result;
  }
  if (outcome.answers.empty()) {
    result.status = "pending";
    return result;
  }
  if (item.kind == ControlKind::kDeadLetter &&
      outcome.position->topic != schemas::Topic::kAccountChanges) {
    ReadDeadLetter(outcome.answers.front(), &result);
    return result;
  }
  for (const RecordAnswer& answer : outcome.answers) {
    if (!answer.dead_letters.empty()) {
      const v1::DeadLetter& letter = answer.dead_letters.front();
      result.status = "rejected";
      result.reason = schemas::Word(letter.reason());
      result.detail = letter.detail();
      return result;
    }
  }
  const RecordAnswer& first = outcome.answers.front();
  if (item.kind == ControlKind::kEvent && !first.decisions.empty()) {
    ReadDecision(first.decisions.front(), &result);
  } else if (item.kind == ControlKind::kNotificationRetry && !first.decisions.empty()) {
    ReadRetry(first.decisions.front(), &result);
  } else if (item.kind == ControlKind::kDeadLetter) {
    ReadDeadLetter(first, &result);
  } else if (const v1::Fact* fact = DecidingFact(outcome.answers)) {
    ReadFact(*fact, &result);
  }
  return result;
}

void AppendResult(const ControlItem& item, const ControlOutcome& outcome, std::string* out) {
  const ItemResult result = ResultOf(item, outcome);
  fmt::format_to(std::back_inserter(*out), R"({{"status":"{}","kind":"{}")", result.status,
                 WordOf(item.kind));
  AppendMember("id", result.id, out);
  out->append(result.version ? fmt::format(",\"version\":{}", *result.version)
                             : std::string(",\"version\":null"));
  AppendMember("reason", result.reason, out);
  AppendMember("detail", result.detail, out);
  if (outcome.position) {
    fmt::format_to(std::back_inserter(*out),
                   R"(,"position":{{"topic":"{}","partition":{},"offset":{}}}}})",
                   schemas::NameOf(outcome.position->topic), outcome.position->partition,
                   outcome.position->offset);
  } else {
    out->append(",\"position\":null}");
  }
}

}  // namespace

std::string ControlAnswer(std::span<const ControlItem> items,
                          std::span<const ControlOutcome> outcomes) {
  std::string out = R"({"results":[)";
  for (std::size_t i = 0; i < items.size(); ++i) {
    out += i > 0 ? "," : "";
    AppendResult(items[i], outcomes[i], &out);
  }
  return out + "]}";
}

}  // namespace alertstream::api
