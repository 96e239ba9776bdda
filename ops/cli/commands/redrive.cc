#include "ops/cli/commands/redrive.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/control/dead_letter_document.h"
#include "ops/cli/commands/outcomes.h"
#include "ops/cli/json_object.h"
#include "ops/cli/words.h"
#include "processor/base/id.h"
#include "schemas/input_codec.h"
#include "schemas/personal.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

// Retries that are answered together; and how often progress is told.
constexpr std::size_t kChunkLettersMax = 500;
constexpr std::size_t kChunkBytesMax = 512 << 10;  // Half of what a server takes at once.
// A server takes a body of 1 MiB, and base64 adds a third.
constexpr std::size_t kServerRecordBytesMax = 700 << 10;
constexpr std::chrono::seconds kProgressEvery{1};
constexpr std::chrono::seconds kAnswerMax{60};

std::string IdOf(const Letter& letter) { return FormatId(IdKind::kDeadLetter, letter.letter.id()); }

v1::DeadLetterAction ActionOn(const Letter& letter, v1::DeadLetterActionKind kind, bool forced) {
  v1::DeadLetterAction action;
  action.set_id(letter.letter.id());
  *action.mutable_record() = letter.letter.record();
  action.set_kind(kind);
  action.set_forced(forced);
  return action;
}

// A letter's action that is to be asked for.
struct Wanted {
  const Letter* letter = nullptr;
  api::DeadLetterChange change;
};

// What became of the letters, by a word of each.
class Tally {
 public:
  void Count(const std::string& word, std::size_t count = 1) { words_[word] += count; }
  void Refuse(const Letter& letter, const std::string& word, std::string why) {
    Count(word);
    if (refusals_.size() < kRefusalsShown) {
      refusals_.push_back(fmt::format("{}: {}", IdOf(letter), std::move(why)));
    }
  }

  std::size_t of(std::string_view word) const {
    const auto found = words_.find(word);
    return found == words_.end() ? 0 : found->second;
  }
  std::size_t total() const {
    std::size_t all = 0;
    for (const auto& [word, count] : words_) {
      all += count;
    }
    return all;
  }
  void Print(const Session& session, bool dry_run) const;

 private:
  static constexpr std::size_t kRefusalsShown = 20;
  std::map<std::string, std::size_t, std::less<>> words_;
  std::vector<std::string> refusals_;
};

void Tally::Print(const Session& session, bool dry_run) const {
  if (session.Json()) {
    JsonObject object;
    object.Bool("dry_run", dry_run);
    for (const auto& [word, count] : words_) {
      object.Integer(word, static_cast<std::int64_t>(count));
    }
    session.io.out << object.Take() << "\n";
  } else {
    for (const auto& [word, count] : words_) {
      session.io.out << fmt::format("{:>10}  {}\n", Grouped(count), word);
    }
    if (words_.empty()) {
      session.io.out << "no dead letter fits\n";
    }
  }
  for (const std::string& refusal : refusals_) {
    session.io.err << refusal << "\n";
  }
}

// Asks for actions and waits for their answers: from the server that owns the log, else from the
// log.
class Asker {
 public:
  explicit Asker(const Session& session) : session_(session) {}

  Status Ask(std::span<Wanted> wanted, Tally* tally);

 private:
  Status AskServer(std::span<Wanted> wanted, Tally* tally);
  Status AskLog(std::span<Wanted> wanted, Tally* tally);
  Result<api::RecordToAppend> RecordOf(const Wanted& wanted) const;

  const Session& session_;
};

Status Asker::Ask(std::span<Wanted> wanted, Tally* tally) {
  return session_.control != nullptr ? AskServer(wanted, tally) : AskLog(wanted, tally);
}

Status Asker::AskServer(std::span<Wanted> wanted, Tally* tally) {
  std::vector<std::string> documents;
  for (const Wanted& each : wanted) {
    documents.push_back(api::DeadLetterDocument(each.change, each.letter->letter.tenant()));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto results, session_.control->Send("", documents, ControlPort::Wait::kForVerdicts));
  for (std::size_t i = 0; i < results.size(); ++i) {
    const ControlResult& result = results[i];
    if (result.status == "rejected") {
      tally->Refuse(*wanted[i].letter, "refused", result.detail);
    } else if (result.status == kUnsent) {
      return Error(ErrorCode::kUnavailable, result.detail);
    } else {
      tally->Count(result.status == "accepted" ? result.detail : result.status);
    }
  }
  return Status::Ok();
}

Result<api::RecordToAppend> Asker::RecordOf(const Wanted& wanted) const {
  const auto& record = wanted.letter->letter.record();
  const auto partition = static_cast<std::int32_t>(record.partition());
  v1::DeadLetterAction action = wanted.change.action;
  if (wanted.change.record) {
    action.set_actor(session_.actor);
    action.set_reason(wanted.change.reason);
    return api::RetryRecord(static_cast<Topic>(record.topic()), partition, *wanted.change.record,
                            action);
  }
  const std::string& tenant = wanted.letter->letter.tenant();
  const std::string key = schemas::IsTenantId(tenant) ? tenant : std::string(schemas::kLogKey);
  v1::Envelope envelope = NewEnvelope(session_, key, "dlq.action");
  envelope.mutable_account_change()->set_reason(wanted.change.reason);
  *envelope.mutable_account_change()->mutable_dead_letter_action() = action;
  return api::RecordToAppend{.topic = Topic::kAccountChanges,
                             .partition = partition,
                             .key = key,
                             .value = envelope.SerializeAsString()};
}

Status Asker::AskLog(std::span<Wanted> wanted, Tally* tally) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto watcher, OutcomeWatcher::Open(session_, false));
  std::vector<api::RecordToAppend> owned;
  for (const Wanted& each : wanted) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto record, RecordOf(each));
    owned.push_back(std::move(record));
  }
  std::vector<std::vector<log::Header>> headers(owned.size());
  std::vector<log::NewRecord> records;
  for (std::size_t i = 0; i < owned.size(); ++i) {
    for (const auto& [name, value] : owned[i].headers) {
      headers[i].push_back({name, value});
    }
    records.push_back(
        {owned[i].topic, owned[i].partition, owned[i].key, owned[i].value, headers[i]});
  }
  std::vector<RecordOutcome> outcomes(owned.size());
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto appended,
                               session_.log.Append(records, session_.ask_timeout));
  for (std::size_t i = 0; i < appended.size(); ++i) {
    watcher->Expect(owned[i].topic, owned[i].partition, appended[i].offset, &outcomes[i]);
  }
  ALERTSTREAM_RETURN_IF_ERROR(watcher->WaitUntil(0, kAnswerMax));
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const auto& facts = outcomes[i].facts;
    const auto fact = std::find_if(facts.begin(), facts.end(),
                                   [](const v1::Fact& each) { return each.has_dead_letter(); });
    if (fact == facts.end()) {
      tally->Refuse(*wanted[i].letter, "refused", "the engine said nothing about it");
    } else if (fact->result() == v1::FACT_RESULT_REJECTED) {
      tally->Refuse(*wanted[i].letter, "refused", fact->detail());
    } else {
      tally->Count(Word(fact->dead_letter().status()));
    }
  }
  return Status::Ok();
}

// Collects actions into chunks, keeps the rate and tells how far it has come.
class Redriver {
 public:
  Redriver(const Session& session, const RedriveOptions& options, std::size_t letters)
      : session_(session),
        options_(options),
        letters_(letters),
        asker_(session),
        begun_(session.clock.SinceBoot()),
        told_(begun_) {}

  // False: interrupted.
  Result<bool> Add(const Letter& letter, api::DeadLetterChange change);
  void Skip(const std::string& why) { tally_.Count("skipped: " + why); }
  Status Finish();
  Tally& tally() { return tally_; }

 private:
  Status Flush();
  void KeepRate();

  const Session& session_;
  const RedriveOptions& options_;
  const std::size_t letters_;
  Asker asker_;
  Tally tally_;
  std::vector<Wanted> chunk_;
  std::size_t chunk_bytes_ = 0;
  std::size_t asked_ = 0;
  std::chrono::microseconds begun_;
  std::chrono::microseconds told_;
};

Result<bool> Redriver::Add(const Letter& letter, api::DeadLetterChange change) {
  if (session_.Interrupted()) {
    return false;
  }
  if (options_.dry_run) {
    tally_.Count("would be asked for");
    return true;
  }
  const std::size_t bytes = change.record ? change.record->ByteSizeLong() : 0;
  const std::size_t letters_max =
      options_.rate > 0 ? std::min(kChunkLettersMax, static_cast<std::size_t>(options_.rate))
                        : kChunkLettersMax;
  if (!chunk_.empty() && (chunk_.size() >= letters_max || chunk_bytes_ + bytes > kChunkBytesMax)) {
    ALERTSTREAM_RETURN_IF_ERROR(Flush());
  }
  chunk_.push_back({&letter, std::move(change)});
  chunk_bytes_ += bytes;
  return true;
}

void Redriver::KeepRate() {
  if (options_.rate <= 0) {
    return;
  }
  const auto due = begun_ + std::chrono::microseconds(std::chrono::seconds(1)) *
                                static_cast<std::int64_t>(asked_) / options_.rate;
  constexpr std::chrono::milliseconds kNap{100};
  while (session_.clock.SinceBoot() < due && !session_.Interrupted()) {
    session_.clock.SleepFor(kNap);
  }
}

Status Redriver::Flush() {
  KeepRate();
  if (chunk_.empty()) {
    return Status::Ok();
  }
  ALERTSTREAM_RETURN_IF_ERROR(asker_.Ask(chunk_, &tally_));
  asked_ += chunk_.size();
  chunk_.clear();
  chunk_bytes_ = 0;
  const auto now = session_.clock.SinceBoot();
  if (now - told_ >= kProgressEvery) {
    told_ = now;
    session_.io.err << fmt::format("{} of {} done; it goes on where it was ended\n",
                                   Grouped(tally_.total()), Grouped(letters_));
  }
  return Status::Ok();
}

Status Redriver::Finish() {
  if (session_.Interrupted()) {
    return Error(ErrorCode::kUnavailable,
                 fmt::format("interrupted after {} of {}; the same command goes on with the rest",
                             tally_.total(), letters_));
  }
  return Flush();
}

// An older fold would take a retry for the record itself, and decide it once more.
Status CheckVersion(std::uint32_t in_force) {
  if (in_force == 0 || in_force >= api::kRepairEngineVersionMin) {
    return Status::Ok();
  }
  return Error(ErrorCode::kConflict,
               fmt::format("the log is at engine version {}; dead letters can be acted on from "
                           "{} on (alertstream engine activate {})",
                           in_force, api::kRepairEngineVersionMin, api::kRepairEngineVersionMin));
}

constexpr std::string_view kNoRecord = "a timer's, without a record";

Result<LetterBook> Choose(const Session& session, const RedriveOptions& options) {
  if (options.filters.empty() && !options.all) {
    return Error(ErrorCode::kInvalid, "name dead letters, or a filter, or --all");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(LetterBook book, ReadLetters(session, options.filters));
  if (!book.letters.empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(CheckVersion(book.engine_version));
  }
  if (!options.filters.ids.empty() && book.letters.size() < options.filters.ids.size()) {
    return Error(ErrorCode::kNotFound, fmt::format("{} of {} ids name no dead letter",
                                                   options.filters.ids.size() - book.letters.size(),
                                                   options.filters.ids.size()));
  }
  return book;
}

// Why the letter is left out; "" if it is not.
std::string ReasonToSkip(const Session& session, const RedriveOptions& options,
                         const Letter& letter, const v1::RawRecord* original) {
  if (letter.is_forgotten) {
    return "purged";
  }
  if (!api::HasRecord(letter.letter.record())) {
    return std::string(kNoRecord);
  }
  if (letter.status() != v1::DEAD_LETTER_STATUS_OPEN && !options.forced) {
    return Word(letter.status());
  }
  if (original == nullptr) {
    return "without bytes";
  }
  // Its retry may end the process again, which leaves no trace of the retry.
  if (letter.letter.stage() == v1::DEAD_LETTER_STAGE_SKIP && !options.forced) {
    return Word(letter.letter.reason()) + ", which needs --force";
  }
  if (session.control != nullptr && original->ByteSizeLong() > kServerRecordBytesMax) {
    return "too large to go through the server; stop it first";
  }
  if (letter.letter.record().topic() != static_cast<std::uint32_t>(Topic::kSiteEvents) ||
      options.include_expired) {
    return "";
  }
  const auto envelope = EnvelopeOf(letter.letter, *original);
  const LogTime happened =
      FromMicros(envelope && envelope->event_time_us() != 0 ? envelope->event_time_us()
                                                            : letter.letter.append_time_us());
  return happened + options.max_age <= session.clock.Now() ? "expired" : "";
}

ExitCode ExitOf(const Tally& tally) {
  const std::size_t refused = tally.of("refused");
  if (refused == 0 && tally.of(Word(v1::DEAD_LETTER_STATUS_FAILED_AGAIN)) == 0) {
    return ExitCode::kOk;
  }
  return refused == tally.total() ? ExitCode::kConflict : ExitCode::kPartly;
}

}  // namespace

Result<ExitCode> RetryDeadLetters(const Session& session, const RedriveOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const LetterBook book, Choose(session, options));
  Redriver redriver(session, options, book.letters.size());
  const auto visit = [&](const Letter& letter, const v1::RawRecord* original) -> Result<bool> {
    if (const std::string why = ReasonToSkip(session, options, letter, original); !why.empty()) {
      redriver.Skip(why);
      return true;
    }
    return redriver.Add(
        letter, {.action = ActionOn(letter, v1::DEAD_LETTER_ACTION_KIND_RETRY, options.forced),
                 .reason = options.reason,
                 .record = *original});
  };
  ALERTSTREAM_RETURN_IF_ERROR(ForEachOriginal(session, book, visit));
  ALERTSTREAM_RETURN_IF_ERROR(redriver.Finish());
  redriver.tally().Print(session, options.dry_run);
  return ExitOf(redriver.tally());
}

Result<ExitCode> ChangeDeadLetters(const Session& session, v1::DeadLetterActionKind kind,
                                   const RedriveOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const LetterBook book, Choose(session, options));
  Redriver redriver(session, options, book.letters.size());
  for (const Letter& letter : book.letters) {
    const v1::DeadLetterStatus status = letter.status();
    const bool is_open =
        status == v1::DEAD_LETTER_STATUS_OPEN || status == v1::DEAD_LETTER_STATUS_FAILED_AGAIN;
    const bool is_ended = status == v1::DEAD_LETTER_STATUS_PURGED;
    if (!api::HasRecord(letter.letter.record())) {
      redriver.Skip(std::string(kNoRecord));
      continue;
    }
    if (is_ended || (!is_open && !options.forced && kind == v1::DEAD_LETTER_ACTION_KIND_DROP)) {
      redriver.Skip(Word(status));
      continue;
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const bool more, redriver.Add(letter, {.action = ActionOn(letter, kind, options.forced),
                                               .reason = options.reason,
                                               .record = {}}));
    if (!more) {
      break;
    }
  }
  ALERTSTREAM_RETURN_IF_ERROR(redriver.Finish());
  redriver.tally().Print(session, options.dry_run);
  return ExitOf(redriver.tally());
}

namespace {

// The changed copy; its key and headers stay.
Result<v1::RawRecord> EditedCopy(const LetterWhole& whole, const EditOptions& options) {
  v1::RawRecord copy = *whole.original;
  if (!options.value.empty()) {
    copy.set_value(options.value);
    return copy;
  }
  v1::Envelope envelope;
  if (!envelope.ParseFromString(copy.value()) || !envelope.has_site_event()) {
    return Error(ErrorCode::kInvalid,
                 "the record is no event in our own form, so its members cannot be changed one by "
                 "one; give a whole new value (--value FILE)");
  }
  if (!options.data.empty()) {
    envelope.mutable_site_event()->mutable_data()->set_plain(options.data);
    envelope.clear_body_sha256();
  }
  if (!options.site.empty()) {
    envelope.set_site(options.site);
  }
  if (!options.type.empty()) {
    envelope.set_type(options.type);
    envelope.clear_body_sha256();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string value, schemas::EncodeEnvelope(envelope));
  copy.set_value(value);
  return copy;
}

}  // namespace

Result<ExitCode> EditDeadLetter(const Session& session, const EditOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const LetterWhole whole, FindLetter(session, options.id));
  ALERTSTREAM_RETURN_IF_ERROR(CheckVersion(whole.engine_version));
  if (!whole.original || !api::HasRecord(whole.letter.letter.record())) {
    return Error(ErrorCode::kNotFound, "the dead letter has no bytes to be changed");
  }
  if (whole.letter.letter.stage() == v1::DEAD_LETTER_STAGE_SKIP && !options.forced) {
    return Error(ErrorCode::kConflict,
                 "the record ended the process and was skipped; a changed copy may do it again. "
                 "Forced (--force), it is tried all the same");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const v1::RawRecord copy, EditedCopy(whole, options));
  v1::Envelope envelope;
  std::vector<schemas::HeaderView> headers;
  for (const auto& header : copy.headers()) {
    headers.push_back({header.name(), header.value()});
  }
  const auto topic = static_cast<Topic>(whole.letter.letter.record().topic());
  const auto fault = schemas::DecodeInput(
      topic, {.key = copy.key(), .value = copy.value(), .headers = headers}, &envelope);
  if (fault) {
    return Error(ErrorCode::kInvalid, "the copy would die as well: " + fault->detail);
  }
  if (copy.value() == whole.original->value()) {
    return Error(ErrorCode::kInvalid, "nothing is changed; dlq retry appends it as it is");
  }
  std::vector<Wanted> wanted(1);
  wanted[0] = {&whole.letter,
               {.action = ActionOn(whole.letter, v1::DEAD_LETTER_ACTION_KIND_EDIT, options.forced),
                .reason = options.reason,
                .record = copy}};
  Tally tally;
  ALERTSTREAM_RETURN_IF_ERROR(Asker(session).Ask(wanted, &tally));
  tally.Print(session, false);
  return ExitOf(tally);
}

namespace {

struct Sent {
  v1::NotificationCommand command;
  std::string site;  // Of the event that caused it.
  std::int32_t partition = 0;
  std::uint32_t engine_version = 0;  // In force on the partition.
};

// Takes what a batch says of the notification `id`: its command, and its event's decision.
void ReadSent(std::int32_t partition, const runtime::ReleasedBatch& batch, std::string_view id,
              std::optional<Sent>* found) {
  for (const auto& output : batch.outputs) {
    v1::NotificationCommand command;
    const auto& value = output.record.value;
    if (output.topic == Topic::kNotificationCommands &&
        command.ParseFromArray(value.data(), static_cast<int>(value.size())) &&
        command.notification_id() == id && command.has_body()) {
      *found = Sent{.command = std::move(command),
                    .site = *found ? (*found)->site : "",
                    .partition = partition};
    }
  }
  if (!*found || (*found)->partition != partition) {
    return;
  }
  (*found)->engine_version = batch.journal.engine_version();
  for (const auto& output : batch.outputs) {
    v1::DecisionRecord decision;
    const auto& value = output.record.value;
    if (output.topic == Topic::kDecisions &&
        decision.ParseFromArray(value.data(), static_cast<int>(value.size())) &&
        !decision.event_id().empty() && decision.event_id() == (*found)->command.event_id()) {
      (*found)->site = decision.site();
    }
  }
}

Result<Sent> FindSent(const Session& session, std::string_view id) {
  std::optional<Sent> found;
  ALERTSTREAM_RETURN_IF_ERROR(
      ForEachBatch(session, {Topic::kNotificationCommands, Topic::kDecisions},
                   [&](std::int32_t partition, const runtime::ReleasedBatch& batch) -> Status {
                     ReadSent(partition, batch, id, &found);
                     return Status::Ok();
                   }));
  if (!found) {
    return Error(ErrorCode::kNotFound, "no notification with this id was ever sent");
  }
  return *std::move(found);
}

// The decision in words; `sent` says whether it is to be sent.
std::string DecisionWords(const RecordOutcome& outcome, bool* sent) {
  *sent = false;
  if (!outcome.dead_letters.empty()) {
    return "refused: " + outcome.dead_letters[0].detail();
  }
  if (outcome.decisions.empty() || outcome.decisions[0].decisions().empty()) {
    return "no decision";
  }
  const v1::Decision& decision = outcome.decisions[0].decisions(0);
  *sent = decision.outcome() == v1::OUTCOME_SEND;
  return *sent ? fmt::format("sent again as {}",
                             FormatId(IdKind::kNotification, decision.notification_id()))
               : fmt::format("{}: {}", Word(decision.outcome()), Word(decision.reason()));
}

}  // namespace

Result<ExitCode> RetryNotification(const Session& session, const std::string& id, bool forced,
                                   const std::string& reason) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const IdBytes bytes, ParseId(IdKind::kNotification, id));
  ALERTSTREAM_ASSIGN_OR_RETURN(const Sent before, FindSent(session, AsView(bytes)));
  ALERTSTREAM_RETURN_IF_ERROR(CheckVersion(before.engine_version));
  const v1::NotificationCommand& command = before.command;
  v1::Envelope envelope = NewEnvelope(session, command.tenant(), "notification.retry");
  envelope.set_site(before.site);  // One that is not active sends nothing.
  auto* direct = envelope.mutable_site_event()->mutable_direct();
  *direct->mutable_to() = command.to();
  auto* retry = direct->mutable_retry();
  retry->set_notification_id(id);
  *retry->mutable_body() = command.body();
  retry->set_sender_id(command.sender_id());
  retry->set_forced(forced);
  retry->set_reason(reason);
  std::string words;
  bool sent = false;
  if (session.control != nullptr) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const auto results, session.control->Send("", {api::NotificationRetryDocument(envelope)},
                                                  ControlPort::Wait::kForVerdicts));
    const ControlResult& result = results.at(0);
    sent = result.status == "accepted";
    words =
        sent ? "sent again" : fmt::format("{}: {} {}", result.status, result.detail, result.reason);
  } else {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const auto outcomes,
        Submit(session, {TenantChange(session, Topic::kSiteEvents, command.tenant(), envelope)}));
    words = DecisionWords(outcomes.at(0), &sent);
  }
  if (session.Json()) {
    JsonObject object;
    object.Text("notification", id).Bool("sent", sent).Text("answer", words);
    session.io.out << object.Take() << "\n";
  } else {
    session.io.out << words << "\n";
  }
  return sent ? ExitCode::kOk : ExitCode::kConflict;
}

}  // namespace alertstream::cli
