#include "ops/cli/commands/tail.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <ostream>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/message_json.h"
#include "ops/cli/words.h"
#include "processor/base/duration.h"
#include "processor/base/rfc3339.h"
#include "processor/runtime/output_reader.h"
#include "schemas/output.pb.h"
#include "schemas/personal.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

constexpr std::chrono::milliseconds kPause{25};
constexpr std::size_t kTextShown = 40;

// One line of text for a record; -o json prints the whole message instead.
struct TailLine {
  std::string tenant;
  std::vector<Cell> cells;
};

std::vector<Column> ColumnsOf(Topic topic) {
  const Column time{.key = "time", .title = "TIME                       "};
  const Column place{.key = "position", .title = "POSITION            "};
  switch (topic) {
    case Topic::kDecisions:
      return {time,
              {.key = "event", .title = "EVENT             "},
              {.key = "tenant", .title = "TENANT  "},
              {.key = "type", .title = "TYPE              "},
              {.key = "decisions"}};
    case Topic::kNotificationCommands:
      return {time,
              {.key = "notification", .title = "NOTIFICATION      "},
              {.key = "tenant", .title = "TENANT  "},
              {.key = "to", .title = "TO               "},
              {.key = "channel"},
              {.key = "text"}};
    case Topic::kFacts:
      return {
          time, place, {.key = "tenant", .title = "TENANT  "}, {.key = "result"}, {.key = "fact"}};
    case Topic::kDeadLetters:
      return {time,
              {.key = "id", .title = "ID                "},
              place,
              {.key = "tenant", .title = "TENANT  "},
              {.key = "reason", .title = "REASON            "},
              {.key = "detail"}};
    case Topic::kJournal:
    case Topic::kSiteEvents:
    case Topic::kConsentChanges:
    case Topic::kOptOuts:
    case Topic::kInboundMessages:
    case Topic::kDeliveryReceipts:
    case Topic::kDeliveryAttempts:
    case Topic::kAccountChanges:
    case Topic::kOwnership:
      break;
  }
  return {time,
          place,
          {.key = "seq", .right = true},
          {.key = "kind"},
          {.key = "epoch"},
          {.key = "content"}};
}

template <typename Message>
Message Decode(const log::RecordView& record) {
  Message message;
  // A record whose root agrees with the journal is what the fold wrote.
  message.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()));
  return message;
}

bool Fits(const TailFilter& filter, const v1::Decision& decision) {
  return (filter.trigger.empty() || decision.trigger_id() == filter.trigger) &&
         (!filter.channel || decision.channel() == *filter.channel) &&
         (!filter.outcome || decision.outcome() == *filter.outcome) &&
         (filter.reason.empty() || Word(decision.reason()) == filter.reason);
}

bool IsEmpty(const TailFilter& filter) {
  return filter.trigger.empty() && !filter.channel && !filter.outcome && filter.reason.empty();
}

// Whether the record passes the filter. What a filter cannot ask of a topic was refused before.
bool Fits(const TailFilter& filter, const runtime::ReleasedRecord& output) {
  if (IsEmpty(filter)) {
    return true;
  }
  if (output.topic == Topic::kDecisions) {
    const auto record = Decode<v1::DecisionRecord>(output.record);
    return std::any_of(record.decisions().begin(), record.decisions().end(),
                       [&](const v1::Decision& decision) { return Fits(filter, decision); });
  }
  if (output.topic == Topic::kNotificationCommands) {
    const auto command = Decode<v1::NotificationCommand>(output.record);
    return (filter.trigger.empty() || command.trigger_id() == filter.trigger) &&
           (!filter.channel || command.channel() == *filter.channel);
  }
  return Word(Decode<v1::DeadLetter>(output.record).reason()) == filter.reason;
}

TailLine DecisionLine(const log::RecordView& view) {
  const auto record = Decode<v1::DecisionRecord>(view);
  std::string text;
  for (const auto& decision : record.decisions()) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", decision.trigger_id(),
                        Word(decision.outcome()));
    if (decision.reason() != v1::REASON_UNSPECIFIED) {
      text += " (" + Word(decision.reason()) + ")";
    }
  }
  return {record.tenant(),
          {{FromMicros(record.decided_at_us())},
           {ShortId(IdKind::kEvent, record.event_id())},
           {record.tenant()},
           {record.event_type()},
           {text.empty() ? Word(record.verdict()) : text}}};
}

TailLine CommandLine(const log::RecordView& view) {
  const auto command = Decode<v1::NotificationCommand>(view);
  const auto to = schemas::Unseal(command.to());
  const auto body = schemas::Unseal(command.body());
  if (command.kind() == v1::COMMAND_KIND_CANCEL) {
    const bool whole = command.notification_id().empty();
    return {command.tenant(),
            {{FromMicros(command.decided_at_us())},
             {whole ? std::string() : ShortId(IdKind::kNotification, command.notification_id())},
             {command.tenant()},
             {ShortId(IdKind::kRecipient, command.recipient_token())},
             {Word(command.channel())},
             {whole ? std::string("cancel everything so far")
                    : fmt::format("cancel attempt {}", command.attempt())}}};
  }
  return {command.tenant(),
          {{FromMicros(command.decided_at_us())},
           {ShortId(IdKind::kNotification, command.notification_id())},
           {command.tenant()},
           {to.ok() ? MaskAddress(to.value()) : std::string("(sealed)")},
           {Word(command.channel())},
           {body.ok() ? Clip(body.value(), kTextShown) : std::string("(sealed)")}}};
}

TailLine FactLine(const log::RecordView& view) {
  const auto fact = Decode<v1::Fact>(view);
  const auto* subject =
      fact.GetDescriptor()->FindFieldByNumber(static_cast<int>(fact.subject_case()));
  std::string what = subject == nullptr ? std::string("-") : subject->name();
  if (fact.has_trigger()) {
    what += " " + fact.trigger().trigger().id();
  }
  if (fact.has_notification()) {
    what +=
        fmt::format(" {} {}", ShortId(IdKind::kNotification, fact.notification().notification_id()),
                    DeliveryText(fact.notification()));
  } else {
    what += fmt::format(" version {}", fact.version());
  }
  if (fact.result() == v1::FACT_RESULT_REJECTED) {
    what += ": " + Word(fact.reject_reason()) + ": " + fact.detail();
  }
  return {fact.tenant(),
          {{FromMicros(fact.at_us())},
           {PositionText(fact.cause())},
           {fact.tenant()},
           {Word(fact.result())},
           {what}}};
}

TailLine DeadLetterLine(const log::RecordView& view) {
  const auto letter = Decode<v1::DeadLetter>(view);
  return {letter.tenant(),
          {{FromMicros(letter.at_us())},
           {ShortId(IdKind::kDeadLetter, letter.id())},
           {PositionText(letter.record())},
           {letter.tenant()},
           {Word(letter.reason())},
           {letter.detail()}}};
}

TailLine JournalLine(const runtime::ReleasedBatch& batch) {
  const auto& record = batch.journal;
  std::string content;
  const auto add = [&](std::string_view sign, std::uint32_t topic, std::uint64_t count) {
    content += fmt::format("{}{}{} {}", content.empty() ? "" : " ", sign, count,
                           schemas::kTopics[topic - 1].name);
  };
  for (const auto& input : record.inputs()) {
    add("", input.topic(), input.count());
  }
  content += record.outputs().empty() ? "" : " ->";
  for (const auto& output : record.outputs()) {
    add("", output.topic(), output.count());
  }
  if (record.timers_fired() > 0) {
    content += fmt::format(" ({} timers)", record.timers_fired());
  }
  return {"",
          {{FromMicros(record.now_us())},
           {PositionText(static_cast<std::uint32_t>(Topic::kJournal), record.partition(),
                         batch.journal_offset)},
           {static_cast<std::int64_t>(record.seq())},
           {Word(record.kind())},
           {static_cast<std::int64_t>(record.owner_epoch())},
           {content}}};
}

class TailRun {
 public:
  TailRun(const Session& session, const TailOptions& options)
      : session_(session), options_(options), columns_(ColumnsOf(options.topic)) {}

  Result<ExitCode> Run();

 private:
  Status OpenReaders();
  Result<bool> TakeAll();
  bool IsBefore(std::int64_t offset) const;
  void Tell(std::chrono::microseconds now, const std::string& line);
  Status Take(const runtime::ReleasedBatch& batch);
  Status PrintLine(const TailLine& line, const std::string& json);
  bool Done() const { return options_.records_max != 0 && printed_ >= options_.records_max; }

  const Session& session_;
  const TailOptions& options_;
  const std::vector<Column> columns_;
  std::vector<std::unique_ptr<runtime::OutputReader>> readers_;
  std::uint64_t printed_ = 0;
  std::chrono::microseconds heard_{};  // When the last record was shown.
  std::chrono::microseconds told_{};   // When the last line was written to io.err.
  bool lost_ = false;                  // The log could not be read the last time.
};

Status TailRun::OpenReaders() {
  if (options_.partition &&
      (*options_.partition < 0 || *options_.partition >= session_.identity.partitions)) {
    return Error(ErrorCode::kNotFound,
                 fmt::format("there is no partition {}; the log has {}", *options_.partition,
                             session_.identity.partitions));
  }
  std::vector<Topic> topics;
  if (options_.topic != Topic::kJournal) {
    topics.push_back(options_.topic);
  }
  for (std::int32_t partition = 0; partition < session_.identity.partitions; ++partition) {
    if (options_.partition && *options_.partition != partition) {
      continue;
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(
        auto reader, runtime::OutputReader::Open(
                         session_.log, {.log_id = session_.identity.log_id,
                                        .partition = partition,
                                        .topics = topics,
                                        .from_end = options_.from.kind == TailFrom::Kind::kEnd}));
    readers_.push_back(std::move(reader));
  }
  return Status::Ok();
}

Result<ExitCode> TailRun::Run() {
  ALERTSTREAM_RETURN_IF_ERROR(OpenReaders());
  heard_ = told_ = session_.clock.SinceBoot();
  bool past_history = false;
  while (!Done()) {
    if (session_.Interrupted()) {
      session_.io.out.flush();
      return ExitCode::kInterrupted;
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const bool any, TakeAll());
    const auto now = session_.clock.SinceBoot();
    if (any) {
      session_.io.out.flush();
      if (now - std::max(heard_, told_) > kHeartbeatEvery) {
        Tell(now, fmt::format("reading history ({} shown)", printed_));
      }
      continue;
    }
    const bool at_end = std::all_of(readers_.begin(), readers_.end(),
                                    [](const auto& reader) { return reader->AtOpeningEnd(); });
    if (!options_.follow && at_end) {
      break;
    }
    if (at_end && !past_history) {
      past_history = true;
      heard_ = now;  // Reading what was there before is no waiting for something new.
    }
    if (options_.silence_max && now - heard_ > *options_.silence_max) {
      session_.io.out.flush();
      session_.io.err << fmt::format("nothing new on {} for {} ({} shown)\n",
                                     schemas::NameOf(options_.topic),
                                     FormatDuration(*options_.silence_max), printed_);
      return ExitCode::kTimeout;
    }
    if (now - std::max(heard_, told_) > kHeartbeatEvery) {
      Tell(now,
           fmt::format("waiting for {} ({} shown)", schemas::NameOf(options_.topic), printed_));
    }
    session_.clock.SleepFor(kPause);
  }
  session_.io.out.flush();
  return ExitCode::kOk;
}

void TailRun::Tell(std::chrono::microseconds now, const std::string& line) {
  told_ = now;
  session_.io.err << line << "\n";
  session_.io.err.flush();
}

// A log that cannot be read now is no end of following it: each reader goes on where it was.
Result<bool> TailRun::TakeAll() {
  bool any = false;
  for (std::size_t i = 0; i < readers_.size() && !Done(); ++i) {
    const auto batch = readers_[i]->Next(std::chrono::milliseconds(0));
    if (!batch.ok()) {
      const auto now = session_.clock.SinceBoot();
      if (!options_.follow || batch.error().code() != ErrorCode::kUnavailable) {
        return batch.error();
      }
      if (!lost_ || now - told_ > kHeartbeatEvery) {
        Tell(now, "the log cannot be read, trying again: " + batch.error().message());
      }
      lost_ = true;
    } else if (batch.value()) {
      any = true;
      lost_ = false;
      ALERTSTREAM_RETURN_IF_ERROR(Take(*batch.value()));
    }
  }
  return any;
}

bool TailRun::IsBefore(std::int64_t offset) const {
  return options_.from.kind == TailFrom::Kind::kOffset && offset < options_.from.offset;
}

Status TailRun::Take(const runtime::ReleasedBatch& batch) {
  // The time of the batch never goes back inside a partition.
  if (options_.from.kind == TailFrom::Kind::kTime &&
      FromMicros(batch.journal.now_us()) < options_.from.time) {
    return Status::Ok();
  }
  if (options_.topic == Topic::kJournal) {
    return IsBefore(batch.journal_offset)
               ? Status::Ok()
               : PrintLine(JournalLine(batch), session_.Json() ? MessageJson(batch.journal) : "");
  }
  for (const auto& output : batch.outputs) {
    if (Done()) {
      break;
    }
    if (IsBefore(output.record.offset) || !Fits(options_.filter, output)) {
      continue;
    }
    TailLine line;
    if (output.topic == Topic::kDecisions) {
      line = DecisionLine(output.record);
    } else if (output.topic == Topic::kNotificationCommands) {
      line = CommandLine(output.record);
    } else if (output.topic == Topic::kFacts) {
      line = FactLine(output.record);
    } else {
      line = DeadLetterLine(output.record);
    }
    ALERTSTREAM_RETURN_IF_ERROR(
        PrintLine(line, session_.Json() ? OutputJson(output.topic, output.record.value) : ""));
  }
  return Status::Ok();
}

Status TailRun::PrintLine(const TailLine& line, const std::string& json) {
  if (!session_.tenant.empty() && line.tenant != session_.tenant) {
    return Status::Ok();
  }
  ++printed_;
  heard_ = session_.clock.SinceBoot();
  if (session_.Json()) {
    session_.io.out << json << "\n";
    return Status::Ok();
  }
  RenderOptions render = session_.io.render;
  render.now = session_.clock.Now();  // Following takes its time.
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string text, RenderRow(columns_, line.cells, render));
  session_.io.out << text;
  if (!text.ends_with('\n')) {
    session_.io.out << "\n";
  }
  return Status::Ok();
}

}  // namespace

Result<Topic> TailTopic(std::string_view word) {
  if (word == "commands") {
    return Topic::kNotificationCommands;
  }
  for (const Topic topic :
       {Topic::kDecisions, Topic::kFacts, Topic::kJournal, Topic::kDeadLetters}) {
    if (word == schemas::NameOf(topic)) {
      return topic;
    }
  }
  return Error(ErrorCode::kInvalid, "expected decisions, commands, facts, journal or dead-letters");
}

Result<TailFrom> ParseTailFrom(std::string_view text) {
  if (text == "beginning" || text == "earliest") {
    return TailFrom{.kind = TailFrom::Kind::kBeginning};
  }
  if (text == "end" || text == "latest") {
    return TailFrom{.kind = TailFrom::Kind::kEnd};
  }
  std::int64_t offset = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), offset);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && offset >= 0) {
    return TailFrom{.kind = TailFrom::Kind::kOffset, .offset = offset};
  }
  const auto time = ParseRfc3339(text);
  if (time.ok()) {
    return TailFrom{.kind = TailFrom::Kind::kTime, .time = time.value()};
  }
  return Error(ErrorCode::kInvalid,
               "expected beginning, end, an offset, or a time such as 2026-01-31T12:00:00Z");
}

Status CheckTailFilter(Topic topic, const TailFilter& filter) {
  const bool decisions = topic == Topic::kDecisions;
  const bool commands = topic == Topic::kNotificationCommands;
  if ((!filter.trigger.empty() || filter.channel) && !decisions && !commands) {
    return Error(ErrorCode::kInvalid, "--trigger and --channel go with decisions and commands");
  }
  if (filter.outcome && !decisions) {
    return Error(ErrorCode::kInvalid, "--outcome goes with decisions");
  }
  if (!filter.reason.empty() && !decisions && topic != Topic::kDeadLetters) {
    return Error(ErrorCode::kInvalid, "--reason goes with decisions and dead-letters");
  }
  const auto* reasons = decisions ? v1::Reason_descriptor() : v1::DeadLetterReason_descriptor();
  if (!filter.reason.empty() && !EnumOfWord(reasons, filter.reason)) {
    return UnknownWord(reasons, "--reason");
  }
  return Status::Ok();
}

Result<ExitCode> Tail(const Session& session, const TailOptions& options) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckTailFilter(options.topic, options.filter));
  return TailRun(session, options).Run();
}

}  // namespace alertstream::cli
