#include "projections/input_follower.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "processor/base/clock.h"

namespace alertstream::projections {
namespace {

// A batch consumes at most 2000 records.
constexpr std::size_t kRecordsAhead = 2048;
constexpr std::size_t kFetchBytes = 1 << 20;

}  // namespace

Result<InputFollower> InputFollower::Open(log::EventLog& log, std::int32_t partition,
                                          const std::map<schemas::Topic, std::int64_t>& next) {
  std::vector<log::ReadFrom> from;
  for (const schemas::Topic topic : kInputsRead) {
    const auto at = next.find(topic);
    from.push_back({{topic, partition}, at == next.end() ? 0 : at->second});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto sources, runtime::Sources::Open(log, std::move(from)));
  return InputFollower(std::move(sources));
}

Status InputFollower::TakeTopic(std::size_t source, const v1::JournalInput& input,
                                std::chrono::milliseconds timeout) {
  const auto covered = [&] {
    const auto records = sources_.AtHand(source);
    return sources_.reader().Position(source) >= input.next() ||
           (!records.empty() && records.back().offset + 1 >= input.next());
  };
  const auto deadline = SystemClock().SinceBoot() + timeout;
  while (!covered()) {
    const std::size_t at_hand = sources_.AtHand(source).size();
    ALERTSTREAM_RETURN_IF_ERROR(sources_.Fill(source, at_hand + kRecordsAhead, kFetchBytes));
    if (sources_.AtHand(source).size() > at_hand || covered()) {
      continue;
    }
    if (SystemClock().SinceBoot() >= deadline) {
      return Error(ErrorCode::kUnavailable, "input records that the journal names cannot be read");
    }
    sources_.Pause(std::chrono::milliseconds(20));
  }
  return Status::Ok();
}

Result<std::span<const InputRecords>> InputFollower::Take(const v1::JournalRecord& journal,
                                                          std::chrono::milliseconds timeout) {
  for (std::size_t i = 0; i < std::size(kInputsRead); ++i) {
    const auto taken = std::find_if(taken_.begin(), taken_.end(), [&](const InputRecords& records) {
      return records.topic == kInputsRead[i];
    });
    if (taken != taken_.end()) {
      sources_.Consume(i, taken->records.size());
    }
  }
  taken_.clear();
  for (const v1::JournalInput& input : journal.inputs()) {
    const auto* const topic = std::find(std::begin(kInputsRead), std::end(kInputsRead),
                                        static_cast<schemas::Topic>(input.topic()));
    if (topic == std::end(kInputsRead)) {
      continue;
    }
    const auto source = static_cast<std::size_t>(topic - std::begin(kInputsRead));
    if (const Status read = TakeTopic(source, input, timeout); !read.ok()) {
      taken_.clear();
      return read.error();
    }
    const auto at_hand = sources_.AtHand(source);
    const auto end =
        std::find_if(at_hand.begin(), at_hand.end(),
                     [&](const log::RecordView& record) { return record.offset >= input.next(); });
    const auto count = static_cast<std::size_t>(end - at_hand.begin());
    if (count != input.count()) {
      taken_.clear();
      return Error(ErrorCode::kCorrupt,
                   fmt::format("journal seq {}: it names {} records of {}, the log has {}",
                               journal.seq(), input.count(), schemas::NameOf(*topic), count));
    }
    taken_.push_back({*topic, at_hand.first(count)});
  }
  return std::span<const InputRecords>(taken_);
}

}  // namespace alertstream::projections
