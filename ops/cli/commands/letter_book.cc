#include "ops/cli/commands/letter_book.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/commands/outcomes.h"
#include "processor/base/id.h"
#include "schemas/input_codec.h"
#include "schemas/personal.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

std::optional<v1::RawRecord> OriginalOf(const v1::DeadLetter& letter) {
  const auto bytes = schemas::Unseal(letter.original());
  v1::RawRecord raw;
  if (!letter.has_original() || !bytes.ok() ||
      !raw.ParseFromArray(bytes.value().data(), static_cast<int>(bytes.value().size()))) {
    return std::nullopt;
  }
  return raw;
}

v1::MessageClass ClassOf(const v1::DeadLetter& letter) {
  const auto raw = OriginalOf(letter);
  const auto envelope = raw ? EnvelopeOf(letter, *raw) : std::nullopt;
  if (!envelope) {
    return v1::MESSAGE_CLASS_UNSPECIFIED;
  }
  return envelope->has_consent_change() ? envelope->consent_change().message_class()
                                        : envelope->site_event().direct().message_class();
}

// What the letter alone says; its status is known when all facts are read.
bool Fits(const Session& session, const LetterFilters& filters, const v1::DeadLetter& letter) {
  const LogDuration age = session.clock.Now() - FromMicros(letter.at_us());
  return (session.tenant.empty() || letter.tenant() == session.tenant) &&
         (!filters.stage || letter.stage() == *filters.stage) &&
         (!filters.reason || letter.reason() == *filters.reason) &&
         (filters.type.empty() || letter.event_type() == filters.type) &&
         (!filters.older_than || age >= *filters.older_than) &&
         (!filters.newer_than || age < *filters.newer_than) &&
         (!filters.message_class || ClassOf(letter) == *filters.message_class);
}

template <typename Message>
bool Parse(const runtime::ReleasedRecord& output, Message* message) {
  const auto& value = output.record.value;
  return message->ParseFromArray(value.data(), static_cast<int>(value.size()));
}

}  // namespace

v1::DeadLetterStatus Letter::status() const {
  return state.status() == v1::DEAD_LETTER_STATUS_UNSPECIFIED ? v1::DEAD_LETTER_STATUS_OPEN
                                                              : state.status();
}

bool LetterFilters::empty() const {
  return !stage && !reason && !status && !message_class && type.empty() && !older_than &&
         !newer_than && ids.empty();
}

namespace {

// Collects letters and what became of them, batch by batch.
class BookReader {
 public:
  BookReader(const Session& session, const LetterFilters& filters, std::set<std::string> wanted)
      : session_(session), filters_(filters), wanted_(std::move(wanted)) {}

  void Take(std::int32_t partition, const runtime::ReleasedBatch& batch);
  LetterBook Finish() &&;

 private:
  void TakeFact(const v1::DeadLetterFact& fact);
  void TakeLetter(v1::DeadLetter letter, std::uint64_t seq);
  void FollowPurges();

  const Session& session_;
  const LetterFilters& filters_;
  const std::set<std::string> wanted_;  // Empty: any.
  LetterBook book_;
  std::map<std::string, std::size_t> places_;
  std::map<std::int32_t, std::uint32_t> versions_;
  // Of all letters, whether they fit or not: which are retries of which, both ways.
  std::multimap<std::string, std::string> relatives_;
  std::set<std::string> purged_;
  std::set<std::string> unfit_;  // Those that came again, and do not fit any more.
};

void BookReader::Take(std::int32_t partition, const runtime::ReleasedBatch& batch) {
  std::vector<v1::DeadLetterFact> later;
  std::vector<v1::DeadLetter> letters;
  for (const auto& output : batch.outputs) {
    v1::Fact fact;
    v1::DeadLetter letter;
    if (output.topic == Topic::kDeadLetters) {
      if (Parse(output, &letter)) {
        letters.push_back(std::move(letter));
      }
    } else if (Parse(output, &fact) && fact.has_dead_letter() &&
               fact.result() == v1::FACT_RESULT_ACCEPTED) {
      const v1::DeadLetterActionKind kind = fact.dead_letter().action();
      const bool is_change =
          kind == v1::DEAD_LETTER_ACTION_KIND_DROP || kind == v1::DEAD_LETTER_ACTION_KIND_PURGE;
      // Between the two kinds the timers of a batch leave their letters.
      if (is_change) {
        TakeFact(fact.dead_letter());
      } else {
        later.push_back(std::move(*fact.mutable_dead_letter()));
      }
    }
  }
  for (v1::DeadLetter& letter : letters) {
    versions_[partition] = 0;
    TakeLetter(std::move(letter), batch.journal.seq());
  }
  for (const v1::DeadLetterFact& fact : later) {
    TakeFact(fact);
  }
  if (const auto found = versions_.find(partition); found != versions_.end()) {
    found->second = batch.journal.engine_version();
  }
}

void BookReader::TakeFact(const v1::DeadLetterFact& fact) {
  if (fact.status() == v1::DEAD_LETTER_STATUS_PURGED) {
    purged_.insert(fact.id());
  }
  if (const auto found = places_.find(fact.id()); found != places_.end()) {
    book_.letters[found->second].state = fact;
  }
}

void BookReader::TakeLetter(v1::DeadLetter letter, std::uint64_t seq) {
  if (!letter.retry_of().empty()) {
    relatives_.emplace(letter.id(), letter.retry_of());
    relatives_.emplace(letter.retry_of(), letter.id());
  }
  const auto known = places_.find(letter.id());
  const bool fits =
      Fits(session_, filters_, letter) && (wanted_.empty() || wanted_.contains(letter.id()));
  if (known == places_.end() && !fits) {
    return;
  }
  const bool has_original = letter.has_original();
  letter.clear_original();
  if (known == places_.end()) {
    places_[letter.id()] = book_.letters.size();
    book_.letters.push_back(
        {.letter = std::move(letter), .state = {}, .has_original = has_original, .seq = seq});
    return;
  }
  Letter& again = book_.letters[known->second];
  again.letter = std::move(letter);
  again.has_original = has_original;
  again.seq = seq;
  again.state.set_status(v1::DEAD_LETTER_STATUS_OPEN);
  if (fits) {
    unfit_.erase(again.letter.id());
  } else {
    unfit_.insert(again.letter.id());
  }
}

void BookReader::FollowPurges() {
  std::vector<std::string> open(purged_.begin(), purged_.end());
  while (!open.empty()) {
    const std::string id = std::move(open.back());
    open.pop_back();
    const auto [begin, end] = relatives_.equal_range(id);
    for (auto each = begin; each != end; ++each) {
      if (purged_.insert(each->second).second) {
        open.push_back(each->second);
      }
    }
  }
}

LetterBook BookReader::Finish() && {
  for (const auto& [partition, version] : versions_) {
    book_.engine_version =
        book_.engine_version == 0 ? version : std::min(book_.engine_version, version);
  }
  FollowPurges();
  for (Letter& letter : book_.letters) {
    letter.is_forgotten = purged_.contains(letter.letter.id());
  }
  std::erase_if(book_.letters, [&](const Letter& letter) {
    return (filters_.status && letter.status() != *filters_.status) ||
           unfit_.contains(letter.letter.id());
  });
  return std::move(book_);
}

}  // namespace

Result<LetterBook> ReadLetters(const Session& session, const LetterFilters& filters) {
  std::set<std::string> wanted;
  for (const std::string& id : filters.ids) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const IdBytes bytes, ParseId(IdKind::kDeadLetter, id));
    wanted.insert(std::string(AsView(bytes)));
  }
  BookReader reader(session, filters, std::move(wanted));
  const auto visit = [&](std::int32_t partition, const runtime::ReleasedBatch& batch) -> Status {
    reader.Take(partition, batch);
    return Status::Ok();
  };
  ALERTSTREAM_RETURN_IF_ERROR(
      session.tenant.empty()
          ? ForEachBatch(session, {Topic::kFacts, Topic::kDeadLetters}, visit)
          : ForEachBatchOf(session,
                           schemas::PartitionOf(session.tenant, session.identity.partitions),
                           {Topic::kFacts, Topic::kDeadLetters}, visit));
  return std::move(reader).Finish();
}

Status ForEachOriginal(const Session& session, const LetterBook& book, const VisitOriginal& visit) {
  std::map<std::string_view, const Letter*> wanted;
  std::set<std::int32_t> partitions;
  for (const Letter& letter : book.letters) {
    wanted[letter.letter.id()] = &letter;
    partitions.insert(static_cast<std::int32_t>(letter.letter.record().partition()));
  }
  bool stopped = false;
  for (const std::int32_t partition : partitions) {
    ALERTSTREAM_RETURN_IF_ERROR(
        ForEachBatchOf(session, partition, {Topic::kDeadLetters},
                       [&](std::int32_t, const runtime::ReleasedBatch& batch) -> Status {
                         for (const auto& output : batch.outputs) {
                           v1::DeadLetter letter;
                           if (stopped || !Parse(output, &letter)) {
                             continue;
                           }
                           const auto found = wanted.find(letter.id());
                           if (found == wanted.end() || found->second->seq != batch.journal.seq()) {
                             continue;  // Or one that came again later.
                           }
                           const Letter& known = *found->second;
                           wanted.erase(found);
                           const auto original = known.is_forgotten ? std::optional<v1::RawRecord>()
                                                                    : OriginalOf(letter);
                           ALERTSTREAM_ASSIGN_OR_RETURN(
                               const bool more, visit(known, original ? &*original : nullptr));
                           stopped = !more;
                         }
                         return Status::Ok();
                       }));
  }
  return Status::Ok();
}

std::optional<v1::Envelope> EnvelopeOf(const v1::DeadLetter& letter,
                                       const v1::RawRecord& original) {
  std::vector<schemas::HeaderView> headers;
  for (const auto& header : original.headers()) {
    headers.push_back({header.name(), header.value()});
  }
  const schemas::RecordView record{.offset = letter.record().offset(),
                                   .append_time = FromMicros(letter.append_time_us()),
                                   .key = original.key(),
                                   .value = original.value(),
                                   .headers = headers};
  v1::Envelope envelope;
  const auto fault =
      schemas::DecodeInput(static_cast<Topic>(letter.record().topic()), record, &envelope);
  // A field that is wrong leaves the rest to be seen.
  if (fault && fault->stage == v1::DEAD_LETTER_STAGE_DECODE) {
    return std::nullopt;
  }
  return envelope;
}

Result<LetterWhole> FindLetter(const Session& session, const std::string& id) {
  ALERTSTREAM_ASSIGN_OR_RETURN(LetterBook book, ReadLetters(session, {}));
  const Letter* found = nullptr;
  std::size_t fitting = 0;
  for (const Letter& letter : book.letters) {
    const bool is_later = found == nullptr || letter.letter.at_us() >= found->letter.at_us();
    if (id == "last" ? is_later
                     : FormatId(IdKind::kDeadLetter, letter.letter.id()).starts_with(id)) {
      ++fitting;
      found = &letter;
    }
  }
  if (found == nullptr || (id != "last" && !id.starts_with(PrefixOf(IdKind::kDeadLetter)))) {
    return Error(ErrorCode::kNotFound,
                 "no dead letter has an id that begins so; ids begin with dlq_");
  }
  if (fitting > 1 && id != "last") {
    return Error(ErrorCode::kInvalid,
                 fmt::format("{} dead letters begin so; give more of the id", fitting));
  }
  LetterWhole whole{.letter = *found, .original = {}, .engine_version = book.engine_version};
  book.letters = {whole.letter};
  ALERTSTREAM_RETURN_IF_ERROR(ForEachOriginal(
      session, book, [&](const Letter&, const v1::RawRecord* original) -> Result<bool> {
        if (original != nullptr) {
          whole.original = *original;
        }
        return false;
      }));
  return whole;
}

}  // namespace alertstream::cli
