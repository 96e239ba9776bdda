#include "processor/dispatch/read_range.h"

#include <algorithm>
#include <utility>

#include "processor/base/clock.h"
#include "processor/runtime/sources.h"

namespace alertstream::dispatch {

Status ReadRange(log::EventLog& log, log::TopicPartition partition, std::int64_t from,
                 std::int64_t to, std::chrono::milliseconds timeout,
                 const std::function<Status(const log::RecordView&)>& each) {
  constexpr std::size_t kRecords = 2000;
  constexpr std::size_t kBytes = 4 << 20;
  if (from >= to) {
    return Status::Ok();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto sources, runtime::Sources::Open(log, {{partition, from}}));
  auto deadline = SystemClock().SinceBoot() + timeout;
  while (sources.Passed(0) < to) {
    ALERTSTREAM_RETURN_IF_ERROR(sources.Fill(0, kRecords, kBytes));
    const auto records = sources.AtHand(0);
    if (records.empty() && sources.Passed(0) < to) {
      if (SystemClock().SinceBoot() >= deadline) {
        return Error(ErrorCode::kUnavailable, "the log's records cannot be read now");
      }
      sources.Pause(std::chrono::milliseconds(10));
      continue;
    }
    deadline = SystemClock().SinceBoot() + timeout;
    for (const auto& record : records) {
      if (record.offset >= to) {
        return Status::Ok();
      }
      ALERTSTREAM_RETURN_IF_ERROR(each(record));
    }
    sources.Consume(0, records.size());
  }
  return Status::Ok();
}

}  // namespace alertstream::dispatch
