#include "ops/cli/commands/raw_records.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace alertstream::cli {
namespace {

constexpr std::chrono::milliseconds kStep{50};
constexpr log::FetchLimits kFetch{.records_max = 1000, .bytes_max = std::size_t{4} << 20U};
// Offsets looked at beyond the wanted ones: a transaction takes one for its marker.
constexpr std::int64_t kSlackOffsets = 256;

OwnedRecord Own(const log::RecordView& record) {
  OwnedRecord owned{.offset = record.offset,
                    .append_time = record.append_time,
                    .key = std::string(record.key),
                    .value = std::string(record.value),
                    .headers = {}};
  for (const auto& header : record.headers) {
    owned.headers.emplace_back(header.name, header.value);
  }
  return owned;
}

Result<std::int64_t> EndOf(const Session& session, log::TopicPartition where) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto ends,
      session.log.Ends(std::span(&where, 1), log::EndKind::kStable, session.ask_timeout));
  return ends.front();
}

}  // namespace

Status ForEachRecord(const Session& session, log::TopicPartition where, std::int64_t offset,
                     const VisitRecord& visit) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::int64_t end, EndOf(session, where));
  if (offset >= end) {
    return Status::Ok();
  }
  const log::ReadFrom from{where, std::max<std::int64_t>(0, offset)};
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto reader, session.log.OpenReader(std::span(&from, 1)));
  std::chrono::milliseconds silent{0};
  while (reader->Position(0) < end && !session.Interrupted()) {
    log::Fetched fetched;
    ALERTSTREAM_ASSIGN_OR_RETURN(const std::size_t count, reader->Fetch(0, kFetch, &fetched));
    for (const auto& record : fetched.records) {
      if (record.offset >= end) {
        return Status::Ok();
      }
      ALERTSTREAM_ASSIGN_OR_RETURN(const bool go_on, visit(record));
      if (!go_on) {
        return Status::Ok();
      }
    }
    if (count > 0) {
      silent = std::chrono::milliseconds(0);
      continue;
    }
    if (silent >= session.ask_timeout) {
      return Error(ErrorCode::kUnavailable,
                   fmt::format("{} partition {} cannot be read at offset {}",
                               schemas::NameOf(where.topic), where.partition, reader->Position(0)));
    }
    reader->Wait(kStep);
    silent += kStep;
  }
  return Status::Ok();
}

log::RecordView OwnedRecord::View(std::vector<log::Header>* buffer) const {
  buffer->clear();
  for (const auto& [name, content] : headers) {
    buffer->push_back({name, content});
  }
  return {offset, append_time, key, value, *buffer};
}

Result<OwnedRecord> ReadRecord(const Session& session, log::TopicPartition where,
                               std::int64_t offset) {
  std::optional<OwnedRecord> found;
  ALERTSTREAM_RETURN_IF_ERROR(
      ForEachRecord(session, where, offset, [&](const log::RecordView& record) -> Result<bool> {
        if (record.offset == offset) {
          found = Own(record);
        }
        return false;
      }));
  if (!found) {
    return Error(ErrorCode::kNotFound,
                 fmt::format("{}@{}:{} holds no record", schemas::NameOf(where.topic),
                             where.partition, offset));
  }
  return std::move(*found);
}

Result<LastRecords> ReadLast(const Session& session, log::TopicPartition where, std::size_t count) {
  LastRecords last;
  ALERTSTREAM_ASSIGN_OR_RETURN(last.end, EndOf(session, where));
  const std::int64_t from = last.end - static_cast<std::int64_t>(count) - kSlackOffsets;
  ALERTSTREAM_RETURN_IF_ERROR(
      ForEachRecord(session, where, from, [&](const log::RecordView& record) -> Result<bool> {
        last.records.push_back(Own(record));
        return true;
      }));
  if (last.records.size() > count) {
    last.records.erase(last.records.begin(),
                       last.records.end() - static_cast<std::ptrdiff_t>(count));
  }
  return last;
}

}  // namespace alertstream::cli
