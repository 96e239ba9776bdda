#include "api/log/lag_meter.h"

#include <algorithm>
#include <cstddef>

#include "processor/base/clock.h"
#include "schemas/topics.h"

namespace alertstream::api {

LagMeter::LagMeter(log::EventLog& log, std::int32_t partitions) : log_(log) {
  for (std::int32_t partition = 0; partition < partitions; ++partition) {
    for (const schemas::Topic topic : schemas::kInputTopics) {
      sources_.push_back({topic, partition});
    }
  }
  waiting_.resize(sources_.size());
}

Status LagMeter::Start(std::chrono::milliseconds timeout) {
  ALERTSTREAM_ASSIGN_OR_RETURN(ends_, log_.Ends(sources_, log::EndKind::kStable, timeout));
  consumed_ = ends_;
  return Status::Ok();
}

void LagMeter::Raise(const v1::JournalRecord& journal, Positions* positions) {
  for (const v1::JournalInput& input : journal.inputs()) {
    const auto topic = static_cast<schemas::Topic>(input.topic());
    const auto found = std::find(schemas::kInputTopics.begin(), schemas::kInputTopics.end(), topic);
    const std::size_t index = journal.partition() * schemas::kInputTopicCount +
                              static_cast<std::size_t>(found - schemas::kInputTopics.begin());
    if (found != schemas::kInputTopics.end() && index < positions->size()) {
      (*positions)[index] = std::max((*positions)[index], input.next());
    }
  }
}

Result<LogDuration> LagMeter::Sample(const Positions& consumed, LogTime now,
                                     std::chrono::milliseconds timeout) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto ends, log_.Ends(sources_, log::EndKind::kStable, timeout));
  std::vector<std::size_t> behind;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    consumed_[i] = std::max(consumed_[i], consumed[i]);
    if (consumed_[i] < ends_[i]) {  // Since a whole sample: what is under way does not count.
      behind.push_back(i);
    }
  }
  ends_ = std::move(ends);
  return LookAt(behind, now, timeout);
}

Result<LogDuration> LagMeter::LookAt(const std::vector<std::size_t>& behind, LogTime now,
                                     std::chrono::milliseconds timeout) {
  std::vector<std::size_t> unknown;
  std::vector<log::ReadFrom> from;
  for (const std::size_t i : behind) {
    if (waiting_[i].position != consumed_[i]) {
      unknown.push_back(i);
      from.push_back({sources_[i], consumed_[i]});
    }
  }
  if (!from.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto reader, log_.OpenReader(from));
    const auto deadline = SystemClock().SinceBoot() + timeout;
    for (std::size_t k = 0; k < unknown.size(); ++k) {
      const std::size_t i = unknown[k];
      log::Fetched fetched;
      for (;;) {
        ALERTSTREAM_RETURN_IF_ERROR(reader->Fetch(k, {.records_max = 1, .bytes_max = 1}, &fetched));
        if (!fetched.records.empty()) {
          waiting_[i] = {consumed_[i], fetched.records.front().append_time};
          break;
        }
        if (reader->Position(k) >= ends_[i]) {
          consumed_[i] = reader->Position(k);  // Markers only.
          break;
        }
        if (SystemClock().SinceBoot() >= deadline) {
          return Error(ErrorCode::kUnavailable, "the inputs of the log cannot be read");
        }
        reader->Wait(std::chrono::milliseconds(10));
      }
    }
  }
  LogDuration longest{0};
  for (const std::size_t i : behind) {
    if (waiting_[i].position == consumed_[i]) {
      longest = std::max(longest, std::chrono::duration_cast<LogDuration>(now - waiting_[i].since));
    }
  }
  return longest;
}

}  // namespace alertstream::api
