#include "tests/support/fold_harness.h"

#include <algorithm>
#include <cstddef>
#include <list>
#include <stdexcept>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "processor/engine/state_keys.h"
#include "schemas/input_codec.h"

namespace alertstream::engine {
namespace {

using schemas::Topic;

std::size_t SlotOf(Topic topic) {
  const auto& inputs = schemas::kInputTopics;
  return static_cast<std::size_t>(std::find(inputs.begin(), inputs.end(), topic) - inputs.begin());
}

template <typename Message>
void Decode(const OutputBuffer& buffer, std::vector<Message>* messages,
            std::vector<std::string>* all) {
  for (std::size_t i = 0; i < buffer.count(); ++i) {
    const std::string_view bytes = buffer.value(i);
    Message message;
    EXPECT_TRUE(message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    messages->push_back(std::move(message));
    all->push_back(std::string(buffer.key(i)).append("\n").append(bytes));
  }
}

// "OUTCOME_SEND" without its enum's name.
std::string Word(std::string_view name, std::string_view prefix) {
  return std::string(name.substr(prefix.size() + 1));
}

}  // namespace

Result<bool> FaultyStore::Get(std::string_view key, std::string* value) {
  if (const auto fault = faults_.find(key); fault != faults_.end()) {
    faults_.erase(fault);
    throw std::runtime_error("a fault of the test");
  }
  return store_.Get(key, value);
}

FoldHarness::FoldHarness(Options options) : options_(options) { Restart(); }

void FoldHarness::Restart() {
  fold_.reset();
  map_.emplace(store_, state::StateMap::Options{.ordered_prefix = TimerPrefix()}, root_);
  fold_.emplace(FoldConfig{key_, options_.partition, options_.partitions}, *map_);
}

std::int64_t FoldHarness::Add(Topic topic, std::string_view envelope, std::string_view tenant) {
  schemas::JsonDocument document;
  const Status parsed = document.Parse(envelope);
  EXPECT_TRUE(parsed.ok()) << parsed.error().message() << " in " << envelope;
  auto message = history::EnvelopeFromJson(document.root());
  EXPECT_TRUE(message.ok()) << message.error().message() << " in " << envelope;
  v1::Envelope& filled = message.value();
  if (filled.tenant().empty()) {
    filled.set_tenant(std::string(tenant));
  }
  if (filled.routing_key().empty()) {
    filled.set_routing_key(std::string(tenant));
  }
  if (filled.schema_version() == 0) {
    filled.set_schema_version(1);
  }
  if (filled.trust() == v1::TRUST_UNSPECIFIED) {
    filled.set_trust(v1::TRUST_SECRET);
  }
  const auto bytes = schemas::EncodeEnvelope(filled);
  EXPECT_TRUE(bytes.ok());
  return AddRaw(topic, tenant, bytes.value());
}

std::int64_t FoldHarness::AddRaw(Topic topic, std::string_view key, std::string_view value,
                                 std::vector<std::pair<std::string, std::string>> headers) {
  history::HistoryRecord record;
  record.topic = topic;
  record.offset = next_offset_[static_cast<std::size_t>(topic)]++;
  record.append_time_us = ToMicros(now_ - delay_);
  record.key = std::string(key);
  record.value = std::string(value);
  record.headers = std::move(headers);
  pending_[SlotOf(topic)].push_back(std::move(record));
  return next_offset_[static_cast<std::size_t>(topic)] - 1;
}

std::int64_t FoldHarness::Change(std::string_view change, std::string_view tenant) {
  return Add(Topic::kAccountChanges, fmt::format(R"({{"account_change":{}}})", change), tenant);
}

std::int64_t FoldHarness::Event(std::string_view data, std::string_view more) {
  std::string text;
  schemas::AppendJsonString(data, &text);
  return Add(Topic::kSiteEvents,
             fmt::format(R"({{"type":"order","site_event":{{"data":{{"plain":{}}}}}{}{}}})", text,
                         more.empty() ? "" : ",", more));
}

void FoldHarness::AddTenant() {
  Change(R"({"tenant":{"status":"TENANT_STATUS_ACTIVE","plan":"basic"}})");
  Change(R"({"plan":{"id":"basic","sends_per_month_max":100}})");
  Change(R"({"site":{"id":"shop","status":"SITE_STATUS_ACTIVE"}})");
  Change(R"({"sender":{"id":"main","provider":"fake","number":"+15005550006","is_default":true}})");
}

Outputs FoldHarness::RunBatch() {
  std::array<std::vector<schemas::RecordView>, schemas::kInputTopicCount> views;
  std::list<std::vector<schemas::HeaderView>> headers;
  FoldBatch batch{.now = now_, .engine_version = engine_version_, .timers_max = kTimersPerBatchMax};
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    for (const auto& record : pending_[i]) {
      auto& own = headers.emplace_back();
      for (const auto& [name, value] : record.headers) {
        own.push_back({name, value});
      }
      views[i].push_back({.offset = record.offset,
                          .append_time = FromMicros(record.append_time_us),
                          .key = record.key,
                          .value = record.value,
                          .headers = own});
    }
    batch.inputs[i] = views[i];
  }
  Effects effects;
  fold_->Run(batch, &effects);
  EXPECT_TRUE(map_->status().ok());
  EXPECT_LE(effects.records(), kEffectsRecordsMax);
  EXPECT_LE(effects.bytes(), kEffectsBytesMax);
  root_ = map_->SealBatch();
  EXPECT_TRUE(map_->Flush("meta").ok());
  Outputs outputs{.reroutes = effects.reroutes, .batches = 1, .more = effects.more};
  Decode(effects.commands, &outputs.commands, &outputs.bytes);
  Decode(effects.decisions, &outputs.decisions, &outputs.bytes);
  Decode(effects.facts, &outputs.facts, &outputs.bytes);
  Decode(effects.dead_letters, &outputs.dead_letters, &outputs.bytes);
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    auto& records = pending_[i];
    records.erase(records.begin(),
                  records.begin() + static_cast<std::ptrdiff_t>(effects.consumed[i]));
  }
  return outputs;
}

Outputs FoldHarness::Run() {
  const auto append = [](auto from, auto* to) {
    std::move(from.begin(), from.end(), std::back_inserter(*to));
  };
  Outputs all;
  do {
    Outputs outputs = RunBatch();
    append(std::move(outputs.commands), &all.commands);
    append(std::move(outputs.decisions), &all.decisions);
    append(std::move(outputs.facts), &all.facts);
    append(std::move(outputs.dead_letters), &all.dead_letters);
    append(std::move(outputs.reroutes), &all.reroutes);
    append(std::move(outputs.bytes), &all.bytes);
    all.more = outputs.more;
    ++all.batches;
  } while (all.more || !pending_.back().empty());
  return all;
}

RecipientToken FoldHarness::TokenOf(std::string_view phone, std::string_view tenant) const {
  return MakeRecipientToken(key_, tenant, v1::ADDRESS_KIND_PHONE, phone);
}

v1::Decision OnlyDecision(const Outputs& outputs) {
  const bool one = outputs.decisions.size() == 1 && outputs.decisions[0].decisions_size() == 1;
  EXPECT_TRUE(one) << "expected one decision";
  return one ? outputs.decisions[0].decisions(0) : v1::Decision();
}

std::vector<std::string> Outcomes(const Outputs& outputs) {
  std::vector<std::string> outcomes;
  for (const auto& record : outputs.decisions) {
    for (const auto& decision : record.decisions()) {
      std::string outcome = Word(v1::Outcome_Name(decision.outcome()), "OUTCOME");
      if (decision.reason() != v1::REASON_UNSPECIFIED) {
        outcome.append(" ").append(Word(v1::Reason_Name(decision.reason()), "REASON"));
      }
      outcomes.push_back(outcome);
    }
  }
  return outcomes;
}

std::vector<std::string> Verdicts(const Outputs& outputs) {
  std::vector<std::string> verdicts;
  for (const auto& record : outputs.decisions) {
    if (record.part() == 0) {
      verdicts.push_back(Word(v1::EventVerdict_Name(record.verdict()), "EVENT_VERDICT"));
    }
  }
  return verdicts;
}

std::vector<std::string> Facts(const Outputs& outputs) {
  std::vector<std::string> facts;
  for (const auto& fact : outputs.facts) {
    if (fact.has_usage()) {
      continue;
    }
    const auto* field = v1::Fact::descriptor()->FindFieldByNumber(fact.subject_case());
    facts.push_back(field->name() + " " +
                    (fact.result() == v1::FACT_RESULT_ACCEPTED
                         ? "ACCEPTED"
                         : Word(v1::RejectReason_Name(fact.reject_reason()), "REJECT_REASON")));
  }
  return facts;
}

std::vector<std::string> DeadLetters(const Outputs& outputs) {
  std::vector<std::string> letters;
  for (const auto& letter : outputs.dead_letters) {
    letters.push_back(Word(v1::DeadLetterStage_Name(letter.stage()), "DEAD_LETTER_STAGE") + " " +
                      Word(v1::DeadLetterReason_Name(letter.reason()), "DEAD_LETTER_REASON"));
  }
  return letters;
}

std::optional<v1::GateResult> FindGate(const v1::Decision& decision, v1::Gate gate) {
  const auto found = std::find_if(decision.gates().begin(), decision.gates().end(),
                                  [&](const auto& result) { return result.gate() == gate; });
  return found == decision.gates().end() ? std::nullopt : std::optional(*found);
}

}  // namespace alertstream::engine
