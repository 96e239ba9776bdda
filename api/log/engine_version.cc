#include "api/log/engine_version.h"

#include <algorithm>
#include <span>

#include <fmt/format.h>

#include "processor/base/clock.h"
#include "schemas/journal.pb.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

// Of a journal with transactions every second offset is a marker.
constexpr std::int64_t kOffsetsLookedAt = 16;
constexpr std::int64_t kWiden = 16;
constexpr log::FetchLimits kFetch{.records_max = 1000, .bytes_max = std::size_t{4} << 20U};
constexpr std::chrono::milliseconds kPause{10};

// Of the records from `from` on and before `end`; 0: there are none.
Result<std::uint32_t> NewestOf(log::EventLog& log, const log::ReadFrom& from, std::int64_t end,
                               std::chrono::microseconds deadline) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto reader, log.OpenReader(std::span(&from, 1)));
  std::uint32_t newest = 0;
  while (reader->Position(0) < end) {
    log::Fetched fetched;
    ALERTSTREAM_ASSIGN_OR_RETURN(const std::size_t count, reader->Fetch(0, kFetch, &fetched));
    for (const log::RecordView& record : fetched.records) {
      v1::JournalRecord journal;
      const bool is_marker = record.offset == 0 && record.key == schemas::kLogKey;
      if (!is_marker &&
          journal.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) {
        newest = journal.engine_version();
      }
    }
    if (count > 0) {
      continue;
    }
    if (SystemClock().SinceBoot() >= deadline) {
      return Error(
          ErrorCode::kUnavailable,
          fmt::format("the journal of partition {} cannot be read", from.source.partition));
    }
    reader->Wait(kPause);
  }
  return newest;
}

}  // namespace

Result<std::uint32_t> ReadEngineVersion(log::EventLog& log, std::int32_t partition,
                                        std::chrono::milliseconds timeout) {
  const auto deadline = SystemClock().SinceBoot() + timeout;
  const log::TopicPartition journal{schemas::Topic::kJournal, partition};
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto ends,
                               log.Ends(std::span(&journal, 1), log::EndKind::kStable, timeout));
  const std::int64_t end = ends.front();
  for (std::int64_t back = kOffsetsLookedAt;; back *= kWiden) {
    const std::int64_t from = std::max<std::int64_t>(0, end - back);
    ALERTSTREAM_ASSIGN_OR_RETURN(const std::uint32_t newest,
                                 NewestOf(log, {journal, from}, end, deadline));
    if (newest != 0 || from == 0) {
      return newest;
    }
  }
}

}  // namespace alertstream::api
