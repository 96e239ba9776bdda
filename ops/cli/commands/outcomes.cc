#include "ops/cli/commands/outcomes.h"

#include <algorithm>
#include <deque>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "api/control/control_document.h"
#include "ops/cli/words.h"
#include "processor/log/record_limits.h"
#include "schemas/envelope_check.h"
#include "schemas/input_codec.h"
#include "schemas/limits.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

constexpr std::chrono::milliseconds kStep{50};
constexpr std::chrono::milliseconds kPause{3};
// A reader that is behind and gets nothing for this long has lost the log.
constexpr std::chrono::milliseconds kStallMax{15'000};
// How often the processor is asked whether it can go on.
constexpr std::chrono::milliseconds kProcessorAskedEvery{300};
// Changes of an operator's command: the answer of a processor elsewhere.
constexpr std::chrono::milliseconds kAnswerElsewhere{5'000};
constexpr std::chrono::milliseconds kAnswerHere{60'000};

constexpr std::size_t kAppendRecordsMax = 1000;

template <typename Message>
Result<Message> Parse(const runtime::ReleasedRecord& output) {
  Message message;
  const auto& value = output.record.value;
  if (!message.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return Error(ErrorCode::kCorrupt,
                 fmt::format("{} offset {}: the record cannot be decoded",
                             schemas::NameOf(output.topic), output.record.offset));
  }
  return message;
}

}  // namespace

Status ForEachBatchOf(const Session& session, std::int32_t partition,
                      const std::vector<Topic>& topics, const VisitBatch& visit) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto reader,
      runtime::OutputReader::Open(
          session.log,
          {.log_id = session.identity.log_id, .partition = partition, .topics = topics}));
  std::chrono::milliseconds silent{0};
  while (!session.Interrupted()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const auto batch,
        reader->Next(reader->AtOpeningEnd() ? std::chrono::milliseconds(0) : kStep));
    if (batch) {
      silent = std::chrono::milliseconds(0);
      ALERTSTREAM_RETURN_IF_ERROR(visit(partition, *batch));
      continue;
    }
    if (reader->AtOpeningEnd()) {
      return Status::Ok();
    }
    silent += kStep;
    if (silent >= kStallMax) {
      return Error(ErrorCode::kUnavailable,
                   fmt::format("the journal of partition {} cannot be read", partition));
    }
  }
  return Error(ErrorCode::kUnavailable, "interrupted");
}

Status ForEachBatch(const Session& session, const std::vector<Topic>& topics,
                    const VisitBatch& visit) {
  for (std::int32_t partition = 0; partition < session.identity.partitions; ++partition) {
    ALERTSTREAM_RETURN_IF_ERROR(ForEachBatchOf(session, partition, topics, visit));
  }
  return Status::Ok();
}

Result<std::unique_ptr<OutcomeWatcher>> OutcomeWatcher::Open(const Session& session,
                                                             bool with_commands) {
  auto watcher = std::unique_ptr<OutcomeWatcher>(new OutcomeWatcher(session));
  std::vector<Topic> topics = {Topic::kDecisions, Topic::kFacts, Topic::kDeadLetters};
  if (with_commands) {
    topics.insert(topics.begin(), Topic::kNotificationCommands);
  }
  for (std::int32_t partition = 0; partition < session.identity.partitions; ++partition) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        auto reader, runtime::OutputReader::Open(session.log, {.log_id = session.identity.log_id,
                                                               .partition = partition,
                                                               .topics = topics,
                                                               .from_end = true}));
    watcher->readers_.push_back(std::move(reader));
  }
  return watcher;
}

void OutcomeWatcher::Expect(Topic topic, std::int32_t partition, std::int64_t offset,
                            RecordOutcome* outcome) {
  expected_[Key(static_cast<std::uint32_t>(topic), static_cast<std::uint32_t>(partition), offset)] =
      outcome;
}

RecordOutcome* OutcomeWatcher::Find(const v1::Position& position) {
  const auto found = expected_.find(Key(position.topic(), position.partition(), position.offset()));
  return found == expected_.end() ? nullptr : found->second;
}

Status OutcomeWatcher::Take(const runtime::ReleasedBatch& batch) {
  const auto finish = [&](const v1::Position& position, RecordOutcome* outcome) {
    outcome->done = true;
    done_.emplace_back(position.topic(), position.partition(), position.offset());
  };
  std::map<std::string, RecordOutcome*, std::less<>> by_event;
  std::vector<v1::NotificationCommand> commands;
  for (const auto& output : batch.outputs) {
    if (output.topic == Topic::kNotificationCommands) {
      ALERTSTREAM_ASSIGN_OR_RETURN(auto command, Parse<v1::NotificationCommand>(output));
      commands.push_back(std::move(command));
    } else if (output.topic == Topic::kDecisions) {
      ALERTSTREAM_ASSIGN_OR_RETURN(auto record, Parse<v1::DecisionRecord>(output));
      if (RecordOutcome* outcome = Find(record.event())) {
        by_event[record.event_id()] = outcome;
        if (!record.more()) {
          finish(record.event(), outcome);
        }
        outcome->decisions.push_back(std::move(record));
      }
    } else if (output.topic == Topic::kFacts) {
      ALERTSTREAM_ASSIGN_OR_RETURN(auto fact, Parse<v1::Fact>(output));
      if (RecordOutcome* outcome = Find(fact.cause())) {
        finish(fact.cause(), outcome);
        outcome->facts.push_back(std::move(fact));
      }
    } else if (output.topic == Topic::kDeadLetters) {
      ALERTSTREAM_ASSIGN_OR_RETURN(auto letter, Parse<v1::DeadLetter>(output));
      if (RecordOutcome* outcome = Find(letter.record())) {
        finish(letter.record(), outcome);
        outcome->dead_letters.push_back(std::move(letter));
      }
    }
  }
  for (auto& command : commands) {
    if (const auto found = by_event.find(command.event_id()); found != by_event.end()) {
      found->second->commands.push_back(std::move(command));
    }
  }
  for (const Key& key : done_) {
    expected_.erase(key);
  }
  done_.clear();
  return Status::Ok();
}

Result<bool> OutcomeWatcher::Poll() {
  // Beside the writer of a local log a reader learns what is new only while it waits.
  const std::chrono::milliseconds look{session_.control != nullptr ? 1 : 0};
  bool any = false;
  for (auto& reader : readers_) {
    for (;;) {
      ALERTSTREAM_ASSIGN_OR_RETURN(const auto batch, reader->Next(look));
      if (!batch) {
        break;
      }
      any = true;
      ALERTSTREAM_RETURN_IF_ERROR(Take(*batch));
    }
  }
  return any;
}

Status OutcomeWatcher::WaitUntil(std::size_t left, std::chrono::milliseconds silence) {
  auto heard = session_.clock.SinceBoot();
  auto asked = heard;
  while (pending() > left) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const bool any, Poll());
    const auto now = session_.clock.SinceBoot();
    if (any) {
      heard = now;
      continue;
    }
    if (session_.Interrupted()) {
      return Error(ErrorCode::kUnavailable,
                   fmt::format("interrupted; {} records were appended and are decided by the next "
                               "run",
                               pending()));
    }
    if (session_.processor != nullptr && now - asked > kProcessorAskedEvery) {
      asked = now;
      const Status drained = session_.processor->WaitUntilDrained(std::chrono::milliseconds(0));
      if (!drained.ok() && drained.error().code() == ErrorCode::kConflict) {
        return drained.error();
      }
    }
    if (now - heard > silence) {
      return Error(ErrorCode::kUnavailable,
                   fmt::format("no answer for {} s; {} records are appended and wait to be decided",
                               silence.count() / 1000, pending()));
    }
    session_.clock.SleepFor(kPause);
  }
  return Status::Ok();
}

v1::Envelope NewEnvelope(const Session& session, std::string_view tenant, std::string_view type) {
  v1::Envelope envelope;
  envelope.set_tenant(std::string(tenant));
  envelope.set_routing_key(std::string(tenant));
  envelope.set_type(std::string(type));
  envelope.set_schema_version(schemas::kSchemaVersionMax);
  envelope.set_source("cli");
  envelope.set_trust(v1::TRUST_SYSTEM);
  envelope.set_actor(session.actor);
  envelope.set_ingest_time_us(ToMicros(session.clock.Now()));
  return envelope;
}

Change TenantChange(const Session& session, Topic topic, std::string_view tenant,
                    v1::Envelope envelope) {
  return Change{.topic = topic,
                .partition = schemas::PartitionOf(tenant, session.identity.partitions),
                .key = std::string(tenant),
                .envelope = std::move(envelope)};
}

Result<RecordOutcome> OutcomeOf(const ControlResult& result, Topic topic) {
  if (result.status == "pending") {
    return Error(ErrorCode::kUnavailable,
                 fmt::format("no answer yet; the change at {} is appended and waits to be decided",
                             PositionText(result.position)));
  }
  if (result.status == kUnsent) {
    RecordOutcome unsent;
    unsent.unsent = result.detail;
    return unsent;
  }
  RecordOutcome outcome{
      .done = true, .unsent = {}, .unchanged = result.status == "unchanged", .id = result.id};
  if (result.status != "rejected") {
    if (topic == Topic::kSiteEvents) {
      v1::DecisionRecord record;
      *record.mutable_event() = result.position;
      const auto verdict = EnumOfWord(v1::EventVerdict_descriptor(), result.detail);
      record.set_verdict(static_cast<v1::EventVerdict>(verdict.value_or(0)));
      outcome.decisions.push_back(std::move(record));
      return outcome;
    }
    v1::Fact& fact = outcome.facts.emplace_back();
    fact.set_result(v1::FACT_RESULT_ACCEPTED);
    fact.set_version(result.version);
    return outcome;
  }
  if (const auto reject = EnumOfWord(v1::RejectReason_descriptor(), result.reason)) {
    v1::Fact& fact = outcome.facts.emplace_back();
    fact.set_result(v1::FACT_RESULT_REJECTED);
    fact.set_reject_reason(static_cast<v1::RejectReason>(*reject));
    fact.set_detail(result.detail);
    fact.set_version(result.version);
    // Reasons of both kinds share words: an event is never rejected by a fact.
    if (topic != Topic::kSiteEvents) {
      return outcome;
    }
    outcome.facts.clear();
  }
  v1::DeadLetter& letter = outcome.dead_letters.emplace_back();
  letter.set_reason(static_cast<v1::DeadLetterReason>(
      EnumOfWord(v1::DeadLetterReason_descriptor(), result.reason).value_or(0)));
  letter.set_detail(result.detail);
  *letter.mutable_record() = result.position;
  return outcome;
}

namespace {

Result<std::vector<RecordOutcome>> SubmitToServer(const Session& session,
                                                  const std::vector<Change>& changes) {
  std::vector<std::string> documents;
  for (const Change& change : changes) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto document, api::ControlDocument(change.envelope));
    documents.push_back(std::move(document));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto results, session.control->Send("", documents, ControlPort::Wait::kForVerdicts));
  std::vector<RecordOutcome> outcomes;
  for (std::size_t i = 0; i < results.size(); ++i) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto outcome, OutcomeOf(results[i], changes[i].topic));
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace

Result<std::vector<RecordOutcome>> Submit(const Session& session,
                                          const std::vector<Change>& changes) {
  if (session.control != nullptr) {
    return SubmitToServer(session, changes);
  }
  std::vector<std::string> values;
  for (const Change& change : changes) {
    if (const auto fault = schemas::CheckEnvelope(change.topic, change.key, change.envelope)) {
      return Error(ErrorCode::kInvalid, fault->detail);
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(auto value, schemas::EncodeEnvelope(change.envelope));
    values.push_back(std::move(value));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto watcher, OutcomeWatcher::Open(session, false));
  std::vector<RecordOutcome> outcomes(changes.size());
  for (std::size_t begin = 0; begin < changes.size();) {
    std::vector<log::NewRecord> records;
    std::size_t bytes = 0;
    std::size_t end = begin;
    while (end < changes.size() && records.size() < kAppendRecordsMax &&
           bytes + values[end].size() < log::kAppendBytesMax / 2) {
      bytes += values[end].size();
      records.push_back(
          {changes[end].topic, changes[end].partition, changes[end].key, values[end]});
      ++end;
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto appended,
                                 session.log.Append(records, session.ask_timeout));
    for (std::size_t i = begin; i < end; ++i) {
      watcher->Expect(changes[i].topic, changes[i].partition, appended[i - begin].offset,
                      &outcomes[i]);
    }
    begin = end;
  }
  ALERTSTREAM_RETURN_IF_ERROR(
      watcher->WaitUntil(0, session.processor != nullptr ? kAnswerHere : kAnswerElsewhere));
  return outcomes;
}

}  // namespace alertstream::cli
