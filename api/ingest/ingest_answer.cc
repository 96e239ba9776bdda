#include "api/ingest/ingest_answer.h"

#include <string_view>

#include "processor/base/rfc3339.h"
#include "schemas/json.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

// "REASON_OPTED_OUT" with the prefix "REASON_" is "opted_out".
std::string Word(std::string_view name, std::string_view prefix) {
  std::string word(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
  for (char& c : word) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return word;
}

void AppendText(std::string_view name, std::string_view text, std::string* out) {
  out->append(R"(,")").append(name).append(R"(":)");
  if (text.empty()) {
    out->append("null");
  } else {
    schemas::AppendJsonString(text, out);
  }
}

std::string IdOf(IdKind kind, std::string_view bytes) {
  return bytes.empty() ? std::string() : FormatId(kind, bytes);
}

struct Entry {
  std::string id;
  std::string_view trigger = {};
  std::string recipient = {};
  std::string channel = {};
  std::string_view outcome;
  std::string reason = {};
  std::string notification_id = {};
};

// Without the closing brace, so that more members may follow.
void AppendEntry(const Entry& entry, std::string* out) {
  out->append(out->back() == '[' ? "{" : ",{").append(R"("id":)");
  if (entry.id.empty()) {
    out->append("null");
  } else {
    schemas::AppendJsonString(entry.id, out);
  }
  AppendText("trigger", entry.trigger, out);
  AppendText("recipient", entry.recipient, out);
  AppendText("channel", entry.channel, out);
  AppendText("outcome", entry.outcome, out);
  AppendText("reason", entry.reason, out);
  AppendText("notification_id", entry.notification_id, out);
}

void AppendDecision(const v1::Decision& decision, std::string* out) {
  constexpr std::string_view kOutcome = "OUTCOME_";
  const std::string& outcome = v1::Outcome_Name(decision.outcome());
  const bool has_reason = decision.reason() != v1::REASON_UNSPECIFIED;
  AppendEntry({.id = IdOf(IdKind::kDecision, decision.id()),
               .trigger = decision.trigger_id(),
               .recipient = IdOf(IdKind::kRecipient, decision.recipient_token()),
               .channel = Word(v1::Channel_Name(decision.channel()), "CHANNEL_"),
               .outcome = std::string_view(outcome).substr(
                   outcome.starts_with(kOutcome) ? kOutcome.size() : 0),
               .reason = has_reason ? Word(v1::Reason_Name(decision.reason()), "REASON_") : "",
               .notification_id = IdOf(IdKind::kNotification, decision.notification_id())},
              out);
  out->push_back('}');
}

}  // namespace

void AppendAccepted(const IdempotencyEntry& entry, std::string* out) {
  out->append(R"("id":")").append(FormatId(IdKind::kEvent, entry.event_id));
  out->append(R"(","accepted_at":")").append(FormatRfc3339(entry.append_time));
  out->append(R"(","position":{"topic":")");
  out->append(schemas::NameOf(schemas::Topic::kSiteEvents));
  out->append(R"(","partition":)").append(std::to_string(entry.partition));
  out->append(R"(,"offset":)").append(std::to_string(entry.offset)).append("}");
}

void AppendDecisions(const RecordAnswer& answer, std::string* out) {
  out->append(R"("decisions":[)");
  for (const v1::DecisionRecord& record : answer.decisions) {
    for (const v1::Decision& decision : record.decisions()) {
      AppendDecision(decision, out);
    }
    switch (record.verdict()) {
      case v1::EVENT_VERDICT_NO_MATCH:
        AppendEntry({.outcome = "NO_MATCH"}, out);
        out->push_back('}');
        break;
      case v1::EVENT_VERDICT_EXPIRED:
        AppendEntry({.outcome = "EXPIRED"}, out);
        out->push_back('}');
        break;
      case v1::EVENT_VERDICT_DUPLICATE:
        AppendEntry({.outcome = "DUPLICATE"}, out);
        AppendText("duplicate_of", IdOf(IdKind::kEvent, record.duplicate_of()), out);
        out->push_back('}');
        break;
      case v1::EVENT_VERDICT_ACCEPTED:
      case v1::EVENT_VERDICT_UNSPECIFIED:
      case v1::EventVerdict_INT_MIN_SENTINEL_DO_NOT_USE_:
      case v1::EventVerdict_INT_MAX_SENTINEL_DO_NOT_USE_:
        break;
    }
  }
  for (const v1::DeadLetter& letter : answer.dead_letters) {
    AppendEntry({.id = IdOf(IdKind::kDeadLetter, letter.id()),
                 .outcome = "DEAD_LETTER",
                 .reason = Word(v1::DeadLetterReason_Name(letter.reason()), "DEAD_LETTER_REASON_")},
                out);
    AppendText("detail", letter.detail(), out);
    out->push_back('}');
  }
  out->push_back(']');
}

}  // namespace alertstream::api
