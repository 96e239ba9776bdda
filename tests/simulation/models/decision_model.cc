#include "tests/simulation/models/decision_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace alertstream::simulation {
namespace {

using schemas::Topic;
using Person = std::pair<std::string, std::string>;  // Tenant, phone.

// The promise of I5.
constexpr Micros kGrace{250'000};

// Of topics that act at the same time: as the catalogue numbers them.
struct FactOrder {
  LogTime at;
  bool lifting;
  Topic topic;
  std::int64_t offset;
  friend auto operator<=>(const FactOrder&, const FactOrder&) = default;
};

bool IsRestricting(InputKind kind) {
  return kind == InputKind::kOptOut || kind == InputKind::kStop || kind == InputKind::kRevoke;
}

class Model {
 public:
  Model(const History& history, const Inputs& inputs, Violations* violations)
      : history_(history), inputs_(inputs), violations_(*violations) {}

  void Check() {
    for (const auto& record : history_.decisions) {
      if (record.part() == 0) {
        decided_[record.event().offset()].push_back(&record);
      }
    }
    for (const auto& record : history_.journal) {
      Fold(record);
    }
    for (const auto& [offset, records] : decided_) {
      if (!expected_.contains(offset)) {
        Fail("I1", fmt::format("site-events offset {}: decided, but nothing asked for it", offset));
      }
    }
  }

 private:
  void Fail(const char* invariant, std::string what) {
    violations_.push_back({invariant, std::move(what)});
  }

  void Fold(const v1::JournalRecord& record) {
    std::map<FactOrder, const Input*> facts;
    std::vector<std::pair<std::int64_t, const Input*>> events;
    for (const auto& range : record.inputs()) {
      const auto topic = static_cast<Topic>(range.topic());
      for (auto it = inputs_.lower_bound({topic, range.first()});
           it != inputs_.end() && it->first < PlaceOf{topic, range.next()}; ++it) {
        const Input& input = it->second;
        if (topic == Topic::kSiteEvents) {
          events.emplace_back(it->first.offset, &input);
        } else {
          facts[{input.at, !IsRestricting(input.kind), topic, it->first.offset}] = &input;
        }
      }
    }
    for (const auto& [order, input] : facts) {
      Apply(*input);
    }
    for (const auto& [offset, input] : events) {
      Decide(offset, *input, record);
    }
  }

  void Apply(const Input& input) {
    const Person person{input.tenant, input.phone};
    switch (input.kind) {
      case InputKind::kOptOut:
      case InputKind::kStop:
        opted_out_.insert(person);
        break;
      case InputKind::kStart:
        opted_out_.erase(person);
        break;
      case InputKind::kRevoke:
        revoked_.insert(person);
        break;
      case InputKind::kGrant:
        revoked_.erase(person);
        break;
      case InputKind::kSetup:
      case InputKind::kEvent:
      case InputKind::kPoison:
      case InputKind::kNewText:
        break;
    }
  }

  // "DUPLICATE", "SUPPRESS 4", "SEND"; "": a dead letter, no decision.
  std::string Expect(const Input& input) {
    if (input.kind == InputKind::kPoison) {
      return "";
    }
    const auto [seen, first] = bodies_.try_emplace({input.tenant, input.id}, input.body);
    if (!first) {
      return seen->second == input.body ? "DUPLICATE" : "";
    }
    const Person person{input.tenant, input.phone};
    v1::Reason reason = v1::REASON_UNSPECIFIED;
    if (revoked_.contains(person)) {
      reason = v1::REASON_CONSENT_REVOKED;
    } else if (opted_out_.contains(person)) {
      reason = v1::REASON_OPTED_OUT;
    } else if (sent_to_[person] >= kDailyCap) {
      reason = v1::REASON_DAILY_CAP;
    } else if (sent_[input.tenant] >= kQuota) {
      reason = v1::REASON_QUOTA_EXCEEDED;
    }
    if (reason != v1::REASON_UNSPECIFIED) {
      return fmt::format("SUPPRESS {}", v1::Reason_Name(reason));
    }
    ++sent_to_[person];
    ++sent_[input.tenant];
    return "SEND";
  }

  static std::string Shown(const v1::DecisionRecord& record) {
    if (record.verdict() == v1::EVENT_VERDICT_DUPLICATE) {
      return "DUPLICATE";
    }
    if (record.verdict() != v1::EVENT_VERDICT_ACCEPTED || record.decisions_size() != 1) {
      return fmt::format("{} with {} decisions", v1::EventVerdict_Name(record.verdict()),
                         record.decisions_size());
    }
    const v1::Decision& decision = record.decisions(0);
    if (decision.outcome() == v1::OUTCOME_SEND) {
      return "SEND";
    }
    return fmt::format("{} {}", decision.outcome() == v1::OUTCOME_SUPPRESS ? "SUPPRESS" : "FAIL",
                       v1::Reason_Name(decision.reason()));
  }

  void Decide(std::int64_t offset, const Input& input, const v1::JournalRecord& journal) {
    expected_.insert(offset);
    const std::string expected = Expect(input);
    const auto found = decided_.find(offset);
    const std::size_t count = found == decided_.end() ? 0 : found->second.size();
    if (count != (expected.empty() ? 0U : 1U)) {
      Fail("I1", fmt::format("site-events offset {}: decided {} times, expected '{}'", offset,
                             count, expected));
      return;
    }
    if (count == 0) {
      return;
    }
    const std::string shown = Shown(*found->second.front());
    if (shown != expected) {
      const bool too_much = shown == "SEND" && expected.starts_with("SUPPRESS");
      Fail(too_much ? "I5" : "I1", fmt::format("site-events offset {} (seq {}): decided '{}', the "
                                               "model says '{}'",
                                               offset, journal.seq(), shown, expected));
    }
    if (shown == "SEND") {
      CheckNobodyObjected(offset, input, journal);
    }
  }

  // By the broker's times alone: what the order of the journal must have made of them.
  void CheckNobodyObjected(std::int64_t offset, const Input& event,
                           const v1::JournalRecord& journal) {
    const LogTime decided = FromMicros(journal.now_us());
    for (const bool consent : {false, true}) {
      LogTime objected{};
      LogTime lifted{};
      for (const auto& [place, input] : inputs_) {
        const bool of_consent = input.kind == InputKind::kRevoke || input.kind == InputKind::kGrant;
        if (input.tenant != event.tenant || input.phone != event.phone || of_consent != consent ||
            place.topic == Topic::kSiteEvents) {
          continue;
        }
        if (!IsRestricting(input.kind)) {
          // Clocks may be wrong by seconds: what lies before the decision is not known exactly.
          lifted = std::max(lifted, input.at);
        } else if (input.at + kGrace < event.at && input.at <= decided + std::chrono::seconds(5)) {
          objected = std::max(objected, input.at);
        }
      }
      if (objected > LogTime{} && lifted < objected) {
        Fail("I5", fmt::format("site-events offset {} (seq {}): SEND, {} ms after {}", offset,
                               journal.seq(), (event.at - objected).count() / 1000,
                               consent ? "a revocation" : "an opt-out"));
      }
    }
  }

  const History& history_;
  const Inputs& inputs_;
  Violations& violations_;
  std::map<std::int64_t, std::vector<const v1::DecisionRecord*>> decided_;
  std::set<std::int64_t> expected_;
  std::set<Person> opted_out_;
  std::set<Person> revoked_;
  std::map<std::pair<std::string, std::string>, std::string> bodies_;
  std::map<Person, std::int64_t> sent_to_;
  std::map<std::string, std::int64_t> sent_;
};

}  // namespace

void CheckDecisions(const History& history, const Inputs& inputs, Violations* violations) {
  Model(history, inputs, violations).Check();
}

}  // namespace alertstream::simulation
