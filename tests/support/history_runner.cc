// history_runner [--restart] HISTORY.jsonl: runs the real fold over a readable history, batch by
// batch, and prints what it decided as the reference model does (tests/model/model.py describes
// both forms), with the state root after each batch. With --restart every batch begins with nothing
// but the store, as after a crash. Exit 2: the history cannot be read.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "processor/base/crypto.h"
#include "processor/base/id.h"
#include "processor/engine/fold.h"
#include "processor/engine/state_keys.h"
#include "processor/state/memory/memory_store.h"
#include "schemas/json.h"
#include "tests/support/history_json.h"

namespace alertstream::history {
namespace {

constexpr std::string_view kTokenKey = "the token key of readable histories";

std::string Quoted(std::string_view text) {
  std::string json;
  schemas::AppendJsonString(text, &json);
  return json;
}

// "OUTCOME_SEND" -> "SEND"; the unspecified value -> "".
std::string Word(std::string_view name, std::string_view prefix) {
  name.remove_prefix(std::min(name.size(), prefix.size() + 1));
  return Quoted(name == "UNSPECIFIED" ? std::string_view() : name);
}

std::string Joined(const std::vector<std::string>& items) {
  return fmt::format("[{}]", fmt::join(items, ","));
}

// An event with its decisions, which may come in several records over several runs.
struct EventLine {
  std::string head;
  std::vector<std::string> decisions;
};

class Runner {
 public:
  Runner() { Restart(); }

  // Forgets everything but the store.
  void Restart();
  Status ReadAddresses(schemas::JsonValue line);
  Status RunBatch(schemas::JsonValue line);

 private:
  void Fold(LogTime now, const std::vector<HistoryRecord>& records);
  void Take(const engine::Effects& effects);
  void TakeCommands(const engine::Effects& effects);
  void TakeDecisions(const engine::Effects& effects);
  void TakeFacts(const engine::Effects& effects);
  void TakeDeadLetters(const engine::Effects& effects);
  std::string Decision(const std::string& tenant, const v1::Decision& decision);
  std::string AddressOf(const std::string& tenant, const std::string& token);
  void Print();

  HmacKey key_{kTokenKey};
  state::MemoryStore store_;
  state::StateRoot root_;
  std::optional<state::StateMap> map_;
  std::optional<engine::Fold> fold_;
  std::vector<std::pair<std::uint8_t, std::string>> addresses_;
  std::map<std::string, std::map<std::string, std::string>> tokens_;  // tenant, token -> address
  std::map<std::string, std::int64_t> offset_of_event_;
  std::map<std::string, v1::NotificationCommand> commands_;  // By decision id.
  std::vector<std::string> dead_letters_, facts_, usage_, answers_, cancels_;
  std::map<std::string, std::size_t> line_of_event_;
  std::vector<EventLine> events_;
  std::int64_t batch_ = 0;
};

void Runner::Restart() {
  fold_.reset();
  map_.emplace(store_, state::StateMap::Options{.ordered_prefix = engine::TimerPrefix()}, root_);
  fold_.emplace(engine::FoldConfig{key_}, *map_);
}

Status Runner::ReadAddresses(schemas::JsonValue line) {
  const auto addresses = line.Find("addresses");
  if (!addresses) {
    return Error(ErrorCode::kInvalid, "line 1: expected the addresses");
  }
  for (auto pair = addresses->first_child(); pair; pair = pair->next_sibling()) {
    const auto kind = pair->first_child();
    const auto address = kind->next_sibling();
    v1::AddressKind number{};
    if (!v1::AddressKind_Parse("ADDRESS_KIND_" + std::string(kind->AsString()), &number)) {
      return Error(ErrorCode::kInvalid, "line 1: unknown kind of address");
    }
    addresses_.emplace_back(static_cast<std::uint8_t>(number), address->AsString());
  }
  return Status::Ok();
}

Status Runner::RunBatch(schemas::JsonValue line) {
  const auto now = line.Find("now_us");
  const auto json = line.Find("records");
  if (!now || !json) {
    return Error(ErrorCode::kInvalid, "expected now_us and records");
  }
  std::vector<HistoryRecord> records;
  for (auto each = json->first_child(); each; each = each->next_sibling()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto record, RecordFromJson(*each));
    records.push_back(std::move(record));
  }
  Fold(FromMicros(now->AsInt()), records);
  Print();
  ALERTSTREAM_RETURN_IF_ERROR(map_->Flush("meta"));
  return map_->status();
}

// A batch may need several runs: a full one leaves events, or a fan-out, to the next.
void Runner::Fold(LogTime now, const std::vector<HistoryRecord>& records) {
  std::array<std::vector<schemas::RecordView>, schemas::kInputTopicCount> inputs;
  std::vector<std::vector<schemas::HeaderView>> headers(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    const HistoryRecord& record = records[i];
    for (const auto& [name, value] : record.headers) {
      headers[i].push_back({name, value});
    }
    const auto slot =
        std::find(schemas::kInputTopics.begin(), schemas::kInputTopics.end(), record.topic) -
        schemas::kInputTopics.begin();
    inputs[static_cast<std::size_t>(slot)].push_back(
        {.offset = record.offset,
         .append_time = FromMicros(record.append_time_us),
         .key = record.key,
         .value = record.value,
         .headers = headers[i]});
  }
  engine::FoldBatch batch{.now = now, .timers_max = engine::kTimersPerBatchMax};
  std::copy(inputs.begin(), inputs.end(), batch.inputs.begin());
  engine::Effects effects;
  bool more = true;
  while (more) {
    fold_->Run(batch, &effects);
    root_ = map_->SealBatch();
    Take(effects);
    more = effects.more;
    for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
      batch.inputs[i] = batch.inputs[i].subspan(effects.consumed[i]);
      more = more || !batch.inputs[i].empty();
    }
  }
}

void Runner::Take(const engine::Effects& effects) {
  TakeCommands(effects);
  TakeDecisions(effects);
  TakeFacts(effects);
  TakeDeadLetters(effects);
}

void Runner::TakeCommands(const engine::Effects& effects) {
  for (std::size_t i = 0; i < effects.commands.count(); ++i) {
    v1::NotificationCommand command;
    const std::string_view bytes = effects.commands.value(i);
    ALERTSTREAM_CHECK(command.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    if (command.kind() == v1::COMMAND_KIND_SEND) {
      commands_[command.decision_id()] = command;
      continue;
    }
    if (command.kind() == v1::COMMAND_KIND_CANCEL) {
      cancels_.push_back(fmt::format("[{},{},{},{},{}]", Quoted(command.tenant()),
                                     Quoted(command.trigger_id()),
                                     Quoted(AddressOf(command.tenant(), command.recipient_token())),
                                     Word(v1::Channel_Name(command.channel()), "CHANNEL"),
                                     offset_of_event_.at(command.event_id())));
      continue;
    }
    answers_.push_back(fmt::format("[{},{},{},{}]", Quoted(command.tenant()),
                                   Quoted(command.to().plain()), Quoted(command.body().plain()),
                                   command.expires_at_us()));
  }
}

std::string Runner::AddressOf(const std::string& tenant, const std::string& token) {
  auto& known = tokens_[tenant];
  if (known.empty()) {
    for (const auto& [kind, address] : addresses_) {
      const RecipientToken made = MakeRecipientToken(key_, tenant, kind, address);
      known.emplace(std::string(made.begin(), made.end()), address);
    }
  }
  const auto found = known.find(token);
  return token.empty() || found != known.end() ? (token.empty() ? "" : found->second)
                                               : "unknown token " + ToHex(token);
}

std::string Runner::Decision(const std::string& tenant, const v1::Decision& decision) {
  std::string body;
  std::string sender;
  std::int64_t expires_at_us = 0;
  if (const auto command = commands_.find(decision.id()); command != commands_.end()) {
    body = command->second.body().plain();
    sender = command->second.sender_id();
    expires_at_us = command->second.expires_at_us();
    ALERTSTREAM_CHECK(command->second.to().plain() ==
                      AddressOf(tenant, decision.recipient_token()));
  }
  return fmt::format("[{},{},{},{},{},{},{},{},{},{}]", Quoted(decision.trigger_id()),
                     decision.trigger_version(),
                     Quoted(AddressOf(tenant, decision.recipient_token())),
                     Word(v1::Channel_Name(decision.channel()), "CHANNEL"),
                     Word(v1::Outcome_Name(decision.outcome()), "OUTCOME"),
                     Word(v1::Reason_Name(decision.reason()), "REASON"), decision.segments(),
                     Quoted(body), Quoted(sender), expires_at_us);
}

void Runner::TakeDecisions(const engine::Effects& effects) {
  for (std::size_t i = 0; i < effects.decisions.count(); ++i) {
    v1::DecisionRecord record;
    const std::string_view bytes = effects.decisions.value(i);
    ALERTSTREAM_CHECK(record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    offset_of_event_.emplace(record.event_id(), record.event().offset());
    const auto [line, added] = line_of_event_.emplace(record.event_id(), events_.size());
    if (added) {
      const std::string& first = record.duplicate_of();
      events_.push_back({fmt::format(
          R"("tenant":{},"event":{},"verdict":{},"candidates":{},"duplicate_of":{})",
          Quoted(record.tenant()), record.event().offset(),
          Word(v1::EventVerdict_Name(record.verdict()), "EVENT_VERDICT"), record.candidates(),
          first.empty() ? "null" : std::to_string(offset_of_event_.at(first)))});
    }
    for (const auto& decision : record.decisions()) {
      events_[line->second].decisions.push_back(Decision(record.tenant(), decision));
    }
  }
}

std::string SubjectName(const v1::Fact& fact) {
  const auto* field = v1::Fact::descriptor()->FindFieldByNumber(fact.subject_case());
  const std::string name = field == nullptr ? "" : field->name();
  return name == "tenant_change" ? "tenant" : name;
}

void Runner::TakeFacts(const engine::Effects& effects) {
  for (std::size_t i = 0; i < effects.facts.count(); ++i) {
    v1::Fact fact;
    const std::string_view bytes = effects.facts.value(i);
    ALERTSTREAM_CHECK(fact.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    if (fact.has_usage()) {
      usage_.push_back(fmt::format("[{},{},{}]", Quoted(fact.tenant()), fact.usage().month(),
                                   fact.usage().sends()));
      continue;
    }
    const auto topic = static_cast<schemas::Topic>(fact.cause().topic());
    facts_.push_back(fmt::format(
        "[{},{},{},{},{},{}]", Quoted(schemas::NameOf(topic)), fact.cause().offset(),
        Quoted(SubjectName(fact)), Word(v1::FactResult_Name(fact.result()), "FACT_RESULT"),
        Word(v1::RejectReason_Name(fact.reject_reason()), "REJECT_REASON"), fact.version()));
  }
}

void Runner::TakeDeadLetters(const engine::Effects& effects) {
  for (std::size_t i = 0; i < effects.dead_letters.count(); ++i) {
    v1::DeadLetter letter;
    const std::string_view bytes = effects.dead_letters.value(i);
    ALERTSTREAM_CHECK(letter.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    const auto topic = static_cast<schemas::Topic>(letter.record().topic());
    dead_letters_.push_back(
        fmt::format("[{},{},{},{}]", Quoted(schemas::NameOf(topic)), letter.record().offset(),
                    Word(v1::DeadLetterStage_Name(letter.stage()), "DEAD_LETTER_STAGE"),
                    Word(v1::DeadLetterReason_Name(letter.reason()), "DEAD_LETTER_REASON")));
  }
}

void Runner::Print() {
  fmt::print(R"({{"batch":{},"root":"{}","dead_letters":{},"facts":{},"usage":{},"answers":{},)"
             R"("cancels":{}}})",
             batch_++, ToHex(root_.ToBytes()), Joined(dead_letters_), Joined(facts_),
             Joined(usage_), Joined(answers_), Joined(cancels_));
  fmt::print("\n");
  for (const EventLine& event : events_) {
    fmt::print("{{{},\"decisions\":{}}}\n", event.head, Joined(event.decisions));
  }
  dead_letters_.clear();
  facts_.clear();
  usage_.clear();
  answers_.clear();
  cancels_.clear();
  events_.clear();
  line_of_event_.clear();
  commands_.clear();
}

int Main(std::vector<std::string> arguments) {
  const bool restart = !arguments.empty() && arguments.front() == "--restart";
  if (restart) {
    arguments.erase(arguments.begin());
  }
  if (arguments.size() != 1) {
    fmt::print(stderr, "usage: history_runner [--restart] HISTORY.jsonl\n");
    return 2;
  }
  std::ifstream file(arguments.front());
  std::string line;
  Runner runner;
  schemas::JsonDocument document;
  for (int number = 1; std::getline(file, line); ++number) {
    if (restart) {
      runner.Restart();
    }
    Status status = document.Parse(line);
    if (status.ok()) {
      status =
          number == 1 ? runner.ReadAddresses(document.root()) : runner.RunBatch(document.root());
    }
    if (!status.ok()) {
      fmt::print(stderr, "{}:{}: {}\n", arguments.front(), number, status.error().message());
      return 2;
    }
  }
  return 0;
}

}  // namespace
}  // namespace alertstream::history

int main(int argc, char** argv) {
  return alertstream::history::Main(std::vector<std::string>(argv + 1, argv + argc));
}
