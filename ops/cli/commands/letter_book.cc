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

Result<LetterBook> ReadLetters(const Session& session, const LetterFilters& filters) {
  LetterBook book;
  std::set<std::string> wanted;
  for (const std::string& id : filters.ids) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const IdBytes bytes, ParseId(IdKind::kDeadLetter, id));
    wanted.insert(std::string(AsView(bytes)));
  }
  std::map<std::string, std::size_t> places;
  std::map<std::int32_t, std::uint32_t> versions;
  const auto visit = [&](std::int32_t partition, const runtime::ReleasedBatch& batch) -> Status {
    for (const auto& output : batch.outputs) {
      v1::Fact fact;
      v1::DeadLetter letter;
      if (output.topic == Topic::kFacts) {
        if (Parse(output, &fact) && fact.has_dead_letter() &&
            fact.result() == v1::FACT_RESULT_ACCEPTED) {
          if (const auto found = places.find(fact.dead_letter().id()); found != places.end()) {
            book.letters[found->second].state = fact.dead_letter();
          }
        }
      } else if (Parse(output, &letter)) {
        versions[partition] = 0;
        if (Fits(session, filters, letter) && (wanted.empty() || wanted.contains(letter.id()))) {
          places[letter.id()] = book.letters.size();
          const bool has_original = letter.has_original();
          letter.clear_original();
          book.letters.push_back({.letter = std::move(letter), .has_original = has_original});
        }
      }
    }
    if (const auto found = versions.find(partition); found != versions.end()) {
      found->second = batch.journal.engine_version();
    }
    return Status::Ok();
  };
  ALERTSTREAM_RETURN_IF_ERROR(
      session.tenant.empty()
          ? ForEachBatch(session, {Topic::kFacts, Topic::kDeadLetters}, visit)
          : ForEachBatchOf(session,
                           schemas::PartitionOf(session.tenant, session.identity.partitions),
                           {Topic::kFacts, Topic::kDeadLetters}, visit));
  for (const auto& [partition, version] : versions) {
    book.engine_version =
        book.engine_version == 0 ? version : std::min(book.engine_version, version);
  }
  std::erase_if(book.letters, [&](const Letter& letter) {
    return filters.status && letter.status() != *filters.status;
  });
  return book;
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
    ALERTSTREAM_RETURN_IF_ERROR(ForEachBatchOf(
        session, partition, {Topic::kDeadLetters},
        [&](std::int32_t, const runtime::ReleasedBatch& batch) -> Status {
          for (const auto& output : batch.outputs) {
            v1::DeadLetter letter;
            if (stopped || !Parse(output, &letter)) {
              continue;
            }
            const auto found = wanted.find(letter.id());
            if (found == wanted.end()) {
              continue;
            }
            const auto original = OriginalOf(letter);
            ALERTSTREAM_ASSIGN_OR_RETURN(const bool more,
                                         visit(*found->second, original ? &*original : nullptr));
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
  LetterWhole whole{.letter = *found, .original = {}};
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
