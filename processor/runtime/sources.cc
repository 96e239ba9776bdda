#include "processor/runtime/sources.h"

#include <utility>

namespace alertstream::runtime {

Result<Sources> Sources::Open(log::EventLog& log, std::vector<log::ReadFrom> from) {
  Sources sources;
  ALERTSTREAM_ASSIGN_OR_RETURN(sources.reader_, log.OpenReader(from));
  sources.buffers_.resize(from.size());
  return sources;
}

Status Sources::Fill(std::size_t i, std::size_t records_max, std::size_t bytes_max) {
  Buffer& buffer = buffers_[i];
  const std::size_t at_hand = buffer.fetched.records.size() - buffer.begin;
  if (at_hand >= records_max) {
    return Status::Ok();
  }
  if (at_hand == 0) {
    buffer.fetched.records.clear();
    buffer.fetched.owners.clear();
    buffer.begin = 0;
  }
  ALERTSTREAM_RETURN_IF_ERROR(
      reader_->Fetch(i, {records_max - at_hand, bytes_max}, &buffer.fetched));
  return Status::Ok();
}

Status Sources::FillAtLeast(std::size_t i, std::size_t count, std::chrono::milliseconds timeout) {
  constexpr auto kStep = std::chrono::milliseconds(20);
  auto waited = std::chrono::milliseconds(0);
  for (;;) {
    const std::size_t before = AtHand(i).size();
    if (before >= count) {
      return Status::Ok();
    }
    ALERTSTREAM_RETURN_IF_ERROR(Fill(i, count, std::size_t{64} << 20));
    if (AtHand(i).size() > before) {
      waited = std::chrono::milliseconds(0);
      continue;
    }
    if (waited >= timeout) {
      return Error(ErrorCode::kUnavailable, "records that the journal names cannot be read");
    }
    reader_->Wait(kStep);
    waited += kStep;
  }
}

std::span<const log::RecordView> Sources::AtHand(std::size_t i) const {
  return std::span(buffers_[i].fetched.records).subspan(buffers_[i].begin);
}

void Sources::Consume(std::size_t i, std::size_t count) { buffers_[i].begin += count; }

std::int64_t Sources::Passed(std::size_t i) const {
  const auto at_hand = AtHand(i);
  return at_hand.empty() ? reader_->Position(i) : at_hand.front().offset;
}

}  // namespace alertstream::runtime
