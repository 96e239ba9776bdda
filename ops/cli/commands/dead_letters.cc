#include "ops/cli/commands/dead_letters.h"

#include <charconv>
#include <deque>
#include <optional>
#include <ostream>
#include <utility>

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
#include "schemas/personal.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

using VisitLetter = std::function<void(v1::DeadLetter letter)>;

Status ForEachLetter(const Session& session, const VisitLetter& visit) {
  return ForEachBatch(session, {Topic::kDeadLetters},
                      [&](std::int32_t, const runtime::ReleasedBatch& batch) -> Status {
                        for (const auto& output : batch.outputs) {
                          v1::DeadLetter letter;
                          const auto& value = output.record.value;
                          letter.ParseFromArray(value.data(), static_cast<int>(value.size()));
                          if (session.tenant.empty() || letter.tenant() == session.tenant) {
                            visit(std::move(letter));
                          }
                        }
                        return Status::Ok();
                      });
}

}  // namespace

Result<ExitCode> ListDeadLetters(const Session& session, std::size_t rows_max) {
  std::deque<v1::DeadLetter> letters;
  std::size_t cut = 0;
  ALERTSTREAM_RETURN_IF_ERROR(ForEachLetter(session, [&](v1::DeadLetter letter) {
    letter.clear_original();
    letters.push_back(std::move(letter));
    if (letters.size() > rows_max) {
      letters.pop_front();
      ++cut;
    }
  }));
  Table table({{.key = "id"},
               {.key = "at"},
               {.key = "stage"},
               {.key = "reason"},
               {.key = "tenant"},
               {.key = "source"},
               {.key = "detail"}});
  for (const auto& letter : letters) {
    table.Add({{session.Json() ? FormatId(IdKind::kDeadLetter, letter.id())
                               : ShortId(IdKind::kDeadLetter, letter.id())},
               {FromMicros(letter.at_us())},
               {Word(letter.stage())},
               {Word(letter.reason()), CellStyle::kBad},
               {letter.tenant()},
               {PositionText(letter.record())},
               {letter.detail()}});
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, table));
  session.io.err << fmt::format("{} shown, {} earlier ones left out (--limit)\n", letters.size(),
                                cut);
  return ExitCode::kOk;
}

Result<ExitCode> ShowDeadLetter(const Session& session, const std::string& id, bool show_original) {
  std::optional<v1::DeadLetter> found;
  std::size_t fitting = 0;
  ALERTSTREAM_RETURN_IF_ERROR(ForEachLetter(session, [&](v1::DeadLetter letter) {
    if (id == "last" ? !found || letter.at_us() >= found->at_us()
                     : FormatId(IdKind::kDeadLetter, letter.id()).starts_with(id)) {
      ++fitting;
      found = std::move(letter);
    }
  }));
  if (!found || (id != "last" && !id.starts_with(PrefixOf(IdKind::kDeadLetter)))) {
    return Error(ErrorCode::kNotFound,
                 "no dead letter has an id that begins so; ids begin with "
                 "dlq_");
  }
  if (fitting > 1 && id != "last") {
    return Error(ErrorCode::kInvalid,
                 fmt::format("{} dead letters begin so; give more of the id", fitting));
  }
  JsonObject object;
  object.Text("id", FormatId(IdKind::kDeadLetter, found->id()));
  object.Text("tenant", found->tenant());
  object.Text("record", PositionText(found->record()));
  object.Text("append_time", FormatRfc3339(FromMicros(found->append_time_us())));
  object.Text("at", FormatRfc3339(FromMicros(found->at_us())));
  object.Text("stage", Word(found->stage()));
  object.Text("reason", Word(found->reason()));
  object.Text("detail", found->detail());
  object.Text("event_type", found->event_type());
  const auto original = schemas::Unseal(found->original());
  v1::RawRecord raw;
  if (original.ok() &&
      raw.ParseFromArray(original.value().data(), static_cast<int>(original.value().size()))) {
    object.Integer("original_bytes", static_cast<std::int64_t>(raw.value().size()));
    object.Text("original_sha256", ToHex(AsView(Sha256::Of(raw.value()))));
    if (show_original) {
      object.Text("original_key", raw.key());
      object.Text("original_hex", ToHex(raw.value()));
    }
  }
  session.io.out << object.Take() << "\n";
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
