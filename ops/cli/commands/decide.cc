#include "ops/cli/commands/decide.h"

#include <algorithm>
#include <array>
#include <deque>
#include <istream>
#include <map>
#include <memory>
#include <ostream>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/commands/outcomes.h"
#include "ops/cli/json_object.h"
#include "ops/cli/message_json.h"
#include "ops/cli/words.h"
#include "processor/engine/phone.h"
#include "schemas/event_line.h"
#include "schemas/input_codec.h"
#include "schemas/json.h"
#include "schemas/personal.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

constexpr std::size_t kAppendRecordsMax = 1000;
constexpr std::size_t kAppendBytes = std::size_t{8} << 20U;
constexpr std::size_t kSendBytes = std::size_t{512} << 10U;  // A server takes requests of 1 MiB.
constexpr std::chrono::milliseconds kSilenceMax{60'000};
constexpr std::size_t kTextShown = 40;
// People whose masked number is remembered for the tables; the tables are short.
constexpr std::size_t kPeopleMax = 100'000;

// Lines of a stream, each bounded: a file without line feeds must not fill the memory.
class LineReader {
 public:
  explicit LineReader(std::istream& in)
      : in_(in), buffer_(static_cast<std::size_t>(schemas::kInputRecordBytesMax) + 2) {}

  struct Line {
    std::string_view text;  // Until the next call.
    std::size_t number = 0;
    bool too_long = false;
  };

  // False at the end.
  bool Next(Line* line) {
    in_.getline(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    auto got = static_cast<std::size_t>(in_.gcount());
    ++number_;
    *line = Line{.number = number_};
    if (in_.fail() && got + 1 >= buffer_.size()) {
      in_.clear();
      in_.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
      line->too_long = true;
      return true;
    }
    if (in_.fail()) {
      return false;
    }
    if (!in_.eof()) {
      --got;  // The line feed.
    }
    line->text = std::string_view(buffer_.data(), got);
    return true;
  }

 private:
  std::istream& in_;
  std::vector<char> buffer_;
  std::size_t number_ = 0;
};

// An appended event until it is printed.
struct Event {
  std::string given_id;
  std::string type;
  std::string tenant;
  RecordOutcome outcome;
};

struct Totals {
  std::uint64_t lines_bad = 0;
  std::uint64_t events = 0;
  std::uint64_t dead_letters = 0;
  std::uint64_t commands = 0;
  std::map<std::string, std::uint64_t> verdicts;
  std::map<std::string, std::uint64_t> outcomes;  // "send", "suppress consent_missing".
};

class DecideRun {
 public:
  DecideRun(const Session& session, const DecideOptions& options)
      : session_(session), options_(options), format_(session.io.render.format) {}

  Result<ExitCode> Run();

 private:
  Status TakeLine(const LineReader::Line& line);
  Status Append();
  Status AppendToLog();
  Status SendToServer();
  void PrintDone();
  void PrintEvent(const Event& event);
  void Count(const Event& event);
  void AddRows(const Event& event);
  void AddCommandRow(const v1::NotificationCommand& command);
  void RememberPeople(const Event& event, const v1::Envelope& envelope);
  void RememberPeopleIn(schemas::JsonValue value, const std::string& tenant);
  std::string PersonText(const std::string& token) const;
  std::string TotalsJson() const;
  Status PrintTables();
  void PrintTotals(std::chrono::microseconds took);

  const Session& session_;
  const DecideOptions& options_;
  const OutputFormat format_;
  std::unique_ptr<OutcomeWatcher> watcher_;
  // Appended or about to be; a deque, so that the watcher's pointers stay valid.
  std::deque<Event> events_;
  std::size_t unappended_ = 0;  // At the end of events_.
  std::vector<std::string> keys_;
  std::vector<std::string> values_;
  std::vector<std::string> documents_;  // Instead of values_, for a server.
  std::size_t bytes_ = 0;
  Totals totals_;
  std::size_t printed_ = 0;
  std::map<std::string, std::string, std::less<>> people_;  // Token to masked number.
  std::vector<std::vector<Cell>> rows_;
  std::vector<std::vector<Cell>> command_rows_;
  std::size_t rows_left_out_ = 0;
  std::size_t command_rows_left_out_ = 0;
};

Result<ExitCode> DecideRun::Run() {
  const auto began = session_.clock.SinceBoot();
  if (session_.has_log) {
    ALERTSTREAM_ASSIGN_OR_RETURN(watcher_, OutcomeWatcher::Open(session_, true));
  }
  if (format_ == OutputFormat::kJson) {
    session_.io.out << R"({"events":[)";
  }
  LineReader lines(options_.events);
  LineReader::Line line;
  while (lines.Next(&line)) {
    ALERTSTREAM_RETURN_IF_ERROR(TakeLine(line));
    if (unappended_ >= kAppendRecordsMax ||
        bytes_ >= (session_.control != nullptr ? kSendBytes : kAppendBytes)) {
      ALERTSTREAM_RETURN_IF_ERROR(Append());
    }
    if (session_.Interrupted()) {
      break;
    }
  }
  ALERTSTREAM_RETURN_IF_ERROR(Append());
  if (watcher_ != nullptr) {
    ALERTSTREAM_RETURN_IF_ERROR(watcher_->WaitUntil(0, kSilenceMax));
  }
  PrintDone();
  const auto took = session_.clock.SinceBoot() - began;
  if (format_ == OutputFormat::kJson) {
    session_.io.out << "],\"totals\":" << TotalsJson() << "}\n";
  } else if (format_ != OutputFormat::kJsonLines) {
    ALERTSTREAM_RETURN_IF_ERROR(PrintTables());
    PrintTotals(took);
  }
  if (totals_.lines_bad > kBadLinesShownMax) {
    session_.io.err << fmt::format("{} more bad lines are not shown\n",
                                   totals_.lines_bad - kBadLinesShownMax);
  }
  if (session_.Interrupted()) {
    return ExitCode::kInterrupted;
  }
  return totals_.lines_bad + totals_.dead_letters > 0 ? ExitCode::kPartly : ExitCode::kOk;
}

Status DecideRun::TakeLine(const LineReader::Line& line) {
  if (!line.too_long && line.text.find_first_not_of(" \t\r") == std::string_view::npos) {
    return Status::Ok();
  }
  const auto refuse = [&](std::string_view why) {
    if (++totals_.lines_bad <= kBadLinesShownMax) {
      session_.io.err << fmt::format("{}:{}: {}\n", options_.file, line.number, why);
    }
  };
  if (line.too_long) {
    refuse(fmt::format("the line is longer than {} bytes", schemas::kInputRecordBytesMax));
    return Status::Ok();
  }
  auto decoded = schemas::DecodeEventLine(line.text, options_.tenant);
  if (!decoded.ok()) {
    refuse(decoded.error().message());
    return Status::Ok();
  }
  v1::Envelope& envelope = decoded.value().envelope;
  envelope.set_ingest_time_us(ToMicros(session_.clock.Now()));
  auto value = schemas::EncodeEnvelope(envelope);
  if (!value.ok()) {
    refuse(value.error().message());
    return Status::Ok();
  }
  Event& event = events_.emplace_back();
  event.given_id = envelope.id();
  event.type = envelope.type();
  event.tenant = decoded.value().key;
  RememberPeople(event, envelope);
  ++unappended_;
  ++totals_.events;
  bytes_ += value.value().size();
  keys_.push_back(std::move(decoded.value().key));
  if (session_.control == nullptr) {
    values_.push_back(std::move(value).value());
    return Status::Ok();
  }
  // The line itself, which is an object that is not empty: it may say more than a native event.
  const std::size_t open = line.text.find('{');
  documents_.push_back(R"({"kind":"event",)" + std::string(line.text.substr(open + 1)));
  return Status::Ok();
}

// Without the log the verdicts come from the server and decisions stay untold.
Status DecideRun::SendToServer() {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto results,
      session_.control->Send(
          options_.tenant, documents_,
          session_.has_log ? ControlPort::Wait::kForPositions : ControlPort::Wait::kForVerdicts));
  const std::size_t first = events_.size() - unappended_;
  for (std::size_t i = 0; i < unappended_; ++i) {
    if (results[i].status == kUnsent) {
      return Error(ErrorCode::kUnavailable, results[i].detail);
    }
    RecordOutcome& outcome = events_[first + i].outcome;
    if (session_.has_log) {
      const v1::Position& at = results[i].position;
      watcher_->Expect(Topic::kSiteEvents, static_cast<std::int32_t>(at.partition()), at.offset(),
                       &outcome);
    } else {
      ALERTSTREAM_ASSIGN_OR_RETURN(outcome, OutcomeOf(results[i], Topic::kSiteEvents));
    }
  }
  return Status::Ok();
}

Status DecideRun::AppendToLog() {
  std::vector<log::NewRecord> records;
  for (std::size_t i = 0; i < unappended_; ++i) {
    records.push_back({Topic::kSiteEvents,
                       schemas::PartitionOf(keys_[i], session_.identity.partitions), keys_[i],
                       values_[i]});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto appended,
                               session_.log.Append(records, session_.ask_timeout));
  const std::size_t first = events_.size() - unappended_;
  for (std::size_t i = 0; i < unappended_; ++i) {
    watcher_->Expect(Topic::kSiteEvents, records[i].partition, appended[i].offset,
                     &events_[first + i].outcome);
  }
  return Status::Ok();
}

Status DecideRun::Append() {
  if (unappended_ == 0) {
    return Status::Ok();
  }
  if (session_.control != nullptr) {
    ALERTSTREAM_RETURN_IF_ERROR(SendToServer());
  } else {
    ALERTSTREAM_RETURN_IF_ERROR(AppendToLog());
  }
  unappended_ = 0;
  bytes_ = 0;
  keys_.clear();
  values_.clear();
  documents_.clear();
  if (watcher_ != nullptr) {
    ALERTSTREAM_RETURN_IF_ERROR(watcher_->Poll());
    ALERTSTREAM_RETURN_IF_ERROR(watcher_->WaitUntil(kUndecidedMax, kSilenceMax));
  }
  PrintDone();
  return Status::Ok();
}

// In the order of the lines: what is decided behind one that is not waits.
void DecideRun::PrintDone() {
  while (!events_.empty() && events_.front().outcome.done) {
    Count(events_.front());
    PrintEvent(events_.front());
    events_.pop_front();
  }
}

void DecideRun::PrintEvent(const Event& event) {
  if (!options_.print_decisions) {
    return;
  }
  if (format_ != OutputFormat::kJson && format_ != OutputFormat::kJsonLines) {
    AddRows(event);
    return;
  }
  const auto print = [&](const std::string& json) {
    if (format_ == OutputFormat::kJson && printed_++ > 0) {
      session_.io.out << ",";
    }
    session_.io.out << json << "\n";
  };
  for (const auto& record : event.outcome.decisions) {
    print(DecisionRecordJson(record, event.given_id));
  }
  for (const auto& letter : event.outcome.dead_letters) {
    JsonObject object;
    object.Null("event");
    if (!event.given_id.empty()) {
      object.Text("event_id_given", event.given_id);
    }
    object.Text("tenant", event.tenant);
    object.Text("event_type", event.type);
    object.Text("verdict", "dead_letter");
    object.Integer("partition", letter.record().partition());
    object.Integer("offset", letter.record().offset());
    object.Text("dead_letter", FormatId(IdKind::kDeadLetter, letter.id()));
    object.Text("stage", Word(letter.stage()));
    object.Text("reason", Word(letter.reason()));
    object.Text("detail", letter.detail());
    object.Raw("decisions", "[]");
    print(object.Take());
  }
}

void DecideRun::Count(const Event& event) {
  totals_.dead_letters += event.outcome.dead_letters.size();
  totals_.commands += event.outcome.commands.size();
  for (const auto& record : event.outcome.decisions) {
    if (record.part() == 0) {
      ++totals_.verdicts[Word(record.verdict())];
    }
    for (const auto& decision : record.decisions()) {
      std::string outcome = Word(decision.outcome());
      if (decision.reason() != v1::REASON_UNSPECIFIED) {
        outcome += " " + Word(decision.reason());
      }
      ++totals_.outcomes[outcome];
    }
  }
}

CellStyle StyleOf(v1::Outcome outcome) {
  switch (outcome) {
    case v1::OUTCOME_SEND:
      return CellStyle::kGood;
    case v1::OUTCOME_FAIL:
      return CellStyle::kBad;
    case v1::OUTCOME_DEFER:
    case v1::OUTCOME_SUPPRESS:
      return CellStyle::kWarning;
    case v1::OUTCOME_UNSPECIFIED:
    case v1::Outcome_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Outcome_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return CellStyle::kPlain;
}

void DecideRun::AddRows(const Event& event) {
  for (const auto& command : event.outcome.commands) {
    AddCommandRow(command);
  }
  const auto add = [&](std::vector<Cell> row) {
    if (rows_.size() < options_.rows_max) {
      rows_.push_back(std::move(row));
    } else {
      ++rows_left_out_;
    }
  };
  for (const auto& record : event.outcome.decisions) {
    const std::string id = ShortId(IdKind::kEvent, record.event_id());
    for (const auto& decision : record.decisions()) {
      add({{id},
           {record.event_type()},
           {record.tenant()},
           {decision.trigger_id()},
           {PersonText(decision.recipient_token())},
           {Word(decision.channel())},
           {Word(decision.outcome()), StyleOf(decision.outcome())},
           {decision.reason() == v1::REASON_UNSPECIFIED ? Cell::Value(Absent{})
                                                        : Cell::Value(Word(decision.reason()))}});
    }
    if (record.decisions().empty() && record.part() == 0) {
      add({{id},
           {record.event_type()},
           {record.tenant()},
           {Absent{}},
           {Absent{}},
           {Absent{}},
           {Word(record.verdict()), CellStyle::kDim},
           {Absent{}}});
    }
  }
  for (const auto& letter : event.outcome.dead_letters) {
    add({{ShortId(IdKind::kDeadLetter, letter.id())},
         {event.type},
         {event.tenant},
         {Absent{}},
         {Absent{}},
         {Absent{}},
         {std::string("dead_letter"), CellStyle::kBad},
         {Word(letter.reason())}});
  }
}

void DecideRun::AddCommandRow(const v1::NotificationCommand& command) {
  const auto to = schemas::Unseal(command.to());
  const auto body = schemas::Unseal(command.body());
  if (to.ok()) {
    people_.try_emplace(command.recipient_token(), MaskAddress(to.value()));
  }
  if (command_rows_.size() >= options_.rows_max) {
    ++command_rows_left_out_;
    return;
  }
  command_rows_.push_back({{ShortId(IdKind::kNotification, command.notification_id())},
                           {std::string(to.ok() ? MaskAddress(to.value()) : "(sealed)")},
                           {Word(command.channel())},
                           {command.sender_id()},
                           {static_cast<std::int64_t>(command.segments())},
                           {body.ok() ? Clip(body.value(), kTextShown) : "(sealed)"}});
}

// Which of the event's numbers a token stands for, so that the table can show it masked.
void DecideRun::RememberPeople(const Event& event, const v1::Envelope& envelope) {
  const bool text = format_ == OutputFormat::kText || format_ == OutputFormat::kWide;
  const auto data = schemas::Unseal(envelope.site_event().data());
  if (!text || !options_.print_decisions || totals_.events > options_.rows_max || !data.ok() ||
      data.value().empty()) {
    return;
  }
  schemas::JsonDocument document;
  if (document.Parse(data.value()).ok()) {
    RememberPeopleIn(document.root(), event.tenant);
  }
}

void DecideRun::RememberPeopleIn(schemas::JsonValue value, const std::string& tenant) {
  if (value.type() == schemas::JsonType::kString) {
    const auto number = engine::NormalizePhone(value.AsString());
    if (number.ok() && people_.size() < kPeopleMax) {
      const RecipientToken token =
          MakeRecipientToken(session_.token_key, tenant,
                             static_cast<std::uint8_t>(v1::ADDRESS_KIND_PHONE), number.value());
      people_.try_emplace(std::string(token.begin(), token.end()), MaskPhone(number.value()));
    }
    return;
  }
  // Depth is bounded by the JSON profile.
  for (auto child = value.first_child(); child; child = child->next_sibling()) {
    RememberPeopleIn(*child, tenant);
  }
}

std::string DecideRun::PersonText(const std::string& token) const {
  if (token.empty()) {
    return "-";
  }
  const auto found = people_.find(token);
  return found != people_.end() ? found->second : ShortId(IdKind::kRecipient, token);
}

std::string DecideRun::TotalsJson() const {
  const auto counts = [](const std::map<std::string, std::uint64_t>& map) {
    JsonObject object;
    for (const auto& [name, count] : map) {
      object.Integer(name, static_cast<std::int64_t>(count));
    }
    return object.Take();
  };
  JsonObject object;
  object.Integer("events", static_cast<std::int64_t>(totals_.events));
  object.Integer("lines_bad", static_cast<std::int64_t>(totals_.lines_bad));
  object.Integer("dead_letters", static_cast<std::int64_t>(totals_.dead_letters));
  object.Integer("commands", static_cast<std::int64_t>(totals_.commands));
  object.Raw("verdicts", counts(totals_.verdicts));
  object.Raw("decisions", counts(totals_.outcomes));
  return object.Take();
}

Status DecideRun::PrintTables() {
  if (!options_.print_decisions) {
    return Status::Ok();
  }
  Table table({{.key = "event"},
               {.key = "type"},
               {.key = "tenant"},
               {.key = "trigger"},
               {.key = "recipient"},
               {.key = "channel"},
               {.key = "outcome"},
               {.key = "reason"}});
  for (auto& row : rows_) {
    table.Add(std::move(row));
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(session_.io, table));
  if (rows_left_out_ > 0) {
    session_.io.err << fmt::format("{} more rows; all of them: -o jsonl, or --limit\n",
                                   Grouped(rows_left_out_));
  }
  if (format_ == OutputFormat::kCsv || command_rows_.empty()) {
    return Status::Ok();
  }
  Table commands({{.key = "command"},
                  {.key = "to"},
                  {.key = "channel"},
                  {.key = "sender"},
                  {.key = "segments", .right = true},
                  {.key = "text"}});
  for (auto& row : command_rows_) {
    commands.Add(std::move(row));
  }
  // Columns chosen for the first table do not exist in this one.
  RenderOptions render = session_.io.render;
  render.columns.clear();
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string text, commands.Render(render));
  session_.io.out << "\n" << text;
  if (command_rows_left_out_ > 0) {
    session_.io.err << fmt::format(
        "{} more commands; all of them: alertstream tail commands "
        "--no-follow\n",
        Grouped(command_rows_left_out_));
  }
  return Status::Ok();
}

void DecideRun::PrintTotals(std::chrono::microseconds took) {
  const auto list = [](const std::map<std::string, std::uint64_t>& counts) {
    std::string text;
    for (const auto& [name, count] : counts) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", Grouped(count), name);
    }
    return text.empty() ? std::string("none") : text;
  };
  // CSV is read by programs.
  std::ostream& out = format_ == OutputFormat::kCsv ? session_.io.err : session_.io.out;
  out << fmt::format("\nevents     {} in {:.2f} s: {}\n", Grouped(totals_.events),
                     static_cast<double>(took.count()) / 1e6, list(totals_.verdicts));
  if (session_.has_log) {
    out << fmt::format("decisions  {}\n", list(totals_.outcomes));
    out << fmt::format(
        "commands   {}{}\n", Grouped(totals_.commands),
        session_.control != nullptr ? "" : " (nothing is delivered yet: no provider is called)");
  }
  if (totals_.lines_bad + totals_.dead_letters > 0) {
    out << fmt::format("refused    {} lines, {} dead letters\n", Grouped(totals_.lines_bad),
                       Grouped(totals_.dead_letters));
  }
}

}  // namespace

Result<ExitCode> Decide(const Session& session, const DecideOptions& options) {
  return DecideRun(session, options).Run();
}

}  // namespace alertstream::cli
