#include "processor/runtime/sources.h"

#include <algorithm>
#include <utility>

#include "processor/base/clock.h"

namespace alertstream::runtime {

Result<Sources> Sources::Open(log::EventLog& log, std::vector<log::ReadFrom> from) {
  Sources sources;
  ALERTSTREAM_ASSIGN_OR_RETURN(sources.reader_, log.OpenReader(from));
  sources.buffers_.resize(from.size());
  return sources;
}

// A source that always has something at hand must not keep the bytes of all it ever had.
void Sources::ReleaseConsumed(Buffer& buffer) {
  std::size_t consumed = buffer.begin;
  buffer.records.erase(buffer.records.begin(),
                       buffer.records.begin() + static_cast<std::ptrdiff_t>(consumed));
  buffer.begin = 0;
  while (!buffer.chunks.empty() && buffer.chunks.front().records <= consumed) {
    consumed -= buffer.chunks.front().records;
    buffer.chunks.pop_front();
  }
  if (!buffer.chunks.empty()) {
    buffer.chunks.front().records -= consumed;
  }
}

Status Sources::Fill(std::size_t i, std::size_t records_max, std::size_t bytes_max) {
  Buffer& buffer = buffers_[i];
  if (buffer.records.size() - buffer.begin >= records_max) {
    return Status::Ok();
  }
  ReleaseConsumed(buffer);
  fetched_.records.clear();
  fetched_.owners.clear();
  const auto fetched =
      reader_->Fetch(i, {records_max - buffer.records.size(), bytes_max}, &fetched_);
  if (!fetched_.records.empty()) {
    buffer.records.insert(buffer.records.end(), fetched_.records.begin(), fetched_.records.end());
    buffer.chunks.push_back({fetched_.records.size(), std::move(fetched_.owners)});
  }
  return fetched.ok() ? Status::Ok() : Status(fetched.error());
}

Status Sources::FillAtLeast(std::size_t i, std::size_t count, std::chrono::milliseconds timeout) {
  constexpr auto kStep = std::chrono::milliseconds(20);
  auto deadline = SystemClock().SinceBoot() + timeout;
  for (;;) {
    const std::size_t before = AtHand(i).size();
    if (before >= count) {
      return Status::Ok();
    }
    ALERTSTREAM_RETURN_IF_ERROR(Fill(i, count, std::size_t{64} << 20));
    if (AtHand(i).size() > before) {
      deadline = SystemClock().SinceBoot() + timeout;
      continue;
    }
    if (SystemClock().SinceBoot() >= deadline) {
      return Error(ErrorCode::kUnavailable, "records that the journal names cannot be read");
    }
    Pause(kStep);
  }
}

void Sources::Pause(std::chrono::milliseconds timeout) {
  constexpr std::chrono::milliseconds kAtLeast{1};
  const auto begun = SystemClock().SinceBoot();
  reader_->Wait(timeout);
  if (SystemClock().SinceBoot() - begun < kAtLeast) {
    SystemClock().SleepFor(kAtLeast);
  }
}

std::span<const log::RecordView> Sources::AtHand(std::size_t i) const {
  return std::span(buffers_[i].records).subspan(buffers_[i].begin);
}

void Sources::Consume(std::size_t i, std::size_t count) { buffers_[i].begin += count; }

std::int64_t Sources::Passed(std::size_t i) const {
  const auto at_hand = AtHand(i);
  return at_hand.empty() ? reader_->Position(i) : at_hand.front().offset;
}

}  // namespace alertstream::runtime
