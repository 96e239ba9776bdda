#include "ops/cli/commands/dead_letters.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <ostream>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/control/control_document.h"
#include "ops/cli/commands/outcomes.h"
#include "ops/cli/commands/raw_records.h"
#include "ops/cli/json_object.h"
#include "ops/cli/message_json.h"
#include "ops/cli/words.h"
#include "processor/base/crypto.h"
#include "processor/base/rfc3339.h"
#include "schemas/envelope_check.h"
#include "schemas/input_codec.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

std::vector<Column> ListColumns() {
  return {{.key = "id"},
          {.key = "at"},
          {.key = "status"},
          {.key = "stage"},
          {.key = "reason"},
          {.key = "tenant"},
          {.key = "source"},
          {.key = "detail"},
          {.key = "type", .title = {}, .wide = true},
          {.key = "retries", .title = {}, .wide = true, .right = true}};
}

CellStyle StyleOf(v1::DeadLetterStatus status) {
  return status == v1::DEAD_LETTER_STATUS_RESOLVED ? CellStyle::kGood
         : status == v1::DEAD_LETTER_STATUS_OPEN || status == v1::DEAD_LETTER_STATUS_FAILED_AGAIN
             ? CellStyle::kBad
             : CellStyle::kDim;
}

// What is known of a letter, without its bytes.
JsonObject Describe(const Letter& each) {
  const v1::DeadLetter& letter = each.letter;
  JsonObject object;
  object.Text("id", FormatId(IdKind::kDeadLetter, letter.id()))
      .Text("tenant", letter.tenant())
      .Text("status", Word(each.status()))
      .Text("record", PositionText(letter.record()))
      .Text("append_time", FormatRfc3339(FromMicros(letter.append_time_us())))
      .Text("at", FormatRfc3339(FromMicros(letter.at_us())))
      .Text("stage", Word(letter.stage()))
      .Text("reason", Word(letter.reason()))
      .Text("detail", letter.detail())
      .Text("event_type", letter.event_type())
      .Integer("retries", each.state.retries())
      .Bool("purged", each.is_forgotten);
  if (!letter.retry_of().empty()) {
    object.Text("retry_of", FormatId(IdKind::kDeadLetter, letter.retry_of()));
  }
  if (!each.state.died_as().empty()) {
    object.Text("died_as", FormatId(IdKind::kDeadLetter, each.state.died_as()));
  }
  return object;
}

// The decoded record; what is about people only if it is asked for.
void DescribeOriginal(const v1::DeadLetter& letter, const v1::RawRecord& raw, bool show_original,
                      JsonObject* object) {
  object->Integer("original_bytes", static_cast<std::int64_t>(raw.value().size()))
      .Text("original_sha256", ToHex(AsView(Sha256::Of(raw.value()))));
  if (const auto envelope = EnvelopeOf(letter, raw)) {
    object->Raw("decoded", MessageJson(*envelope, show_original ? PersonalData::kShown
                                                                : PersonalData::kMasked));
  }
  if (!show_original) {
    return;
  }
  JsonList headers;
  for (const auto& header : raw.headers()) {
    headers.Raw(JsonObject()
                    .Text("name_hex", ToHex(header.name()))
                    .Text("value_hex", ToHex(header.value()))
                    .Take());
  }
  object->Text("original_key_hex", ToHex(raw.key()))
      .Text("original_hex", ToHex(raw.value()))
      .Raw("headers", headers.Take());
}

}  // namespace

Result<ExitCode> ListDeadLetters(const Session& session, const LetterFilters& filters,
                                 std::size_t rows_max) {
  ALERTSTREAM_ASSIGN_OR_RETURN(LetterBook book, ReadLetters(session, filters));
  std::stable_sort(book.letters.begin(), book.letters.end(), [](const auto& a, const auto& b) {
    return a.letter.at_us() < b.letter.at_us();
  });
  const std::size_t cut = book.letters.size() - std::min(book.letters.size(), rows_max);
  Table table(ListColumns());
  for (std::size_t i = cut; i < book.letters.size(); ++i) {
    const Letter& each = book.letters[i];
    const v1::DeadLetter& letter = each.letter;
    table.Add({{session.Json() ? FormatId(IdKind::kDeadLetter, letter.id())
                               : ShortId(IdKind::kDeadLetter, letter.id())},
               {FromMicros(letter.at_us())},
               {Word(each.status()), StyleOf(each.status())},
               {Word(letter.stage())},
               {Word(letter.reason()), CellStyle::kBad},
               {letter.tenant()},
               {PositionText(letter.record())},
               {letter.detail()},
               {letter.event_type()},
               {static_cast<std::int64_t>(each.state.retries())}});
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, table));
  session.io.err << fmt::format("{} shown, {} earlier ones left out (--limit)\n",
                                book.letters.size() - cut, cut);
  return ExitCode::kOk;
}

Result<ExitCode> CountDeadLetters(const Session& session, const LetterFilters& filters) {
  struct Count {
    std::int64_t letters = 0;
    std::int64_t first_us = 0;
    std::int64_t last_us = 0;
  };
  ALERTSTREAM_ASSIGN_OR_RETURN(const LetterBook book, ReadLetters(session, filters));
  std::map<std::tuple<std::string, std::string, std::string, std::string>, Count> counts;
  for (const Letter& each : book.letters) {
    const v1::DeadLetter& letter = each.letter;
    Count& count =
        counts[{letter.tenant(), Word(each.status()), Word(letter.stage()), Word(letter.reason())}];
    count.first_us = count.letters == 0 ? letter.at_us() : std::min(count.first_us, letter.at_us());
    count.last_us = std::max(count.last_us, letter.at_us());
    ++count.letters;
  }
  Table table({{.key = "tenant"},
               {.key = "status"},
               {.key = "stage"},
               {.key = "reason"},
               {.key = "letters", .title = {}, .wide = false, .right = true},
               {.key = "first"},
               {.key = "last"}});
  for (const auto& [key, count] : counts) {
    const auto& [tenant, status, stage, reason] = key;
    table.Add({{tenant},
               {status},
               {stage},
               {reason},
               {count.letters},
               {FromMicros(count.first_us)},
               {FromMicros(count.last_us)}});
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, table));
  return ExitCode::kOk;
}

Result<ExitCode> ShowDeadLetter(const Session& session, const std::string& id, bool show_original) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const LetterWhole whole, FindLetter(session, id));
  JsonObject object = Describe(whole.letter);
  if (whole.original) {
    DescribeOriginal(whole.letter.letter, *whole.original, show_original, &object);
  }
  session.io.out << object.Take() << "\n";
  if (show_original && whole.letter.is_forgotten) {
    session.io.err << "its bytes were purged: they are not shown\n";
    return ExitCode::kConflict;
  }
  return ExitCode::kOk;
}

Result<ExitCode> ExportDeadLetters(const Session& session, const LetterFilters& filters,
                                   bool show_original) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const LetterBook book, ReadLetters(session, filters));
  ALERTSTREAM_RETURN_IF_ERROR(ForEachOriginal(
      session, book, [&](const Letter& letter, const v1::RawRecord* original) -> Result<bool> {
        JsonObject object = Describe(letter);
        if (original != nullptr) {
          DescribeOriginal(letter.letter, *original, show_original, &object);
        }
        session.io.out << object.Take() << "\n";
        return !session.Interrupted();
      }));
  const auto forgotten = std::count_if(book.letters.begin(), book.letters.end(),
                                       [](const Letter& each) { return each.is_forgotten; });
  session.io.err << fmt::format("{} dead letters\n", book.letters.size());
  if (forgotten > 0) {
    session.io.err << fmt::format("{} of them were purged: their bytes are not shown\n", forgotten);
  }
  return ExitCode::kOk;
}

Result<v1::Position> ParsePosition(std::string_view text) {
  const Error wrong(ErrorCode::kInvalid,
                    "expected TOPIC/PARTITION/OFFSET, such as site-events/3/88213");
  const std::size_t last = text.rfind('/');
  const std::size_t first = last == std::string_view::npos ? last : text.rfind('/', last - 1);
  if (first == std::string_view::npos || first == 0) {
    return wrong;
  }
  const auto topic = schemas::TopicByName(text.substr(0, first));
  const std::string_view partition = text.substr(first + 1, last - first - 1);
  const std::string_view offset = text.substr(last + 1);
  std::uint32_t partition_number = 0;
  std::int64_t offset_number = 0;
  const auto parsed_partition =
      std::from_chars(partition.data(), partition.data() + partition.size(), partition_number);
  const auto parsed_offset =
      std::from_chars(offset.data(), offset.data() + offset.size(), offset_number);
  if (!topic || partition.empty() || offset.empty() || parsed_partition.ec != std::errc() ||
      parsed_partition.ptr != partition.data() + partition.size() ||
      parsed_offset.ec != std::errc() || parsed_offset.ptr != offset.data() + offset.size() ||
      offset_number < 0) {
    return wrong;
  }
  v1::Position position;
  position.set_topic(static_cast<std::uint32_t>(*topic));
  position.set_partition(partition_number);
  position.set_offset(offset_number);
  return position;
}

namespace {

// Nobody answers to it: a stopped task reads ahead for it.
Result<std::int64_t> AppendSkip(const Session& session, const v1::Envelope& envelope,
                                std::int32_t partition) {
  if (session.control != nullptr) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const std::string document, api::ControlDocument(envelope));
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const auto results,
        session.control->Send("", {document}, ControlPort::Wait::kForPositions));
    return results.front().position.offset();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string value, schemas::EncodeEnvelope(envelope));
  const log::NewRecord request{Topic::kAccountChanges, partition, schemas::kLogKey, value};
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto appended,
                               session.log.Append(std::span(&request, 1), session.ask_timeout));
  return appended.front().offset;
}

}  // namespace

Result<ExitCode> SkipRecord(const Session& session, const v1::Position& record,
                            const std::string& reason) {
  const auto partition = static_cast<std::int32_t>(record.partition());
  if (session.has_log) {
    if (partition < 0 || partition >= session.identity.partitions) {
      return Error(ErrorCode::kNotFound,
                   fmt::format("there is no partition {}; the log has {}", record.partition(),
                               session.identity.partitions));
    }
    // A skip of a record that does not exist would wait for one that comes later.
    ALERTSTREAM_RETURN_IF_ERROR(
        ReadRecord(session, {static_cast<Topic>(record.topic()), partition}, record.offset()));
  }
  v1::Envelope envelope = NewEnvelope(session, schemas::kLogKey, "dlq.skip");
  envelope.mutable_account_change()->set_reason(reason);
  *envelope.mutable_account_change()->mutable_skip_requested()->mutable_record() = record;
  if (const auto fault =
          schemas::CheckEnvelope(Topic::kAccountChanges, schemas::kLogKey, envelope)) {
    return Error(ErrorCode::kInvalid, fault->detail);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::int64_t offset, AppendSkip(session, envelope, partition));
  const std::string place =
      PositionText(static_cast<std::uint32_t>(Topic::kAccountChanges), record.partition(), offset);
  if (session.Json()) {
    JsonObject object;
    object.Text("request", place);
    object.Text("record", PositionText(record));
    session.io.out << object.Take() << "\n";
  } else {
    session.io.out << fmt::format(
        "asked for at {}: {} is passed if partition {} is stopped by it, and dead-lettered with "
        "its bytes\n",
        place, PositionText(record), record.partition());
  }
  return ExitCode::kOk;
}

}  // namespace alertstream::cli
